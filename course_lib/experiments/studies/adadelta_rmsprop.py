"""What the chapter on Adadelta and RMSprop measures: who follows, the rate hidden in ε, and all rules tuned on a network."""

from collections.abc import Callable

import torch
from torch import nn

from course_lib.experiments.optimizer import Optimizer
from course_lib.experiments.records import experiment
from course_lib.experiments.replay import replay
from course_lib.experiments.studies.adagrad import fit_product, follow, generator
from course_lib.formulas import RULES, adadelta, rmsprop
from course_lib.formulas.signature import signature, step

FOLLOWERS = {"adagrad": {"lr": 0.5}, "rmsprop": {"lr": 0.05}, "adadelta": {}}


@experiment(seeds=5, share={"times": (30, 100, 300, 1000)})
def rmsprop_follow(seed, *, times=(30, 100, 300, 1000, 3000, 10_000), runs=1000):
    """Runs on θ²/2 with unit noise by Adagrad (η = 0.5), RMSprop (0.05) and Adadelta: their variance at each time, and the
    steps that their mean needs for half of the way if the minimum moves then."""
    outcomes = {}
    for name, hyper in FOLLOWERS.items():
        outcomes[f"{name}_variance"], outcomes[name] = follow(RULES[name], times, generator(seed), runs, **hyper)
    return outcomes


def scheduled_losses(factor, lr=0.2, steps=400):
    """The loss before each step of RMSprop with a schedule."""
    w = nn.Parameter(torch.tensor([-2.2, 1.2], dtype=torch.float64))
    optimizer = Optimizer([w], rmsprop, lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    losses = []
    for _ in range(steps):
        loss = (w[0] ** 2 + 20 * w[1] ** 2) / 2
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return losses


def bowl(w, *, unit=1.0):
    """A parabola whose parameter is measured in another unit."""
    return (w[0] / unit) ** 2 / 2


@experiment(seeds=5)
def adadelta_hidden_rate(seed, *, times=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000), runs=5000):
    """Adadelta on gradients that agree (`slope`) and on gradients that are noise: the root mean square of its steps, and u.

    The steps are in units of √ε, u in units of ε, at each time.
    """
    eps, steps = signature(adadelta).hyper["eps"], max(times)
    noise = torch.randn(steps, runs, generator=generator(seed))
    outcomes = {}
    for name, g in (("slope", torch.ones(steps, 1)), ("noise", noise)):
        squares = replay(adadelta, g).diff(dim=0).square().mean(1) / eps
        u, us = 0.0, []
        for square in squares:
            u = 0.9 * u + 0.1 * square.item()
            us.append(u)
        at = [t - 1 for t in times]
        outcomes |= {name: squares[at].sqrt(), f"{name}_u": [us[k] for k in at]}
    return outcomes


# On a network, tuned

GRIDS = {  # the settings of each contender: the hyperparameter's name, and the factor of its eight values
    ("gradient_descent", "constant"): ("lr", 0.5),
    ("adagrad", "constant"): ("lr", 2.0),
    ("rmsprop", "constant"): ("lr", 0.25),
    ("adadelta", "constant"): ("eps", 1.0),
    ("gradient_descent", "linear"): ("lr", 1.0),
    ("adagrad", "linear"): ("lr", 4.0),
    ("rmsprop", "linear"): ("lr", 1.0),
}


def grid(contender: tuple[str, str]) -> torch.Tensor:
    """The eight values of a contender's rate, or of its ε."""
    name, factor = GRIDS[contender]
    exponents = torch.arange(-8, 0, dtype=torch.float32)
    return 10.0**exponents if name == "eps" else factor * 2.0**exponents


def examples(n: int, source: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (n, 2) and their products (n, 1)."""
    x = torch.rand(n, 2, generator=source) * 4 - 2
    return x, x.prod(-1, keepdim=True)


def networks(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The outputs of networks with 32 hidden units: w of shape (settings, 129), x (n, 2) -> (settings, n, 1)."""
    w1, b1 = w[:, :64].unflatten(-1, (2, 32)), w[:, None, 64:96]
    return (x @ w1 + b1).tanh() @ w[:, 96:128, None] + w[:, None, 128:]


def tuned_errors(contender: tuple[str, str], seed: int, steps: int) -> torch.Tensor:
    """The error on 2,000 clean examples after training on 16 noisy ones a step, for each of the eight settings."""
    (rule, schedule), source = contender, generator(seed)
    rule, (name, _), values = RULES[rule], GRIDS[contender], grid(contender)[:, None]
    bound = torch.tensor([0.7] * 96 + [0.18] * 33)
    w = (bound * (torch.rand(129, generator=source) * 2 - 1)).repeat(8, 1)
    hyper = signature(rule).hyper
    state = tuple(signature(rule).initial(w, hyper).values())
    for t in range(1, steps + 1):
        x, y = examples(16, source)
        y = y + 0.5 * torch.randn(y.shape, generator=source)
        w.requires_grad_()
        error = (networks(w, x) - y).square().mean((1, 2))
        (g,) = torch.autograd.grad(error.sum(), w)
        factor = 1 - t / steps if schedule == "linear" else 1.0
        w, state = step(rule, w.detach(), g, t, state, hyper | {name: values * factor})
    x, y = examples(2000, source)
    return (networks(w, x) - y).square().mean((1, 2)).nan_to_num(torch.inf)


@experiment(seeds=5, share={"contenders": (("rmsprop", "constant"), ("adadelta", "constant"))})
def rmsprop_tuned(seed, *, contenders=tuple(GRIDS), steps=1000):
    """A small network on noisy examples: the error at the end for each of eight settings, by each rule and schedule."""
    return {"_".join(c): tuned_errors(tuple(c), seed, steps).tolist() for c in contenders}


@experiment(seeds=5)
def rmsprop_eps(seed, *, eps=(1e-8, 1e-6, 1e-4), lr=0.01):
    """How far RMSprop with ε under the root takes a network's weights from torch.optim.RMSprop's in 200 steps.

    `same` is with the same ε, `square` with its square; `largest` is the largest weight at the end.
    """
    outcomes: dict[str, list] = {"same": [], "square": [], "largest": []}

    def weights(make: Callable) -> torch.Tensor:
        return fit_product(make, seed)[0]

    for tiny in eps:
        torchs = weights(lambda p: torch.optim.RMSprop(p, lr=lr, alpha=0.9, eps=tiny))
        for name, ours in (("same", tiny), ("square", tiny**2)):
            off = weights(lambda p: Optimizer(p, rmsprop, lr=lr, eps=ours)) - torchs
            outcomes[name].append(off.abs().max())
        outcomes["largest"].append(torchs.abs().max())
    return outcomes
