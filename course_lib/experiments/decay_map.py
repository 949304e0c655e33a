"""The map of validation losses over (learning rate, weight decay), of real networks: recorded once, repeatable at any size.

    python -m course_lib.experiments.decay_map --seeds 6 --device cpu

records all maps, 4,608 networks, in about seven minutes on one CPU core, and writes them to recorded/decay_map.json.
"""

import argparse
import dataclasses
import functools
import json
import math
import platform
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import layer_norm

from course_lib.experiments.data import Split, digits
from course_lib.experiments.ensemble import train_ensemble
from course_lib.formulas import RULES

FILE = Path(__file__).parent / "recorded" / "decay_map.json"
HIDDEN, BATCH, STEPS, RECORDS, SEEDS = 32, 100, 800, (0, 20, 50, 100, 200, 400, 800), 6
REPLACED = 0.3  # of the training labels, by random ones
RATES, DECAYS = 8, 16  # a map's rows and columns, three a decade
THIRD = 10 ** (1 / 3)


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


@dataclasses.dataclass(frozen=True)
class Area:
    """Which settings a map holds: rates from `rate` on, and from `decay` on the values of rate**power * decay."""

    rule: str
    model: type | object
    rate: float
    decay: float
    power: int

    def settings(self, coarse: int = 1) -> tuple[list[float], list[list[float]]]:
        """The learning rates, and for each the decays; `coarse=3` takes every third of both."""
        rates = [_rounded(self.rate * THIRD**k) for k in range(0, RATES, coarse)]
        return rates, [
            [
                _rounded(self.decay * THIRD ** (j - self.power * k) / self.rate**self.power)
                for j in range(0, DECAYS, coarse)
            ]
            for k in range(0, RATES, coarse)
        ]


MAPS = {
    "adamw": Area("adamw", Normalized, 1e-3, 1e-5, 1),
    "adam_l2": Area("adam_l2", Normalized, 1e-3, 1e-5, 1),
    "sgdw": Area("sgdw", Normalized, 3e-2, 1e-5, 1),
    "momentum_l2": Area("momentum_l2", Normalized, 3e-2, 1e-5, 1),
    "plain_adamw": Area("adamw", plain, 1e-3, 1e-4, 0),
    "plain_adam_l2": Area("adam_l2", plain, 1e-3, 1e-4, 0),
}


def task(device=None) -> Split:
    """500 digits to train on, 150 of them with a random label, and 700 to validate on, with their own."""
    data, generator = digits(500, 700, device=device), torch.Generator().manual_seed(1)
    replaced = torch.randperm(500, generator=generator)[: int(500 * REPLACED)]
    labels = data.y_train.cpu().clone()
    labels[replaced] = torch.randint(0, 10, (len(replaced),), generator=generator)
    return dataclasses.replace(data, y_train=labels.to(device))


def measure(name: str, *, coarse: int = 1, seeds: int = SEEDS, steps: int = STEPS, device=None) -> dict:
    """Train a network for each setting of a map, each from `seeds` starts; `coarse=3` takes every third rate and decay.

    Lists of the shape (rates, decays): `train`, the losses at the end; with a last axis, `val` and `norm` at the steps in
    `steps` (means over the seeds) and `ends`, the last validation losses of each seed. Raises ValueError for an unknown map.
    """
    if name not in MAPS:
        raise ValueError(f"There is no map `{name}`. There are: {', '.join(MAPS)}.")
    area, (rates, decays) = MAPS[name], MAPS[name].settings(coarse)
    cells = [(lr, decay, seed) for lr, row in zip(rates, decays) for decay in row for seed in range(seeds)]
    lr, decay, seed = zip(*cells)
    records = sorted({min(k, steps) for k in (*RECORDS, steps)})
    curves = train_ensemble(
        RULES[area.rule],
        area.model,
        task(device),
        steps=steps,
        batch=BATCH,
        seed=seed,
        records=records,
        device=device,
        lr=lr,
        decay=decay,
    )
    shape = (-1, len(rates), len(decays[0]), seeds)
    train, val, norm = (x.double().cpu().view(shape) for x in (curves.train, curves.val, curves.norm))
    return {
        "rule": area.rule,
        "network": "plain" if area.model is plain else "normalized",
        "rates": rates,
        "decays": decays,
        "steps": records,
        "train": _plain(train[-1].mean(-1)),
        "val": _plain(val.mean(-1).movedim(0, -1)),
        "norm": _plain(norm.mean(-1).movedim(0, -1)),
        "ends": _plain(val[-1]),
    }


@functools.cache
def recorded() -> dict:
    """The recording: `maps`, by name, each as `measure` returns it, and how it was made."""
    return json.loads(FILE.read_text("utf8"))


def valley(found: dict, seed: int | None = None) -> list[float | None]:
    """The best decay for each rate: of the mean over the seeds, or of one of them.

    It is the minimum of the losses, smoothed over three neighbors and refined by a parabola. None where the map has none: where
    decay gains less than 5 percent over the smallest one, or where nothing learns (the best loss is above 1.2).
    """
    return [
        _best(losses, decays)
        for losses, decays in zip(_ends(found, seed), torch.tensor(found["decays"], dtype=torch.float64))
    ]


def slope(found: dict) -> tuple[float, float]:
    """The power of the learning rate that the best decay follows, by least squares, and how far single seeds scatter about it."""
    slopes = [_slope(found["rates"], valley(found, seed)) for seed in (None, *range(len(found["ends"][0][0])))]
    return slopes[0], torch.tensor(slopes[1:], dtype=torch.float64).std().item()


def floor(found: dict) -> float:
    """The loss at the bottom of the valley: the median, over the rates that have one, of the smoothed minimum."""
    bottoms = [
        math.exp(_smooth(losses).min()) for losses, best in zip(_ends(found, None), valley(found)) if best is not None
    ]
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


def main() -> None:
    """Record all maps."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    torch.set_num_threads(1)
    maps, begin = {}, time.perf_counter()
    for name in MAPS:
        maps[name] = measure(name, seeds=given.seeds, device=given.device)
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
    made = {"seeds": given.seeds, "batch": BATCH, "hidden": HIDDEN, "replaced": REPLACED, "device": given.device}
    made |= {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "seconds": round(time.perf_counter() - begin),
    }
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps({"made": made, "maps": maps}, separators=(",", ":")) + "\n", "utf8")


def _rounded(x: float) -> float:
    return float(f"{x:.4g}")


def _plain(values: torch.Tensor):
    """Nested lists with four digits; None where a run diverged."""
    if values.dim():
        return [_plain(x) for x in values]
    return _rounded(values.item()) if math.isfinite(values.item()) else None


if __name__ == "__main__":
    main()
