"""Every update rule against its twin in torch.optim, and with the properties that the drivers count on.

A new rule gets a line in TWINS, or in ALONE if torch.optim does not have it (then it needs a test of its own).
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import vmap

from course_lib.formulas import RULES, gradient_descent, momentum, nesterov, sgd
from course_lib.formulas.signature import signature, step

RATES = ({"lr": 0.1}, {"lr": 1.7}, {"lr": 0.0})
DECAYS = ({"lr": 0.1, "momentum": 0.9}, {"lr": 0.5, "momentum": 0.0}, {"lr": 0.01, "momentum": 0.999}, {"lr": 1.0, "momentum": 0.5})

# rule -> (its twin as a function of parameters and hyperparameters, the hyperparameters to try)
TWINS = {
    gradient_descent: (torch.optim.SGD, RATES),
    momentum: (lambda p, lr, momentum: torch.optim.SGD(p, lr=lr * (1 - momentum), momentum=momentum), DECAYS),
    sgd: (torch.optim.SGD, DECAYS),
    # torch.optim refuses nesterov=True without momentum, where it is plain gradient descent.
    nesterov: (lambda p, lr, momentum: torch.optim.SGD(p, lr=lr, momentum=momentum, nesterov=momentum > 0), DECAYS),
}
ALONE: set = set()

ROWS = [pytest.param(rule, twin, hyper, id=f"{rule.__name__}-{'-'.join(map(str, hyper.values()))}") for rule, (twin, rows) in TWINS.items() for hyper in rows]
EVERY = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def initial(rule, w):
    return tuple(torch.full_like(w, x) for x in signature(rule).state.values())


def ours(rule, w, gradients, hyper):
    """All w and the last state on recorded gradients."""
    state, path = initial(rule, w), []
    for t, g in enumerate(gradients, 1):
        w, state = step(rule, w, g, t, state, hyper)
        path.append(w)
    return torch.stack(path), state


def theirs(twin, w, gradients, hyper):
    p = w.clone().requires_grad_()
    optimizer, path = twin([p], **hyper), []
    for g in gradients:
        p.grad = g.clone()
        optimizer.step()
        path.append(p.detach().clone())
    return torch.stack(path)


def test_every_rule_is_tested():
    assert set(RULES.values()) == set(TWINS) | ALONE
    assert all(name == signature(rule).name for name, rule in RULES.items())


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("rule, twin, hyper", ROWS)
def test_equals_its_twin_on_recorded_gradients(rule, twin, hyper, shape):
    w, gradients = random(*shape), random(100, *shape, seed=1)
    torch.testing.assert_close(ours(rule, w, gradients, hyper)[0], theirs(twin, w, gradients, hyper), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", TWINS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_equals_its_twin_for_any_numbers(rule, data):
    number = st.floats(-1e3, 1e3, width=32)
    kinds = {"lr": st.floats(0, 10), "momentum": st.floats(0, 0.999)}
    hyper = {k: data.draw(kinds[k], label=k) for k in signature(rule).hyper}
    gradients = torch.tensor(data.draw(st.lists(st.tuples(number, number), min_size=1, max_size=8)), dtype=torch.float64)
    w = torch.tensor([data.draw(number), data.draw(number)], dtype=torch.float64)
    torch.testing.assert_close(ours(rule, w, gradients, hyper)[0], theirs(TWINS[rule][0], w, gradients, hyper), rtol=1e-12, atol=1e-9)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_keeps_dtype_and_shape(rule, dtype, shape):
    w, gradients = random(*shape, dtype=dtype), random(3, *shape, seed=1, dtype=dtype)
    path, state = ours(rule, w, gradients, signature(rule).hyper)
    assert all(x.dtype == dtype and x.shape == shape for x in (path[-1], *state))


@EVERY
def test_many_runs_at_once_equal_a_loop_bit_for_bit(rule):
    runs, w, gradients = 7, random(7, 3), random(5, 7, 3, seed=1)
    hyper = {k: torch.linspace(x / 2, x, runs, dtype=torch.float64) for k, x in signature(rule).hyper.items()}
    together, state = w, initial(rule, w)
    for t, g in enumerate(gradients, 1):
        one = lambda w, g, state, hyper: step(rule, w, g, t, state, hyper)  # noqa: E731, B023
        together, state = vmap(one)(together, g, state, hyper)
    for k in range(runs):
        path, alone = ours(rule, w[k], gradients[:, k], {name: x[k] for name, x in hyper.items()})
        assert torch.equal(together[k], path[-1])
        assert all(torch.equal(a[k], b) for a, b in zip(state, alone, strict=True))


@EVERY
def test_leaves_its_arguments_unchanged(rule):
    w, g = random(3), random(3, seed=1)
    state = initial(rule, w)
    kept = [x.clone() for x in (w, g, *state)]
    new, new_state = step(rule, w, g, 1, state, signature(rule).hyper)
    assert all(torch.equal(a, b) for a, b in zip((w, g, *state), kept, strict=True))
    assert not {x.data_ptr() for x in (new, *new_state)} & {w.data_ptr(), g.data_ptr()}


@EVERY
def test_takes_a_number_of_steps_as_a_tensor(rule):
    """The trace and the shaders give t as a tensor, a Python loop gives an int."""
    w, g = random(3), random(3, seed=1)
    for t in (1, 10):
        by_int, by_tensor = (step(rule, w, g, x, initial(rule, w), signature(rule).hyper)[0] for x in (t, torch.tensor(float(t), dtype=torch.float64)))
        torch.testing.assert_close(by_int, by_tensor, rtol=1e-14, atol=0)


@EVERY
def test_says_what_it_is(rule):
    assert "Source: " in rule.__doc__
    assert "Equals torch.optim." in rule.__doc__ or rule in ALONE
    hyper = signature(rule)
    assert all(r.low <= hyper.hyper[k] <= r.high for k, r in hyper.ranges.items())
