"""Clipping over all groups of an optimizer equals PyTorch's over all parameters."""

import math

import pytest
import torch
from torch import nn

from course_lib.experiments.clipping import clip_gradients


def problem(scale=1.0):
    """A network in two parameter groups, one layer of it frozen, with its gradients computed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 1)).double()
    net[2].requires_grad_(False)
    groups = [{"params": net[0].parameters(), "lr": 0.1}, {"params": [*net[2].parameters(), *net[3].parameters()]}]
    optimizer = torch.optim.SGD(groups, lr=0.01)
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)).double()
    (scale * net(x).square().sum()).backward()
    return net, optimizer


@pytest.mark.parametrize("limit", [0.1, 1.0, 1e4])
def test_it_equals_pytorchs_over_all_parameters(limit):
    (ours, optimizer), (theirs, _) = problem(), problem()
    norm = clip_gradients(optimizer, limit)
    expected = torch.nn.utils.clip_grad_norm_(theirs.parameters(), limit)
    assert norm == pytest.approx(expected.item(), rel=1e-12)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            torch.testing.assert_close(p.grad, q.grad, rtol=2e-6 / limit, atol=0)  # its 1e-6 beside the norm


def test_the_direction_stays_over_the_groups_where_pytorch_called_for_each_turns_it():
    (ours, optimizer), (each, groups), (plain, _) = problem(), problem(), problem()
    clip_gradients(optimizer, 0.1)
    for group in groups.param_groups:
        torch.nn.utils.clip_grad_norm_(group["params"], 0.1)

    def cosine(net):
        return torch.cosine_similarity(
            *(torch.cat([p.grad.flatten() for p in n.parameters() if p.grad is not None]) for n in (net, plain)), dim=0
        )

    assert cosine(ours) == pytest.approx(1, abs=1e-12) and cosine(each) < 0.99


def test_what_leaves_the_numbers_is_returned():
    net, optimizer = problem(math.inf)
    assert not math.isfinite(clip_gradients(optimizer, 1.0))


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, math.inf])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(ValueError, match="limit must be a finite number above 0, got"):
        clip_gradients(problem()[1], limit)


def test_without_gradients_there_is_nothing_to_clip():
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1)
    with pytest.raises(ValueError, match="call backward"):
        clip_gradients(optimizer, 1.0)
