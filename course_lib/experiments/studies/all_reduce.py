"""What an all-reduce takes on real processes: ours, written with send and receive, and PyTorch's, on the machine at hand."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes

from course_lib.experiments.plots import bands
from course_lib.parallel import launch
from course_lib.parallel.all_reduce_times import all_reduce_times

SIZES = (1024, 16384, 262144, 4194304)  # bytes


def all_reduce_on_this_machine(
    processes: int = 4, *, sizes: Sequence[int] = SIZES, repeats: int = 5
) -> dict[str, torch.Tensor]:
    """Seconds of an all-reduce by each way, (repeats, sizes), for arrays of so many bytes on so many processes.

    A time is that of the rank that took longest. It holds for this machine, now: measured where it is shown, never recorded.
    """
    return launch(all_reduce_times, [*sizes], repeats, processes=processes, check=False)[0]


def draw_all_reduce(seconds: Mapping[str, torch.Tensor], sizes: Sequence[int] = SIZES, ax: Axes | None = None) -> Axes:
    """The seconds over the bytes, a curve for each way: median and range over the repeats."""
    ax = bands(sizes, seconds, x_label="bytes", y_label="seconds", log="xy", ax=ax)
    repeats = len(next(iter(seconds.values())))
    ax.set_title(f"{repeats} runs: median and range", fontsize=8.5, fontweight="normal", loc="right")
    return ax
