"""The ellipse of B: its equation, its area, where it is steepest, and what becomes of it on a quadratic."""

import math

import pytest
import torch
from torch.func import grad, vmap

from course_lib.backends.trace import trace
from course_lib.experiments import sweep
from course_lib.formulas import quadratic, rosenbrock, second_order
from course_lib.formulas import secant as s

SIZE = torch.tensor(0.3, dtype=torch.float64)


def matrix(seed):
    """A symmetric positive definite one."""
    root = torch.randn(2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return root @ root.T + 0.05 * torch.eye(2, dtype=torch.float64)


def around(B, count=720):
    phases = torch.arange(count, dtype=torch.float64) * 2 * math.pi / count
    return vmap(lambda phase: s.secant_ellipse(phase, B, SIZE))(phases)


@pytest.mark.parametrize("seed", range(5))
def test_the_ellipse_solves_its_equation_and_has_the_circles_area(seed):
    B = matrix(seed)
    points = around(B)
    levels = torch.einsum("ni,ij,nj->n", points, torch.linalg.inv(B), points)
    torch.testing.assert_close(levels, levels[0].expand(720), rtol=1e-9, atol=0)
    x, y = points.T
    area = (x * y.roll(-1) - y * x.roll(-1)).sum() / 2
    torch.testing.assert_close(area, math.pi * SIZE**2, rtol=1e-4, atol=0)


@pytest.mark.parametrize("seed", range(5))
def test_minus_b_g_is_the_steepest_point_of_the_ellipse(seed):
    B, g = matrix(seed), torch.randn(2, generator=torch.Generator().manual_seed(seed + 50), dtype=torch.float64)
    d, points = s.steepest_on_ellipse(g, B, SIZE), around(B)
    assert g @ d <= (points @ g).min() + 1e-12
    torch.testing.assert_close((points @ g).min(), g @ d, rtol=1e-3, atol=0)
    torch.testing.assert_close(d / d.norm(), -(B @ g) / (B @ g).norm(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_eigenvalues_and_determinant_are_torchs(seed):
    for B in (matrix(seed), -matrix(seed), matrix(seed) - 2 * torch.eye(2, dtype=torch.float64)):
        torch.testing.assert_close(s.eigenvalues(B), torch.linalg.eigvalsh(B), rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(s.determinant(B), torch.linalg.det(B), rtol=1e-9, atol=1e-12)


def test_the_inverse_hessian_is_the_inverse():
    w = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    product = s.inverse_hessian(rosenbrock, w) @ second_order.hessian(rosenbrock, w)
    torch.testing.assert_close(product, torch.eye(2, dtype=torch.float64), rtol=1e-9, atol=1e-12)


def test_the_error_of_a_matrix_is_relative():
    B = matrix(0)
    assert s.relative_error(B, B) == 0
    torch.testing.assert_close(s.relative_error(3 * B, B), torch.tensor(2.0, dtype=torch.float64))


@pytest.mark.parametrize("xi", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("condition_number", [3.0, 100.0])
def test_on_a_quadratic_two_steps_end_it_and_b_is_the_inverse_hessian(xi, condition_number):
    f = lambda w: quadratic(w, condition_number=condition_number, angle=torch.tensor(-30.0, dtype=torch.float64))
    w = torch.tensor([-2.0, 1.2], dtype=torch.float64)
    B = torch.eye(2, dtype=torch.float64)
    for t in (1, 2):
        w, B = s.broyden_exact(w, grad(f)(w), t, f, B, xi=xi)
    assert w.norm() < 1e-9 and s.relative_error(B, s.inverse_hessian(f, w)) < 1e-6


def test_with_an_exact_search_no_xi_changes_the_path():
    """Dixon (1972), here on a surface that is no quadratic."""
    paths = sweep(s.broyden_exact, rosenbrock, [-1.2, 1.0], 12, xi=[0.0, 0.3, 1.0])
    torch.testing.assert_close(paths[:, 0], paths[:, 2], rtol=0, atol=1e-4)
    torch.testing.assert_close(paths[:, 1], paths[:, 2], rtol=0, atol=1e-4)


def test_all_of_it_can_be_traced():
    point, square = {"w": (2,)}, {"B": (2, 2)}
    trace(lambda x: {"r": s.inverse_hessian(rosenbrock, x["w"])}, point, name="inverse")
    trace(
        lambda x: {"r": s.secant_ellipse(x["phase"], x["B"], x["size"])},
        {"phase": (), "size": ()} | square,
        name="ellipse",
    )
    trace(
        lambda x: {"r": s.steepest_on_ellipse(x["g"], x["B"], x["size"])},
        {"g": (2,), "size": ()} | square,
        name="steepest",
    )
    trace(lambda x: {"r": s.eigenvalues(x["B"])}, square, name="eigenvalues")
    trace(lambda x: {"r": s.relative_error(x["B"], x["W"])}, square | {"W": (2, 2)}, name="error")
