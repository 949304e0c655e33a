"""GradientChain in a browser: its numbers are Python's, for each activation and wherever the sliders stand."""

import math

import pytest
from figure_reading import show as shown

from course_lib.widgets import GradientChain

NAMES = ["activation", "weight", "bias", "a", "depth"]


def assert_right(figure):
    """The two numbers and the dots are those that Python computes at the same setting."""
    fig = GradientChain(
        **figure.page.evaluate("names => Object.fromEntries(names.map((n) => [n, models[0].get(n)]))", NAMES)
    )
    results = figure.results()
    assert results["∂output / ∂input"][0] == shown(fig.gradients[-1].item())
    assert results["its bound"][0] == shown(fig.bound)
    groups = figure.host.locator(".cf-chain-dots").all()
    assert [group.locator("circle").count() for group in groups] == [fig.depth + 1, fig.depth]
    assert f"of each of {fig.depth} layers" in figure.alt()[0] and f"of {fig.activation} over z" in figure.alt()[1]


def heights(figure):
    """The dots' places from the top, of the gradient's picture."""
    circles = figure.host.locator(".cf-chain-dots").first.locator("circle")
    return circles.evaluate_all("nodes => nodes.map((node) => +node.getAttribute('cy'))")


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "ReLU"])
def test_its_numbers_are_those_of_the_formulas(show, activation):
    (figure,) = show(GradientChain()).figures
    figure.host.get_by_role("button", name=activation).click()
    figure.settle()
    assert_right(figure)
    for name, where in (("weight", 0.7), ("bias", 0.3), ("a", 0.2), ("depth", 0.6), ("weight", 0.0), ("depth", 0.0)):
        assert_right(figure.move(name, where))


def test_dots_fall_by_equal_steps_where_the_factor_is_constant(show):
    (figure,) = show(GradientChain("sigmoid", weight=2.0, bias=-1.0, a=0.5, depth=10)).figures
    places = heights(figure)
    steps = [b - a for a, b in zip(places, places[1:])]
    assert min(steps) > 0 and max(steps) == pytest.approx(min(steps), rel=1e-3)


def test_a_dead_chain_shows_zero_at_the_floor(show):
    (figure,) = show(GradientChain("ReLU", weight=1.0, bias=-4.0, depth=5)).figures
    assert figure.results()["∂output / ∂input"][0] == "0"
    assert all(map(math.isfinite, heights(figure)))


def test_reset_brings_everything_back(show):
    (figure,) = show(GradientChain()).figures
    before = figure.results()
    figure.move("weight", 0.9)
    figure.host.get_by_role("button", name="tanh").click()
    assert figure.settle().results() != before
    figure.host.get_by_role("button", name="Reset").click()
    assert figure.settle().results() == before
