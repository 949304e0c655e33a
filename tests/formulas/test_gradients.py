"""Clipping against PyTorch's own, at zero, infinite and missing numbers; and rules that clip."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import vmap

from course_lib.backends.names import elements
from course_lib.backends.trace import trace
from course_lib.experiments import Optimizer, sweep
from course_lib.formulas import (
    RULES,
    SECOND_ORDER,
    adam,
    beale,
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    clipped,
    gradient_descent,
    momentum,
    rosenbrock,
)
from course_lib.formulas.signature import Range, signature
from course_lib.widgets import Descent

TINY = 1e-6  # what PyTorch adds to the norm


def random(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parameters(*gradients):
    """Parameters that hold these gradients."""
    both = [(torch.zeros_like(g).requires_grad_(), g.clone()) for g in gradients]
    for p, g in both:
        p.grad = g
    return [p for p, _ in both]


def torchs_norm(gradients, limit):
    held = parameters(*gradients)
    nn.utils.clip_grad_norm_(held, limit)
    return [p.grad for p in held]


def torchs_value(gradients, limit):
    held = parameters(*gradients)
    nn.utils.clip_grad_value_(held, limit)
    return [p.grad for p in held]


def same(got, want, **tolerance):
    torch.testing.assert_close(got, want, equal_nan=True, **({"rtol": 0, "atol": 0} | tolerance))


LISTS = [
    [random(3)],
    [random(2, 3), random(4, seed=1), random(seed=2)],
    [random(2, 2, 2, scale=1e-3), random(5, scale=1e5)],
    [torch.zeros(3).double(), random(2)],
]


@pytest.mark.parametrize("gradients", LISTS, ids=lambda x: str([tuple(g.shape) for g in x]))
@pytest.mark.parametrize("limit", [0.0, 1e-3, 1.0, 1e3, 1e9, math.inf])
def test_equals_torch_up_to_its_1e_6(gradients, limit):
    norm = torch.cat([g.flatten() for g in gradients]).norm().item()
    relation = 1.0 if norm <= limit - TINY else (1 + TINY / norm) if norm > limit else None
    want = torchs_norm(gradients, limit)
    if relation is not None:  # between limit - 1e-6 and limit, PyTorch shortens and this does not
        same(clip_by_global_norm(gradients, limit), [relation * x for x in want], rtol=1e-12)
    same(clip_by_global_norm(gradients, limit), want, rtol=1.01 * TINY / max(norm, TINY))
    same([clip_by_value(g, limit) for g in gradients], torchs_value(gradients, limit))


def no_square_underflows(x):
    return x == 0 or abs(x) > 1e-100


@given(
    st.lists(st.floats(-1e6, 1e6).filter(no_square_underflows), min_size=1, max_size=6),
    st.floats(0, 1e3).filter(no_square_underflows),
)
@settings(max_examples=200, deadline=None)
def test_what_clipping_promises(numbers, limit):
    g = torch.tensor(numbers, dtype=torch.float64)
    by_norm, by_value = clip_by_norm(g, limit), clip_by_value(g, limit)
    assert by_norm.norm() <= limit * (1 + 1e-12) + 1e-300 and by_value.abs().max() <= limit
    if g.norm() <= limit:
        assert torch.equal(by_norm, g) and torch.equal(by_value, g)
    same(by_norm * g.norm(), g * by_norm.norm(), rtol=1e-9)  # the direction stays


def test_one_tensor_is_a_list_of_one_and_a_list_has_one_norm():
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])
    same(clip_by_norm(a, 1.0), clip_by_global_norm([a], 1.0)[0])
    same(clip_by_global_norm([a, b], 1.0), [a / 5, b / 5])
    same([clip_by_norm(a, 1.0), clip_by_norm(b, 1.0)], [a / 3, b / 4])


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_as_in_torch(bad):
    gradients = [torch.tensor([bad, 2.0]), torch.tensor([1.0])]
    got = clip_by_global_norm(gradients, 1.0)
    same(got, torchs_norm(gradients, 1.0))
    same(
        got,
        [
            torch.tensor([math.nan, math.nan if math.isnan(bad) else 0.0]),
            torch.tensor([math.nan if math.isnan(bad) else 0.0]),
        ],
    )
    same([clip_by_value(g, 1.0) for g in gradients], torchs_value(gradients, 1.0))


def test_zero_stays_zero():
    for limit in (0.0, 1.0):
        for clip in (clip_by_norm, clip_by_value):
            same(clip(torch.zeros(3), limit), torch.zeros(3))


def test_keeps_precision_and_leaves_its_argument():
    for clip in (clip_by_norm, clip_by_value):
        g = random(2, 3).float() * 100
        kept = g.clone()
        assert clip(g, 1.0).dtype == torch.float32
        assert torch.equal(g, kept)


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_value])
def test_traced_and_many_at_once(clip):
    program = trace(
        lambda g, limit: {"clipped": clip(g["g"], limit["limit"])}, {"g": (3,)}, {"limit": ()}, name=clip.__name__
    )
    runs, limits = (
        torch.cat([random(6, 3), torch.zeros(1, 3)]).double(),
        torch.tensor([0.0, 0.1, 1.0, 2.0, 5.0, 100.0, 0.0]).double(),
    )
    together = vmap(clip)(runs, limits)
    for g, limit, row in zip(runs, limits.tolist(), together, strict=True):
        values = dict(zip(elements("g", (3,)), g.tolist(), strict=True))
        same(torch.from_numpy(program(limit=limit, **values)["clipped"]), clip(g, limit), rtol=1e-14)
        same(row, clip(g, limit), rtol=1e-14)


# --- rules that clip


@pytest.mark.parametrize("by", [clip_by_norm, clip_by_value])
@pytest.mark.parametrize("rule", [*RULES.values(), SECOND_ORDER["lbfgs"]], ids=lambda r: r.__name__)
def test_a_clipped_rule_has_one_more_hyperparameter(rule, by):
    plain, more = signature(rule), signature(clipped(rule, by))
    assert more.name == rule.__name__ + ("_clipped_by_value" if by is clip_by_value else "_clipped")
    assert (more.inputs, more.state) == (plain.inputs, plain.state)
    assert more.hyper == plain.hyper | {"limit": 1.0}
    assert more.ranges == plain.ranges | {"limit": Range(1e-3, 1e3, "log", at_least=0.0)}


def test_a_sweep_takes_it_and_an_infinite_limit_changes_nothing():
    limits = torch.tensor([0.1, 1.0, 1e300], dtype=torch.float64)
    path = sweep(clipped(momentum), beale, (-1.0, 2.0), 50, lr=1e-3, limit=limits)
    assert torch.equal(path[:, 2], sweep(momentum, beale, (-1.0, 2.0), 50, lr=1e-3)[:, 0])
    assert path[:, :2].diff(dim=0).norm(dim=-1).max() <= 1e-3 * 1.0 + 1e-12


def test_a_figure_takes_it():
    fig = Descent(clipped(gradient_descent), rosenbrock, lr=0.01, limit=1.0, steps=50)
    assert fig.path.isfinite().all() and [c["name"] for c in fig.spec["controls"]] == ["lr", "limit"]
    assert not sweep(gradient_descent, rosenbrock, fig.start, 50, lr=0.01)[-1].isfinite().all()


def train(make, clip=lambda model: None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    optimizer = make(model.parameters())
    for _ in range(30):
        x = 10 * torch.randn(16, 3, dtype=torch.float64)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        clip(model)
        optimizer.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def test_an_optimizer_clips_each_tensor_by_its_own_norm():
    def each(model):
        for p in model.parameters():
            nn.utils.clip_grad_norm_([p], 0.5)

    ours = train(lambda p: Optimizer(p, clipped(adam), lr=0.01, limit=0.5))
    same(ours, train(lambda p: torch.optim.Adam(p, lr=0.01), each), rtol=1e-4, atol=1e-6)
    together = train(
        lambda p: torch.optim.Adam(p, lr=0.01), lambda model: nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    )
    assert (ours - together).abs().max() > 1e-2


def test_a_limit_of_its_own_is_named():
    def limited(w, g, t, *, lr=0.1, limit=2.0):
        return w - lr * g

    with pytest.raises(ValueError, match="duplicate parameter name: 'limit'"):
        clipped(limited)
