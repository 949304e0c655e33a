"""What a function is tried on. A case plays one or many calls; cases go from simple to hard, so the first that fails locates the bug."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

Call = Callable[..., tuple]


def unlifted(fn: Callable) -> Callable:
    return fn


@dataclass(frozen=True)
class Case:
    """`play(call)` calls the tried function, all its arguments by name; `look` says where a bug that first shows here may be.

    `about` holds what `look` speaks of, as the tests tag changes of a solution: the kinds of tests/exercises/mutants.py ("default",
    "comparison", "state", …) and the names of variables in the changed line. Of the wrong answers that first fail here and are told
    `look`, nine in ten must have one of these tags, so that the hint is true. A case whose hint says nothing has none. `startup` are
    seconds that it may take beyond the exercise's limit, as processes do to begin.
    """

    title: str
    look: str
    play: Callable[[Call], Any]
    lift: Callable[[Callable], Callable] = unlifted
    about: tuple[str, ...] = ()
    startup: float = 0.0


def once(title: str, look: str, *, about: tuple[str, ...] = (), **arguments) -> Case:
    """One call with these arguments."""
    return Case(title, look, lambda call: call(**arguments), about=about)


def several(title: str, look: str, *calls: dict[str, Any], about: tuple[str, ...] = ()) -> Case:
    """One call after the other, each with its arguments."""
    return Case(title, look, lambda call: [call(**arguments) for arguments in calls], about=about)


def tensor(values: Any, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A tensor on the CPU, whatever the reader's default device and dtype are."""
    return torch.tensor(values, dtype=dtype, device="cpu")


def scattered(*shape: int) -> torch.Tensor:
    """Numbers between -1 and 1 without a pattern, none of them exact in float32."""
    count = torch.arange(1.0, 1 + torch.Size(shape).numel(), dtype=torch.float64, device="cpu")
    return torch.sin(count**2).reshape(shape)
