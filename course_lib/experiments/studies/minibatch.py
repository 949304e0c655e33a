"""What the chapter on mini-batches measures, on handwritten digits: noise, orders of the examples, floors and batch sizes."""

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy

from course_lib.experiments.data import digits
from course_lib.experiments.records import experiment
from course_lib.formulas.minibatch import example_gradients, excess_loss, gradient_covariance, noise_scale

ZERO = torch.zeros(640, dtype=torch.float64)


def linear_loss(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy of a linear model of 64 pixels and ten classes, whose weights are `w` of shape (640,)."""
    return cross_entropy(x @ w.view(64, 10), y)


# The noise of one gradient


def gradients_at_zero(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient of each of 1,000 digits for the linear model at zero, (1000, 640), and their classes, (1000,)."""
    data = digits(seed=seed, dtype=torch.float64)
    return example_gradients(linear_loss, ZERO, data.x_train, data.y_train), data.y_train


def noise_length(gradients: torch.Tensor, draw: Callable[[], torch.Tensor], tries: int) -> torch.Tensor:
    """How far the mean over a batch is from that over all, root mean square; `draw` returns a batch's indices."""
    means = torch.stack([gradients[draw()].mean(0) for _ in range(tries)])
    return (means - gradients.mean(0)).square().sum(1).mean().sqrt()


@experiment(seeds=5)
def minibatch_noise(seed, *, batches=(1, 4, 16, 64, 250, 500, 900), tries=100):
    """The length of the noise of real batches, for each size, drawn `with` and `without` replacement, other digits a seed.

    `gradient` is the length of the exact gradient, `trace` the variance of one example's.
    """
    gradients, _ = gradients_at_zero(seed)
    N, source = len(gradients), torch.Generator().manual_seed(seed)
    draws = {
        "with": lambda B: torch.randint(N, (B,), generator=source),
        "without": lambda B: torch.randperm(N, generator=source)[:B],
    }
    lengths = {
        name: [noise_length(gradients, lambda B=B, draw=draw: draw(B), tries) for B in batches]
        for name, draw in draws.items()
    }
    return lengths | {"gradient": gradients.mean(0).norm(), "trace": gradient_covariance(gradients).trace()}


@experiment(seeds=5)
def minibatch_classes(seed, *, B=20, tries=100):
    """The length of the noise of B digits of one class, of B at random, and of equally many of each class.

    `between` is the share of the variance that lies between the classes, `predicted` what the law of total variance says.
    """
    gradients, y = gradients_at_zero(seed)
    total, source = gradient_covariance(gradients).trace(), torch.Generator().manual_seed(seed)
    members = [torch.nonzero(y == c)[:, 0] for c in range(10)]
    centers = torch.stack([gradients[i].mean(0) for i in members])
    between = (y.bincount() / len(y)).double() @ (centers - gradients.mean(0)).square().sum(1)

    def some(high, count):
        return torch.randint(high, (count,), generator=source)

    def of_class(c, count):
        return members[c][some(len(members[c]), count)]

    draws = (
        lambda: of_class(y[some(len(y), 1)], B),
        lambda: some(len(y), B),
        lambda: torch.cat([of_class(c, B // 10) for c in range(10)]),
    )
    within = total - between
    predicted = torch.stack([between + within / B, total / B, within / B]).sqrt()
    measured = [noise_length(gradients, draw, tries) for draw in draws]
    return {"measured": measured, "predicted": predicted, "between": between / total}


# A network, by the order of its examples and by the budget

ORDERS = {
    "sorted by class": lambda y, source: y.argsort(stable=True),
    "shuffled": lambda y, source: torch.randperm(len(y), generator=source),
    "with replacement": lambda y, source: torch.randint(len(y), y.shape, generator=source),
}


def train_network(seed: int, order: str, B: int, lr: float, epochs: int) -> tuple[torch.Tensor, float, float]:
    """Train a network of 32 tanh units on 1,000 digits.

    Returns its validation accuracy, the share of validation images that it calls a nine, and the median loss of a batch in
    the last epoch, before the step on it.
    """
    data, source = digits(seed=seed), torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr)
    for _ in range(epochs):
        losses = []
        for batch in ORDERS[order](data.y_train, source).split(B):
            loss = cross_entropy(net(data.x_train[batch]), data.y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    said = net(data.x_val).argmax(1)
    shares = ((said == target).double().mean() for target in (data.y_val, 9))
    return *shares, torch.tensor(losses).median()


@experiment(seeds=5)
def minibatch_orders(seed, *, orders=tuple(ORDERS), B=16, lr=0.5, epochs=3):
    """The `accuracy` of a network for each order of the examples, the share of `nines` in its answers, and its batches' `loss`."""
    trained = [train_network(seed, order, B, lr, epochs) for order in orders]
    return dict(zip(("accuracy", "nines", "loss"), zip(*trained, strict=True), strict=True))


@experiment(seeds=5)
def minibatch_budgets(seed, *, runs=((8, 0.1, 5), (128, 0.1, 5), (128, 1.6, 5), (128, 0.1, 80))):
    """The `accuracy` of a network for each batch size, learning rate and number of epochs, on shuffled examples."""
    return {"accuracy": [train_network(seed, "shuffled", *run)[0] for run in runs]}


def seconds_a_step(B: int, tries: int = 30) -> float:
    """How long forward and backward take for B random images in a network of 256 hidden units, in the median, here and now."""
    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    x, y, times = torch.randn(B, 64), torch.zeros(B, dtype=torch.long), []
    for _ in range(tries):
        start = time.perf_counter()
        cross_entropy(net(x), y).backward()
        times.append(time.perf_counter() - start)
    return sorted(times)[tries // 2]


# Floors


@experiment(seeds=5)
def minibatch_averages(seed, *, at=(1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000), lr=0.1, runs=4000):
    """The mean squared distance from the minimum of (θ - y)²/2 over many stochastic runs that begin 1 away, after `at` steps.

    Of the `constant` rate, of the rate 1/t (`falling`), and of the mean of the path of the constant rate (`averaged`).
    """
    source, curves = torch.Generator().manual_seed(seed), {"constant": [], "falling": [], "averaged": []}
    constant, falling, total = torch.ones(runs), torch.ones(runs), torch.zeros(runs)
    for t in range(1, at[-1] + 1):
        y = torch.randn(runs, generator=source)  # the minimum is their mean, 0
        constant = constant - lr * (constant - y)
        falling = falling - (falling - y) / t
        total = total + constant
        if t in at:
            for curve, theta in zip(curves.values(), (constant, falling, total / t), strict=True):
                curve.append(theta.square().mean())
    return curves


# The batch size


def linear_hessian(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The Hessian of the linear model's loss, (640, 640): the mean of xxᵀ times the covariance that a softmax has, whatever y is."""
    shares = (x @ w.view(64, 10)).softmax(1)  # (N, 10)
    spread = torch.diag_embed(shares) - shares[:, :, None] * shares[:, None, :]  # (N, 10, 10)
    pairs = x[:, :, None] * x[:, None, :]  # (N, 64, 64)
    blocks = pairs.flatten(1).T @ spread.flatten(1) / len(x)
    return blocks.view(64, 64, 10, 10).transpose(1, 2).reshape(640, 640)


@experiment(seeds=5, share={"at": (0, 1)})
def minibatch_noise_scale(seed, *, at=(0, 1, 3, 10, 30, 100, 300), lr=1.0):
    """Along a full-batch descent of the linear model, after `at` steps: the `loss`, the `simple` and the `exact` noise scale.

    The exact one is tr(HΣ)/gᵀHg with the Hessian H, the simple one leaves H out. `edge` is 2 over the largest curvature.
    """
    data, w = digits(seed=seed, dtype=torch.float64), ZERO
    x, y, outcomes = data.x_train, data.y_train, {"loss": [], "simple": [], "exact": [], "edge": []}
    for step in range(at[-1] + 1):
        if step in at:
            each = example_gradients(linear_loss, w, x, y)
            g, covariance, H = each.mean(0), gradient_covariance(each), linear_hessian(w, x)
            scales = noise_scale(covariance, g), (H * covariance).sum() / (g @ H @ g)
            edge = 2 / torch.linalg.eigvalsh(H)[-1]
            for values, value in zip(outcomes.values(), (linear_loss(w, x, y), *scales, edge), strict=True):
                values.append(value)
        w = w - lr * grad(linear_loss)(w, x, y)
    return outcomes


def counted_noise(
    w: torch.Tensor, x: torch.Tensor, y: torch.Tensor, B: int, lr: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the noise of one step from `w` adds to the loss, to second order: η² tr(HΣ)/2B; and the floor that Σ has there."""
    each = example_gradients(linear_loss, w, x, y)
    covariance = gradient_covariance(each)
    return lr**2 / 2 * (linear_hessian(w, x) * covariance).sum() / B, excess_loss(covariance, B, lr)


@experiment(seeds=5, share={"at": (1, 3)})
def minibatch_noise_costs(seed, *, at=(1, 3, 10, 30, 100, 200, 400), B=1, lr=0.48, runs=8):
    """What noise costs the linear model in batches of B, after `at` steps: by how much its loss is above that of the exact descent.

    `measured` in the mean over some runs, `counted` as the sum over the steps of what each adds (trapezoids between those of
    `at`), `floor` by the formula.
    """
    data, source = digits(seed=seed, dtype=torch.float64), torch.Generator().manual_seed(seed)
    x, y, w, W = data.x_train, data.y_train, ZERO, ZERO.expand(runs, -1)
    outcomes, counted, last = {"measured": [], "counted": [], "floor": []}, 0.0, 0
    before, _ = counted_noise(w, x, y, B, lr)
    for step in range(at[-1] + 1):
        if step in at:
            adds, floor = counted_noise(w, x, y, B, lr)
            counted, last, before = counted + (before + adds) / 2 * (step - last), step, adds
            above = vmap(lambda w: linear_loss(w, x, y))(W).mean() - linear_loss(w, x, y)
            for values, value in zip(outcomes.values(), (above, counted, floor), strict=True):
                values.append(value)
        i = torch.randint(len(y), (runs, B), generator=source)
        W = W - lr * vmap(grad(linear_loss))(W, x[i], y[i])
        w = w - lr * grad(linear_loss)(w, x, y)
    return outcomes


def steps_to(goal: float, B: int, rates: torch.Tensor, seed: int, most: int = 2000) -> tuple[int, float]:
    """After how many steps the first of the linear models, one a rate, is below the `goal`, in batches of B; and its rate."""
    data, source, R = digits(seed=seed), torch.Generator().manual_seed(seed), len(rates)
    W = torch.zeros(R, 64, 10)

    def losses(W, x, y):
        return cross_entropy((x @ W).mT, y.expand(R, -1), reduction="none").mean(1)

    slope = grad(lambda W, x, y: losses(W, x, y).sum())
    for t in range(1, most + 1):
        i = torch.randint(len(data.y_train), (B,), generator=source)
        W = W - rates[:, None, None] * slope(W, data.x_train[i], data.y_train[i])
        if t % max(1, 10 // B) == 0:
            loss = losses(W, data.x_train, data.y_train)
            if loss.min() < goal:
                return t, rates[loss.argmin()].item()
    raise ValueError(f"No rate reached a loss of {goal} in {most} steps.")


@experiment(seeds=5, share={"batches": (1, 2)})
def minibatch_steps(seed, *, batches=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000), goal=0.3, lowest=0.06, rates=9):
    """`steps` of the linear model from zero to the `goal`, for each batch size with the best of nine rates; and that `rate`."""
    tried = lowest * 2.0 ** torch.arange(rates)
    runs = [steps_to(goal, B, tried, seed) for B in batches]
    return dict(zip(("steps", "rate"), zip(*runs, strict=True), strict=True))


# Batch normalization


@experiment(seeds=5)
def minibatch_variance(seed, *, batches=(2, 4, 8, 16, 32, 64), tries=2000):
    """The relative `error` of a variance that is estimated from a batch, the mean over 32 hidden values of a random layer."""
    data, source = digits(seed=seed), torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden = nn.Linear(64, 32)(data.x_train).detach()
    true, errors = hidden.var(0, correction=0), []
    for B in batches:
        drawn = hidden[torch.randint(len(hidden), (tries, B), generator=source)]  # (tries, B, 32)
        errors.append((drawn.var(1) / true).std(0).mean())
    return {"error": errors}
