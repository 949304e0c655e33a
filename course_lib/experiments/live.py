"""A training whose settings may change at any step: what LiveTraining runs, in a kernel by PyTorch, in a page traced.

Everything that a step computes is a function here; draws come from batches.uniform, so that every machine draws the same.
"""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch.func import grad

from course_lib.backends.python_math import on_tensors
from course_lib.experiments.batches import index_batches, uniform
from course_lib.experiments.data import Split
from course_lib.experiments.number import Number
from course_lib.experiments.settings import check_names, whole_number
from course_lib.formulas.augmentation import gaussian_noise, shift
from course_lib.formulas.catalog import RULES
from course_lib.formulas.initialization import INITIALIZATIONS, nearer_orthogonal, normal_draws
from course_lib.formulas.network import ACTIVATIONS, cross_entropies, logits, softmax
from course_lib.formulas.schedules import SCHEDULES, warmup
from course_lib.formulas.signature import signature, step

SIDE = 8  # pixels
BATCHES = (8, 16, 32, 64, 128, 256)
ORTHOGONAL_STEPS = 40  # of Newton and Schulz, from Gaussian draws
SHORTEST = 20  # steps of a schedule, so that none of its parts is shorter than a step
BELOW_ROOT_3 = 0.9  # how large the largest singular value is made at first
CHOICES = {"rule": RULES, "schedule": SCHEDULES, "initialization": INITIALIZATIONS, "activation": ACTIVATIONS}


def layer_shapes(sizes) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights, by name: of (64, 32, 10), W1 (32, 64), b1 (32,), W2 (10, 32), b2 (10,)."""
    pairs = zip(sizes, sizes[1:], strict=False)
    return {k: n for i, (a, b) in enumerate(pairs, 1) for k, n in ((f"W{i}", (b, a)), (f"b{i}", (b,)))}


def scheduled_rate(t, *, lr, total, name: str, warm=0):
    """The rate after t steps by the schedule of this name, stretched so that it has done its work after `total` steps.

    A step schedule has three steps by then, restarts have ended their third period; `warm` steps of warm-up come first.
    """
    stretched = {
        "time_based": lambda n: {"decay": 10 / n},
        "step": lambda n: {"every": n / 3},
        "multi_step": lambda n: {"first": 0.3 * n, "second": 0.6 * n, "third": 0.8 * n},
        "exponential": lambda n: {"k": 5 / n},
        "warm_restarts": lambda n: {"T_0": n / 7, "T_mult": 2},
        "inverse_square_root": lambda n: {"timescale": n / 20},
        "constant": lambda n: {},
    }.get(name, lambda n: {"total": n})
    return warmup(SCHEDULES[name], warm)(t, lr=lr, **stretched(total))


def augmented(x, down, right, z, *, noise):
    """Digits x (B, 64), moved by whole pixels (B,) and with noise z (B, 64) of the standard deviation `noise`."""
    images, noises = (a.reshape(-1, 1, SIDE, SIDE) for a in (x, z))
    return gaussian_noise(shift(images, down, right), noises, sigma=noise).reshape(x.shape)


def loss_and_gradient(weights, x, y, *, count, activation):
    """The mean cross entropy of `count` examples, and its gradient."""
    function = ACTIVATIONS[activation]

    def loss(w):
        return cross_entropies(logits(w, x, function), y).sum() / count

    return loss(weights), grad(loss)(weights)


def outcome(weights: dict, x, y, *, count, activation: str) -> dict:
    """The mean cross entropy, and the probabilities of the classes, (B, classes)."""
    z = logits(weights, x, ACTIVATIONS[activation])
    return {"loss": cross_entropies(z, y).sum() / count, "probabilities": softmax(z)}


def drawn_normal(draws: Iterator[float], count: int) -> torch.Tensor:
    """Standard normal draws, two uniform ones for each."""
    pairs = torch.tensor([[next(draws), next(draws)] for _ in range(count)], dtype=torch.float64).reshape(-1, 2)
    return normal_of(*pairs.unbind(1))


def normal_of(u, v):
    """A standard normal number of two uniform ones in [0, 1)."""
    return normal_draws(u, v)[0]


def first_weights(name: str, sizes, seed: int) -> dict[str, torch.Tensor]:
    """Weights in float64, drawn from `seed` by the initialization of this name; biases are 0."""
    draws, weights = uniform(seed), {}
    formula = INITIALIZATIONS[name]
    for key, shape in layer_shapes(sizes).items():
        if len(shape) == 1:
            weights[key] = torch.zeros(shape, dtype=torch.float64)
            continue
        count = math.prod(shape)
        drawn = (
            torch.tensor([next(draws) for _ in range(count)], dtype=torch.float64)
            if takes_uniform(formula)
            else drawn_normal(draws, count)
        ).reshape(shape)
        weights[key] = orthogonalized(drawn) if name == "orthogonal" else formula(drawn, shape[1], shape[0])
    return weights


def takes_uniform(initialization: Callable) -> bool:
    """Whether an initialization takes uniform draws, and no normal ones."""
    return next(iter(inspect.signature(initialization).parameters)) == "u"


def orthogonalized(z: torch.Tensor) -> torch.Tensor:
    """The orthogonal matrix nearest to z, (m, n): distributed as `orthogonal`'s where z's numbers are normal draws."""
    x = BELOW_ROOT_3 * z / z.square().sum().sqrt()
    for _ in range(ORTHOGONAL_STEPS):
        x = nearer_orthogonal(x)
    return x


@dataclass(frozen=True)
class Settings:
    """What may be changed while it trains, but for the last three, which count when it begins again.

    `hyper` are the rule's hyperparameters, its defaults where they are missing; `total` steps stretch the schedule, `warm` are
    steps of warm-up; `shift` is in pixels, `noise` a standard deviation. Raises ValueError for what is not allowed.
    """

    rule: str = "adam"
    hyper: dict = field(default_factory=dict)
    batch: int = 32
    schedule: str = "constant"
    total: int = 2000
    warm: int = 0
    shift: int = 0
    noise: float = 0.0
    initialization: str = "xavier_uniform"
    activation: str = "tanh"
    seed: int = 0

    def __post_init__(self):
        for name, options in CHOICES.items():
            if getattr(self, name) not in options:
                raise ValueError(f"{name} must be one of {', '.join(options)}, got {getattr(self, name)!r}.")
        if self.batch not in BATCHES:
            raise ValueError(f"batch must be one of {', '.join(map(str, BATCHES))}, got {self.batch!r}.")
        for name, low, high in (
            ("total", SHORTEST, 10**6),
            ("warm", 0, 10**6),
            ("shift", 0, SIDE - 1),
            ("seed", 0, 2**32 - 1),
        ):
            whole_number(name, getattr(self, name), low, high)
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"noise must be at least 0 and finite, got {self.noise}.")
        rule = signature(RULES[self.rule])
        check_names((rule,), self.hyper)
        for name, value in self.hyper.items():
            rule.check(name, value)
        object.__setattr__(self, "hyper", rule.hyper | self.hyper)


class LiveRun:
    """A network of dense layers on digits, trained a few steps at a time: `run.change(lr=…)`, `run.step(100)`, `run.report()`.

    `data` is a Split of 8 x 8 digits, `sizes` the layers' widths. It computes on `device`, in `dtype`.
    """

    def __init__(self, data: Split, sizes=(64, 32, 10), *, device=None, dtype=torch.float64, **settings):
        self.sizes, self.device, self.dtype = tuple(sizes), device, dtype
        self.x, self.y = data.x_train.to(device, dtype), data.y_train.to(device)
        self.validation = data.x_val.to(device, dtype), data.y_val.to(device)
        self.settings = Settings(**settings)
        self.reset()

    def reset(self) -> None:
        """Begin again: new weights from the seed, and the batches from the first one on."""
        s = self.settings
        drawn = first_weights(s.initialization, self.sizes, s.seed)
        self.weights = {k: w.to(self.device, self.dtype) for k, w in drawn.items()}
        self.activation, self.t = s.activation, 0
        self._begin_rule()
        self._begin_batches()
        self.draws = uniform(s.seed + 2)
        self.losses, self.gradient = [], {}

    def _begin_rule(self) -> None:
        """A rule begins with its first state, and counts its steps from 1."""
        rule = signature(RULES[self.settings.rule])
        hyper = {k: torch.tensor(x, dtype=self.dtype, device=self.device) for k, x in self.settings.hyper.items()}
        self.states = {k: tuple(rule.initial(w, hyper).values()) for k, w in self.weights.items()}
        self.t_rule = 0

    def _begin_batches(self) -> None:
        self.rows = index_batches(len(self.x), self.settings.batch, "shuffled", self.settings.seed + 1 + self.t)

    def change(self, **settings) -> None:
        """Change settings. Those of the rule begin a rule anew if it is another one; hyperparameters that are left out stay."""
        if "rule" in settings and settings["rule"] != self.settings.rule:
            settings.setdefault("hyper", {})
        elif "hyper" in settings:
            settings["hyper"] = self.settings.hyper | settings["hyper"]
        old, self.settings = self.settings, replace(self.settings, **settings)
        if old.rule != self.settings.rule:
            self._begin_rule()
        if old.batch != self.settings.batch:
            self._begin_batches()

    @property
    def rate(self) -> float | None:
        """The rate of the next step; None for a rule without one."""
        s = self.settings
        if "lr" not in s.hyper:
            return None
        return scheduled_rate(self.t, lr=s.hyper["lr"], total=s.total, name=s.schedule, warm=s.warm)

    def step(self, steps: int = 1) -> None:
        """Train for so many steps."""
        for _ in range(steps):
            self._step()

    def _step(self) -> None:
        s, (x, y) = self.settings, self._batch()
        loss, self.gradient = loss_and_gradient(self.weights, x, y, count=len(x), activation=self.activation)
        rate = self.rate
        hyper = {k: Number(v) for k, v in (s.hyper if rate is None else s.hyper | {"lr": rate}).items()}
        self.t, self.t_rule = self.t + 1, self.t_rule + 1
        rule = on_tensors(RULES[s.rule])
        for k, w in self.weights.items():
            self.weights[k], self.states[k] = step(
                rule, w, self.gradient[k], Number(self.t_rule), self.states[k], hyper
            )
        self.losses.append(loss.item())

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        s, rows = self.settings, next(self.rows)
        x, y = self.x[rows], self.y[rows]
        if s.shift == 0 and s.noise == 0:
            return x, y
        moves = torch.tensor([math.floor((2 * s.shift + 1) * next(self.draws)) - s.shift for _ in range(2 * len(x))])
        down, right = moves.to(self.device, self.dtype).view(len(x), 2).unbind(1)
        z = drawn_normal(self.draws, x.numel()) if s.noise else torch.zeros(x.numel(), dtype=torch.float64)
        return augmented(x, down, right, z.to(self.device, self.dtype).view_as(x), noise=s.noise), y

    def report(self) -> dict:
        """How it stands: `t`, the mean `loss` of the steps since the last report, `rate`, the `norms` of the gradient by weight
        (of the last step), `val_loss`, `accuracy`, and `predictions` and their `probabilities` for the validation digits."""
        x, y = self.validation
        found = outcome(self.weights, x, y, count=len(x), activation=self.activation)
        probability, predicted = found["probabilities"].max(1)
        norms = {k: g.norm().item() for k, g in self.gradient.items() if g.dim() > 1}
        loss, self.losses = (sum(self.losses) / len(self.losses) if self.losses else math.nan), []
        return {
            "t": self.t,
            "loss": loss,
            "rate": self.rate,
            "norms": norms,
            "val_loss": found["loss"].item(),
            "accuracy": (predicted == y).double().mean().item(),
            "predictions": predicted.tolist(),
            "probabilities": probability.tolist(),
        }
