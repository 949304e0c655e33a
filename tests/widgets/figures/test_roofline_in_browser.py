"""Roofline: its numbers are Python's, its machines set the sliders, and what was measured lies where it was measured."""

import re

import pytest
import torch
from figure_reading import show as shown
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.formulas import adam
from course_lib.widgets import Roofline
from course_lib.widgets.figures.roofline import ADAM, LAYERS, machines

ARITHMETIC = {"add", "sub", "mul", "div", "sqrt", "pow"}


def shares(figure) -> list[str]:
    """What stands beside the layers."""
    return figure.host.locator(".cf-result .cf-number").all_inner_texts()[1:]


def percent(share: float) -> str:
    """A share as the figure writes it."""
    return f"{100 * share:#.2g} %".replace(". %", " %") if share < 0.1 else f"{100 * share:.0f} %"


@pytest.mark.parametrize(("machine", "batch"), [("TITAN", 1), ("H100", 32), ("H100", 256)])
def test_the_numbers_are_those_of_the_formulas(show, machine, batch):
    fig = Roofline(machine, batch=batch)
    figure = show(fig).figures[0]
    assert figure.host.locator(".cf-result .cf-number").first.inner_text() == shown(fig.balance)
    assert shares(figure) == [percent(fig.share(key)) for key in LAYERS]
    words = figure.host.locator("svg[aria-label]").get_attribute("aria-label")
    for key, layer in LAYERS.items():
        bound = "memory" if layer.operations(batch) / layer.moved(batch) < fig.balance else "compute"
        assert re.search(f"{re.escape(layer.label)} at [^;]*{bound} bound", words)


def test_a_machine_sets_the_sliders_and_reset_brings_the_first_one_back(show):
    fig = Roofline("TITAN", batch=4)
    figure = show(fig).figures[0]
    figure.host.get_by_role("button", name="H100").click()
    figure.settle()
    trait = lambda name: figure.page.evaluate("name => models[0].get(name)", name)
    assert (trait("peak"), trait("bandwidth")) == (machines()["H100"]["peak"], 3350e9)
    figure.host.get_by_role("button", name="Reset").click()
    figure.settle()
    assert (trait("machine"), trait("peak"), trait("batch")) == ("TITAN", fig.peak, 4)


def test_measured_points_are_drawn_for_the_measured_machine_as_it_is(show):
    fig = Roofline("the CPU, measured")
    figure = show(fig).figures[0]
    circles = lambda: sum(
        d.count("M")
        for d in figure.host.locator(".cf-roof-measured").evaluate_all(
            "all => all.map((p) => p.getAttribute('d') ?? '')"
        )
    )
    assert circles() == sum(len(points) for points in machines()["the CPU, measured"]["measured"].values()) > 10
    figure.move("peak", 0.9)
    assert circles() == 0  # of another machine nothing was measured


def test_adam_has_so_many_operations_a_weight():
    class Count(TorchDispatchMode):
        found = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            Count.found += func.__name__.partition(".")[0] in ARITHMETIC
            return func(*args, **(kwargs or {}))

    x = [torch.ones(3) for _ in range(4)]
    with Count():
        adam(x[0], x[1], 5, x[2], x[3])
    # g² is a product, whichever operator it is spelled with
    assert Count.found == ADAM


def test_what_is_measured_stays_below_the_roof_of_the_arithmetic():
    for machine in machines().values():
        for points in machine["measured"].values():
            assert all(
                rate < 2 * machine["peak"] for _, rate in points
            )  # the peak is that of a product, not of the chip


def test_limits():
    with pytest.raises(ValueError, match="machine must be one of the CPU, measured"):
        Roofline("Cray-1")
    with pytest.raises(ValueError, match="peak must be above 0"):
        Roofline("TITAN", peak=-1)
