"""Small networks trained thousands at a time, each with its own rates: the runs behind a map of trainability."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.func import vmap

from course_lib.backends.training import new_weights, signature_of
from course_lib.experiments.settings import complete, for_each_run, number_of_runs, whole_number
from course_lib.formulas.signature import Range, Signature
from course_lib.formulas.trainability import training_error

LARGEST = 1e6  # a run whose loss exceeds it has diverged
SCALE = Range(0.1, 10.0, "log", at_least=0.0)


@dataclass(frozen=True)
class Task:
    """First weights W (width, width) and V (width,), inputs x (width, examples) and targets y (examples,), in float64."""

    W: torch.Tensor
    V: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor


def task(width: int = 4, seed: int = 0) -> Task:
    """Random inputs and targets, as many as the width, and first weights with the variance 1 / width.

    Raises ValueError for a width outside 1 to 16.
    """
    width = whole_number("width", width, 1, 16)
    draw = torch.Generator().manual_seed(seed)
    W, V, x, y = (
        torch.randn(shape, generator=draw, dtype=torch.float64)
        for shape in ((width, width), (width,), (width, width), (width,))
    )
    return Task(W / width**0.5, V / width**0.5, x, y)


def of_training(step: Callable) -> Signature:
    """The signature of `step`, with the scale of the first weights as one more hyperparameter."""
    found = signature_of(step)
    return Signature(
        found.name, found.inputs, found.state, {"scale": 1.0} | found.hyper, {"scale": SCALE} | found.ranges
    )


def train_many(step: Callable, given: Task, steps: int, *, dtype=torch.float64, **hyper) -> torch.Tensor:
    """The loss at t = 0 … steps of each run, of shape (steps + 1, runs); NaN from the first above LARGEST on.

    `step(W, V, x, y, *, …) -> W, V` is a formula such as two_rates. Its hyperparameters, and `scale`, which multiplies the first
    weights, are numbers or vectors of `runs` values. Raises as sweep does.
    """
    own = of_training(step)
    settings, steps = complete((own,), hyper, dtype), whole_number("steps", steps)
    settings = for_each_run(settings, number_of_runs(settings), dtype)
    W, V, x, y = (a.to(dtype) for a in (given.W, given.V, given.x, given.y))
    scale = settings.pop("scale")
    W, V = (scale.reshape(-1, *[1] * w.dim()) * w for w in (W, V))
    one_step = vmap(lambda W, V, own: new_weights(step, W, V, x, y, own))
    losses = []
    for t in range(steps + 1):
        losses.append(vmap(lambda W, V: training_error(W, V, x, y))(W, V))
        if t < steps:
            W, V = one_step(W, V, settings)
    losses = torch.stack(losses)
    lost = (~(losses <= LARGEST)).cumsum(0) > 0
    return losses.masked_fill(lost, torch.nan)
