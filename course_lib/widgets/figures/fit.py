"""Fit: a model of two parameters, its data and the loss surface that they make."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.func import grad, grad_and_value

from course_lib.backends import javascript
from course_lib.formulas.local_model import curvatures
from course_lib.formulas.objective import MODELS, line, sine, squared_error, unit
from course_lib.formulas.rules.descent import gradient_descent
from course_lib.formulas.second_order import hessian, newton
from course_lib.formulas.signature import signature
from course_lib.widgets.kit.controls import control, identifier
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Numbers, Point, finite_numbers, plane_domain

MOST_POINTS = 60
HIGHEST_RATE = 2.0  # a gradient of these surfaces is small


@dataclass(frozen=True)
class Example:
    """Data for a model, where θ starts, a learning rate that suits them, and the part of the plane that is worth a look."""

    w: tuple[float, float]
    x: tuple[float, ...]
    y: tuple[float, ...]
    domain: tuple[tuple[float, float], tuple[float, float]] = ((-2.5, 2.5), (-2.25, 2.25))
    lr: float = 0.1


# Drawn once: from the line 0.5 + 0.8 x, the unit 1.5 tanh(1.2 x) and the wave sin(2.2 x + 0.6), plus noise.
EXAMPLES = {
    line.__name__: Example(
        (-1.0, 2.4),
        (-1.08, -0.67, -0.23, 0.04, 0.5, 0.84, 1.13, 1.53, 1.89, 2.32, 2.58, 3.02),
        (-0.62, 0.05, 0.44, 0.51, 1.18, 1.41, 1.55, 1.68, 1.81, 2.04, 2.79, 2.98),
        ((-2.0, 3.0), (-1.4, 3.1)),
        lr=0.2,
    ),
    unit.__name__: Example(
        (-2.2, 0.6),
        (-2.01, -1.71, -1.28, -0.9, -0.53, -0.15, 0.24, 0.47, 0.83, 1.21, 1.57, 2.06),
        (-1.39, -1.25, -1.81, -1.15, -1.04, -0.33, 0.21, 0.93, 1.03, 1.5, 1.27, 1.27),
        ((-3.0, 3.0), (-2.7, 2.7)),
        lr=0.5,
    ),
    sine.__name__: Example(
        (4.2, -0.6),
        (-3.05, -2.56, -1.86, -1.38, -0.76, -0.24, 0.24, 0.88, 1.32, 1.87, 2.42, 2.99),
        (0.32, 1.12, 0.45, -0.64, -0.88, 0.45, 1.85, 0.64, -0.26, -1.15, -0.26, 0.9),
        ((0.0, 5.5), (-2.5, 2.45)),
        lr=0.5,
    ),
}


class Fit(Figure):
    """The loss surface of a model with two parameters beside the data and the curve that the parameters draw.

        Fit()
        Fit("sine", lr=0.5)
        Fit(lambda x, w: w[0] * x**2 + w[1], x=[…], y=[…])

    Without `x` and `y` each of the course's models (line, unit, sine) brings data of its own, and buttons choose one. Any
    function of (x, w) with x of shape (N,) and w of shape (2,) will do. With a kernel `fig.w`, `fig.x`, `fig.y`, `fig.lr` and
    `fig.model` can be read, set and observed; `fig.loss` and `fig.gradient` are the numbers shown.
    Raises TypeError for an unknown model, ValueError for parameters, data or a learning rate that can't be drawn.
    """

    model = Choice("_models")
    w = Point()
    x = Numbers("_count")
    y = Numbers("_count")
    lr = Hyper(above=0)

    def __init__(self, model: str | Callable = "line", *, w=None, x=None, y=None, lr: float | None = None, domain=None):
        if (x is None) != (y is None):
            raise ValueError(f"Data are pairs: {'y' if y is None else 'x'} is missing. Give both x and y, or neither.")
        self._models = {identifier(model): model} if callable(model) else MODELS
        name = identifier(model) if callable(model) else model
        if name not in self._models:
            raise TypeError(f"Unknown model {model!r}. There are {', '.join(MODELS)}, or give a function of (x, w).")
        own = {"w": w, "domain": domain, "lr": lr}
        self._examples = {
            key: _example(EXAMPLES.get(key), x, y, **(own if key == name else {})) for key in self._models
        }
        first = self._examples[name]
        self._count = len(first.x)
        super().__init__(model=name, w=first.w, x=first.x, y=first.y, lr=first.lr)
        rate = control(signature(gradient_descent), "lr", self.lr)
        rate["range"]["high"] = max(rate["range"]["high"], HIGHEST_RATE)
        self.spec = {
            "models": [{"name": key, **vars(example)} for key, example in self._examples.items()],
            "controls": [rate],
            "initial": {key: getattr(self, key) for key in ("model", "w", "x", "y", "lr")},
        }
        self.code = "\n".join(_javascript(key, one, self._count) for key, one in self._models.items())

    @property
    def prediction(self) -> torch.Tensor:
        """f(x; θ) for every example, (N,) in float64."""
        return self._models[self.model](_double(self.x), _double(self.w))

    @property
    def loss(self) -> float:
        """J(θ), the mean over the examples of half the squared residual."""
        return self._loss_and_gradient()[0].item()

    @property
    def gradient(self) -> torch.Tensor:
        """∇J(θ), (2,) in float64."""
        return self._loss_and_gradient()[1]

    def _loss_and_gradient(self) -> tuple[torch.Tensor, torch.Tensor]:
        gradient, loss = grad_and_value(_objective(self._models[self.model]))(
            _double(self.w), _double(self.x), _double(self.y)
        )
        return loss, gradient

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        loss, (down, right) = self.loss, self.gradient.tolist()
        return (
            f"Loss surface of the model {self.model} over its two parameters, beside its {self._count} data points and the fitted curve. "
            f"At θ = ({self.w[0]:g}, {self.w[1]:g}) the loss is {loss:.3g} and its gradient ({down:.3g}, {right:.3g}), of length {math.hypot(down, right):.3g}."
        )


def _objective(model: Callable) -> Callable:
    return lambda w, x, y: squared_error(model(x, w), y)


def _javascript(name: str, model: Callable, count: int) -> str:
    """The loss; loss, gradient, its length and the next parameters; Newton's step and the smaller curvature; the prediction for one x."""
    objective = _objective(model)

    def at(w, x, y, lr):
        gradient, loss = grad_and_value(objective)(w, x, y)
        return loss, gradient, torch.linalg.vector_norm(gradient), gradient_descent(w, gradient, 1, lr=lr)

    def toward_minimum(w, x, y):
        f = lambda w: objective(w, x, y)
        return newton(w, grad(f)(w), 1, f), curvatures(hessian(f, w))[0]

    data = {"w": (2,), "x": (count,), "y": (count,)}
    parts = (
        javascript.of(objective, f"{name}_loss", **data),
        javascript.of(at, f"{name}_at", **data, lr=()),
        javascript.of(toward_minimum, f"{name}_newton", **data),
        javascript.of(model, f"{name}_predict", x=(1,), w=(2,)),
    )
    return "\n".join(parts)


def _example(known: Example | None, x, y, w=None, domain=None, lr=None) -> Example:
    """The course's example for a model, or the line's data for a model of the reader's own; with what the reader gave."""
    known = known or Example((-1.0, 1.5), EXAMPLES["line"].x, EXAMPLES["line"].y)
    given = {"w": w, "x": x, "y": y, "domain": domain, "lr": lr}
    example = replace(known, **{key: value for key, value in given.items() if value is not None})
    if not 1 <= len(example.x) == len(example.y) <= MOST_POINTS:
        raise ValueError(
            f"x and y must have the same number of values, 1 to {MOST_POINTS}, got {len(example.x)} and {len(example.y)}."
        )
    numbers = {
        key: tuple(finite_numbers(key, getattr(example, key), count))
        for key, count in (("w", 2), ("x", len(example.x)), ("y", len(example.y)))
    }
    return replace(example, domain=plane_domain(example.domain), **numbers)


def _double(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)
