"""Mini-batches: autograd's gradients, PyTorch's covariance, and noise counted over every batch there is."""

import itertools
import math

import pytest
import torch
from torch.func import grad
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from course_lib.backends.trace import trace
from course_lib.formulas import minibatch
from course_lib.formulas.minibatch import (
    accumulated_gradient,
    batch_gradient,
    example_gradients,
    excess_loss,
    gradient_covariance,
    noise_floor,
    noise_scale,
    noise_with_replacement,
    noise_without_replacement,
    variance_error,
)
from course_lib.formulas.objective import least_squares, logistic_loss

THEIRS = {least_squares: lambda logits, y: mse_loss(logits, y) / 2, logistic_loss: binary_cross_entropy_with_logits}
EACH_LOSS = pytest.mark.parametrize("loss", THEIRS, ids=lambda f: f.__name__)


def close(got, want, tolerance=1e-12):
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


def draw(N, n=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    w, x = (torch.randn(s, generator=generator, dtype=torch.float64) for s in ((n,), (N, n)))
    return w, x, (torch.rand(N, generator=generator) < 0.5).double()


def backward(loss, w, x, y):
    """PyTorch's gradient, by its own loss function and .backward()."""
    w = w.clone().requires_grad_()
    THEIRS[loss](x @ w, y).backward()
    return w.grad


@EACH_LOSS
@pytest.mark.parametrize("B", [1, 2, 7, 20])
def test_a_batchs_gradient_is_pytorchs(loss, B):
    for seed in range(5):
        w, x, y = draw(20, seed=seed)
        indices = torch.randperm(20, generator=torch.Generator().manual_seed(seed))[:B]
        close(batch_gradient(loss, w, x, y, indices), backward(loss, w, x[indices], y[indices]))


@EACH_LOSS
def test_an_example_drawn_twice_counts_twice(loss):
    w, x, y = draw(5)
    twice = batch_gradient(loss, w, x, y, torch.tensor([0, 0, 3]))
    one, other = (batch_gradient(loss, w, x, y, torch.tensor([k])) for k in (0, 3))
    close(twice, (2 * one + other) / 3)


@EACH_LOSS
def test_example_gradients_are_those_of_batches_of_one_and_their_mean_is_the_gradient(loss):
    w, x, y = draw(12)
    gradients = example_gradients(loss, w, x, y)
    close(gradients, torch.stack([backward(loss, w, x[k : k + 1], y[k : k + 1]) for k in range(12)]))
    close(gradients.mean(dim=0), backward(loss, w, x, y))


@EACH_LOSS
@pytest.mark.parametrize("sizes", [(4, 4, 4), (5, 5, 2), (11, 1), (12,), (1,) * 12], ids=str)
def test_accumulated_is_the_gradient_over_all(loss, sizes):
    w, x, y = draw(12)
    parts = [backward(loss, w, *part) for part in zip(x.split(sizes), y.split(sizes), strict=True)]
    close(accumulated_gradient(torch.stack(parts), torch.tensor(sizes, dtype=torch.float64)), backward(loss, w, x, y))


# --- noise


@EACH_LOSS
def test_covariance_is_pytorchs(loss):
    gradients = example_gradients(loss, *draw(30))
    close(gradient_covariance(gradients), torch.cov(gradients.T, correction=0))


def covariance_of(means):
    return torch.cov(torch.stack(means).T, correction=0)


@EACH_LOSS
@pytest.mark.parametrize("B", [1, 2, 3, 4, 6])
def test_noise_counted_over_every_batch_there_is(loss, B):
    """Six examples: all 6^B ways to draw with replacement (B <= 4), and all batches of different ones. The mean is the gradient."""
    gradients = example_gradients(loss, *draw(6, n=2))
    covariance = gradient_covariance(gradients)
    different = [gradients[list(batch)].mean(dim=0) for batch in itertools.combinations(range(6), B)]
    close(
        covariance_of(different) if len(different) > 1 else torch.zeros(2, 2, dtype=torch.float64),
        noise_without_replacement(covariance, B, 6),
    )
    close(torch.stack(different).mean(dim=0), gradients.mean(dim=0))
    if B <= 4:
        drawn = [gradients[list(batch)].mean(dim=0) for batch in itertools.product(range(6), repeat=B)]
        close(covariance_of(drawn), noise_with_replacement(covariance, B))
        close(torch.stack(drawn).mean(dim=0), gradients.mean(dim=0))


def test_one_draw_is_the_same_either_way():
    covariance = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    close(noise_without_replacement(covariance, 1, 9), covariance)
    close(noise_with_replacement(covariance, 1), covariance)
    close(noise_without_replacement(covariance, 9, 9), torch.zeros_like(covariance), 0)


@EACH_LOSS
def test_at_the_noise_scale_noise_and_gradient_are_equally_long(loss):
    w, x, y = draw(40)
    gradients = example_gradients(loss, w, x, y)
    covariance, gradient = gradient_covariance(gradients), gradients.mean(dim=0)
    B = noise_scale(covariance, gradient)
    close(noise_with_replacement(covariance, B).trace(), gradient.norm() ** 2)
    close(B, ((gradients - gradient) ** 2).sum(dim=1).mean() / (gradient**2).sum())


@pytest.mark.parametrize("B", [2, 8, 16, 64])
def test_the_error_of_a_variance(B):
    """var · (B - 1) / σ² has the chi-squared distribution, of mean B - 1 and variance 2 (B - 1)."""
    chi = torch.distributions.Chi2(torch.tensor(B - 1.0, dtype=torch.float64))
    assert variance_error(B) == pytest.approx((chi.variance.sqrt() / chi.mean).item(), rel=1e-12)
    torch.manual_seed(0)
    measured = torch.randn(40_000, B, dtype=torch.float64).var(dim=1).std().item()
    assert measured == pytest.approx(variance_error(B), rel=0.03)


# --- floors


@pytest.mark.parametrize("lr", [0.01, 0.1, 1.0, 1.9])
@pytest.mark.parametrize("curvature", [0.3, 1.0])
def test_the_floor_is_where_the_recursion_stays(lr, curvature):
    variance = noise_floor(0.7, curvature, lr)
    assert (1 - lr * curvature) ** 2 * variance + lr**2 * 0.7 == pytest.approx(variance, rel=1e-12)


def test_the_floor_in_any_direction_for_small_rates():
    """Solve the stationary covariance V of a quadratic with curvatures H exactly: V = (1 - ηH) V (1 - ηH) + η² Σ/B."""
    generator = torch.Generator().manual_seed(0)
    A, C = (torch.randn(3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    H, covariance, B = A @ A.T / 3 + 0.1 * torch.eye(3), C @ C.T, 4
    for lr, tolerance in ((1e-2, 0.05), (1e-3, 0.005), (1e-4, 0.0005)):
        M = torch.eye(3, dtype=torch.float64) - lr * H
        V = torch.linalg.solve(
            torch.eye(9, dtype=torch.float64) - torch.kron(M, M), (lr**2 * covariance / B).flatten()
        ).view(3, 3)
        assert (H @ V).trace() / 2 == pytest.approx(excess_loss(covariance, B, lr).item(), rel=tolerance)


def test_both_floors_agree_in_one_direction_for_small_rates():
    one = torch.tensor([[0.7]], dtype=torch.float64)
    assert 0.5 * 0.3 * noise_floor(0.7 / 8, 0.3, 1e-6) == pytest.approx(excess_loss(one, 8, 1e-6).item(), rel=1e-6)


# --- every machine


@EACH_LOSS
def test_one_example_traces(loss):
    """The page gathers the rows and averages; what it calls is this."""
    w, x, y = draw(4, n=2)
    program = trace(
        lambda s: {"g": example_gradients(loss, s["w"], s["x"], s["y"])},
        {"w": (2,), "x": (1, 2), "y": (1,)},
        name="one",
    )
    for k in range(4):
        numbers = [*w.tolist(), *x[k].tolist(), y[k].item()]
        close(
            torch.from_numpy(program(**dict(zip(program.inputs, numbers, strict=True)))["g"]),
            grad(loss)(w, x[k : k + 1], y[k : k + 1]),
        )


@EACH_LOSS
def test_a_batch_at_fixed_places_traces(loss):
    w, x, y = draw(6, n=2)
    places = torch.tensor([4, 1, 1])
    program = trace(
        lambda s: {"g": batch_gradient(loss, s["w"], s["x"], s["y"], places)},
        {"w": (2,), "x": (6, 2), "y": (6,)},
        name="batch",
    )
    numbers = [v for part in (w, x, y) for v in part.flatten().tolist()]
    close(
        torch.from_numpy(program(**dict(zip(program.inputs, numbers, strict=True)))["g"]),
        batch_gradient(loss, w, x, y, places),
    )


FORMULAS = [f for f in vars(minibatch).values() if getattr(f, "__module__", "") == minibatch.__name__]


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f.__name__)
def test_says_what_it_is(formula):
    assert "Source:" in formula.__doc__ or "Equals " in formula.__doc__
    assert [line for line in formula.__doc__.splitlines() if len(line) > 75] == []


def test_sizes_may_be_tensors():
    B = torch.tensor([2.0, 8.0, 32.0], dtype=torch.float64)
    close(variance_error(B), torch.tensor([math.sqrt(2), math.sqrt(2 / 7), math.sqrt(2 / 31)], dtype=torch.float64))
    close(noise_without_replacement(torch.tensor(1.0, dtype=torch.float64), B, 32), (32 - B) / (31 * B))
