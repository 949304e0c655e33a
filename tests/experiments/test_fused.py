"""Optimizer(fused=True) trains as Optimizer does, and as PyTorch does."""

import copy
import pickle

import pytest
import torch
from torch import nn

from course_lib.experiments import Optimizer
from course_lib.experiments import optimizer as module
from course_lib.formulas import adamw, lamb, momentum


def net(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 2)).to(dtype)


def train(model, optimizer, steps=15):
    dtype = next(model.parameters()).dtype
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :2].sin()).backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def groups(model):
    matrices, others = [p for p in model.parameters() if p.dim() > 1], [p for p in model.parameters() if p.dim() < 2]
    return [{"params": matrices, "lr": 0.01}, {"params": others}]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_it_trains_like_the_rule_and_like_pytorch(dtype, tolerance):
    models = [net(dtype) for _ in range(3)]
    optimizers = [
        Optimizer(groups(models[0]), adamw, fused=True, lr=0.02, decay=0.1),
        Optimizer(groups(models[1]), adamw, lr=0.02, decay=0.1),
        torch.optim.AdamW(groups(models[2]), lr=0.02, weight_decay=0.1),
    ]
    ours, plain, theirs = (train(*pair) for pair in zip(models, optimizers, strict=True))
    torch.testing.assert_close(ours, plain, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_all_parameters_of_a_group_in_one_call(monkeypatch):
    calls, real = [], module.numba_update.apply
    monkeypatch.setattr(
        module.numba_update,
        "apply",
        lambda update, rows, hyper, t: calls.append(len(rows)) or real(update, rows, hyper, t),
    )
    model = net()
    train(model, Optimizer(groups(model), momentum, fused=True, lr=0.1), steps=2)
    assert calls == [2, 4, 2, 4]


def test_what_it_cannot_take_is_updated_all_the_same():
    def parameters():
        torch.manual_seed(0)
        return [
            nn.Parameter(torch.randn(3, 4).T),
            nn.Parameter(torch.randn(5, dtype=torch.bfloat16)),
            nn.Parameter(torch.randn(2)),
            nn.Parameter(torch.randn(2)),
        ]

    def stepped(**options):
        ps = parameters()
        optimizer = Optimizer(ps, momentum, lr=0.1, **options)
        for _ in range(3):
            for p in ps[:3]:  # the last one has no gradient
                p.grad = torch.cos(p.detach())
            optimizer.step()
        return ps

    for a, b in zip(stepped(fused=True), stepped(), strict=True):
        torch.testing.assert_close(a, b)


def test_autograd_sees_that_parameters_changed():
    w = nn.Parameter(torch.ones(3))
    loss = (w**2).sum()
    w.grad = torch.ones(3)
    Optimizer([w], momentum, fused=True, lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_state_dict_copy_and_pickle():
    model = net()
    optimizer = Optimizer(model.parameters(), adamw, fused=True, lr=0.02)
    train(model, optimizer, 3)
    twin = net()
    twin.load_state_dict(model.state_dict())
    other = Optimizer(twin.parameters(), adamw, fused=True, lr=0.02)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    torch.testing.assert_close(train(model, optimizer, 3), train(twin, other, 3), rtol=0, atol=0)
    assert pickle.loads(pickle.dumps(optimizer)).fused == optimizer.fused


def test_a_rule_that_cannot_be_fused():
    with pytest.raises(ValueError, match="lamb lets one parameter feel another"):
        Optimizer(net().parameters(), lamb, fused=True)
