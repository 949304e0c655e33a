"""Fit with a kernel: its numbers are autograd's, its data can be changed, and what can't be drawn is named."""

import math

import pytest
import torch

from course_lib.formulas.objective import MODELS, least_squares, line, squared_error
from course_lib.widgets import Fit
from course_lib.widgets.figures.fit import EXAMPLES


def parabola(x, w):
    return w[0] * x**2 + w[1]


@pytest.mark.parametrize("model", MODELS)
def test_loss_and_gradient_are_those_of_autograd(model):
    fig = Fit(model)
    w, x, y = (torch.tensor(v, dtype=torch.float64) for v in (fig.w, fig.x, fig.y))
    loss = squared_error(MODELS[model](x, w.requires_grad_()), y)
    loss.backward()
    assert fig.loss == loss.item()
    torch.testing.assert_close(fig.gradient, w.grad, rtol=1e-14, atol=0)
    torch.testing.assert_close(fig.prediction, MODELS[model](x, w.detach()), rtol=0, atol=0)


def test_every_model_has_an_example_whose_points_are_as_many():
    assert set(EXAMPLES) == set(MODELS)
    assert len({len(e.x) for e in EXAMPLES.values()}) == 1
    for name, example in EXAMPLES.items():
        (x0, x1), (y0, y1) = example.domain
        assert x0 < example.w[0] < x1 and y0 < example.w[1] < y1
        assert Fit(name).gradient.norm() > 0.05  # the figure begins where there is something to do


def test_parameters_data_and_model_can_be_read_set_and_observed():
    fig, seen = Fit(), []
    fig.observe(lambda change: seen.append(change["name"]), ["w", "x", "y", "model", "lr"])
    fig.w = [0.5, 0.8]
    fig.y = [*fig.y[:-1], -2]
    fig.lr = 0.3
    assert seen == ["w", "y", "lr"]
    x, y = (torch.tensor(v, dtype=torch.float64) for v in (fig.x, fig.y))
    assert fig.loss == pytest.approx(
        least_squares(torch.tensor(fig.w, dtype=torch.float64), torch.stack([torch.ones_like(x), x], 1), y).item(),
        rel=1e-14,
    )
    fig.model = "sine"
    assert fig.loss == pytest.approx(squared_error((0.5 * x + 0.8).sin(), y).item(), rel=1e-14)


def test_a_readers_own_model_and_data():
    fig = Fit(parabola, x=[0, 1, 2], y=torch.tensor([1.0, 2.0, 5.0]), w=(1, 1), lr=0.05, domain=((-1, 3), (-1, 3)))
    assert fig.model == "parabola" and fig.loss == 0 and torch.equal(fig.gradient, torch.zeros(2, dtype=torch.float64))
    assert [one["name"] for one in fig.spec["models"]] == ["parabola"]
    assert Fit(lambda x, w: w[0] + w[1] * x).model == "mine"
    assert [one["x"] for one in Fit(x=[1, 2, 3], y=[1, 1, 1]).spec["models"]] == [(1.0, 2.0, 3.0)] * len(
        MODELS
    )  # each model sees the reader's data


def test_the_text_alternative_states_the_loss_and_the_gradient():
    fig = Fit("line", w=(0, 0), x=[1, 2], y=[1, 3])
    assert fig.alt.endswith("At θ = (0, 0) the loss is 2.5 and its gradient (-2, -3.5), of length 4.03.")
    assert "model line" in fig.alt and "2 data points" in fig.alt


def test_a_model_that_cannot_be_traced_is_named():
    with pytest.raises(ValueError, match="torch.where"):
        Fit(lambda x, w: w[0] * x * float(w[1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": [1.0]}, r"w must be two finite numbers, got \[1.0\]."),
        ({"w": [1.0, math.inf]}, "w must be two finite numbers"),
        ({"lr": 0.0}, "lr must be above 0 and finite, got 0.0."),
    ],
)
def test_what_cannot_be_drawn_is_named_at_once_and_later(change, message):
    with pytest.raises(ValueError, match=message):
        Fit(**change)
    fig = Fit()
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=message):
        setattr(fig, name, value)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "cosine"}, TypeError, "Unknown model 'cosine'. There are line, unit, sine, or give a function"),
        ({"x": [1, 2]}, ValueError, "Data are pairs: y is missing."),
        ({"x": [1, 2], "y": [1]}, ValueError, "the same number of values, 1 to 60, got 2 and 1."),
        ({"x": [], "y": []}, ValueError, "1 to 60, got 0 and 0."),
        ({"x": [1, math.nan], "y": [1, 2]}, ValueError, "x must be two finite numbers"),
        ({"domain": ((1, 0), (0, 1))}, ValueError, "domain must be"),
    ],
)
def test_arguments_that_make_no_figure(arguments, error, message):
    with pytest.raises(error, match=message):
        Fit(**arguments)


def test_data_of_another_length_and_another_model_need_a_new_figure():
    fig = Fit()
    with pytest.raises(ValueError, match="x must be 12 finite numbers"):
        fig.x = [1.0, 2.0]
    with pytest.raises(ValueError, match="^model must be one of line, unit, sine, got 'cosine'.$"):
        fig.model = "cosine"
    assert len(fig.x) == 12 and fig.model == line.__name__
