"""What one function did on every case: each call with its returned values, up to the first that gave none."""

import contextlib
import inspect
import linecache
import math
import textwrap
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import torch

from course_lib.exercises.arguments import Lent
from course_lib.exercises.cases import Case
from course_lib.exercises.compare import agree, fault
from course_lib.exercises.form import Form, file_of, name_of
from course_lib.exercises.sandbox import Printed, limited, undisturbed

REPEATED = 3  # cases whose last call is made twice


class Problem(Exception):
    """A call that gave no values to compare; the text says why, for the reader."""


class Told(Exception):
    """The calls so far say all that there is to say."""


class NotAttempted(Problem):
    """The stub is still as it was."""


@dataclass
class Step:
    """One call: its arguments, the returned values, what it printed."""

    given: dict[str, Any]
    values: tuple = ()
    printed: str = ""


def same(step: Step, other: Step) -> bool:
    """Whether two calls returned the same values."""
    return all(map(agree, step.values, other.values))


@dataclass
class Trial:
    """The calls of each case played so far; the last one has no values if it ended in `problem`.

    A value that cannot be compared with the one `expected` is a problem; one that merely differs is not. After each call `goes_on(trial)`
    says whether the next one is needed. A `trusted` function gets the arguments themselves, which it does not change.
    """

    fn: Callable
    form: Form
    expected: "Trial | None" = None
    goes_on: "Callable[[Trial], bool]" = lambda trial: True
    steps: list[list[Step]] = field(default_factory=list)
    problem: Problem | None = None
    repeatable: bool = True
    trusted: bool = False
    seconds: float = math.inf
    start: float = field(default_factory=time.monotonic)

    def play(self, cases: Sequence[Case], printed: Printed) -> None:
        """Play the cases in order, and the last call of the first ones twice: a pure function gives the same values."""
        try:
            for number, case in enumerate(cases):
                self.steps.append([])
                self.seconds += case.startup
                case.play(lambda **given: self._call(case.lift(self.fn), given, printed))
                if number < REPEATED:
                    self.repeatable &= self._repeats(case.lift(self.fn), self.steps[-1][-1])
        except Told:
            self.repeatable &= self._repeats(case.lift(self.fn), self.steps[-1][-1])
        except Problem as problem:
            self.problem = problem
            self.steps[-1][-1].printed = printed.take()

    def grant(self, seconds: float) -> None:
        """Give the reader's code more time."""
        self.seconds += seconds

    @contextlib.contextmanager
    def untimed(self) -> Iterator[None]:
        """What is done meanwhile takes nothing of the reader's time."""
        begin, seconds, self.seconds = time.monotonic(), self.seconds, math.inf
        try:
            yield
        finally:
            self.seconds = seconds + time.monotonic() - begin

    @property
    def calls(self) -> list[Step]:
        """The steps of all cases, without the one that gave no values."""
        return [step for steps in self.steps for step in steps if step.values]

    def agreement(self, other: "Trial") -> int:
        """In how many calls, from the first on, both returned the same."""
        pairs = zip(self.calls, other.calls)
        return next((n for n, (a, b) in enumerate(pairs) if not same(a, b)), min(len(self.calls), len(other.calls)))

    def agrees_with(self, other: "Trial") -> bool:
        """Whether both returned the same in every call."""
        return self.agreement(other) == len(self.calls) == len(other.calls)

    def cut_off(self, printed: str) -> None:
        """Leave the call without values in which the time ran out: the last one, or, if a case had none yet, its first."""
        self.steps = self.steps or [[]]
        given = self.steps[-1].pop().given if self.steps[-1] else self.expected.steps[len(self.steps) - 1][0].given
        self.steps[-1].append(Step(given, printed=printed))

    def _call(self, fn: Callable, given: dict[str, Any], printed: Printed) -> tuple:
        self.steps[-1].append(step := Step(given))
        printed.take()
        values = self._values(fn, given)
        if time.monotonic() - self.start > self.seconds:
            raise Problem(late(self.fn, self.seconds))
        if self.expected:
            right = self.expected.steps[len(self.steps) - 1][len(self.steps[-1]) - 1].values
            if text := next(filter(None, map(fault, self.form.returns, values, right)), None):
                raise Problem(text)
        step.values = values
        step.printed = printed.take()
        if not self.goes_on(self):
            raise Told
        return step.values

    def _repeats(self, fn: Callable, step: Step) -> bool:
        try:
            return all(map(agree, self._values(fn, step.given), step.values))
        except Problem:
            return False

    def _values(self, fn: Callable, given: dict[str, Any]) -> tuple:
        lent = Lent({} if self.trusted else given)
        try:
            result = self.form.call(fn, given if self.trusted else lent.arguments)
        except Problem:  # what plays the function has a sentence of its own
            raise
        except (Exception, SystemExit) as error:
            raise Problem(exception_sentence(self.fn, error)) from None
        if touched := lent.changed():
            raise Problem(
                f"{name_of(self.fn)} changes {' and '.join(touched)} in place (an operation such as `-=` or `mul_`, or an assignment to "
                "an entry), and so changes what belongs to the caller. Compute something new, as in `a = a - b`."
            )
        values = _unpack(name_of(self.fn), result, self.form.returns)
        return tuple(map(_detached, values))


def attempt(
    fn: Callable, cases: Sequence[Case], expected: Trial, seconds: float, goes_on: Callable[[Trial], bool]
) -> Trial:
    """Play the cases with the reader's function, whatever it does."""
    trial = Trial(fn, expected.form, expected, goes_on, seconds=seconds)
    with undisturbed() as printed:
        place = limited(lambda: trial.play(cases, printed), lambda: trial.seconds, trial.grant)
    if place is not None:
        trial.problem = Problem(late(fn, trial.seconds, where(fn, place)))
        trial.cut_off(printed.take())
    return trial


def late(fn: Callable, seconds: float, place: str = "") -> str:
    """That the function did not end; `place` is the line that it was at, in words."""
    return (
        f"{name_of(fn)} did not end within {seconds:.3g} seconds"
        + (f": it was{place}" if place else "")
        + ". Look for a loop that never ends, or makes far more rounds than it needs."
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


def exception_sentence(fn: Callable, error: BaseException) -> str:
    """What the reader's function raises, and where in its own lines."""
    place = where(fn, [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)])
    if isinstance(error, RecursionError):
        return f"{name_of(fn)} goes too deep{place}, in calls of functions that call themselves. Is there a way out, which is reached soon enough?"
    text = textwrap.shorten(next(iter(str(error).splitlines()), ""), 160, placeholder=" …").rstrip(".")
    return f"{name_of(fn)} raises {type(error).__name__}{place}" + (f": {text}." if text else ".")


def _detached(value: Any) -> Any:
    """The value without autograd's graph."""
    if isinstance(value, (list, tuple)):
        return [_detached(entry) for entry in value]
    return value.detach() if isinstance(value, torch.Tensor) else value


def _unpack(name: str, result: Any, returns: tuple[str, ...]) -> tuple:
    promised = " and ".join(returns)
    if result is ...:
        raise NotAttempted(
            f"Not attempted yet: {name} still returns `...`. Write your lines in its place, and return {promised}."
        )
    if result is None:
        raise Problem(f"{name} returns None: does each way through it end with `return`? Return {promised}.")
    if inspect.iscoroutine(result):
        result.close()
    if inspect.isawaitable(result) or isinstance(result, (Iterator, AsyncIterator, Mapping, Set)):
        raise Problem(
            f"{name} returns a Python {type(result).__name__}: return the values themselves, as in `return {', '.join(returns)}`."
        )
    values = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(values) != len(returns):
        count = f"{len(values)} value" + "s" * (len(values) != 1)
        order = ", in this order" * (len(returns) > 1)
        raise Problem(f"{name} returns {count}; {len(returns)} expected: {promised}{order}.")
    for label, value in zip(returns, values):
        if value is ... or value is None:
            raise Problem(f"the value that {name} returns for {label} is still `{'...' if value is ... else None}`.")
    return values
