"""The tracer: changes in place, types of numbers, whole rules, and which names and shapes fit."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.func import grad

from course_lib.backends.recurrence import trace_descent, trace_surface
from course_lib.formulas import RULES, SURFACES, gradient_descent, quadratic
from course_lib.formulas.signature import signature, step


def through_a_view(a, b):
    m = a * b
    m[0].add_(b[1])
    m.view(3)[1:].mul_(2)
    return m


def into_a_constant(a, b):
    y = torch.zeros(3, dtype=torch.float64)
    y[0], y[2] = a[1], 5.0
    return y + b


def overwritten(a, b):
    m = a + b
    m[1] = 4.0
    m[2].fill_(b[0])
    m[0].zero_()
    return m * a


def base_of_a_view(a, b):
    m = a * 2
    head = m[:2]
    m *= b
    return torch.cat([head, m])


def constant_again(a, b):
    y = torch.ones_like(a)
    y *= a
    y.fill_(3.0)
    y.add_(1.0)
    return y * b


def swapped(a, b):
    m, n = a.clone(), b.clone()
    n.copy_(m)
    m.sqrt_().masked_fill_(b > 0, 0.0)
    return m + n


def masked(a, b):
    m = a - b
    mask = m > 0
    mask &= b > 0
    mask[0] = False
    return m * mask


@pytest.mark.parametrize(
    "f", [through_a_view, into_a_constant, overwritten, base_of_a_view, constant_again, swapped, masked]
)
def test_changes_in_place_of_temporaries(f, check):
    check(f, (3,), (3,))


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: a.long() + b,
        lambda a, b: a.to(torch.int32) * 2,
        lambda a, b: (a > 0).double() * b,
        lambda a, b: (a > 0) * b,
        lambda a, b: (a > 0) + (b > 0),
        lambda a, b: ((a > 0) * (b > 0)) | (a > 2),
        lambda a, b: a.bool() & b.bool(),
        lambda a, b: (a > 0).long() - 2,
        lambda a, b: a * torch.tensor([1, 2, 3]),
        lambda a, b: a * torch.tensor([True, False, True]),
        lambda a, b: a.long() // 2,
        lambda a, b: a.clone().copy_(b > 0),
        lambda a, b: torch.zeros(3, dtype=torch.int64).copy_(a) + b,
        lambda a, b: (a > 0).float() * b,
        lambda a, b: (a > 0) * 0.1 * b,
        lambda a, b: torch.where(a > 0, 1.0, 0.1) * b,
        lambda a, b: a[None].t_()[:, 0].unsqueeze_(0)[0],
        lambda a, b: a + True,
        lambda a, b: 1.0 * ((a > 0) > (b > 0)),
        lambda a, b: a.to(torch.float64),
        lambda a, b: a * torch.tensor(0.1),
        lambda a, b: a + torch.tensor([0.1, 0.2, 0.3], dtype=torch.float32),
        lambda a, b: a * math.pi + torch.eye(3, dtype=torch.float64)[1] * b,
    ],
)
def test_types_of_numbers(f, check):
    check(f, (3,), (3,), special=False)


RULE_ROWS = [(rule, s.formula) for rule in RULES.values() for s in SURFACES.values()]


@pytest.mark.parametrize("rule, surface", RULE_ROWS, ids=[f"{r.__name__}-{s.__name__}" for r, s in RULE_ROWS])
def test_one_step_of_every_rule_on_every_surface(rule, surface):
    traced = trace_descent(rule, surface)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        values = {
            name: torch.rand((), generator=generator, dtype=torch.float64).item() + 0.1 for name in traced.step.inputs
        }
        got = traced.step(**values)
        tensors = {
            k: torch.tensor([values[f"{k}[{i}]"] for i in range(2)], dtype=torch.float64)
            for k in ("w", *signature(rule).state)
        }
        there = {k: values[k] for k in signature(surface, ("w",)).hyper}
        g = grad(lambda w: surface(w, **there))(tensors["w"])
        w, state = step(
            rule,
            tensors["w"],
            g,
            values["t"],
            [tensors[k] for k in signature(rule).state],
            {k: values[k] for k in signature(rule).hyper},
        )
        for name, want in {
            "loss": surface(tensors["w"], **there),
            "w": w,
            **dict(zip(signature(rule).state, state, strict=True)),
        }.items():
            np.testing.assert_allclose(got[name], want.flatten().numpy(), rtol=1e-14, atol=1e-14)


def uses_no_coordinate(w, *, height=2.0):
    return torch.as_tensor(height, dtype=w.dtype)


def uses_one_coordinate(w):
    return w[0] ** 2


def uses_a_constant_copy(w):
    with torch.no_grad():
        copy = w**2
    return (copy * w + w.detach() * w).sum()


def changes_a_temporary(w):
    v = w * 2
    v += w
    return (v**2).sum()


def is_a_gradient_itself(w):
    return grad(lambda w: (w**3).sum())(w).square().sum()


@pytest.mark.parametrize(
    "surface",
    [uses_no_coordinate, uses_one_coordinate, uses_a_constant_copy, changes_a_temporary, is_a_gradient_itself],
)
def test_the_gradient_is_that_of_torch_func(surface):
    traced, w = trace_descent(gradient_descent, surface), torch.tensor([0.3, -0.7], dtype=torch.float64)
    got = traced.step(
        **{name: 0.0 for name in traced.step.inputs} | {"w[0]": 0.3, "w[1]": -0.7, "lr": 0.1, "height": 2.0}
    )
    np.testing.assert_allclose(got["w"], w - 0.1 * grad(surface)(w), rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize(
    ("surface", "got"), [(lambda w: w**2, "(2,)"), (lambda w: w[:1], "(1,)"), (lambda w: 1.0, "float")]
)
def test_a_surface_is_one_number(surface, got):
    with pytest.raises(TypeError) as error:
        trace_descent(gradient_descent, surface)
    assert str(error.value) == f"A surface must return one number (a tensor of shape ()), got {got}."


def test_tracing_leaves_torch_compile_alone():
    """To import it takes longer than anything else before a new process's first sweep."""
    lines = [
        "import sys",
        "from course_lib.backends.recurrence import trace_descent",
        "from course_lib.formulas import RULES, SURFACES",
        "for rule in RULES.values():",
        "    for surface in SURFACES.values():",
        "        trace_descent(rule, surface.formula)",
        "sys.exit('torch._dynamo' in sys.modules)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "torch._dynamo was imported"


def test_what_a_recurrence_says():
    traced = trace_descent(RULES["momentum"], quadratic, dimension=2)
    assert traced.carry == ("w[0]", "w[1]", "delta[0]", "delta[1]")
    assert traced.initial == {"delta[0]": 0.0, "delta[1]": 0.0}
    assert traced.hyper == ("lr", "momentum", "condition_number", "angle")
    assert traced.step.inputs == (*traced.carry, "t", *traced.hyper)
    assert traced.step.name == "momentum on quadratic"
    assert trace_surface(quadratic).inputs == ("w[0]", "w[1]", "condition_number", "angle")
    assert len(trace_descent(gradient_descent, lambda w: (w**2).sum(), dimension=5).carried) == 5


@pytest.mark.parametrize(
    "rule, surface, sentence",
    [
        (lambda w, g, t, *, angle=0.1: w - g, quadratic, "both have a hyperparameter `angle`: rename one of them"),
        (lambda w, g, t, *, t_=0.1, lr=0.1: w - lr * t_ * g, quadratic, None),
        (lambda w, g, step, *, t=0.1: w - t * g, quadratic, "Two inputs are called t: rename one of them."),
        (lambda x, g, t, w=0.0, *, lr=0.1: (x - lr * w, w + g), quadratic, "has a state called `w`"),
        (lambda w, g, t, loss=0.0, *, lr=0.1: (w - lr * g, loss), quadratic, "has a state called `loss`"),
        (
            lambda w, g, t, v=0.0, *, lr=0.1: (w - lr * g, g.norm()),
            quadratic,
            "returned `v` with the shape (), but it starts with (2,)",
        ),
        (
            lambda w, g, t, v=0.0, *, lr=0.1: (w - lr * g, 1.0),
            quadratic,
            "returned `v` with the shape (), but it starts with (2,)",
        ),
        (lambda w, g, t, *, lr=0.1: (w - lr * g)[0], quadratic, "Return the new parameters, of the shape (2,)."),
    ],
)
def test_names_and_shapes_that_do_not_fit(rule, surface, sentence):
    if sentence is None:
        assert trace_descent(rule, surface).hyper == ("t_", "lr", "condition_number", "angle")
        return
    with pytest.raises(TypeError) as error:
        trace_descent(rule, surface)
    assert sentence in str(error.value)
