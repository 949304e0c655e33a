"""Schedules as schedulers: PyTorch's rates for every optimizer and group, and resuming that cannot go wrong."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LinearLR, OneCycleLR, SequentialLR, StepLR

from course_lib.experiments import Optimizer
from course_lib.experiments.schedule import as_scheduler
from course_lib.formulas import adam, momentum
from course_lib.formulas.schedules import SCHEDULES, cosine, step, warm_restarts, warmup

MAKERS = {
    "SGD": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9),
    "AdamW": lambda groups: torch.optim.AdamW(groups, lr=0.1),
    "capturable": lambda groups: torch.optim.Adam(groups, lr=torch.tensor(0.1)),
    "momentum": lambda groups: Optimizer(groups, momentum, lr=0.1),
    "adam": lambda groups: Optimizer(groups, adam, lr=0.1),
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def groups(model: nn.Module) -> list[dict]:
    return [{"params": model[0].parameters(), "lr": 0.03}, {"params": model[2].parameters()}]


def train(model, optimizer, scheduler, steps: int) -> list[list[float]]:
    """The groups' rates in each of the steps."""
    rates = []
    for _ in range(steps):
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.zero_grad()
        model(torch.ones(5, 3)).square().mean().backward()
        optimizer.step()
        scheduler.step()
    return rates


def same(rates, right) -> None:
    torch.testing.assert_close(torch.tensor(rates), torch.tensor(right), rtol=1e-6, atol=1e-8)  # a tensor lr is float32


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_each_group_has_pytorchs_rates(make):
    ours, theirs = network(), network()
    optimizer, other = make(groups(ours)), MAKERS["SGD"](groups(theirs))
    rates = train(ours, optimizer, as_scheduler(warm_restarts, optimizer, T_0=3, T_mult=2), 25)
    same(rates, train(theirs, other, CosineAnnealingWarmRestarts(other, 3, 2), 25))


def test_a_warmup_is_a_schedule_like_any_other():
    ours, theirs = network(), network()
    optimizer, other = (MAKERS["SGD"](groups(x)) for x in (ours, theirs))
    rates = train(ours, optimizer, as_scheduler(warmup(step, 4, 0.1), optimizer, every=5), 20)
    parts = [LinearLR(other, 0.1, total_iters=4), StepLR(other, 5)]
    same(rates, train(theirs, other, SequentialLR(other, parts, [4]), 20))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("first", ["optimizer", "scheduler"])
def test_a_resumed_run_goes_on_bit_for_bit(name, first):
    """Through a file, and whichever of the two state_dicts is loaded first."""
    schedule = warmup(SCHEDULES[name], 5)
    model = network()
    optimizer = MAKERS["AdamW"](groups(model))
    scheduler = as_scheduler(schedule, optimizer)
    train(model, optimizer, scheduler, 13)
    file = io.BytesIO()
    torch.save([x.state_dict() for x in (model, optimizer, scheduler)], file)
    rest = train(model, optimizer, scheduler, 20)

    file.seek(0)
    again = network()
    states = torch.load(file, weights_only=True)
    again.load_state_dict(states[0])
    made = MAKERS["AdamW"](groups(again))
    if first == "optimizer":
        made.load_state_dict(states[1])
    resumed = as_scheduler(schedule, made)
    resumed.load_state_dict(states[2])
    if first == "scheduler":
        made.load_state_dict(states[1])
    assert train(again, made, resumed, 20) == rest
    assert all(map(torch.equal, again.parameters(), model.parameters()))


@pytest.mark.parametrize("taken", [0, 1, 12, 10_000])
def test_it_begins_at_any_step_without_a_state(taken):
    model = network()
    optimizer = MAKERS["SGD"](groups(model))
    rates = train(model, optimizer, as_scheduler(warm_restarts, optimizer, t=taken, T_0=3), 4)
    same(rates, [[warm_restarts(taken + k, lr=lr, T_0=3) for lr in (0.03, 0.1)] for k in range(4)])


# What PyTorch does: the page says so


def resumed_wrongly(make) -> tuple[list[float], list[float]]:
    """Rates 10 to 13 of a run, and those of one that is resumed after 10 steps: optimizer first, then a new scheduler."""
    model = network()
    optimizer = MAKERS["SGD"](model.parameters())
    scheduler = make(optimizer)
    train(model, optimizer, scheduler, 10)
    states = copy.deepcopy([optimizer.state_dict(), scheduler.state_dict()])
    right = train(model, optimizer, scheduler, 4)
    again = MAKERS["SGD"](model.parameters())
    again.load_state_dict(states[0])
    resumed = make(again)
    resumed.load_state_dict(states[1])
    return [x for (x,) in train(model, again, resumed, 4)], [x for (x,) in right]


def test_a_scheduler_of_pytorchs_that_is_made_after_loading_the_optimizer_has_wrong_rates():
    """LinearLR for good, warm restarts and one-cycle for a step: what issue #65342 reports of others."""
    got, right = resumed_wrongly(lambda o: LinearLR(o, 0.1, total_iters=50))
    assert got[0] == pytest.approx(0.1 * right[0]) and all(x < 0.2 * y for x, y in zip(got, right))
    for make in (lambda o: CosineAnnealingWarmRestarts(o, 7, 2), lambda o: OneCycleLR(o, 0.1, 100)):
        got, right = resumed_wrongly(make)
        assert abs(got[0] / right[0] - 1) > 0.1 and got[1:] == pytest.approx(right[1:])


def test_last_epoch_is_one_less_than_the_steps_taken():
    rates = {}
    for last in (9, 10):
        optimizer = torch.optim.SGD([{"params": [torch.zeros(1)], "initial_lr": 0.1}], lr=0.1)
        CosineAnnealingWarmRestarts(optimizer, 50, last_epoch=last)  # an AttributeError once (#49630, #52236)
        rates[last] = optimizer.param_groups[0]["lr"]
    assert rates[9] == pytest.approx(warm_restarts(10, lr=0.1, T_0=50), rel=1e-14)
    assert rates[10] == pytest.approx(warm_restarts(11, lr=0.1, T_0=50), rel=1e-14)


# Bad input


def test_what_it_cannot_take_is_said_in_a_sentence():
    optimizer = MAKERS["SGD"](groups(network()))
    for call, error, words in (
        (lambda: as_scheduler(cosine, optimizer, lr=0.2), TypeError, "cosine takes its lr from the optimizer's parameter groups. Set it there: lr=0.2."),
        (lambda: as_scheduler(cosine, optimizer, T_max=9), TypeError, "cosine has no `T_max`. It has: lr, total, floor."),
        (lambda: as_scheduler(cosine, optimizer, total=0), ValueError, "cosine's total must be at least 1 and finite, got 0.0."),
        (lambda: as_scheduler(cosine, optimizer, total="9"), TypeError, "total"),
        (lambda: as_scheduler(cosine, optimizer, t=-1), ValueError, "t must be a whole number from 0, got -1."),
        (lambda: as_scheduler(0.1, optimizer), TypeError, "function"),
        (lambda: as_scheduler(cosine, network()), TypeError, "Optimizer"),
    ):  # fmt: skip
        with pytest.raises(error) as refused:
            call()
        assert words in str(refused.value)


def test_a_state_of_something_else_is_refused():
    optimizer = MAKERS["SGD"](groups(network()))
    scheduler = as_scheduler(cosine, optimizer)
    with pytest.raises(ValueError, match="saved by another scheduler: it has step_size, gamma"):
        scheduler.load_state_dict(StepLR(optimizer, 3).state_dict())
    one = as_scheduler(cosine, MAKERS["SGD"](network().parameters()))
    with pytest.raises(ValueError, match="is of 1 parameter groups, and the optimizer has 2"):
        scheduler.load_state_dict(one.state_dict())
