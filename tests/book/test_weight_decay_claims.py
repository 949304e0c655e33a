"""What the chapter on weight decay says in prose, as assertions: the numbers in its answers, over several seeds where chance has a part."""

import math

import pytest
import torch
from torch import nn
from torch.func import grad
from torch.nn.functional import cross_entropy, one_hot

from course_lib.experiments import Optimizer, digits, sweep
from course_lib.formulas import adam_l2, adamw, gradient_descent, momentum_l2, sgdw
from course_lib.formulas.regularization import bowl, ridge_minimum, shrinkage
from course_lib.widgets import Map

START, MINIMUM = (1.4, -1.8), (1.5, 0.8)
FLOAT = torch.float64


def ridge(decay, condition_number=10.0, angle=-30.0):
    return ridge_minimum(*(torch.tensor(x, dtype=FLOAT) for x in (*MINIMUM, condition_number, angle, decay)))


def bowl_path(rule, steps=40, **hyper):
    return sweep(rule, bowl, START, steps, **hyper)[:, 0]


# Where the minimum goes


def test_decay_takes_where_the_loss_cares_least():
    h = torch.tensor([1.0, 10.0], dtype=FLOAT)
    assert shrinkage(h, 1.0).tolist() == pytest.approx([1 / 2, 10 / 11])
    assert shrinkage(h, 10.0).tolist() == pytest.approx([1 / 11, 1 / 2])


def test_one_parameter_grows_while_the_norm_only_falls():
    decays = torch.logspace(-2, 2, 401, dtype=FLOAT)
    trace = torch.stack([ridge(x.item()) for x in decays])
    assert (trace.norm(dim=1).diff() < 0).all()
    highest = trace[:, 1].argmax()
    assert trace[highest, 1].item() == pytest.approx(0.91, abs=0.005) and decays[highest].item() == pytest.approx(
        1.1, abs=0.05
    )
    back = decays[(trace[:, 1] < 0.8) & (decays > 1)][0]
    assert back.item() == pytest.approx(4.1, abs=0.05)


def test_the_angles_of_the_answer():
    norm = math.hypot(*MINIMUM)
    assert ridge(1.0, angle=28.0).norm().item() / norm == pytest.approx(0.500, abs=5e-4)
    assert ridge(1.0, angle=-62.0).norm().item() / norm == pytest.approx(0.909, abs=5e-4)
    shares = [ridge(1.0, angle=float(a)).norm().item() / norm for a in range(-90, 91, 2)]
    assert 0.5 - 1e-9 < min(shares) and max(shares) < 10 / 11 + 1e-9
    for settings in (
        {"angle": 28.07},
        {"angle": -61.93},
        {"condition_number": 1.0, "angle": 40.0},
    ):  # straight lines to 0
        directions = torch.stack([ridge(x, **settings) / ridge(x, **settings).norm() for x in (0.01, 1.0, 50.0)])
        assert directions.diff(dim=0).abs().max() < 1e-3


def test_the_two_paths_of_the_answer():
    ends = [
        (bowl_path(rule, lr=0.1, momentum=0.9, decay=1.0)[-1] - ridge(1.0)).norm().item()
        for rule in (momentum_l2, sgdw)
    ]
    assert ends == pytest.approx([0.170, 0.023], abs=0.0006)
    still = [bowl_path(rule, lr=0.1, momentum=0.0, decay=1.0) for rule in (momentum_l2, sgdw)]
    assert (still[0] - still[1]).abs().max() < 1e-15
    weak = [bowl_path(rule, lr=0.1, momentum=0.9, decay=0.01) for rule in (momentum_l2, sgdw)]
    assert (weak[0] - weak[1]).norm(dim=1).max().item() == pytest.approx(0.0114, abs=5e-5)


# Why it works


@pytest.mark.parametrize("seed", range(3))
def test_the_variance_of_least_squares_and_what_decay_leaves_of_it(seed):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(50, 4, generator=generator, dtype=FLOAT) * torch.tensor([2.0, 1.0, 0.3, 0.1], dtype=FLOAT)
    true, sigma, decay = torch.tensor([1.0, -1.0, 0.5, 2.0], dtype=FLOAT), 0.7, 0.05
    H = X.T @ X / 50
    h, q = torch.linalg.eigh(H)
    y = (X @ true)[:, None] + sigma * torch.randn(50, 20_000, generator=generator, dtype=FLOAT)
    for strength in (0.0, decay):
        found = q.T @ torch.linalg.solve(H + strength * torch.eye(4, dtype=FLOAT), X.T @ y / 50)
        torch.testing.assert_close(
            found.var(dim=1), shrinkage(h, strength) ** 2 * sigma**2 / (50 * h), rtol=0.06, atol=0
        )
        bias = -strength / (h + strength) * (q.T @ true)
        torch.testing.assert_close(found.mean(dim=1) - q.T @ true, bias, rtol=0, atol=0.05)


def test_the_best_decay_for_one_direction():
    decays = torch.logspace(-4, 2, 6001, dtype=FLOAT)
    for h, variance, true in ((1.0, 0.3, 0.8), (0.05, 0.01, 1.5), (7.0, 2.0, 0.4)):  # variance: σ²/N
        error = variance * h / (h + decays) ** 2 + (decays * true / (h + decays)) ** 2
        assert decays[error.argmin()].item() == pytest.approx(variance / true**2, rel=0.003)


# What momentum changes


@pytest.mark.parametrize("loss", [bowl, lambda w: (w**4).sum() / 4 + w.sin().prod()])
def test_decoupled_decay_is_l2_with_less_momentum_on_any_loss(loss):
    lr, m, decay = 0.05, 0.9, 1.0
    path = sweep(sgdw, loss, START, 60, lr=lr, momentum=m, decay=decay)[:, 0]
    m2 = m * (1 - lr * decay)
    lr2 = lr * (1 - m) / (1 - m2)
    w, delta = path[0], m * lr * decay * path[0] / (lr2 * m2)
    for t, same in enumerate(path[1:], start=1):
        w, delta = momentum_l2(w, grad(loss)(w), t, delta, lr=lr2, momentum=m2, decay=decay)
        torch.testing.assert_close(w, same, rtol=0, atol=1e-13)
    assert 0.9 * (1 - 0.0005) == pytest.approx(0.89955)


def test_at_a_common_setting_nobody_can_tell_the_two_apart():
    l2, apart = (bowl_path(rule, steps=200, lr=1.0, momentum=0.9, decay=0.0005) for rule in (momentum_l2, sgdw))
    assert (l2 - apart).norm(dim=1).max() < 0.002 * l2.norm(dim=1).max()


@pytest.mark.parametrize("seed", range(3))
def test_in_adam_with_l2_a_weight_with_large_gradients_hardly_decays(seed):
    """Gradients of pure noise, 1, 10 or 100 large: what 400 steps of decay leave of a weight of 1."""
    noise, left = torch.randn(400, 1000, generator=torch.Generator().manual_seed(seed), dtype=FLOAT), {}
    for rule in (adam_l2, adamw):
        for size in (1.0, 10.0, 100.0):
            w, state = torch.ones(1000, dtype=FLOAT), (0.0, 0.0)
            for t, g in enumerate(size * noise, start=1):
                w, *state = rule(w, g, t, *state, lr=0.001, decay=1.0)
            left[rule, size] = w.mean().item()
    assert [left[adamw, size] for size in (1.0, 10.0, 100.0)] == pytest.approx([0.999**400] * 3, abs=0.005)
    assert left[adam_l2, 1.0] < 0.8 and left[adam_l2, 10.0] > 0.94 and left[adam_l2, 100.0] > 0.98


@pytest.mark.parametrize("decay", [0.5, 1.0, 2.0])
def test_without_noise_adamw_ends_in_a_box(decay):
    starts = 3 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
    ends = sweep(adamw, bowl, starts, 1500, lr=0.01, decay=decay, beta2=0.9)[-1].abs()
    assert ends.max() <= 1 / decay + 1e-3
    assert decay < 1 or (ends > 1 / decay - 1e-3).all()  # θ* lies outside this box: they end in its corner


def test_in_adam_the_two_do_not_end_at_the_same_place():
    ends = {rule: sweep(rule, bowl, START, 250, lr=0.05, decay=1.0, beta2=0.9)[-1, 0] for rule in (adam_l2, adamw)}
    torch.testing.assert_close(ends[adam_l2], ridge(1.0), rtol=0, atol=4e-3)
    assert ridge(1.0).tolist() == pytest.approx([1.05, 0.91], abs=0.005)
    torch.testing.assert_close(ends[adamw], torch.ones(2, dtype=FLOAT), rtol=0, atol=1e-3)


# A step decays by ηλ


@pytest.mark.parametrize("share, steps", [(0.0005, 1386), (0.00005, 13863), (0.00001, 69314)])
def test_half_lives(share, steps):
    assert math.log(0.5) / math.log1p(-share) == pytest.approx(steps, abs=0.5)


def test_ten_thousand_steps_of_adamws_defaults_take_no_more_than_a_tenth():
    defaults = torch.optim.AdamW([torch.zeros(1)]).defaults
    assert (defaults["lr"], defaults["weight_decay"]) == (0.001, 0.01)
    assert 0.90 < (1 - 0.001 * 0.01) ** 10_000 < 0.91
    assert {kind: kind([torch.zeros(1)]).defaults["weight_decay"] for kind in (torch.optim.SGD, torch.optim.Adam)} == {
        torch.optim.SGD: 0,
        torch.optim.Adam: 0,
    }


def test_pytorchs_buffer_multiplies_the_decay_too():
    w = torch.ones(1, dtype=FLOAT, requires_grad=True)
    optimizer, sizes = torch.optim.SGD([w], lr=1e-4, momentum=0.9, weight_decay=0.5), []
    for _ in range(300):
        w.grad = torch.zeros_like(w)
        before = w.item()
        optimizer.step()
        sizes.append(1 - w.item() / before)
    assert sizes[-1] == pytest.approx(1e-4 / (1 - 0.9) * 0.5, rel=0.01)


def test_a_schedule_moves_the_minimum_only_if_the_decay_has_no_rate():
    def fixed_share(w, g, t, *, lr=0.1, share=0.05):
        return w - lr * g - share * w

    rates = torch.tensor([0.1, 0.05, 0.02])
    ends = sweep(sgdw, bowl, START, 300, lr=rates, decay=0.5)[-1]
    torch.testing.assert_close(ends, ridge(0.5).expand(3, 2), rtol=0, atol=0.005)
    moved = sweep(fixed_share, bowl, START, 300, lr=rates)[-1]
    torch.testing.assert_close(moved, torch.stack([ridge(0.05 / lr) for lr in (0.1, 0.05, 0.02)]), rtol=0, atol=0.005)
    assert moved.flatten().tolist() == pytest.approx([1.21, 0.89, 1.05, 0.91, 0.80, 0.87], abs=0.006)


# All rates and all decays


def valley(w):
    return bowl(w)


def border(rule, decay, h=10.0, m=0.9):
    """The rate from which on the run diverges, by the chapter's formula."""
    return 2 * (1 + m) / ((1 - m) * (h + decay) if rule is momentum_l2 else (1 - m) * h + (1 + m) * decay)


@pytest.fixture(scope="module")
def planes():
    """By rule: the rates, the decays and how the runs of the page's map end."""
    found = {}
    for rule in (momentum_l2, sgdw):
        fig = Map(
            rule,
            valley,
            x="lr",
            y="decay",
            x_range=(0.001, 10),
            y_range=(0.01, 100),
            steps=300,
            start=(1.4, -1.8),
            lr=0.1,
            decay=1,
            view="loss",
        )
        found[rule] = *fig.places(60, 18), fig.values(60, 18)
    return found


@pytest.mark.parametrize("rule", [momentum_l2, sgdw])
def test_the_border_of_divergence(planes, rule):
    rates, decays, found = planes[rule]
    for k, decay in enumerate(decays.tolist()):
        theory, cell = border(rule, decay), rates[1] / rates[0]
        assert found.lost[k, rates > theory * cell].all() and not found.lost[k, rates < theory].any()


def test_the_borders_named_on_the_page():
    for decay, l2, decoupled in ((0.01, 3.8, 3.7), (10.0, 1.9, 0.19), (100.0, 0.35, 0.02)):
        assert border(momentum_l2, decay) == pytest.approx(l2, rel=0.02) and border(sgdw, decay) == pytest.approx(
            decoupled, rel=0.02
        )
    assert 1e6 * border(momentum_l2, 1e6) == pytest.approx(38, rel=1e-3) and 1e6 * border(sgdw, 1e6) == pytest.approx(
        2, rel=1e-3
    )


def test_the_stripes_are_the_same_for_both_forms(planes):
    rates, decays, found = planes[sgdw]
    other = planes[momentum_l2][2]
    for k, decay in enumerate(decays.tolist()):
        kept = (rates > 0.1) & (rates < 0.9 * border(sgdw, decay))
        end = bowl(ridge(decay)).float()
        for verdicts in (found, other):
            assert (verdicts.above[k, kept] / end - 1).abs().max() < 0.01 if kept.any() else True


def test_the_bright_streak_passes_the_minimum_of_the_data():
    rates = torch.logspace(-3, -1, 201, dtype=FLOAT)
    for rule in (momentum_l2, sgdw):
        for decay in (0.03, 0.1, 0.3):
            losses = torch.stack([bowl(w) for w in sweep(rule, bowl, START, 300, lr=rates, decay=decay)[-1]])
            best = losses.argmin()
            assert losses[best] < losses[-1] / 3 and 0.004 < rates[best] < 0.02
            later = sweep(rule, bowl, START, 3000, lr=rates[best].item(), decay=decay)[-1, 0]
            torch.testing.assert_close(later, ridge(decay), rtol=0, atol=0.01)


def test_right_of_its_border_the_decoupled_rule_swings_across_the_valley():
    still, swinging = (
        sweep(rule, bowl, START, 200, lr=0.195, decay=10.0)[:, 0] - ridge(10.0) for rule in (momentum_l2, sgdw)
    )
    along = torch.tensor([math.cos(math.radians(-30)), math.sin(math.radians(-30))], dtype=FLOAT)
    assert swinging[-1].norm() > 2 * swinging[-100].norm() and still[-1].norm() < 0.01
    assert (swinging[-1] @ along).abs() < 0.01 * swinging[-1].norm()
    assert ((swinging[-50:] * swinging[-51:-1]).sum(1) < 0).all()  # from side to side


# A hundred digits

SEEDS, STRENGTHS = 8, (0, 0.001, 0.003, 0.01, 0.03, 0.1)


def load(wrong=0):
    generator, parts = torch.Generator().manual_seed(0), []
    for seed in range(SEEDS):
        s = digits(100, 600, seed=seed)
        s.y_train[:wrong] += torch.randint(1, 10, (wrong,), generator=generator)
        parts.append((s.x_train, one_hot(s.y_train % 10, 10).float(), s.x_val, one_hot(s.y_val, 10).float()))
    return [torch.stack(x)[:, None] for x in zip(*parts, strict=True)]


def outputs(weights, x):
    W1, b1, W2, b2 = weights
    return torch.relu(x @ W1 + b1) @ W2 + b2


def losses(weights, x, y):
    return -(outputs(weights, x).log_softmax(-1) * y).sum(-1).mean(-1)


def accuracy(weights, x, y):
    return (outputs(weights, x).argmax(-1) == y.argmax(-1)).float().mean(-1)


def train(rule, data, decay_biases=True, steps=400, strengths=STRENGTHS):
    """The page's training: the weights at the end, and the mean validation loss of every tenth step."""
    generator, K, weights = torch.Generator().manual_seed(0), len(strengths), []
    for a, b in ((64, 32), (32, 10)):
        W = 2 * torch.rand(SEEDS, 1, a, b, generator=generator) - 1
        weights += [W.repeat(1, K, 1, 1) / a**0.5, torch.zeros(SEEDS, K, 1, b)]
    decay = torch.tensor(strengths).view(K, 1, 1)
    decays, state, seen = [decay, decay * decay_biases] * 2, [0.0] * 4, []
    slope = grad(lambda w: losses(w, *data[:2]).sum())
    for t in range(1, steps + 1):
        each = zip(weights, slope(weights), state, decays, strict=True)
        new = [rule(w, g, t, s, lr=1.0, decay=d) for w, g, s, d in each]
        weights, state = map(list, zip(*new, strict=True))
        if t % 10 == 0:
            seen.append(losses(weights, *data[2:]).mean(0))
    return weights, torch.stack(seen)


@pytest.fixture(scope="module")
def clean():
    data = load()
    return data, *train(sgdw, data)


@pytest.fixture(scope="module")
def noisy():
    data = load(wrong=20)
    return data, *train(sgdw, data)


def test_the_network_and_its_training(clean):
    (x, y, *unseen), weights, seen = clean
    assert sum(w[0, 0].numel() for w in weights) == 2410
    assert losses(weights, x, y)[:, 0].mean().item() == pytest.approx(0.003, abs=0.0005)
    assert losses(weights, x, y)[:, 2].mean() > 10 * losses(weights, x, y)[:, 0].mean()
    assert seen[:, 0].argmin() == 8 and seen[8, 0].item() == pytest.approx(0.433, abs=0.003)  # step 90, then it rises
    assert seen[-1, 0] > seen[8, 0] + 0.02


def test_decay_lowers_the_validation_loss_by_a_fifth_and_hardly_moves_accuracy(clean):
    data, weights, seen = clean
    loss, right = losses(weights, *data[2:]), accuracy(weights, *data[2:])
    assert loss.mean(0).tolist() == pytest.approx([0.462, 0.387, 0.372, 0.427, 0.623, 1.405], abs=0.005)
    assert (loss[:, 2] < loss[:, 0]).all()
    assert 1 - (loss[:, 2].mean() / loss[:, 0].mean()).item() == pytest.approx(0.20, abs=0.02)
    assert (loss[:, 4].mean() > loss[:, 0].mean()) and (loss[:, 5].mean() > loss[:, 0].mean())
    assert right.mean(0).tolist() == pytest.approx([0.889, 0.890, 0.894, 0.893, 0.876, 0.656], abs=0.003)
    assert right.mean(0).argmax() == 2 and right[:, 2].std().item() == pytest.approx(0.014, abs=0.002)


def test_the_norm_falls_and_the_outputs_move_less(clean):
    data, weights, _ = clean
    norm = sum((w**2).sum((-1, -2)) for w in weights).sqrt().mean(0)
    assert norm.tolist() == pytest.approx([13.6, 11.5, 9.9, 8.3, 6.6, 3.8], abs=0.06)
    nudge = 0.1 * torch.randn(8, 1, 600, 64, generator=torch.Generator().manual_seed(0))
    moved = (outputs(weights, data[2] + nudge) - outputs(weights, data[2])).norm(dim=-1).mean(-1)
    assert moved.mean(0)[[0, 2, 5]].tolist() == pytest.approx([3.02, 1.60, 0.29], abs=0.02)
    assert (moved.diff(dim=1) < 0).all()


def test_with_wrong_labels_the_best_decay_is_larger_and_accuracy_moves(noisy):
    data, weights, _ = noisy
    loss, right = losses(weights, *data[2:]), accuracy(weights, *data[2:])
    assert loss.mean(0).argmin() == 3 and loss.mean(0)[[0, 3]].tolist() == pytest.approx([1.44, 0.82], abs=0.01)
    assert right.mean(0).argmax() == 4 and right.mean(0)[[0, 4]].tolist() == pytest.approx([0.699, 0.792], abs=0.005)
    assert (right[:, 4] > right[:, 0]).all()


def test_stopping_early_loses_on_clean_labels_and_wins_on_wrong_ones(clean, noisy):
    without, best = clean[2][:, 0].min(), clean[2][-1, 2]
    assert (without.item(), best.item()) == pytest.approx((0.43, 0.37), abs=0.005)
    early, final = noisy[2][:, 0], noisy[2][-1]
    assert early.argmin() == 4 and early.min() < final.min()  # step 50
    assert (early.min().item(), final.min().item()) == pytest.approx((0.77, 0.82), abs=0.005)


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_stopping_early_leaves_a_share_along_each_eigenvector(steps):
    lr, h = 0.1, torch.tensor([1.0, 10.0], dtype=FLOAT)
    path = sweep(
        gradient_descent, bowl, (0.0, 0.0), steps, lr=lr * 0.5, x=1.0, y=1.0, condition_number=10.0, angle=0.0
    )[-1, 0]
    torch.testing.assert_close(path, 1 - (1 - lr * 0.5 * h) ** steps, rtol=1e-12, atol=1e-12)


def test_stopping_early_is_a_decay_of_one_over_rate_and_steps():
    """The shares of both, for flat and steep directions: never more than a third apart, and equal at the flat end."""
    lr, t = 0.1, 1000
    h = torch.logspace(-3, 2, 101, dtype=FLOAT) / (lr * t)
    ratio = (1 - (1 - lr * h) ** t) / shrinkage(h, 1 / (lr * t))
    assert 1 <= ratio.min() and ratio.max() < 4 / 3 and ratio[0] == pytest.approx(1, abs=1e-3)


# Weights, and not biases


def test_on_digits_neither_biases_nor_the_form_matter_at_useful_strengths(clean):
    data, decayed, _ = clean
    here = losses(decayed, *data[2:])
    spared = losses(train(sgdw, data, decay_biases=False, strengths=STRENGTHS[2:])[0], *data[2:]) - here[:, 2:]
    coupled = losses(train(momentum_l2, data, strengths=STRENGTHS[2:4])[0], *data[2:]) - here[:, 2:4]
    assert (here[:, 0] - here[:, 2]).mean().item() == pytest.approx(0.090, abs=0.003)
    assert spared[:, :2].mean(0).abs().max() < 0.002 and coupled.mean(0).abs().max() < 0.002
    assert (spared[:, 3] < 0).all() and spared[:, 3].mean().item() == pytest.approx(-0.036, abs=0.002)


def test_the_bias_of_a_linear_model_shrinks_as_the_formula_says():
    split = digits(100, 600, seed=0, dtype=FLOAT)
    X, X_val = (nn.functional.pad(x - split.x_train.mean(0), (0, 1), value=1.0) for x in (split.x_train, split.x_val))
    y = split.y_train.double()
    assert y.mean().item() == pytest.approx(4.36)
    found = {}
    for strength in (0.1, 1.0):
        for own in (0.0, strength):
            decays = torch.full((65,), strength, dtype=FLOAT)
            decays[64] = own
            w = torch.linalg.solve(X.T @ X / 100 + decays.diag(), X.T @ y / 100)
            assert w[64].item() == pytest.approx(4.36 / (1 + own))
            error = X_val @ w - split.y_val
            found[strength, own > 0] = error.square().mean().item()
            assert own == 0 or error.mean() < -0.3
    assert list(found.values()) == pytest.approx([5.23, 5.36, 7.53, 12.37], abs=0.01)


# What goes wrong


def test_a_word_that_does_not_occur_is_forgotten():
    words = nn.Embedding(3, 1)
    nn.init.ones_(words.weight)
    optimizer = torch.optim.SGD(words.parameters(), lr=0.1, weight_decay=0.01)
    for _ in range(1000):
        optimizer.zero_grad()
        words(torch.tensor([0])).sum().backward()
        optimizer.step()
    assert words.weight[2].item() == pytest.approx(0.999**1000, rel=1e-3) == pytest.approx(0.368, abs=5e-4)


def test_only_a_parameter_without_a_gradient_is_left_alone():
    zero, none = (torch.ones(1, requires_grad=True) for _ in range(2))
    zero.grad = torch.zeros(1)
    torch.optim.SGD([zero, none], lr=0.1, weight_decay=0.01).step()
    assert zero.item() == pytest.approx(0.999) and none.item() == 1


@pytest.mark.parametrize("examples", [8, 128])
def test_a_sum_over_the_batch_divides_the_decay_by_its_size(examples):
    generator = torch.Generator().manual_seed(0)
    X, y = (torch.randn(shape, generator=generator, dtype=FLOAT) for shape in ((examples, 4), (examples,)))
    minimum = {}
    for name, H, b in (("sum", X.T @ X, X.T @ y), ("mean", X.T @ X / examples, X.T @ y / examples)):
        for decay in (0.3, 0.3 / examples):
            minimum[name, decay] = torch.linalg.solve(H + decay * torch.eye(4, dtype=FLOAT), b)
    torch.testing.assert_close(minimum["sum", 0.3], minimum["mean", 0.3 / examples], rtol=1e-12, atol=0)


def normalized(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 32, bias=False), nn.BatchNorm1d(32, affine=False), nn.ReLU(), nn.Linear(32, 10))


@pytest.mark.parametrize("seed", range(3))
def test_before_a_batch_norm_the_size_of_the_weights_has_no_effect_but_on_the_gradient(seed):
    split, model = digits(100, 600, seed=seed), normalized(seed)
    W, seen = model[0].weight, []
    for _ in range(2):
        model.zero_grad()
        loss = cross_entropy(model(split.x_train), split.y_train)
        loss.backward()
        seen.append((loss.item(), W.grad.norm().item()))
        assert ((W * W.grad).sum() / W.norm()).abs() < 1e-4 * W.grad.norm()  # the gradient is at right angles to W
        W.data *= 10
    (loss, size), (same, small) = seen
    assert same == pytest.approx(loss, abs=1e-4) and size / small == pytest.approx(10, rel=0.01)


def test_decay_before_a_batch_norm_is_a_larger_rate_and_no_gain_here():
    for seed in range(3):
        split, norms, unseen = digits(100, 600, seed=seed), [], []
        for strength in (0.0, 0.01):
            model = normalized(seed)
            W, rest = model[0].weight, model[3].parameters()
            optimizer = Optimizer([{"params": [W], "decay": strength}, {"params": rest, "decay": 0.0}], sgdw, lr=0.5)
            for _ in range(400):
                optimizer.zero_grad()
                cross_entropy(model(split.x_train), split.y_train).backward()
                optimizer.step()
            norms.append(W.norm().item())
            unseen.append(cross_entropy(model.eval()(split.x_val), split.y_val).item())
        assert norms[0] / norms[1] == pytest.approx(6.9, abs=0.15) and (norms[0] / norms[1]) ** 2 == pytest.approx(
            48, abs=2
        )
        assert unseen[1] > unseen[0] + 0.05


# In PyTorch


def fit(make_optimizer, shrink=0.0, steps=60):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1)).double()
    optimizer = make_optimizer(model.parameters())
    for _ in range(steps):
        x = torch.rand(64, 2, dtype=FLOAT) * 4 - 2
        optimizer.zero_grad()
        (model(x).squeeze() - x.prod(dim=1)).square().mean().backward()
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 - shrink)
        optimizer.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def test_the_spellings_in_pytorch():
    own = {"lr": 0.2, "momentum": 0.9, "decay": 0.02}
    l2, apart = (fit(lambda p, rule=rule: Optimizer(p, rule, **own)) for rule in (momentum_l2, sgdw))
    assert (l2 - fit(lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=0.02))).abs().max() < 1e-12
    assert (apart - fit(lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9), shrink=0.2 * 0.02)).abs().max() < 1e-12
    assert (l2 - apart).abs().max() > 1e-4
    still = [fit(lambda p, rule=rule: Optimizer(p, rule, **own | {"momentum": 0.0})) for rule in (momentum_l2, sgdw)]
    assert (still[0] - still[1]).abs().max() < 1e-12
