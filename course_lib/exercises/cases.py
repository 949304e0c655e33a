"""What a function is tried on. A case plays one or many calls; cases go from simple to hard, so the first that fails locates the bug."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from course_lib.formulas.signature import signature

Call = Callable[..., tuple]


def unlifted(fn: Callable) -> Callable:
    return fn


def each_run(fn: Callable) -> Callable:
    """`fn` on many runs at once: every tensor, hyperparameters too, has a first axis of runs."""

    def lifted(*args, **hyper):
        dims = [0 if isinstance(x, torch.Tensor) else None for x in args]
        return torch.vmap(lambda hyper, *args: fn(*args, **hyper), in_dims=(0, *dims))(hyper, *args)

    return lifted


@dataclass(frozen=True)
class Case:
    """`play(call)` calls the tried function, all its arguments by name; `look` says where a bug that first shows here may be."""

    title: str
    look: str
    play: Callable[[Call], Any]
    lift: Callable[[Callable], Callable] = unlifted


def once(title: str, look: str, **given) -> Case:
    """One call with these arguments."""
    return Case(title, look, lambda call: call(**given))


def walk(
    title: str, look: str, rule: Callable, start, slope: Callable, steps: int, hyper: dict, lift: Callable = unlifted
) -> Case:
    """A rule's steps 1, 2, … from `start` and its initial state, each with the gradient `slope(w, t)`.

    A value in `hyper` is a number, a tensor, or a function of t.
    """
    initial = signature(rule).state

    def play(call: Call) -> None:
        w, state = start, {name: torch.full_like(start, x) for name, x in initial.items()}
        for t in range(1, steps + 1):
            now = {name: x(t) if callable(x) else x for name, x in hyper.items()}
            w, *new = call(w=w, g=slope(w, t), t=t, **state, **now)
            state = dict(zip(initial, new))

    return Case(title, look, play, lift)


def tensor(values: Any, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A tensor on the CPU, whatever the reader's default device and dtype are."""
    return torch.tensor(values, dtype=dtype, device="cpu")


def recorded(*gradients: torch.Tensor) -> Callable:
    """An open loop: gradient number t, wherever w is."""
    return lambda w, t: gradients[t - 1]


def rule_cases(rule: Callable, usual: dict[str, float], other: dict[str, float], rate: str = "lr") -> list[Case]:
    """The nine cases of an update rule, at two settings of its hyperparameters; `rate` is the one that changes on the way."""
    one, gradients = tensor(2.0), [tensor(x) for x in (3.0, -1.0, 0.5, 2.0, -4.0, 1.5)]
    vector, slopes = (
        tensor([1.0, -2.0, 0.5]),
        [tensor([3.0, 0.1, -2.0]), tensor([-1.0, 0.4, 5.0]), tensor([0.5, 0.2, -1.0])],
    )
    matrix, turned = torch.outer(tensor([1.0, -0.5]), vector), [torch.outer(tensor([0.3, -2.0]), g) for g in slopes]
    single = [g.float() for g in slopes]
    curvature = tensor([1.0, 4.0])
    runs = {name: tensor([usual[name], other[name], (usual[name] + other[name]) / 2]) for name in usual}
    starts, pulls = (
        torch.outer(tensor([1.0, 2.0, -1.0]), vector),
        [torch.outer(tensor([1.0, -0.5, 2.0]), g) for g in slopes],
    )

    def shrinking(t: int) -> float:
        return usual[rate] / t

    return [
        walk(
            "the first step, one parameter",
            "The state is still at its start value, so only the new gradient counts.",
            rule,
            one,
            recorded(*gradients),
            1,
            usual,
        ),
        walk(
            "two steps, one parameter",
            "The first step agrees: look at how the old state enters, and at the order of your lines.",
            rule,
            one,
            recorded(*gradients),
            2,
            usual,
        ),
        walk(
            "other hyperparameters",
            "Look for a number written where a hyperparameter's name should stand.",
            rule,
            one,
            recorded(*gradients),
            3,
            other,
        ),
        walk(
            "a vector of 3 parameters",
            "One parameter agrees: each one must be updated by itself, element by element.",
            rule,
            vector,
            recorded(*slopes),
            3,
            usual,
        ),
        walk(
            "a 2 × 3 matrix of parameters",
            "A vector agrees: each operation must act element by element, whatever the shape is.",
            rule,
            matrix,
            recorded(*turned),
            3,
            usual,
        ),
        walk(
            f"{rate} changes on the way",
            f"A constant {rate} agrees: look at what you store in the state, and whether {rate} is in it.",
            rule,
            one,
            recorded(*gradients),
            6,
            usual | {rate: shrinking},
        ),
        walk(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision, or for an unstable way to compute.",
            rule,
            vector.float(),
            recorded(*single),
            3,
            usual,
        ),
        walk(
            "3 runs at once, each with its own hyperparameters",
            "Here hyperparameters are tensors, under torch.vmap: what needs one plain number (`float()`, `if`, `alpha=`) fails.",
            rule,
            starts,
            recorded(*pulls),
            3,
            runs,
            each_run,
        ),
        walk(
            "40 steps down a quadratic",
            "Short runs agree: look for something that depends on t or on the size of the gradient.",
            rule,
            tensor([2.0, -1.0]),
            lambda w, t: curvature * w,
            40,
            usual,
        ),
    ]
