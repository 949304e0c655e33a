"""What the chapter on gradient descent says in prose, as assertions: the numbers in its answers, over several seeds where chance has a part."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.func import functional_call, grad, jacrev, vmap

from course_lib.exercises.stop_rule import descend
from course_lib.experiments import sweep
from course_lib.formulas import gradient_descent, himmelblau, quadratic, saddle
from course_lib.formulas.convergence import gradient_descent_rate
from course_lib.formulas.surfaces import SURFACES

PAGE = Path(__file__).parents[2] / "book" / "basics" / "gradient_descent.ipynb"
CANYON = torch.tensor([1.0, 5.0], dtype=torch.float64)
START = torch.tensor([-2.2, 1.2], dtype=torch.float64)


def in_the_canyon(lr, condition_number=5.0, steps=40):
    path = sweep(gradient_descent, quadratic, START, steps, lr=lr, condition_number=condition_number)[:, 0]
    return path, quadratic(path[-1], condition_number=torch.tensor(condition_number, dtype=torch.float64)).item()


# In the canyon


@pytest.mark.parametrize(
    ("lr", "condition_number", "loss"), [(1 / 3, 5.0, 4.9e-14), (0.38, 5.0, 7.9e-4), (0.2, 5.0, 4.3e-8)]
)
def test_losses_after_40_steps(lr, condition_number, loss):
    assert in_the_canyon(lr, condition_number)[1] == pytest.approx(loss, rel=0.03)


@pytest.mark.parametrize(("condition_number", "best", "loss"), [(5.0, 1 / 3, 4e-14), (50.0, 0.038, 0.114)])
def test_the_best_rate_for_40_steps_is_about_that_of_theory(condition_number, best, loss):
    rates = torch.arange(0.002, 2 / condition_number, 1e-4, dtype=torch.float64)
    ends = sweep(gradient_descent, quadratic, START, 40, lr=rates, condition_number=condition_number)[-1]
    losses = (torch.tensor([1.0, condition_number]) * ends**2).sum(1) / 2
    assert rates[losses.argmin()].item() == pytest.approx(best, rel=0.02)
    assert losses.min().item() == pytest.approx(loss, rel=0.1)


def test_the_path_crosses_the_floor_above_one_over_the_curvature_alone():
    crosses = {lr: (in_the_canyon(lr)[0][1:4, 1] < -1e-12).any().item() for lr in (0.1, 0.19, 0.2, 0.21, 0.38)}
    assert crosses == {0.1: False, 0.19: False, 0.2: False, 0.21: True, 0.38: True}
    assert in_the_canyon(0.2)[0][1, 1].abs() < 1e-15


def test_the_edge_is_at_two_over_the_curvature():
    path, _ = in_the_canyon(0.4)
    torch.testing.assert_close(path[:, 1].abs(), torch.full((41,), 1.2, dtype=torch.float64))
    assert in_the_canyon(0.399)[1] < in_the_canyon(0.4)[1] < 6.02 < 100 < in_the_canyon(0.41)[1]
    assert in_the_canyon(0.0404, 50.0)[1] > in_the_canyon(0.0396, 50.0)[1]
    assert (1 / 3) / 0.4 == pytest.approx(1 - 1 / 6)  # the edge is 20% above the best rate


# The formula


@pytest.mark.parametrize("curvature", [0.3, 1.0, 1.9])
def test_each_direction_has_its_own_factor(curvature):
    path = sweep(gradient_descent, lambda w: curvature * w[0] ** 2 / 2, (1.0,), 20, lr=1.0)[:, 0, 0]
    torch.testing.assert_close(path, (1 - curvature) ** torch.arange(21.0, dtype=torch.float64))


@pytest.mark.parametrize(("condition_number", "digit"), [(5.0, 5.7), (20.0, 23.0), (100.0, 115.0)])
def test_the_best_rate_and_its_price(condition_number, digit):
    ends = torch.tensor([1.0, condition_number], dtype=torch.float64)

    def rate(lr):
        return gradient_descent_rate(torch.tensor(lr, dtype=torch.float64), ends).max().item()

    best = 2 / (1 + condition_number)
    assert rate(best) == pytest.approx((condition_number - 1) / (condition_number + 1))
    assert rate(best) < min(rate(0.99 * best), rate(1.01 * best))
    assert -1 / math.log10(rate(best)) == pytest.approx(digit, rel=0.01)
    half = -1 / math.log10(rate(1 / condition_number))
    assert half <= 2.0 * -1 / math.log10(rate(best)) + 1  # half of the edge
    assert rate(2.02 / condition_number) > 1
    if condition_number == 100.0:
        assert half == pytest.approx(229, abs=0.5)
        root = math.sqrt(condition_number)
        assert -1 / math.log10((root - 1) / (root + 1)) == pytest.approx(11.5, abs=0.05)  # momentum
    assert best / (2 / condition_number) == pytest.approx(
        {5.0: 0.83, 20.0: 0.95, 100.0: 0.99}[condition_number], abs=0.005
    )


def test_a_digit_costs_about_1_15_condition_numbers():
    assert -1 / (1000 * math.log10(999 / 1001)) == pytest.approx(1.15, abs=0.002)


def test_measured_runs_lie_on_the_lines():
    kappa = torch.tensor([5.0, 20.0, 100.0], dtype=torch.float64).repeat_interleave(6)
    tried = 2 / kappa * torch.tensor([0.03, 0.1, 0.3, 0.6, 0.9, 0.98], dtype=torch.float64).repeat(3)
    size = sweep(gradient_descent, quadratic, (1, 1), 600, lr=tried, condition_number=kappa).norm(dim=-1)
    steps = 300 / (size[300] / size[600]).log10()
    rate = torch.maximum(gradient_descent_rate(tried, 1.0), gradient_descent_rate(tried, kappa))
    torch.testing.assert_close(steps, -1 / rate.log10(), rtol=0.02, atol=0)


@pytest.mark.parametrize("seed", range(3))
def test_below_two_over_the_largest_curvature_each_step_lowers_any_loss(seed):
    def wavy(w):  # curvature between -0.5 and 1.5 in both directions
        return (w**2).sum() / 4 + w.cos().sum()

    starts = torch.randn(200, 2, generator=torch.Generator().manual_seed(seed)) * 5
    path = sweep(gradient_descent, wavy, starts, 50, lr=0.9 * 2 / 1.5)
    losses, slopes = vmap(vmap(wavy))(path), vmap(vmap(grad(wavy)))(path).square().sum(-1)
    lr, bound = 0.9 * 2 / 1.5, 1.5
    assert (losses[1:] <= losses[:-1] - lr * (1 - lr * bound / 2) * slopes[:-1] + 1e-12).all()


# The stop rule


@pytest.mark.parametrize(
    ("lr", "steps", "distance"),
    [
        (1e-4, 11, 2.50),
        (1e-3, 806, 0.982),
        (1e-2, 319, 0.0891),
        (0.1, 63, 0.00288),
        (1 / 3, 30, 1.3e-5),
        (0.38, 85, 1.5e-4),
        (0.4, 10_000, 1.2),
    ],
)
def test_where_the_rule_stops(lr, steps, distance):
    w, made = descend(lambda w: CANYON * w, START, lr=lr, tolerance=1e-3)
    assert made == steps
    assert w.norm().item() == pytest.approx(distance, rel=0.04)
    assert steps == 10_000 or w.norm() < 1e-3 / lr


def ridge(w):
    return torch.stack([w[0], w[1] ** 3 - w[1]])


def test_the_loop_as_printed_never_begins():
    small, steps = 0, 0
    while small > 10:
        steps += 1
    assert steps == 0


@pytest.mark.parametrize(
    ("off", "reached"),
    [(1e-1, [1, 1, 1]), (1e-2, [1, 1, 1]), (1e-3, [0, 1, 1]), (1e-4, [0, 1, 1]), (1e-6, [0, 0, 1]), (0.0, [0, 0, 0])],
)
def test_a_finer_tolerance_escapes_from_nearer_to_the_ridge(off, reached):
    start = torch.tensor([-1.5, off], dtype=torch.float64)
    ends = [descend(ridge, start, lr=0.1, tolerance=omega)[0][1].item() for omega in (1e-2, 1e-3, 1e-4)]
    assert [round(y) for y in ends] == reached
    assert all(y > 0.99 or y < 0.04 for y in ends)
    assert off > 0 or ends == [0.0, 0.0, 0.0]


def test_the_escape_takes_the_logarithm_of_the_distance():
    starts = torch.tensor([[-1.5, 0.01], [-1.5, 0.03], [-1.5, 0.11], [-1.5, -0.01]], dtype=torch.float64)
    path = sweep(gradient_descent, saddle, starts, 100, lr=0.1)
    losses = vmap(vmap(saddle))(path) + 0.25
    until = (losses > 1e-3).sum(0).tolist()
    assert until == [61, 49, 37, 61]
    assert math.log(3) / math.log(1.1) == pytest.approx(12, abs=0.5)
    assert path[-1, 0, 1] > 0.99 and path[-1, 3, 1] < -0.99


# Which minimum


def test_edges_of_the_four_bowls():
    minima = torch.tensor(SURFACES["himmelblau"].minima(), dtype=torch.float64)
    largest = torch.linalg.eigvalsh(vmap(jacrev(grad(himmelblau)))(minima))[:, -1]
    assert (2 / largest).tolist() == pytest.approx([0.0243, 0.0248, 0.0149, 0.0190], abs=6e-5)
    assert largest[2].item() == pytest.approx(134, abs=0.5)


def test_the_bowl_at_the_lower_left_loses_its_guests_between_two_rates():
    low, high = (sweep(gradient_descent, himmelblau, (-3.0, -2.5), 200, lr=lr)[:, 0] for lr in (0.014, 0.016))
    assert himmelblau(low[-1]) < 1e-20
    late = vmap(himmelblau)(high[-50:])
    assert (
        late.max() > 10
        and (high[-50:] < 0).all()
        and (high[-50:] - torch.tensor([-3.78, -3.28])).norm(dim=1).max() < 1.5
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_large_rate_never_settles_in_a_sharp_minimum(seed):
    minima = torch.tensor(SURFACES["himmelblau"].minima(), dtype=torch.float64)
    starts = torch.rand(500, 2, generator=torch.Generator().manual_seed(seed)) * 8 - 4
    rates = torch.tensor([0.001, 0.014, 0.016, 0.020]).repeat_interleave(500)
    kept = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 0, 0]], dtype=torch.float64)
    ends = sweep(gradient_descent, himmelblau, starts.repeat(4, 1), 500, lr=rates)[-1].reshape(4, 500, 2)
    found = (torch.cdist(ends, minima) < 1e-3).double().mean(1)
    assert (found[kept == 0] == 0).all()
    torch.testing.assert_close(found, kept / 4, atol=0.06, rtol=0)
    torch.testing.assert_close(found.sum(1), kept.mean(1), atol=0.05, rtol=0)


# At the edge of stability


@pytest.fixture(scope="module")
def network():
    """The page's own network and loss, and 2,000 steps from three starts at each of two rates."""
    cells = ["".join(cell["source"]) for cell in json.loads(PAGE.read_text("utf8"))["cells"]]
    names = {"torch": torch, "nn": torch.nn, "functional_call": functional_call}
    exec(next(cell for cell in cells if "def fresh" in cell), names)
    rates = torch.tensor([0.15] * 3 + [0.2] * 3, dtype=torch.float64)
    starts = torch.stack([names["fresh"](seed) for seed in (0, 1, 2)] * 2)
    path, slope = [starts], vmap(grad(names["loss"]))
    for t in range(1, 2001):  # sweep does the same, in twice the time
        path.append(gradient_descent(path[-1], slope(path[-1]), t, lr=rates[:, None]))
    return names["loss"], rates, torch.stack(path)


def test_the_curvature_rises_to_the_edge_and_stays(network):
    loss, rates, path = network
    assert path.shape[-1] == 97
    hessians = vmap(jacrev(grad(loss)))
    sharpness = torch.stack([torch.linalg.eigvalsh(hessians(path[t]))[:, -1] for t in range(0, 2001, 50)])
    assert sharpness[0].tolist() == pytest.approx([4] * 6, abs=0.6)
    assert (sharpness * rates)[20:].mean(0).tolist() == pytest.approx([2.0] * 6, abs=0.1)


def test_the_loss_rises_in_single_steps_and_falls_over_many(network):
    loss, _, path = network
    losses = vmap(vmap(loss))(path)
    assert ((losses[1001:] > losses[1000:-1]).sum(0) > 0).all()
    assert (losses[1500:].mean(0) < 0.8 * losses[300:500].mean(0)).all()


# What goes wrong


def test_the_sum_of_the_losses_has_the_sum_of_the_curvatures():
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, two = (
        (jacrev(grad(lambda w, reduce=reduce: reduce((x @ w) ** 2))))(torch.zeros(2, dtype=torch.float64))
        for reduce in (torch.mean, torch.sum)
    )
    torch.testing.assert_close(two, 50 * one)


@pytest.mark.parametrize(("unit", "condition_number"), [(1.0, 3), (1000.0, 333_333)])
def test_units_make_the_condition_number(unit, condition_number):
    x = unit * torch.linspace(-1, 1, 100_001, dtype=torch.float64)
    curvature = torch.linalg.eigvalsh(torch.tensor([[(x**2).mean(), x.mean()], [x.mean(), 1.0]], dtype=torch.float64))
    assert (curvature[1] / curvature[0]).item() == pytest.approx(condition_number, rel=1e-4)


def test_without_zero_grad_the_ball_has_no_friction():
    w, total, losses = START.clone(), torch.zeros(2, dtype=torch.float64), []
    for _ in range(1000):
        total = total + CANYON * w
        w = w - 0.1 * total
        losses.append((CANYON * w**2).sum().item() / 2)
    assert max(losses[-100:]) == pytest.approx(6.5, abs=0.1)
    assert (CANYON * START**2).sum().item() / 2 == pytest.approx(6.0, abs=0.05)
