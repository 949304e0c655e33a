"""The pipeline on real processes against one process and torch's own, and its schedules against the formula of the bubble."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe
from torch.nn import functional as F

from course_lib.formulas.pipeline import bubble
from course_lib.parallel import launch
from course_lib.parallel.pipeline import Pipeline, gpipe, one_forward_one_backward, own_stage, timeline

SCHEDULES = {"gpipe": (gpipe, ScheduleGPipe), "1f1b": (one_forward_one_backward, Schedule1F1B)}
MICRO = 6
X = torch.randn(12, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3


def network() -> nn.Sequential:
    """Seven layers, whose widths differ, so that each stage receives another shape."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)
    ).double()


def ours(schedule) -> tuple:
    stage = own_stage(network())
    pipeline = Pipeline(stage, F.cross_entropy, micro_batches=MICRO, schedule=schedule)
    loss = pipeline.backward(X, Y)
    return loss, [p.grad for p in stage.parameters()], pipeline.most_kept


def theirs(schedule) -> tuple:
    k, n, stage, losses = dist.get_rank(), dist.get_world_size(), own_stage(network()), []
    pipeline = schedule(PipelineStage(stage, k, n, torch.device("cpu")), MICRO, loss_fn=F.cross_entropy)
    pipeline.step(*([X] if k == 0 else []), **({"target": Y, "losses": losses} if k == n - 1 else {}))
    return torch.stack(losses).mean() if losses else None, [p.grad for p in stage.parameters()]


def both() -> dict:
    with pytest.raises(ValueError, match="12 examples can't be 5 equal micro-batches"):
        Pipeline(own_stage(network()), F.cross_entropy, micro_batches=5).backward(X, Y)
    with pytest.raises(ValueError, match="1 layers can't be"):
        own_stage(nn.Sequential(nn.Linear(2, 2)))
    return {name: (ours(mine), theirs(torchs)) for name, (mine, torchs) in SCHEDULES.items()}


@pytest.fixture(scope="module", params=[2, 4])
def ranks(request) -> list[dict]:
    return launch(both, processes=request.param)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("whose", [0, 1], ids=["ours", "torch"])
def test_gradients_are_those_of_one_process(ranks, name, whose):
    alone = network()
    loss = F.cross_entropy(alone(X), Y)
    loss.backward()
    assert ranks[-1][name][whose][0].item() == pytest.approx(loss.item(), rel=1e-14)
    gradients = [g for rank in ranks for g in rank[name][whose][1]]
    for g, p in zip(gradients, alone.parameters(), strict=True):
        torch.testing.assert_close(g, p.grad, rtol=1e-12, atol=1e-14)  # micro-batches are summed in another order


def test_what_a_stage_keeps(ranks):
    p = len(ranks)
    assert [rank["gpipe"][0][2] for rank in ranks] == [MICRO] * p
    assert [rank["1f1b"][0][2] for rank in ranks] == [p - k for k in range(p)]


@pytest.mark.parametrize("schedule", [gpipe, one_forward_one_backward])
@pytest.mark.parametrize(("stages", "micro"), [(1, 3), (2, 1), (2, 5), (4, 2), (4, 8), (8, 8)])
def test_the_bubble_is_that_of_the_formula(schedule, stages, micro):
    rows = timeline(schedule, stages, micro, forward=1.0, backward=2.0)
    whole = max(end for row in rows for *_, end in row)
    for row in rows:
        assert 1 - sum(end - start for _, _, start, end in row) / whole == pytest.approx(bubble(stages, micro))
        assert all(a[3] <= b[2] for a, b in zip(row, row[1:]))  # one thing at a time
