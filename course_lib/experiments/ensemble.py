"""Hundreds of networks trained at once: every setting is a run, and all runs are one tensor program."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from course_lib.backends.paths import is_batched, on_every_path
from course_lib.backends.python_math import on_tensors
from course_lib.experiments.settings import complete, for_each_run, number_of_runs, whole_number
from course_lib.formulas.signature import Signature, signature, step


@dataclass(frozen=True)
class Curves:
    """What training did: at each of `steps` (a list), for each run, so of shape (records, runs).

    `train` and `val` are mean cross entropies over all training and all validation examples, `accuracy` is the share of the
    validation examples that are named rightly, and `norm` is the Euclidean norm of all parameters together.
    """

    steps: list[int]
    train: torch.Tensor
    val: torch.Tensor
    accuracy: torch.Tensor
    norm: torch.Tensor


def train_ensemble(
    rule: Callable,
    model: Callable,
    data,
    *,
    steps: int,
    batch: int | None = None,
    seed=0,
    schedule: Callable | None = None,
    records=None,
    at_once: int = 128,
    dtype=torch.float32,
    device=None,
    **hyper,
) -> Curves:
    """Train one classifier for each setting by `rule`, all at once, and measure it at the steps in `records` (the last one).

    `model` makes a network of logits, like `lambda: nn.Linear(64, 10)`; `data` has x_train, y_train, x_val and y_val, as digits()
    has. `seed` decides how a network begins and which batches it sees (of all examples, if `batch` is None). The seed and each
    hyperparameter is a number or a vector of `runs` values; what is left out has its default. The factor `schedule(t)`
    multiplies lr at step t. At most `at_once` networks are in memory together. A diverging run goes to inf and NaN.

    Raises TypeError for an unknown hyperparameter, for a rule that takes the loss and for a model that is no function; ValueError
    for a value outside its limits, vectors of unlike length, a batch larger than the data, and a model with buffers.
    """
    own = signature(rule)
    if own.takes_loss:
        raise TypeError(
            f"{own.name} needs the loss as a function of all parameters in one vector. Take a rule of (w, g, t)."
        )
    if schedule is not None and "lr" not in own.hyper:
        raise TypeError(f"A schedule multiplies lr, and {own.name} has none: it has ({', '.join(own.hyper)}).")
    settings = complete((own,), hyper, dtype, device)
    seeds = _seeds(seed)
    runs = number_of_runs(settings | {"seed": seeds})
    seeds, settings = seeds.expand(runs).tolist(), for_each_run(settings, runs, dtype, device)
    x, y = data.x_train.to(device, dtype), data.y_train.to(device)
    val = data.x_val.to(device, dtype), data.y_val.to(device)
    steps, at_once = whole_number("steps", steps), whole_number("at_once", at_once, 1)
    batch, records = _batch(batch, len(x)), _records(records, steps)

    parts = []
    for k in range(0, runs, at_once):
        now = slice(k, k + at_once)
        chunk = _Chunk(
            own, rule, model, seeds[now], {name: value[now] for name, value in settings.items()}, dtype, device
        )
        parts.append(chunk.train((x, y), val, steps, batch, records, schedule))
    return Curves(records, *(torch.cat(x, dim=1) for x in zip(*parts, strict=True)))


def network(model: Callable, seed: int, dtype=torch.float32, device=None) -> nn.Module:
    """The network that a run with this seed begins with. The global random state stays as it was."""
    if isinstance(model, nn.Module) or not callable(model):
        raise TypeError(
            f"model must be a function that makes a network, such as `lambda: nn.Linear(64, 10)`, got {type(model).__name__}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        made = model().to(device, dtype)
    if buffers := [name for name, _ in made.named_buffers()]:
        raise ValueError(
            f"The model has buffers ({', '.join(buffers)}), which layers change in place. Take layers without them, such as nn.LayerNorm."
        )
    return made


def batches(examples: int, batch: int, seed: int) -> Iterator[torch.Tensor]:
    """The batches that a run with this seed sees, without end: each holds the indices, (batch,), of different examples."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randperm(examples, generator=generator)[:batch]


class _Chunk:
    """Networks that are trained together: parameters and state have a first axis of runs."""

    def __init__(
        self, own: Signature, rule: Callable, model: Callable, seeds: list[int], settings: dict, dtype, device
    ):
        self.rule, self.seeds, self.settings = on_tensors(rule), seeds, settings
        self.dtype, self.device = dtype, device
        made = {seed: network(model, seed, dtype, device) for seed in set(seeds)}
        self.net = made[seeds[0]]
        starts = [dict(made[seed].named_parameters()) for seed in seeds]
        self.w = {k: torch.stack([start[k].detach() for start in starts]) for k in starts[0]}
        self.state = {
            k: vmap(lambda w, hyper: tuple(own.initial(w, hyper).values()))(w, settings) if own.state else ()
            for k, w in self.w.items()
        }
        self.order = {seed: k for k, seed in enumerate(made)}

    def train(
        self, data, val, steps: int, batch: int, records: list[int], schedule: Callable | None
    ) -> tuple[torch.Tensor, ...]:
        x, y = data
        drawn = [batches(len(x), batch, seed) for seed in self.order]
        which = torch.tensor([self.order[seed] for seed in self.seeds])
        measured = []
        for t in range(steps + 1):
            if t > 0:
                chosen = torch.stack([next(indices) for indices in drawn])[which].to(self.device)  # (runs, batch)
                hyper = self.settings | ({"lr": self.settings["lr"] * schedule(t)} if schedule else {})
                times = torch.full((len(self.seeds),), t, dtype=self.dtype, device=self.device)
                self.w, self.state = vmap(self._step)(self.w, self.state, hyper, x[chosen], y[chosen], times)
            if t in records:
                measured.append(self._measure(data, val))
        return tuple(torch.stack(values) for values in zip(*measured, strict=True))

    def _loss(self, w: dict, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = functional_call(self.net, w, (x,))
        return cross_entropy(logits, y), logits

    def _step(
        self, w: dict, state: dict, hyper: dict, x: torch.Tensor, y: torch.Tensor, t: torch.Tensor
    ) -> tuple[dict, dict]:
        g, _ = grad(self._loss, has_aux=True)(w, x, y)
        new = {k: on_every_path(partial(step, self.rule, w[k], g[k], t, state[k], hyper), is_batched) for k in w}
        return {k: w for k, (w, _) in new.items()}, {k: state for k, (_, state) in new.items()}

    @torch.no_grad()
    def _measure(self, data, val) -> tuple[torch.Tensor, ...]:
        on_all = vmap(self._loss, in_dims=(0, None, None))
        train, _ = on_all(self.w, *data)
        loss, logits = on_all(self.w, *val)
        accuracy = (logits.argmax(dim=-1) == val[1]).to(loss.dtype).mean(dim=1)
        norm = sum(w.flatten(1).square().sum(dim=1) for w in self.w.values()).sqrt()
        return train, loss, accuracy.where(loss.isfinite(), torch.nan), norm


def _seeds(seed) -> torch.Tensor:
    seeds = torch.as_tensor(seed)
    if seeds.is_floating_point() or seeds.dtype == torch.bool or (seeds < 0).any():
        raise ValueError(f"seed must be a whole number from 0 or a vector of them, got {seed!r}.")
    return seeds.cpu()


def _batch(batch: int | None, examples: int) -> int:
    if batch is not None and whole_number("batch", batch, 1) > examples:
        raise ValueError(f"batch must be at most {examples}, the number of training examples, got {batch}.")
    return examples if batch is None else batch


def _records(records, steps: int) -> list[int]:
    found = [steps] if records is None else sorted(set(records))
    if not found or not set(found) <= set(range(steps + 1)):
        raise ValueError(f"records must be steps from 0 to {steps}, got {found}.")
    return found
