"""An update in place does to every parameter what the rule does: all rules interpreted by Python, some compiled."""

import ctypes

import numpy as np
import pytest
import torch
from rule_reading import COUPLED

from course_lib.backends import numba_update
from course_lib.backends.update import trace_update
from course_lib.formulas import RULES, adam, adamw, bfgs, clipped, gradient_descent, lamb, momentum
from course_lib.formulas.signature import signature, step

ALONE = [pytest.param(rule, id=name) for name, rule in RULES.items() if name not in COUPLED]
SIZES = (3, 0, 20_000, 1)  # more than a chunk, and nothing


def interpreted(text: str):
    """The function `run` of a generated text, without Numba."""
    start, end = text.index("@intrinsic"), text.index("@njit")
    text = (text[:start] + text[end:]).replace(
        "from numba import carray, njit, prange, types\nfrom numba.extending import intrinsic\n", ""
    )
    scope = {"njit": lambda **options: lambda f: f, "prange": range, "pointer": lambda address: address}
    exec(text, scope)

    def carray(address, size):
        number = ctypes.c_float if scope["f"] is np.float32 else ctypes.c_double
        return np.ctypeslib.as_array(ctypes.cast(int(address), ctypes.POINTER(number)), (size,))

    scope["carray"] = carray
    return scope["run"]


def rows(rule, dtype, sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    own = signature(rule)
    for size in sizes:
        p, g = torch.randn(2, size, generator=generator, dtype=torch.float64).to(dtype)
        yield [p.clone(), g.clone(), *own.initial(p, own.hyper).values()]


def clear():
    """Forget what depends on what the test patches."""
    numba_update._chunks.cache_clear()
    numba_update._compiled.cache_clear()


def by_the_rule(rule, tensors, t):
    p, g, *state = tensors
    new, state = step(rule, p, g, t, state, signature(rule).hyper)
    return [new, g, *state]


def assert_equal(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True):
            torch.testing.assert_close(x, torch.as_tensor(y).expand(x.shape), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("rule", ALONE)
def test_every_rule_interpreted(rule, dtype, tolerance, monkeypatch):
    monkeypatch.setattr(numba_update.generated, "load", lambda text, machine: interpreted(text))
    monkeypatch.setattr(numba_update, "CHUNK", 7)
    clear()
    ours = list(rows(rule, dtype, (3, 0, 17, 1)))
    theirs, update, own = [[x.clone() for x in row] for row in ours], trace_update(rule), signature(rule)
    for t in range(1, 5):
        numba_update.apply(update, ours, list(own.hyper.values()), t)
        theirs = [by_the_rule(rule, row, t) for row in theirs]
        for a, b in zip(ours, theirs, strict=True):
            a[1].copy_(torch.sin(3 * a[0] + t))  # the next gradient
            b[1] = a[1].clone()
    clear()
    assert_equal(ours, theirs, tolerance)


@pytest.mark.parametrize(
    ("rule", "dtype", "tolerance"), [(adamw, torch.float32, 1e-5), (momentum, torch.float64, 1e-12)]
)
def test_compiled(rule, dtype, tolerance):
    ours = list(rows(rule, dtype, SIZES))
    theirs, update = [[x.clone() for x in row] for row in ours], trace_update(rule)
    for t in (1, 2):
        numba_update.apply(update, ours, list(signature(rule).hyper.values()), t)
        theirs = [by_the_rule(rule, row, t) for row in theirs]
    assert_equal(ours, theirs, tolerance)


def test_what_is_alike_for_all_parameters_is_computed_once():
    update = trace_update(adam)
    assert "pow" in {i.op for i in update.scalars} and "pow" not in {i.op for i in update.body}
    assert len(update.body) < 20
    assert str(trace_update(momentum)).startswith("momentum: w[0], g[0], delta[0] -> w[0], delta[0]\n  once a step: ")


@pytest.mark.parametrize("rule", [lamb, clipped(gradient_descent)])
def test_rules_in_which_parameters_feel_each_other(rule):
    with pytest.raises(ValueError, match="lets one parameter feel another, as in a norm or a mean over all"):
        trace_update(rule)


def test_a_rule_that_takes_the_loss_and_one_whose_state_is_no_parameters():
    with pytest.raises(TypeError, match="bfgs needs the loss"):
        trace_update(bfgs)

    def square(w):
        return torch.outer(w, w)

    def rule(w, g, t, S=square, *, lr=0.1):
        return w - lr * g, S

    with pytest.raises(ValueError, match=r"rule keeps `S` of the shape \(2, 2\) for two parameters"):
        trace_update(rule)
