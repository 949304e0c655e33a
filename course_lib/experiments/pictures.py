"""Rows of small pictures: what images look like after a change."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from course_lib.experiments.plots import STYLE


def pictures(images: torch.Tensor, titles: Sequence[str] = (), *, columns: int = 4) -> Figure:
    """Draw images (N, C, H, W), gray or in color, from 0 to 1 and cut off there, in rows of `columns`; with a title each, if given.

    Raises ValueError for images of another shape, and for titles of another number.
    """
    if images.dim() != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"pictures draws images (N, 1, H, W) or (N, 3, H, W), got {tuple(images.shape)}.")
    if titles and len(titles) != len(images):
        raise ValueError(f"There must be a title for each of the {len(images)} images, got {len(titles)}.")
    plt.style.use(STYLE)
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    height = 7.2 / columns * images.shape[2] / images.shape[3] + 0.25 * bool(titles)
    figure, grid = plt.subplots(rows, columns, figsize=(7.2, rows * height), squeeze=False, layout="constrained")
    for ax in grid.flat:
        ax.set_axis_off()
    for k, (ax, image) in enumerate(zip(grid.flat, images.detach().cpu().clamp(0, 1))):
        ax.imshow(image.movedim(0, -1).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(titles[k] if titles else "", fontsize=8.5, fontweight="normal")
    return figure
