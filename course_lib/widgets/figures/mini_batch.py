"""MiniBatch: full batch, mini-batch and stochastic descent from one start, on the loss over all examples."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.func import grad, jacrev

from course_lib.backends import javascript
from course_lib.experiments.batches import SAMPLING, index_batches, uniform
from course_lib.formulas.minibatch import batch_gradient, example_gradients, excess_loss, gradient_covariance
from course_lib.formulas.objective import least_squares, logistic_loss
from course_lib.formulas.rules.descent import gradient_descent
from course_lib.formulas.signature import Range, signature
from course_lib.widgets.kit.controls import control, own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Point, Whole

N = 64  # examples
MOST_STEPS, MOST_EPOCHS = 200, 20
LINE_SEED, CLASSES_SEED = 4, 6  # the data's, drawn once
HIGHEST_RATE = 4.0  # the logistic loss is flat
BUDGETS = ("steps", "examples")
RUNS = ("full batch", "mini-batch", "stochastic")


@dataclass(frozen=True)
class Problem:
    """A loss, its data in an order that is not random, where θ starts, a rate that suits it, and what is worth a look."""

    loss: Callable
    x: torch.Tensor  # (N, 2)
    y: torch.Tensor  # (N,)
    start: tuple[float, float]
    lr: float
    domain: tuple[tuple[float, float], tuple[float, float]]

    @property
    def minimum(self) -> torch.Tensor:
        """θ*, (2,), by Newton's method: both losses are convex."""
        w = torch.zeros(2, dtype=torch.float64)
        slope = grad(self.loss)
        for _ in range(20):
            w = w - torch.linalg.solve(jacrev(slope)(w, self.x, self.y), slope(w, self.x, self.y))
        return w


def _normal(seed: int, count: int) -> torch.Tensor:
    """Standard normal numbers, drawn by the generator that draws the batches. (count,)"""
    draws = list(itertools.islice(uniform(seed), count))
    return math.sqrt(2) * torch.erfinv(2 * torch.tensor(draws, dtype=torch.float64) - 1)


def _line() -> Problem:
    """Points around the line 0.5 + 0.8 x, sorted by x."""
    x = torch.linspace(-1, 3, N, dtype=torch.float64)
    y = 0.5 + 0.8 * x + 0.8 * _normal(LINE_SEED, N)
    return Problem(
        least_squares,
        _rounded(torch.stack([torch.ones_like(x), x], 1)),
        _rounded(y),
        (-1.2, 2.3),
        0.1,
        ((-1.8, 2.6), (-0.7, 2.7)),
    )


def _classes() -> Problem:
    """Two overlapping clouds, sorted by class; the second coordinate is twice as wide as the first."""
    y = (torch.arange(N) // (N // 2)).double()
    side = 2 * y - 1
    x = torch.stack([0.9 * side + _normal(CLASSES_SEED, N), 0.6 * side + 2 * _normal(CLASSES_SEED + 1, N)], 1)
    return Problem(logistic_loss, _rounded(x), y, (-0.9, 1.5), 0.5, ((-1.4, 3.2), (-1.6, 1.9)))


def _rounded(x: torch.Tensor) -> torch.Tensor:
    return (x * 100).round() / 100  # short in the page, and the same on every machine


PROBLEMS = {"least squares": _line(), "logistic": _classes()}


class MiniBatch(Figure):
    """Three descents on one loss: over all examples, over B of them, over one.

        MiniBatch()
        MiniBatch("logistic", B=4, sampling="with replacement", budget="steps")

    `budget` says what the three share: "steps" gives each of them `steps` steps, "examples" gives each the same number of
    examples, `epochs` times the data set. The data are sorted, by x or by class, so that `sampling` "in sequence" shows what
    that does. With a kernel all settings can be read, set and observed, and `fig.paths` are the three paths.
    Raises ValueError for a setting outside its limits.
    """

    problem = Choice(PROBLEMS)
    start = Point()
    lr = Hyper(above=0)
    B = Whole(1, N)
    sampling = Choice(SAMPLING)
    budget = Choice(BUDGETS)
    steps = Whole(1, MOST_STEPS)
    epochs = Whole(1, MOST_EPOCHS)
    seed = Whole(0, 2**32 - 1)

    def __init__(
        self,
        problem: str = "least squares",
        *,
        B: int = 8,
        lr: float | None = None,
        sampling: str = "shuffled",
        budget: str = "examples",
        steps: int = 40,
        epochs: int = 5,
        seed: int = 1,
        start=None,
    ):
        own = PROBLEMS.get(problem, PROBLEMS["least squares"])
        settings = {"lr": own.lr if lr is None else lr, "B": B, "steps": steps, "epochs": epochs}
        choices = {"problem": problem, "sampling": sampling, "budget": budget, "seed": seed}
        super().__init__(start=own.start if start is None else start, **settings, **choices)
        rate = control(signature(gradient_descent), "lr", self.lr)
        rate["range"] |= {"low": min(1e-2, self.lr), "high": max(HIGHEST_RATE, self.lr)}
        self.spec = {
            "examples": N,
            "problems": [_for_the_page(name, one) for name, one in PROBLEMS.items()],
            "choices": {"problem": list(PROBLEMS), "sampling": list(SAMPLING), "budget": list(BUDGETS)},
            "controls": [
                rate,
                own_control("B", Range(1, N, "log"), self.B, label="batch size", whole=True),
                own_control("epochs", Range(1, MOST_EPOCHS), self.epochs, "E", whole=True),
                own_control("steps", Range(1, MOST_STEPS), self.steps, "T", whole=True),
            ],
            "runs": list(RUNS),
            "initial": {name: getattr(self, name) for name in (*settings, *choices, "start")},
        }
        self.code = _javascript()

    @property
    def batches(self) -> dict[str, list[list[int]]]:
        """The indices that each run sees, batch by batch, up to its share of steps or examples."""
        return {run: list(self._batches(run)) for run in RUNS}

    def _batches(self, run: str) -> Iterator[list[int]]:
        B = {"full batch": N, "mini-batch": self.B, "stochastic": 1}[run]
        endless = index_batches(N, B, "in sequence" if run == "full batch" else self.sampling, self.seed)
        if self.budget == "steps":
            yield from itertools.islice(endless, self.steps)
            return
        used = 0
        while used < self.epochs * N:
            batch = next(endless)
            used += len(batch)
            yield batch

    @property
    def paths(self) -> dict[str, torch.Tensor]:
        """The path of each run, (its steps + 1, 2) in float64."""
        return {run: self._path(batches) for run, batches in self.batches.items()}

    def _path(self, batches) -> torch.Tensor:
        own = PROBLEMS[self.problem]
        path = [torch.tensor(self.start, dtype=torch.float64)]
        for t, batch in enumerate(batches, 1):
            g = batch_gradient(own.loss, path[-1], own.x, own.y, torch.tensor(batch))
            path.append(gradient_descent(path[-1], g, t, lr=self.lr))
        return torch.stack(path)

    @property
    def distances(self) -> dict[str, float]:
        """How far from the minimum each path ends."""
        low = PROBLEMS[self.problem].minimum
        return {run: (path[-1] - low).norm().item() for run, path in self.paths.items()}

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        sizes = {"full batch": f"all {N} examples", "mini-batch": f"{self.B} examples", "stochastic": "one example"}
        ends = "; ".join(
            f"{run} ({sizes[run]} a step), {len(batches)} steps and {sum(map(len, batches))} examples: {distance:.3g}"
            for (run, batches), distance in zip(self.batches.items(), self.distances.values(), strict=True)
        )
        return f"Contours of the {self.problem} loss over all {N} examples, three paths with the rate {self.lr:g}, batches {self.sampling}. Distance to the minimum at the end. {ends}."


def _for_the_page(name: str, one: Problem) -> dict:
    low = one.minimum
    return {
        "name": name,
        "key": one.loss.__name__,
        "x": one.x.tolist(),
        "y": one.y.tolist(),
        "start": list(one.start),
        "lr": one.lr,
        "domain": one.domain,
        "minimum": low.tolist(),
        "lowest": one.loss(low, one.x, one.y).item(),
        "covariance": gradient_covariance(example_gradients(one.loss, low, one.x, one.y)).flatten().tolist(),
    }


def _javascript() -> str:
    """For each loss: that of one example, and its gradient; the step; and the floor that theory predicts."""
    example = {"w": (2,), "x": (1, 2), "y": (1,)}
    parts = [
        javascript.of(lambda w, g, lr: gradient_descent(w, g, 1, lr=lr), "step", w=(2,), g=(2,), lr=()),
        javascript.of(excess_loss, "excess", covariance=(2, 2), B=(), lr=()),
    ]
    for loss in (one.loss for one in PROBLEMS.values()):
        parts.append(javascript.of(loss, f"{loss.__name__}_loss", **example))
        gradient = functools.partial(example_gradients, loss)
        parts.append(javascript.of(gradient, f"{loss.__name__}_gradient", **example))
    return "\n".join(parts)
