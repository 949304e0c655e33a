"""What a schedule is called with: steps taken so far, as a number or a tensor, and hyperparameters within their limits."""

import functools
import numbers
from collections.abc import Callable
from typing import Annotated

import torch

from course_lib.formulas.signature import Range, signature

Steps = Annotated[float, Range(1.0, 1000.0, "log", at_least=1.0)]
Milestone = Annotated[float, Range(1.0, 1000.0, at_least=0.0)]
Times = Annotated[float, Range(1.0, 4.0, at_least=1.0)]
Factor = Annotated[float, Range(0.05, 1.0, at_least=0.0)]
Share = Annotated[float, Range(0.05, 0.95, at_least=0.0, below=1.0)]
Divisor = Annotated[float, Range(1.0, 1e5, "log", at_least=1.0)]
Floor = Annotated[float, Range(0.0, 0.1, at_least=0.0)]
Power = Annotated[float, Range(0.25, 4.0, "log", at_least=0.0)]
Pace = Annotated[float, Range(1e-4, 1.0, "log", at_least=0.0)]

WARMUP = {"steps": Range(1.0, 100.0, at_least=0.0), "start": Range(1e-3, 0.5, "log", at_least=0.0, below=1.0)}


def of_steps(schedule: Callable) -> Callable:
    """Decorator: a formula of tensors takes numbers, too, and refuses what lies outside of its limits.

    `t` is a number, which gives a number, or a tensor of any shape, which gives one of that shape; whole numbers count in
    float64. A hyperparameter is a number or a tensor. Raises ValueError for a negative t and for a hyperparameter outside its
    limits, where they are numbers (a tensor may be unknown, as in a trace); TypeError for an unknown hyperparameter.
    """
    own = signature(schedule, inputs=("t",))

    @functools.wraps(schedule)
    def of_numbers_or_tensors(t, **hyper):
        if unknown := set(hyper) - set(own.hyper):
            raise TypeError(f"{own.name} has no `{min(unknown)}`. It has: t, {', '.join(own.hyper)}.")
        for name, value in hyper.items():
            if isinstance(value, numbers.Real):
                own.check(name, value)
        if isinstance(t, numbers.Real) and not t >= 0:  # written so that NaN fails
            raise ValueError(f"{own.name}'s t counts the steps taken so far, from 0; got {t}.")
        given = [x for x in (t, *hyper.values()) if isinstance(x, torch.Tensor)]
        like = next((x for x in given if x.is_floating_point()), torch.zeros((), dtype=torch.float64))
        inputs = {name: torch.as_tensor(x, dtype=_dtype(x, like), device=(given or [like])[0].device) for name, x in ({"t": t} | own.hyper | hyper).items()}  # fmt: skip
        rate = schedule(**inputs)
        return rate if given else rate.item()

    return of_numbers_or_tensors


def like(schedule: Callable, *, steps, start) -> Callable[[Callable], Callable]:
    """Decorator: a function of t and of the hyperparameters of `schedule`, with so many `steps` of warm-up from the share `start`.

    Raises ValueError for steps and a start outside of WARMUP, TypeError where `schedule` is no function of t.
    """
    for name, value in (("steps", steps), ("start", start)):
        if isinstance(value, numbers.Real):
            WARMUP[name].check(f"warmup's {name}", value)
    name = signature(schedule, inputs=("t",)).name

    def decorate(function: Callable) -> Callable:
        function = functools.wraps(schedule)(function)
        function.__name__ = f"{name}_with_warmup"
        return of_steps(function)

    return decorate


def _dtype(x, like: torch.Tensor) -> torch.dtype:
    """A tensor of floats keeps its type; a number gets that of the tensors beside it; tensors of whole numbers get float64."""
    if isinstance(x, torch.Tensor):
        return x.dtype if x.is_floating_point() else torch.float64
    return like.dtype
