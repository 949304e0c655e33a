"""The ring all-reduce: right answers in other styles, changes of the solution that change nothing, and wrong answers that are rejected."""

import functools

import numpy
import torch


def rank_0_begins(x, rank, n, send, recv):
    chunks, right, left = list(x.tensor_split(n)), (rank + 1) % n, (rank - 1) % n
    for s in range(2 * (n - 1)):
        out, into = (rank - s) % n, (rank - s - 1) % n
        if rank == 0:  # one rank in another order than the others is enough
            send(chunks[out], right)
            got = recv(left)
        else:
            got = recv(left)
            send(chunks[out], right)
        chunks[into] = chunks[into] + got if s < n - 1 else got
    return torch.cat(chunks)


def exchange(chunk, rank, n, send, recv):
    if rank % 2:
        got = recv(rank - 1)
        send(chunk, (rank + 1) % n)
    else:
        send(chunk, (rank + 1) % n)
        got = recv((rank - 1) % n)
    return got


def in_two_halves(x, rank, n, send, recv):
    parts = dict(enumerate(x.tensor_split(n)))
    for s in range(n - 1):
        got = exchange(parts[(rank - s) % n], rank, n, send, recv)
        parts[(rank - s - 1) % n] = parts[(rank - s - 1) % n] + got
    for s in range(n - 1):
        parts[(rank - s) % n] = exchange(parts[(rank + 1 - s) % n], rank, n, send, recv)
    return torch.cat([parts[k] for k in range(n)])


def one_moving_chunk(x, rank, n, send, recv):
    """What is sent in a round is what came in the round before."""
    own = x.tensor_split(n)
    moving, done = own[rank], [None] * n
    for s in range(1, n):
        moving = exchange(moving, rank, n, send, recv) + own[rank - s]
    done[(rank + 1) % n] = moving
    for s in range(n - 1):
        moving = exchange(moving, rank, n, send, recv)
        done[(rank - s) % n] = moving
    return torch.cat(done)


def recursive(x, rank, n, send, recv):
    if n == 1:
        return x.clone()

    def rounds(chunks, s):
        if s == 2 * n - 2:
            return chunks
        into, got = (rank - s - 1) % n, exchange(chunks[(rank - s) % n], rank, n, send, recv)
        new = [*chunks[:into], chunks[into] + got if s < n - 1 else got, *chunks[into + 1 :]]
        return rounds(new, s + 1)

    return torch.concatenate(rounds([*x.tensor_split(n)], 0))


def in_place_on_a_copy(array, me, ranks, give, take):
    total = array.clone()
    views = total.tensor_split(ranks)
    for s in range(2 * (ranks - 1)):
        got = exchange(views[(me - s) % ranks].clone(), me, ranks, give, take)
        view = views[(me - s - 1) % ranks]
        view.add_(got) if s < ranks - 1 else view.copy_(got)
    return total


def the_other_way_of_counting(x, rank, n, send, recv):
    """Each rank ends with its own chunk finished: another convention of the same ring."""
    chunks = list(x.tensor_split(n))
    for s in range(2 * (n - 1)):
        got = exchange(chunks[(rank - s - 1) % n], rank, n, send, recv)
        into = (rank - s - 2) % n
        chunks[into] = chunks[into] + got if s + 1 < n else got
    return torch.cat(chunks)


def through_numpy(x, rank, n, send, recv):
    chunks = numpy.array_split(x.numpy().copy(), n)
    for s in range(2 * (n - 1)):
        got = exchange(torch.from_numpy(chunks[(rank - s) % n]), rank, n, send, recv).numpy()
        chunks[(rank - s - 1) % n] = got + (chunks[(rank - s - 1) % n] if s < n - 1 else 0)
    return torch.from_numpy(numpy.concatenate(chunks).astype(x.numpy().dtype))


def in_float64_inside(x, rank, n, send, recv):
    return in_two_halves(x.double(), rank, n, send, recv).to(x.dtype)


@torch.inference_mode()
def without_autograd(x, rank, n, send, recv):
    return rank_0_begins(x, rank, n, send, recv)


def the_last_begins(x, rank, n, send, recv):
    chunks = list(torch.tensor_split(x, n))
    for s in range(2 * n - 2):
        steps = [lambda: send(chunks[(rank - s) % n], (rank + 1) % n), lambda: recv((rank + n - 1) % n)]
        done = [step() for step in (steps if rank == n - 1 else steps[::-1])]
        got = next(value for value in done if value is not None)
        chunks[(rank - s - 1) % n] = got if s >= n - 1 else torch.add(chunks[(rank - s - 1) % n], got)
    return torch.hstack(chunks)


class Ring:
    """A rank's place in the circle."""

    def __init__(self, rank, n, send, recv):
        self.rank, self.n, self.turn = rank, n, functools.partial(exchange, rank=rank, n=n, send=send, recv=recv)

    def __call__(self, x):
        chunks = list(x.tensor_split(self.n))
        for s in range(self.n - 1):
            chunks[(self.rank - s - 1) % self.n] = chunks[(self.rank - s - 1) % self.n] + self.turn(
                chunks[(self.rank - s) % self.n]
            )
        for s in range(self.n - 1):
            chunks[(self.rank - s) % self.n] = self.turn(chunks[(self.rank - s + 1) % self.n])
        return torch.cat(chunks)


def an_object(x, rank, n, send, recv):
    return Ring(rank, n, send, recv)(x)


def by_slices(x, rank, n, send, recv):
    size, more = divmod(len(x), n)
    starts = [k * size + min(k, more) for k in range(n + 1)]
    total, cut = x.clone(), [slice(*pair) for pair in zip(starts, starts[1:])]
    for s in range(2 * (n - 1)):
        got = exchange(total[cut[(rank - s) % n]], rank, n, send, recv)
        into = cut[(rank - s - 1) % n]
        total[into] = total[into] + got if s < n - 1 else got
    return total


STYLES = [
    rank_0_begins,
    in_two_halves,
    one_moving_chunk,
    recursive,
    in_place_on_a_copy,
    the_other_way_of_counting,
    through_numpy,
    in_float64_inside,
    without_autograd,
    the_last_begins,
    an_object,
    by_slices,
]

RANKS, ORDER = (
    "ranks count from 0, and there is at least one",
    "any order in which one rank sends first and one receives first ends",
)
EQUIVALENT = {
    "1: n -> abs(n)": RANKS,
    "2: n -> abs(n)": RANKS,
    "2: rank -> abs(rank)": RANKS,
    "3: n -> abs(n)": RANKS,
    "3: rank -> abs(rank)": RANKS,
    "3: n -> -n": "the same chunk, counted from the end",
    "3: rank % 2 == 0 -> rank % 2 != 0": ORDER,
    "3: rank % 2 -> rank": ORDER,
    "3: rank -> -rank": ORDER,
    "3: 0 -> 1": ORDER,
    "3: 2 -> 3": ORDER,
} | {f"writes into {name}": "a number or a function cannot be written into" for name in ("rank", "n", "send", "recv")}


def equal_chunks_alone(x, rank, n, send, recv):
    chunks = list(x.reshape(n, -1))
    for s in range(2 * (n - 1)):
        got = exchange(chunks[(rank - s) % n], rank, n, send, recv)
        chunks[(rank - s - 1) % n] = chunks[(rank - s - 1) % n] + got if s < n - 1 else got
    return torch.cat(chunks)


def padded(x, rank, n, send, recv):
    """Zeros are sent, too, where n does not divide the array."""
    return in_two_halves(torch.nn.functional.pad(x, (0, -len(x) % n)), rank, n, send, recv)[: len(x)]


def by_torchs_chunk(x, rank, n, send, recv):
    """chunk makes fewer parts than it is asked for."""
    chunks = list(x.chunk(n))
    for s in range(2 * (n - 1)):
        got = exchange(chunks[(rank - s) % n], rank, n, send, recv)
        chunks[(rank - s - 1) % n] = chunks[(rank - s - 1) % n] + got if s < n - 1 else got
    return torch.cat(chunks)


def mean_over_ranks(x, rank, n, send, recv):
    return in_two_halves(x, rank, n, send, recv) / n


def largest_over_ranks(x, rank, n, send, recv):
    parts = list(x.tensor_split(n))
    for s in range(2 * (n - 1)):
        got, into = exchange(parts[(rank - s) % n], rank, n, send, recv), (rank - s - 1) % n
        parts[into] = torch.maximum(parts[into], got) if s < n - 1 else got
    return torch.cat(parts)


def writes_through_views(x, rank, n, send, recv):
    chunks = x.tensor_split(n)
    for s in range(2 * (n - 1)):
        got, into = exchange(chunks[(rank - s) % n], rank, n, send, recv), (rank - s - 1) % n
        chunks[into].data.copy_(chunks[into] + got if s < n - 1 else got)
    return torch.cat(chunks)


def three_ranks_alone(x, rank, n, send, recv):
    return in_two_halves(x, rank, min(n, 3), send, recv) if n <= 3 else x * n


def four_rounds(x, rank, n, send, recv):
    chunks = list(x.tensor_split(n))
    for s in range(min(2 * (n - 1), 6)):
        got, into = exchange(chunks[(rank - s) % n], rank, n, send, recv), (rank - s - 1) % n
        chunks[into] = chunks[into] + got if s < n - 1 else got
    return torch.cat(chunks)


def sends_twice(x, rank, n, send, recv):
    return in_two_halves(in_two_halves(x, rank, n, send, recv), rank, n, send, recv) / n


WRONG = [
    equal_chunks_alone,
    padded,
    by_torchs_chunk,
    mean_over_ranks,
    largest_over_ranks,
    writes_through_views,
    three_ranks_alone,
    four_rounds,
    sends_twice,
]
