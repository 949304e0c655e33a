"""Two by two ranks: the gradients of all four together are those of one process."""

import pytest
import torch

from course_lib.parallel import RankError, launch
from course_lib.parallel.device_mesh import hybrid_gradients


def problem(seed=0, hidden=6, examples=8):
    draw = torch.Generator().manual_seed(seed)
    shapes = (hidden, 5), (3, hidden), (examples, 5), (examples, 3)
    return [torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in shapes]


def test_four_ranks_have_the_gradients_of_one_process():
    w1, w2, x, y = problem()
    a, b = (w.clone().requires_grad_() for w in (w1, w2))
    (torch.tanh(x @ a.T) @ b.T - y).square().mean().backward()
    ranks = launch(hybrid_gradients, w1, w2, x, y, processes=4)
    for group in (ranks[:2], ranks[2:]):  # both groups have the same
        torch.testing.assert_close(torch.cat([g for g, _ in group]), a.grad, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(torch.cat([g for _, g in group], dim=1), b.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("processes", "change", "words"),
    [
        (2, {}, "A mesh of 2 x 2 has 4 ranks, got 2: launch with processes=4."),
        (4, {"hidden": 5}, "The hidden units are cut into two equal parts: give an even number of them, got 5."),
        (4, {"examples": 7}, "The examples are cut into two equal parts: give an even number of them, got 7."),
    ],
)
def test_what_cannot_be_split_is_told(processes, change, words):
    with pytest.raises(RankError, match=words):
        launch(hybrid_gradients, *problem(**change), processes=processes)
