"""Optimizer: a rule with everything that PyTorch has around optimizers, on a real network, beside its twin in torch.optim."""

import copy
import io
import math
import pickle

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from course_lib.experiments import Optimizer
from course_lib.formulas import gradient_descent, momentum, nesterov, sgd

TWINS = [
    pytest.param((gradient_descent, {"lr": 0.3}), {"lr": 0.3}, id="gradient_descent"),
    pytest.param((momentum, {"lr": 0.5, "momentum": 0.9}), {"lr": 0.5 * (1 - 0.9), "momentum": 0.9}, id="momentum"),
    pytest.param((sgd, {"lr": 0.05, "momentum": 0.9}), {"lr": 0.05, "momentum": 0.9}, id="sgd"),
    pytest.param(
        (nesterov, {"lr": 0.05, "momentum": 0.9}), {"lr": 0.05, "momentum": 0.9, "nesterov": True}, id="nesterov"
    ),
]
SCHEDULERS = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 5, 0.5),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 30),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=41),  # cycles the momentum, too
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=5),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, 1.0, 5), lr_scheduler.ExponentialLR(o, 0.9)], [5]
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=0.05),
}


def net(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 2)).to(dtype)


def data(dtype=torch.float64):
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x.to(dtype), torch.stack([x[:, 0] * x[:, 1], x.sum(1).sin()], 1).to(dtype)


def train(model, optimizer, steps=40, scheduler=None, set_to_none=True):
    x, y = data(next(model.parameters()).dtype)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=set_to_none)
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step(*[loss.item()] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else [])
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("ours, theirs", TWINS)
def test_trains_a_network_as_torch_optim_does(ours, theirs, set_to_none):
    a, b = net(), net()
    rule, hyper = ours
    trained = train(a, Optimizer(a.parameters(), rule, **hyper), set_to_none=set_to_none)
    assert_same(trained, train(b, torch.optim.SGD(b.parameters(), **theirs)))
    assert (trained - torch.cat([p.flatten() for p in net().parameters()])).abs().max() > 0.01


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_work_as_with_torch_optim(name):
    a, b = net(), net()
    mine, twin = (
        Optimizer(a.parameters(), sgd, lr=0.05, momentum=0.9),
        torch.optim.SGD(b.parameters(), lr=0.05, momentum=0.9),
    )
    trained = train(a, mine, scheduler=SCHEDULERS[name](mine))
    assert_same(trained, train(b, twin, scheduler=SCHEDULERS[name](twin)))
    assert mine.param_groups[0]["lr"] == twin.param_groups[0]["lr"] != 0.05
    assert mine.param_groups[0]["momentum"] == twin.param_groups[0]["momentum"]


def test_parameter_groups_have_hyperparameters_of_their_own():
    a, b = net(), net()
    groups = lambda m: [{"params": m[0].parameters(), "lr": 0.01}, {"params": m[3].parameters(), "momentum": 0.5}]
    mine, twin = Optimizer(groups(a), sgd, lr=0.1), torch.optim.SGD(groups(b), lr=0.1, momentum=0.9)
    mine.add_param_group({"params": a[2].parameters(), "lr": 0.2})
    twin.add_param_group({"params": b[2].parameters(), "lr": 0.2})
    assert [(g["lr"], g["momentum"]) for g in mine.param_groups] == [(0.01, 0.9), (0.1, 0.5), (0.2, 0.9)]
    assert_same(train(a, mine), train(b, twin))


def test_named_parameters_keep_their_names():
    model = net()
    optimizer = Optimizer(model.named_parameters(), sgd)
    assert optimizer.param_groups[0]["param_names"] == [name for name, _ in model.named_parameters()]


def test_frozen_and_unused_parameters_stay():
    a, b = net(), net()
    for m in (a, b):
        m[0].weight.requires_grad_(False)
    mine = Optimizer([*a.parameters(), nn.Parameter(torch.ones(2))], sgd, lr=0.05)
    assert_same(train(a, mine), train(b, torch.optim.SGD(b.parameters(), lr=0.05, momentum=0.9)))
    assert torch.equal(a[0].weight, net()[0].weight)
    assert len(mine.state) == 5 and mine.param_groups[0]["params"][0] not in mine.state


def test_a_gradient_that_comes_late_starts_at_step_1():
    seen = []

    def counts(w, g, t, *, lr=0.1):
        seen.append(t)
        return w - lr * g

    early, late = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = Optimizer([early, late], counts)
    for k in range(3):
        early.grad, late.grad = torch.ones(1), torch.ones(1) if k else None
        optimizer.step()
    assert seen == [1, 2, 1, 3, 2]


def test_tied_weights_are_updated_once():
    def tied():
        torch.manual_seed(0)
        a, b = nn.Linear(3, 3, dtype=torch.float64), nn.Linear(3, 2, dtype=torch.float64)
        model = nn.Sequential(a, nn.Tanh(), nn.Linear(3, 3, dtype=torch.float64), b)
        model[2].weight = model[0].weight
        return model

    a, b = tied(), tied()
    assert_same(
        train(a, Optimizer(a.parameters(), sgd, lr=0.05)),
        train(b, torch.optim.SGD(b.parameters(), lr=0.05, momentum=0.9)),
    )
    assert a[2].weight is a[0].weight


@pytest.mark.parametrize("by", ["memory", "file", "pickle", "deepcopy"])
def test_resumes_bit_for_bit(by):
    model, whole = net(), net()
    straight = train(whole, Optimizer(whole.parameters(), momentum, lr=0.5), 30)
    optimizer = Optimizer(model.parameters(), momentum, lr=0.5)
    train(model, optimizer, 12)
    if by == "pickle":
        model, optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    elif by == "deepcopy":
        model, optimizer = copy.deepcopy((model, optimizer))
    else:
        saved = optimizer.state_dict()
        if by == "file":
            buffer = io.BytesIO()
            torch.save(saved, buffer)
            saved = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
        other = net(seed=5)
        other.load_state_dict(model.state_dict())
        model, optimizer = other, Optimizer(other.parameters(), momentum, lr=123.0)
        optimizer.load_state_dict(saved)
    assert torch.equal(train(model, optimizer, 18), straight)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_state_dict_holds_the_rules_state_by_name():
    model = net()
    optimizer = Optimizer(model.parameters(), momentum)
    train(model, optimizer, 3)
    saved = optimizer.state_dict()
    assert saved["state"][0].keys() == {"t", "delta"} and saved["state"][0]["t"] == 3
    assert {k: v for k, v in saved["param_groups"][0].items() if k != "params"} == {"lr": 0.1, "momentum": 0.9}


def test_a_closure_gives_the_loss_and_is_called_once_with_gradients_on():
    p, calls = nn.Parameter(torch.tensor([2.0])), []

    def closure():
        calls.append(torch.is_grad_enabled())
        loss = (p**2).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        loss = Optimizer([p], gradient_descent, lr=0.25).step(closure)
    assert (loss.item(), calls, p.item()) == (4.0, [True], 1.0)
    assert Optimizer([p], gradient_descent).step() is None


@pytest.mark.parametrize("context", [torch.no_grad, torch.enable_grad])
def test_leaves_no_graph_behind(context):
    model = net()
    optimizer = Optimizer(model.parameters(), momentum)
    x, y = data()
    nn.functional.mse_loss(model(x), y).backward()
    with context():
        optimizer.step()
    assert [p for p in model.parameters() if not (p.is_leaf and p.requires_grad and p.grad_fn is None)] == []
    assert not any(s["delta"].requires_grad for s in optimizer.state.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keeps_the_dtype_of_the_parameters(dtype):
    model = net(dtype=dtype)
    optimizer = Optimizer(model.parameters(), momentum, lr=0.5)
    trained = train(model, optimizer, 10)
    assert trained.dtype == dtype and trained.isfinite().all()
    assert {s["delta"].dtype for s in optimizer.state.values()} == {dtype}
    twin = net(dtype=dtype)
    expected = train(twin, torch.optim.SGD(twin.parameters(), lr=0.5 * (1 - 0.9), momentum=0.9), 10)
    torch.testing.assert_close(trained, expected, rtol=0, atol={torch.float32: 1e-5, torch.bfloat16: 0.05}[dtype])


def test_a_learning_rate_may_be_a_tensor():
    a, b = net(), net()
    mine, twin = Optimizer(a.parameters(), sgd, lr=torch.tensor(0.05)), Optimizer(b.parameters(), sgd, lr=0.05)
    scheduler = lr_scheduler.StepLR(mine, 10, 0.5), lr_scheduler.StepLR(twin, 10, 0.5)
    torch.testing.assert_close(
        train(a, mine, scheduler=scheduler[0]), train(b, twin, scheduler=scheduler[1]), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("keeps", ["w", "g", "a view of g"])
def test_a_state_that_is_the_old_w_or_g_is_kept_from_later_changes(keeps):
    def remembers(w, g, t, old=0.0, *, lr=0.1):
        return w - lr * (g + old), {"w": w, "g": g, "a view of g": g.view(-1)}[keeps]

    p, q = nn.Parameter(torch.tensor([1.0, 2.0])), torch.tensor([1.0, 2.0])
    optimizer, old = Optimizer([p], remembers), torch.zeros(2)
    for k in range(4):
        optimizer.zero_grad(set_to_none=False)
        (p**2).sum().backward()
        optimizer.step()
        g = 2 * q
        q, old = q - 0.1 * (g + old), q if keeps == "w" else g
        assert torch.equal(p.detach(), q), f"after step {k + 1}"


ERRORS = [
    (TypeError, {"maximize": True}, "Unknown hyperparameter `maximize`: sgd has (lr, momentum)."),
    (TypeError, {"weight_decay": 0.1}, "Unknown hyperparameter `weight_decay`: sgd has"),
    (ValueError, {"lr": -0.1}, "sgd's lr must be at least 0 and finite, got -0.1."),
    (ValueError, {"lr": math.nan}, "got nan."),
    (ValueError, {"momentum": 1.0}, "sgd's momentum must be at least 0 and below 1, got 1.0."),
    (ValueError, {"lr": torch.tensor(-1.0)}, "got -1.0."),
]


@pytest.mark.parametrize("kind, hyper, sentence", ERRORS)
@pytest.mark.parametrize("where", ["arguments", "group", "added group"])
def test_wrong_hyperparameters_are_named(kind, hyper, sentence, where):
    parameters = [nn.Parameter(torch.ones(2))]
    with pytest.raises(kind) as error:
        if where == "arguments":
            Optimizer(parameters, sgd, **hyper)
        elif where == "group":
            Optimizer([{"params": parameters} | hyper], sgd)
        else:
            Optimizer([nn.Parameter(torch.ones(1))], sgd).add_param_group({"params": parameters} | hyper)
    assert sentence in str(error.value)


def test_a_sparse_gradient_is_an_error():
    embedding = nn.Embedding(5, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match=r"sgd takes dense gradients, got a sparse one. Use sparse=False"):
        Optimizer(embedding.parameters(), sgd).step()


@pytest.mark.parametrize(
    "rule, sentence",
    [
        (lambda w, g, t, m=0.0: w, "its signature promises 2"),
        (lambda w, g, t: w.sum(), "returned a w of the shape ()"),
        (lambda w, g, t: None, "returned a w of the type NoneType"),
    ],
)
def test_a_rule_that_breaks_its_promise_changes_nothing(rule, sentence):
    p = nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    with pytest.raises(TypeError) as error:
        Optimizer([p], rule).step()
    assert sentence in str(error.value)
    assert torch.equal(p.detach(), torch.ones(2))
