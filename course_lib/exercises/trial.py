"""What one function did on every case: each call with its returned values, up to the first that gave none."""

import inspect
import linecache
import math
import textwrap
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from course_lib.exercises.cases import Case
from course_lib.exercises.compare import agree, fault
from course_lib.exercises.form import Form, file_of, name_of
from course_lib.exercises.sandbox import Printed, limited, undisturbed


class Problem(Exception):
    """A call that gave no values to compare; the text says why, for the reader."""


class NotAttempted(Problem):
    """The stub is still as it was."""


@dataclass
class Step:
    """One call: its arguments, the returned values, what it printed."""

    given: dict[str, Any]
    values: tuple = ()
    printed: str = ""


@dataclass
class Trial:
    """The calls of each case played so far; the last one has no values if it ended in `problem`.

    A value that cannot be compared with the one `expected` is a problem; one that merely differs is not.
    """

    fn: Callable
    form: Form
    expected: "Trial | None" = None
    steps: list[list[Step]] = field(default_factory=list)
    problem: Problem | None = None
    repeatable: bool = True
    seconds: float = math.inf
    start: float = field(default_factory=time.monotonic)

    def play(self, cases: Sequence[Case], printed: Printed) -> None:
        """Play the cases in order, and the very first call twice: a pure function gives the same values."""
        try:
            for case in cases:
                self.steps.append([])
                case.play(lambda **given: self._call(case.lift(self.fn), given, printed))
                if case is cases[0]:
                    self.repeatable = self._repeats(case.lift(self.fn), self.steps[0][0])
        except Problem as problem:
            self.problem = problem
            self.steps[-1][-1].printed = printed.take()

    def agrees_with(self, other: "Trial") -> bool:
        """Whether both did the same in every call of every case, to the end or to the same call that gave no values."""
        played, theirs = ([[len(step.values) for step in steps] for steps in trial.steps] for trial in (self, other))
        pairs = [(a, b) for mine, yours in zip(self.steps, other.steps) for a, b in zip(mine, yours)]
        return played == theirs and all(all(map(agree, a.values, b.values)) for a, b in pairs)

    def _call(self, fn: Callable, given: dict[str, Any], printed: Printed) -> tuple:
        self.steps[-1].append(step := Step(given))
        printed.take()
        values = self._values(fn, given)
        if time.monotonic() - self.start > self.seconds:
            raise Problem(_late(self.fn, self.seconds))
        if self.expected:
            right = self.expected.steps[len(self.steps) - 1][len(self.steps[-1]) - 1].values
            if text := next(filter(None, map(fault, self.form.returns, values, right)), None):
                raise Problem(text)
        step.values = values
        step.printed = printed.take()
        return step.values

    def _repeats(self, fn: Callable, step: Step) -> bool:
        try:
            return all(map(agree, self._values(fn, step.given), step.values))
        except Problem:
            return False

    def _values(self, fn: Callable, given: dict[str, Any]) -> tuple:
        lent = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in given.items()}
        try:
            result = self.form.call(fn, lent)
        except Problem:  # what plays the function has a sentence of its own
            raise
        except (Exception, SystemExit) as error:
            raise Problem(_exception_sentence(self.fn, error)) from None
        touched = [k for k, v in lent.items() if isinstance(v, torch.Tensor) and (v._version or not agree(v, given[k]))]
        if touched:
            raise Problem(
                f"{name_of(self.fn)} changes {' and '.join(touched)} in place (an operation such as `-=` or `mul_`), "
                "and so changes the caller's tensor. Compute a new tensor, as in `a = a - b`."
            )
        return _unpack(name_of(self.fn), result, self.form.returns)


def attempt(fn: Callable, cases: Sequence[Case], expected: Trial, seconds: float) -> Trial:
    """Play the cases with the reader's function, whatever it does."""
    trial = Trial(fn, expected.form, expected, seconds=seconds)
    with undisturbed() as printed:
        place = limited(lambda: trial.play(cases, printed), seconds)
    if place is not None:
        trial.problem = Problem(_late(fn, seconds, where(fn, place)))
        trial.steps[-1][-1] = Step(trial.steps[-1][-1].given, printed=printed.take())
    return trial


def _late(fn: Callable, seconds: float, place: str = "") -> str:
    return (
        f"{name_of(fn)} did not end within {seconds:g} seconds"
        + (f": it was{place}" if place else "")
        + ". Look for a loop that never ends."
    )


def where(fn: Callable, frames: Iterable[tuple[str, int]]) -> str:
    """The last line of the reader's own code among the frames, in words; empty if there is none."""
    own = file_of(fn)
    linecache.checkcache(own)
    lines = [line for file, line in frames if file == own]
    if not lines:
        return ""
    text = linecache.getline(own, lines[-1]).strip()
    return f" at line {lines[-1]}" + (f", `{text}`" if text else "")


def _exception_sentence(fn: Callable, error: BaseException) -> str:
    place = where(fn, [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)])
    if isinstance(error, RecursionError):
        return f"{name_of(fn)} calls itself without end{place}. One call is one step: compute it and return."
    text = textwrap.shorten(next(iter(str(error).splitlines()), ""), 160, placeholder=" …").rstrip(".")
    return f"{name_of(fn)} raises {type(error).__name__}{place}" + (f": {text}." if text else ".")


def _unpack(name: str, result: Any, returns: tuple[str, ...]) -> tuple:
    promised = " and ".join(returns)
    if result is ...:
        raise NotAttempted(
            f"Not attempted yet: {name} still returns `...`. Write your lines in its place, and return {promised}."
        )
    if result is None:
        raise Problem(f"{name} returns None: does each way through it end with `return`? Return {promised}.")
    if inspect.isgenerator(result) or inspect.iscoroutine(result):
        result.close()
        raise Problem(f"{name} returns a {type(result).__name__}, not values: write it with `def` and `return` only.")
    values = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(values) != len(returns):
        count = f"{len(values)} value" + "s" * (len(values) != 1)
        raise Problem(f"{name} returns {count}; {len(returns)} expected: {promised}, in this order.")
    for label, value in zip(returns, values):
        if value is ... or value is None:
            raise Problem(f"the value that {name} returns for {label} is still `{'...' if value is ... else None}`.")
    return values
