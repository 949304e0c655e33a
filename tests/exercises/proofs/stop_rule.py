"""The stop rule: right answers in other styles, and changes of the solution that change nothing."""

import itertools
import math
from collections import deque

import numpy
import torch


def with_a_for_loop(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    small, steps = 0, 0
    for steps in range(1, most + 1):
        g = slope(w)
        w = w - lr * g
        if lr * g.norm() < tolerance:
            small += 1
        else:
            small = 0
        if small > 10:
            break
    return w, steps


def with_a_break(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps, small = 0, 0
    while True:
        if small == 11 or steps == most:
            break
        delta = slope(w) * -lr
        w, steps = w + delta, steps + 1
        small = (small + 1) * int(bool(torch.linalg.vector_norm(delta) < tolerance))
    return w, steps


def by_the_last_eleven(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    lengths = deque(maxlen=11)
    made = 0
    while made < most and not (len(lengths) == 11 and all(length < tolerance for length in lengths)):
        new = w - lr * slope(w)
        lengths.append(math.sqrt(((new - w) ** 2).sum()))
        w, made = new, made + 1
    return w, made


def by_recursion(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    def from_here(w, steps, small):
        if small > 10 or steps >= most:
            return w, steps
        delta = lr * slope(w)
        return from_here(w - delta, steps + 1, small + 1 if delta.square().sum() < tolerance**2 else 0)

    return from_here(w, 0, 0)


def by_the_last_long_step(slope, start, *, lr=0.1, tolerance=1e-3, most=10_000):
    """Ends 11 steps after the last one that was not small."""
    w, long = start.clone(), 0
    for k in itertools.count():
        if k == most or k - long > 10:
            return w, k
        delta = -lr * slope(w)
        w = torch.add(w, delta)
        if not torch.dot(delta.flatten(), delta.flatten()).sqrt() < tolerance:
            long = k + 1


def in_place_on_a_clone(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    w, steps, left = w.clone(), 0, 11
    while left and steps < most:
        before = w.clone()
        w -= lr * slope(before)
        left = left - 1 if torch.dist(w, before) < tolerance else 11
        steps += 1
    return w, steps


def with_a_path(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    path, small = [w], [False]
    while len(path) <= most and not (len(small) > 11 and all(small[-11:])):
        delta = -lr * slope(path[-1])
        path.append(path[-1] + delta)
        small.append(bool(delta.pow(2).sum() ** 0.5 < tolerance))
    return path[-1], len(path) - 1


def through_numpy(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w).numpy()
        w = torch.as_tensor(w.numpy() + delta)
        small = small + 1 if numpy.sqrt((delta**2).sum()) < tolerance else 0
        steps += 1
    return w, numpy.int64(steps)


@torch.inference_mode()
def without_autograd(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = torch.tensor(0)
    small = torch.tensor(0)
    while small <= 10 and steps < most:
        delta = slope(w).mul(-lr)
        w = w.add(delta)
        small = torch.where(delta.norm() < tolerance, small + 1, 0)
        steps = steps + 1
    return w, steps


def with_helpers(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    def step(w):
        delta = lr * slope(w)
        return w - delta, math.hypot(*delta.flatten().tolist())

    small = 0
    for made in range(most):
        w, length = step(w)
        small = small + 1 if length < tolerance else 0
        if small > 10:
            return w, made + 1
    return w, max(most, 0)


class Descent:
    """A run that knows when it has ended."""

    def __init__(self, slope, w):
        self.slope, self.w, self.steps, self.small = slope, w, 0, 0

    def step(self, lr, tolerance):
        delta = -lr * self.slope(self.w)
        self.w, self.steps = self.w + delta, self.steps + 1
        self.small = self.small + 1 if delta.norm(p=2) < tolerance else 0

    def run(self, lr, tolerance, most):
        while not self.small > 10 and not self.steps >= most:
            self.step(lr, tolerance)
        return self.w, self.steps


def with_a_class(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    return Descent(slope, w).run(lr, tolerance, most)


STYLES = [
    with_a_for_loop,
    with_a_break,
    by_the_last_eleven,
    by_recursion,
    by_the_last_long_step,
    in_place_on_a_clone,
    with_a_path,
    through_numpy,
    without_autograd,
    with_helpers,
    with_a_class,
]


def one_step_at_least(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    return with_a_for_loop(slope, w, lr=lr, tolerance=tolerance, most=max(most, 1))


def loop_without_a_start(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    """`steps` has no value where no step is made."""
    small = 0
    for steps in range(1, most + 1):
        delta = -lr * slope(w)
        w, small = w + delta, small + 1 if delta.norm() < tolerance else 0
        if small > 10:
            break
    return w, steps


def nan_is_small(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, 0 if delta.norm() >= tolerance else small + 1
    return w, steps


def up_to_the_tolerance(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.norm() <= tolerance else 0
    return w, steps


def matrix_norm(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    """The largest singular value of a matrix."""
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        length = torch.linalg.matrix_norm(delta, 2) if delta.dim() == 2 else delta.norm()
        w, steps, small = w + delta, steps + 1, small + 1 if length < tolerance else 0
    return w, steps


def ends_at_a_slope_of_zero(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    return with_a_for_loop(slope, w, lr=lr, tolerance=tolerance, most=most if slope(w).any() else 0)


def of_the_size_of_w(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    """A step that is short beside w."""
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps = w + delta, steps + 1
        small = small + 1 if delta.norm() < tolerance * max(1.0, float(w.norm())) else 0
    return w, steps


def one_back_for_a_long_step(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.norm() < tolerance else max(small - 1, 0)
    return w, steps


def root_mean_square(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.square().mean().sqrt() < tolerance else 0
    return w, steps


def ends_at_nan(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most and not w.isnan().any():
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.norm() < tolerance else 0
    return w, steps


WRONG = [
    of_the_size_of_w,
    one_back_for_a_long_step,
    root_mean_square,
    ends_at_nan,
    one_step_at_least,
    loop_without_a_start,
    nan_is_small,
    up_to_the_tolerance,
    matrix_norm,
    ends_at_a_slope_of_zero,
]

EQUIVALENT = {"writes into slope": "a function, and nothing to write into"}
