"""What goes wrong when ranks split a network: a sum forgotten, another batch on each rank, another dropout mask on each."""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from course_lib.parallel.model_parallel import ColumnLinear

KINDS = ("right", "not summed", "batches", "masks")


class Unsummed(ColumnLinear):
    """A ColumnLinear whose inputs' gradients are not summed over the ranks: what a plain nn.Linear on each rank does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As that of ColumnLinear; only backward differs."""
        return self._maybe_gather(F.linear(x, self.weight, self.bias), -1)


class Mask(nn.Module):
    """Dropout of half of 32 features, the same in every step: the mask of this seed."""

    def __init__(self, seed: int):
        super().__init__()
        self.mask = 2.0 * (torch.rand(32, generator=torch.Generator().manual_seed(seed)) < 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.mask


def network(seed: int) -> nn.Sequential:
    """A small network for digits, with a mask before its last layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), Mask(seed), nn.Linear(32, 10)
        return nn.Sequential(*layers)


def fit(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, steps: int, lr: float = 0.1):
    """Full batches: the losses, and the gradients of the first step, one a parameter."""
    losses, first = [], []
    for _ in range(steps):
        loss = F.cross_entropy(model(x), y)
        model.zero_grad()
        loss.backward()
        first = first or [p.grad.clone() for p in model.parameters()]
        losses.append(loss.item())
        with torch.no_grad():
            for p in model.parameters():
                p -= lr * p.grad
    return losses, first


def fit_split(kind: str, whole: nn.Sequential, seed: int, x: torch.Tensor, y: torch.Tensor, steps: int):
    """The same on this rank, with all layers split, and with what `kind` says going wrong."""
    rank, layer = dist.get_rank(), Unsummed if kind == "not summed" else ColumnLinear
    model = nn.Sequential(*(layer.of(each, gather=True) if isinstance(each, nn.Linear) else each for each in whole))
    if kind == "masks":
        model[4] = Mask(seed + 1000 * rank)
    if kind == "batches":
        x, y = x.chunk(2)[rank], y.chunk(2)[rank]
    return fit(model, x, y, steps)


def each_kind(*given) -> list:
    """`fit_split` for all kinds, in one launch."""
    return [fit_split(kind, *given) for kind in KINDS]
