"""What the chapter on data parallelism measures: real processes that do it right or in one of the usual wrong ways, and larger batches."""

import functools

import torch
import torch.distributed as dist
from torch import nn

from course_lib.experiments.data import Split, digits
from course_lib.experiments.records import experiment
from course_lib.formulas.network import cross_entropies
from course_lib.parallel import DataParallel, launch, mean_over_ranks, shard

WAYS = ("one process", "averaged", "summed", "unlike starts", "same examples")

_digits = functools.cache(digits)


def digit_network(seed: int = 0) -> nn.Sequential:
    """64 pixels, 32 hidden units, 10 digits; the same weights for the same seed, on every rank."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))


def batches(data: Split, steps: int, batch: int, seed: int) -> list[torch.Tensor]:
    """The indices of each step's batch, new in each step, the same on every rank that has the same seed."""
    source = torch.Generator().manual_seed(seed)
    return [torch.randint(len(data.x_train), (batch,), generator=source) for _ in range(steps)]


def train_data_parallel(seed=0, steps=100, batch=64, rate=0.5):
    """On every rank: the weights after so many steps on digits."""
    data = _digits(1000, 400)
    network = DataParallel(digit_network(seed))
    optimizer = torch.optim.SGD(network.parameters(), rate)
    for chosen in batches(data, steps, batch, seed):
        mine = shard(chosen)
        logits = network(data.x_train[mine])
        loss = mean_over_ranks(cross_entropies(logits, data.y_train[mine]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [p.detach() for p in network.parameters()]


def train_alone(seed=0, steps=100, batch=64, rate=0.5):
    """The same training in this process, with whole batches."""
    data, network = _digits(1000, 400), digit_network(seed)
    optimizer = torch.optim.SGD(network.parameters(), rate)
    for chosen in batches(data, steps, batch, seed):
        optimizer.zero_grad()
        cross_entropies(network(data.x_train[chosen]), data.y_train[chosen]).mean().backward()
        optimizer.step()
    return [p.detach() for p in network.parameters()]


def _one_way(way: str, seed: int, steps: int, batch: int, rate: float, every: int) -> list[tuple[float, float]]:
    """On every rank: this rank's losses on the held-out digits, and how far its weights are from rank 0's."""
    data, rank = _digits(1000, 400), dist.get_rank()
    network = digit_network(100 * seed + (rank if way == "unlike starts" else 0))
    records = [(_loss(network, data), _distance(network))]
    for t, chosen in enumerate(batches(data, steps, batch, seed), 1):
        mine = chosen if way == "one process" else shard(chosen, 0 if way == "same examples" else rank)
        loss = cross_entropies(network(data.x_train[mine]), data.y_train[mine]).mean()
        gradient = nn.utils.parameters_to_vector(torch.autograd.grad(loss, list(network.parameters())))
        if way != "one process":
            dist.all_reduce(gradient)
            gradient /= 1 if way == "summed" else dist.get_world_size()
        weights = nn.utils.parameters_to_vector(network.parameters())
        nn.utils.vector_to_parameters(weights - rate * gradient, network.parameters())
        if t % every == 0:
            records.append((_loss(network, data), _distance(network)))
    return records


def _distance(network: nn.Module) -> float:
    weights = nn.utils.parameters_to_vector(network.parameters()).detach()
    first = weights.clone()
    dist.broadcast(first, 0)
    return (weights - first).norm().item()


def _loss(network: nn.Module, data: Split) -> float:
    with torch.no_grad():
        return cross_entropies(network(data.x_val), data.y_val).mean().item()


def _all_ways(*options) -> list[list[tuple[float, float]]]:
    return [_one_way(way, *options) for way in WAYS]


@experiment(seeds=5, share={"steps": 20})
def data_parallel_ways(seed: int, *, processes=4, steps=200, batch=64, rate=0.5, every=10):
    """Losses on held-out digits, the mean over the ranks, and the ranks' largest distance from rank 0: (ways, records)."""
    options = (seed, steps, batch, rate, every)
    ranks = launch(_all_ways, *options, processes=processes, check=False, timeout=300)
    loss, apart = torch.tensor(ranks, dtype=torch.float64).unbind(-1)
    return {"loss": loss.mean(0), "apart": apart.amax(0)}


@experiment(seeds=5, share={"processes": (1,)})
def data_parallel_batch(seed: int, *, processes=(1, 2, 4, 8, 16, 32), share=8, epochs=10, rate=0.02, warmup=0.2):
    """Loss on held-out digits after the same epochs, by the number of processes, each with `share` examples: at the rate of one
    process, at a rate times the processes, and at that rate after a warm-up. Computed in one process, which is the same.
    """
    return {
        name: [_after_epochs(seed, n, share, epochs, rate * (n if scaled else 1), warm) for n in processes]
        for name, scaled, warm in (("same rate", False, 0.0), ("rate x n", True, 0.0), ("with warm-up", True, warmup))
    }


def _after_epochs(seed: int, n: int, share: int, epochs: int, rate: float, warm: float) -> float:
    data, network, size = _digits(1000, 400), digit_network(seed), n * share
    optimizer = torch.optim.SGD(network.parameters(), rate, momentum=0.9)
    source = torch.Generator().manual_seed(seed)
    total = epochs * (len(data.x_train) // size)
    rising = max(1, int(warm * total))
    for t in range(total):
        if t % (total // epochs) == 0:
            order = torch.randperm(len(data.x_train), generator=source)
        chosen = order[t % (total // epochs) * size :][:size]
        optimizer.param_groups[0]["lr"] = rate * min(1.0, (t + 1) / rising)
        optimizer.zero_grad()
        cross_entropies(network(data.x_train[chosen]), data.y_train[chosen]).mean().backward()
        optimizer.step()
    return _loss(network, data)
