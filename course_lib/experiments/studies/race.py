"""What the chapter on the race measures: who arrives when, from which start, at which angle, and the same on real digits."""

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.func import grad
from torch.nn.functional import cross_entropy

from course_lib.experiments.arrivals import RATES, arrivals
from course_lib.experiments.data import Split, digits
from course_lib.experiments.ensemble import train_ensemble
from course_lib.experiments.optimizer import Optimizer
from course_lib.experiments.records import experiment, recorded
from course_lib.formulas import RULES, SURFACES, adam, bfgs, muon
from course_lib.formulas.signature import signature

LECTURE = ("gradient_descent", "momentum", "rprop", "adagrad", "adam")
FIRST_ORDER = (*LECTURE, "adadelta", "rmsprop")
ON_DIGITS = ("gradient_descent", "momentum", "rprop", "adagrad", "rmsprop", "adam")


@experiment(seeds=1, share={"rules": LECTURE[:1], "surfaces": ("quadratic", "rosenbrock")})
def race_arrivals(
    seed,
    *,
    rules=FIRST_ORDER,
    surfaces=("quadratic", "rosenbrock", "saddle", "beale", "himmelblau", "ravine"),
    steps=1000,
    goal=1e-6,
):
    """Steps to the goal for each surface, rule and rate of RATES, within a budget. No chance, so one seed.

    `early` is the same for a goal of 0.001 on the second surface.
    """
    run = functools.partial(arrivals, steps=steps)
    found = [[run(RULES[r], SURFACES[s].formula, goal=goal) for r in rules] for s in surfaces]
    early = [run(RULES[r], SURFACES[surfaces[1]].formula, goal=1e-3) for r in rules]
    return {"steps": torch.stack([torch.stack(x) for x in found]), "early": torch.stack(early)}


@experiment(seeds=1, share={"rules": LECTURE[:1]})
def race_valley(seed, *, rules=LECTURE, angles=tuple(range(-90, 91, 5)), condition_number=100.0, steps=600):
    """The fewest steps over all rates in a valley turned by each angle: for each rule and angle. No chance, so one seed."""
    rates = torch.tensor(RATES, dtype=torch.float64).repeat(len(angles))
    turned = torch.tensor(angles, dtype=torch.float64).repeat_interleave(len(RATES))
    valley = {"condition_number": condition_number, "angle": turned}
    every = [arrivals(RULES[r], SURFACES["quadratic"].formula, steps, lr=rates, **valley) for r in rules]
    return {"fewest": torch.stack(every).view(len(rules), len(angles), len(RATES)).amin(2)}


@experiment(seeds=5)
def race_starts(seed, *, rules=LECTURE, surfaces=(("beale", 4.5), ("himmelblau", 6.0)), starts=40, steps=500):
    """From how many of 40 random starts each rule arrives first at the best of 15 rates: for each surface and rule.

    `nobody` counts those from which none arrives.
    """
    generator, rates = torch.Generator().manual_seed(seed), RATES[::2]
    wins, nobody = [], []
    for name, size in surfaces:
        corners = size * (2 * torch.rand(starts, 2, generator=generator, dtype=torch.float64) - 1)
        w, lr = corners.repeat_interleave(len(rates), dim=0), torch.tensor(rates, dtype=torch.float64).repeat(starts)
        first = [arrivals(RULES[r], SURFACES[name].formula, steps, w, lr=lr).view(starts, -1).amin(1) for r in rules]
        fewest, winner = torch.stack(first).min(dim=0)
        arrived = fewest.isfinite()
        wins.append([((winner == k) & arrived).sum() for k in range(len(rules))])
        nobody.append((~arrived).sum())
    return {"wins": wins, "nobody": nobody}


def points_seen(surface: Callable, steps: int) -> int:
    """At how many different points BFGS asks for the loss in its first `steps` steps from the surface's own start."""
    seen = set()

    def counted(w):
        seen.add(tuple(x.item() for x in w))
        return surface(w)

    w = torch.tensor(SURFACES[surface.__name__].start, dtype=torch.float64)
    B = torch.eye(2, dtype=torch.float64)
    for t in range(1, steps + 1):
        w, B = bfgs(w, grad(counted)(w), t, counted, B)
    return len(seen)


# On real digits


def reader() -> nn.Module:
    """One hidden layer of 32 units between 64 pixels and 10 classes."""
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


@functools.cache
def data() -> Split:
    """1,000 digits to train on and 400 to tune with; the others are the test set."""
    return digits(train=1000, val=400)


@experiment(seeds=11, share={"rules": ON_DIGITS[:1]})
def race_on_digits(seed, *, rules=ON_DIGITS, rates=tuple(10 ** (k / 2) for k in range(-6, 3)), steps=200, batch=50):
    """The validation loss and the percentage of errors on the test set after training: for each rule and rate."""
    run = functools.partial(train_ensemble, model=reader, steps=steps, batch=batch, seed=seed, lr=list(rates))
    held_out = replace(data(), x_val=data().x_test, y_val=data().y_test)
    val = [run(RULES[name], data=data()).val[-1] for name in rules]
    right = [run(RULES[name], data=held_out).accuracy[-1] for name in rules]
    return {"val": torch.stack(val), "error": 100 * (1 - torch.stack(right).nan_to_num(0.0))}


def train_reader(
    make_optimizers: Callable, seed: int, steps: int = 200, limit: float = float("inf")
) -> tuple[float, int]:
    """Train the network in batches of 50: the validation loss at the end, and how many gradients were longer than `limit`.

    `make_optimizers(matrices, others)` returns the optimizers; gradients are clipped by their global norm to `limit`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net, shortened = reader(), 0
        batches = torch.randint(len(data().x_train), (steps, 50))
    optimizers: Iterable = make_optimizers(
        [p for p in net.parameters() if p.dim() == 2], [p for p in net.parameters() if p.dim() < 2]
    )
    for k in batches:
        net.zero_grad()
        cross_entropy(net(data().x_train[k]), data().y_train[k]).backward()
        shortened += int(nn.utils.clip_grad_norm_(net.parameters(), limit) > limit)
        for optimizer in optimizers:
            optimizer.step()
    with torch.no_grad():
        return cross_entropy(net(data().x_val), data().y_val).item(), shortened


@experiment(seeds=10)
def race_clipping(seed, *, lr=2.0, limit=1.0, tuned=1.0):
    """Validation losses of gradient descent at a rate that is too large, plain and clipped, and at its tuned rate.

    `shortened` is the number of the clipped run's gradients that were longer than the limit.
    """
    plain, _ = train_reader(lambda a, b: [torch.optim.SGD(a + b, lr)], seed)
    clipped, shortened = train_reader(lambda a, b: [torch.optim.SGD(a + b, lr)], seed, limit=limit)
    best, _ = train_reader(lambda a, b: [torch.optim.SGD(a + b, tuned)], seed)
    return {"plain": plain, "clipped": clipped, "shortened": shortened, "tuned": best}


@experiment(seeds=10)
def race_muon(seed, *, lr=0.03):
    """Validation losses: Muon for the matrices and Adam for the rest, and Adam for all."""
    alone, _ = train_reader(lambda a, b: [Optimizer(a + b, adam, lr=lr)], seed)
    both, _ = train_reader(lambda a, b: [Optimizer(a, muon, lr=lr, decay=0.0), Optimizer(b, adam, lr=lr)], seed)
    return {"muon": both, "adam": alone}


# Reading the records


def default_and_best(surface: str, rules: tuple[str, ...] = LECTURE) -> dict[str, tuple[float, float]]:
    """For each rule its steps to the goal on a surface of `race_arrivals`, at its default rate and at the best of all rates.

    The first is NaN for a rule whose default is none of RATES.
    """
    record = recorded("race_arrivals")
    of_surface = record["steps"][0, record.settings["surfaces"].index(surface)]
    steps = dict(zip(record.settings["rules"], of_surface, strict=True))
    usual = {r: signature(RULES[r]).hyper["lr"] for r in rules}
    at_default = {r: steps[r][RATES.index(lr)].item() if lr in RATES else math.nan for r, lr in usual.items()}
    return {r: (at_default[r], steps[r].min().item()) for r in rules}


@dataclass(frozen=True)
class Tuned:
    """A rule's default and tuned rate on the digits, its good band in decades, and the test errors by rate, (rates, seeds)."""

    default: float
    tuned: float
    band: float
    by_rate: dict[float, torch.Tensor]

    def errors(self, lr: float) -> torch.Tensor:
        """The errors in percent at the rate of the scan next to `lr`, (seeds,)."""
        return self.by_rate[min(self.by_rate, key=lambda rate: abs(rate - lr))]


def tuned_on_digits(tuning: int = 3) -> dict[str, Tuned]:
    """For each rule of `race_on_digits` the rate of the least mean validation loss over the first `tuning` seeds, and the
    test errors over the other ones."""
    record = recorded("race_on_digits")
    rates, result = record.settings["rates"], {}
    for k, name in enumerate(record.settings["rules"]):
        val, error = record["val"][:tuning, k].mean(0), record["error"][tuning:, k]  # (rates,), (seeds, rates)
        band = (val <= 2 * val.min()).sum().item() / 2
        errors = dict(zip(rates, error.T, strict=True))
        result[name] = Tuned(signature(RULES[name]).hyper["lr"], rates[int(val.argmin())], band, errors)
    return result
