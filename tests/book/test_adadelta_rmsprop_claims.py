"""What the chapter on Adadelta and RMSprop says in prose, as assertions: the numbers in its answers, several seeds where chance has a part."""

import functools
import math

import pytest
import torch
from torch import nn
from torch.func import grad

from course_lib.experiments import Optimizer, sweep
from course_lib.formulas import adadelta, adagrad, gradient_descent, quadratic, rmsprop, rmsprop_torch, rosenbrock
from course_lib.formulas.signature import signature, step

START = (-2.2, 1.2)
DOUBLE = torch.float64


def bowl(w, condition_number=20.0):
    return quadratic(
        w, condition_number=torch.tensor(condition_number, dtype=DOUBLE), angle=torch.tensor(0.0, dtype=DOUBLE)
    ).item()


def zeros(rule, w):
    return [torch.zeros_like(w) for _ in signature(rule).state]


# The updates


def test_read_literally_the_slide_begins_with_gradient_descent():
    gamma, eps = 0.9, 1e-6
    for size in (1e-2, 1.0, 100.0):
        v = (1 - gamma) * size**2
        ratio = size**2 / (v + eps)
        squared = eps * ratio / (1 - (1 - gamma) * ratio)  # solves Δ² = ((1 − γ) Δ² + ε) g² / (v + ε)
        assert math.sqrt(squared) == pytest.approx(size, rel=1e-5)


# The window


def test_weights_of_the_window():
    assert 1 - 0.9**10 == pytest.approx(0.65, abs=0.005)
    assert 0.9**20 == pytest.approx(1 / 8, abs=0.005)
    old, new, steps = (1 - 0.9) * 1000.0**2, 0.0, 0
    while old > new:
        old, new, steps = 0.9 * old, 0.9 * new + 0.1, steps + 1
    assert steps == pytest.approx(110, abs=2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("gamma", "longest"), [(0.9, 3.2), (0.99, 10.0)])
def test_the_first_step_is_the_longest(seed, gamma, longest):
    generator = torch.Generator().manual_seed(seed)
    w = v = torch.zeros(1000, dtype=DOUBLE)
    for t in range(1, 101):
        g = torch.randn(1000, generator=generator, dtype=DOUBLE) * 10 ** torch.randn(
            1000, generator=generator, dtype=DOUBLE
        )
        before, (w, v) = w, rmsprop(w, g, t, v, lr=1.0, gamma=gamma, eps=0.0)
        length = (w - before).abs()
        assert length.max() <= (1 - gamma) ** -0.5 + 1e-9
        if t == 1:
            torch.testing.assert_close(length, torch.full_like(length, (1 - gamma) ** -0.5))
            assert length[0].item() == pytest.approx(longest, rel=0.02)


def test_rmsprop_forgets_the_wall():
    starts, lr = (
        torch.tensor([(-2.0, -1.0), (-1.0, 1.0), (-2.0, -1.0)], dtype=DOUBLE),
        torch.tensor([0.02, 0.02, 0.1], dtype=DOUBLE),
    )
    path = sweep(rmsprop, rosenbrock, starts, 300, lr=lr)
    assert [rosenbrock(w).item() for w in path[-1]] == pytest.approx([0.24, 0.22, 1.2], rel=0.025)
    jump = path[:, 2].diff(dim=0)[-50:].norm(dim=1).mean().item()
    assert jump == pytest.approx(0.14, abs=0.003) == pytest.approx(math.sqrt(2) * 0.1, abs=0.003)
    v = torch.zeros(2, dtype=DOUBLE)
    vs = [v := 0.9 * v + 0.1 * grad(rosenbrock)(w) ** 2 for w in path[:200, 0]]
    assert 5.5e6 < torch.stack(vs).max() < 6e6
    assert v[0].item() == pytest.approx(4.5, rel=0.05)


def test_adagrad_does_not():
    ends = sweep(adagrad, rosenbrock, (-2.0, -1.0), 300, lr=torch.tensor([0.3, 1.0]))[-1]
    assert [rosenbrock(w).item() for w in ends] == pytest.approx([3.1, 2.5], rel=0.015)


@pytest.mark.parametrize(
    ("rule", "hyper", "young", "old", "variance"),
    [(adagrad, {"lr": 0.5}, 15, 140, 0.0025), (rmsprop, {"lr": 0.05}, 17, 17, 0.025), (adadelta, {}, 291, 298, 0.0014)],
    ids=["adagrad", "rmsprop", "adadelta"],
)
def test_who_follows_a_minimum_that_moves(rule, hyper, young, old, variance):
    for seed, age, expected in ((0, 100, young), (1, 100, young), (0, 10_000, old)):
        generator, target, w = torch.Generator().manual_seed(seed), 0.0, torch.zeros(1000)
        state, t = zeros(rule, w), 0
        while w.mean() < 0.5:
            t += 1
            w, state = step(rule, w, w - target + torch.randn(1000, generator=generator), t, state, hyper)
            if t == age:
                target, final = 1.0, w.var().item()
        assert t - age == pytest.approx(expected, rel=0.05, abs=2)
    assert final == pytest.approx(variance, rel=0.1)


# It never comes to rest


def test_the_loss_at_which_rmsprop_swings():
    lr, kappa, losses = (
        torch.tensor([0.2, 0.1, 0.2], dtype=DOUBLE),
        torch.tensor([20.0, 20.0, 100.0], dtype=DOUBLE),
        [0.105, 0.026, 0.51],
    )
    path = sweep(rmsprop, quadratic, START, 400, lr=lr, condition_number=kappa)
    assert [bowl(w, k.item()) for w, k in zip(path[-1], kappa)] == pytest.approx(losses, rel=0.015)
    assert losses == pytest.approx(((1 + kappa) * lr**2 / 8).tolist(), rel=0.02)
    torch.testing.assert_close(path[-1].abs(), lr[:, None] / 2 * torch.ones(2, dtype=DOUBLE), rtol=0.01, atol=0)
    assert bowl(path[50, 0]) < 1e-15


def test_only_eps_stops_the_swing():
    lr, eps = torch.tensor([1e-3, 0.1, 1e-4, 1e-3], dtype=DOUBLE), torch.tensor([1e-8, 1e-3, 1e-8, 1e-6], dtype=DOUBLE)
    x, v = 100 * lr, torch.zeros(4, dtype=DOUBLE)
    for t in range(1, 2501):
        x, v = rmsprop(x, x, t, v, lr=lr, eps=eps)  # on x²/2
    radius = (lr**2 / 4 - eps).clamp(min=0).sqrt()
    torch.testing.assert_close(x.abs(), radius, rtol=1e-3, atol=1e-9)
    assert (x.abs() < 1e-9).tolist() == (lr < 2 * eps.sqrt()).tolist() == [False, False, True, True]
    assert 2 * math.sqrt(1e-8) == pytest.approx(0.0002)


def test_a_schedule_brings_it_to_rest():
    def end(factor):
        w = nn.Parameter(torch.tensor(START, dtype=DOUBLE))
        optimizer = Optimizer([w], rmsprop, lr=0.2)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        for _ in range(400):
            loss = (w[0] ** 2 + 20 * w[1] ** 2) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        return loss.item()

    constant, root, linear = end(lambda t: 1.0), end(lambda t: (1 + t) ** -0.5), end(lambda t: 1 - t / 400)
    assert constant == pytest.approx(0.105, rel=0.01)
    assert root < constant / 100
    assert linear < 1e-12


# The argument of the units


@pytest.mark.parametrize(
    ("eps", "halfway", "loss"),
    [(1e-6, 273, 0.91), (1e-4, 39, 0.038), (1e-2, 4, 5.9)],
    ids=["default", "larger", "large"],
)
def test_eps_is_the_learning_rate_of_adadelta(eps, halfway, loss):
    path = sweep(adadelta, quadratic, START, 300, eps=eps, condition_number=20.0)[:, 0]
    assert int((path[:, 0] < -1.1).long().cumprod(0).sum()) == halfway
    assert bowl(path[-1]) == pytest.approx(loss, rel=0.02)
    assert (path[1] - path[0]).abs()[0].item() == pytest.approx(math.sqrt(eps / 0.1), rel=0.02)
    if eps == 1e-4:
        assert bowl(path[150]) < 1e-8
    assert bowl(path[0]) == pytest.approx(16.8, abs=0.05)


def test_around_a_minimum_the_squared_step_grows_by_eps():
    eps = torch.tensor([1e-4, 1e-3, 1e-2], dtype=DOUBLE)
    x, v, u = torch.full_like(eps, 1.2), torch.zeros_like(eps), torch.zeros_like(eps)
    squares = []
    for t in range(1, 1001):
        before, (x, v, u) = x, adadelta(x, 20 * x, t, v, u, eps=eps)
        squares.append((x - before) ** 2)
    torch.testing.assert_close((squares[-1] - squares[-401]) / 400, eps, rtol=0.1, atol=0)


def test_on_a_slope_u_grows_by_a_tenth_of_eps():
    w = v = u = torch.zeros(1, dtype=DOUBLE)
    g, reached, before = torch.ones_like(w), None, 0.0
    for t in range(1, 10_001):
        w, v, u = adadelta(w, g, t, v, u)
        if reached is None and w <= -1:
            reached = t
        if t == 9_000:
            before = u.item()
    assert (u.item() - before) / 1000 == pytest.approx(0.1 * 1e-6, rel=1e-3)
    assert math.sqrt(u.item()) == pytest.approx(math.sqrt(0.1 * 1e-6 * 10_000), rel=0.01)
    assert reached == 214


@pytest.mark.parametrize("seed", range(3))
def test_under_noise_the_step_settles_near_the_root_of_eps(seed):
    generator, ratios = torch.Generator().manual_seed(seed), []
    w = v = u = torch.zeros(5000)
    for t in range(1, 1001):
        g = torch.randn(5000, generator=generator)
        moved, v, u = adadelta(w, g, t, v, u)
        if t > 500:
            ratios.append((g.square() / v).mean())
    assert torch.stack(ratios).mean() < 1
    assert u.mean().item() == pytest.approx(7e-6, rel=0.05)
    assert moved.square().mean().sqrt().item() == pytest.approx(2.6e-3, rel=0.05)


def test_the_units_do_not_hold_for_eps():
    unit = torch.tensor([1e-3, 1.0, 1e3], dtype=DOUBLE)
    x, v, u, steps = unit, torch.zeros(3, dtype=DOUBLE), torch.zeros(3, dtype=DOUBLE), torch.zeros(3, dtype=torch.long)
    waits = torch.ones(3, dtype=torch.bool)
    for t in range(1, 3001):
        steps += waits
        x, v, u = adadelta(x, x / unit**2, t, v, u)
        waits = waits & (x > unit / 2)
    assert steps.tolist() == [1, 146, 3000]


# On a network, tuned


RATES, TINY = 2.0 ** torch.arange(-8, 0), 10.0 ** torch.arange(-8, 0)


def draw(n, random):
    x = torch.rand(5, 1, n, 2, generator=random) * 4 - 2
    return x, x.prod(-1, keepdim=True)


def network(w, x):
    w1 = w[..., :64].unflatten(-1, (2, 32))
    b1, w2 = w[..., None, 64:96], w[..., 96:128, None]
    return (x @ w1 + b1).tanh() @ w2 + w[..., None, 128:]


@functools.cache
def errors(rule, name, scale, linear=False):
    values, random = TINY if name == "eps" else RATES * scale, torch.Generator().manual_seed(0)
    w = torch.tensor([0.7] * 96 + [0.18] * 33) * (torch.rand(5, 1, 129, generator=random) * 2 - 1)
    w = w.repeat(1, 8, 1)
    state = zeros(rule, w)
    for t in range(1, 1001):
        x, y = draw(16, random)
        y = y + 0.5 * torch.randn(y.shape, generator=random)
        w.requires_grad_()
        (g,) = torch.autograd.grad((network(w, x) - y).square().mean((2, 3)).sum(), w)
        w, state = step(rule, w.detach(), g, t, state, {name: values[:, None] * (1 - t / 1000 if linear else 1.0)})
    x, y = draw(2000, random)
    error = (network(w, x) - y).square().mean((2, 3)).nan_to_num(1e9)
    order = error.mean(0).argsort()
    assert 0 < order[0] < 7, "the best setting lies inside the grid"
    return error, order, values


def test_a_schedule_does_more_than_the_choice_of_the_rule():
    plain, ada = errors(gradient_descent, "lr", 0.5), errors(adagrad, "lr", 2.0)
    rms, falling, delta = errors(rmsprop, "lr", 0.25), errors(rmsprop, "lr", 1.0, True), errors(adadelta, "eps", 1.0)
    at_best = [error[:, order[0]] for error, order, _ in (plain, ada, rms, falling, delta)]
    for rival in (at_best[0], at_best[2], at_best[4]):
        assert (
            (at_best[3] < at_best[1]).all() and (at_best[1] < rival).sum() >= 4 and at_best[1].mean() < rival.mean()
        )  # five seeds
    assert at_best[2].mean() > 3 * at_best[3].mean()
    assert falling[2][falling[1][0]] / rms[2][rms[1][0]] == 16


def test_the_best_eps_of_adadelta_is_the_best_rate_of_rmsprop():
    (error, order, values), (_, rms_order, rates) = errors(adadelta, "eps", 1.0), errors(rmsprop, "lr", 0.25)
    best = order[0]
    assert sorted(order[:2].tolist()) == [2, 3] and values[2:4].tolist() == pytest.approx([1e-6, 1e-5])
    assert values[best].item() == pytest.approx(1e-5)
    assert error[:, [best - 2, best + 2]].mean(0).min() > 3 * error[:, best].mean()
    assert (2.6 * values[2:4].sqrt()).tolist() == pytest.approx([0.0026, 0.008], rel=0.03)
    assert sorted(rates[rms_order[:2]].tolist()) == pytest.approx([0.004, 0.008], rel=0.03)


# What goes wrong, and PyTorch


def train(make_optimizer):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1)).double()
    optimizer = make_optimizer(model.parameters())
    for _ in range(200):
        x = torch.rand(64, 2, dtype=DOUBLE) * 4 - 2
        loss = (model(x).squeeze() - x.prod(dim=1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def difference(rule, theirs, **hyper):
    return (train(lambda p: Optimizer(p, rule, **hyper)) - theirs).abs().max().item()


@pytest.mark.parametrize(("eps", "off", "squared"), [(1e-8, 0.11, 0.0012), (1e-4, 0.55, 0.054)])
def test_how_far_eps_inside_and_outside_part(eps, off, squared):
    theirs = train(lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=eps))
    assert theirs.abs().max().item() == pytest.approx(1.3, abs=0.05)
    assert difference(rmsprop, theirs, eps=eps) == pytest.approx(off, rel=0.1)
    assert difference(rmsprop, theirs, eps=eps**2) == pytest.approx(squared, rel=0.3)


def test_the_network_equals_pytorch():
    assert difference(rmsprop_torch, train(lambda p: torch.optim.RMSprop(p, alpha=0.9)), gamma=0.9) < 1e-12
    assert difference(adadelta, train(torch.optim.Adadelta)) < 1e-12
