"""RMSprop: right answers in other styles, wrong ones that no mutant makes, and changes that change nothing."""

import functools
import math

import numpy
import torch


def two_lines(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    new = gamma * v + (1 - gamma) * g**2
    return w - lr * g / torch.sqrt(new + eps), new


def by_lerp(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = torch.lerp(g.square(), v, gamma)
    return torch.addcdiv(w, g, (v + eps).sqrt(), value=-lr), v


def by_the_difference(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = v + (1 - gamma) * (g * g - v)
    return w - lr * g * torch.rsqrt(v + eps), v


def other_names(theta, slope, step, mean=0.0, *, eps=1e-8, gamma=0.9, lr=0.01):
    mean = slope.pow(2).mul(1 - gamma).add(mean.mul(gamma))
    return [theta.sub(slope.mul(lr).div(mean.add(eps).pow(0.5))), mean]


def in_place_on_copies(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    w, v = w.clone(), v.clone()
    v.mul_(gamma).addcmul_(g, g, value=1 - gamma)
    w.addcdiv_(g, (v + eps).sqrt_(), value=-lr)
    return w, v


def through_numpy(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    x, d, mean = (value.numpy() for value in (w, g, v))
    mean = gamma * mean + (1 - gamma) * d**2
    return tuple(torch.as_tensor(value, dtype=w.dtype) for value in (x - lr * d / numpy.sqrt(mean + eps), mean))


def in_float64_inside(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    values = two_lines(w.double(), g.double(), t, v.double(), lr=lr, gamma=gamma, eps=eps)
    return tuple(value.to(w.dtype) for value in values)


def element_by_element(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    new = [
        (x - lr * d / math.sqrt(gamma * a + (1 - gamma) * d * d + eps), gamma * a + (1 - gamma) * d * d)
        for x, d, a in zip(w.flatten().tolist(), g.flatten().tolist(), v.flatten().tolist())
    ]
    return tuple(torch.tensor(values, dtype=w.dtype).reshape(w.shape) for values in zip(*new))


def row_by_row(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    if not w.dim():
        v = g**2 + gamma * (v - g**2)
        return w - lr / (v + eps) ** 0.5 * g, v
    rows = [row_by_row(*row[:2], t, row[2], lr=lr, gamma=gamma, eps=eps) for row in zip(w, g, v)]
    return tuple(map(torch.stack, zip(*rows)))


@torch.inference_mode()
def without_autograd(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / (v + eps).sqrt() * g, v


def by_hypot(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    root = torch.hypot(v.sqrt() * math.sqrt(gamma), g * math.sqrt(1 - gamma))
    return w - lr * g / torch.hypot(root, torch.full_like(root, math.sqrt(eps))), root**2


def with_helpers(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    def average(old, new):
        return gamma * old + (1 - gamma) * new

    root = functools.partial(lambda value, small: (value + small).sqrt(), small=eps)
    return w - lr / root(average(v, g**2)) * g, average(v, g**2)


class MeanSquare:
    """A running mean square."""

    def __init__(self, value, gamma):
        self.value, self.gamma = value, gamma

    def after(self, g):
        return MeanSquare(self.gamma * self.value + (1 - self.gamma) * g**2, self.gamma)


def an_object(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    mean = MeanSquare(v, gamma).after(g)
    return w - lr * g / (mean.value + eps).sqrt(), mean.value


STYLES = [
    two_lines,
    by_lerp,
    by_the_difference,
    other_names,
    in_place_on_copies,
    through_numpy,
    in_float64_inside,
    element_by_element,
    row_by_row,
    without_autograd,
    by_hypot,
    with_helpers,
    an_object,
]

KEPT: dict = {}


def keeps_the_average_in_a_global(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    old = KEPT["v"] if t > 1 and "v" in KEPT else torch.zeros_like(g)
    KEPT["v"] = gamma * old + (1 - gamma) * g**2
    return w - lr / (KEPT["v"] + eps).sqrt() * g, KEPT["v"]


def skips_zeros(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    new_w, new_v = two_lines(w, g, t, v, lr=lr, gamma=gamma, eps=eps)
    return torch.where(g != 0, new_w, w), torch.where(g != 0, new_v, v)


def size_taken_out_of_the_root(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr * g.sign() / ((v + eps) / g**2).sqrt() * (g / g), v


def largest_of_root_and_eps(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / v.clamp(min=eps).sqrt() * g, v


def gamma_or_the_usual(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    return two_lines(w, g, t, v, lr=lr, gamma=gamma or 0.9, eps=eps)


def a_second_eps(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / ((v + eps).sqrt() + 1e-8) * g, v


def limited_step(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g.clamp(-1e3, 1e3) ** 2
    return w - lr / (v + eps).sqrt() * g, v


def pytorchs_gamma(w, g, t, v=0.0, *, lr=0.01, gamma=0.99, eps=1e-8):
    return two_lines(w, g, t, v, lr=lr, gamma=gamma, eps=eps)


def adagrads_eps(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-10):
    return two_lines(w, g, t, v, lr=lr, gamma=gamma, eps=eps)


WRONG = [
    keeps_the_average_in_a_global,
    skips_zeros,
    size_taken_out_of_the_root,
    largest_of_root_and_eps,
    gamma_or_the_usual,
    a_second_eps,
    limited_step,
    pytorchs_gamma,
    adagrads_eps,
]

EQUIVALENT = {
    "1: v -> abs(v)": "an average of squares is never negative",
    "2: v -> abs(v)": "an average of squares is never negative",
    "1: g -> -g": "it is squared",
    "1: g -> abs(g)": "it is squared",
    "leaves value 0 as it is where g is 0": "w does not move where the gradient is 0",
}
