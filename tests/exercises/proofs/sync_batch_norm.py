"""Synchronized batch normalization: right answers in other styles, changes that change nothing, and wrong answers that are rejected."""

import functools

import numpy
import torch


def one_message(x, n, all_reduce, *, eps=1e-5):
    sums = all_reduce(torch.cat([torch.full_like(x[:1], len(x)), x.sum(0)[None], (x**2).sum(0)[None]]))
    mean = sums[1] / sums[0]
    return (x - mean) / (sums[2] / sums[0] - mean**2 + eps).sqrt()


def from_the_ranks_own(x, n, all_reduce, *, eps=1e-5):
    """The variance within the ranks, plus that between them."""
    m = torch.full_like(x[0], len(x))
    total = all_reduce(m)
    mean = all_reduce(m * x.mean(0)) / total
    within, between = x.var(0, correction=0), (x.mean(0) - mean) ** 2
    return (x - mean) * torch.rsqrt(all_reduce(m * (within + between)) / total + eps)


def with_whole_counts(samples, ranks, reduce, *, eps=1e-5):
    count = reduce(torch.tensor(samples.shape[0])).item()
    mean = reduce(samples.sum(dim=0, keepdim=True)) / count
    centered = samples - mean
    return centered / torch.sqrt(reduce(torch.einsum("nf,nf->f", centered, centered)) / count + eps)


def by_loops(x, n, all_reduce, *, eps=1e-5):
    columns = []
    count = float(all_reduce(torch.ones(1, dtype=x.dtype) * len(x)))
    for feature in x.T:
        mean = all_reduce(feature.sum().reshape(1)) / count
        variance = all_reduce(((feature - mean) ** 2).sum().reshape(1)) / count
        columns.append((feature - mean) / (variance + eps) ** 0.5)
    return torch.stack(columns, 1)


def through_numpy(x, n, all_reduce, *, eps=1e-5):
    data = x.numpy()
    own = numpy.stack([numpy.full(data.shape[1], len(data)), data.sum(0), (data.astype(numpy.float64) ** 2).sum(0)])
    count, total, squares = all_reduce(torch.from_numpy(own.astype(numpy.float64))).numpy()
    mean = total / count
    return torch.from_numpy(((data - mean) / numpy.sqrt(squares / count - mean**2 + eps)).astype(data.dtype))


def in_float64_inside(x, n, all_reduce, *, eps=1e-5):
    z = x.double()
    count = all_reduce(z.new_tensor([float(len(z))]))
    mean, square = all_reduce(torch.stack([z.sum(0), z.square().sum(0)])) / count
    return ((z - mean) / (square - mean * mean + eps).sqrt()).to(x.dtype)


@torch.inference_mode()
def without_autograd(x, n, all_reduce, *, eps=1e-5):
    count = all_reduce(torch.ones_like(x).sum(0))
    mean = all_reduce(x.sum(0)).div(count)
    return x.sub(mean).div(all_reduce(x.sub(mean).square().sum(0)).div(count).add(eps).sqrt())


def in_place_on_a_copy(x, n, all_reduce, *, eps=1e-5):
    y, count = x.clone(), all_reduce(torch.full((1,), float(len(x)), dtype=x.dtype))
    y -= all_reduce(y.sum(0)) / count
    y /= (all_reduce((y * y).sum(0)) / count + eps).sqrt_()
    return y


def with_helpers(x, n, all_reduce, *, eps=1e-5):
    def mean(v):
        return all_reduce(v.sum(0)) / all_reduce(torch.full_like(v[0], v.shape[0]))

    center = mean(x)
    spread = mean((x - center) ** 2)
    return torch.nn.functional.batch_norm(x, center, spread, eps=eps) if eps else (x - center) / spread.sqrt()


def by_a_mean_of_means(x, n, all_reduce, *, eps=1e-5):
    """Each rank's mean, weighted by its share of the samples."""
    share = len(x) / all_reduce(torch.full_like(x[:1, :1], len(x))).squeeze()
    mean = all_reduce(share * x.mean(0))
    return (x - mean) / torch.hypot(all_reduce(share * (x - mean).square().mean(0)).sqrt(), x.new_tensor(eps).sqrt())


class Statistics:
    """Sums that know how to be joined."""

    def __init__(self, x, all_reduce):
        self.sum = lambda v: all_reduce(torch.atleast_1d(v))
        self.count = self.sum(torch.tensor(len(x)).to(x))

    def mean(self, v):
        return self.sum(v.sum(0)) / self.count


def an_object(x, n, all_reduce, *, eps=1e-5):
    statistics = Statistics(x, all_reduce)
    mean = statistics.mean(x)
    return ((x - mean) / (statistics.mean((x - mean) ** 2) + eps).sqrt(),)


def _normalized(x, mean, variance, eps):
    return torch.addcdiv(torch.zeros_like(x), x - mean, (variance + eps).sqrt().expand_as(x))


def with_a_partial(x, n, all_reduce, *, eps=1e-5):
    count = all_reduce(torch.tensor([len(x)] * x.shape[1], dtype=x.dtype))
    average = lambda v: all_reduce(v.sum(0)) / count
    normalized = functools.partial(_normalized, x, average(x), eps=eps)
    return normalized(variance=average((x - average(x)) ** 2))


STYLES = [
    one_message,
    from_the_ranks_own,
    with_whole_counts,
    by_loops,
    through_numpy,
    in_float64_inside,
    without_autograd,
    in_place_on_a_copy,
    with_helpers,
    by_a_mean_of_means,
    an_object,
    with_a_partial,
]

EQUIVALENT = {
    "1: x -> -x": "only its shape and type are asked for, and how many samples it has",
    "1: x -> abs(x)": "only its shape and type are asked for, and how many samples it has",
    "1: 0 -> -1": "any sample has the shape and type of a sample",
    "3: x - mean -> mean - x": "it is squared",
    "writes into n": "a number cannot be written into",
    "writes into all_reduce": "a function cannot be written into",
}


def eight_samples(x, n, all_reduce, *, eps=1e-5):
    mean = all_reduce(x.sum(0)) / 8
    return (x - mean) / (all_reduce(((x - mean) ** 2).sum(0)) / 8 + eps).sqrt()


def two_features(x, n, all_reduce, *, eps=1e-5):
    y = one_message(x, n, all_reduce, eps=eps)
    return torch.stack([y[:, 0], y[:, -1]], 1)


def never_below_eps(x, n, all_reduce, *, eps=1e-5):
    """max(v, eps) in place of v + eps."""
    count = all_reduce(torch.full_like(x[0], len(x)))
    mean = all_reduce(x.sum(0)) / count
    return (x - mean) / (all_reduce(((x - mean) ** 2).sum(0)) / count).clamp(min=eps).sqrt()


def eps_or_its_default(x, n, all_reduce, *, eps=1e-5):
    return one_message(x, n, all_reduce, eps=eps or 1e-5)


def zero_where_constant(x, n, all_reduce, *, eps=1e-5):
    """No eps in the variance, but a 0 where it is 0."""
    return torch.nan_to_num(one_message(x, n, all_reduce, eps=0.0), 0.0)


def writes_through_data(x, n, all_reduce, *, eps=1e-5):
    y = in_place_on_a_copy(x, n, all_reduce, eps=eps)
    x.data.copy_(y)
    return y


def centered_alone(x, n, all_reduce, *, eps=1e-5):
    return x - all_reduce(x.sum(0)) / all_reduce(torch.full_like(x[0], len(x)))


def normalized_samples(x, n, all_reduce, *, eps=1e-5):
    """Layer normalization: the statistics of each sample."""
    return (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + eps).sqrt()


def one_mean_for_all_features(x, n, all_reduce, *, eps=1e-5):
    count = all_reduce(torch.full_like(x[:1, 0], x.numel()))
    mean = all_reduce(x.sum().reshape(1)) / count
    return (x - mean) / (all_reduce(((x - mean) ** 2).sum().reshape(1)) / count + eps).sqrt()


WRONG = [
    eight_samples,
    two_features,
    never_below_eps,
    eps_or_its_default,
    zero_where_constant,
    writes_through_data,
    centered_alone,
    normalized_samples,
    one_mean_for_all_features,
]
