"""Measure and record experiments, and say what moved since the last record.

python -m course_lib.experiments.results                 all of them
python -m course_lib.experiments.results rprop_pace      some of them
python -m course_lib.experiments.results --changed       those that have no record, or one of other settings or seeds
"""

import argparse
from pathlib import Path

import torch

from course_lib.experiments.records import FOLDER, Experiment, Record, experiments

LONGEST = 6  # lines that say what moved, for an experiment


def is_stale(experiment: Experiment, folder: Path = FOLDER) -> bool:
    """Whether the experiment has no record, or one of other seeds or settings than the code has now."""
    file = folder / f"{experiment.name}.json"
    if not file.is_file():
        return True
    record = Record.read(file)
    now = experiment.measured_settings()
    return record.settings != now or record.seeds != list(range(experiment.seeds))


def moved(old: Record, new: Record) -> list[str]:
    """One line for each outcome whose median over the seeds has moved by more than a hundredth of itself."""
    lines = []
    for name, values in new.outcomes.items():
        before = old.outcomes.get(name)
        if before is None or before.shape[1:] != values.shape[1:]:
            lines.append(f"{name}: of another shape, {tuple(values.shape)}")
            continue
        a, b = before.median(0).values.flatten(), values.median(0).values.flatten()
        changed = ((a - b).abs() > 0.01 * a.abs()).nonzero().flatten()
        if len(changed):
            k = changed[(a - b)[changed].abs().argmax()]
            where = f", most in the {k + 1}th" if len(a) > 1 else ""
            low, high = (x.flatten()[k].item() for x in new.spread(name))
            lines.append(
                f"{name}: {len(changed)} of {len(a)} moved{where}, from {a[k]:.4g} to {b[k]:.4g} (seeds {low:.4g} to {high:.4g})"
            )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Record the experiments that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="experiments; all if none is named")
    parser.add_argument("--changed", action="store_true", help="only those without a record of their settings")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    every = experiments()
    if unknown := set(options.names) - set(every):
        parser.error(f"there is no experiment {', '.join(sorted(unknown))}; there are: {', '.join(sorted(every))}")
    torch.set_num_threads(1)
    for name in options.names or sorted(every):
        if options.changed and not is_stale(every[name], options.folder):
            continue
        file = options.folder / f"{name}.json"
        old = Record.read(file) if file.is_file() else None
        new = every[name].measure()
        new.write(options.folder)
        lines = ["new"] if old is None else moved(old, new) or ["as before"]
        print(f"{name} ({new.made['seconds']:g} s): " + "\n    ".join(lines[:LONGEST]), flush=True)


if __name__ == "__main__":
    main()
