"""An exercise: a tested formula, cases from simple to hard, and the classic mistakes with their diagnoses."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from course_lib.exercises.cases import Case
from course_lib.exercises.compare import agree, nearly, not_finite, show, show_difference
from course_lib.exercises.form import Form, name_of
from course_lib.exercises.sandbox import Printed
from course_lib.exercises.trial import NotAttempted, Step, Trial, attempt, same

EVIDENCE = 3  # calls with wrong values that are a mistake's values, to name it although later ones are not
WIDTH = 72  # characters that fit into a line of the book's column


@dataclass(frozen=True)
class Verdict:
    """The answer of a check; `mistake` is the name of the classic mistake, if the code makes one."""

    passed: bool
    message: str
    mistake: str | None = None

    def _ipython_display_(self) -> None:
        """Show nothing: the check has printed the message."""


@dataclass(frozen=True)
class Mistake:
    """A classic mistake: what to say of it, and the wrong functions that make it.

    The diagnosis may hold `{given[…]}`, `{yours[…]}`, `{right[…]}` (of the first call that differs, by name), `{times}`,
    `{moved}` and `{should_move}` (how far w moved). Braces of its own it writes twice.
    """

    name: str
    diagnosis: str
    variants: list[Callable] = field(default_factory=list)

    def also(self, wrong: Callable) -> Callable:
        """Decorator: another function that makes this mistake."""
        self.variants.append(wrong)
        return wrong


def mistake(diagnosis: str) -> Callable[[Callable], Mistake]:
    """Decorator: the function makes this mistake, under its own name."""
    return lambda wrong: Mistake(wrong.__name__, diagnosis, [wrong])


@dataclass(frozen=True)
class Difference:
    """The first call whose values are not the reference's."""

    yours: Step
    right: Step
    returns: tuple[str, ...]

    def sentence(self) -> str:
        """Which value differs, what it is, what was expected, and the arguments of the call."""
        values = list(zip(self.returns, self.yours.values, self.right.values))
        wrong = [show_difference(*value) for value in values if not agree(*value[1:])]
        fine = [f"{name} agrees" for name, *value in values if agree(*value)]
        given = ", ".join(f"{name} = {show(value)}" for name, value in self.yours.given.items())
        return f"{'; '.join(wrong + fine)}. The call had {given}."

    def facts(self) -> dict:
        """What a diagnosis can quote."""
        given, yours, right = (
            self.yours.given,
            dict(zip(self.returns, self.yours.values)),
            dict(zip(self.returns, self.right.values)),
        )
        facts = {
            key: {k: show(v) for k, v in x.items()} for key, x in (("given", given), ("yours", yours), ("right", right))
        }
        if "w" in given and "w" in yours:  # a rule: steps tell more than the places they lead to
            moved, should_move = yours["w"] - given["w"], right["w"] - given["w"]
            return facts | {"times": _times(moved, should_move), "moved": show(moved), "should_move": show(should_move)}
        name = next(k for k in self.returns if not agree(yours[k], right[k]))
        return facts | {"times": _times(yours[name], right[name])}


def _times(value, expected) -> str:
    """value / expected; of tensors and lists of them, at the element expected to be largest."""
    if isinstance(expected, (list, tuple)):
        value, expected = (
            torch.cat([x.flatten() for x in (*xs, torch.zeros(1).to(xs[0]))]) for xs in (value, expected)
        )
    if isinstance(expected, torch.Tensor):
        place = expected.abs().argmax()
        value, expected = value.flatten()[place].item(), expected.flatten()[place].item()
    return f"{value / expected:.3g}" if expected else "infinitely many"


class Recognition:
    """Which of the mistakes the reader's code makes: narrowed call by call, from the first that differs.

    It is the one that does the same to the end. Where none does, as the code slips again further on, it is the one that did so for
    `EVIDENCE` calls with wrong values. `trials()` are those of the mistakes; a right answer never asks for them.
    """

    def __init__(self, trials: Callable[[], Sequence[tuple[Mistake, Trial]]], expected: Trial):
        self.trials, self.expected = trials, expected
        self.candidates: list[tuple[Mistake, Trial]] | None = None
        self.evidence = 0

    def goes_on(self, trial: Trial) -> bool:
        """Whether calls after the last one of `trial` can still tell something."""
        calls, number = trial.calls, len(trial.calls) - 1
        differs = not same(calls[-1], self.expected.calls[number])
        if self.candidates is None and not differs:
            return True
        if self.candidates is None:
            with trial.untimed(), torch.enable_grad():
                trials = self.trials()
            alive = [(known, wrong) for known, wrong in trials if wrong.agreement(trial) == len(calls)]
        else:
            alive = [
                pair
                for pair in self.candidates
                if number < len(pair[1].calls) and same(pair[1].calls[number], calls[-1])
            ]
        if alive or self.candidates is None:
            self.candidates, self.evidence = alive, self.evidence + differs
            return bool(alive)
        self.candidates = self.candidates if self.evidence >= EVIDENCE else []
        return False

    def mistake(self) -> Mistake | None:
        """The mistake, if it is one alone."""
        names = {known.name: known for known, _ in self.candidates or ()}
        return next(iter(names.values())) if len(names) == 1 else None


class Exercise:
    """Compares a reader's function with the formula `reference`; calling the exercise prints one message and returns a Verdict.

    `returns` names the returned values; `source` says with what the reader's code agrees; `seconds` limits its time.
    """

    def __init__(
        self,
        reference: Callable,
        *,
        returns: Sequence[str],
        cases: Sequence[Case],
        mistakes: Sequence[Mistake],
        source: str,
        seconds: float = 5.0,
    ):
        self.name, self.source, self.seconds = reference.__name__, source, seconds
        self.form, self.cases, self.mistakes = Form(reference, tuple(returns)), list(cases), list(mistakes)

    def __call__(self, fn: Callable) -> Verdict:
        verdict = self.judge(fn)
        sentence, *printed = verdict.message.split("\n")
        print(textwrap.fill(sentence, WIDTH, break_on_hyphens=False), *printed, sep="\n")
        return verdict

    def judge(self, fn: Callable, *, seconds: float | None = None) -> Verdict:
        """The verdict on a function, without printing it; within `seconds`, if the exercise's own limit is not meant."""
        if reason := self.form.mismatch(fn):
            return Verdict(False, f"✗ {self.name}: {reason}")
        recognition = Recognition(lambda: self._known, self._expected)
        limit = self.seconds if seconds is None else seconds
        trial = attempt(fn, self.cases, self._expected, limit, recognition.goes_on)
        for number in range(len(self.cases)):
            for t, (yours, right) in enumerate(zip(trial.steps[number], self._expected.steps[number]), 1):
                if not (yours.values and same(yours, right)):
                    return self._rejected(trial, number, t, Difference(yours, right, self.form.returns), recognition)
        total = len(self.cases)
        return Verdict(True, f"✓ {self.name}: {total} of {total} cases agree with {self.source}.")

    def trial(self, fn: Callable) -> Trial:
        """What a trusted function does on the cases."""
        trial = Trial(fn, self.form, trusted=True)
        trial.play(self.cases, Printed())
        return trial

    @cached_property
    def _expected(self) -> Trial:
        return self.trial(self.form.reference)

    @cached_property
    def _known(self) -> list[tuple[Mistake, Trial]]:
        return [(known, self.trial(wrong)) for known in self.mistakes for wrong in known.variants]

    def _rejected(self, trial: Trial, number: int, t: int, found: Difference, recognition: "Recognition") -> Verdict:
        if isinstance(trial.problem, NotAttempted):
            return Verdict(False, f"○ {trial.problem}")
        case = self.cases[number]
        place = case.title + (f"; step {t}" if len(self._expected.steps[number]) > 1 else "")
        if found.yours.values:
            name, text = self._diagnosis(trial, found, case, recognition.mistake())
        else:
            name, text = None, str(trial.problem)  # no hint: it speaks of numbers that differ
        printed = f"\nThis call printed:\n{found.yours.printed.rstrip()}" if found.yours.printed.strip() else ""
        return Verdict(False, f"✗ {self.name}, case {number + 1} of {len(self.cases)} ({place}): {text}{printed}", name)

    def _diagnosis(
        self, trial: Trial, difference: Difference, case: Case, known: Mistake | None
    ) -> tuple[str | None, str]:
        """The mistake that the code makes; else what its values say; else the difference itself."""
        if known:
            return known.name, known.diagnosis.format_map(difference.facts())
        if text := next(
            filter(None, map(not_finite, self.form.returns, difference.yours.values, difference.right.values)), None
        ):
            return None, text
        if not trial.repeatable:
            return None, (
                f"{name_of(trial.fn)} answers the same call in two ways, so it keeps something between calls or draws random numbers. "
                "What it returns must depend on its arguments alone; all that it remembers must come in as one and go out with `return`."
            )
        if all(map(nearly, difference.yours.values, difference.right.values)):
            return None, (
                f"{difference.sentence()} These are the right numbers, but to about 7 digits only: somewhere they go through float32, or something tiny is added. "
                "Look for `.float()`, for numpy's float32, for a tensor that is made without `dtype=`, and for an epsilon."
            )
        return None, f"{difference.sentence()} {case.look}".rstrip()
