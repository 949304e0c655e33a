"""A step on several ranks: right answers in other styles, changes of the solution that change nothing, and wrong answers that are rejected."""

import functools

import numpy
import torch


def strided(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    x, y, w = x[rank::n], y[rank::n], broadcast(w)
    both = all_reduce(torch.cat([gradient(w, x, y) * len(x), w.new_full((1,), len(x))]))
    return w - lr * both[:-1] / both[-1]


def by_slices(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    start, end = len(x) * rank // n, len(x) * (rank + 1) // n
    w = broadcast(w)
    share = (end - start) / len(x)
    return w - all_reduce(lr * share * gradient(w, x[start:end], y[start:end]))


def sample_by_sample(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w, total = broadcast(w), torch.zeros_like(w)
    for k in range(rank, len(x), n):
        total = total + gradient(w, x[k : k + 1], y[k : k + 1])
    return w - lr / len(x) * all_reduce(total)


def broadcast_by_a_sum(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = all_reduce(w if rank == 0 else torch.zeros_like(w))
    mine, target = x.tensor_split(n)[rank], y.tensor_split(n)[rank]
    return w.sub(all_reduce(gradient(w, mine, target).mul(mine.shape[0])).div(x.shape[0]), alpha=lr)


def by_indices(weights, inputs, outputs, k, ranks, slope, total, from_0, *, lr=0.1):
    mine = torch.arange(len(inputs)).tensor_split(ranks)[k]
    weights = from_0(weights)
    counted = total(torch.tensor(float(len(mine)), dtype=weights.dtype))
    return weights - lr * total(slope(weights, inputs[mine], outputs[mine]) * len(mine)) / counted


def with_a_mask(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    mine = torch.zeros(len(x), dtype=torch.bool)
    mine.tensor_split(n)[rank].fill_(True)
    w = broadcast(w)
    g = gradient(w, x[mine], y[mine]) * mine.sum()
    return w - lr * all_reduce(g) / all_reduce(mine.sum())


def through_numpy(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    mine = numpy.array_split(numpy.arange(len(x)), n)[rank]
    g = gradient(w, x[mine], y[mine]).numpy() * len(mine)
    return w - lr * all_reduce(torch.from_numpy(g)) / len(x)


def in_float64_inside(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    mine, target = (v.double().tensor_split(n)[rank] for v in (x, y))
    w64 = broadcast(w).double()
    g = len(mine) * gradient(w64, mine, target)
    return (w64 - lr * all_reduce(g) / len(x)).to(w.dtype)


@torch.inference_mode()
def without_autograd(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    mine = x.tensor_split(n)[rank]
    return torch.add(w, all_reduce(len(mine) * gradient(w, mine, y.tensor_split(n)[rank])), alpha=-lr / len(x))


def in_place_on_a_copy(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w).clone()
    mine = x.tensor_split(n)[rank]
    step = gradient(w, mine, y.tensor_split(n)[rank])
    step *= len(mine)
    step = all_reduce(step)
    step /= len(x)
    w -= lr * step
    return w


def with_helpers(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    def part(v):
        return v.tensor_split(n)[rank]

    def mean_of_all(g):
        return all_reduce(g * part(x).size(0)) / x.size(0)

    return (lambda v: v - lr * mean_of_all(gradient(v, part(x), part(y))))(broadcast(w))


class Replica:
    """A rank's copy of the weights."""

    def __init__(self, w, broadcast, all_reduce):
        self.w, self.all_reduce = broadcast(w), all_reduce

    def step(self, g, share, lr):
        return self.w - lr * self.all_reduce(share * g)


def an_object(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    replica, mine = Replica(w, broadcast, all_reduce), x.tensor_split(n)[rank]
    return [replica.step(gradient(replica.w, mine, y.tensor_split(n)[rank]), len(mine) / len(x), lr)]


def with_a_partial(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    own = functools.partial(lambda parts, v: v.chunk(parts) if len(v) % parts == 0 else v.tensor_split(parts), n)
    w = broadcast(w)
    return w - all_reduce(gradient(w, own(x)[rank], own(y)[rank]) * (lr * len(own(x)[rank]) / len(x)))


STYLES = [
    strided,
    by_slices,
    sample_by_sample,
    broadcast_by_a_sum,
    by_indices,
    with_a_mask,
    through_numpy,
    in_float64_inside,
    without_autograd,
    in_place_on_a_copy,
    with_helpers,
    an_object,
    with_a_partial,
]

EQUIVALENT = {
    "2: rank -> abs(rank)": "ranks count from 0",
    "3: rank -> abs(rank)": "ranks count from 0",
    "2: n -> abs(n)": "there is at least one rank",
    "3: n -> abs(n)": "there is at least one rank",
    "5: x -> -x": "only the number of samples is asked for",
    "5: x -> abs(x)": "only the number of samples is asked for",
    "5: x -> y": "there are as many",
} | {
    f"writes into {name}": "a number or a function cannot be written into"
    for name in ("rank", "n", "gradient", "all_reduce", "broadcast")
}


def _own(v, rank, n):
    return v.tensor_split(n)[rank]


def whole_parts_alone(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    """Leaves out the samples that do not fill a part for each rank."""
    size, w = len(x) // n, broadcast(w)
    mine = slice(rank * size, (rank + 1) * size)
    return w - lr * all_reduce(gradient(w, x[mine], y[mine])) / n


def mean_weights(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = all_reduce(w) / n
    return w - lr * all_reduce(len(_own(x, rank, n)) * gradient(w, _own(x, rank, n), _own(y, rank, n))) / len(x)


def last_ranks_weights(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = all_reduce(w if rank == n - 1 else torch.zeros_like(w))
    return w - lr * all_reduce(len(_own(x, rank, n)) * gradient(w, _own(x, rank, n), _own(y, rank, n))) / len(x)


def synchronized_after(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    """The step first, rank 0's result then: the others' gradients come from other weights."""
    g = all_reduce(len(_own(x, rank, n)) * gradient(w, _own(x, rank, n), _own(y, rank, n))) / len(x)
    return broadcast(w - lr * g)


def rank_0_works_alone(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return broadcast(w - lr * gradient(w, x, y) if rank == 0 else w)


def parts_in_other_orders(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * all_reduce(
        len(_own(x, rank, n)) * gradient(w, _own(x, rank, n), y[rank::n][: len(_own(x, rank, n))])
    ) / len(x)


def lr_or_its_default(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    return strided(w, x, y, rank, n, gradient, all_reduce, broadcast, lr=lr or 0.1)


def nothing_at_a_rate_of_0(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    return strided(w, x, y, rank, n, gradient, all_reduce, broadcast, lr=lr) if lr else w


def writes_through_data(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    new = strided(w, x, y, rank, n, gradient, all_reduce, broadcast, lr=lr)
    w.data.copy_(new)
    return new


def two_features(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    new = strided(w, x, y, rank, n, gradient, all_reduce, broadcast, lr=lr)
    return torch.stack([new[0], new[-1]])


def own_number_of_samples(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w, mine = broadcast(w), _own(x, rank, n)
    return w - lr * all_reduce(len(mine) * gradient(w, mine, _own(y, rank, n))) / (n * len(mine))


WRONG = [
    whole_parts_alone,
    mean_weights,
    last_ranks_weights,
    synchronized_after,
    rank_0_works_alone,
    parts_in_other_orders,
    lr_or_its_default,
    nothing_at_a_rate_of_0,
    writes_through_data,
    two_features,
    own_number_of_samples,
]
