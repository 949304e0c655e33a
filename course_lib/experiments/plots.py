"""Plots of results: one line or one row of dots for each thing that is compared, with the range over the seeds."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes

STYLE = "course_lib.experiments.course"
ROOM = 1.02  # where a label begins, in parts of the axes' width


def bands(
    x: Sequence[float],
    curves: Mapping[str, torch.Tensor],
    *,
    x_label: str,
    y_label: str,
    log: str = "",
    colors: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw for each name its median over the seeds as a line, the range over the seeds as a band, and the name at its end.

    Each of `curves` has the shape (seeds, len(x)); `log` names the logarithmic axes, as "x", "y" or "xy". What is not
    finite is left out. Raises ValueError for curves of another shape.
    """
    ax = ax or axes(x_label, y_label, log)
    ends = []
    for k, (name, values) in enumerate(curves.items()):
        values = torch.as_tensor(values, dtype=torch.float64)
        if values.dim() != 2 or values.shape[1] != len(x):
            raise ValueError(f"`{name}` must have the shape (seeds, {len(x)}), got {tuple(values.shape)}.")
        color = (colors or {}).get(name, f"C{k}")
        values = values.where(values.isfinite(), torch.nan)
        middle, low, high = values.nanmedian(0).values, *_range(values)
        ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        ax.plot(x, middle, color=color, marker="o" if len(x) <= 20 else "", markersize=3.5)
        last = int(middle.isfinite().nonzero().max()) if middle.isfinite().any() else 0
        ends.append((middle[last].item(), name, color))
    _label_ends(ax, ends)
    _count(ax, len(values))
    return ax


def dots(
    rows: Mapping[str, torch.Tensor],
    *,
    x_label: str,
    log: bool = False,
    colors: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a row for each name: a dot for each seed, and a short upright line at their median.

    Each of `rows` has the shape (seeds,). Raises ValueError for another shape.
    """
    ax = ax or axes(x_label, "", "x" if log else "", height=0.8 + 0.42 * len(rows))
    for k, (name, values) in enumerate(rows.items()):
        values = torch.as_tensor(values, dtype=torch.float64)
        if values.dim() != 1:
            raise ValueError(f"`{name}` must have the shape (seeds,), got {tuple(values.shape)}.")
        color = (colors or {}).get(name, f"C{k}")
        ax.plot(values, [-k] * len(values), "o", color=color, alpha=0.55, clip_on=False)
        ax.plot([values.median()] * 2, [-k - 0.28, -k + 0.28], color=color)
    ax.set_yticks([-k for k in range(len(rows))], list(rows))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set_ylim(0.6 - len(rows), 0.6)
    _count(ax, len(values), "a dot each, a line at the median")
    return ax


def axes(x_label: str, y_label: str, log: str = "", *, height: float = 3.6) -> Axes:
    """Empty axes in the course's style, `height` in inches."""
    plt.style.use(STYLE)
    _, ax = plt.subplots(figsize=(6.4, height))
    ax.set(xlabel=x_label, ylabel=y_label)
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    return ax


def _range(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The least and the greatest over the seeds; NaN where no seed has a number."""
    gone = values.isnan().all(0)
    low, high = values.nan_to_num(nan=torch.inf).amin(0), values.nan_to_num(nan=-torch.inf).amax(0)
    return low.where(~gone, torch.nan), high.where(~gone, torch.nan)


def _label_ends(ax: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Names beside the ends of their lines, moved apart where they would overlap."""
    ax.figure.canvas.draw()  # so that the limits are those of the finished plot
    to_axes = ax.transData + ax.transAxes.inverted()
    line = 1.25 * plt.rcParams["font.size"] / 72 / (ax.figure.get_figheight() * ax.get_position().height)
    places = sorted((to_axes.transform((1, y))[1], name, color) for y, name, color in ends)
    lowest = -1.0
    for y, name, color in places:
        y = lowest = max(y, lowest + line)
        ax.text(ROOM, y, name, color=color, transform=ax.transAxes, va="center")


def _count(ax: Axes, seeds: int, shown: str = "median and range") -> None:
    if seeds > 1:
        ax.set_title(f"{seeds} seeds: {shown}", fontsize=8.5, fontweight="normal", loc="right")
