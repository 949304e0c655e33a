"""Update rules, by growing difficulty: each takes (w, g, t), its state, its hyperparameters; returns w and the new state.

`w` and `g` (the gradient at w) have the same shape, any shape; `t` counts steps from 1. A name that ends in _torch is
PyTorch's spelling of a rule that the lecture spells otherwise, so that both can be compared.
"""

from typing import Annotated

import torch
from torch.linalg import vector_norm

from course_lib.formulas.signature import Decay, Range, Rate, Strength, Tiny

Growth = Annotated[float, Range(1.0, 2.0, at_least=1.0)]
Shrink = Annotated[float, Range(0.1, 0.9, at_least=0.0, below=1.0)]
Largest = Annotated[float, Range(1e-2, 1e2, "log", at_least=0.0)]

# --- one learning rate for all parameters


def gradient_descent(w, g, t, *, lr: Rate = 0.1):
    """One step against the gradient, as long as the learning rate says.

    Source: Cauchy (1847); slide 4. Equals torch.optim.SGD(lr=lr).
    """
    return w - lr * g


def momentum(w, g, t, delta=0.0, *, lr: Rate = 0.1, momentum: Decay = 0.9):
    """A step along the running average of the gradients: the lecture's form.

    Source: Polyak (1964); slide 7.
    Equals torch.optim.SGD(lr=lr * (1 - momentum), momentum=momentum).
    """
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta, delta


def sgd(w, g, t, b=0.0, *, lr: Rate = 0.01, momentum: Decay = 0.9):
    """Momentum as PyTorch spells it: a decaying sum, without (1 - momentum).

    Source: Sutskever et al. (2013).
    Equals torch.optim.SGD(lr=lr, momentum=momentum).
    """
    b = momentum * b + g
    return w - lr * b, b


def nesterov(w, g, t, b=0.0, *, lr: Rate = 0.01, momentum: Decay = 0.9):
    """Momentum that corrects itself with the gradient from where it is going.

    Source: Nesterov (1983), in the form of Sutskever et al. (2013).
    Equals torch.optim.SGD(lr=lr, momentum=momentum, nesterov=True).
    """
    b = momentum * b + g
    return w - lr * (g + momentum * b), b


# --- weight decay


def momentum_l2(
    w, g, t, delta=0.0, *,
    lr: Rate = 0.1, momentum: Decay = 0.9, decay: Strength = 0.01,
):  # fmt: skip
    """Momentum on the loss plus λ/2 ‖w‖²: the decay goes through the average.

    Source: slides 7 and 8. Equals torch.optim.SGD(lr=lr * (1 - momentum),
    momentum=momentum, weight_decay=decay).
    """
    g = g + decay * w
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta, delta


def sgdw(
    w, g, t, delta=0.0, *,
    lr: Rate = 0.1, momentum: Decay = 0.9, decay: Strength = 0.01,
):  # fmt: skip
    """Momentum with decoupled weight decay: the decay stays out of the average.

    Source: Loshchilov and Hutter (2019); slide 9. PyTorch has no such optimizer.
    """
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * decay * w, delta


# --- a learning rate for each parameter


def rprop(
    w, g, t, g_old=0.0, eta="lr", *, lr: Rate = 0.01, alpha: Growth = 1.2,
    beta: Shrink = 0.5, eta_min: Tiny = 1e-6, eta_max: Largest = 50.0,
):  # fmt: skip
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
):  # fmt: skip
    """Rprop as PyTorch spells it: a parameter whose sign turned waits a step.

    Source: Igel and Hüsken (2003), where it is called iRprop-. Equals
    torch.optim.Rprop(lr, etas=(beta, alpha), step_sizes=(eta_min, eta_max)).
    """
    same = g * g_old
    eta = torch.where(same > 0, alpha * eta, torch.where(same < 0, beta * eta, eta))
    eta = eta.clamp(eta_min, eta_max)
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
):  # fmt: skip
    """A step in the units of w: the root mean square of the steps so far,
    over that of the gradients.

    Source: Zeiler (2012); slide 16.
    Equals torch.optim.Adadelta(lr=lr, rho=gamma, eps=eps).
    """
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    u = gamma * u + (1 - gamma) * delta**2
    return w - lr * delta, v, u


def rmsprop(w, g, t, v=0.0, *, lr: Rate = 0.01, gamma: Decay = 0.9, eps: Tiny = 1e-8):
    """Each gradient over its own root mean square.

    Source: Hinton's lecture 6e (2012); slide 17, with ε inside the root.
    """
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / (v + eps).sqrt() * g, v


def rmsprop_torch(w, g, t, v=0.0, *, lr: Rate = 0.01, gamma: Decay = 0.99, eps: Tiny = 1e-8):
    """RMSprop as PyTorch spells it: ε outside the root.

    Source: Hinton's lecture 6e (2012).
    Equals torch.optim.RMSprop(lr=lr, alpha=gamma, eps=eps).
    """
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / (v.sqrt() + eps) * g, v


def adam(
    w, g, t, m=0.0, v=0.0, *,
    lr: Rate = 1e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8,
):  # fmt: skip
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
):  # fmt: skip
    """Adam on the loss plus λ/2 ‖w‖²: the decay, too, is divided by √v.

    Source: slide 19. Equals torch.optim.Adam(lr=lr, betas=(beta1, beta2),
    eps=eps, weight_decay=decay).
    """
    return adam(w, g + decay * w, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


def adamw(
    w, g, t, m=0.0, v=0.0, *, lr: Rate = 1e-3, beta1: Decay = 0.9,
    beta2: Decay = 0.999, eps: Tiny = 1e-8, decay: Strength = 0.01,
):  # fmt: skip
    """Adam, and apart from it a decay of every weight by the same factor.

    Source: Loshchilov and Hutter (2019); slide 19. Equals
    torch.optim.AdamW(lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=decay).
    """
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - lr * decay * w, m, v


# --- beyond the lecture


def sgd_l2(w, g, t, b=0.0, *, lr: Rate = 0.01, momentum: Decay = 0.9, decay: Strength = 0.01):
    """PyTorch's momentum on the loss plus λ/2 ‖w‖².

    Source: the documentation of torch.optim.SGD.
    Equals torch.optim.SGD(lr=lr, momentum=momentum, weight_decay=decay).
    """
    return sgd(w, g + decay * w, t, b, lr=lr, momentum=momentum)


def rmsprop_centered(w, g, t, v=0.0, mean=0.0, *, lr: Rate = 0.01, gamma: Decay = 0.99, eps: Tiny = 1e-8):
    """RMSprop by the standard deviation of the gradient instead.

    Source: Graves (2013). Equals torch.optim.RMSprop(lr=lr, alpha=gamma, eps=eps, centered=True).
    """
    v = gamma * v + (1 - gamma) * g**2
    mean = gamma * mean + (1 - gamma) * g
    return w - lr / ((v - mean**2).sqrt() + eps) * g, v, mean


def rmsprop_momentum(w, g, t, v=0.0, b=0.0, *, lr: Rate = 0.01, gamma: Decay = 0.99, momentum: Decay = 0.9, eps: Tiny = 1e-8):
    """RMSprop, and momentum over its steps.

    Source: Graves (2013). Equals torch.optim.RMSprop(lr=lr, alpha=gamma, eps=eps, momentum=momentum).
    """
    v = gamma * v + (1 - gamma) * g**2
    b = momentum * b + g / (v.sqrt() + eps)
    return w - lr * b, v, b


def amsgrad(w, g, t, m=0.0, v=0.0, v_max=0.0, *, lr: Rate = 1e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8):
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


def adamax(w, g, t, m=0.0, u=0.0, *, lr: Rate = 2e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8):
    """Adam by the largest recent gradient instead of the root mean square.

    Source: Kingma and Ba (2015), section 7.1. Equals torch.optim.Adamax(lr=lr, betas=(beta1, beta2), eps=eps).
    """
    m = beta1 * m + (1 - beta1) * g
    u = torch.maximum(beta2 * u, g.abs() + eps)
    return w - lr / (1 - beta1**t) * m / u, m, u


def nadam(
    w, g, t, m=0.0, v=0.0, product=1.0, *,
    lr: Rate = 2e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8, psi: Strength = 4e-3,
):  # fmt: skip
    """Adam that looks ahead as Nesterov does, with a momentum that warms up.

    Source: Dozat (2016).
    Equals torch.optim.NAdam(lr=lr, betas=(beta1, beta2), eps=eps, momentum_decay=psi).
    """
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * psi))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * psi))
    product = product * mu
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
    v_hat = v / (1 - beta2**t)
    return w - lr / (v_hat.sqrt() + eps) * m_hat, m, v, product


def radam(w, g, t, m=0.0, v=0.0, *, lr: Rate = 1e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-8):
    """Adam that begins as momentum and trusts v as it gathers evidence.

    Source: Liu et al. (2020). Equals torch.optim.RAdam(lr=lr, betas=(beta1, beta2), eps=eps).
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    longest = 2 / (1 - beta2) - 1
    length = (longest - 2 * t * beta2**t / (1 - beta2**t)) * torch.ones_like(v)
    r = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    adaptive = (r * (1 - beta2**t)).clamp(min=0).sqrt() / (v.sqrt() + eps)
    return w - lr * m_hat * torch.where(length > 5, adaptive, torch.ones_like(v)), m, v


def lion(w, g, t, m=0.0, *, lr: Rate = 1e-4, beta1: Decay = 0.9, beta2: Decay = 0.99, decay: Strength = 0.01):
    """The sign of an average gradient: every weight moves by lr in each step.

    Source: Chen et al. (2023), found by a search over programs. PyTorch has no such optimizer.
    """
    step = (beta1 * m + (1 - beta1) * g).sign()
    return w - lr * (step + decay * w), beta2 * m + (1 - beta2) * g


def lamb(
    w, g, t, m=0.0, v=0.0, *,
    lr: Rate = 1e-3, beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Tiny = 1e-6, decay: Strength = 0.01,
):  # fmt: skip
    """Adam's direction with decay, as long as lr times the norm of the layer.

    Source: You et al. (2020), for large batches. PyTorch has no such optimizer.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    step = m_hat / (v_hat.sqrt() + eps) + decay * w
    size, length = vector_norm(w), vector_norm(step)
    trust = torch.where((size > 0) & (length > 0), size / length, torch.ones_like(size))
    return w - lr * trust * step, m, v


RULES = {
    rule.__name__: rule
    for rule in (
        gradient_descent, momentum, sgd, nesterov, momentum_l2, sgdw, rprop, rprop_torch, adagrad, adagrad_torch, adadelta, rmsprop,
        rmsprop_torch, adam, adam_l2, adamw, sgd_l2, rmsprop_centered, rmsprop_momentum, amsgrad, adamax, nadam, radam, lion, lamb,
    )
}  # fmt: skip
