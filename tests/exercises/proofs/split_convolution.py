"""A convolution split over ranks: right answers in other styles, changes that change nothing, and wrong answers that are rejected."""

import functools

import numpy
import torch
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight


def by_slices(x, w, g, rank, n, all_reduce):
    part = g[:, rank * len(w) : (rank + 1) * len(w)]
    return [all_reduce(conv2d_input(x.shape, w, part)), conv2d_weight(x, w.shape, part)]


def by_autograd(x, w, g, rank, n, all_reduce):
    x, w = x.clone().requires_grad_(), w.clone().requires_grad_()
    with torch.enable_grad():
        g_x, g_w = torch.autograd.grad(F.conv2d(x, w), (x, w), g.tensor_split(n, dim=1)[rank])
    return all_reduce(g_x), g_w


def by_transposed_convolutions(x, w, g, rank, n, all_reduce):
    part = g.narrow(1, rank * w.size(0), w.size(0))
    g_w = F.conv2d(x.transpose(0, 1), part.transpose(0, 1)).transpose(0, 1)
    return all_reduce(F.conv_transpose2d(part, w)), g_w


def flipped_by_hand(x, w, g, rank, n, all_reduce):
    part, (h, v) = g.split(len(w), 1)[rank], w.shape[2:]
    padded = F.pad(part, (v - 1, v - 1, h - 1, h - 1))
    g_x = F.conv2d(padded, w.transpose(0, 1).flip(2, 3))
    return all_reduce(g_x), conv2d_weight(x, w.shape, part)


def by_einsum(maps, filters, back, k, ranks, total):
    N, C, h, v = filters.shape
    part = back.unflatten(1, (ranks, N))[:, k]
    patches = maps.unfold(2, h, 1).unfold(3, v, 1)  # (B, C, H', W', h, v)
    g_w = torch.einsum("bcijhv,bnij->nchv", patches, part)
    g_x = torch.zeros_like(maps)
    for i in range(h):
        for j in range(v):
            g_x[:, :, i : i + part.shape[2], j : j + part.shape[3]] += torch.einsum(
                "bnij,nc->bcij", part, filters[:, :, i, j]
            )
    return total(g_x), g_w


def by_folding(x, w, g, rank, n, all_reduce):
    part = g.chunk(n, 1)[rank].flatten(2)  # (B, N/n, places)
    columns = F.unfold(x, w.shape[2:])  # (B, C h w, places)
    g_w = (part @ columns.mT).sum(0).view_as(w)
    return all_reduce(F.fold(w.flatten(1).T @ part, x.shape[2:], w.shape[2:])), g_w


def example_by_example(x, w, g, rank, n, all_reduce):
    own = range(rank * len(w), (rank + 1) * len(w))
    g_x, g_w = torch.zeros_like(x), torch.zeros_like(w)
    for b in range(len(x)):
        part = g[b : b + 1, list(own)]
        g_x[b] = conv2d_input(x[b : b + 1].shape, w, part)[0]
        g_w = g_w + conv2d_weight(x[b : b + 1], w.shape, part)
    return all_reduce(g_x), g_w


def through_numpy(x, w, g, rank, n, all_reduce):
    part = torch.from_numpy(numpy.split(g.numpy(), n, axis=1)[rank].copy())
    return all_reduce(conv2d_input(x.shape, w, part)), conv2d_weight(x, w.shape, part)


def in_float64_inside(x, w, g, rank, n, all_reduce):
    part = g.double().chunk(n, dim=1)[rank]
    g_x = all_reduce(conv2d_input(x.shape, w.double(), part))
    return g_x.to(x.dtype), conv2d_weight(x.double(), w.shape, part).to(w.dtype)


@torch.inference_mode()
def without_autograd(x, w, g, rank, n, all_reduce):
    part = torch.index_select(g, 1, torch.arange(len(w)) + rank * len(w))
    g_w = conv2d_weight(x, w.shape, part)
    return all_reduce(conv2d_input(x.shape, w, part)), g_w


def filter_by_filter(x, w, g, rank, n, all_reduce):
    """One message for each filter."""
    terms, gradients = [], []
    for k, filter in enumerate(w):
        part = g[:, [rank * len(w) + k]]
        terms.append(all_reduce(conv2d_input(x.shape, filter[None], part)))
        gradients.append(conv2d_weight(x, filter[None].shape, part))
    return sum(terms), torch.cat(gradients)


def as_the_whole_layer(x, w, g, rank, n, all_reduce):
    """All filters, 0 in the other ranks' places."""
    whole = torch.zeros(g.shape[1], *w.shape[1:], dtype=w.dtype)
    own = slice(rank * len(w), (rank + 1) * len(w))
    whole[own] = w
    return all_reduce(conv2d_input(x.shape, whole, g)), conv2d_weight(x, whole.shape, g)[own]


class Layer:
    """A rank's filters."""

    def __init__(self, w, all_reduce):
        self.w, self.all_reduce = w, all_reduce

    def input(self, shape, part):
        return self.all_reduce(conv2d_input(shape, self.w, part))

    def filters(self, x, part):
        return conv2d_weight(x, self.w.shape, part)


def an_object(x, w, g, rank, n, all_reduce):
    layer, part = Layer(w, all_reduce), g.chunk(n, 1)[rank]
    return layer.input(x.shape, part), layer.filters(x, part)


def with_a_partial(x, w, g, rank, n, all_reduce):
    ways = functools.partial(conv2d_input, x.shape, w), functools.partial(conv2d_weight, x, w.shape)
    g_x, g_w = (way(g.hsplit(n)[rank]) for way in ways)
    return all_reduce(g_x), g_w


STYLES = [
    by_slices,
    by_autograd,
    by_transposed_convolutions,
    flipped_by_hand,
    by_einsum,
    by_folding,
    example_by_example,
    through_numpy,
    in_float64_inside,
    without_autograd,
    filter_by_filter,
    as_the_whole_layer,
    an_object,
    with_a_partial,
]

EQUIVALENT = {
    "1: g.chunk(n, 1) -> g.tensor_split(n, 1)": "n divides the number of maps",
    "1: rank -> abs(rank)": "ranks count from 0",
    "1: n -> abs(n)": "there is at least one rank",
    "2: x -> -x": "only its shape is asked for",
    "2: x -> abs(x)": "only its shape is asked for",
    "3: w -> -w": "only its shape is asked for",
    "3: w -> abs(w)": "only its shape is asked for",
} | {f"writes into {name}": "a number or a function cannot be written into" for name in ("rank", "n", "all_reduce")}


def rank_0_has_it_all(x, w, g, rank, n, all_reduce):
    """The gradient of x is right on rank 0 alone."""
    part = g.chunk(n, 1)[rank]
    term = conv2d_input(x.shape, w, part)
    total = all_reduce(term)
    return total if rank == 0 else term, conv2d_weight(x, w.shape, part)


def square_maps_alone(x, w, g, rank, n, all_reduce):
    g_x, g_w = by_slices(x, w, g, rank, n, all_reduce)
    return g_x.mT.reshape(g_x.shape).mT.reshape(g_x.shape) if x.shape[2] == x.shape[3] else g_x.mT.reshape(
        g_x.shape
    ), g_w


def one_channel_too_few(x, w, g, rank, n, all_reduce):
    g_x, g_w = by_slices(x, w, g, rank, n, all_reduce)
    return torch.cat([g_x[:, :2], torch.zeros_like(g_x[:, 2:])], 1), g_w


def two_ranks_alone(x, w, g, rank, n, all_reduce):
    part = g.chunk(2, 1)[rank] if rank < 2 else g.chunk(n, 1)[0]
    return all_reduce(conv2d_input(x.shape, w, part[:, : len(w)])), conv2d_weight(x, w.shape, part[:, : len(w)])


def writes_through_data(x, w, g, rank, n, all_reduce):
    g_x, g_w = by_slices(x, w, g, rank, n, all_reduce)
    w.data.copy_(g_w)
    return g_x, w


def filters_flipped(x, w, g, rank, n, all_reduce):
    g_x, g_w = by_slices(x, w, g, rank, n, all_reduce)
    return g_x, g_w.flip(2, 3)


def summed_twice(x, w, g, rank, n, all_reduce):
    g_x, g_w = by_slices(x, w, g, rank, n, all_reduce)
    return all_reduce(g_x), g_w


def negative_gradients_cut_off(x, w, g, rank, n, all_reduce):
    return by_slices(x, w, g.relu(), rank, n, all_reduce)


def exchanged(x, w, g, rank, n, all_reduce):
    return by_slices(x, w, g, rank, n, all_reduce)[::-1]


WRONG = [
    rank_0_has_it_all,
    square_maps_alone,
    one_channel_too_few,
    two_ranks_alone,
    writes_through_data,
    filters_flipped,
    summed_twice,
    negative_gradients_cut_off,
    exchanged,
]
