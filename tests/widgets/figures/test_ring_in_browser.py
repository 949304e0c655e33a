"""Ring in a browser: its boxes, bars and numbers are Python's at each step of each algorithm."""

import re

import pytest
import torch
from figure_reading import show as shown

from course_lib.formulas import all_reduce
from course_lib.widgets import Ring

NAMES = ["n", "algorithm", "step", "size", "bandwidth", "latency"]


def assert_right(figure) -> Ring:
    """The picture and the numbers are those that Python computes at the same setting."""
    fig = Ring(**figure.page.evaluate("names => Object.fromEntries(names.map((n) => [n, models[0].get(n)]))", NAMES))
    results, step, n = figure.results(), min(fig.step, fig.rounds), torch.tensor(fig.n)
    assert results["busiest machine sends"][0] == f"{shown(fig.sent.max().item())} MB"
    assert results["all rounds take"][0] == f"{shown(1000 * fig.seconds)} ms"
    ranks, rounds = torch.arange(fig.n), torch.tensor(step)
    sent = getattr(all_reduce, f"{fig.algorithm}_sent")(fig.size, ranks, rounds, n=n)
    texts = figure.host.locator(".cf-allreduce-sent").all_text_contents()
    assert texts == [shown(x.item()) for x in sent]
    if fig.algorithm == "ring":
        _, count = all_reduce.ring_held(ranks[:, None], ranks, rounds, n=n)
    else:
        _, count = getattr(all_reduce, f"{fig.algorithm}_held")(ranks[:, None], rounds, n=n)
        count = count.expand(fig.n, fig.n)
    whole = (count == n).sum().item()
    assert rectangles(figure, "whole") == whole and rectangles(figure, "partial") == count[count < n].sum()
    assert f"after {step} of {fig.rounds} rounds" in figure.alt()[0]
    assert f"{whole} of {fig.n**2} parts" in figure.alt()[0]
    return fig


def rectangles(figure, name: str) -> int:
    return len(re.findall("M", figure.host.locator(f".cf-allreduce-{name}").get_attribute("d")))


@pytest.mark.parametrize("algorithm", ["ring", "tree", "naive"])
def test_each_round_is_that_of_the_formulas(show, algorithm):
    (figure,) = show(Ring(step=0)).figures
    figure.host.get_by_role("button", name=algorithm).click()
    rounds = assert_right(figure.settle()).rounds
    for step in range(1, rounds + 1):
        assert assert_right(figure.move("step", step / rounds)).step == step
    assert assert_right(figure.move("n", 1.0)).n == 8
    for name, place in (("size", 0.2), ("bandwidth", 0.9), ("latency", 0.8), ("n", 0.5), ("step", 0.4)):
        assert_right(figure.move(name, place))


def test_what_arrived_is_framed(show):
    (figure,) = show(Ring(4, step=0)).figures
    assert rectangles(figure, "arrived") == 0
    for step in range(1, 7):
        assert rectangles(figure.move("step", step / 6), "arrived") == 4


def test_it_plays_and_resets(show):
    (figure,) = show(Ring(2, step=1)).figures
    figure.host.get_by_role("button", name="Play").click()
    figure.host.get_by_role("button", name="Play").wait_for()
    assert assert_right(figure.settle()).step == 2
    figure.host.get_by_role("button", name="Reset").click()
    assert assert_right(figure.settle()).step == 1
