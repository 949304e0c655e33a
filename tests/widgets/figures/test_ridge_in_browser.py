"""Ridge in a browser: every way to move it, and what it draws and says against the formulas."""

import re

import pytest
import torch
from figure_reading import show as shown

from course_lib.experiments import sweep
from course_lib.formulas import momentum_l2, sgdw
from course_lib.formulas.regularization import bowl
from course_lib.widgets import Ridge
from course_lib.widgets.figures.ridge import DOMAIN, SLIDERS


def there(figure) -> Ridge:
    """The same figure in Python, at the setting where the browser's stands."""
    names = [*SLIDERS, "start", "minimum"]
    return Ridge(
        **dict(
            zip(names, figure.page.evaluate("names => names.map((name) => models[0].get(name))", names), strict=True)
        )
    )


def assert_right(figure):
    """The numbers, the words and the drawn minimum are those that Python computes."""
    fig = there(figure)
    norm = fig.solution.norm().item() / torch.tensor(fig.minimum, dtype=torch.float64).norm().item()
    results = figure.results()
    assert results["norm of θλ"] == (f"{shown(100 * norm)}%", "of that of θ*")
    for label, distance in fig.distances.items():
        assert results[label] == (shown(distance), "away, step 40")
    contour, shares = figure.alt()
    x, y = fig.solution.tolist()
    assert f"moves it to {shown(x)}, {shown(y)}. Its norm is {shown(100 * norm)}%" in contour
    along, across = fig.shares
    assert (
        f"along the valley {shown(100 * along)}%, across it {shown(100 * across)}%, of the norm {shown(100 * norm)}%."
        in shares
    )
    torch.testing.assert_close(
        place(figure, ".cf-ridge-marks .cf-solution", 1) + torch.tensor([6 * figure.pixel(DOMAIN), 0]),
        fig.solution,
        rtol=0,
        atol=0.01,
    )


def place(figure, selector: str, point: int) -> torch.Tensor:
    """A point of a drawn line in the surface's coordinates, the first one is number 1."""
    back, pixel = figure.host.locator(".cf-back"), figure.pixel(DOMAIN)
    numbers = [
        float(x) for x in re.findall(r"-?[\d.]+(?:e-?\d+)?", figure.host.locator(selector).first.get_attribute("d"))
    ]
    x, y = numbers[2 * point - 2 : 2 * point]
    assert back.count() == 1
    return torch.tensor([DOMAIN[0][0] + x * pixel, DOMAIN[1][1] - y * pixel], dtype=torch.float64)


def center(figure, selector: str) -> tuple[float, float]:
    box = figure.host.locator(f"{selector} .cf-ring").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_its_numbers_are_those_of_the_formulas(show):
    (figure,) = show(Ridge()).figures
    assert_right(figure)
    for name, where in (
        ("decay", 0.7),
        ("momentum", 0.2),
        ("angle", 0.9),
        ("condition_number", 0.5),
        ("lr", 0.6),
        ("decay", 0.0),
        ("decay", 0.1),
    ):
        assert_right(figure.move(name, where))


def test_the_paths_are_those_of_the_rules(show):
    (figure,) = show(Ridge()).figures
    for drawn, rule in zip(figure.paths(DOMAIN), (momentum_l2, sgdw), strict=True):
        expected = sweep(rule, bowl, (1.4, -1.8), 40, lr=0.1, momentum=0.9, decay=1.0)[:, 0]
        torch.testing.assert_close(drawn, expected, rtol=0, atol=figure.pixel(DOMAIN))


def test_the_circle_the_contour_and_the_trace_meet_at_the_minimum(show):
    (figure,) = show(Ridge()).figures
    for where in (0.5, 0.8):
        solution = there(figure.move("decay", where)).solution
        lines = [figure.host.locator(f".cf-{name}").get_attribute("d") for name in ("circle", "touching", "trace")]
        for line in lines:
            pixels = torch.tensor([float(x) for x in re.findall(r"-?[\d.]+", line)], dtype=torch.float64).reshape(-1, 2)
            points = torch.stack(
                [
                    DOMAIN[0][0] + pixels[:, 0] * figure.pixel(DOMAIN),
                    DOMAIN[1][1] - pixels[:, 1] * figure.pixel(DOMAIN),
                ],
                1,
            )
            assert (points - solution).norm(
                dim=1
            ).min() < 0.06  # as near as the points of a drawn line are to each other


@pytest.mark.parametrize("ring, trait", [(".cf-start:not(.cf-data)", "start"), (".cf-data", "minimum")])
def test_both_rings_by_mouse_and_by_keys(show, ring, trait):
    (figure,) = show(Ridge()).figures
    x, y = center(figure, ring)
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x - 60, y - 30, steps=4)
    figure.page.mouse.up()
    assert center(figure.settle(), ring) == pytest.approx((x - 60, y - 30), abs=2)
    assert_right(figure)
    before = getattr(there(figure), trait)
    for key in ("ArrowRight", "Shift+ArrowRight", "ArrowUp"):
        figure.host.locator(ring).press(key)
    figure.settle()
    step = 5 / 200
    assert getattr(there(figure), trait) == pytest.approx([before[0] + 11 * step, before[1] + step], abs=0.02)
    assert_right(figure)


def test_reset_brings_everything_back(show):
    (figure,) = show(Ridge()).figures
    first = figure.host.locator("svg").evaluate_all("nodes => nodes.map((node) => node.getAttribute('aria-label'))")
    for name in SLIDERS:
        figure.move(name, 0.3)
    figure.page.evaluate("models[0].set('minimum', [-1, 1]); models[0].set('start', [0, 0])")
    figure.settle().host.get_by_role("button", name="Reset").click()
    figure.settle()
    assert (
        figure.host.locator("svg").evaluate_all("nodes => nodes.map((node) => node.getAttribute('aria-label'))")
        == first
    )
    assert_right(figure)


def test_a_decay_far_too_strong_says_that_it_diverged(show):
    (figure,) = show(Ridge(decay=30)).figures
    assert figure.results()["decoupled"][0] == "diverged"
    assert re.fullmatch(r"at step \d+", figure.results()["decoupled"][1])


def test_a_minimum_at_zero_has_nothing_to_lose(show):
    (figure,) = show(Ridge(minimum=(0.0, 0.0))).figures
    assert figure.results()["norm of θλ"][0] == "100%"


def test_nothing_jumps_and_a_phone_is_wide_enough(show):
    for width in (900, 600, 390):
        (figure,) = show(Ridge(), viewport={"width": width, "height": 900}).figures
        box = "node => JSON.stringify([...node.querySelectorAll('svg, label, button, .cf-result')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }))"
        before = figure.host.evaluate(box)
        for name in SLIDERS:
            for where in (0, 0.5, 1):
                assert figure.move(name, where).host.evaluate(box) == before, f"{name} at {where}, {width} px wide"
        assert figure.page.evaluate("document.documentElement.scrollWidth") <= width
