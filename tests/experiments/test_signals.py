"""Signals through networks: the gradients are autograd's, and the variances are the predicted ones."""

import math

import pytest
import torch

from course_lib.experiments.signals import drawn, mean_squares, predicted, propagate
from course_lib.formulas.activations import ACTIVATIONS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_gradients_are_those_of_autograd(name):
    g = torch.Generator().manual_seed(0)
    x, incoming = (torch.randn(5, n, generator=g, dtype=torch.float64) for n in (4, 3))
    weights = [torch.randn(m, n, generator=g, dtype=torch.float64) for n, m in ((4, 6), (6, 3))]
    found, pre, signal = propagate(weights, x, incoming, name), [], x
    for W in weights:
        pre.append((signal @ W.T).requires_grad_())
        signal = ACTIVATIONS[name][0](pre[-1])
    expected = torch.autograd.grad(signal, pre, incoming)
    for ours, theirs in zip(found.gradients + found.pre, [*expected, *pre], strict=True):
        torch.testing.assert_close(ours, theirs.detach())
    torch.testing.assert_close(found.post[-1], signal.detach())


@pytest.mark.parametrize("name, gain", [("linear", 1.1), ("tanh", 1.2), ("sigmoid", 2.0), ("relu", math.sqrt(2))])
def test_many_wide_networks_have_the_predicted_variances(name, gain):
    runs, widths = 400, [64] * 5
    signals = drawn("lecun_normal", widths, runs, activation=name, gain=gain, examples=1)
    forward, backward = predicted(name, widths, [gain**2 / 64] * 4)
    for measured, expected in ((signals.pre, forward), (signals.gradients, backward)):
        squares = mean_squares(measured)  # (layers, runs)
        error = squares.std(1) / math.sqrt(runs)
        # what is no line bends the mean over networks of a finite width, by a share of the order layers / width
        assert ((squares.mean(1) - expected).abs() < 5 * error + 0.02 * expected).all()


def test_orthogonal_layers_keep_each_length():
    signals = drawn("lecun_normal", [16] * 4, 2, activation="linear")
    kept = [torch.linalg.qr(torch.randn(16, 16, dtype=torch.float64))[0] for _ in range(3)]
    x = signals.pre[0]
    last = propagate(kept, x, x, "linear").pre[-1]
    torch.testing.assert_close(last.norm(dim=-1), x.norm(dim=-1))


def test_unequal_widths_telescope():
    widths = [64, 32, 16, 8]
    forward, backward = predicted("linear", widths, [1 / n for n in widths[:-1]])
    torch.testing.assert_close(forward, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(backward[0], torch.tensor(8 / 32, dtype=torch.float64))  # 32/64 more leads to the inputs


def test_around_zero_tanh_counts_as_a_line_and_is_too_large():
    widths, variances = [64] * 11, [1 / 64] * 10
    line, exact = (predicted("tanh", widths, variances, around_zero=flag)[0] for flag in (True, False))
    torch.testing.assert_close(line, torch.ones(10, dtype=torch.float64))
    assert (exact[1:] < line[1:]).all()


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="linear, tanh, sigmoid, relu, leaky_relu, got 'gelu'"):
        propagate([torch.ones(2, 2)], torch.ones(1, 2), torch.ones(1, 2), "gelu")
