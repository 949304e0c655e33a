"""Every exercise accepts its reference and rejects each of its classic mistakes with that mistake's own diagnosis."""

import importlib
import itertools
import pkgutil
import re

import pytest

import course_lib.exercises
from course_lib.exercises import Exercise, Mistake
from course_lib.exercises.exercise import WIDTH


def exercises():
    for module in pkgutil.iter_modules(course_lib.exercises.__path__):
        found = importlib.import_module(f"course_lib.exercises.{module.name}")
        if isinstance(getattr(found, "check", None), Exercise):
            yield pytest.param(found, id=module.name)


def mistakes():
    for parameter in exercises():
        (module,) = parameter.values
        for known in module.check.mistakes:
            for wrong in known.variants:
                yield pytest.param(module.check, known, wrong, id=f"{parameter.id}-{wrong.__name__}")


EXERCISES, MISTAKES = list(exercises()), list(mistakes())


@pytest.mark.parametrize("module", EXERCISES)
def test_the_reference_passes(module, capsys):
    check = module.check
    assert check(check.form.reference).passed
    line = f"✓ {check.name}: {len(check.cases)} of {len(check.cases)} cases agree with {check.source}.\n"
    assert capsys.readouterr().out == line and len(line) <= WIDTH


@pytest.mark.parametrize("check, known, wrong", MISTAKES)
def test_a_mistake_is_told_by_name(check, known, wrong):
    verdict = check.judge(wrong)
    assert (verdict.passed, verdict.mistake) == (False, known.name), verdict.message
    assert re.match(rf"✗ {check.name}, case \d+ of {len(check.cases)} \(.+?\): ", verdict.message)
    assert not re.search(r"[{}]|None|nan|infinitely", verdict.message)


@pytest.mark.parametrize("module", EXERCISES)
def test_no_two_mistakes_are_confused(module):
    trials = [(known, module.check.trial(wrong)) for known in module.check.mistakes for wrong in known.variants]
    for (one, a), (other, b) in itertools.combinations(trials, 2):
        assert one is other or not a.agrees_with(b), f"{one.name} and {other.name} do the same on all cases"


@pytest.mark.parametrize("module", EXERCISES)
def test_every_mistake_of_the_module_is_known_to_its_check(module):
    written = {value.name for value in vars(module).values() if isinstance(value, Mistake)}
    assert written == {known.name for known in module.check.mistakes}
    assert len({known.diagnosis for known in module.check.mistakes}) == len(written) >= 5
