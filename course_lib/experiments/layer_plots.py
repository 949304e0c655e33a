"""Plots of what is measured layer by layer: histograms laid over each other, from the first layer to the last."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from course_lib.experiments.plots import STYLE


def layer_histograms(panels: Mapping[str, torch.Tensor], edge: float, *, x_label: str) -> list[Axes]:
    """Draw a panel for each title: a line for each layer, from blue to orange, with the shares of its values in equal bins.

    Each of `panels` has the shape (layers, bins) or, over seeds, whose mean is drawn, (seeds, layers, bins); the bins go from
    -edge to edge, and an empty one lies on the axis. Raises ValueError for another shape.
    """
    plt.style.use(STYLE)
    _, grid = plt.subplots(1, len(panels), sharey=True, squeeze=False, figsize=(7.2, 2.9))
    shares = {title: _shares(title, values) for title, values in panels.items()}
    least = 0.3 * min(x[x > 0].min().item() for x in shares.values())
    for ax, (title, rows) in zip(grid[0], shares.items(), strict=True):
        layers, bins = rows.shape
        centers = [edge * (2 * (k + 0.5) / bins - 1) for k in range(bins)]
        for k, row in enumerate(rows):
            color = _between(k / max(layers - 1, 1))
            ax.plot(centers, row.clamp(min=least), color=color, linewidth=1.4, label=f"layer {k + 1}")
        ax.set(title=title, yscale="log", xlim=(-edge, edge), ylim=(least, None))
    grid[0][0].set_ylabel("share of the values")
    grid[0][len(panels) // 2].set_xlabel(x_label)
    grid[0][-1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.2)
    return list(grid[0])


def _shares(title: str, values: torch.Tensor) -> torch.Tensor:
    values = torch.as_tensor(values, dtype=torch.float64)
    if values.dim() not in (2, 3):
        raise ValueError(f"`{title}` must have the shape (seeds, layers, bins), got {tuple(values.shape)}.")
    return values.mean(0) if values.dim() == 3 else values


def _between(share: float) -> tuple[float, ...]:
    """A color from the style's first to its second, which can be told apart on a light and on a dark page."""
    return tuple((1 - share) * a + share * b for a, b in zip(to_rgb("C0"), to_rgb("C1")))
