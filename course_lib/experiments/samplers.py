"""Samplers for torch.utils.data.DataLoader: classes in equal shares, classes apart, hard samples more often."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler


class ClassBalanced(Sampler[int]):
    """Draws so that every class is equally probable, however many examples it has; with replacement, `samples` an epoch.

    `classes` is the class of each example, (N,), from 0 to count - 1; `count` is the largest and one if left out.
    Raises ValueError for a class without an example, which could not be drawn.
    """

    def __init__(self, classes: Sequence[int] | torch.Tensor, samples: int | None = None, *, count=None, seed: int = 0):
        members = examples_by_class(classes, count)
        self.weights = torch.zeros(sum(map(len, members)), dtype=torch.float64)
        for indices in members:
            self.weights[indices] = 1 / len(indices)
        self.samples = len(self.weights) if samples is None else samples
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[int]:
        yield from torch.multinomial(self.weights, self.samples, replacement=True, generator=self.generator).tolist()

    def __len__(self) -> int:
        return self.samples


class ClassesApart(Sampler[int]):
    """Every example once an epoch, and successive ones of different classes for as long as there are any (slide 39).

    In each round the classes that are not used up come once, in a new order. Raises ValueError as ClassBalanced does.
    """

    def __init__(self, classes: Sequence[int] | torch.Tensor, *, count: int | None = None, seed: int = 0):
        self.members = examples_by_class(classes, count)
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[int]:
        left = [m[self._order(len(m))].tolist() for m in self.members]
        last = None
        while any(left):
            round_ = [k for k in self._order(len(left)).tolist() if left[k]]
            if len(round_) > 1 and round_[0] == last:
                round_.reverse()
            for k in round_:
                yield left[k].pop()
            last = round_[-1]

    def __len__(self) -> int:
        return sum(map(len, self.members))

    def _order(self, n: int) -> torch.Tensor:
        return torch.randperm(n, generator=self.generator)


class HardFirst(Sampler[int]):
    """Draws an example in proportion to its last loss to the power `sharpness`: 0 draws all alike (slide 39).

    Until `update(indices, losses)` reports an example's loss it counts as the largest one seen, so that each is soon tried;
    no probability falls below `floor` times an equal share. The losses are looked at anew after every `refresh` draws; the
    batch size is enough. Raises ValueError for a size, refresh, sharpness or floor outside its
    limits, and in update for losses that are negative or not finite.
    """

    def __init__(self, examples: int, *, sharpness: float = 1.0, floor: float = 0.1, refresh: int = 1, seed: int = 0):
        if min(examples, refresh) < 1 or not 0 <= sharpness < math.inf or not 0 <= floor <= 1:
            raise ValueError(
                f"HardFirst needs at least 1 example, a refresh from 1, a sharpness of at least 0 and a floor from 0 to 1, "
                f"got {examples}, {refresh}, {sharpness} and {floor}."
            )
        self.losses = torch.full((examples,), math.nan, dtype=torch.float64)
        self.sharpness, self.floor, self.refresh = sharpness, floor, refresh
        self.generator = torch.Generator().manual_seed(seed)

    def update(self, indices, losses) -> None:
        """Report the losses, (batch,), of the examples with these indices."""
        losses = torch.as_tensor(losses).detach().double().cpu()
        if not (losses.isfinite() & (losses >= 0)).all():
            raise ValueError(f"Losses must be finite and at least 0, got {losses.tolist()[:4]}.")
        self.losses[torch.as_tensor(indices).cpu()] = losses

    @property
    def probabilities(self) -> torch.Tensor:
        """The probability of each example, (N,)."""
        known = self.losses[self.losses.isfinite()]
        largest = known.max() if len(known) else torch.tensor(1.0, dtype=torch.float64)
        weights = self.losses.where(self.losses.isfinite(), largest) ** self.sharpness
        equal = torch.full_like(weights, 1 / len(weights))
        total = weights.sum()
        return self.floor * equal + (1 - self.floor) * (weights / total if total > 0 else equal)

    def __iter__(self) -> Iterator[int]:
        """An epoch; each draw uses the losses that are known by then."""
        for k in range(0, len(self), self.refresh):
            draws = min(self.refresh, len(self) - k)
            yield from torch.multinomial(self.probabilities, draws, replacement=True, generator=self.generator).tolist()

    def __len__(self) -> int:
        return len(self.losses)


def examples_by_class(classes: Sequence[int] | torch.Tensor, count: int | None = None) -> list[torch.Tensor]:
    """The indices of each class's examples. Raises ValueError for what is no vector of whole numbers from 0, and for a class
    without an example."""
    found = torch.as_tensor(classes)
    if found.dim() != 1 or not len(found) or found.is_floating_point() or found.min() < 0:
        raise ValueError(
            f"classes must be a vector of whole numbers from 0, got the shape {tuple(found.shape)}, {found.dtype}."
        )
    count = int(found.max()) + 1 if count is None else count
    members = [(found == k).nonzero()[:, 0] for k in range(count)]
    if empty := [k for k, m in enumerate(members) if not len(m)]:
        raise ValueError(
            f"Class {empty[0]} of {count} has no example: leave it out and number the classes from 0, or add data."
        )
    if sum(map(len, members)) < len(found):
        raise ValueError(f"classes must lie below count={count}, got {int(found.max())}.")
    return members
