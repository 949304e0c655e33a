"""SyncBatchNorm on real processes against nn.BatchNorm on the joined batch."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn

from course_lib.parallel import RankError, launch
from course_lib.parallel.sync_batchnorm import SyncBatchNorm, convert

# Float32: another order of sums of some 30 numbers, twice where a gradient passes them. Float64: with inputs 100 deviations from
# zero Σx²/n - mean² loses four of the 16 digits.
CLOSE = {torch.float32: {"rtol": 2e-5, "atol": 2e-6}, torch.float64: {"rtol": 1e-10, "atol": 1e-11}}
# Per title: the layer, the shape of a sample, the samples of each rank for two and for four processes, dtype, shift of the input.
CASES = {
    "even": (nn.BatchNorm1d(3), (3,), {2: (4, 4), 4: (2, 2, 2, 2)}, torch.float64, 0.0),
    "one each": (nn.BatchNorm1d(3), (3,), {2: (1, 1), 4: (1, 1, 1, 1)}, torch.float64, 0.0),
    "uneven": (nn.BatchNorm2d(3, momentum=0.3), (3, 2, 4), {2: (5, 1), 4: (3, 1, 2, 4)}, torch.float64, 0.0),
    "none on one": (nn.BatchNorm1d(3), (3,), {2: (0, 3), 4: (2, 0, 1, 1)}, torch.float64, 0.0),
    "float32": (nn.BatchNorm2d(3), (3, 2, 4), {2: (2, 1), 4: (1, 1, 2, 1)}, torch.float32, 0.0),
    "far from zero": (nn.BatchNorm1d(3), (3, 5), {2: (3, 2), 4: (1, 1, 2, 1)}, torch.float64, 100.0),
    "equal weights in time": (nn.BatchNorm1d(3, momentum=None), (3,), {2: (3, 2), 4: (1, 1, 2, 1)}, torch.float64, 0.0),
    "no parameters": (nn.BatchNorm1d(3, affine=False), (3,), {2: (3, 2), 4: (1, 1, 2, 1)}, torch.float64, 0.0),
    "no averages": (
        nn.BatchNorm1d(3, track_running_stats=False),
        (3,),
        {2: (3, 2), 4: (1, 1, 2, 1)},
        torch.float64,
        0.0,
    ),
}


def layer(title):
    """The layer, with parameters that are not 1 and 0."""
    norm, _, _, dtype, _ = CASES[title]
    norm = (convert if dist.is_initialized() else copy.deepcopy)(norm).to(dtype)
    with torch.no_grad():
        for k, p in enumerate(norm.parameters()):
            p.copy_(torch.tensor([1.5, -0.5, 2.0]) - k)
    return norm


def batches(title, n):
    """For each of two steps the inputs and what the output's loss weighs it with, of all ranks."""
    _, shape, counts, dtype, shift = CASES[title]
    source = torch.Generator().manual_seed(0)
    for _ in range(2):
        x, weights = (torch.randn(sum(counts[n]), *shape, generator=source, dtype=dtype) for _ in range(2))
        yield x + shift, weights


def run(norm, pairs):
    """Outputs and gradients of each step, then the running statistics and an output in evaluation."""
    steps = []
    for x, weights in pairs:
        x = x.clone().requires_grad_()
        y = norm(x)
        gradients = torch.autograd.grad((weights * y**2).sum(), [x, *norm.parameters()])
        steps.append((y.detach(), *gradients))
    return steps, {k: v.clone() for k, v in norm.named_buffers()}, norm.eval()(x).detach()


def on_a_rank():
    rank, n = dist.get_rank(), dist.get_world_size()
    found, calls, all_reduce = {}, [], dist.all_reduce
    dist.all_reduce = lambda x: (calls.append(x.numel()), all_reduce(x))
    for title, (_, _, counts, _, _) in CASES.items():
        parts = [[v.split(counts[n])[rank] for v in pair] for pair in batches(title, n)]
        found[title] = run(layer(title), parts), list(calls)
        calls.clear()
    return found


@pytest.mark.parametrize("n", [2, 4])
def test_equals_one_process_on_the_joined_batch(n):
    ranks = launch(on_a_rank, processes=n)
    for title, (*_, dtype, _) in CASES.items():
        close = lambda a, b: torch.testing.assert_close(a, b, **CLOSE[dtype], msg=lambda m: f"{title}: {m}")
        steps, buffers, evaluated = run(layer(title), batches(title, n))
        for k, (y, g_x, *g_parameters) in enumerate(steps):
            parts = [found[title][0][0][k] for found in ranks]
            close(torch.cat([part[0] for part in parts]), y)
            close(torch.cat([part[1] for part in parts]), g_x)
            for j, g in enumerate(g_parameters, 2):
                close(sum(part[j] for part in parts), g)
        for (_, kept, _), calls in (found[title] for found in ranks):
            assert kept.keys() == buffers.keys()
            for name in buffers:
                close(kept[name], buffers[name])
            evaluating = [1 + 2 * 3] * (not buffers)  # without averages evaluation needs the batch's statistics, too
            assert calls == 2 * [1 + 2 * 3, 2 * 3] + evaluating  # one message forward, one backward
        close(torch.cat([found[title][0][2] for found in ranks]), evaluated)


def test_in_a_process_alone_it_is_batch_norm():
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3).eval()))
    x = torch.randn(4, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    ours = convert(network)
    assert [type(m) for m in ours.modules()].count(SyncBatchNorm) == 2 and not ours[2][0].training
    assert ours[0].weight is not network[0].weight  # a copy
    torch.testing.assert_close(ours(x), network(x))
    assert type(convert(nn.BatchNorm1d(2))) is SyncBatchNorm
    assert ours.state_dict().keys() == network.state_dict().keys()


def test_second_derivatives_are_refused():
    norm, x = SyncBatchNorm(2), torch.randn(3, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="SyncBatchNorm has no second derivatives"):
        torch.autograd.grad(norm(x).square().sum(), x, create_graph=True)


def test_what_cannot_be_normalized():
    with pytest.raises(ValueError, match=r"must have the shape \(N, 3, ...\), got \(4, 2\)"):
        SyncBatchNorm(3)(torch.ones(4, 2))
    with pytest.raises(RankError, match="All ranks together have 1 values of each feature"):
        launch(lambda: SyncBatchNorm(3)(torch.ones(1 - dist.get_rank(), 3)))
