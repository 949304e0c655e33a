"""Initializations against torch.nn.init: the same values from the same generator, and moments over many draws."""

import inspect
import math

import pytest
import torch
from torch import nn
from torch.nn import init

from course_lib.experiments.initialize import fans
from course_lib.formulas import initialization
from course_lib.formulas.initialization import INITIALIZATIONS, nearer_orthogonal, orthogonal

SHAPES = [(20, 30), (30, 20), (8, 4, 3, 5)]
TWINS = {  # what torch.nn.init calls it, with which arguments
    "constant": (lambda w, g: init.constant_(w, 0.7), {"value": 0.7}),
    "normal": (lambda w, g: init.normal_(w, 0.0, 0.3, generator=g), {"sigma": 0.3}),
    "uniform": (lambda w, g: init.uniform_(w, -0.3, 0.3, generator=g), {"bound": 0.3}),
    "xavier_normal": (lambda w, g: init.xavier_normal_(w, 1.5, generator=g), {"gain": 1.5}),
    "xavier_uniform": (lambda w, g: init.xavier_uniform_(w, 1.5, generator=g), {"gain": 1.5}),
    "kaiming_normal": (lambda w, g: init.kaiming_normal_(w, nonlinearity="relu", generator=g), {}),
    "kaiming_uniform": (lambda w, g: init.kaiming_uniform_(w, nonlinearity="relu", generator=g), {}),
    "lecun_normal": (lambda w, g: init.kaiming_normal_(w, nonlinearity="linear", generator=g), {}),
    "lecun_uniform": (lambda w, g: init.kaiming_uniform_(w, nonlinearity="linear", generator=g), {}),
    "pytorch_default": (lambda w, g: init.kaiming_uniform_(w, a=math.sqrt(5), generator=g), {}),
    "orthogonal": (lambda w, g: init.orthogonal_(w, 1.5, generator=g), {"gain": 1.5}),
}
VARIANCES = {  # at fan_in 30 and fan_out 20
    "normal": 1.0,
    "uniform": 1 / 3,
    "lecun_normal": 1 / 30,
    "lecun_uniform": 1 / 30,
    "xavier_normal": 2 / 50,
    "xavier_uniform": 2 / 50,
    "kaiming_normal": 2 / 30,
    "kaiming_uniform": 2 / 30,
    "pytorch_default": 1 / 90,
}


def draws(f, shape, seed=0):
    """Normal or uniform draws, whichever the formula asks for by its first argument's name."""
    generator = torch.Generator().manual_seed(seed)
    (first, *_) = inspect.signature(f).parameters
    return {"z": torch.randn, "u": torch.rand}[first](shape, generator=generator, dtype=torch.float64)


def test_every_initialization_has_a_twin():
    assert set(TWINS) == set(INITIALIZATIONS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", TWINS)
def test_the_same_generator_gives_the_values_of_pytorch(name, shape):
    f, (twin, settings) = INITIALIZATIONS[name], TWINS[name]
    ours = f(draws(f, shape), *fans(shape), **settings)
    theirs = twin(torch.empty(shape, dtype=torch.float64), torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-16)  # a unit in the last place: u (b - a) + a


@pytest.mark.parametrize("name", VARIANCES)
def test_moments_are_those_that_are_promised(name):
    f = INITIALIZATIONS[name]
    w = f(draws(f, (200_000,), seed=1), 30, 20)
    standard_error = math.sqrt(VARIANCES[name] / w.numel())
    assert abs(w.mean()) < 5 * standard_error
    # of a variance that is estimated from n normal draws the relative error is √(2/n); from uniform ones it is smaller
    assert w.var().item() == pytest.approx(VARIANCES[name], rel=5 * math.sqrt(2 / w.numel()))


@pytest.mark.parametrize("layer", [nn.Linear(30, 20), nn.Conv2d(4, 8, (3, 5)), nn.Conv1d(6, 4, 7)])
def test_the_default_of_pytorchs_layers(layer):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layer.reset_parameters()
        torch.manual_seed(3)
        u = torch.rand(layer.weight.shape)
    ours = initialization.pytorch_default(u, *fans(layer.weight))
    torch.testing.assert_close(ours, layer.weight.detach(), rtol=1e-5, atol=1e-7)  # single precision
    assert layer.weight.abs().max() <= 1 / math.sqrt(fans(layer.weight)[0])


def test_kaimings_fan_out_is_the_fans_exchanged():
    z = draws(initialization.kaiming_normal, (20, 30))
    fan_in, fan_out = fans(z)
    generator = torch.Generator().manual_seed(0)
    theirs = init.kaiming_normal_(torch.empty_like(z), mode="fan_out", nonlinearity="relu", generator=generator)
    torch.testing.assert_close(initialization.kaiming_normal(z, fan_out, fan_in), theirs)


def test_uniform_draws_become_normal_ones():
    u, v = torch.rand(2, 100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = torch.cat(initialization.normal_draws(u, v))
    for power, expected in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        found = z**power
        assert abs(found.mean() - expected) < 5 * found.std() / math.sqrt(len(z))
    a, b = initialization.normal_draws(u, v)
    assert abs((a * b).mean()) < 5 / math.sqrt(len(u))  # the two are independent
    assert torch.isfinite(torch.stack(initialization.normal_draws(*torch.zeros(2, 1)))).all()


# Orthogonal matrices


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_or_columns_are_orthonormal(shape):
    w = orthogonal(draws(orthogonal, shape), *fans(shape)).flatten(1)
    small = w if w.shape[0] <= w.shape[1] else w.mT
    torch.testing.assert_close(small @ small.mT, torch.eye(len(small), dtype=torch.float64))


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (16, 16)])
def test_products_alone_lead_to_the_polar_factor(shape):
    z = draws(orthogonal, shape)
    u, _, v = torch.linalg.svd(z, full_matrices=False)
    x = z / torch.linalg.matrix_norm(z)  # the Frobenius norm: then no singular value exceeds 1
    errors = []
    for _ in range(30):
        x = nearer_orthogonal(x)
        errors.append(torch.linalg.matrix_norm(x - u @ v, 2).item())
    assert errors[-1] < 1e-12
    # a singular value of 1 - e becomes one of 1 - 1.5 e² + 0.5 e³: near the end the digits double
    assert all(b <= 1.5 * a**2 + 1e-13 for a, b in zip(errors, errors[1:]))


def test_the_polar_factor_of_gaussian_draws_is_distributed_like_the_orthogonal_ones():
    z = torch.randn(4000, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, _, v = torch.linalg.svd(z)
    traces = (u @ v).diagonal(dim1=1, dim2=2).sum(1)
    # Haar's measure on O(n): the trace has the mean 0, the mean square 1 and the mean fourth power 3
    for power, expected in ((1, 0.0), (2, 1.0), (4, 3.0)):
        found = traces**power
        assert abs(found.mean() - expected) < 5 * found.std() / math.sqrt(len(found))
