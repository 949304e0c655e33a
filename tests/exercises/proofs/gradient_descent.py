"""Gradient descent: right answers in other styles, wrong ones that no mutant makes, and changes that change nothing."""

import functools
import operator

import numpy
import torch


def one_line(w, g, t, *, lr=0.1):
    return w - lr * g


def with_alpha(w, g, t, *, lr=0.1):
    return torch.sub(w, g, alpha=lr)


def by_addcmul(w, g, t, *, lr=0.1):
    return torch.addcmul(w, g, torch.ones_like(g), value=-lr)


def in_place_on_a_clone(w, g, t, *, lr=0.1):
    new = w.clone()
    new -= lr * g
    return new


def other_names_in_a_tuple(theta, slope, step, *, lr=0.1):
    return (theta + -lr * slope,)


def through_numpy(w, g, t, *, lr=0.1):
    return torch.as_tensor(w.numpy() - lr * g.numpy(), dtype=w.dtype)


def in_float64_inside(w, g, t, *, lr=0.1):
    return (w.double() - lr * g.double()).to(w.dtype)


def element_by_element(w, g, t, *, lr=0.1):
    moved = [x - lr * d for x, d in zip(w.flatten().tolist(), g.flatten().tolist())]
    return torch.tensor(moved, dtype=w.dtype).reshape(w.shape)


def row_by_row(w, g, t, *, lr=0.1):
    if w.dim() == 0:
        return w - g * lr
    return torch.stack([row_by_row(x, d, t, lr=lr) for x, d in zip(w, g)])


@torch.inference_mode()
def without_autograd(w, g, t, *, lr=0.1):
    return w - lr * g


def by_autograd(w, g, t, *, lr=0.1):
    place = w.detach().clone().requires_grad_()
    (place * g).sum().backward()
    with torch.no_grad():
        place -= lr * place.grad
    return place


def with_helpers(w, g, t, *, lr=0.1):
    step = functools.partial(operator.mul, lr)
    return (lambda place, slope: place - step(slope))(w, g)


class Descent:
    """A callable object with a method of its own."""

    def __init__(self, rate):
        self.rate = rate

    def step(self, w, g):
        return w.sub(g.mul(self.rate))


def an_object(w, g, t, *, lr=0.1):
    return Descent(lr).step(w, g)


def masked(w, g, t, *, lr=0.1):
    up, down = g > 0, g < 0
    new = w.clone()
    new[up] = w[up] - lr * g[up].abs()
    new[down] = w[down] + lr * g[down].abs()
    return new


STYLES = [
    one_line,
    with_alpha,
    by_addcmul,
    in_place_on_a_clone,
    other_names_in_a_tuple,
    through_numpy,
    in_float64_inside,
    element_by_element,
    row_by_row,
    without_autograd,
    by_autograd,
    with_helpers,
    an_object,
    masked,
]


def a_share_of_w(w, g, t, *, lr=0.1):
    return w * (1 - lr * g / w)


def size_and_sign_apart(w, g, t, *, lr=0.1):
    return w - lr * g / g.abs() * g.abs()


def clipped(w, g, t, *, lr=0.1):
    return w - lr * g.clamp(-1e3, 1e3)


def lost_in_rounding(w, g, t, *, lr=0.1):
    return w - lr * (g * 1e3).round() / 1e3


def halved_every_hundred_steps(w, g, t, *, lr=0.1):
    return w - lr * 0.5 ** (t // 100) * g


def rounded_rate(w, g, t, *, lr=0.1):
    return w - round(lr, 3) * g


def never_zero(w, g, t, *, lr=0.1):
    return w - (lr or 0.1) * g


def as_numbers(w, g, t, *, lr=0.1):
    return torch.tensor(numpy.float32(w.numpy()) - numpy.float32(lr) * numpy.float32(g.numpy()), dtype=w.dtype)


def written_through_data(w, g, t, *, lr=0.1):
    w.data.sub_(lr * g)
    return w


WRONG = [
    a_share_of_w,
    size_and_sign_apart,
    clipped,
    lost_in_rounding,
    halved_every_hundred_steps,
    rounded_rate,
    never_zero,
    as_numbers,
    written_through_data,
]

EQUIVALENT = {"leaves value 0 as it is where g is 0": "w does not move where the gradient is 0"}
