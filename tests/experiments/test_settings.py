"""What a run is told is checked at the edge, and errors say what came and what is allowed."""

import re

import numpy as np
import pytest
import torch

from course_lib.experiments.settings import (
    check_names,
    complete,
    domain,
    extremes,
    floating,
    for_each_run,
    number,
    number_of_runs,
    point,
    tensor,
    whole_number,
)
from course_lib.formulas import gradient_descent, momentum, quadratic, saddle
from course_lib.formulas.signature import signature

OF_MOMENTUM, OF_QUADRATIC, OF_SADDLE = signature(momentum), *(signature(f, inputs=("w",)) for f in (quadratic, saddle))


@pytest.mark.parametrize(
    "three", [3, np.int64(3), np.uint8(3), torch.tensor(3), np.array(3)], ids=lambda x: type(x).__name__
)
def test_whole_numbers_of_all_kinds(three):
    found = whole_number("steps", three, 3, 3)
    assert found == 3 and type(found) is int


@pytest.mark.parametrize(
    "value", [-1, True, 2.5, 3.0, torch.tensor(2.5), torch.tensor([1, 2]), float("inf"), "3", None], ids=repr
)
def test_what_is_no_whole_number(value):
    with pytest.raises(ValueError, match="^" + re.escape(f"steps must be a whole number from 0, got {value!r}.")):
        whole_number("steps", value)


def test_whole_numbers_have_limits():
    assert (
        whole_number("width", 1, 1, 16) == 1
        and whole_number("width", 16, 1, 16) == 16
        and whole_number("steps", 0) == 0
    )
    for value in (0, 17):
        with pytest.raises(ValueError, match=f"width must be a whole number from 1 to 16, got {value}."):
            whole_number("width", value, 1, 16)


def test_unknown_names():
    check_names((OF_MOMENTUM, OF_QUADRATIC), ("angle", "lr"))
    with pytest.raises(
        TypeError, match=re.escape("Unknown hyperparameter `angel`: momentum has (lr, momentum) and saddle has (none).")
    ):
        check_names((OF_MOMENTUM, OF_SADDLE), ("lr", "angel"))


def test_what_is_left_out_has_its_default_and_all_are_in_the_formulas_order():
    found = complete(
        (OF_MOMENTUM, OF_QUADRATIC),
        {"angle": [1.0, 2.0], "momentum": np.float64(0.5), "lr": torch.tensor(0.25)},
        torch.float32,
    )
    assert list(found) == ["lr", "momentum", "condition_number", "angle"]
    assert (found["lr"], found["momentum"], found["condition_number"]) == (0.25, 0.5, 10.0)
    assert found["angle"].dtype == torch.float32 and found["angle"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("kind", "hyper", "sentence"),
    [
        (TypeError, {"rate": 0.1}, "Unknown hyperparameter `rate`"),
        (TypeError, {"lr": "fast"}, "lr must be a number or a vector of numbers, got 'fast'."),
        (ValueError, {"lr": [0.1, -0.1, 0.2]}, "gradient_descent's lr must be at least 0 and finite, got -0.1."),
        (ValueError, {"lr": [0.1, float("nan")]}, "got nan."),
    ],
)
def test_what_is_no_setting(kind, hyper, sentence):
    with pytest.raises(kind, match=re.escape(sentence)):
        complete((signature(gradient_descent),), hyper, torch.float64)


def test_the_numbers_that_may_lie_outside():
    assert (
        extremes(0.5) == [0.5]
        and extremes(torch.tensor([3.0, 1.0, 2.0])) == [1.0, 3.0]
        and extremes(torch.empty(0)) == []
    )
    assert [x for x in extremes(torch.tensor([1.0, float("nan")])) if x == x] == []


def test_how_many_runs():
    vector, start = torch.zeros(3), torch.zeros(3, 2)
    assert number_of_runs({}) == number_of_runs({"lr": 0.1}, torch.zeros(2)) == 1
    assert (
        number_of_runs({"lr": 0.1, "angle": vector})
        == number_of_runs({}, start)
        == number_of_runs({"lr": vector}, start)
        == 3
    )
    for settings, shown in (
        ({"lr": torch.zeros(2)}, "got lr: 2, start: 3."),
        ({"lr": torch.zeros(3, 1)}, "got start: 3, lr: (3, 1)."),
    ):
        with pytest.raises(ValueError, match=re.escape(shown)):
            number_of_runs(settings, start)
    with pytest.raises(ValueError, match="got lr: 0."):
        number_of_runs({"lr": torch.zeros(0)})


def test_a_value_for_each_run():
    found = for_each_run({"lr": 0.1, "angle": torch.tensor([1.0, 2.0])}, 2, torch.float64)
    assert {k: x.tolist() for k, x in found.items()} == {"lr": [0.1, 0.1], "angle": [1.0, 2.0]}
    assert {x.dtype for x in found.values()} == {torch.float64}


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5), torch.tensor([0.5]), [0.5]])
def test_numbers_of_all_kinds(value):
    assert number("lr", value) == 0.5 and type(number("lr", value)) is float


NO_NUMBERS = ["0.5", True, None, 0.5j, torch.tensor([0.5j]), torch.tensor(True), [True], "ab", {}, np.array("0.5")]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number_is_named(value):
    for check, kind in (
        (number, "a number"),
        (point, "a point"),
        (domain, "two ranges"),
        (tensor, "a number or a vector"),
    ):
        with pytest.raises(TypeError, match=re.escape(f"size must be {kind}")):
            check("size", value)


def test_a_gradient_is_not_followed():
    for check in (number, point, domain, tensor):
        with pytest.raises(TypeError, match=r"size requires a gradient, .* Pass size.detach\(\)."):
            check("size", torch.tensor(0.5, requires_grad=True))


@pytest.mark.parametrize("value", [[0.1, 0.2], (), torch.zeros(2, 1)])
def test_a_number_is_one(value):
    with pytest.raises(TypeError, match="size must be a number, got (0|2) of them"):
        number("size", value)


def test_points():
    assert point("start", [1, 2.5]) == point("start", torch.tensor([1.0, 2.5]), 2) == (1.0, 2.5)
    assert point("start", (torch.tensor(1.0), 2.5)) == point("start", np.array([2.5, 1.0])[::-1]) == (1.0, 2.5)
    for value in ([], [[1.0]], 5, [1.0, float("inf")], [1.0, float("nan")], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match=r"start must be a point, finite numbers of the shape \(2,\), got"):
            point("start", value, 2)
    with pytest.raises(TypeError, match="start must be a point"):
        point("start", [[1.0], [1.0, 2.0]])


def test_domains():
    assert domain("domain", ((0, 1), (-1.5, 2))) == ((0.0, 1.0), (-1.5, 2.0))
    for value in (
        5,
        ((0, 1),),
        ((0, 1), (1, 0)),
        ((0, 0), (0, 1)),
        ((-np.inf, np.inf), (0, 1)),
        ((0, 1, 2), (0, 1, 2)),
    ):
        with pytest.raises(ValueError, match=r"domain must be \(\(x low, x high\), \(y low, y high\)\)"):
            domain("domain", value)


def test_types_of_numbers():
    assert floating(torch.float32) is torch.float32
    for value in ("float32", torch.int64, torch.complex64, None, np.float64):
        with pytest.raises(
            TypeError, match="dtype must be one of PyTorch's floating-point types, as torch.float64, got"
        ):
            floating(value)


def test_a_hyperparameter_before_the_star():
    def rule(w, g, t, lr=0.1):
        return w - lr * g

    with pytest.raises(TypeError, match=re.escape("A hyperparameter stands after it: `def rule(w, g, t, *, lr=0.1)`.")):
        check_names((signature(rule),), ["lr"])
