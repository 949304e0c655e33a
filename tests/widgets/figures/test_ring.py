"""Ring with a kernel: its numbers are the formulas', and settings outside the limits are named."""

import pytest

from course_lib.widgets import Ring


@pytest.mark.parametrize("n", [2, 3, 8])
def test_what_the_busiest_machine_sends(n):
    assert Ring(n, size=10.0).sent.tolist() == pytest.approx([20 * (n - 1) / n] * n)
    assert Ring(n, "naive", size=10.0).sent.tolist() == [10 * (n - 1)] + [10] * (n - 1)
    assert Ring(n, "tree", size=10.0).sent.sum() == pytest.approx(20 * (n - 1))


def test_the_text_alternative_states_the_result():
    assert Ring(4, step=2, size=100, bandwidth=10, latency=10).alt == (
        "An all-reduce of 100 MB over 4 machines by the algorithm ring, after 2 of 6 rounds. In the end the busiest machine has sent "
        "150 MB; it takes 15.1 ms."
    )
    assert "after 4 of 4 rounds" in Ring(4, "tree", step=14).alt


@pytest.mark.parametrize("settings, message", [
    ({"algorithm": "star"}, "algorithm must be one of ring, tree, naive, got 'star'."), ({"n": 9}, "n must be"),
    ({"step": 15}, "step must be"), ({"bandwidth": 0.0}, "bandwidth must lie between 0.01 and 1000, got 0."),
])  # fmt: skip
def test_a_setting_outside_the_limits_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Ring(**settings)
