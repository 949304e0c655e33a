"""A warm-up: right answers in other styles, and changes of the solution that change nothing."""

import math
from functools import partial

import numpy
import torch


def in_one_expression(schedule, t, *, steps=10, start=0.01):
    return schedule(t - steps) if t >= steps else schedule(0) * (start * (1 - t / steps) + t / steps)


def with_two_rates(schedule, t, *, steps=10, start=0.01):
    top = schedule(0)
    bottom = start * top
    if t >= steps:
        return schedule(t - steps)
    return bottom + (top - bottom) / steps * t


def step_by_step(schedule, t, *, steps=10, start=0.01):
    """From t to t − 1, down to the beginning."""
    if t >= steps:
        return schedule(t - steps)
    if t == 0:
        return start * schedule(0)
    return step_by_step(schedule, t - 1, steps=steps, start=start) + (1 - start) * schedule(0) / steps


def with_max_and_min(schedule, t, *, steps=10, start=0.01):
    done = min(t / steps, 1) if steps > 0 else 1
    return (start + (1 - start) * done) * schedule(max(t - steps, 0))


def with_helpers(eta, taken, *, steps=10, start=0.01):
    def line(s):
        return start + (1 - start) * s / steps

    def share():
        return line(taken) if taken < steps else 1.0

    return share() * eta(0 if taken < steps else taken - steps)


def by_a_list(schedule, t, *, steps=10, start=0.01):
    rates = [schedule(0) * (start + k * (1 - start) / steps) for k in range(steps)]
    return (rates + [schedule(k) for k in range(t - steps + 1)])[t]


def by_numpy(schedule, t, *, steps=10, start=0.01):
    if t < steps:
        return numpy.interp(t, [0, steps], [start * schedule(0), schedule(0)])
    return numpy.float64(schedule(t - steps))


def by_linspace(schedule, t, *, steps=10, start=0.01):
    shares = torch.linspace(start, 1, steps + 1, dtype=torch.float64)
    return shares[t] * schedule(0) if t < steps else schedule(t - steps)


def in_a_tensor(schedule, t, *, steps=10, start=0.01):
    if t < steps:
        ends = torch.tensor([start, 1.0], dtype=torch.float64)
        return torch.lerp(ends[0], ends[1], t / steps) * schedule(0)
    return torch.tensor(schedule(t - steps), dtype=torch.float64)


def in_a_while_loop(schedule, t, *, steps=10, start=0.01):
    share, made = start, 0
    while made < t and made < steps:
        share += (1 - start) / steps
        made += 1
    return schedule(0) * share if made < steps else schedule(t - made)


def with_early_returns(schedule, t, *, steps=10, start=0.01):
    if steps == 0:
        return schedule(t)
    if t > steps:
        return schedule(t - steps)
    if math.isclose(t, steps):
        return schedule(0)
    return schedule(0) * (1 - (1 - start) * (steps - t) / steps)


class WarmUp:
    """A schedule in front of a schedule."""

    def __init__(self, schedule, steps, start):
        self.schedule, self.steps = schedule, steps
        self.line = partial(self.share, start=start)

    def share(self, t, start):
        return (start * (self.steps - t) + t) / self.steps

    def __call__(self, t):
        return self.schedule(t - self.steps) if t >= self.steps else self.line(t) * self.schedule(0)


def with_a_class(schedule, t, *, steps=10, start=0.01):
    return WarmUp(schedule, steps, start)(t)


STYLES = [
    in_one_expression,
    with_two_rates,
    step_by_step,
    with_max_and_min,
    with_helpers,
    by_a_list,
    by_numpy,
    by_linspace,
    in_a_tensor,
    in_a_while_loop,
    with_early_returns,
    with_a_class,
]


def nothing_at_start_zero(schedule, t, *, steps=10, start=0.01):
    """`start or 0.01` takes a 0 for nothing."""
    return in_one_expression(schedule, t, steps=steps, start=start or 0.01)


def one_step_at_least(schedule, t, *, steps=10, start=0.01):
    return in_one_expression(schedule, t, steps=max(steps, 1), start=start)


def counts_its_calls(schedule, t, *, steps=10, start=0.01):
    """Begins to count anew at t = 0 alone."""
    CALLS[:] = [0] if t == 0 else [CALLS[0] + 1 if CALLS else t]
    return in_one_expression(schedule, CALLS[0], steps=steps, start=start)


CALLS = []


def a_cosine_line(schedule, t, *, steps=10, start=0.01):
    if t < steps:
        return (start + (1 - start) * (1 - math.cos(math.pi * t / steps)) / 2) * schedule(0)
    return schedule(t - steps)


WRONG = [nothing_at_start_zero, one_step_at_least, counts_its_calls, a_cosine_line]

NO_TIME_BEFORE_0 = "t counts from 0"
EQUIVALENT = {
    "1: t -> abs(t)": NO_TIME_BEFORE_0,
    "2: t -> abs(t)": "t is not less than steps here",
    "all in float32": "no tensor comes in",
    "writes into schedule": "a function, and nothing to write into",
}
