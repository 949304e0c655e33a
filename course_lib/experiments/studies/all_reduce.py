"""What an all-reduce takes on real processes: ours, written with send and receive, and PyTorch's, on the machine at hand."""

import time
from collections.abc import Mapping, Sequence

import torch
import torch.distributed as dist
from matplotlib.axes import Axes

from course_lib.experiments.plots import bands
from course_lib.parallel import launch
from course_lib.parallel.collectives import ALL_REDUCE

TORCH = "PyTorch's"
SIZES = (1024, 16384, 262144, 4194304)  # bytes


def all_reduce_on_this_machine(
    processes: int = 4, *, sizes: Sequence[int] = SIZES, repeats: int = 5
) -> dict[str, torch.Tensor]:
    """Seconds of an all-reduce by each way, (repeats, sizes), for arrays of so many bytes on so many processes.

    A time is that of the rank that took longest. It holds for this machine, now: measured where it is shown, never recorded.
    """
    return launch(_times, [*sizes], repeats, processes=processes, check=False)[0]


def _times(sizes: list[int], repeats: int) -> dict[str, torch.Tensor]:
    ways = ALL_REDUCE | {TORCH: dist.all_reduce}
    return {way: torch.stack([_time(f, size, repeats) for size in sizes], 1) for way, f in ways.items()}


def _time(all_reduce, size: int, repeats: int) -> torch.Tensor:
    seconds, x = torch.zeros(repeats, dtype=torch.float64), torch.ones(size // 4)
    all_reduce(x.clone())  # the first one opens connections
    for k in range(repeats):
        y = x.clone()  # PyTorch's sums in place
        dist.barrier()
        begin = time.perf_counter()
        all_reduce(y)
        seconds[k] = time.perf_counter() - begin
    dist.all_reduce(seconds, dist.ReduceOp.MAX)
    return seconds


def draw_all_reduce(seconds: Mapping[str, torch.Tensor], sizes: Sequence[int] = SIZES, ax: Axes | None = None) -> Axes:
    """The seconds over the bytes, a curve for each way: median and range over the repeats."""
    ax = bands(sizes, seconds, x_label="bytes", y_label="seconds", log="xy", ax=ax)
    repeats = len(next(iter(seconds.values())))
    ax.set_title(f"{repeats} runs: median and range", fontsize=8.5, fontweight="normal", loc="right")
    return ax
