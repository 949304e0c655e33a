"""Every claim of the chapter on second order, as an assertion."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, vmap

from course_lib.experiments import digits, sweep
from course_lib.formulas import (
    backtracking_descent,
    gradient_descent,
    himmelblau,
    newton,
    newton_backtracking,
    quadratic,
    rosenbrock,
    saddle,
    steepest_descent,
)
from course_lib.widgets import LocalModel

CANYON = {"condition_number": 5.0}
START = torch.tensor([-1.2, 1.0], dtype=torch.float64)  # Rosenbrock's


def path(rule, surface, start, steps, **hyper):
    return sweep(rule, surface, start, steps, **hyper)[:, 0]


def losses(rule, surface, start, steps, **hyper):
    there = {k: hyper[k] for k in CANYON if k in hyper}
    return vmap(lambda w: surface(w, **there))(path(rule, surface, start, steps, **hyper))


def error_factors(rule, lr, condition_number):
    """By what the error's two coordinates shrink in a step."""
    w = path(rule, quadratic, [2.0, 0.4], 1, lr=lr, condition_number=condition_number)
    return (w[1] / w[0]).tolist()


# --- the model under your finger


def test_the_local_model_keeps_and_breaks_its_promises():
    fig = LocalModel("himmelblau", w=(3.8, 3.4))
    assert (fig.loss, fig.promised, fig.reached, fig.ratio) == pytest.approx((116.7, 22.67, 8.977, 1.146), rel=1e-3)
    slopes = [fig.gradient.norm().item()]
    for _ in range(6):
        fig.take("newton")
        slopes.append(fig.gradient.norm().item())
    assert slopes[:6] == pytest.approx([175, 37.5, 5.32, 0.435, 0.00492, 6.3e-7], rel=0.01) and slopes[6] < 1e-12
    fig = LocalModel("himmelblau", w=(3.8, 3.4), direction="gradient")
    assert (fig.promised, fig.reached, fig.ratio) == pytest.approx((183, 29.5, -1.32), rel=0.01)
    fig.gradient_lr = 0.005
    assert (fig.promised, fig.reached, fig.ratio) == pytest.approx((26.1, 18.6, 1.08), rel=0.01)


def test_newton_aims_at_what_the_model_has():
    fig = LocalModel("himmelblau", w=(0.0, -0.5))
    assert fig.kind == "maximum" and fig.curvatures == pytest.approx((-44.2, -22.8), rel=0.01)
    assert (fig.loss, fig.reached) == pytest.approx((177.8, 181.6), rel=1e-3)
    fig.w = [3.0, 0.2]
    assert fig.kind == "saddle" and fig.curvatures == pytest.approx((-15.5, 68.8), rel=0.01)


def test_far_away_the_model_lies_and_damping_shortens_the_step():
    fig = LocalModel("rosenbrock")
    assert fig.ratio == pytest.approx(1.00, abs=0.01)
    fig.take("newton")
    assert (fig.loss, fig.promised, fig.reached, fig.ratio) == pytest.approx((4.73, 0.515, 1412, -334), rel=0.01)
    first = None
    for k in range(401):  # the slider's places
        fig.damping = float(f"{1e-3 * 1e6 ** (k / 400):.3g}")
        falls = fig.reached < fig.loss
        assert falls or first is None
        first = first or (fig.damping if falls else None)
    assert first == 1.57


# --- the canyon


@pytest.mark.parametrize("condition_number", [1.0, 5.0, 100.0])
def test_newton_needs_one_step_and_shrinks_all_directions_alike(condition_number):
    assert error_factors(newton, 1.0, condition_number) == pytest.approx([0.0, 0.0], abs=1e-15)
    assert error_factors(newton, 0.38, condition_number) == pytest.approx([0.62, 0.62])
    assert error_factors(newton, 0.1, condition_number) == pytest.approx([0.9, 0.9])


def test_gradient_descent_has_a_factor_for_each_direction():
    assert error_factors(gradient_descent, 0.1, 5.0) == pytest.approx([0.9, 0.5])
    assert losses(gradient_descent, quadratic, [2.0, 0.4], 20, lr=0.38, condition_number=100.0)[-1] > 1e6


def test_the_exact_search_walks_the_path_of_the_best_constant_rate():
    exact = path(steepest_descent, quadratic, [5.0, 1.0], 8, **CANYON)
    constant = path(gradient_descent, quadratic, [5.0, 1.0], 8, lr=1 / 3, **CANYON)
    torch.testing.assert_close(exact, constant, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(exact[1], torch.tensor([5.0, -1.0], dtype=torch.float64) * 4 / 6, rtol=1e-12, atol=0)
    found = losses(steepest_descent, quadratic, [5.0, 1.0], 8, **CANYON)
    torch.testing.assert_close(found[1:] / found[:-1], torch.full((8,), 4 / 9, dtype=torch.float64), rtol=1e-9, atol=0)


# --- units and digits


@pytest.mark.parametrize("seed", range(5))
def test_newton_walks_the_same_path_in_other_units(seed):
    A = torch.randn(2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 2 * torch.eye(
        2, dtype=torch.float64
    )
    start = torch.tensor([1.3, 1.2], dtype=torch.float64)
    for rule, hyper, same in ((newton, {}, True), (gradient_descent, {"lr": 1e-4}, False)):
        w = path(rule, rosenbrock, start, 5, **hyper)[-1]
        u = path(rule, lambda u: rosenbrock(A @ u), torch.linalg.solve(A, start), 5, **hyper)[-1]
        assert ((A @ u - w).norm() < 1e-9 * (w - start).norm()) == same


def test_the_error_is_squared_in_each_step():
    low = torch.tensor([3.0, 2.0], dtype=torch.float64)
    errors = (path(newton, himmelblau, [3.3, 2.2], 4) - low).norm(dim=1)
    assert all(errors[k + 1] < errors[k] ** 2 for k in range(3)) and errors[4] < 1e-13
    slow = (path(gradient_descent, himmelblau, [3.3, 2.2], 4, lr=0.014) - low).norm(dim=1)
    assert slow[4] > 0.01


# --- saddles and damping


@pytest.mark.parametrize(
    ("damping", "ends_at_the_saddle"),
    [(0.001, True), (0.1, True), (0.4, True), (0.6, False), (1.5, False), (5.0, False)],
)
def test_the_saddle_attracts_up_to_a_damping_of_one_half(damping, ends_at_the_saddle):
    end = path(newton, saddle, [-1.5, 1e-3], 60, damping=damping)[-1]
    assert (end[1].abs() < 1e-3) == ends_at_the_saddle


@pytest.mark.parametrize("damping", [0.1, 0.5, 0.9, 1.5, 100.0])
def test_the_factor_of_a_damped_step(damping):
    curvatures = torch.tensor([1.0, -1.0], dtype=torch.float64)
    w = path(newton, lambda w: (curvatures * w**2).sum() / 2, [1.0, 1.0], 1, damping=damping)
    torch.testing.assert_close(w[1], damping / (curvatures + damping), rtol=1e-12, atol=0)


def test_gradient_descent_leaves_the_saddle_that_newton_goes_to():
    assert path(newton, saddle, [-1.5, 0.3], 30)[-1].norm() < 1e-12
    assert path(newton, saddle, [-1.5, 0.3], 30, damping=0.1)[-1].norm() < 1e-6
    assert path(gradient_descent, saddle, [-1.5, 0.3], 100, lr=0.1)[-1, 1] > 0.99


def test_above_one_the_step_goes_downhill():
    for damping in (1.01, 2.0, 10.0):
        w = torch.tensor([-1.5, 0.3], dtype=torch.float64)
        g = grad(saddle)(w)
        assert (newton(w, g, 1, saddle, damping=damping) - w) @ g < 0


# --- the bent valley


def test_newton_jumps_up_and_the_search_does_not():
    plain = losses(newton, rosenbrock, START, 25)
    assert plain[2] == pytest.approx(1411, abs=1) and plain[2] / plain[0] == pytest.approx(58, abs=1)
    assert (plain < 1e-10).nonzero()[0].item() == 5
    searched = losses(newton_backtracking, rosenbrock, START, 25)
    assert (searched.diff() <= 0).all() and (searched < 1e-10).nonzero()[0].item() == 20
    descent = losses(backtracking_descent, rosenbrock, START, 25)
    assert (descent.diff() < 0).all() and descent[25] > 3.9


# --- the network


def small_network(seed):
    """(loss, parameters) of a small network on handwritten digits."""
    torch.manual_seed(seed)
    data = digits(train=300, dtype=torch.float64, seed=seed)
    net = nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10)).double()
    shapes = {k: p.shape for k, p in net.named_parameters()}

    def loss(w):
        parts = w.split([s.numel() for s in shapes.values()])
        named = {k: x.view(s) for (k, s), x in zip(shapes.items(), parts, strict=True)}
        return nn.functional.cross_entropy(functional_call(net, named, data.x_train), data.y_train)

    return loss, nn.utils.parameters_to_vector(net.parameters()).detach()


@pytest.fixture(scope="module")
def network():
    return [small_network(seed) for seed in range(3)]


def test_a_product_with_the_hessian_needs_no_hessian(network):
    loss, w = network[0]
    v = torch.ones_like(w)
    torch.testing.assert_close(grad(lambda w: grad(loss)(w) @ v)(w), jacrev(grad(loss))(w) @ v, rtol=1e-9, atol=1e-12)
    assert len(w) == 610


def test_few_directions_are_steep_most_are_flat_some_curve_downward(network):
    for loss, w in network:
        for steps in (0, 100):
            x = torch.linalg.eigvalsh(jacrev(grad(loss))(path(gradient_descent, loss, w, steps, lr=0.5)[-1]))
            assert (x > x[-1] / 100).sum() < 0.2 * len(x)
            assert (x < -1e-6).sum() > 10


def test_a_hessian_of_resnet_50_fills_millions_of_gibibytes():
    assert 4 * 25_557_032**2 / 2**30 == pytest.approx(2.4e6, rel=0.02)
