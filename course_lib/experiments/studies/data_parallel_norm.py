"""Batch normalization on several ranks with a sample or two each: over each rank's own samples, and over those of all."""

import math
from collections.abc import Iterator

import torch
from matplotlib.axes import Axes
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.experiments.data import Split, digits
from course_lib.experiments.plots import bands
from course_lib.experiments.records import Record, experiment
from course_lib.formulas.normalization import batch_norm

RANKS = 4
NAMES = {"plain": "each rank by itself", "synchronized": "over all ranks"}


class RankwiseBatchNorm(nn.BatchNorm1d):
    """What nn.BatchNorm1d does on `ranks` processes, in one: the batch is theirs, one after the other, in equal parts.

    Each part is normalized by itself. The running statistics are those of the first part, as a checkpoint of rank 0 holds them.
    Raises ValueError for parts of one sample, as nn.BatchNorm1d does.
    """

    def __init__(self, features: int, ranks: int):
        super().__init__(features)
        self.ranks = ranks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (N, features), N a multiple of `ranks` in training."""
        if not self.training:
            return super().forward(x)
        first, *others = x.chunk(self.ranks)
        alone = [batch_norm(y, self.weight, self.bias, eps=self.eps) for y in others]
        return torch.cat([super().forward(first), *alone])


def network(seed: int, ranks: int, width: int = 100) -> nn.Module:
    """Two hidden layers with batch normalization: over each of `ranks` parts of the batch by itself, or over all of it for 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(64, width, bias=False), RankwiseBatchNorm(width, ranks), nn.ReLU(),
            nn.Linear(width, width, bias=False), RankwiseBatchNorm(width, ranks), nn.ReLU(),
            nn.Linear(width, 10),
        )  # fmt: skip


def batches(data: Split, seed: int, size: int, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """So many batches of digits (size, 64) and their classes (size,), each drawn anew."""
    source = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randint(len(data.x_train), (size,), generator=source)
        yield data.x_train[chosen], data.y_train[chosen]


def train(net: nn.Module, pairs, lr: float) -> nn.Module:
    """The network after a step of SGD with momentum on each batch: the mean loss of equal parts is that of the batch."""
    optimizer = torch.optim.SGD(net.parameters(), lr, momentum=0.9)
    for x, y in pairs:
        optimizer.zero_grad()
        cross_entropy(net(x), y).backward()
        optimizer.step()
    return net


@torch.no_grad()
def error(net: nn.Module, data: Split) -> float:
    """Percent of the test digits that are classified wrongly, by the running statistics."""
    return 100 * (net.eval()(data.x_test).argmax(1) != data.y_test).double().mean().item()


# The share is the samples with which a last bit does not decide: with one or two, rounding alone moves a seed by several percent.
@experiment(seeds=8, share={"samples": (8,)})
def sync_batchnorm_on_digits(seed, *, samples=(8, 4, 2, 1), ranks=RANKS, steps=400, lr=0.05):
    """Test errors in percent after training on four ranks with so many samples each, by both kinds of batch normalization.

    One process computes what the ranks do. With one sample on each rank there is no `plain`: inf, as PyTorch refuses to train.
    """
    data, found = digits(train=1000, val=0, seed=seed), {}
    for name, parts in (("plain", ranks), ("synchronized", 1)):
        found[name] = []
        for each in samples:
            if name == "plain" and each == 1:
                found[name].append(math.inf)
                continue
            net = train(network(seed, parts), batches(data, seed, ranks * each, steps), lr)
            found[name].append(error(net, data))
    return found


def draw_sync_batchnorm(result: Record, ax: Axes | None = None) -> Axes:
    """The test errors over the samples of each rank, a curve for each kind."""
    curves = {label: result[name].flip(-1) for name, label in NAMES.items()}
    samples = result.settings["samples"][::-1]
    ax = bands(samples, curves, x_label="samples on each of 4 ranks", y_label="test error (%)", log="xy", ax=ax)
    ax.set_xticks(samples, samples)
    return ax
