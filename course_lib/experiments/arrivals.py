"""A race's clock: after how many steps a loss stays at a goal, over a scan of learning rates."""

import math
from collections.abc import Callable

import torch
from torch.func import vmap

from course_lib.experiments.sweep import sweep
from course_lib.formulas.ends import end_of_run, steps_to_goal
from course_lib.formulas.signature import signature
from course_lib.formulas.surfaces import Surface

RATES = tuple(float(f"{10 ** (k / 4):.3g}") for k in range(-20, 9))  # four a decade


def steps_until_it_stays(losses: torch.Tensor, goal: float) -> torch.Tensor:
    """For each run the first step from which on its loss is at the goal or below; infinite if the last one is not.

    `losses` has the shape (steps + 1, ...); NaN is not at the goal.
    """
    late = torch.zeros_like(losses[0])
    for t, above in enumerate(losses):
        late = steps_to_goal(late, t, above, goal)
    return late.where(late < len(losses), math.inf)


def ends(losses: torch.Tensor, goal: float) -> tuple[torch.Tensor, torch.Tensor]:
    """How each run ended (REACHED, NOT_SETTLED or DIVERGED of formulas.ends), and how high it got after the middle.

    `losses` above the floor, of shape (steps + 1, ...); both results have the shape (...).
    """
    half = len(losses) // 2 + len(losses) % 2  # the steps up to the middle, the start included
    away = losses.abs()
    before, after = away[:half].amax(0), away[half if len(losses) > 1 else 0 :].amax(0)
    return end_of_run(steps_until_it_stays(losses, goal), before, after, away[-1], len(losses) - 1), after


def arrivals(
    rule: Callable, surface: Callable, steps: int, start=None, *, goal: float = 1e-6, lr=RATES, machine="numba", **hyper
) -> torch.Tensor:
    """Steps until the loss above its minimum stays at `goal`, for each rate in `lr`, of at most `steps`; infinite if it does not.

    With `lr=None` the rule's own settings are one run. `start` is the surface's own if it is left out, one point or one for each rate. `hyper` may hold the rule's and the
    surface's hyperparameters, numbers or vectors with one for each rate.
    """
    known, names = Surface.of(surface), signature(surface, ("w",)).hyper
    rates = {} if lr is None else {"lr": torch.as_tensor(lr, dtype=torch.float64)}
    path = sweep(rule, surface, known.start if start is None else start, steps, machine=machine, **rates, **hyper)
    shape = {k: torch.as_tensor(hyper[k], dtype=torch.float64).expand(path.shape[1]) for k in names if k in hyper}
    losses = vmap(vmap(lambda w, at: surface(w, **at)), in_dims=(0, None))(path, shape)
    minima = known.minima()  # of the surface's usual shape: no other shape has another least loss
    floor = surface(torch.tensor(minima[0], dtype=torch.float64)) if minima else 0.0
    return steps_until_it_stays(losses - floor, goal)


def good_decades(steps: torch.Tensor) -> float:
    """Over how many decades of RATES a rule needs at most twice the
    steps of its best one; 0 if it does not arrive."""
    arrived = steps[steps.isfinite()]
    good = arrived <= 2 * arrived.min() if len(arrived) else arrived
    return good.sum().item() / 4
