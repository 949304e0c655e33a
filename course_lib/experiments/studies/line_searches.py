"""What the chapter on quasi-Newton methods measures on surfaces: steps, evaluations, units and memory."""

import math
from collections.abc import Callable

import torch
from torch.func import grad, vmap

from course_lib.experiments.records import experiment
from course_lib.experiments.sweep import sweep
from course_lib.formulas import bfgs, dfp, lbfgs, rosenbrock, saddle, second_order
from course_lib.formulas.second_order import bfgs_update, broyden_update


def unguarded_bfgs(B: torch.Tensor, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """BFGS in its product form, whatever the sign of p·q."""
    V = torch.eye(len(p), dtype=p.dtype) - torch.outer(q, p) / (p @ q)
    return V.T @ B @ V + torch.outer(p, p) / (p @ q)


@experiment(seeds=5)
def quasi_newton_saddle(seed, *, points=2000):
    """The share of random points beside a saddle from which the first step of a search has p·q of at most 0."""
    w = torch.rand(points, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5

    def product(search, w):
        g = grad(saddle)(w)
        p = -search(saddle, w, g, -g) * g
        return p @ (grad(saddle)(w + p) - g)

    searches = {"backtracking": second_order.backtracking_search, "wolfe": second_order.wolfe_search}
    return {name: (vmap(lambda w: product(s, w))(w) <= 0).double().mean() for name, s in searches.items()}


def wolfe(f: Callable, w: torch.Tensor, d: torch.Tensor) -> tuple[float, int]:
    """The rate that `wolfe_search` accepts and its number of trials, at the last of which this one stops."""
    here, down, eta, low, high = f(w), grad(f)(w) @ d, 1.0, 0.0, math.inf
    for n in range(1, second_order.TRIALS + 1):
        if not f(w + eta * d) <= here + 1e-4 * eta * down:
            high = eta
        elif grad(f)(w + eta * d) @ d < 0.9 * down:
            low = eta
        else:
            break
        eta = (low + high) / 2 if high < math.inf else 2 * low
    return eta, n


def minimize(f: Callable, w: torch.Tensor, direction: Callable, update: Callable, steps: int, goal: float):
    """Losses and evaluations so far, before and after each step, until the loss is below the goal."""
    B, g, losses, counts = second_order.identity(w), grad(f)(w), [f(w).item()], [1]
    while losses[-1] >= goal and len(losses) <= steps:
        d = direction(B, g, w)
        eta, n = wolfe(f, w, d)
        g_new = grad(f)(w + eta * d)
        B, w, g = update(B, eta * d, g_new - g), w + eta * d, g_new
        losses.append(f(w).item())
        counts.append(counts[-1] + n)
    return losses, counts


def along_b(B, g, w):
    return -B @ g


METHODS = {
    "gradient": (lambda B, g, w: -g, lambda B, p, q: B),
    "newton": (lambda B, g, w: -torch.linalg.solve(second_order.hessian(rosenbrock, w), g), lambda B, p, q: B),
    "dfp": (along_b, lambda B, p, q: broyden_update(B, p, q, 0.0)),
    "bfgs": (along_b, bfgs_update),
}


@experiment(seeds=1)
def quasi_newton_costs(seed, *, start=(-1.2, 1.0), steps=100, goal=1e-10):
    """Rosenbrock's surface from its usual start, where the seed has no part: for each method two rows, the losses before and after
    each step, and the evaluations so far. inf where it has arrived.
    """
    w, rows = torch.tensor(start, dtype=torch.float64), {}
    for name, (direction, update) in METHODS.items():
        found = minimize(rosenbrock, w, direction, update, steps, goal)
        rows[name] = [row + [math.inf] * (steps + 1 - len(row)) for row in found]
    return rows


@experiment(seeds=5, share={"starts": 3})
def quasi_newton_starts(seed, *, starts=12, steps=120, goal=1e-10):
    """The steps until the loss on Rosenbrock's surface is below the goal, from random starts by each method; inf if it never is."""
    u = torch.rand(12, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)[:starts]
    w = 4 * u - torch.tensor([2.0, 1.0])
    found = {}
    for rule in (bfgs, lbfgs, dfp):
        arrived = vmap(vmap(rosenbrock))(sweep(rule, rosenbrock, w, steps)) < goal  # (steps + 1, starts)
        first = arrived.int().argmax(0).double()
        found[rule.__name__] = first.where(arrived.any(0), math.inf)
    return found


@experiment(seeds=1)
def quasi_newton_units(seed, *, scales=(1e-4, 1.0, 1e4), steps=40, goal=5e-10):
    """A quadratic of ten parameters times each scale, by BFGS, where the seed has no part: steps, evaluations, and what is left.

    `plain` begins with the identity, `scaled` with γ times it after the first step; (scales, 3) each.
    """
    h, eye = torch.logspace(0, 2, 10, dtype=torch.float64), torch.eye(10, dtype=torch.float64)

    def scaled(B, p, q):
        return bfgs_update(B * (p @ q) / (q @ q) if torch.equal(B, eye) else B, p, q)

    rows = {"plain": [], "scaled": []}
    for name, update in (("plain", bfgs_update), ("scaled", scaled)):
        for c in scales:
            losses, counts = minimize(lambda w: c * (h * w**2).sum() / 2, h.rsqrt(), along_b, update, steps, c * goal)
            rows[name].append([len(losses) - 1, counts[-1], losses[-1] / c])
    return rows


@experiment(seeds=5, share={"steps": 20})
def quasi_newton_memory(seed, *, memories=(0.0, 1.0, 3.0, 10.0), steps=70):
    """The share of the loss that is left after each step on a quadratic of 60 parameters and condition number 1,000.

    `lbfgs` has a row for each memory.
    """
    h = torch.logspace(0, 3, 60, dtype=torch.float64)
    start = torch.randn(60, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) / h.sqrt()

    def left(rule, **settings):
        path = sweep(rule, lambda w: (h * w**2).sum() / 2, start, steps, **settings)
        return ((h * path**2).sum(2) / (h * start**2).sum()).T

    return {"lbfgs": left(lbfgs, memory=list(memories)), "bfgs": left(bfgs)[0]}
