"""DecayMap in a browser: every way to move its cross hair, and its numbers and colors against the recording."""

import re

import pytest
from figure_reading import show as shown

from course_lib.experiments.studies import decay_map
from course_lib.widgets import DecayMap

STATE = ("pair", "axis", "view", "lr", "decay")


def state(figure) -> dict:
    return dict(
        zip(STATE, figure.page.evaluate("names => names.map((name) => models[0].get(name))", list(STATE)), strict=True)
    )


def put(figure, **values):
    figure.page.evaluate("values => Object.entries(values).forEach(([k, v]) => models[0].set(k, v))", values)
    return figure.settle()


def press(figure, text):
    figure.host.get_by_role("button", name=text, exact=True).click()
    return figure.settle()


def numbers(figure) -> list[str]:
    return figure.host.locator(".cf-result .cf-number").all_inner_texts()


def assert_losses(figure):
    """The two losses are those that Python reads off the recording at the figure's own setting."""
    there = DecayMap(**state(figure)).losses
    assert figure.host.locator(".cf-decay-end").all_inner_texts() == [
        f"{label} {'diverged' if loss is None else shown(loss)}" for label, loss in there.items()
    ]


def rings(figure) -> list[tuple[float, float]]:
    boxes = [ring.bounding_box() for ring in figure.host.locator(".cf-start .cf-ring").all()]
    return [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]


def pixel(figure, k, i, j) -> list[int]:
    """The color of the cell (rate i, decay j) on map number k, on the axis where the map is a rectangle."""
    return (
        figure.host.locator("canvas")
        .nth(k)
        .evaluate("(c, [i, j]) => [...c.getContext('2d').getImageData(j, c.height - 1 - i, 1, 1).data]", [i, j])
    )


def test_its_large_numbers_are_the_slopes(show):
    (figure,) = show(DecayMap("adam")).figures
    for pair, names in (
        ("Adam", ("adamw", "adam_l2")),
        ("momentum", ("sgdw", "momentum_l2")),
        ("Adam, not normalized", ("plain_adamw", "plain_adam_l2")),
    ):
        press(figure, pair)
        slopes = [decay_map.slope(decay_map.read_recorded(name))[0] for name in names]
        assert numbers(press(figure, "λ")) == [f"× {2**-slope:.2f}" for slope in slopes]
        assert numbers(press(figure, "η · λ")) == [f"× {2 ** -(slope + 1):.2f}" for slope in slopes]
        assert_losses(figure)


def test_the_ring_by_mouse_by_tap_and_by_keys_moves_both_maps(show):
    (figure,) = show(DecayMap("adam", lr=0.01, decay=2.154)).figures
    assert_losses(figure)
    (x, y), (x_other, y_other) = rings(figure)
    assert y == y_other
    cell = figure.host.locator(".cf-glass").first.bounding_box()["width"] / 23
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x - 3 * cell, y - 25, steps=4)
    figure.page.mouse.up()
    assert state(figure.settle())["lr"] == pytest.approx(0.02154) and state(figure)["decay"] == pytest.approx(
        0.2154, rel=1e-3
    )
    assert rings(figure) == [
        pytest.approx((x - 3 * cell, y - 25), abs=1),
        pytest.approx((x_other - 3 * cell, y_other - 25), abs=1),
    ]
    assert_losses(figure)
    figure.page.mouse.click(x_other, y_other)  # on the other map
    assert rings(figure.settle())[0] == pytest.approx((x, y), abs=1)
    ring = figure.host.locator(".cf-start").nth(1)
    for key in ("ArrowUp", "ArrowUp", "ArrowUp"):
        ring.press(key)
    assert state(figure.settle())["lr"] == pytest.approx(0.1) and state(figure)["decay"] == pytest.approx(
        2.154, rel=1e-3
    )
    for key in ("ArrowLeft", "Shift+ArrowRight", "Shift+ArrowDown"):
        ring.press(key)
    assert state(figure.settle())["lr"] == pytest.approx(0.01) and state(figure)["decay"] == pytest.approx(
        10.0, rel=1e-3
    )
    assert_losses(figure)
    assert "learning rate" in figure.host.locator("svg[role=img]").first.get_attribute("aria-label")
    assert re.match(r"η = 0.01, λ = 10, η · λ = 0.1: validation loss [\d.]+", ring.get_attribute("aria-valuetext"))


def test_arrows_up_keep_what_the_axis_shows(show):
    (figure,) = show(DecayMap("adam", axis="product", lr=0.01, decay=2.154)).figures
    ring = figure.host.locator(".cf-start").first
    for _ in range(3):
        ring.press("ArrowUp")
    assert state(figure.settle())["lr"] == pytest.approx(0.1) and state(figure)["decay"] == pytest.approx(
        0.2154, rel=1e-3
    )


def test_the_ring_stays_on_what_was_measured(show):
    (figure,) = show(DecayMap("adam")).figures
    figure.page.mouse.move(*rings(figure)[0])
    figure.page.mouse.down()
    figure.page.mouse.move(2000, 0, steps=3)
    figure.page.mouse.up()
    assert DecayMap(**state(figure.settle())).cell == (7, 15)
    assert_losses(figure)


@pytest.mark.parametrize(
    ("view", "key"), [("validation loss", "val"), ("training loss", "train"), ("norm of the weights", "norm")]
)
def test_brighter_is_lower_on_one_scale_for_both_maps(show, view, key):
    (figure,) = show(DecayMap("adam", axis="product")).figures
    press(figure, view)
    assert figure.host.locator("[aria-pressed=true]").all_inner_texts() == ["Adam", "η · λ", view]
    cells = []
    for k, name in enumerate(("adamw", "adam_l2")):
        values = decay_map.read_recorded(name)[key]
        for i, j in ((0, 0), (2, 8), (4, 10), (7, 2), (7, 15)):
            value = values[i][j] if key == "train" else values[i][j][-1]
            cells.append((min(value, 1.5) if key != "norm" else value, sum(pixel(figure, k, i, j)[:3])))
    bright = [light for _, light in sorted(cells)]
    assert bright == sorted(bright, reverse=True)


def test_a_diverged_setting_has_a_cross_and_says_so(show):
    (figure,) = show(DecayMap("plain", lr=0.2154, decay=10.0)).figures
    assert "AdamW diverged" in figure.host.locator(".cf-decay-cell").inner_text()
    assert pixel(figure, 0, 7, 15)[3] == 0
    dead = figure.host.locator(".cf-map .cf-dead").evaluate_all(
        "nodes => nodes.map((node) => (node.getAttribute('d').match(/M/g) ?? []).length)"
    )
    assert dead == [1, 0]
    assert_losses(figure)
    assert not figure.host.get_by_text("diverged", exact=True).is_hidden()
    assert press(figure, "Adam").host.get_by_text("diverged", exact=True).is_hidden()


def test_reset_and_changes_from_python(show):
    (figure,) = show(DecayMap("adam", lr=0.01, decay=2.154)).figures
    first = state(figure)
    put(figure, pair="plain", axis="product", view="norm", lr=0.1, decay=0.01)
    assert_losses(figure)
    assert figure.host.locator("[aria-pressed=true]").all_inner_texts() == [
        "Adam, not normalized",
        "η · λ",
        "norm of the weights",
    ]
    assert state(press(figure, "Reset")) == first
    assert_losses(figure)


def test_a_phone_is_wide_enough_and_the_maps_stand_one_above_the_other(show):
    for width, beside in ((900, True), (390, False)):
        (figure,) = show(DecayMap("adam"), viewport={"width": width, "height": 900}).figures
        (_, top), (_, other) = rings(figure)
        assert (top == other) == beside
        assert figure.page.evaluate("document.documentElement.scrollWidth") <= width
