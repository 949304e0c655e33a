"""What the chapter on the objective says in prose, as assertions: the numbers in its answers, over several seeds where chance has a part."""

import math

import pytest
import torch
from torch import nn
from torch.func import grad, jacrev, vmap
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils import parameters_to_vector
from torch.utils.flop_counter import FlopCounterMode

from course_lib.experiments import digits
from course_lib.formulas.objective import MODELS, line, squared_error, unit
from course_lib.widgets import Fit
from course_lib.widgets.figures.fit import EXAMPLES


def numbers(*x):
    return torch.tensor(x, dtype=torch.float64)


def objective(model):
    """The loss of the figure's example."""
    x, y = numbers(*EXAMPLES[model].x), numbers(*EXAMPLES[model].y)
    return lambda w: squared_error(MODELS[model](x, w), y)


def walk(model, start, steps):
    """The parameters after so many of the figure's steps, from one start (2,) or from several (runs, 2)."""
    w, slope, lr = torch.as_tensor(start, dtype=torch.float64), vmap(grad(objective(model))), EXAMPLES[model].lr
    runs = w.reshape(-1, 2)
    for _ in range(steps):
        runs = runs - lr * slope(runs)
    return runs.reshape(w.shape)


# --- the line


def best_line(x, y):
    w = torch.linalg.lstsq(torch.stack([torch.ones_like(x), x], 1), y).solution
    return w, squared_error(line(x, w), y).item()


def test_copies_of_the_data_change_the_sum_and_not_the_mean():
    fig = Fit()
    w, x, y = numbers(*fig.w), numbers(*fig.x), numbers(*fig.y)
    for copies, of_sum in ((1, 31.5), (10, 314.7), (100, 3147.3)):
        many = x.repeat(copies), y.repeat(copies)
        slope = grad(lambda w: squared_error(line(many[0], w), many[1]))(w).norm().item()
        assert slope == pytest.approx(2.6227, abs=1e-4)
        assert slope * len(many[0]) == pytest.approx(of_sum, abs=0.1)


def test_the_gradient_at_the_ring_points_away_from_the_best_height_at_first():
    fig = Fit()
    first, second = fig.gradient.tolist()
    assert (first, second) == pytest.approx((0.0557, 2.62), rel=1e-3)
    assert second / first == pytest.approx(47, abs=0.5)
    best, loss = best_line(numbers(*fig.x), numbers(*fig.y))
    assert best[0].item() == pytest.approx(0.53, abs=0.005) and best[0] > fig.w[0]
    fig.w = walk("line", fig.w, 1).tolist()
    assert fig.gradient[0] < 0
    assert objective("line")(walk("line", (-1.0, 2.4), 50)).item() == pytest.approx(loss, abs=1e-4)


def test_one_outlier_tilts_the_line_or_lowers_it():
    fig = Fit()
    x, y = numbers(*fig.x), numbers(*fig.y)
    w, loss = best_line(x, y)
    assert (w[1].item(), loss) == pytest.approx((0.80, 0.018), abs=0.005)
    assert x.argmax() == len(x) - 1 and x[5] == 0.84 and y[-1].item() == pytest.approx(3, abs=0.05)
    pulled = y.clone()
    pulled[-1] = 0
    far, loss = best_line(x, pulled)
    assert (far[1].item(), loss) == pytest.approx((0.48, 0.27), abs=0.005)
    lowered = y.clone()
    lowered[5] -= 3
    near, _ = best_line(x, lowered)
    assert near[1].item() == pytest.approx(0.82, abs=0.005)
    assert (w - near)[0].item() == pytest.approx(0.27, abs=0.005)


def test_the_shape_of_the_bowl_knows_no_y():
    fig = Fit()
    x, y = numbers(*fig.x), numbers(*fig.y)
    for labels in (y, 5 * y - 1):
        hessian = jacrev(grad(lambda w: squared_error(line(x, w), labels)))(numbers(0.3, -1))
        torch.testing.assert_close(
            hessian, torch.stack([torch.stack([numbers(1)[0], x.mean()]), torch.stack([x.mean(), (x**2).mean()])])
        )


def test_the_gradient_is_what_the_residuals_still_hold():
    fig = Fit()
    x, r = numbers(*fig.x), numbers(*fig.y) - fig.prediction
    torch.testing.assert_close(fig.gradient, -torch.stack([r.mean(), (r * x).mean()]))


# --- the sine and the unit


def test_the_sines_ring_ends_in_a_local_minimum():
    J = objective("sine")
    assert EXAMPLES["sine"].w == (4.2, -0.6)
    w = walk("sine", (4.2, -0.6), 50)
    torch.testing.assert_close(w, numbers(4.50, 1.52), rtol=0, atol=0.01)
    best = walk("sine", (2.2, 0.73), 500)
    torch.testing.assert_close(best, numbers(2.2, 0.71), rtol=0, atol=0.01)
    assert (J(w).item(), J(best).item()) == pytest.approx((0.397, 0.044), abs=5e-4)
    assert J(w) / J(best) == pytest.approx(9, abs=0.1)
    assert grad(J)(walk("sine", w, 500)).norm() < 1e-12


def test_from_which_frequencies_the_global_minimum_is_reached():
    frequencies = torch.cat([torch.tensor([0.6, 0.8]), torch.linspace(0.85, 3.5, 10), torch.tensor([3.6, 4.0])])
    ends = walk("sine", torch.stack([frequencies, torch.full_like(frequencies, 0.73)], 1), 1500)
    reached = vmap(objective("sine"))(ends) < 0.05
    assert reached.tolist() == [False] * 2 + [True] * 10 + [False] * 2


def test_twins_and_a_saddle():
    J = objective("unit")
    above = [(2.0, -0.5), (0.5, 0.5), (-0.5, 2.0), (2.2, -0.6)]
    ends = walk("unit", numbers(above, [(-a, -b) for a, b in above]), 1000)  # (2, 4, 2)
    torch.testing.assert_close(
        ends, numbers(1, -1)[:, None, None] * numbers(1.484, 1.414).expand(2, 4, 2), rtol=0, atol=2e-3
    )
    w = ends[0, 0]
    assert J(w).item() == pytest.approx(0.0174, abs=5e-5)
    zero = numbers(0, 0)
    assert torch.equal(walk("unit", zero, 50), zero)
    assert J(zero).item() == pytest.approx(0.697, abs=5e-4) and J(zero) / J(w) == pytest.approx(40, abs=0.5)
    curvature = torch.linalg.eigvalsh(jacrev(grad(J))(zero))
    assert curvature[0] < 0 < curvature[1]
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    assert torch.equal(unit(x, w), unit(x, -w))
    assert math.log10(math.factorial(32) * 2**32) == pytest.approx(45, abs=0.1)


# --- a network


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)).double()


SIZES = [64 * 32, 32, 32 * 10, 10]
DATA = digits(dtype=torch.float64)


def logits(theta, x):
    W1, b1, W2, b2 = theta.split(SIZES)
    return (x @ W1.view(32, 64).T + b1).tanh() @ W2.view(10, 32).T + b2


def J(theta):
    return cross_entropy(logits(theta, DATA.x_train), DATA.y_train)


def initial(seed):
    return parameters_to_vector(network(seed).parameters()).detach()


@pytest.fixture(scope="module")
def trained():
    """Three networks after 600 steps of gradient descent."""
    thetas = [initial(seed) for seed in range(3)]
    for k in range(3):
        for _ in range(600):
            thetas[k] = thetas[k] - grad(J)(thetas[k])
    return thetas


def test_the_network_has_2410_parameters_of_which_96_have_no_say():
    theta = initial(0)
    assert theta.shape == (2410,) and J(theta).item() == pytest.approx(2.3282, abs=1e-4)
    g = grad(J)(theta)
    dark = (torch.cat([DATA.x_train, DATA.x_val, DATA.x_test]) == 0).all(0)
    assert dark.sum() == 3 and len(DATA.x_train) + len(DATA.x_val) + len(DATA.x_test) == 1797
    assert torch.equal(
        (g == 0).nonzero().flatten(),
        torch.cat([dark.expand(32, 64).flatten(), torch.zeros(362, dtype=torch.bool)]).nonzero().flatten(),
    )


@pytest.mark.parametrize("seed", range(3))
def test_errors_of_finite_differences_fall_and_rise_again(seed):
    theta = initial(seed)
    g = grad(J)(theta)
    k = g.abs().argmax()
    e = torch.zeros_like(theta)
    e[k] = 1.0

    def errors(h):
        up, here, down = J(theta + h * e), J(theta), J(theta - h * e)
        return tuple(abs(slope / g[k] - 1).item() for slope in ((up - here) / h, (up - down) / (2 * h)))

    one, two = zip(*(errors(h) for h in (1e-1, 1e-3, 1e-5, 1e-7, 1e-9, 1e-11)), strict=True)
    assert one[0] / one[1] == pytest.approx(100, rel=0.3) and one[1] / one[2] == pytest.approx(100, rel=0.3)
    assert two[0] / two[1] == pytest.approx(1e4, rel=0.3)
    assert two[2] < 2e-9 and one[3] < 1e-6  # the best ones
    assert max(one[5], two[5]) > 1e-6
    assert J(theta + 0.01 * e) - J(theta) == pytest.approx(0.01 * g[k].item(), rel=0.02)


def test_finite_differences_agree_with_backpropagation():
    theta = initial(0)
    g, here, h = grad(J)(theta), J(theta), 1e-7
    for k in range(0, len(theta), 10):
        moved = theta.clone()
        moved[k] += h
        assert abs((J(moved) - here) / h - g[k]) < 3e-8


def test_what_a_gradient_costs():
    net, counts = network(0), []
    for backward in (False, True):
        with FlopCounterMode(display=False) as counter:
            loss = cross_entropy(net(DATA.x_train), DATA.y_train)
            if backward:
                loss.backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == 2 * 1000 * (64 * 32 + 32 * 10)
    assert counts[1] == counts[0] + 2 * 1000 * (64 * 32 + 2 * 32 * 10)  # none for the gradient by the pixels
    assert counts[1] / counts[0] == pytest.approx(2.14, abs=0.005)
    assert 2411 * counts[0] / counts[1] == pytest.approx(1129, abs=0.5)


def test_random_slices_show_one_valley_and_a_slice_through_three_networks_three(trained):
    A, B, C = trained
    for seed in range(4):
        torch.manual_seed(seed)
        u, v = (torch.cat([(n := torch.randn_like(p)) * p.norm() / n.norm() for p in A.split(SIZES)]) for _ in range(2))
        side = torch.linspace(-1, 1, 13)
        assert pits(torch.stack([J(A + a * u + b * v) for b in side for a in side]).view(13, 13)) == [(6, 6)]
    for one, other in ((A, B), (A, C), (B, C)):
        assert (one - other).norm().item() == pytest.approx(24.3, abs=0.5)  # an equilateral triangle
        ridge = J((one + other) / 2)
        assert 0.21 <= ridge < 0.255
        assert ridge / J(one) > 15
    center = (A + B + C) / 3
    u = (A - center) / (A - center).norm()
    v = (B - center) - (B - center).dot(u) * u
    v = v / v.norm()
    lowest = []
    for radius in (10.0, 14.0, 18.0):  # the triangle's corners are 14 from its center
        angles = torch.arange(60, dtype=torch.float64) * math.tau / 60
        ring = torch.stack([J(center + radius * (a.cos() * u + a.sin() * v)) for a in angles])
        assert ((ring < ring.roll(1)) & (ring < ring.roll(-1))).sum() == 3
        lowest.append(ring.min().item())
    assert lowest == sorted(lowest, reverse=True)  # the valleys open outward


def test_no_network_reaches_the_infimum(trained):
    for theta in trained:
        assert 0.0135 < J(theta) < 0.0145
        assert (logits(theta, DATA.x_train).argmax(1) == DATA.y_train).all()
        W1, b1, W2, b2 = theta.split(SIZES)
        losses = [J(torch.cat([W1, b1, c * W2, c * b2])).item() for c in (1, 2, 4, 8)]
        assert losses == sorted(losses, reverse=True) and 0 < losses[3] < 1e-5


def pits(losses):
    """The inner cells of a grid that are lower than their neighbors."""
    rows, columns = losses.shape
    around = lambda i, j: losses[i - 1 : i + 2, j - 1 : j + 2]
    return [(i, j) for i in range(1, rows - 1) for j in range(1, columns - 1) if around(i, j).argmin() == 4]


def test_a_ridge_on_the_way_to_itself_with_its_units_shuffled(trained):
    for theta in trained:
        W1, b1, W2, b2 = theta.split(SIZES)
        for seed in range(3):
            order = torch.randperm(32, generator=torch.Generator().manual_seed(seed))
            twin = torch.cat([W1.view(32, 64)[order].flatten(), b1[order], W2.view(10, 32)[:, order].flatten(), b2])
            assert J(twin).item() == pytest.approx(J(theta).item(), rel=1e-12)
            assert 0.2 < J((theta + twin) / 2) < 0.33


def test_a_count_of_errors_is_flat():
    errors = lambda theta: (logits(theta, DATA.x_train).argmax(1) != DATA.y_train).sum()
    generator, theta = torch.Generator().manual_seed(0), initial(0)
    for _ in range(50):
        moved = theta + 1e-6 * torch.randn(theta.shape, generator=generator, dtype=torch.float64)
        assert errors(moved) == errors(theta) and J(moved) != J(theta)


def test_less_training_loss_is_not_less_validation_loss():
    rows = overfit(5)  # (marks, 3, seeds): training loss, validation loss, accuracy at steps 100, 400 and 2,000
    assert (rows[0, 0] > rows[1, 0]).all() and (rows[1, 0] / rows[2, 0]).min() > 6
    assert (rows[2, 1] > rows[1, 1]).all()
    assert rows[1:, 1].mean(1).tolist() == pytest.approx([0.45, 0.51], abs=0.02)
    assert (rows[2, 2] - rows[1, 2]).abs().max() <= 0.01


def overfit(seeds):
    """All seeds at once: each parameter has one more dimension, and the losses are added up, so that they do not meet."""
    few = [digits(100, 400, seed=seed) for seed in range(seeds)]
    x, y, x_val, y_val = (
        torch.stack([getattr(one, k) for one in few]) for k in ("x_train", "y_train", "x_val", "y_val")
    )
    nets = [[p.detach().float() for p in network(seed).parameters()] for seed in range(seeds)]
    parameters = [torch.stack(p).requires_grad_() for p in zip(*nets, strict=True)]

    def measure(x, y):
        W1, b1, W2, b2 = parameters
        hidden = (x @ W1.mT + b1[:, None]).tanh()
        logits = hidden @ W2.mT + b2[:, None]  # (seeds, N, 10)
        return cross_entropy(logits.mT, y, reduction="none").mean(1), (logits.argmax(2) == y).float().mean(1)

    rows = []
    for step in range(1, 2001):
        loss, _ = measure(x, y)
        if step in (100, 400, 2000):
            rows.append(torch.stack([loss, *measure(x_val, y_val)]).detach())
        slopes = torch.autograd.grad(loss.sum(), parameters)
        with torch.no_grad():
            for p, g in zip(parameters, slopes, strict=True):
                p -= g
    return torch.stack(rows)


def test_a_mean_over_elements_is_a_tenth_of_one_over_examples():
    x, y = torch.randn(2, 50, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    of_elements, of_examples = (
        grad(lambda x: f(x))(x) for f in (lambda x: mse_loss(x, y), lambda x: ((x - y) ** 2).sum(1).mean())
    )
    torch.testing.assert_close(10 * of_elements, of_examples)


def test_two_steps_overflow():
    assert -torch.sigmoid(torch.tensor(-800.0)).log() == math.inf
