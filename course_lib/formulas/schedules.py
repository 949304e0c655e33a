"""Learning rate schedules, in the lecture's order and beyond: each the rate at step t, a pure function of t.

t counts the steps taken so far, so the first step has t = 0, as PyTorch's `last_epoch` does. Whether a step is a mini-batch
or an epoch is up to you. Each takes numbers, and tensors of any shape.
"""

import math

import torch

from course_lib.formulas.signature import Rate
from course_lib.formulas.steps import (
    Divisor,
    Factor,
    Floor,
    Milestone,
    Pace,
    Power,
    Share,
    Steps,
    Times,
    like,
    of_steps,
)


@of_steps
def constant(t, *, lr: Rate = 0.1):
    """The same rate for ever.

    Source: slide 40. Equals ConstantLR(factor=1).
    """
    return lr + 0 * t


@of_steps
def time_based(t, *, lr: Rate = 0.1, decay: Pace = 0.05):
    """Half of the rate after 1/decay steps, a third after 2/decay.

    Source: slide 40, with lr as the initial rate.
    Equals LambdaLR(lambda t: 1 / (1 + decay * t)).
    """
    return lr / (1 + decay * t)


@of_steps
def step(t, *, lr: Rate = 0.1, gamma: Factor = 0.1, every: Steps = 30):
    """A tenth of the rate after each `every` steps.

    Source: slide 40. Equals StepLR(step_size=every, gamma=gamma).
    """
    return lr * gamma ** torch.floor(t / every)


@of_steps
def multi_step(
    t, *, lr: Rate = 0.1, gamma: Factor = 0.2,
    first: Milestone = 60, second: Milestone = 120, third: Milestone = 160,
):
    """A fifth of the rate at each of three milestones.

    Source: Zagoruyko and Komodakis (2016), whose 200 epochs are the defaults.
    Equals MultiStepLR(milestones=[first, second, third], gamma=gamma).
    """
    passed = sum((t >= x) + 0 * t for x in (first, second, third))
    return lr * gamma**passed


@of_steps
def exponential(t, *, lr: Rate = 0.1, k: Pace = 0.1):
    """The same factor exp(-k) after every step.

    Source: slide 41. Equals ExponentialLR(gamma=math.exp(-k)).
    """
    return lr * torch.exp(-k * t)


@of_steps
def linear(t, *, lr: Rate = 0.1, total: Steps = 200, floor: Floor = 0.0):
    """A straight line from lr to `floor`, where it stays.

    Source: slide 43.
    Equals LinearLR(start_factor=1, end_factor=floor / lr, total_iters=total).
    """
    return lr + (floor - lr) * (t / total).clamp(max=1)


@of_steps
def cosine(t, *, lr: Rate = 0.1, total: Steps = 200, floor: Floor = 0.0):
    """Half a wave of the cosine from lr to `floor`, where it stays.

    Source: Loshchilov and Hutter (2017); slide 41. Equals
    CosineAnnealingLR(T_max=total, eta_min=floor) up to `total`, after which
    PyTorch's rises again.
    """
    done = (t / total).clamp(max=1)
    return floor + (lr - floor) / 2 * (1 + torch.cos(math.pi * done))


@of_steps
def warm_restarts(
    t, *, lr: Rate = 0.1,
    T_0: Steps = 10, T_mult: Times = 2, floor: Floor = 0.0,
):
    """A cosine that begins again after T_0 steps, each time T_mult as long.

    Source: Loshchilov and Hutter (2017); slides 41 and 42.
    Equals CosineAnnealingWarmRestarts(T_0, T_mult, eta_min=floor).
    """
    m = torch.where(T_mult > 1, T_mult, 2.0)  # so that nothing divides by 0
    # at a restart the logarithms round up or down: 1e-9 is more than that
    n = torch.floor(torch.log(1 + (m - 1) * t / T_0) / torch.log(m) + 1e-9)
    n = torch.where(T_mult > 1, n, torch.floor(t / T_0))  # restarts so far
    start = T_0 * torch.where(T_mult > 1, (m**n - 1) / (m - 1), n)
    done = (t - start) / (T_0 * T_mult**n)
    return floor + (lr - floor) / 2 * (1 + torch.cos(math.pi * done))


@of_steps
def polynomial(t, *, lr: Rate = 0.1, total: Steps = 200, power: Power = 0.9):
    """The share of the steps that are left, to a power.

    Source: Chen et al., "DeepLab" (2018), whose power is the default.
    Equals PolynomialLR(total_iters=total, power=power).
    """
    return lr * (1 - (t / total).clamp(max=1)) ** power


@of_steps
def one_cycle(
    t, *, lr: Rate = 0.1, total: Steps = 200, pct_start: Share = 0.3,
    div_factor: Divisor = 25, final_div_factor: Divisor = 1e4,
):
    """Up from lr / div_factor to lr, then down to almost nothing, on cosines.

    Source: Smith and Topin (2019). Equals OneCycleLR(max_lr=lr,
    total_steps=total), with anneal_strategy="cos" and the same names.
    """
    low, last = lr / div_factor, lr / div_factor / final_div_factor
    top, end = pct_start * total - 1, total - 1
    done = (t.clamp(max=end) - top) / (end - top)
    up = low + (lr - low) / 2 * (1 - torch.cos(math.pi * t / top))
    down = last + (lr - last) / 2 * (1 + torch.cos(math.pi * done))
    return torch.where(t < top, up, down)


@of_steps
def inverse_square_root(t, *, lr: Rate = 0.1, timescale: Steps = 50):
    """One over the root of the steps: slower than any schedule that ends.

    Source: Vaswani et al. (2017), section 5.3, after a warm-up of `timescale`
    steps. Equals LambdaLR(lambda t: (1 + t / timescale) ** -0.5).
    """
    return lr / (1 + t / timescale) ** 0.5


def warmup(schedule, steps, start=0.01):
    """`schedule`, after `steps` steps on a line up to where it begins.

    The line begins at the share `start` of that rate. The schedule begins
    afterward, with its own t = 0. Returns a function like `schedule`.
    Source: slide 43; Goyal et al. (2017). Equals SequentialLR of
    LinearLR(start_factor=start, total_iters=steps) and the schedule's own.
    """

    @like(schedule, steps=steps, start=start)
    def with_warmup(t, **hyper):
        share = start + (1 - start) * t / steps
        after = schedule((t - steps).clamp(min=0), **hyper)
        return torch.where(t < steps, share * schedule(0 * t, **hyper), after)

    return with_warmup


SCHEDULES = {
    schedule.__name__: schedule
    for schedule in (
        constant, time_based, step, multi_step, exponential, linear, cosine,
        warm_restarts, polynomial, one_cycle, inverse_square_root,
    )
}  # fmt: skip
