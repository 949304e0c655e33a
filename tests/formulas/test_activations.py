"""Predicted variances against draws of y, against quadrature at another step, and against networks that are really drawn."""

import math

import pytest
import torch

from course_lib.formulas import activations
from course_lib.formulas.activations import ACTIVATIONS, AROUND_ZERO, MEAN_SQUARES
from course_lib.formulas.initialization import LEAKY, leaky_gain

TWINS = {
    "linear": lambda y: y,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "leaky_relu": lambda y: torch.nn.functional.leaky_relu(y, LEAKY),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_pytorchs(name):
    y = torch.linspace(-50, 50, 1000, dtype=torch.float64)
    y.requires_grad_()
    function, slope = ACTIVATIONS[name]
    torch.testing.assert_close(function(y), TWINS[name](y), rtol=1e-12, atol=1e-15)
    (expected,) = torch.autograd.grad(TWINS[name](y).sum(), y)
    torch.testing.assert_close(slope(y), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("variance", [1e-6, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_mean_squares_are_those_of_many_draws(name, variance):
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for square, f in zip(MEAN_SQUARES[name], ACTIVATIONS[name], strict=True):
        squares = f(math.sqrt(variance) * z) ** 2
        expected = square(torch.tensor(variance, dtype=torch.float64))
        assert abs(squares.mean() - expected) < 5 * squares.std() / math.sqrt(len(z)) + 1e-9 * expected


def test_the_rule_of_integration_is_finer_than_anything_that_is_shown():
    nodes = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    weights = (-(nodes**2) / 2).exp() / (1000 * math.sqrt(2 * math.pi))
    for variance in (1e-4, 1.0, 64.0):
        y = math.sqrt(variance) * nodes
        exact = ((weights * torch.tanh(y) ** 2).sum(), (weights * (1 - torch.tanh(y) ** 2) ** 2).sum())
        for square, x in zip(MEAN_SQUARES["tanh"], exact, strict=True):
            torch.testing.assert_close(square(torch.tensor(variance)), x, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_near_zero_an_activation_is_its_tangent(name):
    v = torch.tensor(1e-8, dtype=torch.float64)
    for exact, tangent in zip(MEAN_SQUARES[name], AROUND_ZERO[name], strict=True):
        torch.testing.assert_close(exact(v), tangent(v), rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3])
def test_the_gain_keeps_the_variance_of_a_leaky_network(slope):
    v = torch.tensor(2.5, dtype=torch.float64)
    assert leaky_gain(slope) ** 2 * activations.leaky_square(v, slope) == pytest.approx(v)
    assert leaky_gain(slope) ** 2 * activations.leaky_slope_square(v, slope) == pytest.approx(1.0)
