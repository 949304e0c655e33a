"""What the chapter on momentum measures: turns and noise, a bent valley, a network, and where the ball comes to rest."""

import math

import torch
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy

from course_lib.experiments.data import digits
from course_lib.experiments.records import experiment
from course_lib.experiments.sweep import sweep
from course_lib.formulas import SURFACES, gradient_descent, himmelblau, momentum, quadratic, rosenbrock

GOAL, BOUND = 1e-3, 300.0  # as on the page's map: the loss to arrive at, and how far a run may go

# What the average does to noise


@experiment(seeds=5)
def momentum_turns(seed, *, starts=200, steps=40, lr=0.095, condition_number=20):
    """The mean angle in degrees between each step and the next on a quadratic, over random starts, by both rules."""
    w, angles = torch.randn(starts, 2, generator=torch.Generator().manual_seed(seed)), {}
    for rule in (gradient_descent, momentum):
        step = sweep(rule, quadratic, w, steps, lr=lr, condition_number=condition_number).diff(dim=0)
        cosine = torch.cosine_similarity(step[1:], step[:-1], dim=-1)
        angles[rule.__name__] = cosine.clamp(-1, 1).acos().rad2deg().mean(1)  # (steps - 1,)
    return angles


@experiment(seeds=5)
def momentum_noise(seed, *, momenta=(0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95), lr=0.02, runs=20_000, steps=600):
    """Momentum on a parabola of curvature 1 with gradients of noise 1: for each momentum, variances over many runs.

    `delta` is that of the average on noise alone, `theta` that of the parameter after `steps`. Momentum 0 is gradient descent.
    """
    source, m = torch.Generator().manual_seed(seed), torch.tensor(momenta)[:, None]
    theta = delta = of_noise = torch.zeros(len(momenta), runs)
    for t in range(1, steps + 1):
        noise = torch.randn(runs, generator=source)
        theta, delta = momentum(theta, theta + noise, t, delta, lr=lr, momentum=m)
        _, of_noise = momentum(theta, noise, t, of_noise, lr=lr, momentum=m)
    return {"delta": of_noise.var(1), "theta": theta.var(1)}


# A valley that bends


def arrivals(start: torch.Tensor, steps: int, lr: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    """On Rosenbrock's surface, for each pair of settings: the step from which on the loss stays below the goal.

    Infinite for a run that does not come to stay there, or goes out of bounds.
    """
    path = sweep(momentum, rosenbrock, start, steps, lr=lr, momentum=m)  # (steps + 1, runs, 2)
    above = vmap(vmap(rosenbrock))(path) > GOAL
    lost = ~(path.abs() <= BOUND).all(-1).all(0)
    late = torch.where(above, torch.arange(1, steps + 2)[:, None], 0).amax(0)
    return late.double().masked_fill(lost | (late > steps), math.inf)


def near_the_ring(seed: int, distance: float = 0.01) -> torch.Tensor:
    """The start of the page's figures on Rosenbrock's surface, for seed 0; for others one about so far from it."""
    away = torch.randn(2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.tensor([-1.2, 1.0], dtype=torch.float64) + distance * away * (seed > 0)


@experiment(seeds=5, share={"momenta": (0.0, 0.5), "steps": (600,)})
def momentum_borders(
    seed,
    *,
    momenta=(0.0, 0.5, 0.64, 0.7, 0.72, 0.76, 0.8, 0.83, 0.86, 0.9, 0.92, 0.93, 0.94, 0.95, 0.965, 0.978, 0.985),
    rates=(0.001, 0.3, 100),
    steps=(600, 1000),
):
    """Which learning rates arrive on Rosenbrock's surface: a row for each number of steps, a column for each momentum.

    Seed 0 starts at the ring of the page's map, others about 0.01 away. `lowest` and `highest` are the ends of the rates that
    arrive, infinite and 0 where none does, `factor` is what they span all together, `fewest` the steps of the best one.
    """
    low, high, count = rates
    lr = torch.logspace(math.log10(low), math.log10(high), count, dtype=torch.float64)
    m, start = torch.tensor(momenta, dtype=torch.float64), near_the_ring(seed)
    outcomes = {"lowest": [], "highest": [], "factor": [], "fewest": []}
    for total in steps:
        arrived = arrivals(start, total, lr.repeat(len(m)), m.repeat_interleave(count)).view(len(m), count)
        good = arrived.isfinite()
        ends = torch.where(good, lr, math.inf).amin(1), torch.where(good, lr, 0.0).amax(1)
        rows = *ends, (high / low) ** (good.sum(1) / count), arrived.amin(1)
        for values, row in zip(outcomes.values(), rows, strict=True):
            values.append(row)
    return {name: torch.stack(values) for name, values in outcomes.items()}


@experiment(seeds=5)
def momentum_streak(
    seed, *, lr=0.017, momentum=0.81, shares=(0.95, 0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03, 1.05), steps=600
):
    """Steps to arrive on Rosenbrock's surface in a fast streak of the map, with shares of its rate.

    Seed 0 starts at the ring of the page's map, others about 0.01 away.
    """
    rates = lr * torch.tensor(shares, dtype=torch.float64)
    return {"steps": arrivals(near_the_ring(seed), steps, rates, torch.full_like(rates, momentum))}


# A network


def network_loss(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy of 64 pixels, 32 tanh units and ten classes, whose weights are `w` of shape (2410,)."""
    A, a, B, b = w.split((64 * 32, 32, 32 * 10, 10))
    return cross_entropy(torch.tanh(x @ A.view(64, 32) + a) @ B.view(32, 10) + b, y)


@experiment(seeds=5, share={"rates": (0.4,), "batches": (10,), "most": (700,)})
def momentum_network(
    seed,
    *,
    rates=(0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6),
    momenta=(0.0, 0.9),
    batches=(10, 1000),
    most=(700, 280),
    goal=0.1,
):
    """A network on 1,000 digits: the `steps` until its training loss is below the goal, (batches, momenta, rates).

    The loss is looked at in each step on the whole data, and in every tenth on a batch of ten. Infinite where `most` steps
    do not do.
    """
    data, source = digits(seed=seed), torch.Generator().manual_seed(seed)
    draw = lambda n, fan_in: torch.randn(n, generator=source) / fan_in**0.5
    start = torch.cat([draw(64 * 32, 64), torch.zeros(32), draw(32 * 10, 32), torch.zeros(10)])
    m, lr = (x.flatten()[:, None] for x in torch.meshgrid(torch.tensor(momenta), torch.tensor(rates), indexing="ij"))
    slopes, losses = (vmap(f, (0, None, None)) for f in (grad(network_loss), network_loss))
    outcomes = []
    for B, steps in zip(batches, most, strict=True):
        w, delta, every = start.expand(len(lr), -1), torch.zeros(len(lr), len(start)), max(1, 100 // B)
        arrived = torch.full((len(lr),), math.inf)
        for t in range(1, steps + 1):
            i = torch.randperm(1000, generator=source)[:B] if B < 1000 else slice(None)
            w, delta = momentum(w, slopes(w, data.x_train[i], data.y_train[i]), t, delta, lr=lr, momentum=m)
            if t % every == 0:
                below = losses(w, data.x_train, data.y_train) < goal
                arrived = torch.where(below & arrived.isinf(), float(t), arrived)
        outcomes.append(arrived.view(len(momenta), len(rates)))
    return {"steps": torch.stack(outcomes)}


# Where the ball comes to rest

MINIMA = torch.tensor(SURFACES["himmelblau"].minima(), dtype=torch.float64)  # (4, 2)


def resting_places(start: torch.Tensor, m: float, steps: int, lr: float = 0.005) -> torch.Tensor:
    """The index of the minimum of Himmelblau's surface that is nearest to the end of each run; -1 if it is not at rest there."""
    end = sweep(momentum, himmelblau, start, steps, keep="end", lr=lr, momentum=m)
    distance = (end[:, None] - MINIMA).norm(dim=-1)
    return distance.argmin(1).masked_fill(distance.amin(1) > 0.5, -1)


@experiment(seeds=5, share={"momenta": (0.0, 0.9), "steps": (300, 300)})
def momentum_basins(
    seed,
    *,
    momenta=(0.0, 0.9, 0.95, 0.98),
    steps=(300, 300, 400, 800),
    edges=(0, 13.3, 40, 67.7, 104, 178.3, 300, 500, 900, 2200),
    starts=4000,
    apart=0.1,
):
    """From random starts on Himmelblau's surface, for each momentum (the first is 0): the share that ends elsewhere than there.

    `elsewhere` is that of all starts, `above` and `below` that of those above and below the highest pass, `by_loss` that of the starts whose loss lies between two `edges`, `parted` the share of
    the starts above the highest pass that end elsewhere than a start 0.1 away.
    """
    source = torch.Generator().manual_seed(seed)
    low, high = torch.tensor(SURFACES["himmelblau"].domain, dtype=torch.float64).T
    w = low + (high - low) * torch.rand(starts, 2, generator=source, dtype=torch.float64)
    turn = 2 * math.pi * torch.rand(starts, generator=source, dtype=torch.float64)
    near = w + apart * torch.stack([turn.cos(), turn.sin()], 1)
    loss = vmap(himmelblau)(w)
    band, high_up = torch.bucketize(loss, torch.tensor(edges[1:-1], dtype=torch.float64)), loss > 178.3
    outcomes, still = {name: [] for name in ("elsewhere", "above", "below", "by_loss", "parted")}, None
    for m, count in zip(momenta, steps, strict=True):
        here, there = resting_places(torch.cat([w, near]), m, count).chunk(2)
        still = here if still is None else still
        moved = (here != still).double()
        outcomes["elsewhere"].append(moved.mean())
        outcomes["above"].append(moved[high_up].mean())
        outcomes["below"].append(moved[~high_up].mean())
        outcomes["by_loss"].append(torch.stack([moved[band == k].mean() for k in range(len(edges) - 1)]))
        outcomes["parted"].append((here != there)[high_up].double().mean())
    return {name: torch.stack(values) for name, values in outcomes.items()}
