"""Optimizer at its edges: complex parameters, schedulers that cycle the momentum, names of groups, and what is refused."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from course_lib.experiments import Optimizer
from course_lib.formulas import RULES, adam, gradient_descent, momentum, sgd

CYCLES = {
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=41),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=5),
}


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 2)).double()


def train(model, optimizer, steps=40, scheduler=None):
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :2].sin()).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


# Complex parameters


@pytest.mark.parametrize(
    "rule, twin", [(adam, torch.optim.Adam), (RULES["adagrad_torch"], torch.optim.Adagrad), (sgd, torch.optim.SGD)]
)
def test_complex_parameters_are_pairs_of_real_numbers(rule, twin):
    options = {"lr": 0.1} | ({"momentum": 0.9} if rule is sgd else {})
    start = torch.tensor([1.0 + 2.0j, -0.5 - 1.0j, 3.0], dtype=torch.complex128)
    mine, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    pairs = (mine, Optimizer([mine], rule, **options)), (theirs, twin([theirs], **options))
    for _ in range(5):
        for p, optimizer in pairs:
            optimizer.zero_grad()
            ((p - 1).abs() ** 2 * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
            optimizer.step()
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    assert mine.isfinite().all() and (mine - start).abs().min() > 1e-3


# Schedulers that cycle the momentum


@pytest.mark.parametrize("name", ["OneCycleLR", "CyclicLR"])
@pytest.mark.parametrize("fused", [False, True])
def test_schedulers_cycle_beta1(name, fused):
    a, b = net(), net()
    mine, twin = Optimizer(a.parameters(), adam, fused=fused, lr=0.01), torch.optim.Adam(b.parameters(), lr=0.01)
    cycles, cycled = CYCLES[name](mine), CYCLES[name](twin)
    seen = set()
    for _ in range(15):
        assert_same(train(a, mine, 1, cycles), train(b, twin, 1, cycled))
        group = mine.param_groups[0]
        assert (group["lr"], group["betas"]) == (twin.param_groups[0]["lr"], twin.param_groups[0]["betas"])
        assert group["betas"] == (group["beta1"], group["beta2"])
        seen.add(group["beta1"])
    assert len(seen) > 5


def test_betas_live_through_saving_and_copies():
    model = net()
    optimizer = Optimizer(model.parameters(), adam)
    scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=40)
    train(model, optimizer, 3, scheduler)
    other = Optimizer(net().parameters(), adam)
    other.load_state_dict(optimizer.state_dict())
    for copied in (other, copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        group = copied.param_groups[0]
        assert group["betas"] == optimizer.param_groups[0]["betas"] != (0.9, 0.999)
        group["betas"] = (0.5, 0.6)
        assert (group["beta1"], group["beta2"]) == (0.5, 0.6)
    assert "betas" not in optimizer.state_dict()["param_groups"][0]


def test_a_rule_without_betas_has_none():
    optimizer = Optimizer([nn.Parameter(torch.ones(1))], gradient_descent)
    assert "betas" not in optimizer.defaults and "betas" not in optimizer.param_groups[0]
    with pytest.raises(KeyError):
        optimizer.param_groups[0]["betas"]


def test_a_group_may_have_a_name():
    a, b = net(), net()
    groups = lambda m: [{"params": m[0].parameters(), "name": "first"}, {"params": m[3].parameters(), "lr": 0.01}]
    mine, twin = Optimizer(groups(a), sgd, lr=0.05), torch.optim.SGD(groups(b), lr=0.05, momentum=0.9)
    assert_same(train(a, mine), train(b, twin))
    assert mine.param_groups[0]["name"] == "first"
    other = Optimizer(groups(net()), sgd)
    other.load_state_dict(mine.state_dict())
    assert other.param_groups[0]["name"] == "first"


# What it refuses


@pytest.mark.parametrize(
    "saver",
    [
        lambda m: Optimizer(m.parameters(), adam),
        lambda m: torch.optim.Adam(m.parameters()),
        lambda m: Optimizer(m.parameters(), momentum),  # the same hyperparameters, another state
    ],
)
def test_a_state_dict_of_another_rule_is_refused(saver):
    model = net()
    saving = saver(model)
    train(model, saving, 2)
    mine = Optimizer(model.parameters(), sgd, lr=0.05)
    train(model, mine, 1)
    before = copy.deepcopy(mine.state_dict())
    with pytest.raises(ValueError, match=r"saved by another rule: .* sgd has \(lr, momentum\) and \(t, b\)\."):
        mine.load_state_dict(saving.state_dict())
    assert mine.state_dict()["param_groups"] == before["param_groups"]


def test_the_state_dict_of_an_untouched_optimizer_is_loaded():
    mine = Optimizer(net().parameters(), sgd)
    mine.load_state_dict(Optimizer(net().parameters(), sgd, lr=0.7).state_dict())
    assert mine.param_groups[0]["lr"] == 0.7 and not mine.state


@pytest.mark.parametrize(
    "lr, said",
    [
        ("0.1", "got '0.1'."),
        (True, "got True."),
        (None, "got None."),
        ([0.1, 0.2], "got 2 of them"),
        (0.1 + 0j, "got (0.1+0j)."),
        (torch.tensor(0.1, requires_grad=True), "lr requires a gradient"),
        (torch.tensor([0.1, 0.2]), "got 2 of them"),
    ],
)
def test_a_hyperparameter_is_a_number(lr, said):
    with pytest.raises(TypeError) as error:
        Optimizer([nn.Parameter(torch.ones(2))], sgd, lr=lr)
    assert said in str(error.value) and str(error.value).startswith("lr ")


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_that_fails_changes_nothing(fused):
    model = nn.ModuleList([nn.Linear(3, 2), nn.Embedding(5, 2, sparse=True)])
    optimizer = Optimizer(model.parameters(), adam, fused=fused)
    (model[0](torch.ones(3)).sum() + model[1](torch.tensor([1])).sum()).backward()
    before = copy.deepcopy(list(model.parameters()))
    with pytest.raises(RuntimeError, match="got a sparse one"):
        optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert not any(optimizer.state.values())


def test_a_rule_that_fails_at_one_parameter_changes_no_other():
    def of_matrices(w, g, t, m=0.0, *, lr=0.1):
        return w - lr * g @ torch.ones(2, 2), m + g

    square, odd = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(3, 3))
    square.grad, odd.grad = torch.ones(2, 2), torch.ones(3, 3)
    optimizer = Optimizer([square, odd], of_matrices)
    with pytest.raises(RuntimeError):
        optimizer.step()
    assert torch.equal(square.detach(), torch.ones(2, 2)) and not any(optimizer.state.values())
