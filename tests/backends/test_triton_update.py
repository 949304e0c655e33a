"""An update in one kernel does to every parameter what the rule, Numba's update and PyTorch's own optimizer do."""

import re

import pytest
import torch
from rule_reading import COUPLED
from torch import nn

from course_lib.backends import generated, numba_update, triton_update
from course_lib.backends.update import trace_update
from course_lib.experiments import Optimizer
from course_lib.experiments import optimizer as module
from course_lib.formulas import RULES, adam, adamw, momentum, radam
from course_lib.formulas.signature import signature, step

ALONE = [pytest.param(rule, id=name) for name, rule in RULES.items() if name not in COUPLED]
SIZES = (3, 0, triton_update.SIZE + 77, 1, triton_update.SIZE)


def rows(rule, dtype):
    """Tensors (parameter, gradient, *states) at t = 0."""
    generator, own = torch.Generator().manual_seed(0), signature(rule)
    for size in SIZES:
        p, g = torch.randn(2, size, generator=generator, dtype=torch.float64).to(dtype)
        yield [p.clone(), g.clone(), *own.initial(p, own.hyper).values()]


def by_the_rule(rule, tensors, t):
    p, g, *state = tensors
    new, state = step(rule, p, g, t, state, signature(rule).hyper)
    return [new, g, *(torch.as_tensor(x).expand(p.shape) for x in state)]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["float64", "float32"]
)
@pytest.mark.parametrize("rule", ALONE)
def test_every_rule(rule, dtype, tolerance, interpreter):
    ours, update = list(rows(rule, dtype)), trace_update(rule)
    theirs = [[x.clone() for x in row] for row in ours]
    for t in range(1, 4):
        triton_update.apply(update, ours, list(signature(rule).hyper.values()), t)
        theirs = [by_the_rule(rule, row, t) for row in theirs]
        for mine, its in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, its, rtol=tolerance, atol=tolerance)
            mine[1].copy_(torch.sin(3 * mine[0] + t))  # the next gradient
            its[1] = mine[1].clone()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_as_on_the_cpu(dtype, interpreter):
    ours, update, hyper = list(rows(adamw, dtype)), trace_update(adamw), list(signature(adamw).hyper.values())
    theirs = [[x.clone() for x in row] for row in ours]
    for t in (1, 2, 3):
        triton_update.apply(update, ours, hyper, t)
        numba_update.apply(update, theirs, hyper, t)
    near = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(ours, theirs, rtol=near, atol=near)


def net(dtype):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.LayerNorm(7), nn.Linear(7, 1, bias=False)).to(dtype)


def groups(model):
    matrices, others = ([p for p in model.parameters() if (p.dim() > 1) is deep] for deep in (True, False))
    return [{"params": matrices, "lr": 0.01}, {"params": others}]


def train(model, optimizer, steps=8):
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(next(model.parameters()))
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :1].sin()).backward()
        optimizer.step()
    return [p.detach() for p in model.parameters()]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["float64", "float32"]
)
def test_it_trains_as_pytorch_does(dtype, tolerance, interpreter, monkeypatch):
    calls, real = [], triton_update.apply
    monkeypatch.setattr(
        triton_update, "apply", lambda update, rows, hyper, t: calls.append(len(rows)) or real(update, rows, hyper, t)
    )
    monkeypatch.setitem(module.FUSED, "cpu", triton_update)
    triton_update.takes.cache_clear()
    ours, theirs = net(dtype), net(dtype)
    ours = train(ours, Optimizer(groups(ours), adamw, fused=True, lr=0.02, decay=0.1))
    triton_update.takes.cache_clear()
    assert calls == [2, 3] * 8  # all parameters of a group in one launch
    theirs = train(theirs, torch.optim.AdamW(groups(theirs), lr=0.02, weight_decay=0.1))
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)], ids=["float64", "float32"]
)
def test_it_trains_on_a_gpu_as_pytorch_does(dtype, tolerance, triton_installed):
    ours, theirs = net(dtype).cuda(), net(dtype).cuda()
    ours = train(ours, Optimizer(groups(ours), adamw, fused=True, lr=0.02, decay=0.1))
    theirs = train(theirs, torch.optim.AdamW(groups(theirs), lr=0.02, weight_decay=0.1, fused=True))
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_what_the_kernel_cannot_take_is_updated_all_the_same(monkeypatch):
    monkeypatch.setitem(module.FUSED, "cpu", triton_update)
    monkeypatch.setattr(triton_update, "takes", lambda device: False)
    ours, theirs = net(torch.float64), net(torch.float64)
    ours, theirs = (
        train(ours, Optimizer(groups(ours), adamw, fused=True, lr=0.02)),
        train(theirs, Optimizer(groups(theirs), adamw, lr=0.02)),
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_what_is_alike_is_computed_in_float64_before():
    update = trace_update(adam)
    text = triton_update.source(update, "float32")
    assert text.count("scalar_") >= 2 * len(update.read) and "pow(" not in text
    assert set(trace_update(momentum).read) >= {"lr", "momentum"}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("rule", [adamw, radam])
def test_it_compiles_for_a_gpu_and_passes_once_over_the_memory(rule, precision, machine_code):
    update = trace_update(rule)
    wide = precision.removeprefix("float")
    kinds = {"addresses": "*i64", "chunks": "*i64"} | {f"scalar_{j}": "i" + wide for j in range(len(update.read))}
    ptx, used = machine_code(
        generated.load(triton_update.source(update, precision), "triton"),
        kinds,
        triton_update.SIZE,
        precision == "float32",
    )
    assert used["STACK"] == used["LOCAL"] == used["SHARED"] == 0
    each = triton_update.SIZE // 128
    loads, stores = (
        sum(int(n or 1) for n in re.findall(rf"\b{kind}\.global(?:\.v(\d))?\.b{wide}\b", ptx)) for kind in ("ld", "st")
    )
    places = 0 if wide == "32" else len(update.inputs) + 3  # the table has numbers of 64 bits, too
    assert (loads - places, stores) == (each * len(update.inputs), each * len(update.outputs))
