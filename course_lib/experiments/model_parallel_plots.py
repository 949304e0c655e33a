"""Drawings for model parallelism: AlexNet's two columns, what a step sends, and the schedule of a pipeline."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes

from course_lib.experiments.plots import STYLE, bands
from course_lib.formulas.layer_traffic import batch_split, filters_split

RANKS = ("C0", "C1")  # their colors in the drawing of the columns


def draw_columns(rows: Sequence[dict]) -> Axes:
    """Draw a network's layers from left to right, as two ranks hold them, and a line for each way that maps take.

    `rows` are those of `layer_sizes`: each layer's name, what it puts out, and whether the columns cross before it.
    """
    plt.style.use(STYLE)
    _, ax = plt.subplots(figsize=(7.2, 2.6))
    for k, row in enumerate(rows):
        for rank, color in enumerate(RANKS):
            ax.text(k, -rank, row["layer"], ha="center", va="center", fontsize=9, color="#ffffff", zorder=3,
                    bbox={"boxstyle": "round,pad=0.45", "facecolor": color, "edgecolor": "none"})  # fmt: skip
            for other in (0, 1) if row["crosses"] else (rank,):
                if k:
                    across = rank != other
                    ax.plot([k - 1, k], [-other, -rank], color="#666666", linewidth=1.6 if across else 1, zorder=1)
        if row["crosses"]:
            ax.text(k - 0.5, 0.52, f"{row['inputs']:,}", ha="center", fontsize=8.5)
    ax.set(xlim=(-0.75, len(rows) - 0.4), ylim=(-1.5, 0.85), xticks=[], title="values of an image that cross")
    ax.set_yticks([0, -1], ["rank 0", "rank 1"])
    ax.title.set(fontsize=8.5, fontweight="normal")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(False)
    return ax


def traffic(rows: Sequence[dict], batch: torch.Tensor, *, n: int = 2, width: int = 4) -> dict[str, torch.Tensor]:
    """Bytes that a rank sends in a step, for each size of the batch, in three ways: the rows are those of `layer_sizes`.

    All layers whole and the batch split; all filters split and each layer's maps gathered; columns that cross where the rows say.
    """
    data = sum(batch_split(row["parameters"], n=n) for row in rows) + 0 * batch
    inner = [
        (0 if k == 0 else row["inputs"], row["outputs"]) for k, row in enumerate(rows)
    ]  # nobody asks for the image's
    every = sum(filters_split(*sizes, batch=batch, n=n) for sizes in inner)
    crossing = sum(filters_split(row["inputs"], row["inputs"], batch=batch, n=n) for row in rows if row["crosses"])
    columns = crossing + filters_split(0, rows[-1]["outputs"], batch=batch, n=n)
    return {"batch split": width * data, "all filters": width * every, "two columns": width * columns}


def draw_traffic(rows: Sequence[dict], batches: Sequence[int]) -> Axes:
    """Draw the megabytes that each of two ranks sends in a step over the size of the batch, in the three ways of `traffic`."""
    lines = traffic(rows, torch.tensor([*batches], dtype=torch.float64))
    megabytes = {name: each[None] / 1e6 for name, each in lines.items()}
    return bands(batches, megabytes, x_label="batch", y_label="MB sent by a rank in a step", log="xy")


def draw_schedules(schedules: Mapping[str, Sequence[Sequence[tuple]]]) -> list[Axes]:
    """Draw a panel for each title: a row for each stage, a box for each piece of work with its micro-batch's number.

    Each of `schedules` is what `timeline` returns. Forward passes are blue, backward passes orange; what is empty is the bubble.
    """
    plt.style.use(STYLE)
    stages = len(next(iter(schedules.values())))
    figure, grid = plt.subplots(
        len(schedules), sharex=True, squeeze=False, figsize=(7.2, 0.9 + 0.42 * stages * len(schedules))
    )
    for ax, (title, rows) in zip(grid[:, 0], schedules.items(), strict=True):
        for stage, row in enumerate(rows):
            for what, k, start, end in row:
                color = "C0" if what == "forward" else "C1"
                ax.barh(-stage, end - start, left=start, height=0.84, color=color, edgecolor="#ffffff", linewidth=1)
                ax.text((start + end) / 2, -stage, k, ha="center", va="center", color="#ffffff", fontsize=8)
        ax.set_title(title)
        ax.set_yticks(range(0, -len(rows), -1), [f"stage {k}" for k in range(len(rows))])
        ax.tick_params(axis="y", length=0)
        ax.grid(False)
    grid[-1, 0].set_xlabel("time, in forward passes of a micro-batch")
    return list(grid[:, 0])
