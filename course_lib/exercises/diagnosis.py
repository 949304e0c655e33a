"""Exercises of another kind: a recorded training run with a planted fault, to be named with the observation that proves it.

Every observation is true of the run. All but one are true of another suspect's runs as well: only one is a proof.
"""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from string import ascii_uppercase
from typing import Any

from course_lib.exercises.compare import kind
from course_lib.exercises.exercise import WIDTH, Verdict
from course_lib.exercises.form import name_of, no_function
from course_lib.exercises.sandbox import limited, undisturbed
from course_lib.exercises.trial import Problem, exception_sentence, late, where
from course_lib.experiments.studies.faults import Run

SECONDS = 5.0  # for the reader's function


@dataclass(frozen=True)
class Suspect:
    """A fault that a run may have: `plant(seed)` makes a run that has it.

    The `alibi` says why the recorded run is not one of them. `refutes(run)` is the fact behind it: true of the recorded run,
    false of the suspect's own. The culprit has neither.
    """

    name: str
    plant: Callable[[int], Any]
    alibi: str = ""
    refutes: Callable[[Any], bool] | None = None


@dataclass(frozen=True)
class Observation:
    """Something that is true of the recorded run, `seen(run)`, and just as true of the runs of the suspects in `fits`."""

    text: str
    seen: Callable[[Any], bool]
    fits: tuple[Suspect, ...] = ()


class Diagnosis:
    """A recorded run, suspects and observations; calling it with a reader's function prints one message and returns a Verdict.

    The function takes nothing and returns the letter of a suspect and the number of an observation. One suspect, without an
    alibi, is the culprit; one observation, which fits no other suspect, is the proof. A right answer is not repeated in the
    message, as a notebook holds it for nbval to compare, where a reader would see it first. `read(name)` reads the record, a
    Run if nothing else is said.
    """

    def __init__(
        self,
        name: str,
        suspects: Sequence[Suspect],
        observations: Sequence[Observation],
        read: Callable[[str], Any] = Run.read,
    ):
        self.name, self.read = name, read
        self.suspects = dict(zip(ascii_uppercase, suspects))
        self.observations = dict(enumerate(observations, 1))
        (self.culprit,) = (letter for letter, suspect in self.suspects.items() if not suspect.alibi)
        (self.proof,) = (number for number, observation in self.observations.items() if not observation.fits)

    @property
    def run(self) -> Any:
        """The recorded run, or whatever else `read` reads: a dataclass of tensors."""
        return self.read(self.name)

    def question(self) -> None:
        """Print the suspects, with their letters, and the observations, with their numbers."""
        for title, entries in (("Suspects", self.suspects), ("Observations", self.observations)):
            print(title)
            for key, entry in entries.items():
                text = entry.name if title == "Suspects" else entry.text
                print(
                    textwrap.fill(
                        f"{key}  {text}", WIDTH, initial_indent="  ", subsequent_indent="     ", break_on_hyphens=False
                    )
                )

    def __call__(self, fn: Callable) -> Verdict:
        verdict = self.judge(fn)
        print(textwrap.fill(verdict.message, WIDTH, break_on_hyphens=False))
        return verdict

    def judge(self, fn: Callable) -> Verdict:
        """The verdict on a function, without printing it. `mistake` is the letter or the number that is wrong."""
        if reason := no_function(fn) or _wants_arguments(fn):
            return Verdict(False, f"✗ {self.name}: {reason}")
        try:
            returned = _call(fn)
        except Problem as problem:
            return Verdict(False, f"✗ {problem} The function takes nothing and returns a letter and a number.")
        if returned is ...:
            return Verdict(
                False,
                f'○ Not attempted yet: {name_of(fn)} still returns `...`. Return a letter and a number, as in `return "A", 1`.',
            )
        letter, number, reason = self._parts(returned)
        if reason:
            return Verdict(
                False,
                f'✗ {reason} Return the letter of a suspect and the number of an observation, as in `return "A", 1`.',
            )
        return self._verdict(letter, number)

    def _parts(self, returned) -> tuple[str, int, str | None]:
        """The letter, the number, and what is wrong with their form."""
        if returned is None:
            return "", 0, "Your function returns None: does each way through it end with `return`?"
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            return "", 0, f"Your function returns {_shown(returned)}."
        letter, number = returned
        if letter is ... or number is ...:
            return "", 0, "One of the two is still `...`."
        letter = letter.strip().upper() if isinstance(letter, str) else letter
        if not isinstance(letter, str) or letter not in self.suspects:
            return "", 0, f"There is no suspect {_shown(letter)}: they are {', '.join(self.suspects)}."
        if not isinstance(number, Integral) or isinstance(number, bool) or int(number) not in self.observations:
            return (
                "",
                0,
                f"There is no observation {_shown(number)}: they are {', '.join(map(str, self.observations))}.",
            )
        return letter, int(number), None

    def _verdict(self, letter: str, number: int) -> Verdict:
        suspect, observation = self.suspects[letter], self.observations[number]
        if letter != self.culprit:
            return Verdict(False, f"✗ {letter} is innocent. {suspect.alibi}", letter)
        if number != self.proof:
            others = " and ".join(key for key, other in self.suspects.items() if other in observation.fits)
            return Verdict(
                False,
                f"✗ {letter} is possible, but observation {number} does not prove it: it is as true of runs with the fault {others}. "
                "Which observation is true of no other suspect?",
                str(number),
            )
        return Verdict(True, f"✓ {self.name}: the culprit is named, and the observation proves it.")


def _wants_arguments(fn: Callable) -> str | None:
    try:
        inspect.signature(fn).bind()
    except TypeError:
        return f"{name_of(fn)} needs an argument, and is called with none. Write its first line with () again."
    except ValueError:  # a builtin without a signature: calling it will tell
        return None
    return None


def _shown(value: Any) -> str:
    """A text or a plain number as one would write it, of anything else its type."""
    if isinstance(value, (str, int, float, tuple, list)):
        return textwrap.shorten(repr(value), 60, placeholder=" …")
    return kind(value)


def _call(fn: Callable):
    """What the reader's function returns; a Problem if it raises, or does not end."""
    returned, raised = [], []

    def work() -> None:
        try:
            returned.append(fn())
        except (Exception, SystemExit) as error:
            raised.append(error)

    with undisturbed():
        place = limited(work, lambda: SECONDS)
    if place is not None:
        raise Problem(late(fn, SECONDS, where(fn, place)))
    if raised:
        raise Problem(exception_sentence(fn, raised[0])) from None
    return returned[0]
