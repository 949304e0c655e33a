"""Every update rule against its twin in torch.optim or its paper, and with the properties that the drivers count on.

A new rule gets a line in TWINS, or, if torch.optim does not have it, a plain loop in tests/references.py.
"""

import math
from contextlib import contextmanager

import pytest
import references
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import vmap

import course_lib.formulas as o
from course_lib.formulas import RULES, gradient_descent, momentum, nesterov, sgd
from course_lib.formulas.catalog import CATALOG
from course_lib.formulas.signature import signature, step

RATES = ({"lr": 0.1}, {"lr": 1.7}, {"lr": 0.0})
DECAYS = (
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.5, "momentum": 0.0},
    {"lr": 0.01, "momentum": 0.999},
    {"lr": 1.0, "momentum": 0.5},
)

DECAYED = tuple(h | {"decay": 0.1} for h in DECAYS)
AVERAGED = ({"lr": 0.01, "gamma": 0.99, "eps": 1e-8}, {"lr": 0.1, "gamma": 0.5, "eps": 1e-2})
MOMENTS = tuple(
    {"lr": lr, "beta1": a, "beta2": b, "eps": eps}
    for lr, a, b, eps in ((1e-3, 0.9, 0.999, 1e-8), (0.1, 0.0, 0.9, 1e-2), (0.5, 0.99, 0.99, 1e-6))
)


def adam_like(kind, **options):
    """PyTorch's optimizer of this kind as a function of the course's hyperparameters."""
    names = {"decay": "weight_decay", "psi": "momentum_decay"}
    return lambda p, beta1, beta2, **h: kind(
        p, betas=(beta1, beta2), **{names.get(k, k): v for k, v in h.items()}, **options
    )


# rule -> (its twin as a function of parameters and hyperparameters, the hyperparameters to try)
TWINS = {
    gradient_descent: (torch.optim.SGD, RATES),
    momentum: (lambda p, lr, momentum: torch.optim.SGD(p, lr=lr * (1 - momentum), momentum=momentum), DECAYS),
    sgd: (torch.optim.SGD, DECAYS),
    # torch.optim refuses nesterov=True without momentum, where it is plain gradient descent.
    nesterov: (lambda p, lr, momentum: torch.optim.SGD(p, lr=lr, momentum=momentum, nesterov=momentum > 0), DECAYS),
    o.momentum_l2: (
        lambda p, lr, momentum, decay: torch.optim.SGD(
            p, lr=lr * (1 - momentum), momentum=momentum, weight_decay=decay
        ),
        DECAYED,
    ),
    o.sgd_l2: (
        lambda p, lr, momentum, decay: torch.optim.SGD(p, lr=lr, momentum=momentum, weight_decay=decay),
        DECAYED,
    ),
    o.rprop_torch: (
        lambda p, lr, alpha, beta, eta_min, eta_max: torch.optim.Rprop(
            p, lr=lr, etas=(beta, alpha), step_sizes=(eta_min, eta_max)
        ),
        (
            {"lr": 0.01, "alpha": 1.2, "beta": 0.5, "eta_min": 1e-6, "eta_max": 50.0},
            {"lr": 0.5, "alpha": 1.5, "beta": 0.3, "eta_min": 1e-3, "eta_max": 1.0},
        ),
    ),
    o.adagrad_torch: (torch.optim.Adagrad, ({"lr": 0.01, "eps": 1e-10}, {"lr": 0.5, "eps": 0.1})),
    o.adadelta: (
        lambda p, gamma, **h: torch.optim.Adadelta(p, rho=gamma, **h),
        ({"lr": 1.0, "gamma": 0.9, "eps": 1e-6}, {"lr": 0.3, "gamma": 0.99, "eps": 1e-2}),
    ),
    o.rmsprop_torch: (lambda p, gamma, **h: torch.optim.RMSprop(p, alpha=gamma, **h), AVERAGED),
    o.rmsprop_centered: (lambda p, gamma, **h: torch.optim.RMSprop(p, alpha=gamma, centered=True, **h), AVERAGED),
    o.rmsprop_momentum: (
        lambda p, gamma, **h: torch.optim.RMSprop(p, alpha=gamma, **h),
        tuple(h | {"momentum": m} for h, m in zip(AVERAGED, (0.9, 0.5), strict=True)),
    ),
    o.adam: (adam_like(torch.optim.Adam), MOMENTS),
    o.adam_l2: (adam_like(torch.optim.Adam), tuple(h | {"decay": 0.1} for h in MOMENTS)),
    o.adamw: (adam_like(torch.optim.AdamW), tuple(h | {"decay": 0.1} for h in MOMENTS)),
    o.amsgrad: (adam_like(torch.optim.Adam, amsgrad=True), MOMENTS),
    o.adamax: (adam_like(torch.optim.Adamax), MOMENTS),
    o.nadam: (
        adam_like(torch.optim.NAdam),
        tuple(h | {"psi": psi} for h, psi in zip(MOMENTS, (4e-3, 0.1, 0.0), strict=True)),
    ),
    o.radam: (adam_like(torch.optim.RAdam), MOMENTS),
}
PAPERS = {RULES[name]: loop for name, loop in vars(references).items() if name in RULES}

ROWS = [
    pytest.param(rule, twin, hyper, id=f"{rule.__name__}-{'-'.join(map(str, hyper.values()))}")
    for rule, (twin, rows) in TWINS.items()
    for hyper in rows
]
EVERY = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def initial(rule, w, hyper=None):
    values = signature(rule).hyper | {
        k: x.reshape(-1, *[1] * (w.dim() - 1)) if torch.is_tensor(x) else x for k, x in (hyper or {}).items()
    }
    return tuple(signature(rule).initial(w, values).values())


def ours(rule, w, gradients, hyper):
    """All w and the last state on recorded gradients."""
    state, path = initial(rule, w, hyper), []
    for t, g in enumerate(gradients, 1):
        w, state = step(rule, w, g, t, state, hyper)
        path.append(w)
    return torch.stack(path), state


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def theirs(twin, w, gradients, hyper):
    p = w.clone().requires_grad_()
    optimizer, path = twin([p], **hyper), []
    with default_dtype(w.dtype):  # in which NAdam keeps its product of momenta
        for g in gradients:
            p.grad = g.clone()
            optimizer.step()
            path.append(p.detach().clone())
    return torch.stack(path)


def test_every_rule_has_one_reference():
    assert [name for name, rule in RULES.items() if (rule in TWINS) + (rule in PAPERS) != 1] == []


def test_a_rule_has_its_own_name():
    rules = RULES | o.SECOND_ORDER | o.MATRIX_RULES
    assert [name for name, rule in rules.items() if signature(rule).name != name or getattr(o, name) is not rule] == []
    assert list(rules) == list(CATALOG)


def test_every_hyperparameter_is_tried_away_from_its_default():
    assert [
        f"{rule.__name__}'s {k}"
        for rule, (_, rows) in TWINS.items()
        for k, x in signature(rule).hyper.items()
        if all(row[k] == x for row in rows)
    ] == []


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("rule, twin, hyper", ROWS)
def test_equals_its_twin_on_recorded_gradients(rule, twin, hyper, shape):
    w, gradients = random(*shape), random(100, *shape, seed=1)
    torch.testing.assert_close(
        ours(rule, w, gradients, hyper)[0], theirs(twin, w, gradients, hyper), rtol=1e-12, atol=1e-12
    )


def places(rule, row):
    """Hyperparameters away from their defaults and from each other: each at another place of its slider."""
    hyper = {}
    for k, (name, r) in enumerate(signature(rule).ranges.items()):
        place = 0.1 + 0.8 * ((0.4 + 0.618 * row + 0.271 * k) % 1.0)
        low, high = (1 - r.low, 1 - r.high) if r.scale == "decay" else (r.low, r.high)
        x = (
            low + place * (high - low)
            if r.scale == "linear"
            else math.exp(math.log(low) * (1 - place) + math.log(high) * place)
        )
        hyper[name] = 1 - x if r.scale == "decay" else x
    return hyper


@pytest.mark.parametrize("start", ["random", "zero"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("rule", PAPERS, ids=lambda rule: rule.__name__)
def test_equals_its_paper_on_recorded_gradients(rule, row, shape, start):
    w, gradients, hyper = random(*shape) * (start == "random"), random(100, *shape, seed=1), places(rule, row)
    path = PAPERS[rule](w.flatten().tolist(), gradients.reshape(100, -1).tolist(), **hyper)
    expected = torch.tensor(path, dtype=torch.float64).reshape(100, *shape)
    torch.testing.assert_close(ours(rule, w, gradients, hyper)[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", (gradient_descent, momentum, sgd, nesterov))
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_equals_its_twin_for_any_numbers(rule, data):
    number = st.floats(-1e3, 1e3, width=32)
    kinds = {"lr": st.floats(0, 10), "momentum": st.floats(0, 0.999)}
    hyper = {k: data.draw(kinds[k], label=k) for k in signature(rule).hyper}
    gradients = torch.tensor(
        data.draw(st.lists(st.tuples(number, number), min_size=1, max_size=8)), dtype=torch.float64
    )
    w = torch.tensor([data.draw(number), data.draw(number)], dtype=torch.float64)
    torch.testing.assert_close(
        ours(rule, w, gradients, hyper)[0], theirs(TWINS[rule][0], w, gradients, hyper), rtol=1e-12, atol=1e-9
    )


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_keeps_dtype_and_shape(rule, dtype, shape):
    w, gradients = random(*shape, dtype=dtype), random(3, *shape, seed=1, dtype=dtype)
    path, state = ours(rule, w, gradients, signature(rule).hyper)
    assert [(x.dtype, x.shape) for x in (path[-1], *state) if x.dtype != dtype or x.shape != shape] == []


@EVERY
def test_many_runs_at_once_equal_a_loop_bit_for_bit(rule):
    runs, w, gradients = 7, random(7, 3), random(5, 7, 3, seed=1)
    hyper = {k: torch.linspace(x / 2, x, runs, dtype=torch.float64) for k, x in signature(rule).hyper.items()}
    together, state = w, initial(rule, w, hyper)
    for t, g in enumerate(gradients, 1):
        one = lambda w, g, state, hyper: step(rule, w, g, t, state, hyper)
        together, state = vmap(one)(together, g, state, hyper)
    for k in range(runs):
        path, alone = ours(rule, w[k], gradients[:, k], {name: x[k] for name, x in hyper.items()})
        assert torch.equal(together[k], path[-1])
        names = signature(rule).state
        assert [x for x, a, b in zip(names, state, alone, strict=True) if not torch.equal(a[k], b)] == []


@EVERY
def test_leaves_its_arguments_unchanged(rule):
    w, g = random(3), random(3, seed=1)
    state = initial(rule, w)
    kept = [x.clone() for x in (w, g, *state)]
    new, _ = step(rule, w, g, 1, state, signature(rule).hyper)
    names = ("w", "g", *signature(rule).state)
    assert [x for x, a, b in zip(names, (w, g, *state), kept, strict=True) if not torch.equal(a, b)] == []
    assert new.data_ptr() not in {w.data_ptr(), g.data_ptr()}


@EVERY
def test_takes_a_number_of_steps_as_a_tensor(rule):
    """The trace and the shaders give t as a tensor, a Python loop gives an int."""
    w, g = random(3), random(3, seed=1)
    for t in (1, 10):
        by_int, by_tensor = (
            step(rule, w, g, x, initial(rule, w), signature(rule).hyper)[0]
            for x in (t, torch.tensor(float(t), dtype=torch.float64))
        )
        torch.testing.assert_close(by_int, by_tensor, rtol=1e-12, atol=0)


@EVERY
def test_says_what_it_is(rule):
    words = " ".join(rule.__doc__.split())
    assert "Source: " in words
    assert "Equals torch.optim." in words or rule in PAPERS
    hyper, ranges = signature(rule).hyper, signature(rule).ranges
    assert [
        f"{k} = {x:g} is outside of its slider" for k, x in hyper.items() if not ranges[k].low <= x <= ranges[k].high
    ] == []
