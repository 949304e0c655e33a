"""What the chapter on Rprop measures: its pace, both of its forms, and what full batches and mini-batches make of it."""

from collections.abc import Callable

import torch
from torch import nn

from course_lib.experiments.optimizer import Optimizer
from course_lib.experiments.records import experiment
from course_lib.experiments.replay import replay
from course_lib.experiments.sweep import sweep
from course_lib.formulas import RULES, SURFACES, gradient_descent, rprop, rprop_torch

FORMS = {"lecture": rprop, "pytorch": rprop_torch}


def generator(seed: int) -> torch.Generator:
    """A source of random numbers of its own."""
    return torch.Generator().manual_seed(seed)


@experiment(seeds=5)
def rprop_pace(seed, *, factors=((1.2, 0.5), (1.5, 0.5), (1.2, 0.8), (1.3, 0.8)), starts=200):
    """Steps for one more digit of w on a parabola, on average over random starts: for each pair of factors (α, β)."""
    w = torch.rand(starts, 1, generator=generator(seed)) + 0.5
    alpha, beta = (torch.tensor(x, dtype=torch.float64).repeat_interleave(starts) for x in zip(*factors, strict=True))
    unbounded = {"alpha": alpha, "beta": beta, "eta_min": 1e-300, "eta_max": 1e9}
    paces = {}
    for form, rule in FORMS.items():
        path = sweep(rule, lambda w: 50 * w[0] ** 2, w.repeat(len(factors), 1), 320, **unbounded)
        size = path[..., 0].abs()  # (steps + 1, factors x starts)
        digits = (size[100:120].amax(0) / size[300:320].amax(0)).log10()
        paces[form] = (200 / digits).view(len(factors), starts).mean(1)
    return paces


@experiment(seeds=5)
def rprop_forms(
    seed,
    *,
    surfaces=(
        ("quadratic", 60, {"condition_number": 20.0}),
        ("ravine", 60, {}),
        ("quadratic", 60, {"condition_number": 20.0, "angle": 45.0}),
        ("rosenbrock", 300, {}),
        ("beale", 150, {}),
    ),
    starts=300,
):
    """The median loss at the end of a descent, over random starts: for each surface, by both forms."""
    w = torch.rand(starts, 2, generator=generator(seed), dtype=torch.float64) * 4 - 2
    losses = {form: [] for form in FORMS}
    for name, steps, shape in surfaces:
        surface = SURFACES[name].formula
        at = {k: torch.tensor(x, dtype=torch.float64) for k, x in shape.items()}
        for form, rule in FORMS.items():
            end = sweep(rule, surface, w, steps, keep="end", **shape)
            losses[form].append(torch.vmap(lambda w: surface(w, **at))(end).median())
    return losses


def sigmoid_network(seed: int) -> nn.Module:
    """Two layers of 16 sigmoids between a number and a number, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(1, 16), nn.Sigmoid(), nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 1)
        return nn.Sequential(*layers).double()


def fit_sine(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> tuple[list[float], list[list[float]]]:
    """Fit 40 points of sin 3x with all of them in each step: the losses, and the norms of the weights' gradients by layer."""
    x = torch.linspace(-2, 2, 40, dtype=torch.float64)[:, None]
    losses, norms = [], []
    for _ in range(steps):
        loss = (model(x) - torch.sin(3 * x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        norms.append([p.grad.norm().item() for p in model.parameters() if p.dim() == 2])
        optimizer.step()
    return losses, norms


def fitted_weights(make_optimizer: Callable, seed: int = 0, steps: int = 300) -> torch.Tensor:
    """All parameters of the small network in one vector, after `steps` steps of the optimizer that is made for them."""
    model = sigmoid_network(seed)
    fit_sine(model, make_optimizer(model.parameters()), steps)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@experiment(seeds=5)
def rprop_network(seed, *, rates=(0.03, 0.1, 0.3, 1.0), adam_rate=0.03, steps=300, every=5):
    """Full-batch training of a small network of sigmoids: the loss at every fifth step by each optimizer.

    `gradient_descent` has a row for each rate, `first` and `last` are its gradient norms at a rate of 0.3, layer by layer;
    `largest` and `middle` are the largest and the median size of a weight after Rprop in the lecture's form.
    """
    makers = {form: lambda p, rule=rule: Optimizer(p, rule) for form, rule in FORMS.items()}
    makers["adam"] = lambda p: torch.optim.Adam(p, adam_rate)
    curves, sizes = {}, {}
    for name, make in makers.items():
        model = sigmoid_network(seed)
        curves[name] = fit_sine(model, make(model.parameters()), steps)[0][::every]
        sizes[name] = torch.cat([p.detach().flatten().abs() for p in model.parameters()])
    runs = {}
    for lr in rates:
        model = sigmoid_network(seed)
        runs[lr] = fit_sine(model, torch.optim.SGD(model.parameters(), lr), steps)
    norms = runs[0.3][1]
    return curves | {
        "gradient_descent": [losses[::every] for losses, _ in runs.values()],
        "first": norms[0], "last": norms[-1], "largest": sizes["lecture"].max(), "middle": sizes["lecture"].median(),
    }  # fmt: skip


def nine_against_one(seed: int, epochs: int, runs: int) -> torch.Tensor:
    """Gradients of shape (10 epochs, runs): in each epoch, in a random order, nine times 0.1 and once -0.9."""
    order = torch.rand(epochs, 10, runs, generator=generator(seed))
    g = torch.full((epochs, 10, runs), 0.1, dtype=torch.float64)
    return g.scatter(1, order.argmax(1, keepdim=True), -0.9).flatten(0, 1)


@experiment(seeds=5)
def rprop_nine_against_one(
    seed, *, rules=("gradient_descent", "rprop", "rprop_torch", "rmsprop"), epochs=100, runs=200
):
    """Where a weight stands after each epoch of nine gradients against one: the median over random orders, by each rule.

    `nearest` is, for each rule, how far from 0 the weight is at the end in that order in which it is nearest.
    """
    g = nine_against_one(seed, epochs, runs)
    paths = {name: replay(RULES[name], g)[::10] for name in rules}  # (epochs + 1, runs)
    nearest = [path[-1].abs().min() for path in paths.values()]
    return {name: path.median(1).values for name, path in paths.items()} | {"nearest": nearest}


def least_squares_problem(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """1,000 samples of 10 inputs and their noisy targets, and the best weights: (1000, 10), (1000, 1), (10, 1)."""
    source = generator(seed)
    x, true, noise = (torch.randn(*s, generator=source, dtype=torch.float64) for s in ((1000, 10), (10, 1), (1000, 1)))
    y = x @ true + noise
    return x, y, torch.linalg.lstsq(x, y).solution


@experiment(seeds=8, share={"batches": (1000,)})
def rprop_batches(seed, *, batches=(1000, 200, 50, 10), epochs=40, sgd_rate=0.05, sgd_batch=10):
    """Noisy least squares in batches: after each epoch, how far the loss is above the least one.

    `rprop` and `rates` have a row for each batch size; `rates` are the median learning rates of the weights. `sgd` is gradient
    descent in batches of 10.
    """
    x, y, best = least_squares_problem(seed)

    def train(rule, batch, **hyper):
        w, source = torch.zeros_like(best), generator(seed)
        optimizer, losses, rates = Optimizer([w], rule, **hyper), [], []
        for _ in range(epochs + 1):
            losses.append(((x @ (w - best)).square().mean() / 2).item())
            rates.append(optimizer.state[w]["eta"].median().item() if "eta" in optimizer.state[w] else 0.0)
            for part in torch.randperm(len(x), generator=source).split(batch):
                w.grad = x[part].T @ (x[part] @ w - y[part]) / len(part)
                optimizer.step()
        return losses, rates

    losses, rates = zip(*(train(rprop, batch) for batch in batches), strict=True)
    return {"rprop": losses, "rates": rates, "sgd": train(gradient_descent, sgd_batch, lr=sgd_rate)[0]}
