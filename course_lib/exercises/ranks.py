"""A reader's function on several ranks: in threads that talk through mailboxes, where a deadlock is seen at once, or in real processes."""

import contextlib
import threading
from collections.abc import Callable

import torch
import torch.distributed as dist

from course_lib.exercises.cases import Case
from course_lib.exercises.compare import kind
from course_lib.exercises.form import name_of
from course_lib.exercises.sandbox import TimeIsUp, interrupt
from course_lib.exercises.trial import NotAttempted, Problem
from course_lib.parallel import RankTimeout, launch

SECONDS = 30.0  # for real processes; a busy machine needs some to start them


class Deadlock(Exception):
    """Every rank that has not returned waits for another."""


class Mailboxes:
    """What ranks in threads send each other. A send ends when the other rank has received, as large messages do on a network."""

    def __init__(self, n: int):
        self.changed, self.mail, self.waiting = threading.Condition(), {}, {}
        self.running, self.dead = set(range(n)), False

    def send(self, rank: int, x: torch.Tensor, to: int) -> None:
        """Waits until the rank `to` has received."""
        with self.changed:
            self._wait(rank, lambda: (rank, to) not in self.mail, f"{rank} in send to {to}")
            self.mail[rank, to] = x.detach().clone()
            self.changed.notify_all()
            self._wait(rank, lambda: (rank, to) not in self.mail, f"{rank} in send to {to}")

    def receive(self, rank: int, source: int) -> torch.Tensor:
        """Waits until the rank `source` sends."""
        with self.changed:
            self._wait(rank, lambda: (source, rank) in self.mail, f"{rank} in recv from {source}")
            self.changed.notify_all()
            return self.mail.pop((source, rank))

    def end(self, rank: int) -> None:
        """This rank has returned, or failed: nobody can wait for it any more."""
        with self.changed:
            self.running.discard(rank)
            self.changed.notify_all()

    def stop(self) -> None:
        """Nobody waits any more."""
        with self.changed:
            self.dead = True
            self.changed.notify_all()

    def _wait(self, rank: int, ready: Callable[[], bool], text: str) -> None:
        self.waiting[rank] = ready, text
        while not ready():
            stuck = self.running <= set(self.waiting) and not any(self.waiting[k][0]() for k in self.running)
            if self.dead or stuck:
                self.dead = True
                self.changed.notify_all()
                raise Deadlock(", ".join(self.waiting[k][1] for k in sorted(self.running)))
            self.changed.wait()
        del self.waiting[rank]


class Rank:
    """One of n ranks: `rank`, `n`, `send(x, to)`, `recv(source)`, `all_reduce(x)`, `broadcast(x)`; `count` is of the numbers that `send` sent."""

    def __init__(self, rank: int, n: int, send: Callable, receive: Callable):
        self.rank, self.n, self.count, self.collectives = rank, n, 0, 0
        self._send, self.recv = send, receive

    def send(self, x: torch.Tensor, to: int) -> None:
        """Send a tensor to the rank `to`; ends when it is received."""
        self.count += _tensor("send", x).numel()
        self._send(x, to)

    def broadcast(self, x: torch.Tensor) -> torch.Tensor:
        """Rank 0's tensor, on every rank."""
        self.collectives += 1
        return self._from_rank_0(_tensor("broadcast", x))

    def all_reduce(self, x: torch.Tensor) -> torch.Tensor:
        """The sum over the ranks, on every rank. Raises ValueError where their tensors are of unlike shapes or types."""
        self.collectives += 1
        total = _tensor("all_reduce", x).detach().clone()
        if self.rank:
            self._send(total, 0)
        else:
            for other in range(1, self.n):
                more = self.recv(other)
                if (more.shape, more.dtype) != (x.shape, x.dtype):
                    raise ValueError(
                        f"all_reduce gets {_described(x)} on rank 0 and {_described(more)} on rank {other}: all must be alike"
                    )
                total = total + more
        return self._from_rank_0(total)

    def _from_rank_0(self, x: torch.Tensor) -> torch.Tensor:
        if self.rank:
            return self.recv(0)
        for other in range(1, self.n):
            self._send(x, other)
        return x.detach().clone()


def _tensor(name: str, x: torch.Tensor) -> torch.Tensor:
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} takes a tensor, got {kind(x)}")
    return x


def _described(x: torch.Tensor) -> str:
    return f"{tuple(x.shape)} of {x.dtype}"


def in_threads(work: Callable[[Rank], object], n: int) -> list:
    """What `work(rank)` returns on each rank; raises the first rank's error, or Deadlock."""
    boxes, results, errors = Mailboxes(n), [None] * n, {}
    ended = [threading.Event() for _ in range(n)]

    def run(k: int) -> None:
        rank = Rank(k, n, lambda x, to: boxes.send(k, x, to), lambda source: boxes.receive(k, source))
        try:
            with contextlib.suppress(TimeIsUp):
                results[k] = work(rank)
        except Exception as error:
            errors[k] = error
        finally:
            boxes.end(k)
            ended[k].set()

    threads = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(n)]
    for thread in threads:
        thread.start()
    try:
        while not all(
            event.wait(0.05) for event in ended
        ):  # short waits, between which the check's time limit can end this
            pass
    finally:
        boxes.stop()
        for thread, event in zip(threads, ended):
            interrupt(thread, event)
    others = [error for error in errors.values() if not isinstance(error, Deadlock)]  # who fails leaves others waiting
    for error in others or [*errors.values()]:
        raise error
    return results


def in_processes(work: Callable[[Rank], object], n: int) -> list:
    """The same on real processes. Raises RankTimeout where they wait for each other, RankError where one fails."""
    return launch(_process, work, processes=n, timeout=SECONDS, check=False)


def _process(work: Callable[[Rank], object]):
    return work(Rank(dist.get_rank(), dist.get_world_size(), _send, _receive))


KINDS = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)
DIMENSIONS = 8


def _send(x: torch.Tensor, to: int) -> None:
    """Its type and shape, then itself, then wait for the word that it has come: as in threads."""
    dist.send(torch.tensor([KINDS.index(x.dtype), x.dim(), *x.shape, *[0] * (DIMENSIONS - x.dim())]), to)
    dist.send(x.detach().contiguous(), to)
    dist.recv(torch.empty(1), to)


def _receive(source: int) -> torch.Tensor:
    dist.recv(head := torch.empty(2 + DIMENSIONS, dtype=torch.int64), source)
    kind, dims, *shape = head.tolist()
    dist.recv(x := torch.empty(shape[:dims], dtype=KINDS[kind]), source)
    dist.send(torch.ones(1), source)
    return x


def on_ranks(
    n: int, share: Callable, join: Callable, *, real: bool = False, counted: Callable | None = None
) -> Callable:
    """A case's `lift`: the function on n ranks, with `share(rank, *args)` as its arguments there; results go through `join`.

    With `real` it runs on processes, but for the check's own functions, whose results are the same in threads. Where `counted` is
    given, what it makes of the ranks' counts, (n,), is returned, too: of the numbers sent, or whatever `share` lets them count.
    """

    def lift(fn: Callable) -> Callable:
        own = (getattr(fn, "__module__", None) or "").startswith("course_lib.")

        def lifted(*args, **hyper):
            seen = {}

            def work(rank: Rank):
                seen[rank.rank] = rank
                return fn(*share(rank, *args), **hyper), rank.count

            try:
                results = (in_processes if real and not own else in_threads)(work, n)
            except Deadlock as found:
                raise Problem(_deadlock(name_of(fn), found, [seen[k].collectives for k in sorted(seen)])) from None
            except RankTimeout as error:
                raise Problem(f"{name_of(fn)} does not end on real processes. {error}") from None
            values = _joined(name_of(fn), [value for value, _ in results], join)
            counts = torch.tensor([count for _, count in results], dtype=torch.float64)
            return (values, counted(counts)) if counted else values

        return lifted

    return lift


def _deadlock(name: str, found: Deadlock, collectives: list[int]) -> str:
    if any(collectives):
        counts = ", ".join(f"{count} on rank {k}" for k, count in enumerate(collectives))
        return (
            f"{name} never ends on {len(collectives)} ranks: they wait for each other. All must call `all_reduce` and `broadcast` "
            f"equally often and in the same order; so far such calls are {counts}."
        )
    return (
        f"{name} never ends on {len(collectives)} ranks: they wait for each other, {found}. A send ends only when the other rank "
        "receives, so each needs its recv there, and not all ranks can begin with the same of the two."
    )


def _joined(name: str, values: list, join: Callable):
    """The tensors of all ranks in one; a rank's value as it is where that is no tensor."""
    values = [value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else value for value in values]
    if any(value is ... for value in values):
        raise NotAttempted(f"Not attempted yet: {name} still returns `...`. Write your lines in its place.")
    for k, value in enumerate(values):
        if value is None:
            raise Problem(f"{name} returns None on rank {k}: does each way through it end with `return`?")
        if not isinstance(value, torch.Tensor):
            return value
    shapes = {(value.dtype, value.shape[1 if join is torch.cat else 0 :]) for value in values}
    if len(shapes) > 1:
        found = ", ".join(f"{_described(value)} on rank {k}" for k, value in enumerate(values))
        raise Problem(f"{name} returns tensors of unlike shapes or types: {found}.")
    return join(values)


def rank_case(
    title: str, look: str, lift: Callable, *, about: tuple[str, ...] = (), real: bool = False, **given
) -> Case:
    """One call on ranks with these arguments; `real` says that `lift` starts processes."""
    return Case(title, look, lambda call: call(**given), lift, about, startup=SECONDS if real else 0.0)
