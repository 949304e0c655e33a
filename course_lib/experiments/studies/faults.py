"""Training runs with a planted fault, which the exercises in diagnosis show: their measurements at every step."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.experiments.data import Split, digits
from course_lib.experiments.ensemble import batches
from course_lib.experiments.optimizer import Optimizer
from course_lib.experiments.records import experiment, recorded

BATCH = 100


@dataclass(frozen=True)
class Run:
    """What was measured at each step, before it was made: vectors of shape (steps,).

    `loss` is that of the step's batch, `gradient` the norm of this batch's gradient, `step` the norm of the change of all
    parameters together, and `largest` the change of the parameter that changes most.
    """

    loss: torch.Tensor
    gradient: torch.Tensor
    step: torch.Tensor
    largest: torch.Tensor

    @classmethod
    def read(cls, name: str) -> "Run":
        """The recorded run of this name, of the first seed."""
        return cls(**{name: values[0] for name, values in recorded(name).outcomes.items()})


def train(
    rule: Callable, *, seed: int = 0, steps: int, order: Callable[[Split, int], torch.Tensor] | None = None, **hyper
) -> Run:
    """Train a small network on 1,000 digits by `rule` and measure each step.

    `order(data, t)` gives the indices of batch t = 0, 1, …; by default batches are drawn at random.
    """
    data = digits(train=1000, val=400)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    parameters, drawn, rows = list(net.parameters()), batches(len(data.x_train), BATCH, seed), []
    optimizer = Optimizer(parameters, rule, **hyper)
    for t in range(steps):
        k = order(data, t) if order else next(drawn)
        loss = cross_entropy(net(data.x_train[k]), data.y_train[k])
        optimizer.zero_grad()
        loss.backward()
        gradient, before = _flat(p.grad for p in parameters), _flat(parameters)
        optimizer.step()
        change = _flat(parameters) - before
        rows.append([loss.detach(), gradient.norm(), change.norm(), change.abs().max()])
    return Run(*torch.tensor(rows, dtype=torch.float64).T)


def _flat(tensors) -> torch.Tensor:
    return torch.cat([x.detach().flatten() for x in tensors])


def never_cleared(w, g, t, total=0.0, *, lr=0.5):
    """Gradient descent where `zero_grad()` is missing: `.backward()` adds each gradient to all that were before."""
    total = total + g
    return w - lr * total, total


def adam_divided_by(correct_m: Callable, correct_v: Callable, beta1: float = 0.9, beta2: float = 0.999) -> Callable:
    """Adam with other divisors than 1 − β₁^t for m and 1 − β₂^t for v."""

    def planted(w, g, t, m=0.0, v=0.0, *, lr=0.02):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        return w - lr * m / correct_m(beta1, t) / ((v / correct_v(beta2, t)).sqrt() + 1e-8), m, v

    return planted


def right(beta, t):
    return 1 - beta**t


def nothing(beta, t):
    return 1.0


only_m_corrected = adam_divided_by(right, nothing)


@experiment(seeds=5, share={"steps": 30})
def unlearning(seed, *, steps=300):
    """A run of gradient descent whose gradients are never cleared. The exercise shows that of the first seed."""
    return asdict(train(never_cleared, seed=seed, steps=steps))


@experiment(seeds=5, share={"steps": 30})
def early_jump(seed, *, steps=200):
    """A run of Adam whose m is corrected and whose v is not. The exercise shows that of the first seed."""
    return asdict(train(only_m_corrected, seed=seed, steps=steps))
