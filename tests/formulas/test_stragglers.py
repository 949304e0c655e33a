"""Stragglers: the mean of the slowest against draws, SciPy-free special functions against torch's, delays against the roots."""

import itertools
import math

import pytest
import torch

from course_lib.backends.trace import trace
from course_lib.formulas import stragglers
from course_lib.formulas.stragglers import SLOWEST, TIMES, amdahl, backup_speed_up, largest_stable_rate, speed_up

DRAWS = 40_000
SPREAD = torch.tensor(0.4, dtype=torch.float64)
EACH = pytest.mark.parametrize("name", TIMES)


def count(*values):
    return torch.tensor(values, dtype=torch.float64)


def times(name, n, spread=SPREAD, seed=0):
    """Draws of the distribution, (DRAWS, n)."""
    generator = torch.Generator().manual_seed(seed)
    u, v = (torch.rand(DRAWS, n, generator=generator, dtype=torch.float64) for _ in range(2))
    return TIMES[name](u, v, spread=spread)


def assert_mean(draws, expected, errors=4.5):
    """The mean of the draws is the expected one, within so many of its standard errors (4.5: one in 100,000 is outside)."""
    error = draws.std() / len(draws) ** 0.5
    assert abs(draws.mean() - expected) <= errors * error + 1e-9


@EACH
def test_draws_have_the_mean_1_and_the_spread(name):
    drawn = times(name, 8).flatten()
    assert (drawn > 0).all()
    assert_mean(drawn, 1.0)
    if name not in ("constant", "Pareto"):  # a Pareto's own deviation converges too slowly to be tested
        assert drawn.std() == pytest.approx(SPREAD.item(), rel=0.02)


def test_the_deviation_of_a_pareto_is_the_spread():
    for spread in (0.1, 0.4, 1.0):
        a = stragglers.tail_index(spread)
        assert 1 / math.sqrt(a * (a - 2)) == pytest.approx(spread)


@EACH
@pytest.mark.parametrize(("n", "dropped"), [(1, 0), (2, 0), (8, 0), (40, 0), (8, 1), (8, 5), (40, 4)])
def test_the_slowest_but_a_few_is_late_as_the_formula_says(name, n, dropped):
    ordered = times(name, n).sort(1).values
    assert_mean(ordered[:, n - 1 - dropped], SLOWEST[name](count(n), count(dropped), spread=SPREAD))


@EACH
def test_one_machine_needs_the_mean_whatever_the_distribution(name):
    for spread in (0.05, 0.2, 0.5):
        (slowest,) = SLOWEST[name](count(1), spread=torch.tensor(spread, dtype=torch.float64))
        assert slowest == pytest.approx(1.0, abs=1e-9)


def test_the_exponential_is_the_harmonic_number():
    n = torch.arange(1, 301, dtype=torch.float64)
    sums = torch.cumsum(1 / n, 0)
    torch.testing.assert_close(SLOWEST["exponential"](n, spread=count(1.0)), sums, rtol=1e-10, atol=0)


def test_the_special_functions_are_torchs():
    x = torch.cat([torch.linspace(0.05, 3, 60), torch.arange(4, 400)]).double()
    torch.testing.assert_close(stragglers.log_gamma(x), torch.lgamma(x), rtol=1e-10, atol=1e-10)
    expected = torch.digamma(x + 1) + stragglers.EULER
    torch.testing.assert_close(stragglers.harmonic(x), expected, rtol=1e-10, atol=1e-10)


@EACH
def test_the_slowest_traces_to_the_same_numbers(name):
    for formula, shapes in (
        (lambda n, dropped, spread: SLOWEST[name](n, dropped, spread=spread), ("n", "dropped", "spread")),
        (lambda u, v, spread: TIMES[name](u, v, spread=spread), ("u", "v", "spread")),
    ):
        traced = trace(lambda given: {"result": formula(**given)}, dict.fromkeys(shapes, ()), name="traced")
        assert "result" in traced.outputs


def test_amdahl_ends_below_one_over_the_serial_share():
    n = count(1, 2, 10, 1e9)
    torch.testing.assert_close(amdahl(n, serial=0.1), count(1, 1 / 0.55, 1 / 0.19, 10), rtol=1e-7, atol=0)
    torch.testing.assert_close(amdahl(n, serial=0.1), speed_up(n, count(1.0), serial=0.1), rtol=1e-12, atol=0)


def test_with_latency_there_is_a_best_number_of_machines():
    n = torch.arange(1, 101, dtype=torch.float64)
    best = n[speed_up(n, 1.0, serial=0.2, latency=1e-3).argmax()]
    assert best == math.sqrt(0.8 / 2e-3)  # where its derivative is 0; 20


def test_backup_workers_deliver_what_is_counted():
    """Examples per time of 40,000 simulated steps: 12 machines, without the slowest two."""
    taken = times("Pareto", 12).sort(1).values[:, 9]
    expected = backup_speed_up(12.0, 2.0, SLOWEST["Pareto"](count(12), count(2), spread=SPREAD))
    assert 10 * DRAWS / taken.sum() == pytest.approx(expected.item(), rel=0.01)


@pytest.mark.parametrize(("delay", "h"), [*itertools.product([0, 1, 2, 5, 16], [0.5, 3.0])])
def test_a_stale_descent_is_stable_below_the_rate_and_not_above(delay, h):
    """The recurrence as a matrix on the last delay + 1 values: it converges if no eigenvalue is longer than 1."""
    bound = largest_stable_rate(torch.tensor(float(delay), dtype=torch.float64), h).item()

    def longest(lr):
        matrix = torch.diag(torch.ones(delay, dtype=torch.float64), -1)
        matrix[0, 0] += 1
        matrix[0, -1] -= lr * h
        return torch.linalg.eigvals(matrix).abs().max().item()

    assert longest(0.999 * bound) < 1 < longest(1.001 * bound)


def test_the_checkpoint_interval_loses_least():
    """Against the exact time for a piece of work between exponential failures, m (exp((interval + save)/m) - 1)."""
    save, m = 1.0, 2000.0
    intervals = torch.linspace(5, 400, 3951, dtype=torch.float64)
    exact = m * torch.expm1((intervals + save) / m) / intervals - 1
    best = stragglers.checkpoint_interval(save, m)
    assert best == pytest.approx(intervals[exact.argmin()].item(), rel=0.02)
    assert intervals[stragglers.lost_share(intervals, save, m).argmin()] == pytest.approx(best, abs=0.1)
    assert stragglers.lost_share(best, save, m) == pytest.approx(exact.min().item(), rel=0.05)
