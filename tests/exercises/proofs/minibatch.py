"""A gradient from micro-batches: right answers in other styles, and changes of the solution that change nothing."""

import math
from functools import reduce

import numpy
import torch


def by_index(slope, w, x, y, *, size):
    N, total = len(x), 0 * w
    for begin in range(0, N, size):
        end = min(begin + size, N)
        total = total + (end - begin) * slope(w, x[begin:end], y[begin:end])
    return total / N


def with_sum(slope, w, x, y, *, size):
    return sum(slope(w, *part) * part[0].shape[0] for part in zip(x.split(size), y.split(size))) / x.shape[0]


def by_recursion(slope, w, x, y, *, size):
    if len(y) <= size:
        return slope(w, x, y)
    rest = by_recursion(slope, w, x[size:], y[size:], size=size)
    share = size / len(y)
    return share * slope(w, x[:size], y[:size]) + (1 - share) * rest


def as_a_running_mean(slope, w, x, y, *, size):
    mean, seen = torch.zeros_like(w), 0
    for xs, ys in zip(x.split(size), y.split(size)):
        seen += len(ys)
        mean = mean + (slope(w, xs, ys) - mean) * len(ys) / seen
    return mean


def with_weights(slope, w, examples, targets, *, size):
    parts = list(zip(torch.split(examples, size), torch.split(targets, size)))
    g = torch.stack([slope(w, *part) for part in parts])
    weights = torch.tensor([len(ys) for _, ys in parts], dtype=w.dtype)
    return weights / weights.sum() @ g


def in_place_on_a_new_tensor(slope, w, x, y, *, size):
    grad = torch.zeros_like(w)
    for k in range(math.ceil(len(y) / size)):
        rows = slice(k * size, (k + 1) * size)
        grad.add_(slope(w, x[rows], y[rows]), alpha=y[rows].numel() / y.numel())
    return grad


def by_grad_of_a_tensor(slope, w, x, y, *, size):
    """Lets a tensor collect what is added, as `.grad` does."""
    w = w.clone().requires_grad_()
    for xs, ys in zip(x.split(size), y.split(size)):
        (w @ slope(w.detach(), xs, ys) * (len(ys) / len(y))).backward()
    return w.grad


def with_a_while_loop(slope, w, x, y, *, size):
    left_x, left_y, total = x, y, None
    while len(left_y):
        g = slope(w, left_x[:size], left_y[:size]) * len(left_y[:size])
        total = g if total is None else total + g
        left_x, left_y = left_x[size:], left_y[size:]
    return total.div(len(y))


def through_numpy(slope, w, x, y, *, size):
    cuts = numpy.arange(0, len(y), size)
    g = numpy.array([slope(w, x[c : c + size], y[c : c + size]).numpy() for c in cuts])
    counts = numpy.minimum(size, len(y) - cuts)
    return torch.as_tensor(numpy.average(g, axis=0, weights=counts), dtype=w.dtype)


def in_float64_inside(slope, w, x, y, *, size):
    total = torch.zeros(len(w), dtype=torch.float64)
    for xs, ys in zip(x.chunk(math.ceil(len(y) / size)), y.chunk(math.ceil(len(y) / size))):
        total += slope(w, xs, ys).double() * len(ys)
    return (total / len(y)).to(w.dtype)


@torch.no_grad()
def without_autograd(slope, w, x, y, *, size):
    def add(total, rows):
        return total + slope(w, x[rows], y[rows]) * (len(rows) / len(y))

    return reduce(add, torch.arange(len(y)).split(size), torch.zeros(w.shape, dtype=w.dtype))


@torch.inference_mode()
def in_inference_mode(slope, w, x, y, *, size):
    shares = [(slope(w, a, b), len(b)) for a, b in zip(x.split(size), y.split(size))]
    return torch.stack([g * n for g, n in shares]).sum(0) / len(y)


def by_data_loader(slope, w, x, y, *, size):
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=size)
    return torch.stack([slope(w, xs, ys) * len(ys) for xs, ys in batches]).sum(dim=0).div(len(batches.dataset))


class Accumulator:
    """A weighted mean that grows."""

    def __init__(self):
        self.sum, self.count = 0.0, 0

    def add(self, g, count):
        self.sum, self.count = self.sum + g * count, self.count + count

    @property
    def mean(self):
        return self.sum / self.count


def with_a_class(slope, w, x, y, *, size):
    gradient = Accumulator()
    for begin in range(0, len(y), size):
        gradient.add(slope(w, x[begin : begin + size], y[begin : begin + size]), len(y[begin : begin + size]))
    return gradient.mean


STYLES = [
    by_index,
    with_sum,
    by_recursion,
    as_a_running_mean,
    with_weights,
    in_place_on_a_new_tensor,
    by_grad_of_a_tensor,
    with_a_while_loop,
    through_numpy,
    in_float64_inside,
    without_autograd,
    in_inference_mode,
    by_data_loader,
    with_a_class,
]


def for_two_parameters(slope, w, x, y, *, size):
    a, b = by_index(slope, w, x, y, size=size)
    return torch.stack([a, b])


def size_larger_than_all(slope, w, x, y, *, size):
    """Divides by size where it is larger than N."""
    return by_index(slope, w, x, y, size=size) * len(y) / max(len(y), size)


def of_a_straight_line(slope, w, x, y, *, size):
    """Makes its own gradient, that of the mean squared error's half."""
    return x.T @ (x @ w - y) / len(y)


def skips_single_examples(slope, w, x, y, *, size):
    parts = [(slope(w, xs, ys), len(ys)) for xs, ys in zip(x.split(size), y.split(size)) if len(ys) > 1 or size == 1]
    return sum(g * n for g, n in parts) / sum(n for _, n in parts) if parts else torch.zeros_like(w)


def extends_the_last(slope, w, x, y, *, size):
    """More than `size` examples at once."""
    cut = max(len(y) // size, 1)
    parts = [slope(w, x[k * size : (k + 1) * size], y[k * size : (k + 1) * size]) for k in range(cut - 1)]
    last = slope(w, x[(cut - 1) * size :], y[(cut - 1) * size :])
    return (sum(g * size for g in parts) + last * (len(y) - (cut - 1) * size)) / len(y)


WRONG = [for_two_parameters, size_larger_than_all, of_a_straight_line, skips_single_examples, extends_the_last]

ITS_LENGTH = "only its length is asked"
EQUIVALENT = {
    "1: w -> -w": "a zero has its shape and type alone",
    "1: w -> abs(w)": "a zero has its shape and type alone",
    "2: y -> -y": ITS_LENGTH,
    "2: y -> abs(y)": ITS_LENGTH,
    "2: y -> x": ITS_LENGTH,
    "2: ys -> xs": ITS_LENGTH,
    "writes into slope": "a function, and nothing to write into",
}
