"""Exercises on ranks: right answers in other spellings pass on real processes; a deadlock, an error and a stub are told, none hangs."""

import copy
import threading
import time

import pytest
import torch
import torch.distributed as dist

from course_lib.exercises import average_gradients, ring_all_reduce, sync_batch_norm


def right_ring(x, rank, n, send, recv):
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


def strided_step(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    x, y, w = x[rank::n], y[rank::n], broadcast(w)
    both = all_reduce(torch.cat([gradient(w, x, y) * len(x), w.new_full((1,), len(x))]))
    return w - lr * both[:-1] / both[-1]


def one_message(x, n, all_reduce, *, eps=1e-5):
    sums = all_reduce(torch.cat([torch.full_like(x[:1], len(x)), x.sum(0)[None], (x**2).sum(0)[None]]))
    mean = sums[1] / sums[0]
    return (x - mean) / (sums[2] / sums[0] - mean**2 + eps).sqrt()


@pytest.mark.parametrize(
    ("module", "fn"),
    [(ring_all_reduce, right_ring), (average_gradients, strided_step), (sync_batch_norm, one_message)],
    ids=["ring_all_reduce", "average_gradients", "sync_batch_norm"],
)
def test_right_answers_pass_also_on_real_processes(module, fn):
    verdict = module.check.judge(fn)
    assert verdict.passed, verdict.message


def both_send_first(x, rank, n, send, recv):
    send(x, (rank + 1) % n)
    return recv((rank - 1) % n)


def both_receive_first(x, rank, n, send, recv):
    got = recv((rank - 1) % n)
    send(x, (rank + 1) % n)
    return got


def one_receives_nothing(x, rank, n, send, recv):
    return recv(1) if rank == 0 else x


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (
            both_send_first,
            "both_send_first never ends on 2 ranks: they wait for each other, 0 in send to 1, 1 in send to 0.",
        ),
        (both_receive_first, "they wait for each other, 0 in recv from 1, 1 in recv from 0."),
        (one_receives_nothing, "they wait for each other, 0 in recv from 1."),
    ],
    ids=lambda x: getattr(x, "__name__", "says"),
)
def test_a_deadlock_is_told_at_once(fn, says):
    begin = time.monotonic()
    verdict = ring_all_reduce.check.judge(fn)
    assert not verdict.passed and says in verdict.message
    assert time.monotonic() - begin < 5


def test_a_collective_that_one_rank_leaves_out_is_a_deadlock():
    def step(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
        return w if rank else all_reduce(w)

    message = average_gradients.check.judge(step).message
    assert "step never ends on 2 ranks: they wait for each other. All must call `all_reduce` and `broadcast`" in message
    assert "so far such calls are 1 on rank 0, 0 on rank 1." in message


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (lambda x: 4, "norm raises TypeError at line"),
        (lambda x: 4, "all_reduce takes a tensor, got a Python int (4)."),
        (
            lambda x: x[:, 0],
            "all_reduce gets (3,) of torch.float64 on rank 0 and (2,) of torch.float64 on rank 2: all must be alike.",
        ),
    ],
    ids=["line", "number", "shape"],
)
def test_what_cannot_be_summed_is_told(what, says):
    def norm(x, n, all_reduce, *, eps=1e-5):
        return all_reduce(what(x))

    check = copy.copy(sync_batch_norm.check)
    check.cases = [case for case in check.cases if "3, 3 and 2" in case.title]
    check.__dict__.pop("_expected", None)
    check.__dict__.pop("_known", None)
    assert says in check.judge(norm).message


def test_a_count_may_be_a_whole_number_and_a_value_may_come_in_a_tuple():
    def norm(x, n, all_reduce, *, eps=1e-5):
        count = all_reduce(torch.tensor([len(x)]))
        mean = all_reduce(x.sum(0)) / count
        return ((x - mean) / (all_reduce((x - mean).square().sum(0)) / count + eps).sqrt(),)

    verdict = sync_batch_norm.check.judge(norm)
    assert verdict.passed, verdict.message


def test_what_happens_only_on_real_processes_is_told():
    def ring(x, rank, n, send, recv):
        if dist.is_initialized():
            raise ValueError("only here")
        return right_ring(x, rank, n, send, recv)

    message = ring_all_reduce.check.judge(ring).message
    assert "case 9 of 9 (3 real processes)" in message and "ValueError: only here" in message


def test_errors_stubs_and_shapes():
    def fails(x, rank, n, send, recv):
        return x[99] if rank else recv(1)

    def stub(x, rank, n, send, recv):
        return ...

    def unlike(x, rank, n, send, recv):
        return x[rank:]

    def nothing(x, rank, n, send, recv):
        if rank == 0:
            return x

    def number(x, rank, n, send, recv):
        return 3.0

    judge = ring_all_reduce.check.judge
    assert "nothing returns None on rank 1" in judge(nothing).message
    assert "total is a Python float (3); return a torch tensor" in judge(number).message
    assert "fails raises IndexError at line" in judge(fails).message
    assert judge(stub).message.startswith("○ Not attempted yet: stub still returns `...`")
    assert (
        "unlike returns tensors of unlike shapes or types: (6,) of torch.float64 on rank 0, (5,) of torch.float64 on rank 1"
        in judge(unlike).message
    )
    assert "raises NameError" in judge(lambda x, rank, n, send, recv: missing).message  # noqa: F821


def test_a_loop_without_end_is_ended_on_every_rank(monkeypatch):
    def endless(x, rank, n, send, recv):
        while rank:
            pass
        return recv(1)

    monkeypatch.setattr(ring_all_reduce.check, "seconds", 1.0)
    before = threading.active_count()
    assert "endless did not end within 1 seconds" in ring_all_reduce.check.judge(endless).message
    end = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < end, "a rank's thread still runs"
        time.sleep(0.05)
