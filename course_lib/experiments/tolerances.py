"""How near to each other the answers of the machines are: to rounding in float64, and in float32 rule by rule.

The deviation of a run is the largest |a - b| / (1 + |b|) over its steps and coordinates: relative where a coordinate is large,
absolute where it is small. In float64 it is at most 1e-12 without transcendental functions, else 1e-9. In float32 a machine may
fuse a product and a sum, which rounds once instead of twice. How far that carries depends on the rule: see FLOAT32.

These are promises for the first STEPS steps of a run that is moderate (no coordinate reaches MODERATE) and steady (PyTorch's own
float32 and float64 deviate by less than STEADY). In other runs a last bit decides where they go, on any machine.
"""

from collections.abc import Callable

import torch

from course_lib.backends.loop import take_apart
from course_lib.backends.recurrence import trace_descent
from course_lib.formulas.signature import signature

STEPS, MODERATE, STEADY = 30, 1e3, 1e-4
TYPICAL = 1e-6  # in float32 half of the runs of any rule on any surface deviate less

# Three to ten times the largest deviation of Numba from PyTorch in 1,500 to 2,640 runs over the six surfaces: from 64 starts,
# with learning rates from 1 / 100 to 10 times the default, and from 8 of them with 100 times. The CPU had AVX2 and FMA; a GPU,
# whose quotients are approximate, was not measured.
FLOAT32 = {
    # a step in proportion to the gradient: at the largest rates that do not diverge, each step across a steep wall
    # multiplies what the last one left, and an average over the gradients carries it on
    "gradient_descent": 2e-4,
    "momentum": 1e-3,
    "sgd": 1e-3,
    "nesterov": 1e-3,
    "momentum_l2": 1e-3,
    "sgdw": 4e-4,
    "sgd_l2": 1e-3,
    # the sign alone: a last bit of the gradient is lost, unless the gradient is nearly 0; Rprop deviated in no run
    "rprop": 1e-6,
    "rprop_torch": 1e-6,
    "lion": 5e-7,
    # a gradient over a long average of its own size: steps of about lr, whatever the gradient's last bits are
    "adagrad": 5e-6,
    "adagrad_torch": 3e-6,
    "adam": 5e-6,
    "adam_l2": 5e-6,
    "adamw": 5e-6,
    "amsgrad": 5e-6,
    "adamax": 1e-6,
    # over a shorter one, or with ε alone below it: near a minimum a small number is divided by a small number, so that at rates
    # of 0.1 and more the steps there are as long as elsewhere, from wall to wall, and each multiplies what the last one left
    "adadelta": 5e-4,
    "rmsprop": 2e-3,
    "rmsprop_torch": 5e-4,
    "rmsprop_centered": 3e-4,
    "rmsprop_momentum": 1e-3,
    # as Adam, but nadam and lamb jump from wall to wall, too, at 100 times their default rates, and radam begins as momentum
    "nadam": 5e-4,
    "radam": 5e-4,
    "lamb": 3e-4,
    # a Hessian that is nearly singular, and a line search that compares losses: a last bit may halve a step.
    # newton_backtracking has no tolerance: it may come to rest on a saddle point, and a last bit decides when it leaves
    "newton": 3e-3,
    "backtracking_descent": 4e-3,
}


def deviation(path: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """The deviation of each run, (runs,), between two paths of the shape (steps + 1, runs, n).

    It is inf where one of them is NaN, or infinite alone.
    """
    distance = (path - expected).abs() / (1 + expected.abs())
    return distance.masked_fill(path == expected, 0.0).nan_to_num(torch.inf).amax(dim=(0, 2))


def has_tolerance(single: torch.Tensor, double: torch.Tensor) -> torch.Tensor:
    """Which runs are moderate and steady, (runs,), by PyTorch's paths of at most STEPS steps in float32 and in float64."""
    return (single.abs().amax(dim=(0, 2)) < MODERATE) & (deviation(single.double(), double) < STEADY)


def tolerance(rule: Callable, surface: Callable, dtype: torch.dtype) -> float:
    """The largest deviation that is allowed between two machines, for two coordinates.

    Raises ValueError for a precision that only PyTorch computes in, and in float32 for a rule that is not in FLOAT32.
    """
    if dtype == torch.float64:
        return 1e-12 if take_apart(trace_descent(rule, surface), loss=False).exact else 1e-9
    name = signature(rule).name
    if dtype != torch.float32 or name not in FLOAT32:
        raise ValueError(
            f"No tolerance has been measured for {name} in {str(dtype).removeprefix('torch.')}. In float32 there is one for: {', '.join(FLOAT32)}."
        )
    return FLOAT32[name]
