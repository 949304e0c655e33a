"""Exercise: write the ring all-reduce with send and recv that wait for each other."""

import torch

from course_lib.exercises.cases import scattered
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.ranks import on_ranks, rank_case
from course_lib.formulas.all_reduce import ring_chunk


def ring_all_reduce(x, rank, n, send, recv):
    """The sum over the ranks of x, of shape (size,)."""
    return ring(x, rank, n, send, recv)


def ring(x, rank, n, send, recv, *, rounds=2, adds=1, into=1, last=0):
    """The ring, with every part that a mistake can change."""
    chunks = [*x.clone().tensor_split(n)]
    for step in range(rounds * (n - 1) + last * (n > 1)):
        out, take = ring_chunk(rank, step, n=n), ring_chunk(rank, step + into, n=n)
        got = exchange(chunks[out], rank, n, send, recv)
        chunks[take] = chunks[take] + got if step < adds * (n - 1) else got
    return torch.cat(chunks)


def exchange(chunk, rank, n, send, recv):
    """Send to the right, receive from the left: even ranks send first, odd ones receive first."""
    if rank % 2 == 0:
        send(chunk, (rank + 1) % n)
        return recv((rank - 1) % n)
    got = recv((rank - 1) % n)
    send(chunk, (rank + 1) % n)
    return got


@mistake(
    "On each rank one chunk is the sum of all, and the others are not: you stop after n − 1 rounds, the reduce-scatter. The finished chunks "
    "must go around once more, n − 1 rounds in which the receiver replaces its own: the all-gather."
)
def no_all_gather(x, rank, n, send, recv):
    return ring(x, rank, n, send, recv, rounds=1)


@mistake(
    "The sums are too large: you add in the second n − 1 rounds, too. There the chunk that comes in is finished, and replaces what the rank has."
)
def adds_in_both(x, rank, n, send, recv):
    return ring(x, rank, n, send, recv, adds=2)


@mistake(
    "In the first n − 1 rounds you replace your chunk by the one that comes in, so that it loses your own part. There it is added; only in the "
    "second half does it replace."
)
def never_adds(x, rank, n, send, recv):
    return ring(x, rank, n, send, recv, adds=0)


@mistake(
    "The total agrees, but the ranks send {yours[sent]} numbers instead of {right[sent]}. You send whole arrays around. In each round a rank sends "
    "one chunk, an n-th of the array: 2(n − 1)/n arrays in all, however many ranks there are."
)
def whole_arrays(x, rank, n, send, recv):
    total, moving = x.clone(), x
    for _ in range(n - 1):
        moving = exchange(moving, rank, n, send, recv)
        total = total + moving
    return total


@whole_arrays.also
def through_rank_0(x, rank, n, send, recv):
    if rank:
        send(x, 0)
        return recv(0)
    total = x.clone()
    for other in range(1, n):
        total = total + recv(other)
    for other in range(1, n):
        send(total, other)
    return total


@mistake(
    "The total agrees, but the ranks send {yours[sent]} numbers instead of {right[sent]}: you go one round too far in the second half. A chunk is "
    "finished on one rank, so n − 1 hops take it to the others."
)
def one_round_too_many(x, rank, n, send, recv):
    return ring(x, rank, n, send, recv, last=1)


@mistake(
    "In every round you send the same chunk, number `rank`. In round `step` it is the one that came in the round before, number rank − step: "
    "that is how a sum grows on its way."
)
def same_chunk(x, rank, n, send, recv):
    chunks = [*x.clone().tensor_split(n)]
    for step in range(2 * (n - 1)):
        got, take = exchange(chunks[rank], rank, n, send, recv), (rank - 1) % n
        chunks[take] = chunks[take] + got if step < n - 1 else got
    return torch.cat(chunks)


@mistake(
    "The chunk that comes in goes into the wrong place: you add it to the chunk that you have just sent. What comes from the left is that rank's "
    "number rank − 1 − step, and belongs to your chunk of that number."
)
def own_place(x, rank, n, send, recv):
    return ring(x, rank, n, send, recv, into=0)


WORDS = {"rank": "each", "send": "given", "recv": "given"}


def each(sent):
    return sent


def mean(sent):  # which chunks a rank sends is free, so where they are unlike only the mean over the ranks is
    return sent.mean().expand(len(sent))


def lift(n, *, real=False, counted=each):
    """On n ranks, each with its row of x; the numbers that it sends are counted."""
    share = lambda c, x, *_: (x[c.rank], c.rank, c.n, c.send, c.recv)
    return on_ranks(n, share, torch.stack, real=real, counted=counted)


def case(title, look, n, size, *, about=(), real=False, dtype=torch.float64):
    """So many numbers on each of n ranks."""
    lifted = lift(n, real=real, counted=each if size % n == 0 else mean)
    return rank_case(title, look, lifted, about=about, real=real, x=scattered(n, size).to(dtype), n=n, **WORDS)


check = Exercise(
    ring_all_reduce,
    returns=("total", "sent"),
    cases=[
        case("2 ranks, 6 numbers", "", 2, 6),
        case("3 ranks", "Two ranks agree: look at which chunk goes out, where the one that comes in belongs, and how often.", 3, 6, about=("rank", "s", "n", "out", "into", "right", "left")),
        case("4 ranks", "Three ranks agree: look for a number where n should stand.", 4, 8, about=("n", "rank", "s", "constant")),
        case("5 ranks", "Up to four ranks agree: look for a number where n should stand, and at who begins to send.", 5, 10, about=("n", "rank", "s", "constant")),
        case("1 rank", "More ranks agree: alone there is nothing to send.", 1, 6, about=("n",)),
        case("3 ranks, 7 numbers", "Here n does not divide the array: `x.tensor_split(n)` makes chunks of unlike sizes.", 3, 7, about=("shape",)),
        case("5 ranks, 3 numbers", "Here some chunks are empty: `x.tensor_split(n)` makes n chunks all the same, and each round sends one.", 5, 3, about=("shape",)),
        case("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", 3, 6, about=("float32",), dtype=torch.float32),
        case("3 real processes", "In threads of one process all agrees.", 3, 7, real=True),
    ],
    mistakes=[no_all_gather, adds_in_both, never_adds, whole_arrays, one_round_too_many, same_chunk, own_place],
    source="the sum over all ranks",
    seconds=10.0,
)  # fmt: skip
