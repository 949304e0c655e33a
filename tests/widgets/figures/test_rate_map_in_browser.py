"""RateMap in a browser: every way to move it, and its two numbers against the formulas."""

import pytest
from figure_reading import show as shown

from course_lib.widgets import RateMap


def setting(figure) -> dict[str, float]:
    names = ("lr", "momentum", "condition_number")
    return dict(
        zip(names, figure.page.evaluate("names => names.map((name) => models[0].get(name))", list(names)), strict=True)
    )


def number(figure) -> str:
    return figure.host.locator(".cf-number").inner_text()


def assert_numbers(figure):
    """Both rates are those that Python computes for the setting that the figure stands at."""
    there = RateMap(**setting(figure))
    assert figure.host.locator(".cf-note").inner_text().endswith(f"theory says × {shown(there.predicted_rate)}")
    measured = there.measured_rate
    assert number(figure) == ("diverges" if measured >= 1 else f"× {shown(measured)}")
    (words,) = [alt for alt in figure.alt() if alt.startswith("Map of")]
    assert f"predicted {shown(there.predicted_rate)}" in words


def ring_place(figure) -> tuple[float, float]:
    """Where the ring is on the map, each from 0 to 1."""
    box, (x, y) = figure.host.locator(".cf-glass").bounding_box(), figure.ring_center()
    return (x - box["x"]) / box["width"], 1 - (y - box["y"]) / box["height"]


def pixels(figure) -> str:
    return figure.host.locator("canvas").evaluate("canvas => canvas.toDataURL()")


def test_its_numbers_are_those_of_the_formulas(show):
    (figure,) = show(RateMap(10, lr=0.3, momentum=0.5)).figures
    assert_numbers(figure)
    for name, place in (
        ("lr", 0.9),
        ("lr", 0.55),
        ("momentum", 0.95),
        ("condition_number", 1.0),
        ("momentum", 0.0),
        ("lr", 1.0),
        ("condition_number", 0.0),
    ):
        assert_numbers(figure.move(name, place))


def test_the_button_goes_to_the_best_setting(show):
    (figure,) = show(RateMap(10)).figures
    for place in (0.8, 0.05, 0.0):  # at the last place, κ = 1, the best setting needs one step
        kappa = figure.move("condition_number", place).value("condition_number")
        figure.host.get_by_role("button", name="Go to the best").click()
        figure.settle()
        root = kappa**0.5
        assert setting(figure) == pytest.approx(
            {"lr": 1 / root, "momentum": ((root - 1) / (root + 1)) ** 2, "condition_number": kappa}
        )
        assert_numbers(figure)
    figure.host.get_by_role("button", name="Reset").click()
    assert setting(figure) == {"lr": 0.05, "momentum": 0.5, "condition_number": 10.0}


def test_the_map_can_be_measured(show):
    (figure,) = show(RateMap(10)).figures
    theory = pixels(figure)
    figure.host.get_by_role("button", name="measured").click()
    measured = pixels(figure.settle())
    assert measured != theory
    pressed = figure.host.locator("[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["measured"]
    figure.host.get_by_role("button", name="theory").click()
    assert pixels(figure.settle()) == theory
    assert pressed.all_inner_texts() == ["theory"]


@pytest.mark.parametrize("view", ["theory", "measured"])
def test_the_map_is_empty_where_momentum_diverges(show, view):
    fig = RateMap(10, view=view)
    (figure,) = show(fig).figures
    for lr, momentum, empty in (
        (0.01, 0.5, False),
        (0.3, 0.5, False),
        (3.0, 0.5, True),
        (3.0, 0.9, False),
        (90.0, 0.5, True),
        (90.0, 0.0, True),
    ):
        u, v = figure.page.evaluate(
            "([lr, m]) => [Math.log(lr / 1e-3) / Math.log(1e5), Math.log(1 - m) / Math.log(0.01)]", [lr, momentum]
        )
        alpha = figure.host.locator("canvas").evaluate(
            "(canvas, [u, v]) => canvas.getContext('2d').getImageData(Math.min(canvas.width - 1, u * canvas.width), Math.min(canvas.height - 1, (1 - v) * canvas.height), 1, 1).data[3]",
            [u, v],
        )
        assert alpha == (0 if empty else 255), (lr, momentum)


def test_the_ring_by_mouse_by_tap_and_by_keys(show):
    (figure,) = show(RateMap(10)).figures
    x, y = figure.ring_center()
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x + 60, y - 40, steps=4)
    figure.page.mouse.up()
    assert figure.settle().ring_center() == pytest.approx((x + 60, y - 40), abs=2)
    assert_numbers(figure)
    figure.page.mouse.click(x, y - 100)
    assert figure.settle().ring_center() == pytest.approx(
        (x, y - 100), abs=3
    )  # momentum is rounded to two digits of 1 - m
    assert_numbers(figure)
    place = ring_place(figure)
    for key in ("ArrowRight", "Shift+ArrowRight", "ArrowDown", "Shift+ArrowDown"):
        figure.ring.press(key)
    assert ring_place(figure.settle()) == pytest.approx((place[0] + 0.11, place[1] - 0.11), abs=0.02)
    assert_numbers(figure)


def test_the_ring_stays_on_the_map(show):
    (figure,) = show(RateMap(10)).figures
    figure.page.mouse.move(*figure.ring_center())
    figure.page.mouse.down()
    figure.page.mouse.move(2000, 0, steps=3)
    figure.page.mouse.up()
    assert setting(figure.settle()) == {"lr": 100.0, "momentum": 0.99, "condition_number": 10.0}
    assert_numbers(figure)


def test_a_change_from_python_moves_the_figure(show):
    (figure,) = show(RateMap(10)).figures
    before = pixels(figure)
    figure.page.evaluate(
        "models[0].set('lr', 0.5); models[0].set('condition_number', 100); models[0].set('view', 'measured')"
    )
    assert figure.settle().value("lr") == 0.5
    assert figure.value("condition_number") == 100
    assert pixels(figure) != before
    assert_numbers(figure)


def test_nothing_jumps_and_a_phone_is_wide_enough(show):
    for width in (900, 390):
        (figure,) = show(RateMap(10), viewport={"width": width, "height": 900}).figures
        box = "node => JSON.stringify([...node.querySelectorAll('svg, label, button, .cf-result')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }))"
        before = figure.host.evaluate(box)
        for name in ("lr", "momentum", "condition_number"):
            for place in (0, 0.5, 1):
                assert figure.move(name, place).host.evaluate(box) == before, f"{name} at {place}, {width} px wide"
        assert figure.page.evaluate("document.documentElement.scrollWidth") <= width
