"""What the chapter on clusters measures: stale gradients, what waiting costs by the clock, and one slow process among real ones."""

import functools
import heapq
import itertools
import time
from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist

from course_lib.experiments.data import Split, digits
from course_lib.experiments.records import experiment
from course_lib.formulas.stragglers import TIMES
from course_lib.parallel import launch

BATCH = 16  # examples of one machine's gradient
_digits = functools.cache(digits)
Weights = list[torch.Tensor]


def begin(seed: int, runs: int, hidden: int = 32) -> Weights:
    """The weights of a network with one layer of tanh, the same for each run: (runs, 64, hidden), (runs, hidden, 10)."""
    source = torch.Generator().manual_seed(seed)
    layers = [torch.randn(n, m, generator=source) / n**0.5 for n, m in ((64, hidden), (hidden, 10))]
    return [x.expand(runs, *x.shape).clone() for x in layers]


def losses(weights: Weights, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Each run's mean cross entropy: (runs,)."""
    first, last = weights
    logits = (x @ first).tanh() @ last  # (runs, batch, 10)
    return -logits.log_softmax(-1)[:, torch.arange(len(y)), y].mean(1)


def gradients(weights: Weights, data: Split, batch: torch.Tensor) -> Weights:
    """Each run's gradient over the examples at these indices, in the weights' shapes."""
    weights = [w.requires_grad_() for w in weights]
    found = torch.autograd.grad(losses(weights, data.x_train[batch], data.y_train[batch]).sum(), weights)
    [w.requires_grad_(False) for w in weights]
    return [*found]


def descended(weights: Weights, g: Weights, rates: torch.Tensor) -> Weights:
    """One step of gradient descent, as new tensors: a machine may still be at work with the old ones."""
    return [w - rates[:, None, None] * step for w, step in zip(weights, g, strict=True)]


def compute_times(seed: int, distribution: str, spread: float) -> Iterator[float]:
    """What one gradient after another takes, for ever, with the mean 1."""
    source = torch.Generator().manual_seed(1000 + seed)
    while True:
        u, v = torch.rand(2, 1000, generator=source, dtype=torch.float64)
        yield from TIMES[distribution](u, v, spread=torch.tensor(spread, dtype=torch.float64)).tolist()


def asynchronous(seed: int, machines: int, rates: Sequence[float], spread: float) -> Iterator[tuple]:
    """Training without a barrier: (time, weights, staleness) after each update, for ever.

    A machine reads the weights, works on its batch for as long as it is drawn, and hands its gradient over at once, whatever the
    weights are by then. The staleness is how many updates of others came in between. Each run has one of the rates.
    """
    weights, updates, data = begin(seed, len(rates)), 0, _digits(1000, 400)
    times, source = compute_times(seed, "lognormal", spread), torch.Generator().manual_seed(seed)
    at_work = [(next(times), k, weights, updates) for k in range(machines)]  # until when, who, with which weights
    heapq.heapify(at_work)
    while True:
        now, k, old, read = heapq.heappop(at_work)
        batch = torch.randint(len(data.x_train), (BATCH,), generator=source)
        weights = descended(weights, gradients(old, data, batch), torch.as_tensor(rates))
        yield now, weights, updates - read
        updates += 1
        heapq.heappush(at_work, (now + next(times), k, weights, updates))


def synchronous(seed: int, machines: int, rates: Sequence[float], spread: float, dropped: int = 0) -> Iterator[tuple]:
    """Training with a barrier: (time, weights, 0) after each update, which the `dropped` slowest gradients miss, for ever."""
    weights, now, data = begin(seed, len(rates)), 0.0, _digits(1000, 400)
    times, source = compute_times(seed, "lognormal", spread), torch.Generator().manual_seed(seed)
    while True:
        now += sorted(itertools.islice(times, machines))[machines - 1 - dropped]
        batch = torch.randint(len(data.x_train), (BATCH * (machines - dropped),), generator=source)
        weights = descended(weights, gradients(weights, data, batch), torch.as_tensor(rates))
        yield now, weights, 0


def training_loss(weights: Weights) -> torch.Tensor:
    """Each run's loss over the whole training set."""
    data = _digits(1000, 400)
    return losses(weights, data.x_train, data.y_train)


@experiment(seeds=6, share={"machines": (1, 4)})
def clusters_staleness(
    seed, *, machines=(1, 4, 16), rates=(0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2), updates=600, spread=0.5, most=40
):
    """After so many asynchronous updates: the loss for each number of machines and each rate; the staleness's mean and shares.

    `shares[k, s]` is the share of the updates with a staleness of s < `most`.
    """
    ends, means, shares = [], [], []
    for n in machines:
        steps = [*itertools.islice(asynchronous(seed, n, rates, spread), updates)]
        ends.append(training_loss(steps[-1][1]))
        stale = torch.tensor([s for _, _, s in steps])
        means.append(stale[n:].double().mean())  # after the first of each machine, which all began together
        shares.append(torch.bincount(stale[n:], minlength=most)[:most] / len(stale[n:]))
    return {"loss": torch.stack(ends), "mean": torch.stack(means), "shares": torch.stack(shares)}


def losses_by_the_clock(weights: Weights, steps: Iterator[tuple], until: int, every: int) -> torch.Tensor:
    """The loss at the times 0, every, 2 every, …, until, as the weights are by then: (runs, times)."""
    found, (after, new, _) = [], next(steps)
    for t in range(0, until + 1, every):
        while after <= t:
            weights, (after, new, _) = new, next(steps)
        found.append(training_loss(weights))
    return torch.stack(found, 1)


@experiment(seeds=6, share={"until": 20})
def clusters_clock(seed, *, machines=8, rates=(0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2), until=120, every=4, spread=0.5):
    """The loss by the clock, in mean times of a gradient, by each way to use the machines: (rates, times)."""
    ways = {
        "synchronous": synchronous(seed, machines, rates, spread),
        "backup": synchronous(seed, machines, rates, spread, dropped=1),
        "asynchronous": asynchronous(seed, machines, rates, spread),
    }
    return {way: losses_by_the_clock(begin(seed, len(rates)), steps, until, every) for way, steps in ways.items()}


def steps_with_a_barrier(seconds: torch.Tensor, gradient: int = 10_000):
    """On each rank: sleep as its column of `seconds` says, then add up.

    `seconds` has the shape (steps, ranks). Returns for each step how long
    it took, and how long of it this rank was inside of the all-reduce.
    """
    found, mine = [], seconds[:, dist.get_rank()].tolist()
    dist.all_reduce(torch.ones(gradient))  # so that the connections stand
    for computing in mine:
        begin = time.perf_counter()
        time.sleep(computing)
        inside = time.perf_counter()
        dist.all_reduce(torch.ones(gradient))
        end = time.perf_counter()
        found.append((end - begin, end - inside))
    return found


@experiment(seeds=8, share={"delays": (0, 20), "times": False})
def clusters_real(seed, *, delays=(0, 20, 40, 80), processes=4, steps=6, mean=20, spread=0.5, times=True):
    """Real processes that wait for each other, with a delay on rank 0, all in milliseconds: (delays,).

    `measured` is the mean time of a step, `formula` the mean over the steps of the largest drawn time; `inside` is how long each
    rank is inside of the all-reduce, on average: (delays, ranks). Without `times`, which are this machine's, the formula alone.
    """
    draws = torch.tensor([*itertools.islice(compute_times(seed, "lognormal", spread), steps * processes)])
    computing = mean * draws.reshape(steps, processes).repeat(len(delays), 1, 1)  # (delays, steps, ranks)
    computing[:, :, 0] += torch.tensor(delays)[:, None]
    ranks = launch(steps_with_a_barrier, computing.flatten(0, 1) / 1000, processes=processes, check=False)
    taken = 1000 * torch.tensor(ranks).reshape(processes, len(delays), steps, 2).mean(2)  # (ranks, delays, 2)
    measured = {"measured": taken[..., 0].mean(0), "inside": taken[..., 1].T}
    return {"formula": computing.amax(2).mean(1)} | (measured if times else {})
