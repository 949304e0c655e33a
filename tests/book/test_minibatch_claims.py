"""Every claim of the chapter on mini-batches, as an assertion."""

import math

import pytest
import torch
from torch import nn, vmap
from torch.func import grad
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from course_lib.experiments import digits
from course_lib.experiments.batches import index_batches
from course_lib.formulas.minibatch import (
    example_gradients,
    excess_loss,
    gradient_covariance,
    noise_floor,
    noise_scale,
    noise_with_replacement,
    noise_without_replacement,
    variance_error,
)
from course_lib.widgets import MiniBatch
from course_lib.widgets.figures.mini_batch import PROBLEMS

SQUARES = PROBLEMS["least squares"]


@pytest.fixture(autouse=True)
def as_in_a_book_build(monkeypatch):
    monkeypatch.setenv("COURSE_BOOK", "1")


@pytest.fixture(scope="module")
def figure():
    """One figure, set anew by each test: tracing takes time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_BOOK", "1")
        return MiniBatch()


def at(figure, problem="least squares", **settings):
    """The figure of this chapter at a setting; its other traits as in MiniBatch()."""
    own = PROBLEMS[problem]
    defaults = {
        "lr": own.lr,
        "start": list(own.start),
        "B": 8,
        "sampling": "shuffled",
        "budget": "examples",
        "epochs": 5,
        "steps": 40,
        "seed": 1,
    }
    for name, value in ({"problem": problem} | defaults | settings).items():
        setattr(figure, name, value)
    return figure


def runs(B, epochs, seeds, lr=0.1, sampling="shuffled", problem="least squares"):
    """The paths of the figure's runs for some seeds, and rates, at once: (steps + 1, seeds, 2)."""
    own = PROBLEMS[problem]
    streams = [index_batches(64, B, sampling, seed) for seed in seeds]
    w = torch.tensor(own.start, dtype=torch.float64).expand(len(seeds), 2)
    slope, lr = vmap(grad(own.loss)), torch.as_tensor(lr, dtype=torch.float64).reshape(-1, 1)
    path = [w]
    for _ in range(epochs * 64 // B):
        i = torch.tensor([next(stream) for stream in streams])
        path.append(path[-1] - lr * slope(path[-1], own.x[i], own.y[i]))
    return torch.stack(path)


def distances(path, problem="least squares"):
    """From the minimum, at the end, (seeds,)."""
    return (path[-1] - PROBLEMS[problem].minimum).norm(dim=1)


def above(path):
    """The least squares loss above its minimum, along a path of some seeds."""
    loss = lambda w: SQUARES.loss(w, SQUARES.x, SQUARES.y)
    return vmap(vmap(loss))(path) - loss(SQUARES.minimum)


# --- the three paths


def test_the_first_figure(figure):
    assert list(at(figure).distances.values()) == pytest.approx([1.78, 0.330, 0.124], rel=5e-3)
    assert list(at(figure, budget="steps").distances.values()) == pytest.approx([0.325, 0.330, 0.595], rel=5e-3)
    assert list(at(figure, epochs=20).distances.values())[1:] == pytest.approx([0.019, 0.344], rel=0.03)
    assert (1 - 1 / 64) ** 64 == pytest.approx(0.365, abs=1e-3)


def test_the_runs_of_these_tests_are_the_figures(figure):
    torch.testing.assert_close(runs(8, 5, [1])[:, 0], at(figure).paths["mini-batch"], rtol=1e-12, atol=1e-14)


def test_few_epochs_favor_small_batches_and_many_do_not():
    full, some, one = (runs(B, 20, range(1, 6)) for B in (64, 8, 1))
    for seed in range(5):
        few, many = (
            [(path[len(path) // 20 * epochs, seed] - SQUARES.minimum).norm() for path in (full, some, one)]
            for epochs in (5, 20)
        )
        assert few[0] > few[1] > few[2]
        assert many[1] < few[1] / 5 and many[1] < many[2]


def test_shuffling_ends_closer_than_drawing():
    shuffled, drawn = (
        distances(runs(8, 20, range(1, 11), sampling=sampling)) for sampling in ("shuffled", "with replacement")
    )
    assert (shuffled.mean().item(), drawn.mean().item()) == pytest.approx((0.034, 0.096), abs=5e-4)


# --- in sequence


def test_in_sequence_is_a_loop_whose_size_the_rate_sets():
    both = runs(1, 20, [1, 1], lr=[0.5, 0.1], sampling="in sequence", problem="logistic")
    last, before = both[-65:, 0], both[-129:-64, 0]
    torch.testing.assert_close(last, before, rtol=0, atol=1e-3)
    assert distances(both, "logistic")[0].item() == pytest.approx(0.573, abs=1e-3)
    small = both[-65:, 1]
    size = lambda loop: (loop - loop.mean(0)).norm(dim=1).max().item()
    assert size(small) / size(last) == pytest.approx(1 / 3, abs=0.05)
    ends = [
        distances(runs(8, 20, [1], 0.5, sampling, "logistic"), "logistic").item()
        for sampling in ("in sequence", "shuffled")
    ]
    assert ends == pytest.approx([0.109, 0.035], abs=1e-3)


def shuffled(y):
    return torch.randperm(len(y))


def after_training(order, seed, B=16, epochs=3, lr=0.5):
    """What a network says of images not seen in training, and what they are."""
    data = digits(seed=seed)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr)
    for _ in range(epochs):
        for batch in order(data.y_train).split(B):
            optimizer.zero_grad()
            cross_entropy(net(data.x_train[batch]), data.y_train[batch]).backward()
            optimizer.step()
    return net(data.x_val).argmax(1), data.y_val


@pytest.mark.parametrize("seed", range(3))
def test_sorted_digits_teach_nines_alone(seed):
    said, right = after_training(lambda y: y.argsort(stable=True), seed)
    assert (said == 9).all()
    said, right = after_training(shuffled, seed)
    assert (said == right).double().mean() > 0.9


def test_a_large_batch_needs_steps():
    found = {}
    for B, lr, epochs in ((8, 0.1, 5), (128, 0.1, 5), (128, 1.6, 5), (128, 0.1, 80)):
        said = [after_training(shuffled, seed, B, epochs, lr) for seed in range(3)]
        found[lr, epochs, B] = torch.stack([(a == b).double().mean() for a, b in said])
    small, same, scaled, long = found.values()
    assert small.min() > 0.93 and same.max() < 0.8
    assert same.mean() + 0.1 < scaled.mean() < small.mean() - 0.05
    assert (long - small).abs().max() < 0.02
    assert 8 * 5 == 40 and 125 * 5 == 625 and 8 * 80 == 640


# --- the noise, on digits


@pytest.fixture(scope="module")
def linear():
    """(loss, x, y, gradients of all examples at zero)"""
    data = digits(dtype=torch.float64)

    def loss(w, x, y):
        return cross_entropy(x @ w.view(64, 10), y)

    w0 = torch.zeros(640, dtype=torch.float64)
    return loss, data.x_train, data.y_train, example_gradients(loss, w0, data.x_train, data.y_train)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("B", [4, 64, 500])
def test_the_noise_is_what_the_formulas_say(linear, B, seed):
    gradients = linear[3]
    g, total, N = gradients.mean(0), gradient_covariance(gradients).trace(), len(gradients)
    generator = torch.Generator().manual_seed(seed)
    for draw, predicted in (
        (lambda: torch.randint(N, (B,), generator=generator), noise_with_replacement(total, B)),
        (lambda: torch.randperm(N, generator=generator)[:B], noise_without_replacement(total, B, N)),
    ):
        means = torch.stack([gradients[draw()].mean(0) for _ in range(60)])
        assert (means - g).square().sum(1).mean().sqrt().item() == pytest.approx(predicted.sqrt().item(), rel=0.12)
        assert (means.mean(0) - g).norm() < 2 * (predicted / 60).sqrt()  # unbiased


def test_the_noise_scale_grows_by_two_orders(linear):
    loss, x, y, gradients = linear
    assert gradients.mean(0).norm().item() == pytest.approx(0.451, abs=1e-3)
    assert gradient_covariance(gradients).trace().item() == pytest.approx(13.26, abs=0.01)
    w, scales, slope = torch.zeros(640, dtype=torch.float64), {}, grad(loss)
    for step in range(501):
        if step in (0, 30, 100, 500):
            each = example_gradients(loss, w, x, y)
            scales[step] = noise_scale(gradient_covariance(each), each.mean(0)).item()
        w = w - slope(w, x, y)
    assert scales[0] == pytest.approx(65, abs=0.5) and scales[0] ** 0.5 == pytest.approx(8, abs=0.1)
    assert 200 < scales[30] < 400 and 1000 < scales[100] < scales[500] and scales[500] > 5 * len(x)


def test_classes_make_four_fifths_of_the_noise(linear):
    _, _, y, gradients = linear
    g, total = gradients.mean(0), gradient_covariance(gradients).trace()
    members = [torch.nonzero(y == c)[:, 0] for c in range(10)]
    centers = torch.stack([gradients[i].mean(0) for i in members])
    between = (y.bincount() / len(y)).double() @ (centers - g).square().sum(1)
    assert (between / total).item() == pytest.approx(0.82, abs=0.005)
    within, B = total - between, 20
    torch.manual_seed(0)

    def measured(draw):
        return torch.stack([gradients[draw()].mean(0) - g for _ in range(200)]).square().sum(1).mean().sqrt().item()

    def take(c, k):
        return members[c][torch.randint(len(members[c]), (k,))]

    assert measured(lambda: take(y[torch.randint(len(y), ())], B)) == pytest.approx(
        (between + within / B).sqrt().item(), rel=0.05
    )
    assert measured(lambda: torch.cat([take(c, 2) for c in range(10)])) == pytest.approx(
        (within / B).sqrt().item(), rel=0.05
    )
    assert (within / total).sqrt() < 0.5  # less than half the noise of random batches


def steps_to(goal, B, seed, x, y):
    """Steps of the best of nine rates to this loss, and that rate."""
    rates, generator = 0.06 * 2.0 ** torch.arange(9), torch.Generator().manual_seed(seed)
    W = torch.zeros(9, 64, 10, requires_grad=True)

    def losses(W, i):
        return cross_entropy((x[i] @ W).mT, y[i].expand(9, -1), reduction="none").mean(1)

    for t in range(1, 2001):
        i = torch.randint(len(x), (B,), generator=generator)
        W = (W - rates[:, None, None] * torch.autograd.grad(losses(W, i).sum(), W)[0]).detach()
        if t % max(1, 10 // B) == 0:
            J = losses(W, torch.arange(len(x)))
            if J.min() < goal:
                return t, rates[J.argmin()].item()
        W.requires_grad_()


def test_linear_scaling_holds_below_the_noise_scale_and_ends_above(linear):
    x, y = linear[1].float(), linear[2]
    steps, rates = {}, {}
    for B in (1, 16, 64, 1000):
        steps[B], rates[B] = sorted(steps_to(0.3, B, seed, x, y) for seed in range(3))[1]
    assert 6 < steps[1] / steps[16] < 10 and rates[16] / rates[1] == pytest.approx(8)
    assert steps[64] / steps[1000] < 1.5
    assert 1000 * steps[1000] > 10 * 64 * steps[64] and steps[1] < 16 * steps[16] < 64 * steps[64]


# --- floors


def test_the_floor_is_halved_with_the_rate_and_with_twice_the_batch():
    sigma = gradient_covariance(example_gradients(SQUARES.loss, SQUARES.minimum, SQUARES.x, SQUARES.y))
    assert excess_loss(sigma, 8, 0.05) == excess_loss(sigma, 8, 0.1) / 2
    assert excess_loss(sigma, 16, 0.2) == excess_loss(sigma, 8, 0.1)
    assert SQUARES.x.square().sum(1).max() == 10
    assert torch.linalg.eigvalsh(SQUARES.x.T @ SQUARES.x / 64)[1].item() == pytest.approx(2.9, abs=0.01)


def test_the_floor_is_met_at_small_rates_and_not_at_a_large_one():
    sigma = gradient_covariance(example_gradients(SQUARES.loss, SQUARES.minimum, SQUARES.x, SQUARES.y))
    rates = torch.tensor([0.02, 0.1, 0.3], dtype=torch.float64).repeat_interleave(6)
    path = runs(1, 20, [*range(1, 7)] * 3, rates, "with replacement")
    ratio = (above(path)[640:].mean(0) / torch.stack([excess_loss(sigma, 1, lr) for lr in rates])).view(3, 6)
    assert ratio[:2].mean(1).tolist() == pytest.approx([1.1, 1.4], abs=0.05)
    assert ratio[2].min() > 5


def test_twice_the_batch_and_the_rate_take_half_the_steps():
    arrivals = [
        (above(runs(B, 5, range(1, 7), lr, "with replacement")) < 0.05).double().argmax(0)
        for B, lr in ((8, 0.1), (16, 0.2))
    ]
    assert (arrivals[0].double().mean() / arrivals[1].double().mean()).item() == pytest.approx(2, abs=0.15)


def test_moving_average_mean_and_average_of_the_path():
    torch.manual_seed(0)
    y = torch.randn(1000, 4000)

    def estimate(rate):
        theta, points = torch.zeros(4000), []
        for t, example in enumerate(y, 1):
            theta = theta - rate(t) * (theta - example)
            points.append(theta)
        return torch.stack(points)

    constant, falling = estimate(lambda t: 0.1), estimate(lambda t: 1 / t)
    assert constant[-1].var().item() == pytest.approx(noise_floor(1.0, 1.0, 0.1), rel=0.05)
    assert 1 / noise_floor(1.0, 1.0, 0.1) == pytest.approx(19)
    torch.testing.assert_close(falling[-1], y.mean(0), rtol=1e-4, atol=1e-5)
    assert falling[-1].var().item() == pytest.approx(1e-3, rel=0.07) and constant.mean(0).var().item() == pytest.approx(
        1e-3, rel=0.07
    )


def test_the_best_rate_for_one_noisy_step():
    """The fall of a quadratic by one step, over all batches, as the chapter derives it."""
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    H, S = A @ A.T, torch.diag(torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64))
    theta, B = torch.randn(4, generator=generator, dtype=torch.float64), 5
    g = H @ theta
    B_H, exact = (H @ S).trace() / (g @ H @ g), g @ g / (g @ H @ g)
    fall = lambda lr, noise: lr * g @ g - lr**2 / 2 * (g @ H @ g + noise)
    lr, noise = exact / (1 + B_H / B), (H @ S).trace() / B
    assert fall(lr, noise) > max(fall(lr * 1.01, noise), fall(lr / 1.01, noise))
    torch.testing.assert_close(fall(lr, noise), fall(exact, 0) / (1 + B_H / B))


# --- the guidelines


def test_a_variance_from_a_few_numbers():
    assert [round(100 * variance_error(B)) for B in (2, 8, 16, 64)] == [141, 53, 37, 18]
    data = digits()
    for seed in range(3):
        torch.manual_seed(seed)
        hidden = nn.Linear(64, 32)(data.x_train).detach()
        for B in (2, 8, 16, 64):
            error = (
                (hidden[torch.randint(1000, (2000, B))].var(dim=1) / hidden.var(dim=0, correction=0))
                .std(dim=0)
                .mean()
                .item()
            )
            assert error == pytest.approx(variance_error(B), rel=0.15)
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(32)(hidden[:1])


def test_accumulation(linear):
    loss, x, y, _ = linear
    x, y, w0 = x[:100], y[:100], torch.zeros(640, dtype=torch.float64)
    parts = torch.stack([grad(loss)(w0, *part) for part in zip(x.split(32), y.split(32), strict=True)])
    exact = grad(loss)(w0, x, y)
    shares = torch.tensor([32, 32, 32, 4], dtype=torch.float64) / 100
    torch.testing.assert_close(shares @ parts, exact, rtol=1e-12, atol=1e-14)
    assert (parts.sum(0).norm() / exact.norm()).item() == pytest.approx(4.77, abs=0.01)
    assert math.degrees(torch.cosine_similarity(parts.mean(0), exact, dim=0).acos().item()) == pytest.approx(
        38, abs=0.5
    )
    assert (1 / 4 / 4) / (1 / 4 / 32) == 8


def test_pytorchs_loader():
    data = TensorDataset(torch.arange(1000))
    loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True, generator=torch.Generator().manual_seed(0))
    first, second = (torch.cat([x for (x,) in loader]) for _ in range(2))
    assert len(loader) == 15 and len(first) == 960 == len(first.unique()) and not torch.equal(first, second)
    drawn = torch.cat([x for (x,) in DataLoader(data, batch_size=50, sampler=RandomSampler(data, replacement=True))])
    assert len(drawn.unique()) < 700
    assert torch.equal(torch.cat([x for (x,) in DataLoader(data, batch_size=50)]), torch.arange(1000))
