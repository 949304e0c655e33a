"""sweep: every run is the run that a plain loop makes, whatever else is computed beside it."""

import functools
import math

import pytest
import torch

from course_lib.experiments import sweep
from course_lib.formulas import (
    RULES,
    SURFACES,
    gradient_descent,
    momentum,
    nesterov,
    quadratic,
    rosenbrock,
    saddle,
    sgd,
)
from course_lib.formulas.signature import signature, step

TWINS = {
    gradient_descent: torch.optim.SGD,
    momentum: lambda p, lr, momentum: torch.optim.SGD(p, lr=lr * (1 - momentum), momentum=momentum),
    sgd: torch.optim.SGD,
    nesterov: functools.partial(torch.optim.SGD, nesterov=True),
}
GENTLE = {quadratic: 0.05, rosenbrock: 1e-4, saddle: 0.1}


def by_torch(twin, surface, start, steps, own, there, dtype=torch.float64):
    w = torch.tensor(start, dtype=dtype, requires_grad=True)
    optimizer, path = twin([w], **own), [w.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        surface(w, **there).backward()
        optimizer.step()
        path.append(w.detach().clone())
    return torch.stack(path)


def by_loop(rule, surface, start, steps, **hyper):
    """One run by itself, without vmap."""
    own, there = (
        {k: torch.tensor(hyper.get(k, x), dtype=torch.float64) for k, x in s.hyper.items()}
        for s in (signature(rule), signature(surface, ("w",)))
    )
    w = torch.tensor(start, dtype=torch.float64)
    state, path = tuple(signature(rule).initial(w, own).values()), [w]
    for t in range(1, steps + 1):
        w, state = step(rule, w, torch.func.grad(lambda w: surface(w, **there))(w), t, state, own)
        path.append(w)
    return torch.stack(path)


@pytest.mark.parametrize("surface", GENTLE)
@pytest.mark.parametrize("rule", TWINS)
def test_equals_torch_optim(rule, surface):
    rates, start = [GENTLE[surface] * x for x in (0.1, 0.5, 1.0)], SURFACES[surface.__name__].start
    other = {k: x for k, x in signature(rule).hyper.items() if k != "lr"}
    path = sweep(rule, surface, start, 100, lr=rates)
    assert path.shape == (101, 3, 2) and path.dtype == torch.float64
    for k, lr in enumerate(rates):
        torch.testing.assert_close(
            path[:, k], by_torch(TWINS[rule], surface, start, 100, {"lr": lr} | other, {}), rtol=1e-11, atol=1e-12
        )


@pytest.mark.parametrize("surface", [s.formula for s in SURFACES.values()], ids=SURFACES)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_many_runs_equal_each_run_alone(rule, surface):
    start, rates = SURFACES[surface.__name__].start, [1e-3, 0.1, 1.0]
    together = sweep(rule, surface, start, 25, lr=rates)
    for k, lr in enumerate(rates):
        torch.testing.assert_close(
            together[:, k], by_loop(rule, surface, start, 25, lr=lr), rtol=1e-9, atol=1e-12, equal_nan=True
        )


def test_a_sweep_without_roots_and_powers_equals_a_loop_bit_for_bit():
    rates = torch.logspace(-4, 1, 9, dtype=torch.float64)
    together = sweep(momentum, rosenbrock, (-1.2, 1.0), 60, lr=rates)
    for k, lr in enumerate(rates.tolist()):
        alone = by_loop(momentum, rosenbrock, (-1.2, 1.0), 60, lr=lr)
        assert ((together[:, k] == alone) | (together[:, k].isnan() & alone.isnan())).all()
    assert together[-1].isnan().any()  # a diverging run stays in its own row
    assert together[:, 0].isfinite().all()


def test_hyperparameters_of_rule_and_surface_and_starts_are_vectors():
    hyper = {
        "lr": [0.01, 0.02, 0.03],
        "momentum": torch.tensor([0.0, 0.5, 0.9]),
        "condition_number": [1, 5, 20],
        "angle": 30,
    }
    starts = [(1.0, 2.0), (-1.0, 0.5), (0.0, 1.0)]
    path = sweep(momentum, quadratic, starts, 40, **hyper)
    assert path.shape == (41, 3, 2)
    torch.testing.assert_close(path[0], torch.tensor(starts, dtype=torch.float64), rtol=0, atol=0)
    for k, start in enumerate(starts):
        values = {name: float(x[k]) if hasattr(x, "__len__") else float(x) for name, x in hyper.items()}
        torch.testing.assert_close(
            path[:, k], by_loop(momentum, quadratic, start, 40, **values), rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize(
    "start, hyper, runs",
    [((1.0, 1.0), {}, 1), ([(1.0, 1.0)] * 4, {}, 4), ((1.0, 1.0), {"lr": [0.1]}, 1), ([(1.0, 1.0)], {"lr": [0.1]}, 1)],
)
def test_how_many_runs(start, hyper, runs):
    assert sweep(gradient_descent, quadratic, start, 3, **hyper).shape == (4, runs, 2)


def test_no_steps_are_the_start():
    assert torch.equal(
        sweep(momentum, quadratic, (1.0, 2.0), 0, lr=[0.1, 0.2]),
        torch.tensor([[[1.0, 2.0], [1.0, 2.0]]], dtype=torch.float64),
    )


def test_computes_in_the_dtype_asked_for():
    path = sweep(
        momentum,
        rosenbrock,
        torch.tensor([-1.2, 1.0], dtype=torch.float64),
        50,
        dtype=torch.float32,
        device="cpu",
        lr=1e-3,
    )
    assert path.dtype == torch.float32 and path.device.type == "cpu"
    expected = by_torch(TWINS[momentum], rosenbrock, (-1.2, 1.0), 50, {"lr": 1e-3, "momentum": 0.9}, {}, torch.float32)
    torch.testing.assert_close(path[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_starts_are_left_unchanged_and_may_be_whole_numbers():
    start = torch.tensor([[1, 2], [3, 4]])
    assert sweep(gradient_descent, quadratic, start, 2).dtype == torch.float64
    assert torch.equal(start, torch.tensor([[1, 2], [3, 4]]))


def test_a_norm_is_that_of_its_own_run():
    def clipped(w, g, t, *, lr=0.1, limit=1.0):
        return w - lr * g * torch.clamp(limit / g.norm(), max=1.0)

    rates = [0.05, 0.1, 0.2]
    path = sweep(clipped, rosenbrock, (-1.2, 1.0), 30, lr=rates)
    for k, lr in enumerate(rates):
        torch.testing.assert_close(
            path[:, k], by_loop(clipped, rosenbrock, (-1.2, 1.0), 30, lr=lr), rtol=1e-9, atol=1e-12
        )
    first = (path[1] - path[0]).norm(dim=1)  # each run's own first step, of the length lr
    torch.testing.assert_close(first, torch.tensor(rates, dtype=torch.float64), rtol=1e-12, atol=0)


def test_more_dimensions():
    path = sweep(gradient_descent, lambda w, *, a=1.0: a * (w**2).sum() / 2, [1.0] * 7, 5, a=[1.0, 2.0], lr=0.1)
    torch.testing.assert_close(path[-1, :, 0], torch.tensor([0.9**5, 0.8**5], dtype=torch.float64), rtol=1e-12, atol=0)


def both(w, g, t, *, lr=0.1, angle=1.0):
    return w - lr * g


def in_place(w, g, t, *, lr=0.1):
    w -= lr * g
    return w


VALUE_ERRORS = [
    ({"start": (1.0, math.nan)}, "start must be finite, of shape (n,) or (runs, n), got (2,)"),
    ({"start": 1.0}, "got () with the values 1.0"),
    ({"start": []}, "got (0,)"),
    ({"start": [[[1.0, 2.0]]]}, "got (1, 1, 2)"),
    ({"start": (1.0, 2.0, 3.0), "surface": rosenbrock}, "rosenbrock does not take a point of 3 coordinates"),
    ({"start": (1.0,)}, "quadratic does not take a point of 1 coordinates"),
    ({"steps": -1}, "steps must be a whole number from 0, got -1."),
    ({"steps": 2.5}, "got 2.5."),
    ({"steps": True}, "got True."),
    ({"steps": math.inf}, "got inf."),
    ({"steps": "3"}, "got '3'."),
    ({"steps": None}, "got None."),
    ({"lr": -0.1}, "gradient_descent's lr must be at least 0 and finite, got -0.1."),
    ({"lr": [0.1, math.nan]}, "got nan."),
    ({"lr": math.inf}, "got inf."),
    ({"condition_number": 0.5}, "quadratic's condition_number must be at least 1 and finite, got 0.5."),
    ({"lr": [0.1, 0.2], "angle": [1.0, 2.0, 3.0]}, "all of one length above 0, got lr: 2, angle: 3."),
    ({"lr": [0.1, 0.2], "start": [(1.0, 2.0)] * 3}, "got lr: 2, start: 3."),
    ({"lr": []}, "got lr: 0."),
    ({"lr": [[0.1]]}, "got lr: (1, 1)."),
    ({"surface": lambda w: w}, "must return one number (a tensor of shape ()), got (2,)."),
    ({"surface": lambda w: 1.0}, "got float."),
    ({"rule": in_place}, "in_place changes w in place, so the path is lost. Write `w - lr * g`"),
]
TYPE_ERRORS = [
    (
        {"momentum": 0.9},
        "Unknown hyperparameter `momentum`: gradient_descent has (lr) and quadratic has (condition_number, angle).",
    ),
    ({"surface": saddle, "angle": 1.0}, "saddle has (none)"),
    ({"rule": both}, "both and quadratic both have a hyperparameter `angle`: rename one of them."),
    ({"lr": "fast"}, "lr must be a number or a vector of numbers, got 'fast'."),
    ({"lr": None}, "got None."),
    ({"rule": 3}, "A rule is a function like"),
    ({"rule": lambda w, g, t, m=0.0: w}, "returned 1 value(s), but its signature promises 2"),
    ({"rule": lambda w, g, t: w.sum()}, "returned a w of the shape ()"),
    ({"surface": None}, "A surface is a function like `def surface(w, *, a=1.0): …; return loss`, got None."),
    ({"surface": "rosenbrock"}, "A surface is a function like"),
    ({"rule": SURFACES["rosenbrock"]}, "got the surface rosenbrock. Pass the rule first, then the surface."),
    ({"rule": saddle}, "saddle takes w alone, as a surface does, and stands in the place of a rule."),
    (
        {"surface": gradient_descent},
        "gradient_descent takes (w, g, t), as a rule does, and stands in the place of a surface.",
    ),
    (
        {"rule": lambda g, w, t, *, lr=0.1: w - lr * g},
        "handed the parameters, the gradient and the step, in this order",
    ),
    ({"rule": lambda w, g, t, *, steps=0.1: w - g}, "`steps`, which is the name of an argument of sweep: rename it."),
    ({"lr": True}, "lr must be a number or a vector of numbers, got True."),
    ({"lr": torch.tensor([1j])}, "lr must be a number or a vector of numbers, got tensor([0.+1.j])."),
    ({"lr": torch.tensor(0.1, requires_grad=True)}, "lr requires a gradient"),
    ({"start": "ab"}, "start must be a point or a list of points, got 'ab'."),
    ({"start": None}, "got None."),
    ({"start": (0.0, "a")}, "got (0.0, 'a')."),
    ({"start": [[0.0], [1.0, 2.0]]}, "start must be"),
    ({"start": (0.0, 1j)}, "got (0.0, 1j)."),
    ({"dtype": "float32"}, "dtype must be one of PyTorch's floating-point types"),
    ({"dtype": torch.complex64}, "dtype must be one of PyTorch's floating-point types"),
]


@pytest.mark.parametrize(
    "kind, given, sentence",
    [(ValueError, *row) for row in VALUE_ERRORS] + [(TypeError, *row) for row in TYPE_ERRORS],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_errors_say_what_came_and_what_is_allowed(kind, given, sentence):
    arguments = {"rule": gradient_descent, "surface": quadratic, "start": (1.0, 2.0), "steps": 3} | given
    with pytest.raises(kind) as error:
        sweep(**arguments)
    assert sentence in str(error.value)


def test_a_surface_of_the_course_is_taken_as_its_function():
    for machine in ("torch", "numba"):
        ends = [sweep(gradient_descent, x, (1.0, 2.0), 3, machine=machine) for x in (SURFACES["saddle"], saddle)]
        assert torch.equal(*ends)


VMAPS_OWN = {
    "a mask": lambda w, g, t, *, lr=0.1: w - lr * g[g > 0].sum(),
    "nonzero": lambda w, g, t, *, lr=0.1: w - lr * g.nonzero().sum(),
}


@pytest.mark.parametrize("name", VMAPS_OWN)
def test_what_vmap_cannot_take_is_said_in_our_words(name):
    with pytest.raises(ValueError) as error:
        sweep(VMAPS_OWN[name], quadratic, (1.0, 2.0), 3, machine="torch", lr=[0.1, 0.2])
    assert "test_sweep.py:" in str(error.value) and "can't compute this for all runs at once" in str(error.value)
    assert "vmap" not in str(error.value) and error.value.__cause__ is None


def test_an_if_in_a_surface():
    def hut(w, *, edge=0.5):
        x, y = w
        if x**2 + y**2 > edge:
            return (x**2 + y**2).sqrt()
        return x**2 + y**2

    starts = [[1.0, 1.0], [0.1, 0.2], [0.0, 0.0]]
    paths = [sweep(gradient_descent, hut, starts, 9, machine=machine) for machine in ("torch", "numba")]
    torch.testing.assert_close(*paths, rtol=1e-12, atol=1e-12)
    alone = torch.cat([sweep(gradient_descent, hut, [start], 9, machine="torch") for start in starts], 1)
    torch.testing.assert_close(paths[0], alone, rtol=1e-12, atol=1e-12)
