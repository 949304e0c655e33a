"""Recurrent cells equal PyTorch's: values, and the gradients of all that goes in."""

import pytest
import torch
from torch import nn

from course_lib.formulas.recurrent import lstm_cell, rnn_cell, with_forget_bias

N, D, M = 5, 3, 4


def cell(kind):
    """PyTorch's cell in float64, its weights and the sum of its biases."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = kind(D, M).double()
    return made, (made.weight_ih, made.weight_hh, made.bias_ih + made.bias_hh)


def states(count):
    source = torch.Generator().manual_seed(1)
    shapes = [(N, D)] + count * [(N, M)]
    return [torch.randn(s, generator=source, dtype=torch.float64).requires_grad_() for s in shapes]


def test_the_plain_cell():
    theirs, weights = cell(nn.RNNCell)
    x, h = states(1)
    expected, got = theirs(x, h), rnn_cell(x, h, *weights)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    inputs = [x, h, *theirs.parameters()]
    torch.testing.assert_close(*(torch.autograd.grad(out.square().sum(), inputs) for out in (got, expected)))


@pytest.mark.parametrize("which", [0, 1], ids=["h", "c"])
def test_the_lstm(which):
    theirs, weights = cell(nn.LSTMCell)
    x, h, c = states(2)
    expected, got = theirs(x, (h, c)), lstm_cell(x, h, c, *weights)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    inputs = [x, h, c, theirs.weight_ih, theirs.weight_hh, theirs.bias_ih]
    grads = (torch.autograd.grad(out[which].square().sum(), inputs, allow_unused=True) for out in (got, expected))
    torch.testing.assert_close(*([torch.zeros(1) if g is None else g for g in gs] for gs in grads))


def test_along_the_memory_the_factor_is_the_forget_gate():
    """With gates that see no h: what multiplies a gradient from one time step to the one before is σ(f) itself."""
    b = with_forget_bias(torch.zeros(4 * M).double(), 2.0)
    x, h, c = states(2)
    _, new = lstm_cell(x, h, c, torch.zeros(4 * M, D).double(), torch.zeros(4 * M, M).double(), b)
    (g,) = torch.autograd.grad(new.sum(), c)
    torch.testing.assert_close(g, torch.full_like(g, 2.0).sigmoid())


def test_the_forget_gates_rows_are_the_second_quarter():
    assert with_forget_bias(torch.zeros(8), 1.0).tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
