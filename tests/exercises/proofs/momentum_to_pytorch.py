"""From the lecture's momentum to PyTorch's: right answers in other styles, wrong ones, and changes that change nothing."""

import functools
import operator
from fractions import Fraction

import numpy
import torch


def one_line(lr, momentum):
    return lr * (1 - momentum), momentum


def spread_out(lr, momentum):
    return lr - lr * momentum, momentum


def other_names_in_a_list(eta, m):
    factor = 1 - m
    return [factor * eta, m]


def as_tensors(lr, momentum):
    lr, momentum = (torch.tensor(x, dtype=torch.float64) for x in (lr, momentum))
    return lr * (1 - momentum), momentum


def through_numpy(lr, momentum):
    rate = numpy.float64(lr) * numpy.subtract(1.0, momentum)
    return rate, numpy.float64(momentum)


def by_fractions(lr, momentum):
    return float(Fraction(lr) * (1 - Fraction(momentum))), momentum


def by_the_sum_of_the_weights(lr, momentum):
    buffer = 1 / (1 - momentum)  # of PyTorch, for each 1 of the lecture's average
    return lr / buffer, momentum


def by_a_long_run(lr, momentum):
    average = buffer = 0.0
    for _ in range(3):
        average, buffer = momentum * average + (1 - momentum), momentum * buffer + 1.0
    return lr * average / buffer, momentum


def with_helpers(lr, momentum):
    rest = functools.partial(operator.sub, 1)
    return functools.reduce(operator.mul, (lr, rest(momentum))), (lambda m: m)(momentum)


class Lecture:
    """The lecture's setting."""

    def __init__(self, lr, momentum):
        self.lr, self.momentum = lr, momentum

    @property
    def pytorch(self):
        return self.lr * (1 - self.momentum), self.momentum


def an_object(lr, momentum):
    return Lecture(lr, momentum).pytorch


def no_momentum_apart(lr, momentum):
    if momentum == 0:
        return lr, 0
    return lr * (1 - momentum), momentum


STYLES = [
    one_line,
    spread_out,
    other_names_in_a_list,
    as_tensors,
    through_numpy,
    by_fractions,
    by_the_sum_of_the_weights,
    by_a_long_run,
    with_helpers,
    an_object,
    no_momentum_apart,
]


def rounded(lr, momentum):
    return round(lr * (1 - momentum), 3), momentum


def rounded_to_six_digits(lr, momentum):
    return round(lr * (1 - momentum), 6), momentum


def in_float32(lr, momentum):
    return float(numpy.float32(lr) * numpy.float32(1 - momentum)), momentum


def momentum_in_float32(lr, momentum):
    return lr * (1 - momentum), float(torch.tensor(momentum))


def at_most_one(lr, momentum):
    return min(lr, 1.0) * (1 - momentum), momentum


def never_below(lr, momentum):
    return max(lr * (1 - momentum), 1e-6), momentum


def with_a_small_number(lr, momentum):
    return lr * (1 - momentum + 1e-8), momentum


def from_a_table(lr, momentum):
    return lr * {0.9: 0.1, 0.0: 1.0, 0.75: 0.25, 0.99: 0.01}.get(momentum, 0.1), momentum


def never_closer_to_one(lr, momentum):
    return lr * (1 - min(momentum, 0.99)), momentum


def rate_or_the_usual(lr, momentum):
    return (lr or 0.1) * (1 - momentum), momentum


WRONG = [
    rounded,
    rounded_to_six_digits,
    in_float32,
    momentum_in_float32,
    at_most_one,
    never_below,
    with_a_small_number,
    from_a_table,
    never_closer_to_one,
    rate_or_the_usual,
]

EQUIVALENT = {
    "1: momentum -> abs(momentum)": "it lies in [0, 1)",
    "1: lr -> abs(lr)": "a rate is never negative",
    "all in float32": "the arguments are numbers, and this changes tensors",
    "writes into lr": "the arguments are numbers, and nothing can be written into one",
    "writes into momentum": "the arguments are numbers, and nothing can be written into one",
}
