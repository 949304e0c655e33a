"""Plots of results: one line or one row of dots for each thing that is compared, with the range over the seeds.

A thing that has the name or the label of a rule is drawn in the rule's color and called by its label.
"""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from course_lib.formulas import CATALOG

STYLE = "course_lib.experiments.course"
GAP = 7  # points between a plot and the names at the ends of its lines
COLORS = {name: entry.color for rule, entry in CATALOG.items() for name in (rule, entry.label)}


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
        color = _color(name, k, colors)
        values = values.where(values.isfinite(), torch.nan)
        middle, low, high = values.nanmedian(0).values, *_range(values)
        ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        ax.plot(x, middle, color=color, marker="o" if len(x) <= 20 else "", markersize=3.5)
        last = int(middle.isfinite().nonzero().max()) if middle.isfinite().any() else 0
        ends.append((middle[last].item(), _label(name), color))
    _plain_ticks(ax)
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
        color = _color(name, k, colors)
        ax.plot(values, [-k] * len(values), "o", color=color, alpha=0.55, clip_on=False)
        ax.plot([values.median()] * 2, [-k - 0.28, -k + 0.28], color=color)
    ax.set_yticks([-k for k in range(len(rows))], map(_label, rows))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set_ylim(0.6 - len(rows), 0.6)
    _plain_ticks(ax)
    _count(ax, len(values), "a dot each, a line at the median")
    return ax


def slopes(
    panels: Mapping[str, Mapping[str, tuple[float, float]]],
    ends: tuple[str, str],
    *,
    y_label: str,
    colors: Mapping[str, str] | None = None,
) -> list[Axes]:
    """Draw a panel for each title: for each name a line from its first value to its second, on one logarithmic axis.

    What is infinite stands on a line of its own above all others, marked "never".
    """
    plt.style.use(STYLE)
    _, grid = plt.subplots(1, len(panels), sharey=True, squeeze=False, figsize=(7.2, 3.4))
    finite = [y for rows in panels.values() for pair in rows.values() for y in pair if y < math.inf]
    never = 2 * max(finite)
    for ax, (title, rows) in zip(grid[0], panels.items(), strict=True):
        shown = []
        for k, (name, pair) in enumerate(rows.items()):
            color = _color(name, k, colors)
            y = [min(value, never) for value in pair]
            ax.plot([0, 1], y, marker="o", color=color, clip_on=False)
            shown.append((y[1], _label(name), color))
        ax.set(title=title, yscale="log", xlim=(-0.1, 1), ylim=(None, 1.3 * never))
        ax.set_xticks([0, 1], ends)
        ax.axhline(never, color="#666666", linewidth=0.8, linestyle=":", zorder=0)
        _label_ends(ax, shown)
    grid[0][0].set_ylabel(y_label)
    grid[0][0].text(0.02, never, "never", transform=grid[0][0].get_yaxis_transform(), va="bottom", fontsize=8.5)
    return list(grid[0])


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


def _color(name: str, k: int, colors: Mapping[str, str] | None) -> str:
    """The color that is asked for, that of the rule with this name or label, or the k-th of the style."""
    return (colors or {}).get(name) or COLORS.get(name, f"C{k}")


def _label(name: str) -> str:
    """What a plot calls it: a rule's name in words."""
    return CATALOG[name].label if name in CATALOG else name


def _range(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The least and the greatest over the seeds; NaN where no seed has a number."""
    gone = values.isnan().all(0)
    low, high = values.nan_to_num(nan=torch.inf).amin(0), values.nan_to_num(nan=-torch.inf).amax(0)
    return low.where(~gone, torch.nan), high.where(~gone, torch.nan)


def _label_ends(ax: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Names beside the ends of their lines, moved apart where they would overlap, and none above the plot."""
    ax.figure.canvas.draw()  # so that the limits are those of the finished plot
    to_axes = ax.transData + ax.transAxes.inverted()
    line = 1.25 * plt.rcParams["font.size"] / 72 / (ax.figure.get_figheight() * ax.get_position().height)
    places = sorted((to_axes.transform((1, y))[1], name, color) for y, name, color in ends)
    heights = [y for y, _, _ in places]
    for k in range(1, len(heights)):
        heights[k] = max(heights[k], heights[k - 1] + line)
    heights[-1] = min(heights[-1], max(1.0, places[-1][0]))
    for k in reversed(range(len(heights) - 1)):
        heights[k] = min(heights[k], heights[k + 1] - line)
    for y, (_, name, color) in zip(heights, places, strict=True):
        beside = {"xytext": (GAP, 0), "textcoords": "offset points", "va": "center", "annotation_clip": False}
        ax.annotate(name, (1, y), xycoords="axes fraction", color=color, **beside)


def _plain_ticks(ax: Axes) -> None:
    """On a logarithmic axis of less than three decades: 1, 2 and 5 of each, as plain numbers."""
    for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        if axis.get_scale() == "log" and high < 1000 * low:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            axis.set_minor_formatter(NullFormatter())


def _count(ax: Axes, seeds: int, shown: str = "median and range") -> None:
    if seeds > 1:
        ax.set_title(f"{seeds} seeds: {shown}", fontsize=8.5, fontweight="normal", loc="right")
