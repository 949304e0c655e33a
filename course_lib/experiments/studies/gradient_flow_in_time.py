"""What the chapter on gradient flow measures in recurrent networks: gradients over time steps, and clipping in training."""

import math

import torch
from torch import nn

from course_lib.experiments.clipping import clip_gradients
from course_lib.experiments.records import experiment
from course_lib.formulas.recurrent import lstm_cell, rnn_cell, with_forget_bias

CELLS = ("plain", "plain, 2x", "LSTM", "LSTM, bias 1", "LSTM, bias 3")


def cell(name: str, inputs: int, width: int, source: torch.Generator) -> tuple[torch.Tensor, ...]:
    """W_x, W_h and b of a cell as PyTorch begins with them, U(±1/√width), but for what the name says.

    "2x": W_h has the deviation 2/√width. "bias 3": all biases of the forget gate are 3.
    """
    kind, _, extra = name.partition(", ")
    rows = 4 * width if kind == "LSTM" else width
    shapes = (rows, inputs), (rows, width), (rows,)
    W_x, W_h, b = ((2 * torch.rand(s, generator=source, dtype=torch.float64) - 1) / width**0.5 for s in shapes)
    if extra.startswith("bias"):
        b = with_forget_bias(b, float(extra.split()[1]))
    return W_x, W_h * (float(extra[:-1]) * 3**0.5 if extra.endswith("x") else 1.0), b


def states_over_time(name: str, x: torch.Tensor, width: int, source: torch.Generator) -> list[tuple[torch.Tensor, ...]]:
    """The state after each time step of x, (T, N, inputs): h of a plain cell, h and c of an LSTM."""
    weights = cell(name, x.shape[2], width, source)
    zero = torch.zeros(x.shape[1], width, dtype=x.dtype, requires_grad=True)
    states = [(zero, zero) if name.startswith("LSTM") else (zero,)]
    for x_t in x:
        new = (lstm_cell if name.startswith("LSTM") else rnn_cell)(x_t, *states[-1], *weights)
        states.append(new if isinstance(new, tuple) else (new,))
    return states[1:]


@experiment(seeds=5)
def gradient_flow_over_time(seed, *, cells=CELLS, steps=100, inputs=8, width=32, batch=16):
    """The norm of the last output's gradient in the state after each time step, over the norm at the last: a row for each cell.

    The state of an LSTM is h and c together.
    """
    ratios = []
    for name in cells:
        source = torch.Generator().manual_seed(seed)
        x = torch.randn(steps, batch, inputs, generator=source, dtype=torch.float64)
        states = states_over_time(name, x, width, source)
        readout = torch.randn(width, generator=source, dtype=torch.float64)
        gradients = iter(torch.autograd.grad((states[-1][0] @ readout).sum(), [s for pair in states for s in pair]))
        norms = torch.tensor([math.hypot(*(next(gradients).norm().item() for _ in pair)) for pair in states])
        ratios.append(norms / norms[-1])
    return {"ratio": torch.stack(ratios)}


def train_sum(
    lr: float, limit: float, seed: int, *, steps: int, length: int, width: int, batch: int
) -> tuple[list, list]:
    """A plain recurrent network learns the sum of random numbers, in two parameter groups: losses, and gradient norms.

    The target is the sum of `length` normal draws over the root of `length`, so 1 is what a network knows that answers 0.
    """
    source = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rnn, readout = nn.RNN(1, width), nn.Linear(width, 1)
    nn.init.normal_(rnn.weight_hh_l0, std=width**-0.5, generator=source)
    optimizer = torch.optim.SGD([{"params": rnn.parameters()}, {"params": readout.parameters()}], lr)
    losses, norms = [], []
    for _ in range(steps):
        x = torch.randn(length, batch, 1, generator=source)
        error = readout(rnn(x)[0][-1]) - x.sum(0) / length**0.5
        optimizer.zero_grad()
        error.square().mean().backward()
        norms.append(clip_gradients(optimizer, limit))
        optimizer.step()
        losses.append(error.square().mean().item())
    return losses, norms


@experiment(seeds=5, share={"rates": (0.01,), "limits": (1.0,)})
def gradient_flow_clipping(
    seed, *, rates=(0.01, 0.03, 0.1, 0.3), limits=(1.0, 10.0, 1e30), steps=200, length=30, width=16, batch=16
):
    """The mean loss of the last 50 steps: a row for each rate, in it one number for each limit; 1e30 clips nothing.

    `norm` and `largest` are the median and the largest gradient norm of a run before clipping. A run that leaves the
    numbers, or ends above 100, is infinite.
    """
    found = {"loss": [], "norm": [], "largest": []}
    for lr in rates:
        runs = [train_sum(lr, limit, seed, steps=steps, length=length, width=width, batch=batch) for limit in limits]
        ends = [sum(losses[-50:]) / 50 for losses, _ in runs]
        found["loss"].append([end if end < 100 else math.inf for end in ends])
        found["norm"].append([torch.tensor(norms).median().item() for _, norms in runs])
        found["largest"].append([max(norms) for _, norms in runs])
    return found
