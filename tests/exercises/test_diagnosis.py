"""Every recorded run has its planted fault, every alibi holds, and one observation alone is a proof: on runs from several seeds."""

import importlib
import pkgutil
import sys
from dataclasses import fields
from functools import partial

import numpy
import pytest
import torch

import course_lib.exercises
from course_lib.exercises import Exercise
from course_lib.exercises.diagnosis import Diagnosis
from course_lib.exercises.exercise import WIDTH
from course_lib.experiments import recorded

SEEDS = range(2)


def modules():
    for module in pkgutil.iter_modules(course_lib.exercises.__path__):
        found = importlib.import_module(f"course_lib.exercises.{module.name}")
        if isinstance(getattr(found, "check", None), Diagnosis):
            yield pytest.param(found.check, id=module.name)


DIAGNOSES = list(modules())
RUNS = {}


def runs(check, letter):
    """The runs of a suspect, one for each seed."""
    key = check.name, letter
    if key not in RUNS:
        RUNS[key] = [check.suspects[letter].plant(seed) for seed in SEEDS]
    return RUNS[key]


def answers(*returned):
    return lambda: returned if len(returned) > 1 else returned[0]


def test_there_is_one_in_each_of_the_first_two_parts():
    assert len(DIAGNOSES) >= 2


@pytest.mark.parametrize("check", DIAGNOSES)
def test_the_recorded_run_is_the_culprits(check):
    again, recorded = runs(check, check.culprit)[0], check.run
    for field in fields(recorded):  # later steps magnify the rounding of another processor
        ours, theirs = getattr(again, field.name), getattr(recorded, field.name)
        of_a_histogram = ours.dim() == 2  # where rounding may move a value into the next bin
        torch.testing.assert_close(ours[:10], theirs[:10], rtol=1e-3, atol=1e-3 * of_a_histogram)
        assert len(ours) == len(theirs)


@pytest.mark.parametrize("check", DIAGNOSES)
def test_every_alibi_is_true_of_the_record_and_false_of_the_suspect(check):
    for letter, suspect in check.suspects.items():
        if letter != check.culprit:
            assert suspect.refutes(check.run), letter
            assert not any(suspect.refutes(run) for run in runs(check, letter)), letter


@pytest.mark.parametrize("check", DIAGNOSES)
def test_every_observation_is_true_and_one_is_a_proof(check):
    for number, observation in check.observations.items():
        assert [r for r in (check.run, *runs(check, check.culprit)) if not observation.seen(r)] == [], number
        for letter, suspect in check.suspects.items():
            if suspect in observation.fits:
                assert [run for run in runs(check, letter) if not observation.seen(run)] == [], (number, letter)
            if number == check.proof and letter != check.culprit:
                assert not any(map(observation.seen, runs(check, letter))), (number, letter)


@pytest.mark.parametrize("check", DIAGNOSES)
def test_the_verdicts(check, capsys):
    for letter, suspect in check.suspects.items():
        for number, observation in check.observations.items():
            verdict = check(answers(letter, number))
            assert verdict.passed == (letter == check.culprit and number == check.proof)
            if letter != check.culprit:
                assert (verdict.mistake, verdict.message) == (letter, f"✗ {letter} is innocent. {suspect.alibi}")
            elif number != check.proof:
                assert verdict.mistake == str(number) and "it is as true of runs with the fault " in verdict.message
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > WIDTH] == []
    right = check.judge(answers(check.culprit.lower(), check.proof))
    assert right.passed and right.message == f"✓ {check.name}: the culprit is named, and the observation proves it."


@pytest.mark.parametrize(
    "answer, sentence",
    [
        (answers(...), "○ Not attempted yet: <lambda> still returns `...`."),
        (answers(..., 1), "One of the two is still `...`."),
        (answers("A", ...), "One of the two is still `...`."),
        (answers(None), "Your function returns None: does each way through it end with `return`?"),
        (answers("A"), "Your function returns 'A'."),
        (answers("A", 1, 2), "Your function returns ('A', 1, 2)."),
        (answers({"A": 1}), "Your function returns a Python dict."),
        (lambda: (x for x in ("A", 1)), "Your function returns a Python generator."),
        (answers(torch.ones(2)), "Your function returns a tensor of shape (2,)."),
        (answers("Z", 1), "There is no suspect 'Z': they are A, B, C"),
        (answers(1, "A"), "There is no suspect 1"),
        (answers("A", 0), "There is no observation 0: they are 1, 2, 3"),
        (answers("A", True), "There is no observation True"),
        (answers("A", 1.0), "There is no observation 1.0"),
        (answers("A", "1"), "There is no observation '1': they are 1, 2, 3"),
        (answers(["A"], 1), "There is no suspect ['A']: they are A, B, C"),
        (
            lambda x: ("A", 1),
            "<lambda> needs an argument, and is called with none. Write its first line with () again.",
        ),
        (lambda: 1 / 0, "<lambda> raises ZeroDivisionError at line "),
        (lambda: sys.exit("bye"), "<lambda> raises SystemExit at line "),
        (
            ("A", 1),
            "this check takes your function itself, its name without parentheses after it; it got a value of type tuple.",
        ),
        (Exercise, "it got the class Exercise."),
    ],
)
def test_what_is_no_answer(answer, sentence):
    (check,) = DIAGNOSES[0].values
    verdict = check.judge(answer)
    assert not verdict.passed and sentence.replace("<lambda>", "your function") in verdict.message


def test_an_endless_answer(monkeypatch):
    import course_lib.exercises.diagnosis as module

    monkeypatch.setattr(module, "SECONDS", 0.2)

    def endless():
        while True:
            pass

    (check,) = DIAGNOSES[0].values
    assert "endless did not end within 0.2 seconds: it was at line " in check.judge(endless).message


@pytest.mark.parametrize("check", DIAGNOSES)
def test_the_right_answer_in_other_spellings(check):
    letter, number = check.culprit, check.proof
    spellings = (
        (letter, numpy.int64(number)),
        (f" {letter.lower()} ", number),
        [letter, number],
        (numpy.str_(letter), number),
    )
    for spelling in spellings:
        assert check.judge(lambda: spelling).passed, spelling

    def with_a_default(sure=True):
        return letter, number

    assert check.judge(with_a_default).passed and check.judge(partial(answers(letter, number))).passed


@pytest.mark.parametrize("check", DIAGNOSES)
def test_the_question_fits_the_column_and_names_all(check, capsys):
    check.question()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    assert [line[2] for line in lines if line[2:3].isalnum() and line[3:5] == "  "] == [
        *check.suspects,
        *map(str, check.observations),
    ]


@pytest.mark.parametrize("check", DIAGNOSES)
def test_the_run_is_that_of_the_records_first_seed(check):
    record = recorded(check.name)
    assert record.seeds[0] == 0 and torch.equal(check.run.largest, record["largest"][0])
