"""Adagrad: right answers in other styles, wrong ones that no mutant makes, and changes that change nothing."""

import functools
import math

import numpy
import torch


def two_lines(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    total = G + g * g
    return w - lr * g / torch.sqrt(total + eps), total


def by_rsqrt(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = torch.addcmul(G, g, g)
    return torch.addcmul(w, g, (G + eps).rsqrt(), value=-lr), G


def by_addcdiv(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g.square()
    return torch.addcdiv(w, g, (G + eps).sqrt(), value=-lr), G


def by_powers(theta, slope, step, total=0.0, *, eps=1e-10, lr=0.01):
    total = total + slope.abs() ** 2
    return [theta - lr * (eps + total) ** -0.5 * slope, total]


def in_place_on_copies(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    w, G = w.clone(), G.clone()
    G += g**2
    w -= lr * g / (G + eps).sqrt_()
    return w, G


def through_numpy(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    x, d, total = (numpy.asarray(value) for value in (w, g, G))
    total = total + numpy.square(d)
    values = x - lr / numpy.sqrt(total + eps) * d, total
    return tuple(torch.as_tensor(value, dtype=w.dtype) for value in values)


def in_float64_inside(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    total = G.double() + g.double() ** 2
    return (w.double() - lr * g.double() / (total + eps).sqrt()).to(w.dtype), total.to(w.dtype)


def element_by_element(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    places, sums = [], []
    for x, d, total in zip(*(value.flatten().tolist() for value in (w, g, G))):
        sums.append(total + d * d)
        places.append(x - lr * d / math.sqrt(sums[-1] + eps))
    return tuple(torch.tensor(values, dtype=w.dtype).reshape(w.shape) for values in (places, sums))


def row_by_row(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    if not w.dim():
        return two_lines(w, g, t, G, lr=lr, eps=eps)
    rows = [row_by_row(x, d, t, total, lr=lr, eps=eps) for x, d, total in zip(w, g, G)]
    return tuple(torch.stack(values) for values in zip(*rows))


@torch.inference_mode()
def without_autograd(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    return two_lines(w, g, t, G, lr=lr, eps=eps)


def nothing_where_nothing_pulls(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    pulled = g != 0
    w, G = w.clone(), G.clone()
    G[pulled] = G[pulled] + g[pulled] ** 2
    w[pulled] = w[pulled] - lr / (G[pulled] + eps).sqrt() * g[pulled]
    return w, G


def with_helpers(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    rate = functools.partial(lambda total, top, small: top / (total + small) ** 0.5, top=lr, small=eps)
    G = sum((G, g.pow(2)))
    return w - rate(G) * g, G


class Sum:
    """A sum of squares that knows its root."""

    def __init__(self, total):
        self.total = total

    def __add__(self, g):
        return Sum(self.total + g**2)

    def root(self, eps):
        return (self.total + eps).sqrt()


def an_object(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    new = Sum(G) + g
    return w.sub(g.div(new.root(eps)).mul(lr)), new.total


STYLES = [
    two_lines,
    by_rsqrt,
    by_addcdiv,
    by_powers,
    in_place_on_copies,
    through_numpy,
    in_float64_inside,
    element_by_element,
    row_by_row,
    without_autograd,
    nothing_where_nothing_pulls,
    with_helpers,
    an_object,
]


def size_taken_out_of_the_root(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr * g / (g.abs() * torch.sqrt(G / g**2 + eps / g**2)), G


KEPT: dict = {}


def keeps_the_sum_in_a_global(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    KEPT["G"] = g**2 + (KEPT["G"] if t > 1 and "G" in KEPT else 0.0)
    return w - lr / (KEPT["G"] + eps).sqrt() * g, KEPT["G"]


def largest_of_root_and_eps(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr / G.sqrt().clamp(min=eps**0.5) * g, G


def eps_or_the_usual(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    return two_lines(w, g, t, G, lr=lr, eps=eps or 1e-10)


def a_second_eps(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr / (G + eps + 1e-8).sqrt() * g, G


def limited_sum(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = (G + g**2).clamp(max=1e6)
    return w - lr / (G + eps).sqrt() * g, G


def starts_anew(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    return two_lines(w, g, t, 0 * G if t % 100 == 0 else G, lr=lr, eps=eps)


def adds_through_data(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G.data.add_(g**2)
    return w - lr / (G + eps).sqrt() * g, G


def one_for_each_row(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    square = g**2 if g.dim() < 2 else (g**2).mean(1, keepdim=True).expand_as(g)
    return w - lr / (G + square + eps).sqrt() * g, G + square


WRONG = [
    size_taken_out_of_the_root,
    keeps_the_sum_in_a_global,
    largest_of_root_and_eps,
    eps_or_the_usual,
    a_second_eps,
    limited_sum,
    starts_anew,
    adds_through_data,
    one_for_each_row,
]

EQUIVALENT = {
    "1: G -> abs(G)": "a sum of squares is never negative",
    "2: G -> abs(G)": "a sum of squares is never negative",
    "1: g -> -g": "it is squared",
    "1: g -> abs(g)": "it is squared",
    "leaves value 0 as it is where g is 0": "w does not move where the gradient is 0",
    "leaves value 1 as it is where g is 0": "the square that is added is 0",
}
