"""Slopes and their bounds, one neuron a layer, residual connections."""

import pytest
import torch
from torch.func import grad, jacrev, vmap

from course_lib.backends import javascript
from course_lib.formulas import gradient_chain as chain

Z = torch.cat([torch.linspace(-30, 30, 401), torch.tensor([0.0])]).double()
THEIRS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu}


@pytest.mark.parametrize("name", chain.ACTIVATIONS)
def test_functions_and_slopes_equal_pytorchs(name):
    ours = chain.ACTIVATIONS[name]
    torch.testing.assert_close(ours.function(Z), THEIRS[name](Z), rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.slope(Z), vmap(grad(THEIRS[name]))(Z), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", chain.ACTIVATIONS)
def test_the_bound_is_reached_and_never_passed(name):
    ours = chain.ACTIVATIONS[name]
    assert ours.slope(Z).max() == ours.steepest
    at_zero = {"ReLU": 0.0}.get(name, ours.steepest)
    assert ours.slope(torch.tensor(0.0).double()) == at_zero


@pytest.mark.parametrize("name", chain.NEURONS)
def test_a_neurons_factor_is_its_derivative(name):
    at = torch.linspace(-2, 2, 41).double()
    settings = {"weight": 1.7, "bias": -0.3}
    z, a, factor = chain.NEURONS[name](at, **settings)
    torch.testing.assert_close(a, THEIRS[name](1.7 * at - 0.3))
    torch.testing.assert_close(z, 1.7 * at - 0.3)
    torch.testing.assert_close(factor, vmap(grad(lambda a: chain.NEURONS[name](a, **settings)[1]))(at))


@pytest.mark.parametrize("name", chain.NEURONS)
def test_a_neuron_prints_as_javascript(name):
    assert f"function {chain.NEURONS[name].__name__}(a, weight, bias)" in javascript.of(
        chain.NEURONS[name], a=(), weight=(), bias=()
    )


def test_around_a_branch_that_kills_the_gradient_it_passes_unchanged():
    x = torch.randn(4, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(jacrev(lambda x: chain.residual(x, torch.zeros_like))(x), torch.eye(4).double())
    W = torch.randn(4, 4, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(jacrev(lambda x: chain.residual(x, lambda x: W @ x))(x), torch.eye(4).double() + W)
