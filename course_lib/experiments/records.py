"""Results: an experiment is measured once over its seeds and recorded in a small file; pages draw it, tests assert on it.

    @experiment(seeds=5)
    def digits_by_rate(seed, *, rates=(0.1, 0.3)):
        "The losses after training, one for each rate."
        return {"loss": [train(lr, seed) for lr in rates]}

`make results NAME=digits_by_rate` measures it and writes recorded/digits_by_rate.json; `recorded("digits_by_rate")` reads it.
"""

import functools
import importlib
import inspect
import json
import math
import pkgutil
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from course_lib.experiments import studies
from course_lib.experiments.settings import whole_number

FOLDER = Path(__file__).parent / "recorded"
DIGITS = 4  # significant ones of each outcome
ROUNDING = 0.6 * 10.0 ** (1 - DIGITS)  # how far, relatively, these take a number with a leading 1, and a little more
WIDER = 0.5  # of the range over the seeds: how far outside of it another machine's outcome may lie
SHARE = 0.9  # of the outcomes have to lie there: single numbers hang on a last bit


@dataclass(frozen=True)
class Record:
    """What an experiment gave: `outcomes[name]`, or `record[name]`, has the shape (seeds, ...), in float64.

    A run that left the numbers has the outcome inf. `settings` are the experiment's arguments; `made` says when, by which
    versions and on which machine it was measured, and how long that took.
    """

    name: str
    seeds: list[int]
    settings: dict
    made: dict
    outcomes: dict[str, torch.Tensor]

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self.outcomes:
            raise KeyError(f"{self.name} has no outcome `{name}`. It has: {', '.join(self.outcomes)}.")
        return self.outcomes[name]

    def spread(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """The smallest and the largest outcome over the seeds."""
        return self[name].amin(0), self[name].amax(0)

    def contradictions(self, other: dict[str, torch.Tensor]) -> list[str]:
        """Outcomes of one more run that lie outside what this record states: its range over the seeds, made half as wide
        again on each side. One sentence for each name of which fewer than nine in ten lie inside; [] if none.

        `other[name]` has the shape of one seed's outcome, or is the beginning of one: of fewer steps, of the first settings.
        """
        return [text for name, values in other.items() if (text := self._contradiction(name, values))]

    def _contradiction(self, name: str, values: torch.Tensor) -> str | None:
        low, high = self.spread(name)
        if values.dim() != low.dim() or any(a > b for a, b in zip(values.shape, low.shape)):
            return f"{name} has the shape {tuple(values.shape)}, in the record {tuple(low.shape)}."
        low, high = (x[tuple(map(slice, values.shape))] for x in (low, high))
        margin = WIDER * (high - low).nan_to_num(posinf=0.0) + ROUNDING * high.abs().nan_to_num(posinf=0.0)
        inside = (values >= low - margin) & ((values <= high + margin) | high.isinf())
        if inside.double().mean() >= SHARE:
            return None
        k = (~inside).flatten().nonzero()[0].item()
        got, bottom, top = (x.flatten()[k].item() for x in (values, low, high))
        return f"{name}: {(~inside).sum()} of {inside.numel()} outside, the first {got:g}, recorded from {bottom:g} to {top:g}."

    def write(self, folder: Path | None = None) -> Path:
        """Write the record as a JSON file of its name, one line for each outcome."""
        file = (folder or FOLDER) / f"{self.name}.json"
        file.parent.mkdir(exist_ok=True)
        head = {"name": self.name, "seeds": self.seeds, "settings": self.settings, "made": self.made}
        lines = [f'"{k}": {json.dumps(x, ensure_ascii=False)}' for k, x in head.items()]
        rows = [f'  "{k}": {json.dumps(_plain(x), separators=(",", ":"))}' for k, x in self.outcomes.items()]
        file.write_text("{\n" + ",\n".join(lines) + ',\n"outcomes": {\n' + ",\n".join(rows) + "\n}}\n", "utf8")
        return file

    @classmethod
    def read(cls, file: Path) -> "Record":
        """The record in a file that `write` made."""
        content = json.loads(file.read_text("utf8"))
        return cls(**content | {"outcomes": {k: _tensor(x) for k, x in content["outcomes"].items()}})


@dataclass
class Experiment:
    """A function of a seed and settings that returns outcomes by name, numbers or arrays of one shape for every seed."""

    function: Callable
    seeds: int
    share: dict  # settings of a smaller measurement, whose outcomes are the beginnings of the recorded ones

    @property
    def name(self) -> str:
        """The function's name, which is the record's."""
        return self.function.__name__

    @property
    def settings(self) -> dict:
        """The settings by name, as they stand in the signature."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def measured_settings(self, **settings) -> dict:
        """The settings as a record holds them: what JSON makes of them."""
        return json.loads(json.dumps(self.settings | settings))

    def __call__(self, seed: int, **settings) -> dict[str, torch.Tensor]:
        """The outcomes of one seed, in float64, not rounded."""
        return {k: torch.as_tensor(x, dtype=torch.float64) for k, x in self.function(seed, **settings).items()}

    def measure(self, seeds: int | Iterable[int] | None = None, **settings) -> Record:
        """The experiment on this machine, now, for these seeds (a number of them, or each one), with these settings."""
        if unknown := set(settings) - set(self.settings):
            raise TypeError(
                f"{self.name} has no setting `{min(unknown)}`. It has: {', '.join(self.settings) or 'none'}."
            )
        chosen = _seeds(self.seeds if seeds is None else seeds)
        begin = time.perf_counter()
        runs = [self(seed, **settings) for seed in chosen]
        outcomes = {k: torch.stack([run[k] for run in runs]).nan_to_num(nan=math.inf, posinf=math.inf) for k in runs[0]}
        made = provenance(time.perf_counter() - begin)
        return Record(self.name, chosen, self.measured_settings(**settings), made, outcomes)


EXPERIMENTS: dict[str, Experiment] = {}


def experiment(*, seeds: int, share: dict | None = None) -> Callable[[Callable], Experiment]:
    """Make a function of (seed, *, settings with defaults) an experiment that is recorded for the seeds 0 … seeds - 1.

    `share` are settings with which it takes a second or two, such as fewer steps: a test measures one seed with them and asks
    whether the record holds that. Raises TypeError where the function is none of that kind, ValueError where its name is taken.
    """

    def register(function: Callable) -> Experiment:
        first, *others = inspect.signature(function).parameters.values()
        if first.name != "seed" or any(p.kind is not p.KEYWORD_ONLY or p.default is p.empty for p in others):
            raise TypeError(f"{function.__name__} must be a function of (seed, *, settings with defaults).")
        if function.__name__ in EXPERIMENTS:
            raise ValueError(f"There are two experiments named {function.__name__}. Rename one.")
        made = functools.update_wrapper(Experiment(function, whole_number("seeds", seeds, 1), share or {}), function)
        return EXPERIMENTS.setdefault(function.__name__, made)

    return register


def experiments() -> dict[str, Experiment]:
    """All experiments of the course by name: those of every module in `studies`."""
    for module in pkgutil.iter_modules(studies.__path__, f"{studies.__name__}."):
        importlib.import_module(module.name)
    return EXPERIMENTS


def recorded(name: str, *, live: bool = False, **settings) -> Record:
    """The record of this name; with `live=True` the experiment is measured on this machine instead, and takes its time.

    `settings`, and `seeds`, are for live measurements. Raises ValueError for a name without a record, TypeError for settings
    without `live=True`.
    """
    if live:
        return _experiment(name).measure(**settings)
    if settings:
        raise TypeError(f"A record has its settings: to measure {name} with {', '.join(settings)}, say live=True.")
    return _read(name, FOLDER)


@functools.lru_cache(maxsize=64)
def _read(name: str, folder: Path) -> Record:
    file = folder / f"{name}.json"
    if not file.is_file():
        names = sorted(x.stem for x in folder.glob("*.json"))
        raise ValueError(f"There is no record `{name}`. There are: {', '.join(names)}.")
    return Record.read(file)


def _experiment(name: str) -> Experiment:
    if name not in experiments():
        raise ValueError(f"There is no experiment `{name}`. There are: {', '.join(sorted(EXPERIMENTS))}.")
    return EXPERIMENTS[name]


def _seeds(seeds: int | Iterable[int]) -> list[int]:
    if isinstance(seeds, Iterable):
        return [whole_number("seed", seed) for seed in seeds]
    return list(range(whole_number("seeds", seeds, 1)))


def provenance(seconds: float) -> dict:
    """When, with what and on what a record was made."""
    machine = f"{platform.system()} {platform.machine()}"
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    return {"date": date.today().isoformat(), **versions, "machine": machine, "seconds": float(f"{seconds:.2g}")}


def _plain(values: torch.Tensor) -> float | int | None | Sequence:
    """Nested lists of rounded numbers, whole ones without a point; None where a run left the numbers."""
    if values.dim():
        return [_plain(x) for x in values]
    x = values.item()
    if not math.isfinite(x):
        return None
    rounded = float(f"{x:.{DIGITS}g}") if abs(x) < 10**DIGITS or x != int(x) else x
    return int(rounded) if rounded == int(rounded) else rounded


def _tensor(values) -> torch.Tensor:
    def numbers(x):
        return [numbers(y) for y in x] if isinstance(x, list) else math.inf if x is None else x

    return torch.tensor(numbers(values), dtype=torch.float64)
