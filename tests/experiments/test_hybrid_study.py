"""The link that is fitted to two all-reduces, and the times that go into it, on real processes."""

import pytest
import torch

from course_lib.experiments.studies.hybrid import fit_link, median_seconds, timed_steps
from course_lib.formulas.parallel_costs import all_reduce_seconds
from course_lib.parallel import launch


@pytest.mark.parametrize("n", [2, 4, 7])
def test_a_link_is_found_again(n):
    sizes = torch.tensor([1e3, 1e5, 1e7], dtype=torch.float64)
    seconds = all_reduce_seconds(sizes, n=n, bandwidth=3e9, latency=4e-5)
    assert fit_link(sizes.tolist(), seconds, n) == pytest.approx((3e9, 4e-5))


def test_a_busy_machine_is_told():
    with pytest.raises(
        ValueError, match="An all-reduce of 100 bytes took 0.1 s, one of 10 bytes 0.2 s: the machine is too busy"
    ):
        fit_link([10, 100], torch.tensor([0.2, 0.1]), 2)


def test_both_ranks_have_the_same_times_and_the_gradients_are_counted():
    first, second = launch(timed_steps, (8,), (64, 4096), 4, 3, processes=2, check=False)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["gradients"].tolist() == [4 * (65 * 8 + 9 * 8 + 9 * 10)]
    assert {name: len(x) for name, x in first.items()} == {"compute": 1, "whole": 1, "reduce": 2, "gradients": 1}
    assert all((first[name] > 0).all() for name in first)


def counted_median():
    """How often an action of three repeats is called, and whether its median is a time."""
    calls = []
    return median_seconds(lambda: calls.append(0), 3) >= 0, len(calls)


def test_the_first_call_is_not_counted():
    assert launch(counted_median, processes=2) == [(True, 4)] * 2
