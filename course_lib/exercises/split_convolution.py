"""Exercise: the backward pass of a convolution whose filters are split over ranks."""

import functools
from collections.abc import Callable

import torch
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from course_lib.exercises.cases import tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.ranks import on_ranks, rank_case
from course_lib.exercises.trial import Problem


def split_convolution_backward(x, w, g, rank, n, all_reduce):
    """The gradients of x, whole, and of this rank's filters w; g is that of the maps of all ranks' filters."""
    part = g.chunk(n, 1)[rank]
    return all_reduce(conv2d_input(x.shape, w, part)), conv2d_weight(x, w.shape, part)


@mistake(
    "The filters' gradient agrees; that of x is this rank's term alone. All ranks have used x, so its gradient is the sum of what comes back "
    "through each rank's filters: one all_reduce."
)
def input_not_summed(x, w, g, rank, n, all_reduce):
    part = g.chunk(n, 1)[rank]
    return conv2d_input(x.shape, w, part), conv2d_weight(x, w.shape, part)


@mistake(
    "The gradient of x agrees; that of the filters is summed over the ranks, too. The ranks hold different filters, so the sum mixes gradients of "
    "different things. (It is data parallelism that sums filters' gradients: there all ranks hold the same ones.)"
)
def filters_summed(x, w, g, rank, n, all_reduce):
    g_x, g_w = split_convolution_backward(x, w, g, rank, n, all_reduce)
    return g_x, all_reduce(g_w)


@filters_summed.also
def filters_averaged(x, w, g, rank, n, all_reduce):
    g_x, g_w = split_convolution_backward(x, w, g, rank, n, all_reduce)
    return g_x, all_reduce(g_w) / n


@mistake(
    "The filters' gradient agrees, and that of x is {times} times the right one: you divide the sum by n. The ranks' filters are terms of one layer, "
    "not copies of it: a sum, no mean."
)
def divided_by_n(x, w, g, rank, n, all_reduce):
    g_x, g_w = split_convolution_backward(x, w, g, rank, n, all_reduce)
    return g_x / n, g_w


@mistake(
    "You take the wrong maps of g. Rank k holds the k-th run of filters, which made the k-th run of maps: `g.chunk(n, 1)[rank]`. "
    "Dimension 0 is that of the examples."
)
def first_maps(x, w, g, rank, n, all_reduce):
    return split_convolution_backward(x, w, g, 0, n, all_reduce)


@first_maps.also
def last_maps(x, w, g, rank, n, all_reduce):
    return split_convolution_backward(x, w, g, n - 1 - rank, n, all_reduce)


@first_maps.also
def every_nth_map(x, w, g, rank, n, all_reduce):
    part = g[:, rank::n]
    return all_reduce(conv2d_input(x.shape, w, part)), conv2d_weight(x, w.shape, part)


@mistake(
    "You split the batch in place of the filters: of g you use this rank's examples alone. In model parallelism each rank sees "
    "all examples, and takes of g the maps of its own filters."
)
def batch_split(x, w, g, rank, n, all_reduce):
    own = torch.zeros_like(x[:, :1, :1, :1])
    own.tensor_split(n)[rank].fill_(1)
    part = (g * own).chunk(n, 1)[rank]
    return all_reduce(conv2d_input(x.shape, w, part)), conv2d_weight(x, w.shape, part)


@batch_split.also
def batch_split_input_not_summed(x, w, g, rank, n, all_reduce):
    own = torch.zeros_like(x[:, :1, :1, :1])
    own.tensor_split(n)[rank].fill_(1)
    part = (g * own).chunk(n, 1)[rank]
    return conv2d_input(x.shape, w, part), conv2d_weight(x, w.shape, part)


@mistake(
    "Filters of 1 × 1 agree; with larger ones the gradient of x does not: they are not flipped. Where the forward pass reads x to the right, the "
    "gradient goes back to the left: `conv_transpose2d`, or `torch.nn.grad.conv2d_input`."
)
def not_flipped(x, w, g, rank, n, all_reduce):
    part = g.chunk(n, 1)[rank]
    rows, columns = w.shape[2] - 1, w.shape[3] - 1
    g_x = F.conv2d(F.pad(part, (columns, columns, rows, rows)), w.transpose(0, 1))
    return all_reduce(g_x), conv2d_weight(x, w.shape, part)


@mistake(
    "One example agrees; with more the filters' gradient is divided by their number. It is a sum over the examples: the 1/B of a mean loss is in g already."
)
def mean_over_examples(x, w, g, rank, n, all_reduce):
    g_x, g_w = split_convolution_backward(x, w, g, rank, n, all_reduce)
    return g_x, g_w / len(x)


def packed(fn: Callable) -> Callable:
    """The function with its two tensors as one, which is what ranks join; what is not two tensors stays as it is."""

    @functools.wraps(fn)
    def one(x, w, *args):
        result = fn(x, w, *args)
        if not (isinstance(result, tuple | list) and len(result) == 2 and all(map(torch.is_tensor, result))):
            return (result,) if torch.is_tensor(result) else result
        for name, value, like in zip(("g_x", "g_w"), result, (x, w)):
            if value.shape != like.shape:
                raise Problem(f"{name} has the shape {tuple(value.shape)}, expected {tuple(like.shape)}, on each rank.")
        return torch.cat([value.flatten() for value in result])

    return one


def lift(n: int, real: bool = False) -> Callable:
    """On n ranks: all ranks' gradients of x, (n, B, C, H, W), and those of all filters, (N, C, h, w)."""

    def share(c, x, w, g, *_):
        return x, w.chunk(n)[c.rank], g, c.rank, n, c.all_reduce

    def lifted(fn: Callable) -> Callable:
        ranks = on_ranks(n, share, torch.stack, real=real)(packed(fn))

        def call(x, w, g, *args):
            both = ranks(x, w, g, *args)
            if not torch.is_tensor(both):
                return both
            return both[:, : x.numel()].reshape(n, *x.shape), both[:, x.numel() :].reshape(w.shape)

        return call

    return lifted


def values(*shape: int) -> torch.Tensor:
    """Numbers between -1 and 1 without a pattern, the same everywhere."""
    count = torch.arange(1.0, 1 + torch.Size(shape).numel(), dtype=torch.float64)
    return tensor(torch.sin(count**2).tolist()).reshape(shape)


def case(title, look, n, filters, size=3, examples=2, real=False, dtype=torch.float64):
    """This many filters of size x size over n ranks, on maps of 4 x 4 in 2 channels."""
    x, w = values(examples, 2, 4, 4).to(dtype), values(filters, 2, size, size).flip(0).to(dtype)
    g = values(examples, filters, 5 - size, 5 - size).flip(-1).to(dtype)
    return rank_case(title, look, lift(n, real), x=x, w=w, g=g, rank="given", n=n, all_reduce="given")


check = Exercise(
    split_convolution_backward,
    returns=("g_x", "g_w"),
    cases=[
        case("2 ranks with a filter of 1 × 1 each, one example", "Begin with the filters' gradient: which maps of g has this rank made?", 2, 2, 1, 1),
        case("filters of 3 × 3", "Filters of 1 × 1 agree: look at how g goes back to x.", 2, 2, 3, 1),
        case("2 examples", "One example agrees: look for a mean, or a sum over the wrong dimension.", 2, 2),
        case("2 filters on each rank", "One filter a rank agrees: look at which maps of g a rank takes.", 2, 4),
        case("4 ranks", "Two ranks agree: look for a number where n or rank should stand.", 4, 8),
        case("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", 2, 4, dtype=torch.float32),
        case("2 real processes", "In threads of one process all agrees.", 2, 4, real=True),
    ],
    mistakes=[input_not_summed, filters_summed, divided_by_n, first_maps, batch_split, not_flipped, mean_over_examples],
    source="the whole layer",
    seconds=15.0,
)  # fmt: skip
