"""A pipeline: each rank holds some of the layers, and the batch runs through them in micro-batches.

A schedule is a function (stage, stages, micro_batches) that returns what a stage does, in order: ("forward", 0), ("forward", 1), …
"""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import nn

Work = tuple[str, int]  # "forward" or "backward", and of which micro-batch

# --- schedules


def gpipe(stage: int, stages: int, micro_batches: int) -> list[Work]:
    """All forward passes, then all backward passes, the last micro-batch first: fill and drain.

    Source: Huang et al. (2019), https://arxiv.org/abs/1811.06965. Equals ScheduleGPipe, but for the order of the backward passes.
    """
    order = range(micro_batches)
    return [("forward", k) for k in order] + [("backward", k) for k in reversed(order)]


def one_forward_one_backward(stage: int, stages: int, micro_batches: int) -> list[Work]:
    """Each backward pass as soon as it can be: a stage keeps the results of `stages` micro-batches, not of all.

    Source: Narayanan et al. (2021), https://arxiv.org/abs/2104.04473. Equals Schedule1F1B.
    """
    ahead = min(stages - 1 - stage, micro_batches)
    work = [("forward", k) for k in range(ahead)]
    for k in range(micro_batches - ahead):
        work += [("forward", ahead + k), ("backward", k)]
    return work + [("backward", k) for k in range(micro_batches - ahead, micro_batches)]


def timeline(schedule: Callable, stages: int, micro_batches: int, *, forward: float = 1.0, backward: float = 2.0):
    """When each stage does what: for each stage a list of (what, micro-batch, start, end), if transfers take no time."""
    length, end = {"forward": forward, "backward": backward}, {}
    queues = [schedule(s, stages, micro_batches) for s in range(stages)]
    done = [[] for _ in range(stages)]
    while any(len(d) < len(q) for d, q in zip(done, queues)):
        for s, queue in enumerate(queues):
            while len(done[s]) < len(queue):
                what, k = queue[len(done[s])]
                before = (what, k, s - 1 if what == "forward" else s + 1)
                if before not in end and 0 <= before[2] < stages:
                    break  # the neighbor has not come to it
                start = max(done[s][-1][3] if done[s] else 0.0, end.get(before, 0.0))
                end[what, k, s] = start + length[what]
                done[s].append((what, k, start, end[what, k, s]))
    return done


# --- on real processes


def own_stage(network: nn.Sequential, group=None) -> nn.Sequential:
    """This rank's run of the layers; the runs are as equally long as can be. Raises ValueError for fewer layers than ranks."""
    n, k = dist.get_world_size(group), dist.get_rank(group)
    if len(network) < n:
        raise ValueError(f"{len(network)} layers can't be {n} stages: take at most {len(network)} ranks.")
    return network[k * len(network) // n : (k + 1) * len(network) // n]


class Pipeline:
    """The stages of a network on the ranks of a group, in their order; `loss(output, y)` is a mean over examples.

    `most_kept` is how many micro-batches' results this stage kept at once in the last step.
    """

    def __init__(self, stage: nn.Module, loss: Callable, *, micro_batches: int, schedule: Callable = gpipe, group=None):
        self.stage, self.loss, self.micro_batches, self.schedule, self.group = (
            stage,
            loss,
            micro_batches,
            schedule,
            group,
        )
        self.rank, self.stages = dist.get_rank(group), dist.get_world_size(group)
        self.most_kept, self._sending = 0, []

    def backward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor | None:
        """Adds the gradients of the batch's loss to those of this stage's parameters; the last stage returns the loss.

        The first stage reads x, the last one y, both of shape (B, …). Raises ValueError where micro-batches do not divide B.
        """
        if len(x) % self.micro_batches:
            raise ValueError(f"{len(x)} examples can't be {self.micro_batches} equal micro-batches.")
        xs, ys, kept, losses = x.chunk(self.micro_batches), y.chunk(self.micro_batches), {}, []
        self.most_kept = 0
        for what, k in self.schedule(self.rank, self.stages, self.micro_batches):
            if what == "forward":
                kept[k] = self._forward(xs[k], ys[k])
                self.most_kept = max(self.most_kept, len(kept))
            else:
                losses.append(self._backward(*kept.pop(k)))
        for one, _ in self._sending:
            one.wait()
        self._sending.clear()
        return torch.stack(losses).sum() if self.rank == self.stages - 1 else None

    def _forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.rank:
            x = self._receive(self.rank - 1, x.dtype).requires_grad_()
        output = self.stage(x)
        if self.rank == self.stages - 1:
            return x, self.loss(output, y) / self.micro_batches  # the mean of the micro-batches' means
        self._send(output.detach(), self.rank + 1)
        return x, output

    def _backward(self, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        last = self.rank == self.stages - 1
        output.backward(None if last else self._receive(self.rank + 1, output.dtype))
        if self.rank:
            self._send(x.grad, self.rank - 1)
        return output.detach()

    def _send(self, x: torch.Tensor, stage: int) -> None:
        """Starts to send the shape and the values, and does not wait: where both neighbors waited, neither would receive."""
        for part in (torch.tensor([x.dim(), *x.shape, *[0] * (7 - x.dim())], device=x.device), x.contiguous()):
            self._sending.append((dist.isend(part, group=self.group, group_dst=stage), part))

    def _receive(self, stage: int, dtype: torch.dtype) -> torch.Tensor:
        device = next(self.stage.parameters()).device
        shape = torch.empty(8, dtype=torch.int64, device=device)
        dist.recv(shape, group=self.group, group_src=stage)
        x = torch.empty(*shape[1 : 1 + shape[0]], dtype=dtype, device=device)
        dist.recv(x, group=self.group, group_src=stage)
        return x
