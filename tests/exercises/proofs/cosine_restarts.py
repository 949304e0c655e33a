"""The cosine with warm restarts: right answers in other styles, and changes of the solution that change nothing."""

import cmath
import math
from itertools import count

import numpy
import torch


def by_recursion(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    if t >= T_0:
        return by_recursion(t - T_0, lr=lr, T_0=T_0 * T_mult, T_mult=T_mult, floor=floor)
    return floor + 0.5 * (lr - floor) * (1 + math.cos(math.pi * t / T_0))


def with_a_begin_and_a_length(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    begin, length = 0, T_0
    while t >= begin + length:
        begin += length
        length *= T_mult
    return floor + (lr - floor) * math.cos(math.pi * (t - begin) / (2 * length)) ** 2


def over_the_cycles(taken, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    for i in count():
        length = T_0 * T_mult**i
        if taken < length:
            return (lr + floor) / 2 + (lr - floor) / 2 * math.cos(math.pi * taken / length)
        taken -= length


def by_a_safe_logarithm(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    if T_mult == 1:
        since, length = t % T_0, T_0
    else:
        i = int(math.log(t / T_0 * (T_mult - 1) + 1, T_mult) + 1e-9)
        since, length = t - T_0 * (T_mult**i - 1) // (T_mult - 1), T_0 * T_mult**i
    return floor + (lr - floor) * (1 + math.cos(math.pi * since / length)) / 2


def by_numpy(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    lengths = T_0 * numpy.power(T_mult, numpy.arange(60 if T_mult == 1 else 20), dtype=numpy.int64)
    ends = numpy.cumsum(lengths)
    i = numpy.searchsorted(ends, t, side="right")
    since = t - (ends[i] - lengths[i])
    return floor + 0.5 * (lr - floor) * (1 + numpy.cos(numpy.pi * since / lengths[i]))


def by_torch(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    while t >= T_0:
        t, T_0 = t - T_0, T_0 * T_mult
    angle = torch.tensor(t, dtype=torch.float64) / T_0 * torch.pi
    return floor + (lr - floor) * 0.5 * (1 + torch.cos(angle))


def by_sines(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    length = T_0
    while True:
        if t < length:
            break
        t -= length
        length = length * T_mult
    return lr - (lr - floor) * math.sin(t / length * math.pi / 2) ** 2


def with_helpers(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    def cycle(t, length):
        return (t, length) if t < length else cycle(t - length, length * T_mult)

    def wave(share):
        return (math.cos(share * math.pi) + 1) / 2

    since, length = cycle(t, T_0)
    return floor * (1 - wave(since / length)) + lr * wave(since / length)


def from_step_to_step(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    since, length = 0, T_0
    for _ in range(t):
        since += 1
        if since == length:
            since, length = 0, length * T_mult
    return floor + (lr - floor) * (1 + math.cos(math.pi * since / length)) / 2


def by_a_generator(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    def rates():
        length = T_0
        while True:
            for k in range(length):
                yield floor + (lr - floor) * (1 + math.cos(math.pi * k / length)) / 2
            length *= T_mult

    return next(rate for k, rate in enumerate(rates()) if k == t)


def on_the_circle(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    length = T_0
    while t >= length:
        t, length = t - length, length * T_mult
    return floor + (lr - floor) * (1 + cmath.exp(1j * math.pi * t / length).real) / 2


class Cycle:
    """One, which knows the next."""

    def __init__(self, begin, length):
        self.begin, self.length = begin, length

    def of(self, t, growth):
        if t < self.begin + self.length:
            return self
        return Cycle(self.begin + self.length, self.length * growth).of(t, growth)


def with_a_class(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    cycle = Cycle(0, T_0).of(t, T_mult)
    return floor + (lr - floor) / 2 * (1 + math.cos(math.pi / cycle.length * (t - cycle.begin)))


STYLES = [
    by_recursion,
    with_a_begin_and_a_length,
    over_the_cycles,
    by_a_safe_logarithm,
    by_numpy,
    by_torch,
    by_sines,
    with_helpers,
    from_step_to_step,
    by_a_generator,
    on_the_circle,
    with_a_class,
]


def rounds_up(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    """A logarithm with too much added before it is rounded: it restarts too early in long cycles."""
    if T_mult == 1:
        i, begin = t // T_0, t // T_0 * T_0
    else:
        i = int(math.log(t / T_0 * (T_mult - 1) + 1, T_mult) + 1e-2)
        begin = T_0 * (T_mult**i - 1) // (T_mult - 1)
    return floor + (lr - floor) * (1 + math.cos(math.pi * (t - begin) / (T_0 * T_mult**i))) / 2


def three_cycles_alone(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    length = T_0
    for _ in range(2):
        if t >= length:
            t, length = t - length, length * T_mult
    return floor + (lr - floor) * (1 + math.cos(math.pi * t / length)) / 2


def doubles(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    length = T_0
    while t >= length:
        t, length = t - length, length * 2 if T_mult > 1 else length
    return floor + (lr - floor) * (1 + math.cos(math.pi * t / length)) / 2


def floor_halved(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    while t >= T_0:
        t, T_0 = t - T_0, T_0 * T_mult
    return floor / 2 + (lr - floor / 2) * (1 + math.cos(math.pi * t / T_0)) / 2


def in_single_precision(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    while t >= T_0:
        t, T_0 = t - T_0, T_0 * T_mult
    return floor + (lr - floor) * (1 + torch.cos(torch.tensor(math.pi * t / T_0))) / 2


WRONG = [rounds_up, three_cycles_alone, doubles, floor_halved, in_single_precision]

EVEN = "the cosine is even"
EQUIVALENT = {
    "2: t -> abs(t)": "t is never below 0",
    "3: t -> -t": EVEN,
    "3: t -> abs(t)": EVEN,
    "all in float32": "no tensor comes in",
}
