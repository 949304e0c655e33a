"""The exercise on a split convolution: a reader's answer runs on ranks, at last on real processes, and is told what is wrong."""

import pytest
import torch
from torch.nn.grad import conv2d_input, conv2d_weight

from course_lib.exercises.split_convolution import check
from course_lib.parallel import launch


def right(x, w, g, rank, n, all_reduce):
    part = g.chunk(n, 1)[rank]
    return all_reduce(conv2d_input(x.shape, w, part)), conv2d_weight(x, w.shape, part)


def not_summed(x, w, g, rank, n, all_reduce):
    part = g[:, rank * len(w) : (rank + 1) * len(w)]
    return conv2d_input(x.shape, w, part), conv2d_weight(x, w.shape, part)


def on_rank_0_alone(x, w, g, rank, n, all_reduce):
    part = g.chunk(n, 1)[rank]
    g_x = conv2d_input(x.shape, w, part)
    return all_reduce(g_x) if rank == 0 else g_x, conv2d_weight(x, w.shape, part)


def whole_filters(x, w, g, rank, n, all_reduce):
    return all_reduce(x), conv2d_weight(x, (g.shape[1], *w.shape[1:]), g)


def test_a_right_answer_passes_on_real_processes():
    verdict = check.judge(right)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (not_summed, "that of x is this rank's term alone"),
        (on_rank_0_alone, "never ends on 2 ranks"),
        (whole_filters, "g_w has the shape (2, 2, 1, 1), expected (1, 2, 1, 1), on each rank"),
        (lambda x, w, g, rank, n, all_reduce: ..., "Not attempted yet"),
        (lambda x, w, g, rank, n, all_reduce: all_reduce(x), "returns 1 value; 2 expected: g_x and g_w"),
        (lambda x, w, g, rank, n, all_reduce: ((x, w),), "returns 1 value; 2 expected: g_x and g_w"),
    ],
    ids=["not summed", "one rank alone", "all filters", "stub", "one value", "nested"],
)
def test_a_wrong_answer_is_told(fn, says):
    verdict = check.judge(fn)
    assert not verdict.passed and says in verdict.message, verdict.message


def test_the_reference_is_autograd_on_processes():
    """The formula that the check compares with, against the whole layer's own backward pass."""
    torch.manual_seed(0)
    x, w = torch.randn(3, 2, 5, 5).double().requires_grad_(), torch.randn(4, 2, 3, 3).double().requires_grad_()
    y = torch.nn.functional.conv2d(x, w)
    g = torch.randn_like(y)
    y.backward(g)

    def work(x, w, g):
        import torch.distributed as dist

        def total(t):
            dist.all_reduce(t)
            return t

        rank, n = dist.get_rank(), dist.get_world_size()
        return check.form.reference(x, w.chunk(n)[rank], g, rank, n, total)

    ranks = launch(work, x.detach(), w.detach(), g)
    for g_x, _ in ranks:
        torch.testing.assert_close(g_x, x.grad)
    torch.testing.assert_close(torch.cat([g_w for _, g_w in ranks]), w.grad)
