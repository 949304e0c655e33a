"""The machines agree as tolerances.py says, rule by rule, and the table would see a rule that is not quite the same."""

import itertools

import pytest
import torch

from course_lib.experiments import sweep
from course_lib.experiments.tolerances import (
    FLOAT32,
    STEPS,
    TYPICAL,
    deviation,
    deviations,
    has_tolerance,
    main,
    runs,
    tolerance,
)
from course_lib.formulas import RULES, SECOND_ORDER, adam, gradient_descent, newton_backtracking, quadratic, rosenbrock
from course_lib.formulas.signature import signature
from course_lib.formulas.surfaces import SURFACES

MEASURED = {name: (RULES | SECOND_ORDER)[name] for name in FLOAT32}
RATES = (0.01, 0.1, 1.0, 3.0, 10.0)  # times the default


def few_runs(rule, surface):
    """A sweep's arguments: from 16 starts, each with all RATES."""
    return runs(rule, surface, starts=16, rates=RATES, far=0)


# A rule is compiled, which takes seconds, for one surface of the two; test_numba.py interprets its text for all surfaces.
@pytest.mark.parametrize(("name", "surface"), list(zip(FLOAT32, itertools.cycle(["rosenbrock", "himmelblau"]))))
def test_numba_is_as_near_to_pytorch_as_the_table_says(name, surface):
    rule, surface = MEASURED[name], SURFACES[surface]
    found = deviations(rule, surface, **few_runs(rule, surface))
    assert len(found) >= 16
    assert found.max() <= tolerance(rule, surface.formula, torch.float32) and found.median() <= TYPICAL


@pytest.mark.parametrize("name", [name for name in FLOAT32 if "lr" in signature(MEASURED[name]).hyper])
def test_a_rate_that_is_two_percent_off_is_seen(name):
    rule = MEASURED[name]
    given = few_runs(rule, SURFACES["rosenbrock"])
    path, expected = (
        sweep(rule, rosenbrock, steps=STEPS, machine="torch", dtype=torch.float32, **given | {"lr": given["lr"] * off})
        for off in (1.02, 1.0)
    )
    counts = has_tolerance(expected, sweep(rule, rosenbrock, steps=STEPS, machine="torch", **given))
    found = deviation(path, expected)[counts]
    assert found.max() > tolerance(rule, rosenbrock, torch.float32) and found.median() > TYPICAL


def test_every_rule_has_a_tolerance():
    assert FLOAT32.keys() == RULES.keys() | {"newton", "backtracking_descent"}


def test_float64_by_what_the_formulas_use():
    assert tolerance(gradient_descent, rosenbrock, torch.float64) == 1e-12
    assert (
        tolerance(gradient_descent, quadratic, torch.float64) == tolerance(adam, rosenbrock, torch.float64) == 1e-9
    )  # a cosine, and a power


def test_where_nothing_is_promised():
    with pytest.raises(
        ValueError,
        match="No tolerance has been measured for newton_backtracking in float32. In float32 there is one for: gradient_descent, ",
    ):
        tolerance(newton_backtracking, rosenbrock, torch.float32)
    with pytest.raises(ValueError, match="No tolerance has been measured for adam in float16"):
        tolerance(adam, rosenbrock, torch.float16)


def test_a_deviation_is_relative_to_large_numbers_and_absolute_for_small_ones():
    inf, nan = torch.inf, torch.nan
    expected = torch.tensor([[[0.0, 99.0], [inf, nan], [1.0, 1.0], [inf, 0.0]]])
    path = torch.tensor([[[0.5, 99.0 + 25.0], [1.0, nan], [1.0, nan], [inf, 0.0]]])
    torch.testing.assert_close(deviation(path, expected), torch.tensor([0.5, inf, inf, 0.0]))


def test_which_runs_count():
    single = torch.tensor([[[1.0, 1.0], [1e3, 1.0], [1.0, 1.0], [torch.nan, 1.0]]])
    double = torch.tensor([[[1.0, 1.0], [1e3, 1.0], [1.0, 1.001], [torch.nan, 1.0]]], dtype=torch.float64)
    assert has_tolerance(single, double).tolist() == [True, False, False, False]


def test_the_script_prints_what_it_measures(capsys):
    main(["rprop"])
    head, row = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["rule", "runs", "median", "largest", "float32"]
    assert (row[0], row[-1]) == ("rprop", "1e-06")
    assert 1500 < int(row[1].replace(",", "")) <= 6 * (7 * 64 + 8) and float(row[3]) <= 1e-6
    with pytest.raises(SystemExit, match="^No such rule: adan. There are: gradient_descent, "):
        main(["adan"])
