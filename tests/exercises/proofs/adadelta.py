"""Adadelta: right answers in other styles, wrong ones that no mutant makes, and changes that change nothing."""

import functools
import math

import numpy
import torch


def four_lines(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g * g
    step = torch.sqrt(u + eps) / torch.sqrt(v + eps) * g
    return w - lr * step, v, gamma * u + (1 - gamma) * step * step


def one_root(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = torch.lerp(g.square(), v, gamma)
    delta = g * ((u + eps) / (v + eps)).sqrt()
    return torch.sub(w, delta, alpha=lr), v, torch.lerp(delta.square(), u, gamma)


def by_the_difference(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    new_v = v + (1 - gamma) * (g**2 - v)
    square = (u + eps) / (new_v + eps) * g**2
    return w - lr * square.sqrt() * g.sign(), new_v, u + (1 - gamma) * (square - u)


def other_names(theta, slope, n, of_gradients=0.0, of_steps=0.0, *, eps=1e-6, gamma=0.9, lr=1.0):
    of_gradients = gamma * of_gradients + (1 - gamma) * slope.pow(2)
    step = -slope * (of_steps + eps) ** 0.5 * (of_gradients + eps) ** -0.5
    of_steps = gamma * of_steps + (1 - gamma) * step.pow(2)
    return [theta + lr * step, of_gradients, of_steps]


def in_place_on_copies(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    w, v, u = w.clone(), v.clone(), u.clone()
    v.mul_(gamma).addcmul_(g, g, value=1 - gamma)
    delta = (u + eps).sqrt_().div_((v + eps).sqrt_()).mul_(g)
    u.mul_(gamma).addcmul_(delta, delta, value=1 - gamma)
    w.add_(delta, alpha=-lr)
    return w, v, u


def through_numpy(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    x, d, a, b = (numpy.asarray(value) for value in (w, g, v, u))
    a = gamma * a + (1 - gamma) * d**2
    step = numpy.sqrt(b + eps) / numpy.sqrt(a + eps) * d
    b = gamma * b + (1 - gamma) * step**2
    return tuple(torch.as_tensor(value, dtype=w.dtype) for value in (x - lr * step, a, b))


def in_float64_inside(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    doubles = (value.double() for value in (w, g, v, u))
    x, d, a, b = doubles
    return tuple(value.to(w.dtype) for value in four_lines(x, d, t, a, b, lr=lr, gamma=gamma, eps=eps))


def element_by_element(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    new = []
    for x, d, a, b in zip(*(value.flatten().tolist() for value in (w, g, v, u))):
        a = gamma * a + (1 - gamma) * d * d
        step = math.sqrt((b + eps) / (a + eps)) * d
        new.append((x - lr * step, a, gamma * b + (1 - gamma) * step * step))
    return tuple(torch.tensor(values, dtype=w.dtype).reshape(w.shape) for values in zip(*new))


def row_by_row(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    if not w.dim():
        return four_lines(w, g, t, v, u, lr=lr, gamma=gamma, eps=eps)
    rows = [row_by_row(x, d, t, a, b, lr=lr, gamma=gamma, eps=eps) for x, d, a, b in zip(w, g, v, u)]
    return tuple(map(torch.stack, zip(*rows)))


@torch.inference_mode()
def without_autograd(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * delta**2


def with_helpers(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    def rms(mean_square):
        return (mean_square + eps).sqrt()

    average = functools.partial(lambda old, new, m: m * old + (1 - m) * new**2, m=gamma)
    new_v = average(v, g)
    delta = rms(u) / rms(new_v) * g
    return w - lr * delta, new_v, average(u, delta)


class RootMeanSquare:
    """A running root mean square."""

    def __init__(self, square, gamma, eps):
        self.square, self.gamma, self.eps = square, gamma, eps

    def take_in(self, x):
        self.square = self.gamma * self.square + (1 - self.gamma) * x**2

    @property
    def value(self):
        return (self.square + self.eps).sqrt()


def an_object(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    gradients, lengths = (RootMeanSquare(square, gamma, eps) for square in (v, u))
    gradients.take_in(g)
    delta = lengths.value / gradients.value * g
    lengths.take_in(delta)
    return w - lr * delta, gradients.square, lengths.square


STYLES = [
    four_lines,
    one_root,
    by_the_difference,
    other_names,
    in_place_on_copies,
    through_numpy,
    in_float64_inside,
    element_by_element,
    row_by_row,
    without_autograd,
    with_helpers,
    an_object,
]

KEPT: dict = {}


def keeps_the_steps_in_a_global(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    old = KEPT["u"] if t > 1 and "u" in KEPT else torch.zeros_like(g)
    w, v, KEPT["u"] = four_lines(w, g, t, v, old, lr=lr, gamma=gamma, eps=eps)
    return w, v, KEPT["u"]


def skips_zeros(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    new = four_lines(w, g, t, v, u, lr=lr, gamma=gamma, eps=eps)
    return tuple(torch.where(g != 0, a, b) for a, b in zip(new, (w, v, u)))


def sign_by_division(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = ((u + eps) / (v + eps) * g**2).sqrt() * (g / g.abs())
    return w - lr * delta, v, gamma * u + (1 - gamma) * delta**2


def two_eps(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + max(eps, 1e-4)).sqrt() * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * delta**2


def average_of_what_w_moved(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    new, v, _ = four_lines(w, g, t, v, u, lr=lr, gamma=gamma, eps=eps)
    return new, v, gamma * u + (1 - gamma) * (new - w) ** 2


def gamma_or_the_usual(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    return four_lines(w, g, t, v, u, lr=lr, gamma=gamma or 0.9, eps=eps)


def limited_step(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() * (g / (v + eps).sqrt()).clamp(-3, 3)
    return w - lr * delta, v.clamp(max=1e6), gamma * u + (1 - gamma) * delta**2


def starts_anew(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    return four_lines(w, g, t, v, u if t % 100 else 0 * u, lr=lr, gamma=gamma, eps=eps)


WRONG = [
    keeps_the_steps_in_a_global,
    skips_zeros,
    sign_by_division,
    two_eps,
    average_of_what_w_moved,
    gamma_or_the_usual,
    limited_step,
    starts_anew,
]

EQUIVALENT = {
    "1: v -> abs(v)": "an average of squares is never negative",
    "2: v -> abs(v)": "an average of squares is never negative",
    "4: v -> abs(v)": "an average of squares is never negative",
    "2: u -> abs(u)": "an average of squares is never negative",
    "3: u -> abs(u)": "an average of squares is never negative",
    "4: u -> abs(u)": "an average of squares is never negative",
    "1: g -> -g": "it is squared",
    "1: g -> abs(g)": "it is squared",
    "leaves value 0 as it is where g is 0": "the step is 0 where the gradient is 0",
}
