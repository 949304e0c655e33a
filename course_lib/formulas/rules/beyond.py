"""Beyond the lecture: what came after RMSprop and Adam, by growing difficulty."""

import torch
from torch.linalg import vector_norm

from course_lib.formulas.entry import Entry
from course_lib.formulas.signature import Decay, Rate, Strength, Tiny


def rmsprop_centered(
    w, g, t, v=0.0, mean=0.0, *,
    lr: Rate = 0.01, gamma: Decay = 0.99, eps: Tiny = 1e-8,
):
    """RMSprop by the standard deviation of the gradient instead.

    Source: Graves (2013). Equals torch.optim.RMSprop(lr=lr, alpha=gamma,
    eps=eps, centered=True).
    """
    v = gamma * v + (1 - gamma) * g**2
    mean = gamma * mean + (1 - gamma) * g
    return w - lr / ((v - mean**2).sqrt() + eps) * g, v, mean


def rmsprop_momentum(
    w, g, t, v=0.0, b=0.0, *, lr: Rate = 0.01,
    gamma: Decay = 0.99, momentum: Decay = 0.9, eps: Tiny = 1e-8,
):
    """RMSprop, and momentum over its steps.

    Source: Graves (2013). Equals torch.optim.RMSprop(lr=lr, alpha=gamma,
    eps=eps, momentum=momentum).
    """
    v = gamma * v + (1 - gamma) * g**2
    b = momentum * b + g / (v.sqrt() + eps)
    return w - lr * b, v, b


def amsgrad(
    w, g, t, m=0.0, v=0.0, v_max=0.0, *,
    lr: Rate = 1e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8,
):
    """Adam whose rates never grow again: it divides by the largest v so far.

    Source: Reddi, Kale and Kumar (2018).
    Equals torch.optim.Adam(lr=lr, betas=(beta1, beta2), eps=eps, amsgrad=True).
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    v_max = torch.maximum(v_max, v)
    m_hat = m / (1 - beta1**t)
    v_hat = v_max / (1 - beta2**t)
    return w - lr / (v_hat.sqrt() + eps) * m_hat, m, v, v_max


def adamax(
    w, g, t, m=0.0, u=0.0, *,
    lr: Rate = 2e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8,
):
    """Adam by the largest recent gradient instead of the root mean square.

    Source: Kingma and Ba (2015), section 7.1.
    Equals torch.optim.Adamax(lr=lr, betas=(beta1, beta2), eps=eps).
    """
    m = beta1 * m + (1 - beta1) * g
    u = torch.maximum(beta2 * u, g.abs() + eps)
    return w - lr / (1 - beta1**t) * m / u, m, u


def nadam(
    w, g, t, m=0.0, v=0.0, product=1.0, *,
    lr: Rate = 2e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8,
    psi: Strength = 4e-3,
):
    """Adam that looks ahead as Nesterov does, with a momentum that warms up.

    Source: Dozat (2016).
    Equals torch.optim.NAdam(lr=lr, betas=(beta1, beta2), eps=eps,
    momentum_decay=psi).
    """
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * psi))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * psi))
    product = product * mu
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
    v_hat = v / (1 - beta2**t)
    return w - lr / (v_hat.sqrt() + eps) * m_hat, m, v, product


def radam(
    w, g, t, m=0.0, v=0.0, *,
    lr: Rate = 1e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8,
):
    """Adam that begins as momentum and trusts v as it gathers evidence.

    Source: Liu et al. (2020).
    Equals torch.optim.RAdam(lr=lr, betas=(beta1, beta2), eps=eps).
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * t * beta2**t / (1 - beta2**t)
    length = length * torch.ones_like(v)
    r = (length - 4) * (length - 2) * longest
    r = r / ((longest - 4) * (longest - 2) * length)
    adaptive = (r * (1 - beta2**t)).clamp(min=0).sqrt() / (v.sqrt() + eps)
    one = torch.ones_like(v)
    return w - lr * m_hat * torch.where(length > 5, adaptive, one), m, v


def lion(
    w, g, t, m=0.0, *, lr: Rate = 1e-4,
    beta1: Decay = 0.9, beta2: Decay = 0.99, decay: Strength = 0.01,
):
    """The sign of an average gradient: every weight moves by lr in each step.

    Source: Chen et al. (2023), found by a search over programs.
    PyTorch has no such optimizer.
    """
    step = (beta1 * m + (1 - beta1) * g).sign()
    return w - lr * (step + decay * w), beta2 * m + (1 - beta2) * g


def lamb(
    w, g, t, m=0.0, v=0.0, *,
    lr: Rate = 1e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-6,
    decay: Strength = 0.01,
):
    """Adam's direction with decay, as long as lr times the norm of the layer.

    Source: You et al. (2020), for large batches. PyTorch has no such optimizer.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    step = m_hat / (v_hat.sqrt() + eps) + decay * w
    size, length = vector_norm(w), vector_norm(step)
    defined = (size > 0) & (length > 0)
    trust = torch.where(defined, size / length, torch.ones_like(size))
    return w - lr * trust * step, m, v


CATALOG = {
    rmsprop_centered: Entry("centered RMSprop", "#2d6f86", dark="#7fb3c4", float32=3e-4),
    rmsprop_momentum: Entry("RMSprop with momentum", "#5f7fb8", dark="#93a8e8", float32=1e-3),
    amsgrad: Entry("AMSGrad", "#9a5c80", dark="#b56bb8", group="beyond the lecture", float32=5e-6),
    adamax: Entry("Adamax", "#b3446c", dark="#ff5c8f", group="beyond the lecture", float32=1e-6),
    nadam: Entry("NAdam", "#d99bbd", dark="#ffcfe8", group="beyond the lecture", float32=1e-3),
    radam: Entry("RAdam", "#6f3d57", dark="#c288a6", group="beyond the lecture", float32=5e-4),
    lion: Entry("Lion", "#7a7a1e", dark="#c3c35a", group="beyond the lecture", float32=5e-7),
    lamb: Entry("LAMB", "#6e5a48", dark="#cbb59f", float32=3e-4),
}

__all__ = [rule.__name__ for rule in CATALOG]
