"""Data-parallel training on two processes of this machine: our wrapper beside PyTorch's, and with overlap beside without.

All three take turns in the same processes, so that what else the machine does meets all of them; a ratio is the median of the
ratios of single rounds.
"""

import statistics
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.table import Row
from course_lib.parallel import DataParallel, launch

ROUNDS, STEPS, BATCH, WIDTH = 21, 8, 128, 512
BUCKET = 2**20


def network() -> nn.Module:
    """2.2 million parameters in ten layers."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, WIDTH), nn.ReLU()]
    for _ in range(8):
        layers += [nn.Linear(WIDTH, WIDTH), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def on_each_rank() -> dict[str, list[float]]:
    """Steps a second in each round, by name."""
    kinds = {
        "ours": DataParallel(network(), bucket_bytes=BUCKET),
        "without overlap": DataParallel(network(), bucket_bytes=BUCKET, overlap=False),
        "torch": DistributedDataParallel(network(), bucket_cap_mb=BUCKET / 2**20),
    }
    optimizers = {name: torch.optim.SGD(kind.parameters(), 0.01) for name, kind in kinds.items()}
    x, y = torch.randn(BATCH, 64), torch.randint(10, (BATCH,))
    rates = {name: [] for name in kinds}
    for round in range(ROUNDS + 1):
        for name, kind in kinds.items():
            dist.barrier()
            begin = time.perf_counter()
            for _ in range(STEPS):
                optimizers[name].zero_grad()
                nn.functional.cross_entropy(kind(x), y).backward()
                optimizers[name].step()
            dist.barrier()
            if round:  # the first is not counted
                rates[name].append(STEPS / (time.perf_counter() - begin))
    return rates


def rows() -> list[Row]:
    """Our steps a second against PyTorch's, and with overlap against without."""
    rates = launch(on_each_rank, processes=2, check=False, timeout=300)[0]
    return [
        _ratio("data-parallel steps against DistributedDataParallel", rates, "ours", "torch", at_least=0.95),
        _ratio("the same with overlap against without", rates, "ours", "without overlap"),
    ]


def _ratio(what: str, rates: dict[str, list[float]], ours: str, other: str, **goal) -> Row:
    ratios = [a / b for a, b in zip(rates[ours], rates[other], strict=True)]
    medians = ", ".join(f"{name} {statistics.median(rates[name]):.1f}" for name in (ours, other))
    note = f"median of {ROUNDS} rounds, from {min(ratios):.2f} to {max(ratios):.2f}; 2 processes, steps a second: {medians}"
    return Row(what, statistics.median(ratios), "times", note=note, **goal)
