"""How long each all-reduce takes on a rank; a module of its own, so that the processes import nothing that draws."""

import time

import torch
import torch.distributed as dist

from course_lib.parallel.collectives import ALL_REDUCE

TORCH = "PyTorch's"


def all_reduce_times(sizes: list[int], repeats: int) -> dict[str, torch.Tensor]:
    """Seconds of the rank that took longest, (repeats, sizes), for arrays of so many bytes: by each way. Every rank calls it."""
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
