"""What the chapter on hybrid layouts measures: steps of two real processes against the model, and what sharding leaves on a rank."""

import time
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import nn

from course_lib.experiments.records import experiment
from course_lib.formulas.parallel_costs import all_reduce_seconds
from course_lib.parallel import launch
from course_lib.parallel.sharding import train_sharded

WITHIN = 10.0  # the order of magnitude; a machine with other work to do than these two processes may miss a third


def median_seconds(action: Callable, repeats: int) -> float:
    """The median time of an action that all ranks begin together, after one that is not counted."""
    action()
    times = []
    for _ in range(repeats):
        dist.barrier()
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return torch.tensor(times, dtype=torch.float64).median().item()


def mean_seconds_of(values: torch.Tensor) -> torch.Tensor:
    """The mean over the ranks."""
    dist.all_reduce(values)
    return values / dist.get_world_size()


def network(width: int) -> nn.Sequential:
    """Two hidden layers of this width, on the 64 pixels of a digit."""
    return nn.Sequential(nn.Linear(64, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10))


def timed_steps(widths, sizes, batch: int, repeats: int) -> dict[str, torch.Tensor]:
    """Runs on every rank: seconds of a step's computing and of a whole data-parallel step, by width, of all-reduces, by bytes."""
    x, y = torch.randn(batch, 64), torch.randint(10, (batch,))
    compute, whole, gradients = [], [], []
    for width in widths:
        model = network(width)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)

        def step(send: bool):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            flat = nn.utils.parameters_to_vector(p.grad for p in model.parameters())
            if send:
                dist.all_reduce(flat)
            nn.utils.vector_to_parameters(flat / dist.get_world_size(), [p.grad for p in model.parameters()])
            optimizer.step()

        compute.append(median_seconds(lambda: step(False), repeats))
        whole.append(median_seconds(lambda: step(True), repeats))
        gradients.append(4 * sum(p.numel() for p in model.parameters()))
    buffers = [torch.zeros(size // 4) for size in sizes]
    reduce = [median_seconds(lambda: dist.all_reduce(b), repeats) for b in buffers]
    return {name: mean_seconds_of(torch.tensor(x, dtype=torch.float64)) for name, x in
            {"compute": compute, "whole": whole, "reduce": reduce, "gradients": gradients}.items()}  # fmt: skip


def fit_link(sizes, seconds: torch.Tensor, n: int) -> tuple[float, float]:
    """Bandwidth and latency of a ring all-reduce that takes as long as the first and the last of these: bytes a second, seconds.

    Raises ValueError where the larger one took no longer.
    """
    (s0, s1), (t0, t1) = (sizes[0], sizes[-1]), (seconds[0].item(), seconds[-1].item())
    if t1 <= t0:
        raise ValueError(
            f"An all-reduce of {s1} bytes took {t1:.2g} s, one of {s0} bytes {t0:.2g} s: the machine is too busy. Measure again."
        )
    bandwidth = 2 * (n - 1) / n * (s1 - s0) / (t1 - t0)
    latency = t0 / (2 * (n - 1)) - s0 / (n * bandwidth)
    return bandwidth, latency


@experiment(seeds=5, share={"widths": (512,), "repeats": 9, "times": False})
def hybrid_measured_steps(
    seed,
    *,
    widths=(64, 128, 256, 512, 1024),
    sizes=(1024, 16384, 65536, 262144, 1048576, 4194304),
    batch=64,
    repeats=15,
    times=True,
):
    """Milliseconds of a data-parallel step of two processes, by the width of the network, measured and predicted.

    `compute` is the step without sending, its copies into one buffer and back included, measured on both at once; `reduce` the
    all-reduces by `sizes` in bytes; bandwidth and latency are fitted to the first and the last of them. `within` is 1 where the
    predicted steps are right to the order of magnitude in the median; without `times` it is the only outcome, as times are
    those of one machine.
    """
    runs = launch(timed_steps, widths, sizes, batch, repeats, processes=2, seed=10 * seed, timeout=120.0, check=False)
    found = runs[0]
    bandwidth, latency = fit_link(sizes, found["reduce"], 2)
    link = {"n": 2, "bandwidth": bandwidth, "latency": latency}
    predicted = found["compute"] + all_reduce_seconds(found["gradients"], **link)
    ratio = (predicted / found["whole"]).median().item()
    within = {"within": 1.0 / WITHIN < ratio < WITHIN}
    if not times:
        return within
    model = all_reduce_seconds(torch.tensor(sizes, dtype=torch.float64), **link)
    return within | {
        "measured": 1000 * found["whole"], "predicted": 1000 * predicted, "compute": 1000 * found["compute"],
        "reduce": 1000 * found["reduce"], "modeled_reduce": 1000 * model, "bandwidth": bandwidth / 1e9, "latency": 1e6 * latency,
    }  # fmt: skip


@experiment(seeds=1, share={"processes": (1,)})
def hybrid_sharded_bytes(seed, *, processes=(1, 2, 4), width=256):
    """Bytes that each rank holds of weights, gradients and Adam's states under FSDP2, the most over the ranks: (processes, 3).

    One seed: nothing depends on it but the numbers in the weights. One process trains without FSDP2.
    """
    torch.manual_seed(seed)
    model, x, y = network(width), torch.randn(8, 64), torch.randn(8, 10)
    held = []
    for n in processes:
        function = train_sharded if n > 1 else train_alone
        ranks = launch(function, model, x, y, processes=n, timeout=120.0, check=False)
        held.append([max(each[1][name] for each in ranks) for name in ("weights", "gradients", "states")])
    return {"held": held}


def train_alone(model, x, y):
    """`train_sharded` without sharding."""
    return train_sharded(model, x, y, shard=False)
