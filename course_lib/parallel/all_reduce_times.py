"""How long each all-reduce takes on a rank; a module of its own, so that the processes import nothing that draws."""

import time
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist

from course_lib.parallel.collectives import ALL_REDUCE
from course_lib.parallel.traffic import Traffic

TORCH = "PyTorch's"


def all_reduce_times(sizes: Sequence[int], repeats: int) -> dict[str, torch.Tensor]:
    """Median seconds of the rank that took longest, (sizes,), for arrays of so many bytes: by each way. Every rank calls it."""
    ways = ALL_REDUCE | {TORCH: dist.all_reduce}
    return {way: torch.stack([_time(f, size, repeats) for size in sizes]) for way, f in ways.items()}


def all_reduce_bytes(sizes: Sequence[int]) -> dict[str, list[int]]:
    """What this rank sends, by each of ours. Every rank calls it."""
    return {way: [_sent(f, size) for size in sizes] for way, f in ALL_REDUCE.items()}


def _sent(all_reduce: Callable, size: int) -> int:
    with Traffic() as traffic:
        all_reduce(torch.ones(size // 4))
    return traffic.bytes


def _time(all_reduce: Callable, size: int, repeats: int) -> torch.Tensor:
    seconds, x = torch.zeros(repeats, dtype=torch.float64), torch.ones(size // 4)
    all_reduce(x.clone())  # the first one opens connections
    for k in range(repeats):
        y = x.clone()  # PyTorch's sums in place
        dist.barrier()
        begin = time.perf_counter()
        all_reduce(y)
        seconds[k] = time.perf_counter() - begin
    dist.all_reduce(seconds, dist.ReduceOp.MAX)
    return seconds.median()
