"""Fully sharded training by PyTorch's FSDP2: each rank keeps an n-th of the weights, of their gradients and of Adam's states."""

import copy

import torch
import torch.distributed as dist
from torch import nn

from course_lib.parallel.data_parallel import average_gradients


def held_bytes(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, int]:
    """Bytes that this rank holds of weights, gradients and the optimizer's states of one number a parameter."""
    parameters = list(network.parameters())
    states = [x for p in parameters for x in optimizer.state[p].values() if x.dim() == p.dim() > 0]
    gradients = [p.grad for p in parameters if p.grad is not None]
    return {
        name: sum(_local(x).nbytes for x in tensors)
        for name, tensors in (("weights", parameters), ("gradients", gradients), ("states", states))
    }


def train_sharded(network: nn.Module, x: torch.Tensor, y: torch.Tensor, *, steps: int = 3, shard: bool = True):
    """Train a copy of a network by Adam on n ranks, each with its part of the batch: (whole weights, bytes that this rank holds).

    With `shard` by FSDP2, each linear layer a unit; without, every rank keeps everything and the gradients are averaged.
    The loss is the mean squared error. Raises ValueError where the examples cannot be cut into n equal parts: means of
    unequal parts are not the mean.
    """
    n, rank = dist.get_world_size(), dist.get_rank()
    if len(x) % n:
        raise ValueError(f"{len(x)} examples cannot be cut into {n} equal parts: give a multiple of {n}.")
    network = copy.deepcopy(network)
    if shard:
        _shard(network, n)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    x, y = x.chunk(n)[rank], y.chunk(n)[rank]
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(x), y).backward()
        if not shard:
            average_gradients(network.parameters())
        optimizer.step()
    held = held_bytes(network, optimizer)
    return [_whole(p.detach()) for p in network.parameters()], held


def _shard(network: nn.Module, n: int) -> None:
    """FSDP2 around each linear layer, then around what is left."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard  # takes a second to import

    mesh = init_device_mesh("cpu", (n,))
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(network, mesh=mesh)


def _local(x: torch.Tensor) -> torch.Tensor:
    return x.to_local() if hasattr(x, "to_local") else x


def _whole(x: torch.Tensor) -> torch.Tensor:
    return x.full_tensor() if hasattr(x, "full_tensor") else x
