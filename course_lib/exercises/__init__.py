"""Checks that know the classic mistakes. An exercise's module exports `check`; `check(fn)` prints what it found."""

from course_lib.exercises.cases import Case, once, several
from course_lib.exercises.exercise import Exercise, Mistake, Verdict, mistake
from course_lib.exercises.rule_cases import rule_cases, walk

__all__ = ["Case", "Exercise", "Mistake", "Verdict", "mistake", "once", "rule_cases", "several", "walk"]
