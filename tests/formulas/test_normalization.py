"""Batch and layer normalization equal PyTorch's: values, gradients, running statistics."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm as torch_batch_norm
from torch.nn.functional import layer_norm as torch_layer_norm

from course_lib.formulas import normalization as ours

SHAPES = [(5, 3), (2, 1), (4, 3, 5), (2, 3, 4, 5)]


def draws(shape, seed=0):
    """Inputs with other means and scales in each feature, a gamma, a beta, and a gradient of the output."""
    source = torch.Generator().manual_seed(seed)
    x, g = (torch.randn(shape, generator=source, dtype=torch.float64) for _ in range(2))
    gamma, beta, shift = (torch.randn(shape[1], generator=source, dtype=torch.float64) for _ in range(3))
    return 3 * x + 5 * ours.per_feature(shift, x), gamma, beta, g


@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_and_its_gradients_equal_pytorchs(shape, eps):
    x, gamma, beta, g = draws(shape)
    inputs = [v.clone().requires_grad_() for v in (x, gamma, beta)]
    theirs = torch_batch_norm(inputs[0], None, None, *inputs[1:], training=True, eps=eps)
    torch.testing.assert_close(ours.batch_norm(x, gamma, beta, eps=eps), theirs.detach(), rtol=1e-12, atol=1e-12)
    expected = torch.autograd.grad(theirs, inputs, g)
    torch.testing.assert_close(ours.batch_norm_backward(x, gamma, g, eps=eps), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES[:1] + SHAPES[2:])
def test_batch_norms_gradient_is_that_of_finite_differences(shape):
    x, gamma, beta, g = draws(shape)

    class ByHand(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, gamma, beta):
            ctx.save_for_backward(x, gamma)
            return ours.batch_norm(x, gamma, beta)

        @staticmethod
        def backward(ctx, g):
            return ours.batch_norm_backward(*ctx.saved_tensors, g)

    assert torch.autograd.gradcheck(ByHand.apply, [v.requires_grad_() for v in (x, gamma, beta)])


@pytest.mark.parametrize(
    "layer, shape", [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm1d, (2, 3, 7)), (nn.BatchNorm2d, (2, 3, 4, 5))]
)
@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_running_statistics_and_evaluation_equal_the_layers(layer, shape, momentum):
    theirs = layer(3, momentum=momentum).double()
    gamma, beta = draws((2, 3), 9)[1:3]
    with torch.no_grad():
        theirs.weight.copy_(gamma), theirs.bias.copy_(beta)
    mean, variance = torch.zeros(3).double(), torch.ones(3).double()
    for seed in range(3):
        x = draws(shape, seed)[0]
        torch.testing.assert_close(theirs(x).detach(), ours.batch_norm(x, gamma, beta), rtol=1e-12, atol=1e-12)
        mean, variance = ours.running_statistics(x, mean, variance, momentum=momentum)
        torch.testing.assert_close((mean, variance), (theirs.running_mean, theirs.running_var), rtol=1e-12, atol=0)
    expected = theirs.eval()(x).detach()
    torch.testing.assert_close(ours.batch_norm_eval(x, mean, variance, gamma, beta), expected, rtol=1e-10, atol=1e-10)


def test_one_value_has_no_variance_and_pytorch_refuses_it():
    x = torch.ones(1, 3)
    assert ours.running_statistics(x, torch.zeros(3), torch.ones(3))[1].isnan().all()
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(3)(x)


def test_float32_stays_float32():
    x, gamma, beta, g = (v.float() for v in draws((4, 3)))
    results = (
        ours.batch_norm(x, gamma, beta),
        *ours.batch_norm_backward(x, gamma, g),
        *ours.running_statistics(x, gamma, beta),
    )
    assert {v.dtype for v in results} == {torch.float32}


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3)])
def test_layer_norm_and_its_gradients_equal_pytorchs(shape):
    source = torch.Generator().manual_seed(1)
    x, g = (torch.randn(shape, generator=source, dtype=torch.float64) for _ in range(2))
    gamma, beta = (torch.randn(3, generator=source, dtype=torch.float64) for _ in range(2))
    inputs = [v.clone().requires_grad_() for v in (x, gamma, beta)]
    theirs = torch_layer_norm(inputs[0], (3,), *inputs[1:])
    torch.testing.assert_close(ours.layer_norm(x, gamma, beta), theirs.detach(), rtol=1e-12, atol=1e-12)
    expected = torch.autograd.grad(theirs, inputs, g)
    torch.testing.assert_close(ours.layer_norm_backward(x, gamma, g), expected, rtol=1e-10, atol=1e-10)


def test_a_batchs_gradient_sums_to_nothing_and_is_orthogonal_to_x_hat():
    """What the two subtracted terms do: no change of a feature's mean or scale over the batch passes the layer."""
    x, gamma, _, g = draws((6, 3))
    g_x = ours.batch_norm_backward(x, gamma, g, eps=0.0)[0]
    x_hat, _ = ours.normalize(x, [0], eps=0.0)
    torch.testing.assert_close(g_x.sum(0), torch.zeros(3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close((g_x * x_hat).sum(0), torch.zeros(3).double(), atol=1e-12, rtol=0)


def test_the_explosion_rate():
    assert ours.explosion_rate() ** 2 == pytest.approx(math.pi / (math.pi - 1))


@pytest.mark.parametrize("shape", [(12, 3), (12, 3, 2, 4)])
def test_statistics_of_sums_of_parts(shape):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 10
    n, mean, variance = ours.statistics_of_sums(sum(map(ours.batch_sums, x.split([1, 7, 4]))))
    axes = ours.batch_axes(x)
    assert n == x.numel() / 3
    # (mean / deviation)² = 100 times the rounding of Σx²
    torch.testing.assert_close(mean, x.mean(axes), rtol=1e-13, atol=0)
    torch.testing.assert_close(variance, x.var(axes, correction=0), rtol=1e-12, atol=0)
