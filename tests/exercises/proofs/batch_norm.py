"""Batch normalization backward: right answers in other styles, and changes of the solution that change nothing."""

import numpy
import torch


def by_the_means(x, gamma, g, *, eps=1e-5):
    variance, mean = torch.var_mean(x, 0, correction=0)
    x_hat = (x - mean) * (variance + eps).rsqrt()
    h = g * gamma
    g_x = (h - h.mean(0) - x_hat * (h * x_hat).mean(0)) * torch.rsqrt(variance + eps)
    return g_x, (g * x_hat).sum(0), g.sum(0)


def way_by_way(x, gamma, g, *, eps=1e-5):
    """Through v, then through μ, then directly, as in the paper."""
    n, mean = x.shape[0], x.mean(0)
    v = ((x - mean) ** 2).sum(0) / n
    g_hat = g * gamma
    g_v = (g_hat * (x - mean) * -0.5 * (v + eps) ** -1.5).sum(0)
    g_mean = -(g_hat / (v + eps).sqrt()).sum(0) + g_v * (-2 * (x - mean)).mean(0)
    g_x = g_hat / (v + eps).sqrt() + g_v * 2 * (x - mean) / n + g_mean / n
    return [g_x, (g * (x - mean) / (v + eps).sqrt()).sum(0), g.sum(0)]


def by_autograd(x, gamma, g, *, eps=1e-5):
    x, gamma = x.clone().requires_grad_(), gamma.clone().requires_grad_()
    beta = torch.zeros_like(gamma).requires_grad_()
    y = gamma * (x - x.mean(0)) / (x.var(0, correction=0) + eps).sqrt() + beta
    return torch.autograd.grad(y, (x, gamma, beta), g)


def by_torch_itself(x, gamma, g, *, eps=1e-5):
    _, mean, scale = torch.native_batch_norm(x, gamma, torch.zeros_like(gamma), None, None, True, 0.1, eps)
    return torch.ops.aten.native_batch_norm_backward(g, x, gamma, None, None, mean, scale, True, eps, [True] * 3)


def feature_by_feature(x, gamma, g, *, eps=1e-5):
    columns, g_gamma, g_beta = [], [], []
    for k in range(x.shape[1]):
        c = x[:, k] - x[:, k].mean()
        s = (c.dot(c) / len(c) + eps) ** 0.5
        g_beta.append(g[:, k].sum())
        g_gamma.append(g[:, k] @ c / s)
        columns.append(gamma[k] / s * (g[:, k] - g_beta[-1] / len(c) - c / s * g_gamma[-1] / len(c)))
    return torch.stack(columns, 1), torch.stack(g_gamma), torch.stack(g_beta)


def by_projection(x, gamma, g, *, eps=1e-5):
    """What is left of g when the directions 1 and x̂ are taken off."""
    n = x.size(0)
    P = torch.eye(n, dtype=x.dtype) - torch.full((n, n), 1 / n, dtype=x.dtype)
    std = ((P @ x).pow(2).sum(0) / n + eps) ** 0.5
    x_hat = P @ x / std
    inner = torch.einsum("nf,nf->f", g, x_hat)
    return gamma * (P @ g - x_hat * inner / n) / std, inner, torch.ones(n, dtype=x.dtype) @ g


def with_jacobians(inputs, scale, upstream, *, eps=1e-5):
    def forward(x):
        return (x - x.mean(0)) / ((x - x.mean(0)).square().mean(0) + eps).sqrt()

    x_hat, back = torch.autograd.functional.vjp(forward, inputs, upstream * scale)
    return back, (upstream * x_hat).sum(0), upstream.sum(0)


def through_numpy(x, gamma, g, *, eps=1e-5):
    a, s, d = x.numpy(), gamma.numpy(), g.numpy()
    std = numpy.sqrt(a.var(axis=0) + eps)
    hat = (a - a.mean(axis=0)) / std
    g_gamma, g_beta = (d * hat).sum(axis=0), d.sum(axis=0)
    g_x = s / (len(a) * std) * (len(a) * d - g_beta - hat * g_gamma)
    return tuple(torch.as_tensor(value, dtype=x.dtype) for value in (g_x, g_gamma, g_beta))


def in_float64_inside(x, gamma, g, *, eps=1e-5):
    values = by_the_means(x.double(), gamma.double(), g.double(), eps=eps)
    return tuple(value.to(x.dtype) for value in values)


@torch.inference_mode()
def without_autograd(x, gamma, g, *, eps=1e-5):
    x_hat = x.clone()
    x_hat -= x.mean(0)
    std = x_hat.square().mean(0).add_(eps).sqrt_()
    x_hat /= std
    g_beta, g_gamma = g.sum(dim=0), g.mul(x_hat).sum(dim=0)
    g_x = g.clone().sub_(g_beta / len(g)).addcmul_(x_hat, g_gamma / len(g), value=-1)
    return g_x.mul_(gamma / std), g_gamma, g_beta


class Norm:
    """A layer that remembers its forward pass."""

    def __init__(self, x, gamma, eps):
        self.gamma, centered = gamma, x - x.sum(0) / len(x)
        self.std = torch.sqrt(torch.sum(centered**2, 0) / len(x) + eps)
        self.x_hat = centered / self.std

    def backward(self, g):
        h = self.gamma * g
        through = torch.mean(h, 0) + self.x_hat * torch.mean(h * self.x_hat, 0)
        return (h - through) / self.std, torch.sum(g * self.x_hat, 0), torch.sum(g, 0)


def with_a_class(x, gamma, g, *, eps=1e-5):
    return Norm(x, gamma, eps).backward(g)


STYLES = [
    by_the_means,
    way_by_way,
    by_autograd,
    by_torch_itself,
    feature_by_feature,
    by_projection,
    with_jacobians,
    through_numpy,
    in_float64_inside,
    without_autograd,
    with_a_class,
]


def divides_by_x_hat(x, gamma, g, *, eps=1e-5):
    """The gradient of x from that of γ and 1/x̂: 0/0 where a feature never changes."""
    g_x, g_gamma, g_beta = by_the_means(x, gamma, g, eps=eps)
    centered = x - x.mean(0)
    x_hat = centered / (centered.square().mean(0) + eps).sqrt()
    return g_x * (x_hat / x_hat), g_gamma, g_beta


def divides_by_g(x, gamma, g, *, eps=1e-5):
    g_x, g_gamma, g_beta = by_the_means(x, gamma, g, eps=eps)
    return g_x / g_beta * g_beta, g_gamma, g_beta


def divides_by_gamma(x, gamma, g, *, eps=1e-5):
    g_x, g_gamma, g_beta = by_the_means(x, gamma, g, eps=eps)
    return g_x, (g * gamma / gamma).sum(0) * 0 + g_gamma, g_beta


def by_a_mean_of_squares(x, gamma, g, *, eps=1e-5):
    """E[x²] − E[x]² of a single precision of its own: a shifted batch loses its digits."""
    single = x.float()
    variance = ((single**2).mean(0) - single.mean(0) ** 2).to(x.dtype)
    x_hat = (x - x.mean(0)) / (variance + eps).sqrt()
    g_gamma, g_beta = (g * x_hat).sum(0), g.sum(0)
    return gamma / (variance + eps).sqrt() * (g - g_beta / len(x) - x_hat * g_gamma / len(x)), g_gamma, g_beta


def variance_over_all_features(x, gamma, g, *, eps=1e-5):
    centered = x - x.mean(0)
    std = ((centered**2).mean() + eps).sqrt()
    x_hat = centered / std
    g_gamma, g_beta = (g * x_hat).sum(0), g.sum(0)
    return gamma / std * (g - g_beta / len(x) - x_hat * g_gamma / len(x)), g_gamma, g_beta


WRONG = [divides_by_x_hat, divides_by_g, divides_by_gamma, by_a_mean_of_squares, variance_over_all_features]

ITS_LENGTH = "only its length is asked"
EQUIVALENT = {"1: x -> -x": ITS_LENGTH, "1: x -> abs(x)": ITS_LENGTH, "1: x -> g": ITS_LENGTH}
