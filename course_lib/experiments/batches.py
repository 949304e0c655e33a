"""Mini-batches of indices: in sequence, shuffled or drawn; the same ones in Python and in the page. For large data, as tensors."""

from collections.abc import Iterator

import torch

SAMPLING = ("in sequence", "shuffled", "with replacement")


def uniform(seed: int) -> Iterator[float]:
    """Numbers in [0, 1) for ever, the same in mini_batch_draws.js. Source: mulberry32, a generator with 32 bits of state."""
    state = seed & 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        x = ((state ^ state >> 15) * (1 | state)) & 0xFFFFFFFF
        x ^= (x + ((x ^ x >> 7) * (61 | x))) & 0xFFFFFFFF
        yield (x ^ x >> 14) / 2**32


def uniform_draws(seed: int, count: int) -> torch.Tensor:
    """The first numbers of `uniform(seed)` at once: (count,) in float64."""
    state = (
        seed + 0x6D2B79F5 * torch.arange(1, count + 1)
    ) & 0xFFFFFFFF  # below 2^32, so that a product's low half is right
    x = ((state ^ state >> 15) * (1 | state)) & 0xFFFFFFFF
    x = x ^ (x + ((x ^ x >> 7) * (61 | x))) & 0xFFFFFFFF
    return (x ^ x >> 14).double() / 2**32


def index_batches(N: int, B: int, sampling: str = "shuffled", seed: int = 0) -> Iterator[list[int]]:
    """Batches of B of the indices 0 … N - 1, for ever; where B does not divide N, the last batch of an epoch is smaller.

    "in sequence" keeps the order 0, 1, 2, …; "shuffled" puts each epoch in a new order; "with replacement" draws B indices
    whenever a batch is asked for, and knows no epochs. Raises ValueError for another sampling and for a B outside 1 … N.
    """
    if sampling not in SAMPLING:
        raise ValueError(f"sampling must be one of {', '.join(SAMPLING)}, got {sampling!r}.")
    if not 1 <= B <= N:
        raise ValueError(f"B must be from 1 to N = {N}, got {B}.")
    return _batches(N, B, sampling, uniform(seed))


def _batches(N: int, B: int, sampling: str, draws: Iterator[float]) -> Iterator[list[int]]:
    order = list(range(N))
    while True:
        if sampling == "with replacement":
            yield [int(next(draws) * N) for _ in range(B)]
            continue
        if sampling == "shuffled":
            _shuffle(order, draws)
        yield from (order[k : k + B] for k in range(0, N, B))


def _shuffle(order: list[int], draws: Iterator[float]) -> None:
    """In place, each order equally probable. Source: Fisher and Yates (1938)."""
    for k in range(len(order) - 1, 0, -1):
        j = int(next(draws) * (k + 1))
        order[k], order[j] = order[j], order[k]


class Batches:
    """Tensors of indices, each epoch in a new order, one torch.randperm; it can be saved between any two, and goes on from there."""

    def __init__(self, examples: int, batch: int, seed: int):
        self.examples, self.batch, self.taken = examples, batch, 0
        self.generator, self.rest = torch.Generator().manual_seed(seed), []

    def next(self) -> torch.Tensor:
        """The next batch; the last one of an epoch may be smaller."""
        if not self.rest:
            self.rest = [*torch.randperm(self.examples, generator=self.generator).split(self.batch)]
        self.taken += 1
        return self.rest.pop(0)

    def state_dict(self) -> dict:
        """How many were taken, what the epoch has left, and where the generator is."""
        return {"taken": self.taken, "rest": [x.clone() for x in self.rest], "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        """Go on where another one was saved."""
        self.taken, self.rest = state["taken"], [*state["rest"]]
        self.generator.set_state(state["generator"])
