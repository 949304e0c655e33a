"""Stragglers in a browser: its numbers, lanes and draws are Python's."""

import re

import pytest
import torch
from figure_reading import show as shown

from course_lib.formulas.stragglers import TIMES
from course_lib.widgets import Stragglers
from course_lib.widgets.figures.stragglers import MODES

NAMES = ["n", "distribution", "spread", "mode", "dropped", "seed"]
WINDOW = 10


def there(figure) -> Stragglers:
    """The same figure in Python, at the setting where the browser's stands."""
    values = figure.page.evaluate("names => names.map((name) => models[0].get(name))", NAMES)
    return Stragglers(**dict(zip(NAMES, values, strict=True)))


def press(figure, title: str) -> None:
    figure.host.get_by_title(title, exact=True).click()
    figure.settle()


def step_ends(fig) -> torch.Tensor:
    """When each machine begins its next gradient: (100, n) without a barrier, (100, 1) with one."""
    if fig.mode == "asynchronous":
        return fig.times.cumsum(0)
    return fig.times.sort(1).values[:, fig.n - 1 - fig.left_out].cumsum(0)[:, None]


def bars(figure, kind: str) -> int:
    return len(re.findall("M", figure.host.locator(f".cf-lane-{kind}").get_attribute("d") or ""))


def test_every_mode_and_distribution_is_that_of_python(show):
    (figure,) = show(Stragglers()).figures
    for name in TIMES:
        press(figure, f"Times: {name}")
        for word in MODES.values():
            press(figure, f"Machines: {word}")
            figure.move("n", 0.35 if word == "backup workers" else 0.6)
            fig = there(figure)
            assert (fig.distribution, MODES[fig.mode]) == (name, word)
            results = figure.results()
            assert results[f"speed-up of {fig.n}"][0] == shown(fig.expected)
            assert results["in 100 drawn steps"][0] == shown(fig.counted)
            assert f"{shown(fig.expected)} times as many gradients" in figure.alt()[0]


@pytest.mark.parametrize("mode", ["synchronous", "backup"])
def test_the_lanes_end_at_barriers(show, mode):
    (figure,) = show(Stragglers(5, mode=mode, spread=0.5)).figures
    fig = there(figure)
    assert bars(figure, "barrier") == int((step_ends(fig) < WINDOW).sum())
    steps = bars(figure, "barrier") + 1
    assert bars(figure, "work") + bars(figure, "lost") == pytest.approx(fig.n * steps, abs=2)
    lost = bars(figure, "lost")
    assert (lost == 0) if mode == "synchronous" else (lost == pytest.approx(steps, abs=1))


def test_without_a_barrier_nobody_waits(show):
    (figure,) = show(Stragglers(5, mode="asynchronous", spread=0.5)).figures
    begun = 5 + int((step_ends(there(figure)) < WINDOW).sum())
    assert bars(figure, "work") == pytest.approx(begun, abs=2)
    assert bars(figure, "idle") == bars(figure, "barrier") == 0
    assert figure.results()["staleness of a gradient"] == ("4", "updates")


def test_a_new_draw_and_reset(show):
    (figure,) = show(Stragglers(12, distribution="Pareto", spread=0.5)).figures
    first = figure.results()
    press(figure, "Other times: the next seed")
    assert there(figure).seed == 2
    assert figure.results()["in 100 drawn steps"][0] == shown(there(figure).counted) != first["in 100 drawn steps"][0]
    figure.move("spread", 0.1)
    figure.host.get_by_role("button", name="Reset").click()
    assert figure.settle().results() == first


def test_nothing_jumps_and_a_phone_is_wide_enough(show):
    for width in (900, 390):
        (figure,) = show(Stragglers(), viewport={"width": width, "height": 900}).figures
        box = "node => JSON.stringify([...node.querySelectorAll('svg, button, .cf-slider')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }))"
        before = figure.host.evaluate(box)
        for name in ("n", "spread"):
            assert figure.move(name, 0.9).host.evaluate(box) == before, f"{name}, {width} px wide"
        press(figure, "Machines: backup workers")
        assert figure.host.evaluate(box) == before
        assert figure.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n": 0}, "n must be a whole number from 1 to 64, got 0"),
        ({"spread": 0.7}, "spread must lie between 0.02 and 0.55, got 0.7"),
        ({"mode": "fast"}, "mode must be one of synchronous, backup, asynchronous, got 'fast'"),
    ],
    ids=str,
)
def test_what_it_refuses(settings, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Stragglers(**settings)


def test_the_draws_keep_what_the_formula_says():
    """100 steps of 8 machines: the mean of the slowest has a standard error of about 2%."""
    for name in TIMES:
        for mode in MODES:
            fig = Stragglers(8, distribution=name, mode=mode, seed=5)
            assert fig.counted == pytest.approx(fig.expected, rel=0.1)
