"""One network on many processes: each computes the gradients of its share of the batch, and the average steps all copies alike."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

when_backward_ends = torch.autograd.Variable._execution_engine.queue_callback


class DataParallel(nn.Module):
    """A network whose copies on all ranks start alike and, after each backward pass, hold the average of their gradients.

        network = DataParallel(nn.Linear(64, 10))            # on every rank
        loss = mean_over_ranks(cross_entropies(network(shard(x)), shard(y)))
        loss.backward()                                      # network's gradients are those of the joined batch
        optimizer.step()                                     # the same step everywhere

    Gradients travel in buckets of about `bucket_bytes`, the last layer's first. With `overlap` a bucket starts its all-reduce as
    soon as backward has filled it, else all of them wait for the end. A parameter that no rank used keeps its gradient, None
    as a rule; frozen ones are left alone. Buffers, such as a batch normalization's running statistics, are alike at the start
    and drift apart: see SyncBatchNorm. Each rank's loss must use at least one of the parameters.

    Equals torch.nn.parallel.DistributedDataParallel(network, find_unused_parameters=True, broadcast_buffers=False).
    Raises RuntimeError outside of `launch` or torchrun, and where the ranks' networks differ; ValueError for what is no
    network or bucket. Source: slides 54 and 55; Li et al., "PyTorch Distributed" (VLDB 2020).
    """

    def __init__(self, network: nn.Module, *, bucket_bytes: int = 2**20, overlap: bool = True):
        super().__init__()
        if not isinstance(network, nn.Module) or not bucket_bytes > 0:
            raise ValueError(
                f"DataParallel takes a network and bucket_bytes above 0, got {type(network).__name__} and {bucket_bytes!r}."
            )
        if not dist.is_initialized():
            raise RuntimeError("DataParallel needs several processes: call it in a function that `launch` runs.")
        self.network, self.overlap = network, overlap
        self._averages = True
        _check_alike(network)
        with torch.no_grad():
            for tensor in (*network.parameters(), *network.buffers()):
                dist.broadcast(tensor, 0)
        trained = [p for p in network.parameters() if p.requires_grad]  # each of them once, also if it is tied
        self._buckets = [_Bucket(group) for group in _grouped(trained[::-1], bucket_bytes)]
        self._bucket_of = {p: bucket for bucket in self._buckets for p in bucket.parameters}
        for p in trained:
            p.register_post_accumulate_grad_hook(self._filled)
        self._begin()

    def forward(self, *args, **kwargs):
        """What the network makes of this rank's share."""
        return self.network(*args, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """In this `with`, backward adds up gradients on each rank and sends nothing; the first backward after it averages the
        sums. It is backward that has to stand inside; for DistributedDataParallel forward has to, too.
        """
        before, self._averages = self._averages, False
        try:
            yield
        finally:
            self._averages = before

    def _begin(self) -> None:
        self._missing = {bucket: len(bucket.parameters) for bucket in self._buckets}
        self._sent, self._is_running = 0, False

    def _filled(self, parameter: nn.Parameter) -> None:
        """Autograd calls it when a parameter has all of its gradient."""
        if not self._averages:
            return
        if not self._is_running:
            self._is_running = True
            when_backward_ends(self._finish)
        self._missing[self._bucket_of[parameter]] -= 1
        if self.overlap:
            self._send(lambda bucket: self._missing[bucket] == 0)

    def _send(self, is_due) -> None:
        """Start buckets in order, up to the first that is not due."""
        waiting = self._buckets[self._sent :]
        for bucket in itertools.takewhile(is_due, waiting):
            bucket.start()
            self._sent += 1

    def _finish(self) -> None:
        """Send the rest, with zeros for what no loss has reached."""
        self._send(lambda bucket: True)
        for bucket in self._buckets:
            bucket.finish()
        self._begin()


class _Bucket:
    """Gradients of several parameters, one after the other in one tensor: one message. Behind them stands for each parameter
    whether this rank has a gradient, so that their sum says whether any has.
    """

    def __init__(self, parameters: list[nn.Parameter]):
        self.parameters = parameters
        self.sizes = [p.numel() for p in parameters]
        self.values = parameters[0].new_zeros(sum(self.sizes) + len(parameters))

    def start(self) -> None:
        *gradients, used = self.values.split([*self.sizes, len(self.sizes)])
        for k, (p, values) in enumerate(zip(self.parameters, gradients)):
            used[k] = p.grad is not None
            if p.grad is None:
                values.zero_()
            else:
                torch.div(_dense(p).flatten(), dist.get_world_size(), out=values)
        self.work = dist.all_reduce(self.values, async_op=True)

    def finish(self) -> None:
        self.work.wait()
        *gradients, used = self.values.split([*self.sizes, len(self.sizes)])
        for p, values, count in zip(self.parameters, gradients, used.tolist()):
            if count:
                p.grad = values.view_as(p).clone() if p.grad is None else p.grad.copy_(values.view_as(p))


def average_gradients(parameters: Iterable[nn.Parameter], group: dist.ProcessGroup | None = None) -> None:
    """Replace each gradient by its mean over the ranks of the group, all of them by default: a message for each, after backward."""
    for p in parameters:
        dist.all_reduce(p.grad, group=group)
        p.grad /= dist.get_world_size(group)


def mean_over_ranks(losses: Tensor) -> Tensor:
    """This rank's part (a scalar) of the mean over all ranks' examples, of its losses (B,), one for each example.

    The parts' average over the ranks is the mean over the joined batch, also where ranks have unlike B: there the average of
    the ranks' means is another number. Raises ValueError where `losses` is no vector, or all ranks' are empty.
    """
    if losses.dim() != 1:
        raise ValueError(
            f"losses must have the shape (B,), one for each example, got {tuple(losses.shape)}. Of PyTorch's losses "
            "take reduction='none'."
        )
    count = torch.tensor(len(losses), device=losses.device)
    dist.all_reduce(count)
    if not count:
        raise ValueError("losses are empty on all ranks: there is no mean.")
    weight = dist.get_world_size() / count.double()  # of a whole number alone it would be in float32
    return losses.sum() * weight.to(losses.dtype)


def shard(batch: Tensor, rank: int | None = None, processes: int | None = None) -> Tensor:
    """The share of `batch` (B, …) that belongs to `rank`, this one by itself: B / processes examples, or one more.

    Raises ValueError for a batch with fewer examples than processes, which would leave ranks without work.
    """
    rank, processes = dist.get_rank() if rank is None else rank, processes or dist.get_world_size()
    if len(batch) < processes:
        raise ValueError(f"A batch of {len(batch)} examples can't be shared by {processes} ranks. Make it larger.")
    return batch.tensor_split(processes)[rank]


def _dense(parameter: nn.Parameter) -> Tensor:
    if parameter.grad.layout != torch.strided:
        raise ValueError(f"A gradient of the layout {parameter.grad.layout} can't be averaged: take dense gradients.")
    return parameter.grad


def _grouped(parameters: list[nn.Parameter], bucket_bytes: int) -> list[list[nn.Parameter]]:
    """Neighbors of one type and device together, until a group has `bucket_bytes`."""
    groups, kind, size = [], None, 0
    for p in parameters:
        if (p.dtype, p.device) != kind or size >= bucket_bytes:
            groups.append([])
            kind, size = (p.dtype, p.device), 0
        groups[-1].append(p)
        size += p.numel() * p.element_size()
    return groups


def _check_alike(network: nn.Module) -> None:
    """Raise RuntimeError, on all ranks, where a parameter of one of them is another than rank 0's."""
    mine = [(name, tuple(p.shape), str(p.dtype), p.requires_grad) for name, p in network.named_parameters()]
    networks = [None] * dist.get_world_size()
    dist.all_gather_object(networks, mine)
    for rank, other in enumerate(networks):
        if other != networks[0]:
            there, here = ([x for x in a if x not in b] for a, b in ((other, networks[0]), (networks[0], other)))
            raise RuntimeError(
                f"All ranks need the same network. Of (name, shape, type, trained) rank {rank} has {there}, rank 0 {here}."
            )
