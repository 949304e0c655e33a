"""Muon against torch.optim.Muon: its own code in float64 to the last digits, as it is (in bfloat16) within a stated distance."""

import copy

import pytest
import torch
from torch import nn
from torch.func import vmap

from course_lib.experiments import Optimizer
from course_lib.formulas import MATRIX_RULES, RULES, adamw, muon
from course_lib.formulas.matrices import orthogonal
from course_lib.formulas.signature import signature, step

SHAPES = [(4, 4), (8, 3), (3, 8), (1, 5), (64, 10)]
SETTINGS = [{"lr": 0.02, "momentum": 0.95, "decay": 0.1}, {"lr": 0.1, "momentum": 0.0, "decay": 0.0}]
BFLOAT16 = 0.1  # of the length of a step: how far rounding to 8 bits may move it; usually a fifth of that


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def in_float64(monkeypatch):
    """PyTorch's Muon without its rounding to bfloat16."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)


def ours(w, gradients, **hyper):
    m, path = torch.zeros_like(w), [w]
    for t, g in enumerate(gradients, 1):
        w, m = muon(w, g, t, m, **hyper)
        path.append(w)
    return torch.stack(path)


def theirs(w, gradients, lr, momentum, decay):
    p = w.clone().requires_grad_()
    optimizer, path = torch.optim.Muon([p], lr=lr, momentum=momentum, weight_decay=decay), [w]
    for g in gradients:
        p.grad = g.clone()
        optimizer.step()
        path.append(p.detach().clone())
    return torch.stack(path)


@pytest.mark.parametrize("hyper", SETTINGS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_torchs_own_code_in_float64(in_float64, shape, hyper):
    w, gradients = random(*shape), random(30, *shape, seed=1)
    torch.testing.assert_close(ours(w, gradients, **hyper), theirs(w, gradients, **hyper), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("hyper", SETTINGS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bfloat16_moves_each_step_little(shape, hyper):
    w, gradients = random(*shape), random(30, *shape, seed=1)
    steps, rounded = (path(w, gradients, **hyper | {"decay": 0.0}).diff(dim=0).flatten(1) for path in (ours, theirs))
    distance = (steps - rounded).norm(dim=1) / steps.norm(dim=1)
    assert 1e-3 < distance.median() < BFLOAT16 / 4 and distance.max() < BFLOAT16


@pytest.mark.parametrize("shape", [(20, 20), (40, 10), (10, 40)], ids=str)
def test_what_orthogonal_does_to_singular_values(shape):
    U, _, Vh = torch.linalg.svd(random(*shape), full_matrices=False)
    sizes = torch.logspace(0, -2, min(shape), dtype=torch.float64)
    got = orthogonal(U @ sizes.diag() @ Vh)
    inside = U.mT @ got @ Vh.mT
    assert (inside - inside.diag().diag()).abs().max() < 1e-12  # the directions stay
    kept = sizes > sizes.norm() / 500
    assert kept.all() and 0.68 < inside.diag().min() and inside.diag().max() < 1.21
    torch.testing.assert_close(
        orthogonal(1e3 * (U @ sizes.diag() @ Vh)), got, rtol=1e-9, atol=1e-12
    )  # the gradient's size does not count


def test_the_band_of_the_docstring():
    for size in (1 / 500, 1 / 100, 0.1, 0.5):
        rest = (1 - size**2) ** 0.5
        values = orthogonal(torch.tensor([[size, 0.0], [0.0, rest]], dtype=torch.float64)).diag()
        assert 0.68 < values.min() and values.max() < 1.21
    assert orthogonal(torch.tensor([[1 / 2000, 0.0], [0.0, 1.0]], dtype=torch.float64))[0, 0] < 0.3


def test_zero_gradients_and_other_shapes():
    w = random(3, 2)
    assert torch.equal(muon(w, torch.zeros_like(w), 1, torch.zeros_like(w), decay=0.0)[0], w)
    for shape in ((), (3,), (2, 2, 2)):
        with pytest.raises(ValueError, match=r"values to unpack \(expected 2"):
            muon(random(*shape), random(*shape), 1)


def test_is_a_rule_for_matrices_alone():
    assert MATRIX_RULES == {"muon": muon} and "muon" not in RULES
    assert signature(muon).hyper == {"lr": 1e-3, "momentum": 0.95, "decay": 0.1}
    w, g = random(7, 4, 3), random(7, 4, 3, seed=1)
    rates = torch.linspace(0.01, 0.1, 7, dtype=torch.float64)
    together, _ = vmap(lambda w, g, lr: step(muon, w, g, 1, (torch.zeros_like(w),), {"lr": lr}))(w, g, rates)
    for k in range(7):
        torch.testing.assert_close(together[k], muon(w[k], g[k], 1, lr=rates[k])[0], rtol=1e-12, atol=1e-12)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)).double()


def test_trains_the_matrices_of_a_network_while_another_rule_trains_the_rest(in_float64):
    model = network()
    twin = copy.deepcopy(model)
    split = lambda model: (
        [p for p in model.parameters() if p.dim() == 2],
        [p for p in model.parameters() if p.dim() < 2],
    )
    (matrices, rest), (their_matrices, their_rest) = split(model), split(twin)
    pairs = [
        (model, (Optimizer(matrices, muon, lr=0.02), Optimizer(rest, adamw, lr=0.01))),
        (twin, (torch.optim.Muon(their_matrices, lr=0.02), torch.optim.AdamW(their_rest, lr=0.01))),
    ]
    x, y = random(64, 4), torch.randint(3, (64,), generator=torch.Generator().manual_seed(0))
    for _ in range(60):
        for net, optimizers in pairs:
            loss = nn.functional.cross_entropy(net(x), y)
            net.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)
