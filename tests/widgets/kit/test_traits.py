"""What a figure can't show is refused by its name, at once and later, by the same sentence in every figure."""

import math
import re

import numpy as np
import pytest
import torch

from course_lib.formulas import adam, momentum, rosenbrock
from course_lib.widgets import DecayMap, Descent, Fit, LocalModel, Map, MiniBatch, Race, RateMap, Ridge, Trainability
from course_lib.widgets.kit.traits import finite_numbers, plane_domain, real_number

MAKE = {
    "Descent": lambda **values: Descent(momentum, **values),
    "DecayMap": DecayMap,
    "Fit": Fit,
    "LocalModel": LocalModel,
    "Map": lambda **values: Map(adam, rosenbrock, y="beta1", **values),
    "MiniBatch": MiniBatch,
    "Race": lambda **values: Race([momentum], **values),
    "RateMap": RateMap,
    "Ridge": Ridge,
    "Trainability": Trainability,
}
NUMBERS = {"Map": "goal", "Race": "goal", "Trainability": "scale"}  # of the others the learning rate
POINTS = {"Fit": "w", "LocalModel": "w"} | dict.fromkeys(("Descent", "Map", "MiniBatch", "Race", "Ridge"), "start")
WHOLE = {name: "steps" for name in ("Descent", "Map", "MiniBatch", "Race", "Ridge", "Trainability")}


def refused(make, name, value, sentence):
    """The value is refused when the figure is made, and when it is set."""
    for act in (lambda: make(**{name: value}), lambda: setattr(make(), name, value)):
        with pytest.raises(ValueError, match=sentence):
            act()


@pytest.mark.parametrize("value", ["0.1", True, 1j, [0.1]], ids=repr)
@pytest.mark.parametrize("figure", MAKE)
def test_what_is_no_number_is_refused_by_name(figure, value):
    name = NUMBERS.get(figure, "lr")
    refused(MAKE[figure], name, value, f"^{name} must be a number, got {re.escape(repr(value))}\\.$")


@pytest.mark.parametrize("value", [("a", 1), 5, [1.0, math.inf], [1j, 0.0], [True, 1]], ids=repr)
@pytest.mark.parametrize("figure", POINTS)
def test_what_is_no_point_is_refused_by_name(figure, value):
    wanted = "numbers in the picture, x from -2.5 to 2.5 and y from -2 to 2" if figure == "Ridge" else "finite numbers"
    refused(MAKE[figure], POINTS[figure], value, f"^{POINTS[figure]} must be two {wanted}, got ")


@pytest.mark.parametrize("value", [2.5, "10", True, -1, None], ids=repr)
@pytest.mark.parametrize("figure", WHOLE)
def test_what_is_no_whole_number_is_refused_by_name(figure, value):
    refused(MAKE[figure], WHOLE[figure], value, f"^steps must be a whole number from .*, got {value!r}\\.$")


@pytest.mark.parametrize("figure", MAKE)
def test_a_misspelled_name_is_refused(figure):
    fig = MAKE[figure]()
    with pytest.raises(AttributeError, match=f"^{figure} has no `lrr` to set. It has .*\\.$") as caught:
        fig.lrr = 5
    assert not {"spec", "code", "layout", "comm"} & set(re.findall(r"\w+", str(caught.value)))


@pytest.mark.parametrize("make", [lambda **v: Descent(momentum, **v), lambda **v: Race([momentum], **v)])
def test_a_step_beyond_the_last_is_refused(make):
    fig = make(steps=50)
    with pytest.raises(ValueError, match="^step must be a whole number from 0 to 50, got 1000000.$"):
        fig.step = 10**6
    assert fig.step == 50


def test_numbers_of_other_libraries_are_numbers():
    fig = Descent(momentum, lr=np.float32(0.5), steps=np.int64(20), start=torch.tensor([1.0, 2.0]))
    assert (fig.lr, fig.steps, fig.start) == (0.5, 20, [1.0, 2.0])
    assert real_number("x", torch.tensor(2)) == 2.0 and finite_numbers("x", np.arange(3)) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("value", [5, "ab", ((0, 1),), ((0, 1), (1, 0)), ((0, 1, 2), (0, 1)), ((-math.inf, 1), (0, 1))])
def test_what_is_no_domain_is_named(value):
    with pytest.raises(ValueError, match=r"^domain must be \(\(x low, x high\), \(y low, y high\)\), got "):
        plane_domain(value)
