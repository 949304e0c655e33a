"""Recurrent cells: the plain one, and the LSTM with the path along which a gradient lives on."""

import torch

from course_lib.formulas.gradient_chain import sigmoid


def rnn_cell(x, h, W_x, W_h, b):
    """One time step of a plain recurrent network: the new state h.

    x: (N, d), h: (N, m), W_x: (m, d), W_h: (m, m), b: (m,).
    Equals torch.nn.RNNCell, whose two biases add up to b.
    """
    return torch.tanh(x @ W_x.T + h @ W_h.T + b)


def lstm_cell(x, h, c, W_x, W_h, b):
    """One time step of an LSTM: the new output h and the new memory c.

    x: (N, d), h, c: (N, m), W_x: (4m, d), W_h: (4m, m), b: (4m,); the
    rows hold the input gate, the forget gate, the candidate and the
    output gate, in this order. Along the memory a gradient meets one
    factor a step, the forget gate, and no matrix.
    Source: Hochreiter and Schmidhuber (1997), with the forget gate of
    Gers, Schmidhuber and Cummins (2000); slide 23.
    Equals torch.nn.LSTMCell, whose two biases add up to b.
    """
    z = x @ W_x.T + h @ W_h.T + b
    i, f, g, o = z.chunk(4, dim=-1)
    c = sigmoid(f) * c + sigmoid(i) * torch.tanh(g)
    return sigmoid(o) * torch.tanh(c), c


def with_forget_bias(b, value):
    """The bias of an LSTM, (4m,), with `value` in the rows of the forget gate: σ(value) is then what a step keeps.

    Source: Jozefowicz, Zaremba and Sutskever (2015): 1 is better than 0 nearly everywhere.
    """
    i, f, g, o = b.chunk(4)
    return torch.cat([i, torch.full_like(f, value), g, o])
