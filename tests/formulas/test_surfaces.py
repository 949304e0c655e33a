"""Every surface: its minima are minima, its derivatives are right, and its numbers are those of the literature."""

import math

import pytest
import torch
from torch.func import grad, jacrev, vmap

from course_lib.formulas import SURFACES, beale, himmelblau, quadratic, ravine, rosenbrock, saddle
from course_lib.formulas.signature import signature
from course_lib.formulas.surfaces import Surface

SETTINGS = {
    quadratic: [{}, {"condition_number": 1.0}, {"condition_number": 500.0, "angle": 30.0}, {"angle": -90.0}],
    ravine: [{}, {"width": 0.01, "slope": 1.0}, {"width": 1.0, "slope": 0.01}],
    saddle: [{}],
    rosenbrock: [{}, {"a": 0.5, "b": 1.0}, {"a": 1.5, "b": 1000.0}],
    beale: [{}],
    himmelblau: [{}],
}
ROWS = [
    pytest.param(f, hyper, id=f"{f.__name__}-{'-'.join(map(str, hyper.values()))}")
    for f, rows in SETTINGS.items()
    for hyper in rows
]
CASES = pytest.mark.parametrize("formula, hyper", ROWS)
NAMED = pytest.mark.parametrize("entry", SURFACES.values(), ids=SURFACES)


def hessian(f):
    return jacrev(grad(f))  # torch.func.hessian goes forward, by way of the deprecated torch.jit


def point(*x):
    return torch.tensor(x, dtype=torch.float64)


def points_in(domain, count=40):
    low, high = (point(*x) for x in zip(*domain, strict=True))
    return low + (high - low) * torch.rand(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_every_surface_is_tested():
    assert set(SETTINGS) == {s.formula for s in SURFACES.values()}
    assert list(SURFACES) == [s.formula.__name__ for s in SURFACES.values()]


@CASES
def test_minima_are_minima(formula, hyper):
    entry = SURFACES[formula.__name__]
    minima = [point(*m) for m in entry.minima(**hyper)]
    lowest = torch.stack([formula(m, **hyper) for m in minima])
    torch.testing.assert_close(lowest, lowest[0].expand_as(lowest), rtol=0, atol=1e-12)  # all of equal depth
    assert (vmap(lambda w: formula(w, **hyper))(points_in(entry.domain, 1000)) > lowest[0]).all()
    for m in minima:
        curvature = torch.linalg.eigvalsh(hessian(lambda w: formula(w, **hyper))(m))
        assert grad(lambda w: formula(w, **hyper))(m).abs().max() < 1e-12 * curvature.max()
        assert curvature.min() > 0


@CASES
def test_derivatives_equal_finite_differences(formula, hyper):
    values = {
        k: torch.tensor(x, dtype=torch.float64, requires_grad=True)
        for k, x in (signature(formula, ("w",)).hyper | hyper).items()
    }
    for w in points_in(SURFACES[formula.__name__].domain, 5):
        f = lambda w, *hyper: formula(w, **dict(zip(values, hyper, strict=True)))
        assert torch.autograd.gradcheck(f, (w.requires_grad_(), *values.values()), eps=1e-6, rtol=1e-5)
        assert torch.autograd.gradgradcheck(f, (w, *values.values()), eps=1e-6, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("angle", range(-90, 91, 15))
@pytest.mark.parametrize("condition_number", [1.0, 5.0, 1000.0])
def test_the_quadratic_has_the_curvature_that_it_says(condition_number, angle):
    h = hessian(lambda w: quadratic(w, condition_number=condition_number, angle=angle))(point(0.3, -0.7))
    curvature, axes = torch.linalg.eigh(h)
    torch.testing.assert_close(curvature, point(1.0, condition_number), rtol=1e-12, atol=1e-12)
    if condition_number > 1:
        along = point(math.cos(math.radians(angle)), math.sin(math.radians(angle)))
        torch.testing.assert_close(
            (axes[:, 0] @ along).abs(), torch.tensor(1.0, dtype=torch.float64), rtol=1e-12, atol=0
        )


@NAMED
def test_the_domain_holds_the_start_and_the_minima(entry):
    for x in (entry.start, *entry.minima()):
        assert [v for v, (low, high) in zip(x, entry.domain, strict=True) if not low < v < high] == []


@NAMED
def test_the_start_is_no_stationary_point(entry):
    assert grad(entry.formula)(point(*entry.start)).norm() > 1e-3


@pytest.mark.parametrize(
    "formula, w, hyper, value",
    [
        (rosenbrock, (-1.2, 1.0), {}, 24.2),  # Rosenbrock's own start
        (rosenbrock, (0.0, 0.0), {"a": 3.0}, 9.0),
        (beale, (3.0, 0.5), {}, 0.0),
        (beale, (1.0, 1.0), {}, 14.203125),
        (himmelblau, (0.0, 0.0), {}, 170.0),
        (himmelblau, (-0.270845, -0.923039), {}, 181.6165216),  # its highest point between the minima
        (saddle, (0.0, 0.0), {}, 0.0),
        (saddle, (0.0, 1.0), {}, -0.25),
        (ravine, (0.0, 0.0), {}, 0.0),
        (ravine, (2.0, 0.0), {"slope": 0.5}, 1.0),
        (ravine, (0.0, 0.3), {"width": 0.4}, 0.1),
        (quadratic, (1.0, 1.0), {"condition_number": 5.0}, 3.0),  # slide 12
        (quadratic, (0.0, 1.0), {"condition_number": 5.0, "angle": 90.0}, 0.5),
    ],
)
def test_documented_values(formula, w, hyper, value):
    assert formula(point(*w), **hyper).item() == pytest.approx(value, rel=1e-6, abs=1e-12)


def test_himmelblau_and_saddle_have_their_other_stationary_points():
    top = hessian(himmelblau)(point(-0.270845, -0.923039))
    assert grad(himmelblau)(point(-0.270845, -0.923039)).norm() < 1e-4 and torch.linalg.eigvalsh(top).max() < 0
    assert torch.equal(grad(saddle)(point(0.0, 0.0)), point(0.0, 0.0))
    assert torch.equal(hessian(saddle)(point(0.0, 0.0)), torch.diag(point(1.0, -1.0)))


@CASES
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hyperparameters_are_floats_or_tensors(formula, hyper, dtype):
    w = torch.tensor([0.7, -0.4], dtype=dtype)
    loss = formula(w, **hyper)
    same = formula(w, **{k: torch.tensor(x, dtype=dtype) for k, x in hyper.items()})
    assert loss.dtype == same.dtype == dtype and loss.shape == same.shape == ()
    torch.testing.assert_close(loss, same, rtol=4 * torch.finfo(dtype).eps, atol=0)


@NAMED
def test_says_what_it_is(entry):
    assert "Source: " in entry.formula.__doc__
    of_formula, of_minima = signature(entry.formula, ("w",)), signature(entry.minima, ())
    assert of_minima.state | of_minima.hyper == of_formula.hyper  # minima() means the formula's own defaults


def test_a_surface_of_the_readers_own_gets_a_square():
    mine = Surface.of(lambda w: (w**2).sum())
    assert (mine.domain, mine.start, mine.minima()) == (((-2, 2), (-2, 2)), (-1.5, 1.0), ())
    assert Surface.of(rosenbrock) is SURFACES["rosenbrock"]
