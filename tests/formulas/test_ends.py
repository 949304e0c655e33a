"""Three ends of a run: reached, not settled, diverged; on runs whose end is known by hand."""

import math

import pytest
import torch
from torch.func import vmap

from course_lib.experiments import sweep
from course_lib.experiments.arrivals import ends
from course_lib.formulas import gradient_descent, momentum, quadratic, rmsprop, rosenbrock
from course_lib.formulas.ends import DIVERGED, NOT_SETTLED, REACHED

GOAL, KAPPA = 1e-6, 20.0


def ended(rule, steps, surface=quadratic, start=(-2.2, 1.2), **hyper):
    """(end, highest loss of the second half, all losses) of each run."""
    there = {k: hyper[k] for k in ("condition_number",) if k in hyper}
    path = sweep(rule, surface, start, steps, **hyper)
    losses = vmap(vmap(lambda w: surface(w, **there)))(path)
    return *ends(losses, GOAL), losses


def test_rmsprop_at_a_rate_far_too_large_swings_for_ever_between_fixed_values():
    """Both coordinates jump between ± η / 2, where the loss is (1 + κ) η² / 8: bounded, however large."""
    rates = torch.tensor([17.9, 50.0, 1000.0], dtype=torch.float64)
    end, high, losses = ended(rmsprop, 400, lr=rates, condition_number=KAPPA)
    assert end.tolist() == [NOT_SETTLED] * 3
    assert losses[-1] == pytest.approx((1 + KAPPA) * rates**2 / 8, rel=1e-3)
    assert high == pytest.approx(losses[-1], rel=1e-2)


def test_gradient_descent_reaches_below_its_edge_and_diverges_above_it():
    rates = torch.tensor([0.5, 0.9, 1.01, 1.5, 40.0], dtype=torch.float64) * 2 / KAPPA
    end, _, losses = ended(gradient_descent, 400, lr=rates, condition_number=KAPPA)
    assert end.tolist() == [REACHED, REACHED, DIVERGED, DIVERGED, DIVERGED]
    assert losses[-1, 2] < 1e9  # long before anything overflows


def test_at_its_edge_gradient_descent_does_not_settle():
    """It flips between two points for ever: the loss stays κ y² / 2."""
    end, high, _ = ended(gradient_descent, 400, start=(0.0, 1.2), lr=2 / KAPPA, condition_number=KAPPA)
    assert end.tolist() == [NOT_SETTLED] and high.item() == pytest.approx(KAPPA * 1.2**2 / 2)


def test_a_run_that_is_still_on_its_way_has_not_settled():
    end, high, losses = ended(gradient_descent, 50, lr=1e-3, condition_number=KAPPA)
    assert end.tolist() == [NOT_SETTLED] and high.item() == losses[26].item()


def test_a_run_that_overflows_has_diverged():
    end, _, losses = ended(momentum, 100, rosenbrock, start=(-1.2, 1.0), lr=1.0)
    assert end.tolist() == [DIVERGED] and not losses[-1].isfinite()


@pytest.mark.parametrize(
    ("losses", "end"),
    [
        ([0.0], REACHED),
        ([1.0], NOT_SETTLED),
        ([1.0, 900.0], NOT_SETTLED),
        ([1.0, 1100.0], DIVERGED),
        ([1.0, 0.0, 0.0, 1.0], NOT_SETTLED),  # it was at the goal, and left
        ([1.0, 3.0, 0.0, 0.0], REACHED),
        ([1.0, 0.5, 90.0, 0.5], NOT_SETTLED),  # a spike
        ([1.0, math.nan, 0.0, 0.0], DIVERGED),  # not a number comes from no finite run
        ([1.0, 0.0, 0.0, math.inf], DIVERGED),
        ([1e-9, 1e-8, 5e-7, 1e-6], REACHED),  # whatever grows below the goal
    ],
    ids=str,
)
def test_the_rule_by_hand(losses, end):
    assert ends(torch.tensor(losses, dtype=torch.float64), GOAL)[0] == end
