"""What the chapter on momentum says in prose, as assertions: the numbers in its answers, over several seeds where chance has a part."""

import math

import pytest
import torch
from torch.func import vmap

from course_lib.experiments import Optimizer, sweep
from course_lib.formulas import gradient_descent, himmelblau, momentum, nesterov, quadratic, rosenbrock, sgd
from course_lib.formulas.convergence import best_momentum, critical_rates
from course_lib.widgets import Map

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


def test_gradient_descent_diverges_above_a_rate_of_a_tenth():
    below, above = (
        final_loss(gradient_descent, quadratic, START, 1000, condition_number=20.0, lr=lr) for lr in (0.099, 0.101)
    )
    assert below < 1e-10 and above > 1e6


def test_momentum_is_millions_of_times_lower_than_any_rate_of_gradient_descent():
    ends = sweep(
        gradient_descent,
        quadratic,
        START,
        60,
        lr=torch.linspace(0.05, 0.1, 201, dtype=torch.float64),
        condition_number=20,
    )[-1]
    kappa = torch.tensor(20.0, dtype=torch.float64)
    best = vmap(lambda w: quadratic(w, condition_number=kappa))(ends).min().item()
    assert best / final_loss(
        momentum, quadratic, START, 60, condition_number=20.0, lr=0.224, momentum=0.4
    ) == pytest.approx(5e6, rel=0.1)
    at_the_start = quadratic(torch.tensor(START, dtype=torch.float64), condition_number=kappa).item()
    assert final_loss(
        momentum, quadratic, START, 60, condition_number=20.0, lr=0.224, momentum=0.99
    ) / at_the_start == pytest.approx(0.5, abs=0.01)


def test_steps_for_one_more_digit():
    """The table of the page, against runs from the flat end of the valley."""
    for kappa, plain, best in ((10, 11, 3), (100, 115, 11), (1000, 1151, 36), (10_000, 11_513, 115)):
        rates = (kappa - 1) / (kappa + 1), (kappa**0.5 - 1) / (kappa**0.5 + 1)
        assert [-1 / math.log10(rate) for rate in rates] == pytest.approx([plain, best], abs=0.6)
    lr, m = (x.item() for x in best_momentum(torch.tensor(100.0, dtype=torch.float64)))
    for rule, hyper, steps in ((gradient_descent, {"lr": 2 / 101}, 115), (momentum, {"lr": lr, "momentum": m}, 11)):
        size = sweep(rule, quadratic, (1.0, 1.0), 20 * steps, condition_number=100, **hyper)[:, 0].norm(dim=1)
        digits = math.log10(size[10 * steps] / size[20 * steps])
        assert digits == pytest.approx(10, rel=0.08)  # at critical damping t ρ^t: a little less than ρ^t for long


@pytest.mark.parametrize("curvature", [1.0, 5.0, 20.0])
def test_the_look_ahead_adds_friction_that_grows_with_the_curvature(curvature):
    """A step is linear in (w, b): its roots have the product m with momentum, and m (1 - ηλ) with the look-ahead."""
    lr, m = 0.03, 0.9
    for rule, product in ((sgd, m), (nesterov, m * (1 - lr * curvature))):

        def step(z, rule=rule):
            return torch.cat(rule(z[:1], curvature * z[:1], 2, z[1:], lr=lr, momentum=m))

        assert torch.linalg.det(torch.func.jacrev(step)(torch.zeros(2, dtype=torch.float64))).item() == pytest.approx(
            product
        )


def test_nesterov_is_at_rest_across_the_valley_first():
    across = {
        rule: sweep(rule, quadratic, START, 60, lr=0.03, momentum=0.9, condition_number=20)[-1, 0, 1].abs()
        for rule in (sgd, nesterov)
    }
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
    curvature = torch.linalg.eigvalsh(
        torch.func.jacrev(torch.func.grad(rosenbrock))(torch.ones(2, dtype=torch.float64))
    )
    assert curvature[1].item() == pytest.approx(1002, abs=1)
    assert (curvature[1] / curvature[0]).item() == pytest.approx(2500, rel=0.01)
    paths = sweep(momentum, rosenbrock, (-1.2, 1.0), 300, lr=torch.tensor([0.034, 0.038]))
    assert paths[-1].isfinite().all(1).tolist() == [True, False]


# The map on Rosenbrock's valley


def borders(steps):
    """By momentum: the lowest and the highest rate that arrive, the decades of rates that do, and the fewest steps; infinite or 0 for none."""
    fig = Map(
        momentum, rosenbrock, x="lr", y="momentum", steps=steps, x_range=(0.001, 0.3), y_range=(0, 0.99), lr=0.004
    )
    found, (rates, momenta) = fig.values(80, 20), fig.places(80, 20)
    good = found.steps < math.inf
    low, high = torch.where(good, rates, math.inf).amin(1), torch.where(good, rates, 0).amax(1)
    return momenta, low, high, good.sum(1) * math.log10(300) / 80, found.steps.amin(1)


@pytest.fixture(scope="module")
def tongue():
    return borders(600)


def test_two_borders_are_patience(tongue):
    m, low, *_ = tongue
    between = (0.7 < m) & (m < 0.945)
    assert between.sum() == 8 and ((low[between] / 0.01).log().abs() < math.log(8 / 7)).all()
    more = borders(1000)
    assert ((more[1][between] / 0.006).log().abs() < math.log(8 / 7)).all()
    assert (more[3][-2:] > 5 * tongue[3][-2:] * torch.tensor([0.5, 1])).all()  # at the top
    assert (more[2][between] < 1.08 * tongue[2][between]).all()  # to the right


def test_the_third_border_is_theory_up_to_a_momentum_of_86_percent(tongue):
    m, _, high, *_ = tongue
    share = high / (2 * (1 + m) / ((1 - m) * 1002))
    between = (0.7 < m) & (m < 0.87)
    assert between.sum() == 4 and ((share[between] - 1).abs() < 0.15).all()
    for momenta, part in ((0.929, 0.78), (0.982, 0.45)):
        assert share[(m - momenta).abs().argmin()].item() == pytest.approx(part, abs=0.01)
    path = sweep(momentum, rosenbrock, (-1.2, 1.0), 60, dtype=torch.float32, lr=0.05, momentum=0.92)[:, 0]
    assert ((path.abs() > 300) | ~path.isfinite()).any(1).int().argmax() == 12
    best = best_momentum(torch.tensor(2500.0))
    assert best[1].item() == pytest.approx(0.92, abs=0.005) and 1 / math.sqrt(0.4 * 1002) == pytest.approx(
        0.05, abs=1e-3
    )


def test_momentum_widens_the_range_of_good_rates_and_then_costs_steps(tongue):
    m, low, _, decades, fewest = tongue
    assert (m < 0.65).sum() == 5 and not low[:5].isfinite().any() and m[4] > 0.64
    for momenta, factor, steps in ((0.718, 1.2, 525), (0.859, 2.5, 220), (0.944, 6.4, 160)):
        row = (m - momenta).abs().argmin()
        assert 10 ** decades[row].item() == pytest.approx(factor, rel=0.05) and fewest[row] == pytest.approx(
            steps, rel=0.03
        )
    for momenta, law, steps in ((0.965, 279, 260), (0.978, 446, 415)):
        row = (m - momenta).abs().argmin()
        assert math.log(24_200) / -m[row].log().item() == pytest.approx(law, abs=2) and fewest[row] == pytest.approx(
            steps, rel=0.03
        )
    assert rosenbrock(torch.tensor([-1.2, 1.0])).item() == pytest.approx(24.2)


def test_the_fastest_streaks_are_luck():
    path = sweep(
        momentum, rosenbrock, (-1.2, 1.0), 600, lr=torch.tensor([0.0170 * 0.98, 0.0170, 0.0170 * 1.03]), momentum=0.813
    )
    late = (vmap(vmap(rosenbrock))(path) > 1e-3) * torch.arange(1, 602)[:, None]
    assert late.amax(0).tolist() == pytest.approx([354, 104, 281], abs=3)


# The basins


@pytest.fixture(scope="module")
def basins():
    """The loss at the starts of a grid, and by momentum whether they end elsewhere than at m = 0."""
    fig = Map(momentum, himmelblau, x="w0", y="w1", view="minimum", lr=0.005, momentum=0, steps=300, start=(5, 5))
    x, y = fig.places(40, 40)
    still, elsewhere = fig.values(40, 40), {}
    for m, steps in ((0.5, 300), (0.8, 300), (0.9, 300), (0.95, 400), (0.98, 800)):
        fig.momentum, fig.steps = m, steps
        found = fig.values(40, 40)
        assert found.steps.isfinite().double().mean() > 0.99
        elsewhere[m] = found.minimum != still.minimum
    return himmelblau(torch.stack(torch.meshgrid(x, y, indexing="xy"))), elsewhere


def test_borders_fold_at_the_rim(basins):
    loss, elsewhere = basins
    for m, share in ((0.9, 0.19), (0.95, 0.30)):
        assert elsewhere[m].double().mean().item() == pytest.approx(share, abs=0.01)
    for m, above, below in ((0.9, 0.40, 0.01), (0.95, 0.61, 0.03)):
        assert elsewhere[m][loss > 178].double().mean().item() == pytest.approx(above, abs=0.015)
        assert elsewhere[m][loss < 178].double().mean() < below
    assert not any(e[loss < 13.3].any() for e in elsewhere.values()) and (loss < 13.3).sum() > 50


def test_the_run_at_the_ring_of_the_basins():
    ends = sweep(
        momentum, himmelblau, (5.0, 5.0), 400, lr=0.005, momentum=torch.tensor([0.0, 0.9, 0.95], dtype=torch.float64)
    )[-1]
    torch.testing.assert_close(
        ends, torch.tensor([[3.0, 2.0], [3.6, -1.8], [-3.8, -3.3]], dtype=torch.float64), atol=0.06, rtol=0
    )


def test_without_momentum_each_minimum_has_one_region():
    fig = Map(momentum, himmelblau, x="w0", y="w1", view="minimum", lr=0.005, momentum=0, steps=300, start=(5, 5))
    minimum = fig.values(60, 60).minimum
    assert sorted(minimum.unique().tolist()) == [0, 1, 2, 3]
    for k in range(4):
        own = (minimum == k).float()[None, None]
        reached = torch.zeros_like(own).flatten()
        reached[own.flatten().argmax()] = 1
        reached = reached.view_as(own)
        for _ in range(200):  # flood the region from one of its pixels
            reached = torch.nn.functional.max_pool2d(reached, 3, stride=1, padding=1) * own
        assert reached.equal(own)


@pytest.mark.parametrize("m", [0.5, 0.9, 0.98])
def test_the_energy_of_the_ball_only_falls(m):
    lr, slope = 0.0005, vmap(torch.func.grad(himmelblau))
    w = 4 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    delta, energy = torch.zeros_like(w), [vmap(himmelblau)(w)]
    for t in range(1, 601):
        w, delta = momentum(w, slope(w), t, delta, lr=lr, momentum=m)
        energy.append(vmap(himmelblau)(w) + lr * m / (1 - m) * delta.square().sum(1) / 2)
    energy = torch.stack(energy)
    assert (energy.diff(dim=0) <= 1e-15 * energy[0]).all() and (energy[-1] < 0.9 * energy[0]).all()


def test_the_passes():
    w, heights = torch.cartesian_prod(*[torch.linspace(-4.5, 4.5, 19, dtype=torch.float64)] * 2), set()
    slope, bend = vmap(torch.func.grad(himmelblau)), vmap(torch.func.jacrev(torch.func.grad(himmelblau)))
    for _ in range(30):
        w = w - torch.linalg.solve(bend(w), slope(w))
    w = w[slope(w).norm(dim=1) < 1e-9]
    signs = torch.linalg.eigvalsh(bend(w)).sign()
    heights = sorted({round(x, 1) for x in vmap(himmelblau)(w[(signs[:, 0] < 0) & (signs[:, 1] > 0)]).tolist()})
    assert heights == [13.3, 67.7, 104.0, 178.3]


# What the average does to noise


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
        average, delta = momentum(
            average, average + torch.randn(10_000, generator=generator), t, delta, lr=lr, momentum=m
        )
    assert average.var().item() == pytest.approx(plain.var().item(), rel=0.08)


def constant_gradient(optimizer_of, steps):
    """The lengths of the steps under a gradient of 1."""
    w, lengths = torch.zeros(1, dtype=torch.float64, requires_grad=True), []
    optimizer = optimizer_of([w])
    for _ in range(steps):
        before, w.grad = w.item(), torch.ones_like(w)
        optimizer.step()
        lengths.append(before - w.item())
    return lengths


def test_the_first_steps_are_short_and_long_ones_have_the_size_of_a_gradient():
    for m in (0.9, 0.99):
        lengths = constant_gradient(lambda w, m=m: Optimizer(w, momentum, lr=1.0, momentum=m), 2000)
        assert lengths == pytest.approx([1 - m**t for t in range(1, 2001)])
        assert lengths[-1] == pytest.approx(1)
    assert 1 - 0.9 == pytest.approx(0.1) and 1 - 0.9**10 == pytest.approx(0.65, abs=0.005)


def test_the_other_spelling_makes_steps_ten_times_as_long():
    long, longer = (
        constant_gradient(lambda w, m=m: torch.optim.SGD(w, lr=1.0, momentum=m), 2000)[-1] for m in (0.9, 0.99)
    )
    assert long == pytest.approx(10) and longer == pytest.approx(100)
    ours = constant_gradient(lambda w: Optimizer(w, momentum, lr=1.0, momentum=0.9), 50)
    assert constant_gradient(lambda w: torch.optim.SGD(w, lr=1.0 * (1 - 0.9), momentum=0.9), 50) == pytest.approx(ours)


def test_dampening_takes_a_first_step_ten_times_as_long():
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    w.grad = torch.ones_like(w)
    torch.optim.SGD([w], lr=0.1, momentum=0.9, dampening=0.9).step()
    ours, _ = momentum(
        torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64), 1, 0.0, lr=0.1, momentum=0.9
    )
    assert w.item() / ours.item() == pytest.approx(10)


def test_the_best_setting_can_cycle_on_a_convex_function():
    def kinked(w):  # curvature 25, then 1, then 25 again: Lessard, Recht and Packard (2016), section 4.6
        x = w[0]
        return torch.where(
            x < 1, 25 * x**2 / 2, torch.where(x < 2, x**2 / 2 + 24 * x - 12, 25 * x**2 / 2 - 24 * x + 36)
        )

    lr, m = (x.item() for x in best_momentum(torch.tensor(25.0, dtype=torch.float64)))
    path = sweep(momentum, kinked, (3.3,), 2000, lr=torch.tensor([lr, 0.9 * lr]), momentum=m)[:, :, 0]
    torch.testing.assert_close(path[-3:, 0], path[-6:-3, 0], atol=1e-9, rtol=0)
    assert path[-3:, 0].diff().abs().min() > 1
    assert path[-1, 1].abs() < 1e-9
    slopes = vmap(torch.func.grad(kinked))(torch.linspace(-5, 5, 1001, dtype=torch.float64)[:, None])
    assert (slopes.diff(dim=0) > 0).all()  # convex
