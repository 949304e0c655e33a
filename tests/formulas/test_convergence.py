"""The theory of convergence on a quadratic, against the eigenvalues of the iteration itself and against real runs."""

import numpy as np
import pytest
import torch
from torch.func import vmap

from course_lib.experiments import sweep
from course_lib.formulas import convergence, gradient_descent, momentum, quadratic

CONDITION_NUMBERS = (1.0, 2.0, 10.0, 100.0)


def double(x):
    return torch.as_tensor(x, dtype=torch.float64)


def grid(curvature=1.0, count=41):
    """Learning rates from a fraction of 1/λ to far past divergence, times momenta from 0 to almost 1; no point is critical."""
    lr, m = torch.meshgrid(
        torch.logspace(-2.03, 2.01, count, dtype=torch.float64) / curvature,
        double(np.linspace(0, 0.9871, 23)),
        indexing="ij",
    )
    return lr.flatten(), m.flatten()


def spectral_radius(lr, m, curvature):
    """Of the matrix that takes (w, Δ) to the next (w, Δ) on the loss λw²/2."""
    matrix = np.array([[1 - lr * (1 - m) * curvature, -lr * m], [(1 - m) * curvature, m]])
    return np.abs(np.linalg.eigvals(matrix)).max()


@pytest.mark.parametrize("curvature", [0.01, 1.0, 250.0])
def test_momentum_rate_is_the_spectral_radius(curvature):
    lr, m = grid(curvature)
    expected = double([spectral_radius(*x, curvature) for x in zip(lr.tolist(), m.tolist(), strict=True)])
    error = (convergence.momentum_rate(lr, m, double(curvature)) / expected - 1).abs()
    assert (
        error.max() < 1e-6
    )  # near critical damping two eigenvalues meet, and rounding moves each by the root of itself
    assert error.median() < 1e-15


def test_without_momentum_the_rate_is_gradient_descents():
    lr, curvature = torch.logspace(-3, 2, 50, dtype=torch.float64), double(1.7)
    by_momentum = convergence.momentum_rate(lr, torch.zeros_like(lr), curvature)
    torch.testing.assert_close(by_momentum, convergence.gradient_descent_rate(lr, curvature), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("lr", [0.1, 0.5, 1.0, 1.9, 2.1])
def test_gradient_descent_shrinks_by_its_rate_in_every_step(lr):
    path = sweep(gradient_descent, quadratic, (1.0, 0.0), 20, lr=lr, condition_number=1.0)[:, 0, 0].abs()
    torch.testing.assert_close(
        path[1:], path[:-1] * convergence.gradient_descent_rate(double(lr), double(1.0)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("condition_number", CONDITION_NUMBERS)
def test_the_worst_rate_is_that_of_the_worst_eigenvalue(condition_number):
    lr, m = grid(condition_number)
    inside = torch.stack([convergence.momentum_rate(lr, m, double(x)) for x in np.linspace(1, condition_number, 50)])
    torch.testing.assert_close(
        convergence.worst_momentum_rate(lr, m, double(condition_number)), inside.amax(0), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("condition_number", CONDITION_NUMBERS)
def test_real_runs_shrink_by_the_worst_rate(condition_number):
    lr, m = grid(condition_number)
    steps, window = 600, 24
    path = sweep(momentum, quadratic, (-2.2, 1.2), steps, lr=lr, momentum=m, condition_number=condition_number)
    losses = vmap(vmap(lambda w: quadratic(w, condition_number=condition_number)))(path[1:])
    energies = vmap(vmap(convergence.energy), in_dims=(0, 0, None, None))(
        losses, (path[:-1] - path[1:]) / lr[:, None], lr, m
    )
    early, late = energies[steps // 2 - window : steps // 2], energies[-window:]
    measured = vmap(convergence.measured_rate, in_dims=(1, 1, None))(early, late, double(steps // 2))
    held = (energies > 1e-280).all(0) & (energies < 1e280).all(0)  # elsewhere doubles under- or overflow on the way
    assert held.float().mean() > 0.3
    torch.testing.assert_close(
        measured[held], convergence.worst_momentum_rate(lr, m, double(condition_number))[held], rtol=0, atol=0.01
    )


@pytest.mark.parametrize("swing", [0.0, 0.3, 1.0])
def test_measured_rate_reads_the_root_of_a_decaying_energy(swing):
    t = torch.arange(200, dtype=torch.float64)
    energies = 3.7 * 0.9 ** (2 * t) * (1 + swing * torch.cos(2 * torch.pi * t / 10))
    assert convergence.measured_rate(energies[50:70], energies[150:170], double(100)).item() == pytest.approx(
        0.9, rel=1e-12
    )


def test_energy_falls_where_the_loss_swings():
    path = sweep(momentum, quadratic, (1.0, 0.0), 400, lr=0.01, momentum=0.99, condition_number=1.0)[:, 0]
    losses = vmap(lambda w: quadratic(w, condition_number=1.0))(path[1:])
    energies = vmap(convergence.energy, in_dims=(0, 0, None, None))(losses, (path[:-1] - path[1:]) / 0.01, 0.01, 0.99)
    assert (losses.diff() > 0).any() and (energies.diff() <= 0).all()


@pytest.mark.parametrize("condition_number", CONDITION_NUMBERS[1:])
def test_the_best_momentum_is_the_best(condition_number):
    kappa = double(condition_number)
    lr, m = convergence.best_momentum(kappa)
    best = convergence.worst_momentum_rate(lr, m, kappa)
    torch.testing.assert_close(best, (kappa.sqrt() - 1) / (kappa.sqrt() + 1), rtol=1e-7, atol=0)
    near_lr, near_m = torch.meshgrid(
        lr * torch.logspace(-0.2, 0.2, 201, dtype=torch.float64),
        (m + double(np.linspace(-0.1, 0.1, 201))).clamp(0, 0.999),
        indexing="ij",
    )
    everywhere = torch.cat(
        [convergence.worst_momentum_rate(*x, kappa).flatten() for x in ((near_lr, near_m), grid(1.0, 401))]
    )
    assert everywhere.min() >= best - 1e-7
    assert everywhere.min() < best + 0.01


def test_a_perfectly_round_bowl_needs_no_momentum():
    lr, m = convergence.best_momentum(double(1.0))
    assert (lr.item(), m.item()) == (1.0, 0.0)


def test_the_stability_edge_divides_convergence_from_divergence():
    m, curvature, near = (
        x.flatten()
        for x in torch.meshgrid(double([0.0, 0.5, 0.9, 0.99]), double([1.0, 50.0]), double([0.99, 1.01]), indexing="ij")
    )
    edge = convergence.stability_edge(m, curvature)
    torch.testing.assert_close(convergence.momentum_rate(edge, m, curvature), torch.ones_like(m), rtol=1e-12, atol=0)
    # The steep direction alone: along (0, 1) the quadratic has the curvature `condition_number`.
    distance = sweep(momentum, quadratic, (0.0, 1.0), 1500, lr=near * edge, momentum=m, condition_number=curvature)[
        :, :, 1
    ].abs()
    assert distance[-100:, near < 1].max() < 0.01
    assert distance[-1, near > 1].min() > 1e10


@pytest.mark.parametrize("m", [0.0, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("curvature", [0.1, 1.0, 50.0])
def test_at_the_critical_rates_two_roots_are_one(m, curvature):
    for lr in convergence.critical_rates(double(m), double(curvature)):
        trace = 1 + m - lr * (1 - m) * curvature
        assert (trace**2 - 4 * m).item() == pytest.approx(0, abs=1e-13)
        rate = convergence.momentum_rate(lr, double(m), double(curvature))
        assert rate.item() == pytest.approx(m**0.5, abs=1e-6)


@pytest.mark.parametrize("m", [0.3, 0.9])
def test_between_the_critical_rates_the_error_swings_below_it_creeps_above_it_flips(m):
    low, high = (x.item() for x in convergence.critical_rates(double(m), double(1.0)))
    assert low < high < convergence.stability_edge(double(m), double(1.0)).item()
    w = sweep(
        momentum,
        quadratic,
        (1.0, 0.0),
        60,
        lr=[0.9 * low, (low * high) ** 0.5, 1.02 * high],
        momentum=m,
        condition_number=1.0,
    )[:, :, 0]
    creeps, swings, flips = (w[1:] * w[:-1]).T
    assert (creeps > 0).all()
    assert (swings < 0).any() and (swings > 0).any()
    assert (flips[5:] < 0).all()
