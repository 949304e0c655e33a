"""A learning rate for each parameter, in the lecture's order."""

from typing import Annotated

import torch

from course_lib.formulas.entry import Entry
from course_lib.formulas.signature import Decay, Range, Rate, Strength, Tiny

Growth = Annotated[float, Range(1.0, 2.0, at_least=1.0)]
Shrink = Annotated[float, Range(0.1, 0.9, at_least=0.0, below=1.0)]
Largest = Annotated[float, Range(1e-2, 1e2, "log", at_least=0.0)]


def rprop(
    w, g, t, g_old=0.0, eta="lr", *, lr: Rate = 0.01, alpha: Growth = 1.2,
    beta: Shrink = 0.5, eta_min: Tiny = 1e-6, eta_max: Largest = 50.0,
):
    """Only the gradient's sign counts: a rate for each parameter grows while
    the sign stays and shrinks when it turns. All rates begin at lr.

    Source: Riedmiller and Braun (1993), without backtracking; slides 13, 14.
    """
    same = g * g_old
    faster = (alpha * eta).clamp(max=eta_max)
    slower = (beta * eta).clamp(min=eta_min)
    eta = torch.where(same > 0, faster, torch.where(same < 0, slower, eta))
    return w - eta * g.sign(), g, eta


def rprop_torch(
    w, g, t, g_old=0.0, eta="lr", *, lr: Rate = 0.01, alpha: Growth = 1.2,
    beta: Shrink = 0.5, eta_min: Tiny = 1e-6, eta_max: Largest = 50.0,
):
    """Rprop as PyTorch spells it: a parameter whose sign turned waits a step.

    Source: Igel and Hüsken (2003), where it is called iRprop-. Equals
    torch.optim.Rprop(lr, etas=(beta, alpha), step_sizes=(eta_min, eta_max)).
    """
    same = g * g_old
    slower = torch.where(same < 0, beta * eta, eta)
    eta = torch.where(same > 0, alpha * eta, slower).clamp(eta_min, eta_max)
    g = torch.where(same < 0, torch.zeros_like(g), g)
    return w - eta * g.sign(), g, eta


def adagrad(w, g, t, G=0.0, *, lr: Rate = 0.01, eps: Tiny = 1e-10):
    """Each parameter's rate falls with the sum of its squared gradients.

    Source: Duchi, Hazan and Singer (2011); slide 15, with ε inside the root.
    """
    G = G + g**2
    return w - lr / (G + eps).sqrt() * g, G


def adagrad_torch(w, g, t, G=0.0, *, lr: Rate = 0.01, eps: Tiny = 1e-10):
    """Adagrad as PyTorch spells it: ε outside the root.

    Source: Duchi, Hazan and Singer (2011).
    Equals torch.optim.Adagrad(lr=lr, eps=eps).
    """
    G = G + g**2
    return w - lr / (G.sqrt() + eps) * g, G


def adadelta(
    w, g, t, v=0.0, u=0.0, *,
    lr: Rate = 1.0, gamma: Decay = 0.9, eps: Tiny = 1e-6,
):
    """A step in the units of w: the root mean square of the steps so far,
    over that of the gradients.

    Source: Zeiler (2012); slide 16.
    Equals torch.optim.Adadelta(lr=lr, rho=gamma, eps=eps).
    """
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    u = gamma * u + (1 - gamma) * delta**2
    return w - lr * delta, v, u


def rmsprop(
    w, g, t, v=0.0, *, lr: Rate = 0.01, gamma: Decay = 0.9, eps: Tiny = 1e-8,
):
    """Each gradient over its own root mean square.

    Source: Hinton's lecture 6e (2012); slide 17, with ε inside the root.
    """
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / (v + eps).sqrt() * g, v


def rmsprop_torch(
    w, g, t, v=0.0, *, lr: Rate = 0.01, gamma: Decay = 0.99, eps: Tiny = 1e-8,
):
    """RMSprop as PyTorch spells it: ε outside the root.

    Source: Hinton's lecture 6e (2012).
    Equals torch.optim.RMSprop(lr=lr, alpha=gamma, eps=eps).
    """
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / (v.sqrt() + eps) * g, v


def adam(
    w, g, t, m=0.0, v=0.0, *,
    lr: Rate = 1e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8,
):
    """The average gradient over its root mean square, both corrected for
    having begun at zero.

    Source: Kingma and Ba (2015); slide 18.
    Equals torch.optim.Adam(lr=lr, betas=(beta1, beta2), eps=eps).
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr / (v_hat.sqrt() + eps) * m_hat, m, v


def adam_l2(
    w, g, t, m=0.0, v=0.0, *, lr: Rate = 1e-3, beta1: Decay = 0.9,
    beta2: Decay = 0.999, eps: Tiny = 1e-8, decay: Strength = 0.01,
):
    """Adam on the loss plus λ/2 ‖w‖²: the decay, too, is divided by √v.

    Source: slide 19. Equals torch.optim.Adam(lr=lr, betas=(beta1, beta2),
    eps=eps, weight_decay=decay).
    """
    g = g + decay * w
    return adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


def adamw(
    w, g, t, m=0.0, v=0.0, *, lr: Rate = 1e-3, beta1: Decay = 0.9,
    beta2: Decay = 0.999, eps: Tiny = 1e-8, decay: Strength = 0.01,
):
    """Adam, and apart from it a decay of every weight by the same factor.

    Source: Loshchilov and Hutter (2019); slide 19. Equals
    torch.optim.AdamW(lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=decay).
    """
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - lr * decay * w, m, v


CATALOG = {
    rprop: Entry("Rprop", "#000000", dark="#ffffff", group="first order", float32=1e-6),
    rprop_torch: Entry("Rprop in PyTorch", "#d1495b", dark="#ff7a8a", float32=1e-4),
    adagrad: Entry("Adagrad", "#e69f00", dark="#e69f00", group="first order", float32=5e-6),
    adagrad_torch: Entry("Adagrad in PyTorch", "#b17a00", dark="#ffcf70", float32=3e-6),
    adadelta: Entry("Adadelta", "#a89c00", dark="#f0e442", group="first order", float32=5e-4),
    rmsprop: Entry("RMSprop", "#56b4e9", dark="#a3defc", group="first order", float32=3e-3),
    rmsprop_torch: Entry("RMSprop in PyTorch", "#2f8fc5", dark="#4fb0e0", float32=5e-4),
    adam: Entry("Adam", "#cc79a7", dark="#f48fc6", group="first order", float32=5e-6),
    adam_l2: Entry("Adam + L2", "#cc79a7", dark="#f48fc6", float32=5e-6),  # Adam on another loss
    adamw: Entry("AdamW", "#8a3b66", dark="#e0389a", float32=5e-6),
}

__all__ = [rule.__name__ for rule in CATALOG]
