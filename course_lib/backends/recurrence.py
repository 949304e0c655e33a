"""A rule on a surface as a program that feeds its outputs back: what every backend turns into a loop."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.backends.names import elements
from course_lib.backends.program import Program
from course_lib.backends.python_math import on_tensors
from course_lib.backends.trace import trace
from course_lib.formulas.signature import signature, step
from course_lib.formulas.surfaces import Surface


@dataclass(frozen=True)
class Recurrence:
    """One step as a `Program`, and how to repeat it.

    `carry`: the inputs that the outputs of the same place replace (w first, then the state); `initial`: the state at t = 0,
    each a number or the name of a hyperparameter; `hyper`: the inputs that stay. The output `loss` is the surface at w *before* the step.
    """

    step: Program
    carry: tuple[str, ...]
    initial: dict[str, float | str]
    hyper: tuple[str, ...]

    @property
    def carried(self) -> tuple:
        """The atoms that replace `carry`, in its order."""
        return tuple(a for name, atoms in self.step.outputs.items() if name != "loss" for a in atoms)


def hyperparameters(rule: Callable, surface: Callable) -> dict[str, float]:
    """The hyperparameters of a rule and of a surface, with their defaults. Raises TypeError where both use one name."""
    of_rule, of_surface = signature(rule), signature(surface, inputs=("w",))
    both = sorted(set(of_rule.hyper) & set(of_surface.hyper))
    if both:
        raise TypeError(
            f"{of_rule.name} and {of_surface.name} both have a hyperparameter `{both[0]}`: rename one of them."
        )
    return of_rule.hyper | of_surface.hyper


def trace_descent(rule: Callable, surface: Callable, dimension: int = 2) -> Recurrence:
    """Trace one step of `rule` on `surface`: the gradient at w, then the rule.

    Raises TypeError for a name with two meanings, for a state that changes its shape and for a surface that returns more or less than
    one number; ValueError for what can't be traced.
    """
    surface = Surface.function(surface)
    of_rule, of_surface = signature(rule), signature(surface, inputs=("w",))
    hyper = hyperparameters(rule, surface)
    w, first = {"w": (dimension,)}, of_rule.initial(torch.zeros(dimension, dtype=torch.float64), of_rule.hyper)
    shapes = {k: tuple(x.shape) for k, x in first.items()}
    if taken := shapes.keys() & {"w", "loss"}:
        raise TypeError(
            f"{of_rule.name} has a state called `{taken.pop()}`, a name that the descent itself needs: rename it."
        )

    rule_of, surface_of = on_tensors(rule), on_tensors(surface)

    def one_step(given, state, time, hyper):
        own = {k: hyper[k] for k in of_rule.hyper}
        there = {k: hyper[k] for k in of_surface.hyper}
        f = lambda w: surface_of(w, **there)
        g, loss = _gradient_and_loss(f, given["w"])
        new, new_state = step(
            rule_of, given["w"], g, time["t"], list(state.values()), own, f if of_rule.takes_loss else None
        )
        return {"loss": loss, "w": new} | dict(zip(of_rule.state, new_state, strict=True))

    program = trace(
        one_step, w, shapes, {"t": ()}, dict.fromkeys(hyper, ()), name=f"{of_rule.name} on {of_surface.name}"
    )
    initial = {}
    for k, x in of_rule.state.items():
        initial |= dict(
            zip(
                elements(k, shapes[k]),
                [x] * first[k].numel() if isinstance(x, str) else first[k].flatten().tolist(),
                strict=True,
            )
        )
    return Recurrence(program, (*elements("w", (dimension,)), *initial), initial, tuple(hyper))


def _gradient_and_loss(f: Callable, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As torch.func.grad_and_value, which imports torch.compile when it is first called: more than a second of a new process."""
    with torch.enable_grad():
        w = w.detach().requires_grad_()
        loss = f(w)
        if not isinstance(loss, torch.Tensor) or loss.dim():
            raise TypeError(
                f"A surface must return one number (a tensor of shape ()), got {tuple(getattr(loss, 'shape', ())) or type(loss).__name__}."
            )
        (g,) = torch.autograd.grad(loss, w, materialize_grads=True) if loss.requires_grad else (torch.zeros_like(w),)
    return g, loss.detach()


def trace_surface(surface: Callable, dimension: int = 2) -> Program:
    """Trace the surface alone: w and its hyperparameters to the loss."""
    surface = Surface.function(surface)
    of_surface = signature(surface, inputs=("w",))
    surface_of = on_tensors(surface)

    def loss(given, hyper):
        return {"loss": surface_of(given["w"], **hyper)}

    return trace(loss, {"w": (dimension,)}, dict.fromkeys(of_surface.hyper, ()), name=of_surface.name)


def trace_slope(surface: Callable, dimension: int = 2) -> Program:
    """Trace the surface's gradient: w and its hyperparameters to one number for each coordinate."""
    surface = Surface.function(surface)
    of_surface = signature(surface, inputs=("w",))
    surface_of = on_tensors(surface)

    def slope(given, hyper):
        return {"slope": _gradient_and_loss(lambda w: surface_of(w, **hyper), given["w"])[0]}

    return trace(slope, {"w": (dimension,)}, dict.fromkeys(of_surface.hyper, ()), name=f"slope of {of_surface.name}")


def trace_minima(surface: Surface) -> Program | None:
    """Trace a surface's known minima: its hyperparameters to points, flattened; None where none is known."""

    def minima(hyper):
        return {
            "minima": torch.stack(
                [torch.as_tensor(x, dtype=torch.float64) for point in surface.minima(**hyper) for x in point]
            )
        }

    return (
        trace(minima, dict.fromkeys(signature(surface.formula, inputs=("w",)).hyper, ()), name="minima")
        if surface.minima()
        else None
    )
