"""Exercise: the backward pass of a convolution whose filters are split over ranks."""

import functools
from collections.abc import Callable

import torch
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from course_lib.exercises.cases import scattered
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.form import name_of
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
            if torch.is_tensor(result) or isinstance(result, (tuple, list)) and len(result) == 1:
                raise Problem(f"{name_of(fn)} returns 1 value; 2 expected: g_x and g_w, in this order.")
            return result
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


def case(
    title,
    look,
    n,
    filters,
    size=(3, 3),
    examples=2,
    channels=2,
    maps=(4, 4),
    *,
    about=(),
    real=False,
    dtype=torch.float64,
):
    """This many filters of this size over n ranks."""
    x, w = scattered(examples, channels, *maps), scattered(filters, channels, *size).flip(0)
    g = scattered(examples, filters, *(m - k + 1 for m, k in zip(maps, size))).flip(-1)
    given = {name: value.to(dtype) for name, value in {"x": x, "w": w, "g": g}.items()}
    return rank_case(title, look, lift(n, real), about=about, real=real, **given, rank="given", n=n, all_reduce="given")


check = Exercise(
    split_convolution_backward,
    returns=("g_x", "g_w"),
    cases=[
        case("2 ranks with a filter of 1 × 1 each, one example", "", 2, 2, (1, 1), 1),
        case("filters of 3 × 3", "Filters of 1 × 1 agree: look at how g goes back to x.", 2, 2, examples=1, about=("transpose", "order")),
        case("2 examples", "One example agrees: look for a mean, or a sum over the wrong dimension.", 2, 2, about=("reduction", "constant")),
        case("2 filters on each rank", "One filter a rank agrees: look at which maps of g a rank takes.", 2, 4, about=("part", "n", "rank")),
        case("4 ranks", "Two ranks agree: look for a number where n or rank should stand.", 4, 8, about=("n", "rank")),
        case("3 ranks", "Two and four ranks agree: look for a number where n or rank should stand.", 3, 9, about=("n", "rank")),
        case("1 rank", "More ranks agree: alone it is the whole layer.", 1, 3, about=("n", "rank")),
        case("maps of 5 × 7, filters of 2 × 3", "Squares agree: look for height and width exchanged.", 2, 4, (2, 3), maps=(5, 7), about=("shape", "order")),
        case("3 examples of one channel", "Two channels agree: look for a size written as a number, or taken from the wrong dimension.", 2, 4, examples=3, channels=1, about=("shape", "constant")),
        case("5 channels", "Fewer channels agree: look for a size written as a number, or taken from the wrong dimension.", 2, 4, channels=5, about=("shape", "constant")),
        case("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", 2, 4, about=("float32",), dtype=torch.float32),
        case("2 real processes", "In threads of one process all agrees.", 2, 4, real=True),
    ],
    mistakes=[input_not_summed, filters_summed, divided_by_n, first_maps, batch_split, not_flipped, mean_over_examples],
    source="the layer",
    seconds=10.0,
)  # fmt: skip
