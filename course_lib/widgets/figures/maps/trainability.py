"""Trainability: a small network trained in every pixel; where training converges, where it diverges, and the edge between."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.backends import glsl, javascript
from course_lib.backends.training import trace_training
from course_lib.experiments.trainability import LARGEST, Task, of_training, task, train_many
from course_lib.formulas.signature import Range
from course_lib.formulas.trainability import training_error, two_rates
from course_lib.widgets.figures.maps.axis import Axis
from course_lib.widgets.figures.maps.plane import Plane
from course_lib.widgets.kit.controls import control, label, own_control
from course_lib.widgets.kit.traits import Whole

STEPS = Range(20, 500)
GOAL = 0.01  # a loss below it counts as trained, in words
GLANCE = (32, 24)  # the runs that the text alternative counts


@dataclass(frozen=True)
class Fates:
    """How each run of a map ended: tensors of shape (rows, columns), the first row at the low end of y.

    `lost`: whether the loss once exceeded LARGEST; `when`: the step at which it did, infinite if it did not; `end`: the loss after
    all steps; `mean`: the mean of all losses relative to the first. The last two are infinite for a lost run.
    """

    when: torch.Tensor
    end: torch.Tensor
    mean: torch.Tensor
    lost: torch.Tensor


class Trainability(Plane):
    """A map of how the training of a network with one hidden layer ends, over two hyperparameters: each pixel is a network.

        Trainability()
        Trainability(one_rate, x="lr", y="scale", width=8)

    `step(W, V, x, y, *, …) -> W, V` is one step of training; `x` and `y` name its hyperparameters, or `scale`, which multiplies the
    first weights. The network has `width` inputs, hidden units and examples, drawn from `seed`. Runs that train are colored by the
    mean of their loss, runs that diverge by how soon. The ring chooses the run whose loss is drawn beside the map.

    With a kernel, `fig.x_range`, `fig.y_range`, `fig.steps` and every hyperparameter can be read and set, and
    `fig.values(columns, rows)` computes the map in PyTorch. Raises TypeError or ValueError, with what to change, for what can't be mapped.
    """

    steps = Whole(1, int(STEPS.high))

    def __init__(
        self,
        step: Callable = two_rates,
        *,
        x="lr_1",
        y="lr_2",
        x_range=None,
        y_range=None,
        width=4,
        seed=4,
        steps=150,
        **hyper,
    ):
        own = of_training(step)
        self._step, self._signatures, self._task = step, (own,), task(width, seed)
        values = self._settings(own.hyper, hyper)
        for axis in (x, y):
            if axis not in own.hyper:
                raise ValueError(f"{own.name} has no `{axis}` for an axis. It has {', '.join(own.hyper)}.")
        training = trace_training(step, *(getattr(self._task, name) for name in ("W", "V", "x", "y")), training_error)
        self.shader = glsl.training(training, x, y)
        self.code = javascript.training("train", training)
        ranges = self._choose_axes(*(Axis.of_range(axis, own.ranges[axis]) for axis in (x, y)), x_range, y_range)
        super().__init__(steps=steps, **ranges)
        self._add_hyperparameters(values)
        self.spec = {
            "title": f"{label(own.name)}, {width} hidden units",
            "axes": self._axes_spec(),
            "bound": LARGEST,
            "goal": GOAL,
            "controls": [
                *(control(own, n, values[n]) for n in values if n not in (x, y)),
                own_control("steps", STEPS, self.steps, "T", whole=True),
            ],
            "hyper": list(training.hyper),
            "initial": values | {"steps": self.steps} | ranges,
        }

    @property
    def task(self) -> Task:
        """The first weights and the data."""
        return self._task

    def values(self, columns: int, rows: int) -> Fates:
        """The map as the figure draws it, computed by PyTorch in single precision: one network in the middle of each cell."""
        losses = train_many(
            self._step, self._task, self.steps, dtype=torch.float32, **(self.hyper | self._runs(columns, rows))
        )
        wrong = losses.isnan()
        lost = wrong.any(0)
        when = torch.where(lost, wrong.float().argmax(0), math.inf)
        end, mean = (torch.where(lost, math.inf, z) for z in (losses[-1], (losses / losses[0]).mean(0)))
        return Fates(*(z.reshape(rows, columns) for z in (when, end, mean, lost)))

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        columns, rows = GLANCE
        found = self.values(columns, rows)
        return (
            f"Map of trainability, {self.spec['title']}, over {self._over()}. "
            f"Of {columns * rows:,} networks trained for {self.steps} steps {found.lost.double().mean():.0%} diverge and {(found.end < GOAL).double().mean():.0%} reach a loss below {GOAL}."
        )
