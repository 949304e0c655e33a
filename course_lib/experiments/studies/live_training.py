"""What the page on live training lets its readers find: the figure's own run, over seeds."""

import functools
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from course_lib.experiments.augment import Augment
from course_lib.experiments.data import Split, digits
from course_lib.experiments.live import LiveRun, augmented, outcome
from course_lib.experiments.optimizer import Optimizer
from course_lib.experiments.records import experiment
from course_lib.experiments.training import train
from course_lib.formulas.catalog import RULES
from course_lib.formulas.schedules import cosine

TRAIN, VALIDATION = 1280, 512


@functools.cache
def data():
    """The digits of the figure."""
    return digits(TRAIN, VALIDATION, dtype=torch.float64)


def run(seed: int, **settings) -> LiveRun:
    """The figure's run with these settings."""
    return LiveRun(data(), seed=seed, **settings)


def followed(run: LiveRun, steps: int, every: int) -> dict[str, list[float]]:
    """Train, and note after each `every` steps their mean loss, and the validation's loss and accuracy."""
    reports = []
    for _ in range(steps // every):
        run.step(every)
        reports.append(run.report())
    return {name: [r[name] for r in reports] for name in ("loss", "val_loss", "accuracy")}


@experiment(seeds=5, share={"rules": ("gradient_descent",), "rates": (1e-4, 1e-3)})
def live_rates(
    seed,
    *,
    rules=("gradient_descent", "momentum", "adagrad", "adam", "lion"),
    rates=(1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
    steps=300,
):
    """Validation losses after 300 steps: one for each rule and rate."""
    losses = torch.empty(len(rules), len(rates))
    for i, rule in enumerate(rules):
        for j, lr in enumerate(rates):
            trained = run(seed, rule=rule, hyper={"lr": lr})
            trained.step(steps)
            losses[i, j] = trained.report()["val_loss"]
    return {"val_loss": losses}


@experiment(seeds=5, share={"steps": 200})
def live_drop(seed, *, steps=1500, at=1000, every=25, rates=(0.7, 0.07)):
    """Gradient descent in batches of 8 at a large rate that falls to a tenth in mid-run: losses at each 25 steps."""
    trained = run(seed, rule="gradient_descent", hyper={"lr": rates[0]}, batch=8)
    before = followed(trained, min(at, steps), every)
    trained.change(hyper={"lr": rates[1]})
    after = followed(trained, max(0, steps - at), every)
    return {name: before[name] + after[name] for name in ("loss", "val_loss")}


@experiment(seeds=5, share={"batches": (256, 128)})
def live_batches(seed, *, batches=(256, 128, 64, 32, 16, 8), epochs=10):
    """Validation losses after ten passes over the digits: one for each batch size, by gradient descent at one rate."""
    losses = []
    for batch in batches:
        trained = run(seed, rule="gradient_descent", hyper={"lr": 0.3}, batch=batch)
        trained.step(epochs * TRAIN // batch)
        losses.append(trained.report()["val_loss"])
    return {"val_loss": losses}


@experiment(seeds=5, share={"initializations": ("constant", "normal")})
def live_beginnings(
    seed,
    *,
    initializations=("constant", "normal", "pytorch_default", "xavier_uniform", "kaiming_normal", "orthogonal"),
    steps=200,
):
    """Accuracies on validation digits after 200 steps of Adam: one for each initialization."""
    accuracies = []
    for name in initializations:
        trained = run(seed, rule="adam", hyper={"lr": 0.003}, initialization=name)
        trained.step(steps)
        accuracies.append(trained.report()["accuracy"])
    return {"accuracy": accuracies}


@experiment(seeds=5, share={"shifts": (0,)})
def live_shifts(seed, *, shifts=(0, 1, 2), steps=1500):
    """Accuracies on validation digits as they are, and on all of them moved by up to a pixel, after training on moved ones."""
    accuracies = {"as they are": [], "moved": []}
    for shift in shifts:
        trained = run(seed, rule="adam", hyper={"lr": 0.01}, shift=shift)
        trained.step(steps)
        accuracies["as they are"].append(trained.report()["accuracy"])
        accuracies["moved"].append(accuracy_on_moved(trained))
    return accuracies


def accuracy_on_moved(trained: LiveRun) -> float:
    """The accuracy on the validation digits, each moved by (down, right) in all nine ways of up to a pixel."""
    x, y = trained.validation
    right = []
    for move in torch.cartesian_prod(torch.arange(-1.0, 2), torch.arange(-1.0, 2)).to(x):
        down, across = (m.expand(len(x)) for m in move)
        moved = augmented(x, down, across, torch.zeros_like(x), noise=0.0)
        found = outcome(trained.weights, moved, y, count=len(x), activation=trained.activation)
        right.append((found["probabilities"].argmax(1) == y).double().mean().item())
    return sum(right) / len(right)


# A network too large for a page: what TrainingReplay shows

RUNS = {
    "momentum": ("sgd", {"lr": 0.05, "momentum": 0.9}, None, 0),
    "Adam": ("adam", {"lr": 0.003}, None, 0),
    "Adam, cosine": ("adam", {"lr": 0.003}, cosine, 0),
    "Adam, digits shifted": ("adam", {"lr": 0.003}, None, 1),
    "Adam, rate of 0.1": ("adam", {"lr": 0.1}, None, 0),
}


def convolutions(seed: int) -> nn.Sequential:
    """Two convolutions of 3 x 3, with 8 and 16 maps, and a linear layer: 10 logits of images (N, 1, 8, 8)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))


@experiment(seeds=3, share={"runs": ("momentum",)})
def convolutions_on_digits(seed, *, runs=tuple(RUNS), steps=300, every=10):
    """What training did at each 10 steps, in each run: losses, accuracy, rate, and the norm of each layer's gradient."""
    split = images(digits(TRAIN, VALIDATION))
    found = {name: [] for name in ("loss", "val_loss", "accuracy", "rate", "norms")}
    for name in runs:
        rule, hyper, schedule, shift = RUNS[name]
        network = convolutions(seed)
        optimizer = Optimizer(network.parameters(), RULES[rule], **hyper)
        falling = None if schedule is None else partial(schedule, total=steps)
        augment = Augment(shift=shift) if shift else None
        history = train(
            network,
            split,
            optimizer,
            falling,
            steps=steps,
            batch=32,
            seed=seed,
            every=every,
            augment=augment,
            progress=False,
        )
        norms = torch.tensor([*history.gradient_norm.values()]).T
        values = history.train_loss, history.val_loss, history.val_accuracy, history.rate, norms.tolist()
        for outcomes, value in zip(found.values(), values, strict=True):
            outcomes.append(value)
    return found


def images(split: Split) -> Split:
    """The same digits as images, (N, 1, 8, 8)."""
    shaped = {name: getattr(split, name).reshape(-1, 1, 8, 8) for name in ("x_train", "x_val", "x_test")}
    return replace(split, **shaped)
