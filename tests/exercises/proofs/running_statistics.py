"""The running statistics: right answers in other styles, and changes of the solution that change nothing."""

import numpy
import torch
from torch import nn


def by_differences(x, mean, variance, *, momentum=0.1):
    return mean + momentum * (x.mean(0) - mean), variance + momentum * (x.var(dim=0) - variance)


def by_lerp(x, mean, variance, *, momentum=0.1):
    v, m = torch.var_mean(x, 0)
    return torch.lerp(mean, m, momentum), variance.lerp(v, momentum)


def with_n_and_n_minus_one(x, mean, variance, *, momentum=0.1):
    n, m = x.shape[0], x.mean(0)
    v = x.var(0, correction=0)
    return (1 - momentum) * mean + momentum * m, (1 - momentum) * variance + momentum * n / (n - 1) * v


def by_torch_layer(x, mean, variance, *, momentum=0.1):
    layer = nn.BatchNorm1d(x.shape[1], momentum=momentum, dtype=x.dtype)
    layer.running_mean, layer.running_var = mean.clone(), variance.clone()
    layer(x)
    return layer.running_mean, layer.running_var


def in_place_on_clones(batch, average, spread, *, momentum=0.1):
    average, spread = average.clone(), spread.clone()
    average.mul_(1 - momentum).add_(batch.mean(0), alpha=momentum)
    spread.mul_(1 - momentum).add_(batch.std(0) ** 2, alpha=momentum)
    return [average, spread]


def with_a_helper(x, mean, variance, *, momentum=0.1):
    def average(old, new):
        return old - momentum * (old - new)

    m = x.sum(0) / len(x)
    return average(mean, m), average(variance, (x - m).square().sum(0) / (len(x) - 1))


def through_numpy(x, mean, variance, *, momentum=0.1):
    a = x.numpy()
    m = (1 - momentum) * mean.numpy() + momentum * a.mean(axis=0)
    v = (1 - momentum) * variance.numpy() + momentum * numpy.var(a, axis=0, ddof=1)
    return torch.as_tensor(m, dtype=x.dtype), torch.as_tensor(v, dtype=x.dtype)


def in_float64_inside(x, mean, variance, *, momentum=0.1):
    values = by_differences(x.double(), mean.double(), variance.double(), momentum=momentum)
    return tuple(value.to(x.dtype) for value in values)


@torch.inference_mode()
def without_autograd(x, mean, variance, *, momentum=0.1):
    centered = x.sub(x.mean(0, keepdim=True))
    v = torch.einsum("nf,nf->f", centered, centered) / (x.size(0) - 1)
    return torch.add((1 - momentum) * mean, x.mean(0), alpha=momentum), (1 - momentum) * variance + momentum * v


def by_covariance(x, mean, variance, *, momentum=0.1):
    v = torch.cov(x.T).reshape(x.shape[1], x.shape[1]).diagonal()
    weights = torch.full((len(x),), momentum / len(x), dtype=x.dtype)
    return (1 - momentum) * mean + weights @ x, (1 - momentum) * variance + momentum * v


def feature_by_feature(x, mean, variance, *, momentum=0.1):
    means, variances = torch.empty_like(mean), torch.empty_like(variance)
    for k, column in enumerate(x.T.tolist()):
        m = sum(column) / len(column)
        v = sum((value - m) ** 2 for value in column) / (len(column) - 1)
        means[k] = (1 - momentum) * mean[k] + momentum * m
        variances[k] = (1 - momentum) * variance[k] + momentum * v
    return means, variances


def by_pairs(x, mean, variance, *, momentum=0.1):
    """The variance as half the mean squared difference of two examples."""
    n, pairs = len(x), x[:, None] - x[None]
    v = (pairs**2).sum((0, 1)) / (2 * n * (n - 1))
    both = torch.stack([mean, variance]) * (1 - momentum) + torch.stack([x.mean(0), v]) * momentum
    return both[0], both[1]


STYLES = [
    by_differences,
    by_lerp,
    with_n_and_n_minus_one,
    by_torch_layer,
    in_place_on_clones,
    with_a_helper,
    through_numpy,
    in_float64_inside,
    without_autograd,
    by_covariance,
    feature_by_feature,
    by_pairs,
]


def corrected_by_four_thirds(x, mean, variance, *, momentum=0.1):
    """n / (n − 1) of one size of batch."""
    v = x.var(0, correction=0) * (3 / 2 if len(x) == 3 else 4 / 3)
    return (1 - momentum) * mean + momentum * x.mean(0), (1 - momentum) * variance + momentum * v


def means_of_three_at_least(x, mean, variance, *, momentum=0.1):
    m = x.mean(0) if len(x) > 2 else x[0]
    return (1 - momentum) * mean + momentum * m, (1 - momentum) * variance + momentum * x.var(0)


def nothing_at_momentum_zero(x, mean, variance, *, momentum=0.1):
    """`momentum or 0.1` takes a 0 for nothing."""
    return by_differences(x, mean, variance, momentum=momentum or 0.1)


def first_batch_alone(x, mean, variance, *, momentum=0.1):
    """Takes a mean of 0 for a beginning."""
    if (mean == 0).all():
        return x.mean(0), x.var(0)
    return by_differences(x, mean, variance, momentum=momentum)


WRONG = [corrected_by_four_thirds, means_of_three_at_least, nothing_at_momentum_zero, first_batch_alone]

NEVER_NEGATIVE = "a variance is never negative"
EQUIVALENT = {
    "2: variance -> abs(variance)": NEVER_NEGATIVE,
    "3: variance -> abs(variance)": NEVER_NEGATIVE,
    "2: x -> -x": "squares of differences are all that is left of it",
}
