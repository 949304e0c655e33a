"""RateMap with a kernel: what theory predicts is what a run measures, and settings outside the limits are named."""

import itertools
import math

import pytest
import torch

from course_lib.formulas.convergence import best_momentum
from course_lib.widgets import RateMap

SETTINGS = list(itertools.product([0.001, 0.1, 1.0, 4.0], [0.0, 0.4, 0.97]))


@pytest.mark.parametrize("condition_number", [1.0, 1.1, 10.0, 1000.0])
def test_a_run_measures_what_theory_predicts(condition_number):
    fig = RateMap(condition_number)
    for fig.lr, fig.momentum in SETTINGS:
        if fig.predicted_rate < 1000:  # above, a run leaves the range of doubles before it can be measured
            assert fig.measured_rate == pytest.approx(fig.predicted_rate, rel=0.02)
        else:
            assert fig.measured_rate == math.inf


@pytest.mark.parametrize("condition_number", [1.5, 10.0, 100.0])
def test_the_best_setting_is_the_best(condition_number):
    lr, momentum = (x.item() for x in best_momentum(torch.tensor(condition_number, dtype=torch.float64)))
    best = RateMap(condition_number, lr=lr, momentum=momentum)
    root = condition_number**0.5
    assert best.predicted_rate == pytest.approx((root - 1) / (root + 1), rel=1e-6)
    assert best.measured_rate == pytest.approx(best.predicted_rate, rel=0.02)
    for factor, other in itertools.product((0.8, 1.0, 1.25), (0.9 * momentum, 1.1 * momentum)):
        assert RateMap(condition_number, lr=lr * factor, momentum=other).predicted_rate > best.predicted_rate


def test_a_run_that_ends_exactly_at_the_minimum():
    fig = RateMap(1.0, lr=1.0, momentum=0.0)
    assert fig.predicted_rate == fig.measured_rate == 0.0


def test_the_text_alternative_states_both_rates():
    fig = RateMap(condition_number=10, lr=0.3, momentum=0.5)
    assert fig.alt.endswith("At learning rate 0.3 and momentum 0.5 theory predicts 0.707; a run measures 0.706.")
    assert "It is best, 0.519 a step, at learning rate 0.316 and momentum 0.27." in fig.alt
    fig.lr = 1.0
    assert fig.alt.endswith(", so it diverges.")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", -1.0, "momentum's lr must be at least 0 and finite, got -1.0."),
        ("lr", 0.0, "lr must be above 0 and finite, as the map's axis is logarithmic, got 0.0."),
        ("momentum", 1.0, "momentum's momentum must be at least 0 and below 1, got 1.0."),
        ("condition_number", math.nan, "quadratic's condition_number must be at least 1 and finite, got nan."),
    ],
)
def test_a_setting_outside_its_limits_is_named_at_once_and_later(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        RateMap(**{name: value})
    fig = RateMap()
    with pytest.raises(ValueError, match=f"^{message}$"):
        setattr(fig, name, value)
