"""The maps of losses over (learning rate, weight decay), of real networks: an experiment for each map, and how one is read.

`decay_map.read(recorded("decay_map_adamw"))` is what the figure draws and what `valley`, `slope` and `floor` look at.
"""

import dataclasses
import functools
import math

import torch
from torch import nn
from torch.nn.functional import layer_norm

from course_lib.experiments.data import Split, digits
from course_lib.experiments.ensemble import train_ensemble
from course_lib.experiments.records import Experiment, Record, experiment, recorded
from course_lib.formulas import RULES

HIDDEN, BATCH = 32, 100
STEPS = (20, 50, 100, 200, 400, 800)  # after which the networks are measured
REPLACED = 0.3  # of the training labels, by random ones


class Normalized(nn.Module):
    """A network whose output depends on the direction of each weight matrix alone, since normalization takes out its length."""

    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(64, HIDDEN, bias=False), nn.Linear(HIDDEN, 10, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, (batch, 10), of images, (batch, 64)."""
        return layer_norm(self.output(layer_norm(self.hidden(x), (HIDDEN,)).relu()), (10,))


def plain() -> nn.Module:
    """The same layers with biases and without normalization."""
    return nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))


NETWORKS = {"normalized": Normalized, "plain": plain}


def noisy_digits(device=None) -> Split:
    """500 digits to train on, 150 of them with a random label, and 700 to validate on, with their own."""
    data, generator = digits(500, 700, device=device), torch.Generator().manual_seed(1)
    replaced = torch.randperm(500, generator=generator)[: int(500 * REPLACED)]
    labels = data.y_train.cpu().clone()
    labels[replaced] = torch.randint(0, 10, (len(replaced),), generator=generator)
    return dataclasses.replace(data, y_train=labels.to(device))


# Measuring


def grid(
    *, rate: float, decay: float, power: int, rows: int, columns: int, per_decade: int, **_
) -> tuple[list[float], list[list[float]]]:
    """A map's rates, `rows` of them from `rate` on, and for each its decays, `columns` of them.

    `decay` is the smallest value of rate**power * decay, and each row has the same values of it.
    """
    rates = [_rounded(rate * 10 ** (i / per_decade)) for i in range(rows)]
    decays = [
        [_rounded(decay * 10 ** ((j - power * i) / per_decade) / rate**power) for j in range(columns)]
        for i in range(rows)
    ]
    return rates, decays


def _map(name: str, rule: str, network: str, rate: float, decay: float, power: int) -> Experiment:
    """The experiment that measures a map of `rows` learning rates and `columns` decays."""

    def measured(
        seed, *, rule=rule, network=network, rate=rate, decay=decay, power=power, rows=8, columns=16, per_decade=3,
        steps=STEPS, device=None,
    ):  # fmt: skip
        rates, decays = grid(rate=rate, decay=decay, power=power, rows=rows, columns=columns, per_decade=per_decade)
        each = {"lr": [lr for lr, row in zip(rates, decays) for _ in row], "decay": [x for row in decays for x in row]}
        curves = train_ensemble(
            RULES[rule], NETWORKS[network], noisy_digits(device), steps=max(steps), batch=BATCH, seed=seed, records=steps,
            device=device, **each,
        )  # fmt: skip
        train, val, norm = (x.double().cpu().view(-1, rows, columns) for x in (curves.train, curves.val, curves.norm))
        return {name: x.movedim(0, -1) for name, x in (("train", train), ("val", val), ("norm", norm))}

    measured.__name__ = f"decay_map_{name}"
    measured.__doc__ = (
        f"A network for each learning rate and decay, trained by {rule}: `train` and `val`, its losses, and `norm`, that of its "
        "weights, of shape (rows, columns, steps)."
    )
    return experiment(seeds=6, share={"rows": 1, "steps": STEPS[:3]})(measured)


MAPS = {
    "adamw": _map("adamw", "adamw", "normalized", 1e-3, 1e-5, 1),
    "adam_l2": _map("adam_l2", "adam_l2", "normalized", 1e-3, 1e-5, 1),
    "sgdw": _map("sgdw", "sgdw", "normalized", 3e-2, 1e-5, 1),
    "momentum_l2": _map("momentum_l2", "momentum_l2", "normalized", 3e-2, 1e-5, 1),
    "plain_adamw": _map("plain_adamw", "adamw", "plain", 1e-3, 1e-4, 0),
    "plain_adam_l2": _map("plain_adam_l2", "adam_l2", "plain", 1e-3, 1e-4, 0),
}


# Reading


def read(record: Record) -> dict:
    """A map as lists of the shape (rates, decays), or with a last axis.

    `train` is the mean loss at the end; `val` and `norm` are the means at each of the `steps`, `ends` the last validation
    losses of each seed. None where a run diverged.
    """
    rates, decays = grid(**record.settings)
    means = {name: _plain(values.mean(0)) for name, values in record.outcomes.items()}
    means["train"] = [[cell[-1] for cell in row] for row in means["train"]]
    ends = _plain(record["val"][..., -1].movedim(0, -1))
    kept = {name: record.settings[name] for name in ("rule", "network", "steps")}
    return kept | {"rates": rates, "decays": decays} | means | {"ends": ends}


@functools.cache
def read_recorded(name: str) -> dict:
    """The recorded map of this name, one of `MAPS`."""
    return read(recorded(f"decay_map_{name}"))


def valley(found: dict, seed: int | None = None) -> list[float | None]:
    """The best decay for each rate: of the mean over the seeds, or of one of them.

    It is the minimum of the losses, smoothed over three neighbors and refined by a parabola. None where the map has none: where
    decay gains less than 5 percent over the smallest one, or where nothing learns (the best loss is above 1.2).
    """
    decays = torch.tensor(found["decays"], dtype=torch.float64)
    return [_best(losses, row) for losses, row in zip(_ends(found, seed), decays)]


def valleys(found: dict) -> torch.Tensor:
    """The best decays of each seed, (seeds, rates), NaN where there is none."""
    rows = [valley(found, seed) for seed in range(len(found["ends"][0][0]))]
    return torch.tensor([[math.nan if x is None else x for x in row] for row in rows], dtype=torch.float64)


def slope(found: dict) -> tuple[float, float]:
    """The power of the learning rate that the best decay follows, by least squares, and how far single seeds scatter about it."""
    slopes = [_slope(found["rates"], valley(found, seed)) for seed in (None, *range(len(found["ends"][0][0])))]
    return slopes[0], torch.tensor(slopes[1:], dtype=torch.float64).std().item()


def floor(found: dict, seed: int | None = None) -> float:
    """The loss at the bottom of the valley: the median, over the rates that have one, of the smoothed minimum."""
    pairs = zip(_ends(found, seed), valley(found, seed))
    bottoms = [math.exp(_smooth(losses).min()) for losses, best in pairs if best is not None]
    return torch.tensor(bottoms, dtype=torch.float64).median().item()


def _ends(found: dict, seed: int | None) -> torch.Tensor:
    values = [[[math.inf if x is None else x for x in cell] for cell in row] for row in found["ends"]]
    ends = torch.tensor(values, dtype=torch.float64)  # (rates, decays, seeds)
    return ends.mean(dim=-1) if seed is None else ends[..., seed]


def _smooth(losses: torch.Tensor) -> torch.Tensor:
    logs = losses.clamp(max=3.0).log()
    wide = torch.cat([logs[:1], logs, logs[-1:]])
    return (wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4


def _best(losses: torch.Tensor, decays: torch.Tensor) -> float | None:
    smooth, places = _smooth(losses), decays.log10()
    k = int(smooth.argmin())
    if k in (0, len(smooth) - 1) or smooth[0] - smooth[k] < math.log(1.05) or smooth[k] > math.log(1.2):
        return None
    before, here, after = smooth[k - 1 : k + 2]
    vertex = (before - after) / (2 * (before - 2 * here + after))  # in cells
    return _rounded(10 ** (places[k] + vertex * (places[1] - places[0])).item())


def _slope(rates: list[float], best: list[float | None]) -> float:
    pairs = [(math.log(lr), math.log(decay)) for lr, decay in zip(rates, best) if decay is not None]
    x, y = torch.tensor(pairs, dtype=torch.float64).T
    return (((x - x.mean()) * y).sum() / (x - x.mean()).square().sum()).item()


def _rounded(x: float) -> float:
    return float(f"{x:.4g}")


def _plain(values: torch.Tensor):
    """Nested lists with four digits; None where a run diverged."""
    if values.dim():
        return [_plain(x) for x in values]
    return _rounded(values.item()) if math.isfinite(values.item()) else None
