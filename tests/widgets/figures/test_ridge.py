"""Ridge with a kernel: its minimum solves the regularized equations, its paths go there, and settings outside the limits are named."""

import math

import pytest
import torch
from torch.func import grad

from course_lib.formulas.regularization import bowl, l2_penalty
from course_lib.widgets import Ridge


@pytest.mark.parametrize(
    "settings",
    [{}, {"decay": 20.0}, {"condition_number": 300.0, "angle": 70.0}, {"minimum": (-1.0, 1.5), "decay": 0.03}],
)
def test_the_solution_is_where_the_slope_of_loss_and_penalty_is_zero(settings):
    fig = Ridge(**settings)
    x, y = fig.minimum
    slope = grad(
        lambda w: bowl(w, x=x, y=y, condition_number=fig.condition_number, angle=fig.angle) + l2_penalty(w, fig.decay)
    )
    assert slope(fig.solution).abs().max() < 1e-12
    assert fig.shares == pytest.approx((1 / (1 + fig.decay), fig.condition_number / (fig.condition_number + fig.decay)))


def test_both_paths_end_at_the_solution():
    assert max(Ridge(steps=400).distances.values()) < 1e-6
    few = Ridge(steps=40).distances
    assert few["decoupled"] < few["L2"]


def test_the_text_alternative_states_the_result():
    fig = Ridge()
    assert fig.alt == (
        "A quadratic loss of condition number 10 with its minimum at (1.5, 0.8). Weight decay 1 moves it to (1.05, 0.911): 50.0% is left along "
        "the valley and 90.9% across it, 81.6% of the norm. Distance to it after 40 steps, L2: 0.17; decoupled: 0.0226."
    )
    fig.minimum = [0.0, 0.0]
    assert "100.0% of the norm" in fig.alt


def test_a_change_later_moves_the_solution():
    fig = Ridge()
    fig.decay = 100.0
    assert fig.solution.norm() < 0.2
    fig.minimum, fig.decay = [0.0, 1.0], 10.0
    fig.angle, fig.condition_number = 0.0, 10.0
    torch.testing.assert_close(fig.solution, torch.tensor([0.0, 0.5], dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("decay", -1.0, "momentum_l2's decay must be at least 0 and finite, got -1.0."),
        ("decay", 0.0, "decay must be above 0 and finite, as the figure's axis is logarithmic, got 0.0."),
        ("lr", math.nan, "momentum_l2's lr must be at least 0 and finite, got nan."),
        ("condition_number", 0.5, "bowl's condition_number must be at least 1 and finite, got 0.5."),
        ("momentum", 1.0, "momentum_l2's momentum must be at least 0 and below 1, got 1.0."),
        (
            "start",
            [9.0, 0.0],
            r"start must be two numbers in the picture, x from -2.5 to 2.5 and y from -2 to 2, got \[9.0, 0.0\].",
        ),
        (
            "minimum",
            [1.0],
            r"minimum must be two numbers in the picture, x from -2.5 to 2.5 and y from -2 to 2, got \[1.0\].",
        ),
        ("steps", 0, "steps must be a whole number from 1 to 1000, got 0."),
    ],
)
def test_a_setting_outside_its_limits_is_named_at_once_and_later(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Ridge(**{name: value})
    fig = Ridge()
    with pytest.raises(ValueError, match=f"^{message}$"):
        setattr(fig, name, value)
