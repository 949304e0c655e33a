"""Collectives written out with send and receive: broadcast, reduce, and three all-reduces, by growing difficulty.

Every rank calls the same function with a tensor of the same shape and type; each gets a new tensor.
"""

import torch
import torch.distributed as dist

from course_lib.formulas.all_reduce import ring_chunk


def send(x: torch.Tensor, to: int) -> None:
    """Send a tensor to the rank `to`, which receives one of the same shape and type; waits until it may be changed."""
    dist.send(x.contiguous(), to)


def receive(like: torch.Tensor, source: int) -> torch.Tensor:
    """The tensor that the rank `source` sends, which has the shape and the type of `like`."""
    x = torch.empty_like(like, memory_format=torch.contiguous_format)
    dist.recv(x, source)
    return x


def exchange(x: torch.Tensor, to: int, like: torch.Tensor, source: int) -> torch.Tensor:
    """Send `x` and receive at the same time: no rank of a ring has to wait for one that waits itself."""
    got = torch.empty_like(like, memory_format=torch.contiguous_format)
    both = dist.P2POp(dist.isend, x.contiguous(), to), dist.P2POp(dist.irecv, got, source)
    for work in dist.batch_isend_irecv([*both]):
        work.wait()
    return got


def broadcast(x: torch.Tensor, root: int = 0) -> torch.Tensor:
    """The root's values on every rank: the root sends n - 1 times. Equals torch.distributed.broadcast."""
    rank, n = _rank_of(root)
    if rank != root:
        return receive(x, root)
    for other in range(n):
        if other != root:
            send(x, other)
    return x.detach().clone()


def reduce(x: torch.Tensor, root: int = 0) -> torch.Tensor:
    """The sum over the ranks on the root, x elsewhere: everyone sends to the root, which adds in the order of the ranks.

    Equals torch.distributed.reduce: integers exactly, floats but for the order of the sum.
    """
    rank, n = _rank_of(root)
    total = x.detach().clone()
    if rank != root:
        send(total, root)
        return total
    for other in range(n):
        if other != root:
            total += receive(x, other)
    return total


def naive_all_reduce(x: torch.Tensor) -> torch.Tensor:
    """The sum over the ranks on each of them, through rank 0, whose link carries 2(n - 1) whole arrays.

    Equals torch.distributed.all_reduce: integers exactly, floats but for the order of the sum.
    """
    return broadcast(reduce(x))


def tree_all_reduce(x: torch.Tensor) -> torch.Tensor:
    """The same in 2 log₂ n rounds: sums move down a binomial tree to rank 0, and the total moves up again.

    Source: Thakur, Rabenseifner and Gropp (2005), doi.org/10.1177/1094342005051521.
    """
    rank, n = dist.get_rank(), dist.get_world_size()
    total, distance = x.detach().clone(), 1
    while distance < n and rank % (2 * distance) == 0:
        if rank + distance < n:
            total += receive(x, rank + distance)
        distance *= 2
    if rank:  # here `distance` is the lowest bit of the rank
        send(total, rank - distance)
        total = receive(x, rank - distance)
    while distance > 1:
        distance //= 2
        if rank + distance < n:
            send(total, rank + distance)
    return total


def ring_all_reduce(x: torch.Tensor) -> torch.Tensor:
    """The same in 2(n - 1) rounds of one n-th of the array each.

    First the sums grow on their way (reduce-scatter), then they are passed on
    (all-gather). Every rank has the same sum, bit for bit.
    Source: Patarasuk and Yuan (2009), doi.org/10.1016/j.jpdc.2008.09.002.
    """
    rank, n = dist.get_rank(), dist.get_world_size()
    right, left = (rank + 1) % n, (rank - 1) % n
    chunks = list(x.detach().flatten().clone().tensor_split(n))
    for step in range(2 * (n - 1)):
        out = ring_chunk(rank, step, n=n)
        into = ring_chunk(rank, step + 1, n=n)
        got = exchange(chunks[out], right, like=chunks[into], source=left)
        chunks[into] = chunks[into] + got if step < n - 1 else got
    return torch.cat(chunks).view(x.shape)


ALL_REDUCE = {"naive": naive_all_reduce, "ring": ring_all_reduce, "tree": tree_all_reduce}


def _rank_of(root: int) -> tuple[int, int]:
    """This rank and the number of them. Raises ValueError for a root that is none of them."""
    rank, n = dist.get_rank(), dist.get_world_size()
    if isinstance(root, bool) or not isinstance(root, int) or not 0 <= root < n:
        raise ValueError(f"root must be one of the ranks, 0 to {n - 1}, got {root!r}.")
    return rank, n
