"""Conjugate gradients against torch.linalg.solve, products with the Hessian against the whole Hessian."""

import pytest
import torch
from torch.func import grad, jacrev, vmap

from course_lib.formulas import beale, himmelblau, newton_backtracking, rosenbrock
from course_lib.formulas.newton_cg import conjugate_gradients, hessian_product, newton_cg


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def positive(n, seed=0):
    root = random(n, n, seed=seed)
    return root @ root.T + torch.eye(n, dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_it_ends_at_the_solution_and_stays_there(n):
    A, b = positive(n, n), random(n, seed=n + 1)
    for steps in (2 * n, 3 * n):  # rounding may cost a few more than n; what comes after the end changes nothing
        x = conjugate_gradients(lambda v: A @ v, b, steps=steps)
        torch.testing.assert_close(x, torch.linalg.solve(A, b), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_each_step_is_the_best_of_what_its_products_span(seed):
    """x_k minimizes xᵀ A x / 2 - bᵀ x over the combinations of b, A b, …, A^(k-1) b."""
    A, b = positive(6, seed), random(6, seed=seed + 10)
    for k in range(1, 6):
        powers = torch.stack([torch.linalg.matrix_power(A, j) @ b for j in range(k)], dim=1)
        basis = torch.linalg.qr(powers)[0]
        best = basis @ torch.linalg.solve(basis.T @ A @ basis, basis.T @ b)
        torch.testing.assert_close(conjugate_gradients(lambda v: A @ v, b, steps=k), best, rtol=1e-7, atol=1e-8)


def test_three_eigenvalues_need_three_products():
    A = torch.diag(torch.tensor([1.0, 1.0, 5.0, 5.0, 5.0, 100.0, 100.0], dtype=torch.float64))
    b = random(7)
    x = conjugate_gradients(lambda v: A @ v, b, steps=3)
    torch.testing.assert_close(x, torch.linalg.solve(A, b), rtol=1e-9, atol=1e-12)


def test_it_stops_where_a_direction_is_not_positive():
    A, b = torch.diag(torch.tensor([2.0, -1.0], dtype=torch.float64)), torch.tensor([1.0, 0.1], dtype=torch.float64)
    first = b @ b / (b @ A @ b) * b
    assert b @ A @ b > 0
    for steps in (1, 2, 5):
        torch.testing.assert_close(conjugate_gradients(lambda v: A @ v, b, steps=steps), first, rtol=1e-12, atol=0)
    assert torch.equal(conjugate_gradients(lambda v: -v, b, steps=3), 0 * b)
    assert torch.equal(conjugate_gradients(lambda v: A @ v, 0 * b, steps=3), 0 * b)


@pytest.mark.parametrize("surface", [rosenbrock, beale, himmelblau])
def test_a_product_is_that_with_the_whole_hessian(surface):
    for seed in range(5):
        w, v = random(2, seed=seed), random(2, seed=seed + 5)
        wanted = jacrev(grad(surface))(w) @ v
        torch.testing.assert_close(hessian_product(surface, w, v), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("damping", [0.0, 1.0])
def test_with_n_products_it_is_newtons_step_where_the_hessian_is_positive(damping):
    w = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    assert torch.linalg.eigvalsh(jacrev(grad(rosenbrock))(w))[0] > 0
    ours = newton_cg(w, grad(rosenbrock)(w), 1, rosenbrock, products=2, damping=damping)
    wanted = newton_backtracking(w, grad(rosenbrock)(w), 1, rosenbrock, damping=damping)
    torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)


def test_it_never_climbs_and_many_run_at_once():
    starts = 3 * random(20, 2)
    step = lambda w: newton_cg(w, grad(himmelblau)(w), 1, himmelblau, products=2)
    ends = vmap(step)(starts)
    assert (vmap(himmelblau)(ends) < vmap(himmelblau)(starts)).all()
    torch.testing.assert_close(ends, torch.stack([step(w) for w in starts]), rtol=1e-9, atol=1e-9)
