"""Layers that are split over ranks: each holds a part of the filters or of the weight's matrix, and sees the whole batch.

First the three functions that cross the ranks, each with its backward pass; then the layers made of them.
`group` is a process group, by default that of all ranks.
"""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

# --- across the ranks: what one does forward, the other does backward


class _Copy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return _sum(g, ctx.group), None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, group):
        return _sum(x, group)

    @staticmethod
    def backward(ctx, g):
        return g, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dim, group):
        ctx.dim, ctx.group = dim, group
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, x.contiguous(), group)
        return torch.cat(parts, dim)

    @staticmethod
    def backward(ctx, g):
        return own_part(g, ctx.dim, ctx.group), None, None


def _sum(x: torch.Tensor, group) -> torch.Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, group=group)
    return total


def copy_to_ranks(x: torch.Tensor, group=None) -> torch.Tensor:
    """x as it is; backward, its gradients are summed over the ranks, as each rank's part of the layer has used x.

    Megatron's f (Shoeybi et al. 2019, https://arxiv.org/abs/1909.08053); slide 57's synchronization, backward.
    """
    return _Copy.apply(x, group)


def sum_over_ranks(x: torch.Tensor, group=None) -> torch.Tensor:
    """The sum of the ranks' x; backward, each rank takes the gradient as it is. Megatron's g."""
    return _Sum.apply(x, group)


def gather_from_ranks(x: torch.Tensor, dim: int = 1, group=None) -> torch.Tensor:
    """The ranks' x side by side along `dim`; backward, each rank takes its part of the gradient.

    Every rank must go on with the same computation, or with `copy_to_ranks`: the gradient that comes back is then the whole one.
    """
    return _Gather.apply(x, dim, group)


def own_part(x: torch.Tensor, dim: int = 0, group=None) -> torch.Tensor:
    """This rank's part of x along `dim`. Raises ValueError where the ranks do not divide it."""
    n, size = dist.get_world_size(group), x.shape[dim]
    if size % n:
        raise ValueError(f"{size} filters or features can't be split evenly over {n} ranks: take a multiple of {n}.")
    return x.chunk(n, dim)[dist.get_rank(group)].contiguous()


# --- layers


class _Split(nn.Module):
    """This rank's part of a layer: `weight` and `bias`, the group, and how to make it from the whole one."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, group=None, *, gather: bool = False):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)
        self.group, self.gather = group, gather

    @staticmethod
    def _whole(layer: nn.Module, kind: type, group) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The layer's weight and bias as the group's first rank has them, so that all split the same."""
        if not isinstance(layer, kind):
            raise TypeError(f"This splits an nn.{kind.__name__}, got {type(layer).__name__}.")
        first = dist.get_global_rank(group or dist.group.WORLD, 0)
        whole = [None if p is None else p.detach().clone() for p in (layer.weight, layer.bias)]
        for p in whole:
            if p is not None and not p.is_meta:
                dist.broadcast(p, first, group)
        return whole[0], whole[1]

    def _maybe_gather(self, y: torch.Tensor, dim: int) -> torch.Tensor:
        return gather_from_ranks(y, dim, self.group) if self.gather else y


class ColumnLinear(_Split):
    """Each rank computes its part of the outputs from all inputs: (…, in) to (…, out/n), with `gather` to (…, out).

    The columns of A in y = xA, which are rows of PyTorch's weight. Equals nn.Linear, forward and backward. Slide 56.
    """

    @classmethod
    def of(cls, layer: nn.Linear, group=None, *, gather: bool = False) -> "ColumnLinear":
        """This rank's part of a layer, as the first rank has it. Raises ValueError where the ranks do not divide the outputs."""
        weight, bias = cls._whole(layer, nn.Linear, group)
        return cls(own_part(weight, 0, group), bias if bias is None else own_part(bias, 0, group), group, gather=gather)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.linear(copy_to_ranks(x, self.group), self.weight, self.bias)  # (…, out/n)
        return self._maybe_gather(y, -1)


class RowLinear(_Split):
    """Each rank multiplies its part of the inputs; the sum over the ranks is the output: (…, in/n) to (…, out).

    Takes what a ColumnLinear gives, so that the two need one sum between them. Equals nn.Linear, forward and backward.
    """

    @classmethod
    def of(cls, layer: nn.Linear, group=None) -> "RowLinear":
        """This rank's part of a layer, as the first rank has it. Raises ValueError where the ranks do not divide the inputs."""
        weight, bias = cls._whole(layer, nn.Linear, group)
        return cls(own_part(weight, 1, group), bias, group)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = sum_over_ranks(F.linear(x, self.weight), self.group)  # (…, out)
        return y if self.bias is None else y + self.bias  # added once


class SplitConv2d(_Split):
    """Each rank convolves all maps with its part of the filters: (B, C, H, W) to (B, N/n, H', W'), with `gather` to N maps.

    Equals nn.Conv2d, forward and backward. Source: slide 56.
    """

    @classmethod
    def of(cls, layer: nn.Conv2d, group=None, *, gather: bool = True) -> "SplitConv2d":
        """This rank's part of a layer, as the first rank has it. Raises ValueError where the ranks do not divide the filters,
        or for a layer whose own groups or padding this class does not know.
        """
        weight, bias = cls._whole(layer, nn.Conv2d, group)
        if layer.groups != 1 or layer.padding_mode != "zeros":
            raise ValueError(
                f"SplitConv2d takes groups=1 and zeros around the maps, got groups={layer.groups}, "
                f"padding_mode={layer.padding_mode!r}. For groups see own_groups in course_lib.parallel.alexnet."
            )
        self = cls(own_part(weight, 0, group), bias if bias is None else own_part(bias, 0, group), group, gather=gather)
        self.geometry = layer.stride, layer.padding, layer.dilation
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = copy_to_ranks(x, self.group)
        y = F.conv2d(x, self.weight, self.bias, *self.geometry)  # (B, N/n, H', W')
        return self._maybe_gather(y, 1)


def split(network: nn.Sequential, group=None) -> nn.Sequential:
    """The network with each nn.Conv2d's filters and each nn.Linear's outputs split over the ranks, and gathered after it."""
    kinds: dict[type, Callable] = {nn.Conv2d: SplitConv2d, nn.Linear: ColumnLinear}
    return nn.Sequential(*(kinds[type(x)].of(x, group, gather=True) if type(x) in kinds else x for x in network))
