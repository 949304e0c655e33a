"""Our collectives on real processes against torch.distributed's, and what they send against the formulas."""

import pytest
import torch
import torch.distributed as dist

from course_lib.formulas import all_reduce as formulas
from course_lib.parallel import RankError, launch
from course_lib.parallel.collectives import ALL_REDUCE, broadcast, reduce
from course_lib.parallel.traffic import Traffic

SIZES = (0, 1, 2, 5, 12, 13)
KINDS = (torch.float32, torch.float64, torch.int64)
# Two sums of n numbers of size 1 in another order: (n - 1) roundings each, of partial sums up to n, and n is 4.
ROUNDING = {torch.float32: 2 * 3 * 4 * 2.0**-24, torch.float64: 2 * 3 * 4 * 2.0**-53, torch.int64: 0.0}


def values(size, kind):
    x = torch.rand(size, generator=torch.Generator().manual_seed(100 * size + dist.get_rank()), dtype=torch.float64)
    return (2 * x - 1).to(kind) if kind.is_floating_point else (1e15 * x).to(kind)


def cases():
    for kind in KINDS:
        for size in SIZES:
            yield f"{size} of {kind}", values(size, kind)
    yield "no axes", values(1, torch.float64)[0]
    yield "transposed", values(12, torch.float64).view(3, 4).t()
    yield "every second", values(12, torch.float32)[::2]
    yield "with a gradient", values(5, torch.float64).requires_grad_()


def compare(x, ours, theirs):
    """What is wrong with a new tensor, or None."""
    if ours.shape != x.shape or ours.dtype != x.dtype or ours.requires_grad:
        return f"{ours.shape}, {ours.dtype}"
    if ours.numel() and ours.data_ptr() == x.data_ptr():
        return "not a new tensor"
    off = (ours - theirs).abs().max().item() if x.numel() else 0.0
    return f"off by {off}" if off > ROUNDING[x.dtype] else None


def check_all():
    n, found = dist.get_world_size(), {}
    for title, x in cases():
        before, plain = x.detach().clone(), x.detach().contiguous()
        dist.all_reduce(total := plain.clone())
        for name, all_reduce in ALL_REDUCE.items():
            found[name, title] = compare(x, all_reduce(x), total)
        for root in range(n):
            dist.broadcast(sent := plain.clone(), root)
            found["broadcast", root, title] = compare(x, broadcast(x, root), sent)
            expected = total if dist.get_rank() == root else plain
            found["reduce", root, title] = compare(x, reduce(x, root), expected)
        found["unchanged", title] = None if torch.equal(x.detach(), before) else "changed"
    return found


# check=False: PyTorch's check numbers the messages of send and receive together with the collectives, and here some ranks send more.
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_all_equal_those_of_torch(n):
    for rank, found in enumerate(launch(check_all, processes=n, check=False)):
        assert len(found) == 22 * (3 + 2 * n + 1)
        assert {k: v for k, v in found.items() if v} == {}, rank


def send_all():
    sums, traffic = {}, {}
    for name, all_reduce in ALL_REDUCE.items():
        for size in (12, 13, 1000):
            with Traffic() as sent:
                sums[name, size] = all_reduce(values(size, torch.float32))
            all_reduce(values(2, torch.float32))  # outside of the block
            traffic[name, size] = sent.bytes, sent.calls.get("send", 0)
    return sums, traffic


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_bytes_and_messages_are_those_of_the_formulas(n):
    N = torch.tensor(n)
    ranks = launch(send_all, processes=n, check=False)
    for name in ALL_REDUCE:
        sent, rounds = (getattr(formulas, f"{name}_{what}") for what in ("sent", "rounds"))
        for size in (12, 13, 1000):
            traffic = [found[name, size] for _, found in ranks]
            expected = [sent(4 * size, torch.tensor(r), rounds(n=N), n=N).item() for r in range(n)]
            if name != "ring" or size % n == 0:
                assert [b for b, _ in traffic] == expected
            assert sum(b for b, _ in traffic) == pytest.approx(sum(expected)) == 2 * (n - 1) * 4 * size
            units = [sent(n if name == "ring" else 1, torch.tensor(r), rounds(n=N), n=N).item() for r in range(n)]
            assert [m for _, m in traffic] == units
    for key, total in ranks[0][0].items():  # the same bits everywhere, or replicas of a network drift apart
        assert all(torch.equal(sums[key], total) for sums, _ in ranks)


def test_a_root_that_is_none():
    with pytest.raises(RankError, match="root must be one of the ranks, 0 to 1, got 2"):
        launch(lambda: broadcast(torch.ones(1), 2))
