"""Stragglers: a step that all machines end together takes as long as the slowest of them, and what that does to the speed-up.

Times are in units of the mean: each distribution below has the mean 1 and the standard deviation `spread`. Arguments are tensors
of any shapes that broadcast; `n` machines and `dropped` of them are counts, in float64. To draw, `u` and `v` are uniform in [0, 1).
"""

import math

import torch

from course_lib.formulas.initialization import normal_draws

EULER = 0.5772156649015329
SHIFT = range(8)  # so far up that the series below are right to 1e-11
GRID = torch.linspace(-9, 9, 91, dtype=torch.float64)  # where a normal density is summed

# --- what a machine needs for one step: a draw with the mean 1


def constant_time(u, v, *, spread):
    """The same time always: the machine of the textbook."""
    return 1 + 0 * u


def uniform_time(u, v, *, spread):
    """As often any time as any other, between two limits. spread < 1/√3."""
    return 1 + 3**0.5 * spread * (2 * u - 1)


def exponential_time(u, v, *, spread):
    """At least 1 - spread, then an exponential wait. spread <= 1.

    Source: Lee et al. (2018), the shifted exponential.
    """
    return 1 - spread - spread * torch.log1p(-u)


def lognormal_time(u, v, *, spread):
    """A product of many small delays: its logarithm is normal."""
    variance = torch.log1p(spread**2)
    z, _ = normal_draws(u, v)
    return torch.exp(variance**0.5 * z - variance / 2)


def pareto_time(u, v, *, spread):
    """A heavy tail: P(time > t) falls as a power of t. spread > 0."""
    a = tail_index(spread)
    return (a - 1) / a * (1 - u) ** (-1 / a)


def tail_index(spread):
    """The power of a Pareto tail whose deviation is `spread` times its mean.

    It is above 2: with 2 the deviation is infinite.
    """
    return 1 + (1 + 1 / spread**2) ** 0.5


# --- when the last of n machines is done, or the last but `dropped`: the mean


def constant_slowest(n, dropped=0, *, spread):
    """Nobody waits."""
    return 1 + 0 * n


def uniform_slowest(n, dropped=0, *, spread):
    """1 + √3 spread (n - 1)/(n + 1): the n draws cut the line in n + 1 parts."""
    return 1 + 3**0.5 * spread * (2 * (n - dropped) / (n + 1) - 1)


def exponential_slowest(n, dropped=0, *, spread):
    """1 - spread + spread H_n: the first of n arrives after 1/n, and so on.

    With the `dropped` slowest left out, H_n - H_dropped.
    Source: Rényi (1953).
    """
    return 1 - spread + spread * (harmonic(n) - harmonic(dropped + 0 * n))


def lognormal_slowest(n, dropped=0, *, spread):
    """A sum over a grid: no closed form is known."""
    sigma = torch.log1p(spread**2) ** 0.5
    below = (1 + torch.erf(GRID / 2**0.5)) / 2
    above = (1 - torch.erf(GRID / 2**0.5)) / 2
    ways = log_gamma(n + 1) - log_gamma(n - dropped) - log_gamma(dropped + 1 + 0 * n)
    chance = (n - dropped - 1)[..., None] * torch.log(below + 1e-300)
    chance = chance + (dropped + 0 * n)[..., None] * torch.log(above + 1e-300)
    density = torch.exp(ways[..., None] + chance - GRID**2 / 2)
    times = torch.exp(sigma * GRID - sigma**2 / 2)
    return (times * density).sum(-1) * 0.2 / (2 * math.pi) ** 0.5


def pareto_slowest(n, dropped=0, *, spread):
    """It grows as n to the power 1/a, for ever. Source: Arnold (2015)."""
    a, dropped = tail_index(spread), dropped + 0 * n
    most = log_gamma(n + 1) - log_gamma(n + 1 - 1 / a)
    rest = log_gamma(dropped + 1 - 1 / a) - log_gamma(dropped + 1)
    return (a - 1) / a * torch.exp(most + rest)


def harmonic(n):
    """H_n = 1 + 1/2 + … + 1/n, for n >= 0. Equals torch.digamma(n + 1) + γ."""
    y = n + 1 + len(SHIFT)
    series = torch.log(y) - 1 / (2 * y) - 1 / (12 * y**2) + 1 / (120 * y**4)
    series = series - 1 / (252 * y**6) + 1 / (240 * y**8)
    return EULER + series - sum(1 / (n + 1 + k) for k in SHIFT)


def log_gamma(x):
    """The logarithm of Γ, Γ(n + 1) = n!, for x > 0. Equals torch.lgamma."""
    y = x + len(SHIFT)
    series = 1 / (12 * y) - 1 / (360 * y**3) + 1 / (1260 * y**5) - 1 / (1680 * y**7)
    stirling = (y - 0.5) * torch.log(y) - y + 0.5 * math.log(2 * math.pi) + series
    return stirling - sum(torch.log(x + k) for k in SHIFT)


# --- the speed-up


def amdahl(n, *, serial):
    """How many times as fast n machines are, if a share of the work is serial.

    It ends below 1/serial. Source: Amdahl (1967).
    """
    return 1 / (serial + (1 - serial) / n)


def speed_up(n, slowest, *, serial=0.0, latency=0.0):
    """The same with stragglers and messages: one machine's step has the time 1.

    `slowest` is the mean time of the slowest of n, of mean 1; a ring
    all-reduce passes on 2(n - 1) messages one after the other, each of which
    takes `latency`. Source: slide 63, made a formula.
    """
    return 1 / (serial + (1 - serial) * slowest / n + 2 * (n - 1) * latency)


def backup_speed_up(n, dropped, slowest):
    """Examples per time, if each step leaves the `dropped` slowest of n out.

    `slowest` is the mean time of the last but `dropped`. Source: Chen et al.
    (2016), synchronous training with backup workers.
    """
    return (n - dropped) / slowest


def largest_stable_rate(delay, curvature):
    """Below it, a descent with gradients of `delay` steps ago converges.

    On a quadratic: w ← w - η h w(t - delay). At delay 0 it is 2/h, at 1 it is
    1/h, then about π/(2h) over delay + 1/2. Source: Levin and May (1976).
    """
    return 2 / curvature * torch.sin(math.pi / (2 * (2 * delay + 1)))


def checkpoint_interval(save, between_failures):
    """The time between two checkpoints that loses least, √(2 save m).

    `save` is what one takes, m the mean time between two failures of *any*
    machine: that of one machine over n. All in one unit; save much less than
    m. Source: Young (1974).
    """
    return (2 * save * between_failures) ** 0.5


def lost_share(interval, save, between_failures):
    """What saving and repeating takes, as a share of the time.

    After a failure half an interval is repeated on average. Source: Young
    (1974), to first order.
    """
    return save / interval + interval / (2 * between_failures)


TIMES = {
    "constant": constant_time, "uniform": uniform_time, "exponential": exponential_time,
    "lognormal": lognormal_time, "Pareto": pareto_time,
}  # fmt: skip
SLOWEST = {
    "constant": constant_slowest, "uniform": uniform_slowest, "exponential": exponential_slowest,
    "lognormal": lognormal_slowest, "Pareto": pareto_slowest,
}  # fmt: skip
