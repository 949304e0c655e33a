"""What the chapter on Adagrad says in prose, as assertions: the numbers in its answers, over several seeds where chance has a part."""

import math

import pytest
import torch
from torch import nn
from torch.func import grad
from torch.nn.functional import softplus

from course_lib.experiments import Optimizer, sweep
from course_lib.formulas import adagrad, adagrad_torch, gradient_descent, quadratic, rosenbrock

START = (-2.2, 1.2)
DOUBLE = torch.float64


def bowl(w, condition_number=20.0, angle=0.0):
    return quadratic(
        w, condition_number=torch.tensor(condition_number, dtype=DOUBLE), angle=torch.tensor(angle, dtype=DOUBLE)
    ).item()


# The update


@pytest.mark.parametrize("seed", range(3))
def test_the_first_step_is_a_sign_and_no_step_is_longer_than_the_rate(seed):
    generator = torch.Generator().manual_seed(seed)
    w = start = torch.zeros(1000, dtype=DOUBLE)
    G = torch.zeros_like(w)
    for t in range(1, 101):
        g = torch.randn(1000, generator=generator, dtype=DOUBLE) * 10 ** torch.randn(
            1000, generator=generator, dtype=DOUBLE
        )
        before, (w, G) = w, adagrad(w, g, t, G, lr=0.3, eps=0.0)
        assert (w - before).abs().max() <= 0.3 + 1e-12
        if t == 1:
            torch.testing.assert_close(w - start, -0.3 * g.sign(), atol=1e-12, rtol=0)


def test_a_scaled_loss_changes_nothing():
    def scaled(w, *, scale=1.0):
        return scale * quadratic(w, condition_number=20.0, angle=30.0)

    paths = [sweep(adagrad, scaled, START, 60, lr=0.5, scale=scale) for scale in (1.0, 1e3)]
    torch.testing.assert_close(*paths, atol=1e-9, rtol=0)


# In the valley


@pytest.mark.parametrize(
    ("kappa", "angle", "loss"), [(20.0, 0.0, 7.8e-8), (1000.0, 0.0, 7.8e-8), (20.0, 45.0, 0.086), (1000.0, 45.0, 0.25)]
)
def test_losses_after_60_steps_in_the_valley(kappa, angle, loss):
    path = sweep(adagrad, quadratic, START, 60, lr=0.5, condition_number=kappa, angle=angle)[:, 0]
    assert bowl(path[-1], kappa, angle) == pytest.approx(loss, rel=0.025)
    if not angle:
        assert path[-1, 0].item() == pytest.approx(-0.00039, abs=5e-6)
    if kappa == 1000 and angle:
        assert path[20].tolist() == pytest.approx([-0.52, -0.48], abs=0.005)
        assert path[-1].tolist() == pytest.approx([-0.49, -0.49], abs=0.005)


def test_the_path_does_not_know_the_condition_number():
    paths = [sweep(adagrad, quadratic, START, 60, lr=0.5, condition_number=kappa) for kappa in (20.0, 1000.0)]
    torch.testing.assert_close(*paths, atol=1e-9, rtol=0)


def turned(angle):
    turn = math.radians(angle)
    return (-2.2 * math.cos(turn) - 1.2 * math.sin(turn), -2.2 * math.sin(turn) + 1.2 * math.cos(turn))


def best_loss(rule, rates, angle):
    end = sweep(rule, quadratic, turned(angle), 60, lr=rates, condition_number=100.0, angle=angle)[-1]
    return min(bowl(w, 100.0, float(angle)) for w in end)


def test_a_turned_valley_takes_the_advantage_away():
    rates = torch.logspace(-1, 0.5, 60)
    ours = [best_loss(adagrad, rates, angle) for angle in (0, 5, 15, 45)]
    plain = [best_loss(gradient_descent, rates / 100, angle) for angle in (0, 5, 15, 45)]
    assert plain == pytest.approx([plain[0]] * 4, rel=1e-6)
    assert ours == sorted(ours) and ours[0] < 1e-20 and ours[2] < plain[2]
    assert ours[3] > 1.5 * plain[3]


def test_the_full_matrix_does_not_notice_a_rotation():
    def loss_of_full(angle):
        w, G = torch.tensor(turned(angle), dtype=DOUBLE), torch.zeros(2, 2, dtype=DOUBLE)
        there = {"condition_number": torch.tensor(100.0, dtype=DOUBLE), "angle": torch.tensor(angle, dtype=DOUBLE)}
        for _ in range(60):
            g = grad(quadratic)(w, **there)
            G = G + g.outer(g)
            size, axes = torch.linalg.eigh(G)
            w = w - 0.5 * axes @ (axes.T @ g / (size + 1e-10).sqrt())
        return quadratic(w, **there).item()

    losses = [loss_of_full(angle) for angle in (0.0, 5.0, 15.0, 45.0)]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-3)
    assert losses[0] < 1e-12


# Why it works


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_holds_and_costs_a_root_of_two(seed):
    targets = torch.randn(500, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    best = targets.median()  # of the losses |w - target|, whose sum is convex

    for lr in (0.3, 1.0, 3.0):
        w, G, path, slopes = torch.tensor(3.0, dtype=DOUBLE), torch.tensor(0.0, dtype=DOUBLE), [], []
        for t, target in enumerate(targets, 1):
            path.append(w)
            slopes.append((w - target).sign())
            w, G = adagrad(w, slopes[-1], t, G, lr=lr)
        path, squares = torch.stack(path), torch.stack(slopes).square()
        excess = (path - targets).abs().sum() - (best - targets).abs().sum()
        D = (path - best).abs().max()
        assert (squares / squares.cumsum(0).sqrt()).sum() <= 2 * G.sqrt()
        assert excess <= (D**2 / (2 * lr) + lr) * G.sqrt()
    rates = D * torch.linspace(0.1, 3, 10_000)
    assert (D**2 / (2 * rates) + rates).min().item() == pytest.approx(math.sqrt(2) * D.item(), rel=1e-6)  # at D/√2


@pytest.mark.parametrize("seed", range(3))
def test_under_noise_the_rate_and_the_variance_fall_like_a_root(seed):
    generator = torch.Generator().manual_seed(seed)
    w, G = torch.zeros(4000), torch.zeros(4000)
    for t in range(1, 5001):
        w, G = adagrad(w, w + torch.randn(4000, generator=generator), t, G, lr=0.5)
        if t in (100, 1000, 5000):
            assert (0.5 / G.sqrt()).mean().item() == pytest.approx(0.5 / t**0.5, rel=0.03)
            assert w.var().item() == pytest.approx(0.5 / (2 * t**0.5), rel=0.1)


@pytest.mark.parametrize(("age", "steps"), [(100, 15), (10_000, 140)])
def test_an_old_run_follows_slowly(age, steps):
    generator = torch.Generator().manual_seed(0)
    w, G, n = torch.zeros(1000), torch.zeros(1000), 0
    for t in range(1, age + 1):
        w, G = adagrad(w, w + torch.randn(1000, generator=generator), t, G, lr=0.5)
    while w.mean() < 0.5:
        n += 1
        w, G = adagrad(w, w - 1 + torch.randn(1000, generator=generator), age + n, G, lr=0.5)
    assert n == pytest.approx(steps, rel=0.1, abs=2)
    assert n == pytest.approx(math.log(2) * age**0.5 / 0.5, rel=0.15, abs=2)


# Rare features


def fading(w, g, t, *, lr=1.0):
    return w - lr / t**0.5 * g


def one_for_all(w, g, t, G=0.0, *, lr=1.0, eps=1e-10):
    G = G + g.square().sum(-1, keepdim=True)
    return w - lr / (G + eps).sqrt() * g, G


RATES = 2.0 ** torch.arange(-6, 8)[:, None]


def documents(often, truth, n, random):
    x = (torch.rand(len(truth), n, 100, generator=random) < often).float()
    return x, truth @ x.mT


def excess_loss(rule, power, seed):
    random = torch.Generator().manual_seed(seed)
    often = 0.5 / torch.arange(1, 101) ** power
    truth = 2 * torch.randn(10, 1, 100, generator=random)
    w, state = torch.zeros(10, len(RATES), 100), ()
    for t in range(1, 1001):
        x, score = documents(often, truth, 8, random)
        y = (torch.rand(score.shape, generator=random) < score.sigmoid()).float()
        new = rule(w, ((w @ x.mT).sigmoid() - y) @ x / 8, t, *state, lr=RATES)
        w, *state = new if isinstance(new, tuple) else (new,)
    x, score = documents(often, truth, 4000, random)
    p, mine = score.sigmoid(), w @ x.mT
    loss = (softplus(mine) - p * mine - softplus(score) + p * score).mean(-1)
    best = loss.mean(0).argmin()
    assert 0 < best < len(RATES) - 1, "the best rate lies inside the grid"
    return loss[:, best], RATES[best].item()


@pytest.mark.parametrize("seed", range(2))
def test_adagrad_wins_on_rare_words_against_tuned_rivals(seed):
    (plain, _), (faded, rate), (shared, _), (ours, own) = (
        excess_loss(rule, 1.5, seed) for rule in (gradient_descent, fading, one_for_all, adagrad)
    )
    assert ours.mean() < 0.5 * plain.mean()
    assert ours.mean() < 0.62 * min(faded.mean(), shared.mean())
    for rival in (plain, faded, shared):
        assert (ours < rival).sum() >= 9  # of ten problems
        assert ours.std() < rival.std()
    assert (rate, own) == (32.0, 0.5)


def test_it_has_no_advantage_where_all_words_are_equally_frequent():
    (faded, rate), (shared, _), (ours, _) = (excess_loss(rule, 0.0, 0) for rule in (fading, one_for_all, adagrad))
    assert ours.mean().item() == pytest.approx(shared.mean().item(), rel=0.05)
    assert faded.mean() < 0.75 * min(ours.mean(), shared.mean())
    assert rate == 8.0


# What goes wrong


def test_the_first_gradient_stays_for_good():
    wall, floor = (sweep(adagrad, rosenbrock, start, 300, lr=0.3)[:, 0] for start in ((-2.0, -1.0), (-1.0, 1.0)))
    lengths = [grad(rosenbrock)(path[0]).norm().item() for path in (wall, floor)]
    assert lengths[0] == pytest.approx(4100, rel=0.01)
    assert lengths[1] == pytest.approx(lengths[0] / 1000, rel=0.05)
    assert wall[50].tolist() == pytest.approx([-0.80, 0.57], abs=0.005)
    losses = [rosenbrock(w).item() for w in (wall[50], wall[-1], floor[0], floor[-1])]
    assert losses == pytest.approx([3.6, 3.1, 4.0, 1.2], rel=0.015)
    steps = [path.diff(dim=0)[100:].norm(dim=1).mean().item() for path in (floor, wall)]
    assert steps == pytest.approx([0.0037, 0.0002], rel=0.05)
    assert steps[0] / steps[1] == pytest.approx(19, abs=0.6)


def test_how_far_the_default_rate_goes():
    reached = 0.01 * torch.arange(1, 260_001, dtype=DOUBLE).pow(-0.5).cumsum(0)
    assert int((reached < 1).sum()) + 1 == 2574
    assert int((reached < 10).sum()) + 1 == 250_731


def test_an_overshoot_brings_newtons_rate():
    curvature = torch.tensor([1.0, 50.0], dtype=DOUBLE)
    for lr, low, high in ((0.5, 0.1, 0.4), (20.0, 1.0, 1.15), (100.0, 1.0, 1.03)):
        path = sweep(adagrad, quadratic, START, 60, lr=lr, condition_number=50.0)[:-1, 0]
        product = lr / (path * curvature).square().sum(0).sqrt() * curvature
        assert low < product.min() and product.max() < high


def test_without_eps_an_absent_word_gives_nan():
    w = g = G = torch.zeros(1, dtype=DOUBLE)
    assert adagrad(w, g, 1, G, lr=1.0, eps=0.0)[0].isnan().all()
    assert adagrad(w, g, 1, G, lr=1.0)[0] == 0


@pytest.mark.parametrize(
    ("size", "slide", "pytorch"), [(1e-3, 1.0, 1.0), (1e-5, 0.7071, 1.0), (1e-7, 0.01, 0.999), (1e-9, 1e-4, 0.9091)]
)
def test_which_gradients_eps_silences(size, slide, pytorch):
    g = torch.tensor([size], dtype=DOUBLE)
    moved = [
        -rule(torch.zeros_like(g), g, 1, torch.zeros_like(g), lr=1.0)[0].item() for rule in (adagrad, adagrad_torch)
    ]
    assert moved == pytest.approx([slide, pytorch], rel=0.006)


# In PyTorch


def train(make_optimizer, seed=0, steps=200):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1)).double()
    optimizer, norms = make_optimizer(model.parameters()), []
    for _ in range(steps):
        x = torch.rand(64, 2, dtype=DOUBLE) * 4 - 2
        loss = (model(x).squeeze() - x.prod(dim=1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        slope = nn.utils.parameters_to_vector([p.grad for p in model.parameters()])
        if not norms:
            smallest = slope.abs().min().item()
        norms.append(slope.norm().item())
        optimizer.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach(), loss.item(), norms, smallest


def test_the_network_equals_pytorch_and_the_slide_is_another_rule():
    theirs, _, _, smallest = train(lambda p: torch.optim.Adagrad(p, lr=0.1))
    spellings = (adagrad_torch, 1e-10), (adagrad, 1e-10), (adagrad, 1e-20)
    off = [
        (train(lambda p: Optimizer(p, rule, lr=0.1, eps=eps))[0] - theirs).abs().max().item() for rule, eps in spellings
    ]
    assert off[0] < 1e-12
    assert off[1] == pytest.approx(0.04, abs=0.01)
    assert off[2] < 1e-4
    assert len(theirs) == 129 and smallest == pytest.approx(6.6e-7, rel=0.01)
    assert math.sqrt(smallest**2 + 1e-10) / smallest == pytest.approx(15, abs=0.5)


@pytest.mark.parametrize("seed", range(3))
def test_the_first_gradient_of_the_network_is_long_and_a_huge_rate_does_harm(seed):
    _, loss, norms, _ = train(lambda p: torch.optim.Adagrad(p, lr=0.1), seed)
    assert 2 < norms[0] / (sum(norms[100:]) / 100) < 5.3
    assert train(lambda p: torch.optim.Adagrad(p, lr=100.0), seed)[1] > 1000 * loss


def trained_table(optimizer, sparse, **hyper):
    torch.manual_seed(0)
    table = nn.Embedding(200, 4, sparse=sparse).double()
    optimizer = optimizer(table.parameters(), lr=0.1, **hyper)
    for _ in range(30):
        loss = (table(torch.randint(200, (16,))) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return table.weight.detach()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_sparse_gradients_are_no_approximation_for_adagrad_alone():
    adagrads = [trained_table(torch.optim.Adagrad, sparse) for sparse in (True, False)]
    torch.testing.assert_close(*adagrads, atol=1e-12, rtol=0)
    lazy, dense = trained_table(torch.optim.SparseAdam, True), trained_table(torch.optim.Adam, False)
    assert (lazy - dense).abs().max() > 0.01


def test_the_power_rule_of_the_page_begins_at_gradient_descent():
    def between(w, g, t, G=0.0, *, lr=0.3, power=0.4):
        G = G + g**2
        return w - lr * g / (G + 1e-10) ** power, G

    for power, rule in ((0.0, gradient_descent), (0.5, adagrad)):
        ours, theirs = (
            sweep(r, quadratic, START, 20, lr=0.05, **h) for r, h in ((between, {"power": power}), (rule, {}))
        )
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)
