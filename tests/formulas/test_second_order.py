"""Second order: against closed forms, PyTorch and scipy; one run or many; what the searches promise."""

import numpy as np
import pytest
import scipy.optimize
import second_order_references
import torch
from torch.func import grad, vmap

from course_lib.experiments import Optimizer, sweep
from course_lib.formulas import SECOND_ORDER, SURFACES, beale, himmelblau, quadratic, ravine, rosenbrock, saddle
from course_lib.formulas import second_order as s
from course_lib.formulas.signature import signature

POINTS = torch.tensor([[-1.2, 1.0], [0.3, -0.7], [2.0, 1.5], [-0.4, 0.2]], dtype=torch.float64)


def bowl(n, seed=0):
    """(f, H, minimum) of a random convex quadratic of n parameters."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(n, n, generator=generator, dtype=torch.float64)
    H, low = root @ root.T + torch.eye(n, dtype=torch.float64), torch.randn(n, generator=generator, dtype=torch.float64)
    return (lambda w: (w - low) @ H @ (w - low) / 2), H, low


def random(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- the model


@pytest.mark.parametrize("surface", [x.formula for x in SURFACES.values()], ids=SURFACES)
def test_the_hessian_is_autograds(surface):
    for w in POINTS:
        want = torch.autograd.functional.hessian(surface, w)
        torch.testing.assert_close(s.hessian(surface, w), want, rtol=1e-12, atol=1e-12)


def test_the_model_is_a_quadratic_itself_and_elsewhere_off_by_the_third_order():
    f, H, low = bowl(4)
    w, delta = random(4), random(4, seed=2)
    torch.testing.assert_close(s.quadratic_model(f, w, delta), f(w + delta), rtol=1e-12, atol=0)
    w, delta = POINTS[0], POINTS[1]
    errors = [(s.quadratic_model(rosenbrock, w, delta / h) - rosenbrock(w + delta / h)).abs() for h in (100, 200, 400)]
    assert [7.5 < (a / b).item() < 8.5 for a, b in zip(errors, errors[1:], strict=False)] == [True, True]


# --- searches


@pytest.mark.parametrize("n", [1, 2, 10])
def test_the_exact_search_on_a_quadratic_is_the_closed_form(n):
    f, H, low = bowl(n)
    w, d = random(n), random(n, seed=5)
    d = -d * (grad(f)(w) @ d).sign()
    torch.testing.assert_close(s.exact_search(f, w, d), -(grad(f)(w) @ d) / (d @ H @ d), rtol=1e-12, atol=0)


@pytest.mark.parametrize("surface", [x.formula for x in SURFACES.values()], ids=SURFACES)
def test_the_exact_search_ends_where_the_slope_is_zero(surface):
    for w in POINTS:
        d = -grad(surface)(w)
        eta = s.exact_search(surface, w, d)
        assert eta > 0
        slopes = [(grad(surface)(w + x * d) @ d).abs() for x in (eta, 0.0)]
        assert slopes[0] < 1e-6 * slopes[1]
        assert surface(w + eta * d) < surface(w)


@pytest.mark.parametrize("surface", [x.formula for x in SURFACES.values()], ids=SURFACES)
def test_backtracking_takes_the_first_rate_that_armijo_accepts(surface):
    for w in POINTS:
        g = grad(surface)(w)
        accepted = lambda eta: surface(w - eta * g) <= surface(w) - 1e-4 * eta * g @ g
        want = next(0.5**k for k in range(s.TRIALS) if accepted(0.5**k))
        assert s.backtracking_search(surface, w, g, -g) == want


@pytest.mark.parametrize("surface", [x.formula for x in SURFACES.values()], ids=SURFACES)
def test_both_conditions_of_wolfe_hold(surface):
    for w in POINTS:
        g = grad(surface)(w)
        eta = s.wolfe_search(surface, w, g, -g)
        assert surface(w - eta * g) <= surface(w) - 1e-4 * eta * g @ g
        assert grad(surface)(w - eta * g) @ -g >= 0.9 * (g @ -g)


def test_a_search_does_not_step_into_a_region_without_a_loss():
    f = lambda w: w.sum() - w.log().sum()  # NaN below zero
    w = torch.tensor([3.0, 5.0], dtype=torch.float64)
    g = grad(f)(w)
    for eta in (s.backtracking_search(f, w, g, -8 * g), s.wolfe_search(f, w, g, -8 * g)):
        assert f(w - 8 * eta * g) < f(w)


# --- rules


@pytest.mark.parametrize("n", [1, 2, 10])
def test_newton_needs_one_step_on_a_quadratic(n):
    f, H, low = bowl(n)
    torch.testing.assert_close(sweep(s.newton, f, random(n), 1)[-1, 0], low, rtol=1e-10, atol=1e-10)


def test_newtons_digits_double():
    errors = (sweep(s.newton, himmelblau, [3.3, 2.2], 4)[:, 0] - torch.tensor([3.0, 2.0])).norm(dim=1)
    assert [k for k in range(3) if not errors[k + 1] < errors[k] ** 2] == [] and errors[4] < 1e-13


def test_newton_goes_to_the_saddle_and_descent_does_not():
    start = SURFACES["saddle"].start
    assert sweep(s.newton, saddle, start, 20)[-1, 0].norm() < 1e-8
    assert sweep(s.newton_backtracking, saddle, start, 40)[-1, 0, 1].abs() > 0.99


def test_strong_damping_is_gradient_descent():
    w = POINTS[0]
    g = grad(rosenbrock)(w)
    step = w - s.newton(w, g, 1, rosenbrock, damping=1e9)
    torch.testing.assert_close(step * 1e9, g, rtol=1e-5, atol=0)


def test_steepest_descent_zigzags_at_cauchys_rate():
    """On the worst start each step shrinks the loss by ((κ - 1) / (κ + 1))²."""
    kappa = 5.0
    path = sweep(s.steepest_descent, quadratic, [kappa, 1.0], 20, condition_number=kappa)[:, 0]
    losses = vmap(lambda w: quadratic(w, condition_number=kappa))(path)
    torch.testing.assert_close(
        losses[1:] / losses[:-1],
        torch.full((20,), ((kappa - 1) / (kappa + 1)) ** 2, dtype=torch.float64),
        rtol=1e-9,
        atol=0,
    )


@pytest.mark.parametrize("rule", [s.broyden, s.dfp, s.bfgs, s.lbfgs, s.newton_backtracking])
@pytest.mark.parametrize(
    ("surface", "minimum"),
    [(rosenbrock, (1.0, 1.0)), (beale, (3.0, 0.5)), (himmelblau, (3.0, 2.0)), (ravine, (0.0, 0.0))],
)
def test_a_minimum_is_found(rule, surface, minimum):
    path = sweep(rule, surface, SURFACES[surface.__name__].start, 120)
    torch.testing.assert_close(path[-1, 0], torch.tensor(minimum, dtype=torch.float64), rtol=0, atol=1e-7)


@pytest.mark.parametrize("surface", [rosenbrock, beale])
@pytest.mark.parametrize("rule", [s.bfgs, s.lbfgs])
def test_scipy_finds_the_same_minimum(rule, surface):
    start = SURFACES[surface.__name__].start
    f = lambda x: surface(torch.tensor(x)).item()
    slope = lambda x: grad(surface)(torch.tensor(x)).numpy()
    want = scipy.optimize.minimize(f, start, jac=slope, method="BFGS", options={"gtol": 1e-9})
    got = sweep(rule, surface, start, 3 * want.nit)[-1, 0]
    torch.testing.assert_close(got, torch.from_numpy(want.x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_lbfgs_finds_what_torchs_finds(n):
    f, H, low = bowl(n)
    w = random(n).clone().requires_grad_()
    peer = torch.optim.LBFGS(
        [w], max_iter=200, history_size=5, line_search_fn="strong_wolfe", tolerance_grad=1e-10, tolerance_change=0
    )

    def closure():
        peer.zero_grad()
        loss = f(w)
        loss.backward()
        return loss

    peer.step(closure)
    ours = sweep(s.lbfgs, f, random(n), 2 * peer.state[w]["n_iter"])[-1, 0]
    torch.testing.assert_close(ours, w.detach(), rtol=0, atol=1e-6)


# --- B


@pytest.mark.parametrize("xi", [0.0, 0.3, 1.0])
def test_the_family_satisfies_the_secant_equation_and_stays_positive_definite(xi):
    for seed in range(5):
        _, H, _ = bowl(4, seed)
        _, B, _ = bowl(4, seed + 10)
        p = random(4, seed=seed)
        new = s.broyden_update(B, p, H @ p, xi)
        torch.testing.assert_close(new @ H @ p, p, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(new, new.T, rtol=1e-9, atol=1e-9)
        assert torch.linalg.eigvalsh(new)[0] > 0


def test_bfgs_is_the_familys_end():
    _, H, _ = bowl(4)
    _, B, _ = bowl(4, 3)
    p = random(4)
    torch.testing.assert_close(s.bfgs_update(B, p, H @ p), s.broyden_update(B, p, H @ p, 1.0), rtol=1e-10, atol=1e-10)


def test_without_curvature_b_stays():
    B, p = torch.eye(2, dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    for q in (-p, 0 * p):
        assert torch.equal(s.bfgs_update(B, p, q), B) and torch.equal(s.broyden_update(B, p, q, 0.5), B)


@pytest.mark.parametrize("xi", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [2, 6])
def test_with_an_exact_search_a_quadratic_ends_after_n_steps(n, xi):
    """And B is the inverse Hessian then."""
    f, H, low = bowl(n)

    def rule(w, g, t, f, B=s.identity):
        d = -B @ g
        new = w + s.exact_search(f, w, d) * d
        return new, s.broyden_update(B, new - w, grad(f)(new) - g, xi)

    w, B = random(n), torch.eye(n, dtype=torch.float64)
    for t in range(1, n + 1):
        w, B = rule(w, grad(f)(w), t, f, B)
    torch.testing.assert_close(w, low, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(B, torch.linalg.inv(H), rtol=1e-5, atol=1e-6)


def test_two_loops_are_bfgs_without_the_matrix():
    """From a multiple of the identity, as many pairs as are remembered give B g."""
    _, H, _ = bowl(5)
    P = random(s.DEEPEST, 5)
    Q, g = P @ H, random(5, seed=3)
    for memory in (1, 3, s.DEEPEST):
        B = torch.eye(5, dtype=torch.float64) * (P[0] @ Q[0]) / (Q[0] @ Q[0])
        for k in reversed(range(memory)):
            B = s.bfgs_update(B, P[k], Q[k])
        torch.testing.assert_close(s.two_loops(g, P, Q, float(memory)), B @ g, rtol=1e-9, atol=1e-9)
    assert torch.equal(s.two_loops(g, P, Q, 0.0), g)


# --- drivers


@pytest.mark.parametrize("rule", SECOND_ORDER.values(), ids=SECOND_ORDER)
def test_many_runs_equal_each_run_alone(rule):
    together = sweep(rule, himmelblau, POINTS, 6)
    for k, start in enumerate(POINTS):
        torch.testing.assert_close(
            together[:, k], sweep(rule, himmelblau, start, 6)[:, 0], rtol=1e-9, atol=1e-9, equal_nan=True
        )


def test_hyperparameters_can_be_swept_and_are_checked():
    ends = sweep(s.lbfgs, rosenbrock, [-1.2, 1.0], 60, memory=[0.0, 1.0, 5.0])[-1]
    assert ((ends - 1).norm(dim=1) < 1e-6).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="lbfgs's memory must be at least 0 and below 11, got 11"):
        sweep(s.lbfgs, rosenbrock, [-1.2, 1.0], 1, memory=11)
    with pytest.raises(ValueError, match="newton's damping must be at least 0 and finite, got -1"):
        sweep(s.newton, rosenbrock, [-1.2, 1.0], 1, damping=-1)


@pytest.mark.parametrize("rule", SECOND_ORDER.values(), ids=SECOND_ORDER)
def test_an_optimizer_says_that_it_has_no_loss_to_give(rule):
    assert signature(rule).takes_loss
    with pytest.raises(TypeError, match=f"{rule.__name__} needs the loss as a function"):
        Optimizer([torch.nn.Parameter(torch.ones(2))], rule)


TRIED = {
    "steepest_descent": [{}],
    "backtracking_descent": [{"lr": 0.7, "shrink": 0.3, "c1": 0.2}, {"lr": 1.0, "shrink": 0.8, "c1": 0.01}],
    "newton": [{"lr": 1.0, "damping": 0.0}, {"lr": 0.6, "damping": 3.0}],
    "newton_backtracking": [{"damping": 0.0, "c1": 0.3}, {"damping": 5.0, "c1": 0.01}],
    "broyden": [{"xi": 0.3}, {"xi": 0.8}],
    "dfp": [{}],
    "bfgs": [{}],
    "lbfgs": [{"memory": 2.0}, {"memory": 4.0}],
}
ROWS = [pytest.param(name, hyper, id=f"{name}-{hyper}") for name, rows in TRIED.items() for hyper in rows]


def test_every_rule_has_a_reference():
    assert [name for name in SECOND_ORDER if not hasattr(second_order_references, name)] == []
    assert list(TRIED) == list(SECOND_ORDER)


@pytest.mark.parametrize("start", [(-1.2, 1.0), (0.4, 1.5), (0.0, 2.0)])
@pytest.mark.parametrize("name, hyper", ROWS)
def test_equals_the_textbook(name, hyper, start):
    """Eight steps. The exact search ends at a distance of 1e-9 from the root, and steps across a valley multiply that."""
    valley = second_order_references.Rosenbrock(b=10.0)
    path = getattr(second_order_references, name)(np.array(start), valley, 8, **hyper)
    found = sweep(SECOND_ORDER[name], rosenbrock, start, 8, b=10.0, **hyper)[1:, 0]
    tolerance = 1e-6 if name == "steepest_descent" else 1e-9
    np.testing.assert_allclose(found.numpy(), np.array(path), rtol=tolerance, atol=tolerance)
