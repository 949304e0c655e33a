"""What the chapter on momentum says in prose, as assertions: the numbers in its answers, over several seeds where chance has a part."""

import pytest
import torch
from torch.func import vmap

from course_lib.experiments import sweep
from course_lib.formulas import gradient_descent, momentum, nesterov, quadratic, rosenbrock, sgd
from course_lib.formulas.convergence import best_momentum, critical_rates

START = (-2.2, 1.2)


def final_loss(rule, surface, start, steps, **hyper):
    there = {k: torch.tensor(v, dtype=torch.float64) for k, v in hyper.items() if k == "condition_number"}
    return surface(sweep(rule, surface, start, steps, **hyper)[-1, 0], **there).item()


@pytest.mark.parametrize(
    ("rule", "hyper", "loss"),
    [
        (gradient_descent, {"lr": 0.095}, 6.2e-5),
        (momentum, {"lr": 0.095, "momentum": 0.9}, 2.3e-3),
        (momentum, {"lr": 0.224, "momentum": 0.4}, 3.9e-12),
        (momentum, {"lr": 0.224, "momentum": 0.99}, 8.5),
        (sgd, {"lr": 0.03, "momentum": 0.9}, 0.013),
        (nesterov, {"lr": 0.03, "momentum": 0.9}, 6.1e-4),
    ],
)
def test_losses_after_60_steps_in_the_valley(rule, hyper, loss):
    assert final_loss(rule, quadratic, START, 60, condition_number=20.0, **hyper) == pytest.approx(loss, rel=0.02)


def test_gradient_descent_diverges_where_momentum_does_not():
    assert final_loss(gradient_descent, quadratic, START, 60, condition_number=20.0, lr=0.224) > 1e6
    assert final_loss(momentum, quadratic, START, 60, condition_number=20.0, lr=0.224) < 0.01


def test_nesterov_is_at_rest_across_the_valley_first():
    across = {rule: sweep(rule, quadratic, START, 60, lr=0.03, momentum=0.9, condition_number=20)[-1, 0, 1].abs() for rule in (sgd, nesterov)}
    assert across[nesterov] < 1e-12
    assert across[sgd] == pytest.approx(0.03, abs=0.005)


def test_best_settings_named_in_the_answers():
    for kappa, lr, m in ((10.0, 0.32, 0.27), (1000.0, 0.032, 0.88), (20.0, 0.224, 0.40)):
        best = best_momentum(torch.tensor(kappa))
        assert best[0].item() == pytest.approx(lr, rel=0.02)
        assert best[1].item() == pytest.approx(m, abs=0.005)


def test_momentum_forgives_a_factor_of_144():
    m = torch.tensor(0.9)
    low, high = critical_rates(m, torch.tensor(1.0))[0], critical_rates(m, torch.tensor(10.0))[1]
    assert (low.item(), high.item()) == pytest.approx((0.026, 3.80), rel=0.02)
    assert (high / low).item() == pytest.approx(144, abs=1)


@pytest.mark.parametrize(
    ("lr", "m", "loss"), [(0.004, 0.9, 0.20), (0.004, 0.95, 0.15), (0.008, 0.9, 0.027), (0.03, 0.9, 6e-5)]
)
def test_losses_on_rosenbrock(lr, m, loss):
    assert final_loss(momentum, rosenbrock, (-1.2, 1.0), 300, lr=lr, momentum=m) == pytest.approx(loss, rel=0.1)


def test_rosenbrock_diverges_near_the_edge_of_theory():
    curvature = torch.linalg.eigvalsh(torch.func.jacrev(torch.func.grad(rosenbrock))(torch.ones(2, dtype=torch.float64)))
    assert curvature[1].item() == pytest.approx(1002, abs=1)
    assert (curvature[1] / curvature[0]).item() == pytest.approx(2500, rel=0.01)
    paths = sweep(momentum, rosenbrock, (-1.2, 1.0), 300, lr=torch.tensor([0.034, 0.038]))
    assert paths[-1].isfinite().all(1).tolist() == [True, False]


@pytest.mark.parametrize("seed", range(3))
def test_momentum_prevents_sudden_turns(seed):
    starts = torch.randn(1000, 2, generator=torch.Generator().manual_seed(seed))
    turns = {}
    for rule in (gradient_descent, momentum):
        step = sweep(rule, quadratic, starts, 40, lr=0.095, condition_number=20).diff(dim=0)
        turns[rule] = torch.rad2deg(torch.cosine_similarity(step[1:], step[:-1], dim=-1).clamp(-1, 1).acos()).mean()
    assert turns[gradient_descent] == pytest.approx(164, abs=3)
    assert turns[momentum] == pytest.approx(19, abs=2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("m", [0.5, 0.9])
def test_the_average_divides_the_variance_of_noise(seed, m):
    generator = torch.Generator().manual_seed(seed)
    delta = torch.zeros(20_000)
    for t in range(1, 201):
        _, delta = momentum(0.0, torch.randn(20_000, generator=generator), t, delta, momentum=m)
    assert delta.var().item() == pytest.approx((1 - m) / (1 + m), rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_in_the_long_run_the_parameters_are_as_noisy_as_with_gradient_descent(seed):
    generator, lr, m = torch.Generator().manual_seed(seed), 0.02, 0.9
    plain = average = delta = torch.zeros(10_000, dtype=torch.float64)
    for t in range(1, 601):
        plain = gradient_descent(plain, plain + torch.randn(10_000, generator=generator), t, lr=lr)
        average, delta = momentum(average, average + torch.randn(10_000, generator=generator), t, delta, lr=lr, momentum=m)
    assert average.var().item() == pytest.approx(plain.var().item(), rel=0.08)


def test_dampening_takes_a_first_step_ten_times_as_long():
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    w.grad = torch.ones_like(w)
    torch.optim.SGD([w], lr=0.1, momentum=0.9, dampening=0.9).step()
    ours, _ = momentum(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64), 1, 0.0, lr=0.1, momentum=0.9)
    assert w.item() / ours.item() == pytest.approx(10)


def test_the_best_setting_can_cycle_on_a_convex_function():
    def kinked(w):  # curvature 25, then 1, then 25 again: Lessard, Recht and Packard (2016), section 4.6
        x = w[0]
        return torch.where(x < 1, 25 * x**2 / 2, torch.where(x < 2, x**2 / 2 + 24 * x - 12, 25 * x**2 / 2 - 24 * x + 36))

    lr, m = (x.item() for x in best_momentum(torch.tensor(25.0, dtype=torch.float64)))
    path = sweep(momentum, kinked, (3.3,), 2000, lr=torch.tensor([lr, 0.9 * lr]), momentum=m)[:, :, 0]
    torch.testing.assert_close(path[-3:, 0], path[-6:-3, 0], atol=1e-9, rtol=0)
    assert path[-3:, 0].diff().abs().min() > 1
    assert path[-1, 1].abs() < 1e-9
    slopes = vmap(torch.func.grad(kinked))(torch.linspace(-5, 5, 1001, dtype=torch.float64)[:, None])
    assert (slopes.diff(dim=0) > 0).all()  # convex
