"""Three ways to sum an array over n ranks: what each rank holds after each round, what it has sent by then, and how long all takes.

Rounds are counted from 0; `rounds` of them are done. `held` is a pair: the first of the ranks whose parts are in the sum, and how
many they are, one after the other, n - 1 followed by 0. Arguments are tensors that broadcast; n is at most 64.
"""

import torch

DOUBLINGS = range(6)  # 2, 4, ... 64 ranks


def ring_chunk(rank, step, *, n):
    """The chunk that a rank sends to rank + 1 in round `step` of 2(n - 1).

    In the first n - 1 rounds the receiver adds it to its own, and rank + 1 has
    a finished sum at the end; in the others it replaces its own.
    Source: Patarasuk and Yuan (2009), doi.org/10.1016/j.jpdc.2008.09.002.
    """
    return (rank - step) % n


def ring_held(rank, chunk, rounds, *, n):
    """Whose parts a rank's chunk of the ring holds after so many rounds."""
    way = (rank - chunk) % n  # hops of the chunk from where it starts
    partial = torch.where(way <= rounds, way + 1, 1)
    count = torch.where(rounds >= n + way, n, partial)
    return (rank - count + 1) % n, count


def naive_held(rank, rounds, *, n):
    """The same of the whole array, where in each round one rank sends all that it has to rank 0, and later gets the sum."""
    back = torch.where(rounds >= n - 1 + rank, n, 1)
    count = torch.where(rank == 0, 1 + torch.minimum(rounds, n - 1), back)
    return torch.where(count == n, 0, rank), count


def tree_held(rank, rounds, *, n):
    """The same in a binomial tree: at the distances 1, 2, 4, ... sums move down to rank 0, and back in the opposite order."""
    up, count = tree_rounds(n=n) / 2, torch.ones_like(rank + rounds + n)
    for k in DOUBLINGS:
        count = torch.where((rounds > k) & (rank % 2 ** (k + 1) == 0), 2 * count, count)
    count = torch.minimum(count, n - rank)
    for k in DOUBLINGS:  # a rank below which there are 2^k - 1 others gets the sum at the distance 2^k
        own = (rank % 2**k == 0) & (rank % 2 ** (k + 1) != 0)
        count = torch.where(own & (rounds >= 2 * up - k), n, count)
    return torch.where(count == n, 0, rank), count


def ring_sent(size, rank, rounds, *, n):
    """How much of an array of `size` (bytes, elements) a rank has sent: in the end 2(n - 1)/n of it.

    Exactly so where n divides the array; always, in the mean over the ranks.
    """
    return size * rounds / n + 0 * rank  # each rank the same


def naive_sent(size, rank, rounds, *, n):
    """The same through rank 0: each other rank sends its array once, rank 0 the sum n - 1 times."""
    root = torch.maximum(rounds - (n - 1), 0 * n)
    return size * torch.where(rank == 0, root, torch.where(rounds >= rank, 1, 0))


def tree_sent(size, rank, rounds, *, n):
    """The same in the tree: each rank but 0 sends its sum once, and the total to each rank that it got a sum from."""
    up, messages = tree_rounds(n=n) / 2, 0 * (rank + rounds + n)
    for k in DOUBLINGS:
        own = (rank % 2**k == 0) & (rank % 2 ** (k + 1) != 0)
        child = (rank % 2 ** (k + 1) == 0) & (rank + 2**k < n)
        messages = messages + torch.where(own & (rounds > k), 1, 0)
        messages = messages + torch.where(child & (rounds >= 2 * up - k), 1, 0)
    return size * messages


def ring_rounds(*, n):
    """Rounds of the ring, in each of which every rank sends one n-th."""
    return 2 * (n - 1)


def naive_rounds(*, n):
    """Rounds through rank 0: its link carries one whole array after the other."""
    return 2 * (n - 1)


def tree_rounds(*, n):
    """Rounds of the tree, 2 log₂ n, rounded up: a whole array on each link that is used."""
    return 2 * sum(torch.where(n > 2**k, 1, 0) for k in DOUBLINGS)


def ring_seconds(size, *, n, bandwidth, latency):
    """Seconds of a ring all-reduce of `size` bytes over n ranks.

    Each rank has a link of its own, with `bandwidth` bytes a second in each
    direction; in each of 2(n - 1) rounds it sends the n-th part, after
    `latency` seconds. Source: Patarasuk and Yuan (2009); slide 53.
    """
    return ring_rounds(n=n) * (latency + size / (n * bandwidth))


def naive_seconds(size, *, n, bandwidth, latency):
    """Seconds of an all-reduce whose bytes all pass through one link.

    That is the link of rank 0, which gets n - 1 arrays and sends n - 1 sums,
    and it is a bus that all share, whatever the algorithm: the ring, too,
    moves 2(n - 1) times `size` bytes in all. Source: slides 53 and 61.
    """
    return naive_rounds(n=n) * (latency + size / bandwidth)


def tree_seconds(size, *, n, bandwidth, latency):
    """Seconds in the tree: each round is a message of the whole array, but there are fewer of them."""
    return tree_rounds(n=n) * (latency + size / bandwidth)
