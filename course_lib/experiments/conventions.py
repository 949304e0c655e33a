"""One optimizer in the spelling of several libraries: the call that makes the very steps of the lecture's rule."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib import formulas
from course_lib.formulas.signature import signature, step


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


def path_of_rule(rule: Callable, settings: dict, start: torch.Tensor, gradients: list[torch.Tensor]) -> torch.Tensor:
    """Where the rule goes on these gradients, (steps, n)."""
    w, state, path = start, tuple(signature(rule).initial(start, signature(rule).hyper | settings).values()), []
    for t, g in enumerate(gradients, 1):
        w, state = step(rule, w, g, t, state, settings)
        path.append(w)
    return torch.stack(path)


def path_of_torch(call: str, settings: dict, start: torch.Tensor, gradients: list[torch.Tensor]) -> torch.Tensor:
    """Where the optimizer goes that this call makes, (steps, n): what is printed is what runs."""
    w, path = start.clone().requires_grad_(), []
    optimizer = eval(call, {"torch": torch, "w": [w], **settings})
    for g in gradients:
        w.grad = g.clone()
        optimizer.step()
        path.append(w.detach().clone())
    return torch.stack(path)


def largest_difference(conversion: Conversion, seed: int = 0) -> float:
    """How far the rule and PyTorch's optimizer come apart in 40 steps: rounding, if the call is right."""
    problem = recorded_gradients(seed)
    ours = path_of_rule(conversion.rule, conversion.settings, *problem)
    return (ours - path_of_torch(conversion.torch, conversion.settings, *problem)).abs().max().item()
