"""No small change of a solution passes unless it changes nothing, no right answer in another style is turned away, each hint is true."""

from functools import cache

import pytest
from exercise_proofs import PROOFS, SOLUTIONS

SOLVED = [pytest.param(solution, id=solution.name) for solution in SOLUTIONS]
STYLES = [
    pytest.param(solution.check, fn, id=f"{solution.name}-{fn.__name__}")
    for solution in SOLUTIONS
    for fn in solution.proof["STYLES"]
]
WRONG = [
    pytest.param(solution.check, fn, id=f"{solution.name}-{fn.__name__}")
    for solution in SOLUTIONS
    for fn in solution.proof.get("WRONG", [])
]
HALF_A_SECOND = 0.5  # for mutants that never end; those that are right may take a busy machine's time
# What interrupts a mutant may meet it in a callback of a weak reference, where Python can only report it.
INTERRUPTED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@cache
def verdicts(solution):
    """Each mutant of a solution with the verdict on it; those that are right have the time of an answer, on any machine."""
    check, right = solution.quick, solution.proof["EQUIVALENT"]
    return [
        (mutant, check.judge(mutant.fn, seconds=None if mutant.text in right else HALF_A_SECOND))
        for mutant in solution.mutants()
    ]


@INTERRUPTED
@pytest.mark.parametrize("solution", SOLVED)
def test_every_mutant_that_differs_is_rejected(solution):
    equivalent = solution.proof["EQUIVALENT"]
    accepted = {mutant.text for mutant, verdict in verdicts(solution) if verdict.passed}
    total = len(verdicts(solution))
    print(
        f"{solution.name}: {total - len(accepted)} of {total - len(equivalent)} mutants rejected, {len(equivalent)} are right answers"
    )
    assert accepted == set(equivalent)
    assert all(reason.strip() for reason in equivalent.values())


@INTERRUPTED
@pytest.mark.parametrize("solution", SOLVED)
def test_nine_in_ten_that_are_told_a_hint_are_what_it_speaks_of(solution):
    untrue = solution.untrue_hints(verdicts(solution))
    assert {title: texts for title, (reached, texts) in untrue.items() if len(texts) > reached / 10} == {}


@pytest.mark.parametrize("solution", SOLVED)
def test_the_solution_itself_and_ten_others_are_right(solution):
    assert solution.check.judge(solution.fn).passed
    styles = solution.proof["STYLES"]
    assert len({fn.__name__ for fn in styles}) == len(styles) >= 10


@pytest.mark.parametrize("check, fn", STYLES)
def test_a_right_answer_in_another_style_is_accepted(check, fn):
    verdict = check.judge(fn)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize("check, fn", WRONG)
def test_what_was_once_accepted_is_rejected(check, fn):
    assert not check.judge(fn).passed


def test_each_exercise_has_its_proof_and_each_proof_its_exercise():
    assert {path.stem for path in PROOFS.glob("*.py")} == {solution.name for solution in SOLUTIONS}
