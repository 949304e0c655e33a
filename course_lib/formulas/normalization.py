"""Batch normalization written out, forward, backward and its running statistics; and layer normalization, its twin.

Inputs have the shape (N, features), or (N, C, ...) for images: each feature or channel is normalized by itself.
"""

import torch


def batch_axes(x):
    """The axes over which batch normalization averages: all but axis 1, the features or channels."""
    return [k for k in range(x.dim()) if k != 1]


def per_feature(v, x):
    """v of shape (features,), so that it multiplies x along its axis 1."""
    return v.reshape([1, -1] + [1] * (x.dim() - 2))


def normalize(x, axes, *, eps=1e-5):
    """x without its mean and divided by its standard deviation over `axes`,
    and that deviation, with eps inside the root."""
    centered = x - x.mean(axes, keepdim=True)
    variance = (centered**2).mean(axes, keepdim=True)  # divided by n
    std = (variance + eps).sqrt()
    return centered / std, std


def batch_norm(x, gamma, beta, *, eps=1e-5):
    """Each feature with mean beta and deviation gamma over the batch.

    x: (N, features) or (N, C, ...); gamma, beta: (features,).
    Source: Ioffe and Szegedy (2015), arXiv:1502.03167; slide 23.
    Equals torch.nn.functional.batch_norm(..., training=True).
    """
    x_hat, _ = normalize(x, batch_axes(x), eps=eps)
    return per_feature(gamma, x) * x_hat + per_feature(beta, x)


def batch_norm_backward(x, gamma, g, *, eps=1e-5):
    """The gradients of x, gamma and beta, from g, that of the output.

    The mean and the variance depend on every x of the batch: hence
    the two terms that are subtracted. Shapes as in batch_norm.
    Equals what autograd gives for torch.nn.functional.batch_norm.
    """
    axes = batch_axes(x)
    n = x.numel() / x.shape[1]  # values of each feature
    x_hat, std = normalize(x, axes, eps=eps)
    g_beta = g.sum(axes)
    g_gamma = (g * x_hat).sum(axes)
    through = g - per_feature(g_beta, x) / n
    through = through - x_hat * per_feature(g_gamma, x) / n
    return per_feature(gamma, x) / std * through, g_gamma, g_beta


def running_statistics(x, mean, variance, *, momentum=0.1):
    """The running mean and variance after one more batch, (features,).

    The average takes the batch's variance divided by n - 1, while
    the batch itself is normalized with the one divided by n.
    `momentum` is the weight of the new batch, as in PyTorch: the
    opposite of an optimizer's. One value alone has no variance: NaN.
    Equals torch.nn.BatchNorm1d and 2d in training; they raise there.
    """
    axes = batch_axes(x)
    n = torch.tensor(x.numel() / x.shape[1])
    biased = ((x - per_feature(x.mean(axes), x)) ** 2).mean(axes)
    new = x.mean(axes), biased * n / (n - 1)
    old = mean, variance
    return tuple((1 - momentum) * a + momentum * b for a, b in zip(old, new))


def batch_sums(x):
    """n, and each feature's sum and sum of squares, in one vector of float64: (1 + 2 features,).

    Added up over the parts of a batch they give the statistics of all of it; means and variances of parts of unlike sizes don't.
    """
    axes, x = batch_axes(x), x.double()  # Σx² / n - mean² would lose float32's digits where the mean is large
    n = x.new_full((1,), x.numel() / x.shape[1])
    return torch.cat([n, x.sum(axes), (x**2).sum(axes)])


def statistics_of_sums(sums):
    """n, and the mean and the variance, divided by n, of each feature, from `batch_sums`.

    Equals x.mean and x.var(correction=0) over the batch, for means up to a million times the deviation.
    """
    n, total, squares = sums[0], *sums[1:].chunk(2)
    mean = total / n
    return n, mean, (squares / n - mean**2).clamp(min=0.0)


def batch_norm_eval(x, mean, variance, gamma, beta, *, eps=1e-5):
    """The same with running statistics in place of the batch's: each example by itself, a fixed linear map.

    Equals torch.nn.functional.batch_norm(..., training=False).
    """
    scale = gamma / (variance + eps).sqrt()
    return per_feature(scale, x) * x + per_feature(beta - mean * scale, x)


def layer_norm(x, gamma, beta, *, eps=1e-5):
    """Each example with mean 0 and deviation 1 over its features, then scaled: no batch, no running statistics.

    x: (..., features); gamma, beta: (features,). Source: Ba, Kiros and Hinton (2016), arXiv:1607.06450.
    Equals torch.nn.functional.layer_norm(x, (features,), gamma, beta).
    """
    x_hat, _ = normalize(x, [-1], eps=eps)
    return gamma * x_hat + beta


def layer_norm_backward(x, gamma, g, *, eps=1e-5):
    """The gradients of x, gamma and beta: batch normalization's, with the roles of the axes exchanged.

    Equals what autograd gives for torch.nn.functional.layer_norm.
    """
    x_hat, std = normalize(x, [-1], eps=eps)
    scaled = gamma * g
    through = scaled - scaled.mean(-1, keepdim=True) - x_hat * (scaled * x_hat).mean(-1, keepdim=True)
    others = list(range(x.dim() - 1))
    return through / std, (g * x_hat).sum(others), g.sum(others)


def explosion_rate():
    """By how much a layer of a wide network of batch normalization and ReLU multiplies the gradient's norm at the start,
    in large batches: √(π / (π - 1)) = 1.21.

    Source: Yang et al. (2019), "A mean field theory of batch normalization", arXiv:1902.08129.
    """
    return (torch.pi / (torch.pi - 1)) ** 0.5
