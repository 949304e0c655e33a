"""One optimizer in the spelling of several libraries: the call that makes the very steps of the lecture's rule."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib import formulas
from course_lib.experiments.optimizer import Optimizer


@dataclass(frozen=True)
class Conversion:
    """A rule of the course, settings to try it at, and a call in each library that makes the same steps.

    A call is an expression in the rule's hyperparameters, by name, and in `w`, PyTorch's list of parameters; None where a library has
    no such optimizer, or none that makes the same steps at constant settings.
    """

    rule: Callable
    settings: dict[str, float]
    torch: str | None
    optax: str | None
    keras: str | None


def _adam(name: str, **decay: float) -> Conversion:
    more = ", weight_decay=decay" if decay else ""
    return Conversion(
        getattr(formulas, name.lower()),
        {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 0.01} | decay,
        f"torch.optim.{name}(w, lr=lr, betas=(beta1, beta2), eps=eps{more})",
        f"optax.{name.lower()}(lr, beta1, beta2, eps{more})",
        None,
    )


CONVERSIONS = [
    Conversion(
        formulas.gradient_descent, {"lr": 0.1}, "torch.optim.SGD(w, lr=lr)", "optax.sgd(lr)", "keras.optimizers.SGD(lr)"
    ),
    Conversion(
        formulas.momentum,
        {"lr": 0.1, "momentum": 0.9},
        "torch.optim.SGD(w, lr=lr * (1 - momentum), momentum=momentum)",
        "optax.sgd(lr * (1 - momentum), momentum=momentum)",
        "keras.optimizers.SGD(lr * (1 - momentum), momentum=momentum)",
    ),
    Conversion(
        formulas.nesterov,
        {"lr": 0.01, "momentum": 0.9},
        "torch.optim.SGD(w, lr=lr, momentum=momentum, nesterov=True)",
        "optax.sgd(lr, momentum=momentum, nesterov=True)",
        "keras.optimizers.SGD(lr, momentum=momentum, nesterov=True)",
    ),
    Conversion(
        formulas.adagrad,
        {"lr": 0.1, "eps": 0.01},
        None,
        "optax.adagrad(lr, initial_accumulator_value=0.0, eps=eps)",
        "keras.optimizers.Adagrad(lr, initial_accumulator_value=0.0, epsilon=eps)",
    ),
    Conversion(formulas.adagrad_torch, {"lr": 0.1, "eps": 0.01}, "torch.optim.Adagrad(w, lr=lr, eps=eps)", None, None),
    Conversion(
        formulas.adadelta,
        {"lr": 1.0, "gamma": 0.9, "eps": 0.01},
        "torch.optim.Adadelta(w, lr=lr, rho=gamma, eps=eps)",
        "optax.adadelta(lr, rho=gamma, eps=eps)",
        "keras.optimizers.Adadelta(lr, rho=gamma, epsilon=eps)",
    ),
    Conversion(
        formulas.rmsprop,
        {"lr": 0.1, "gamma": 0.9, "eps": 0.01},
        None,
        "optax.rmsprop(lr, decay=gamma, eps=eps)",
        "keras.optimizers.RMSprop(lr, rho=gamma, epsilon=eps)",
    ),
    Conversion(
        formulas.rmsprop_torch,
        {"lr": 0.1, "gamma": 0.9, "eps": 0.01},
        "torch.optim.RMSprop(w, lr=lr, alpha=gamma, eps=eps)",
        "optax.rmsprop(lr, decay=gamma, eps=eps, eps_in_sqrt=False)",
        None,
    ),
    _adam("Adam"),
    _adam("AdamW", decay=0.1),
]


def recorded_gradients(seed: int = 0, steps: int = 40) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A start, (5,), and gradients of changing size, in float64."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(5, generator=generator, dtype=torch.float64)
    return draw(), [draw() * (1.0, 0.1, 3.0, 0.5, 2.0)[t % 5] for t in range(steps)]


def trajectory(
    optimizer: Callable[[list], torch.optim.Optimizer], start: torch.Tensor, gradients: list[torch.Tensor]
) -> torch.Tensor:
    """Where the optimizer that `optimizer([w])` makes goes on these gradients, (steps, n)."""
    w, places = start.clone().requires_grad_(), []
    made = optimizer([w])
    for g in gradients:
        w.grad = g.clone()
        made.step()
        places.append(w.detach().clone())
    return torch.stack(places)


def of_rule(rule: Callable, settings: dict) -> Callable[[list], Optimizer]:
    """The course's optimizer for these parameters."""
    return lambda w: Optimizer(w, rule, **settings)


def of_torch(call: str, settings: dict) -> Callable[[list], torch.optim.Optimizer]:
    """The optimizer that a printed call makes: what is printed is what runs."""
    return lambda w: eval(call, {"torch": torch, "w": w, **settings})


def largest_difference(conversion: Conversion, seed: int = 0) -> float:
    """How far the rule and PyTorch's optimizer come apart in 40 steps: rounding, if the call is right."""
    problem, settings = recorded_gradients(seed), conversion.settings
    ours = trajectory(of_rule(conversion.rule, settings), *problem)
    return (ours - trajectory(of_torch(conversion.torch, settings), *problem)).abs().max().item()
