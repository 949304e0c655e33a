"""What the chapter on weight decay measures: networks on a hundred digits, a bias that has much to say, a layer before a norm."""

from collections.abc import Callable

import torch
from torch import nn
from torch.func import grad
from torch.nn.functional import cross_entropy, one_hot, pad

from course_lib.experiments.data import digits
from course_lib.experiments.optimizer import Optimizer
from course_lib.experiments.records import experiment
from course_lib.formulas import momentum_l2, sgdw
from course_lib.formulas.signature import step

STRENGTHS = (0, 0.001, 0.003, 0.01, 0.03, 0.1)


def l2_path(loss: Callable, w: torch.Tensor, delta: torch.Tensor, steps: int, **hyper: float) -> torch.Tensor:
    """The path of momentum with L2 from `w`, of shape (n,), whose average begins at `delta`: (steps + 1, n)."""
    path, state, slope = [w], (delta,), grad(loss)
    for t in range(1, steps + 1):
        w, state = step(momentum_l2, w, slope(w), t, state, hyper)
        path.append(w)
    return torch.stack(path)


# A hundred digits


def hundred_digits(seed: int, wrong: int = 0) -> list[torch.Tensor]:
    """100 digits to train on, `wrong` of them with another label, and 600 to validate: x (100, 64), y (100, 10), and both again."""
    split, source = digits(100, 600, seed=seed), torch.Generator().manual_seed(seed)
    y = split.y_train.clone()
    y[:wrong] = (y[:wrong] + torch.randint(1, 10, (wrong,), generator=source)) % 10
    return [split.x_train, one_hot(y, 10).float(), split.x_val, one_hot(split.y_val, 10).float()]


def outputs(weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """What a network with 32 hidden units says, (..., examples, 10), for weights and biases (W, b, W, b) of any leading shape."""
    W1, b1, W2, b2 = weights
    return torch.relu(x @ W1 + b1) @ W2 + b2


def losses(weights: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy of each network."""
    return -(outputs(weights, x).log_softmax(-1) * y).sum(-1).mean(-1)


def initial_weights(seed: int, networks: int) -> list[torch.Tensor]:
    """The same random start for each of the networks: weights within one over the root of the fan-in, biases at 0."""
    source, weights = torch.Generator().manual_seed(seed), []
    for fan_in, fan_out in ((64, 32), (32, 10)):
        W = (2 * torch.rand(fan_in, fan_out, generator=source) - 1) / fan_in**0.5
        weights += [W.repeat(networks, 1, 1), torch.zeros(networks, 1, fan_out)]
    return weights


def train(
    rule: Callable, data: list[torch.Tensor], seed: int, strengths=STRENGTHS, *, decay_biases=True, steps=400, every=10
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Train a network for each strength, all at once: the weights at the end, and the validation losses at every tenth step."""
    x, y, *unseen = data
    decay = torch.tensor(strengths).view(-1, 1, 1)
    weights = initial_weights(seed, len(decay))
    state = [(torch.zeros_like(w),) for w in weights]
    slope, curve = grad(lambda w: losses(w, x, y).sum()), []
    for t in range(1, steps + 1):
        each = zip(weights, slope(weights), state, (decay, decay * decay_biases) * 2, strict=True)
        new = [step(rule, w, g, t, s, {"lr": 1.0, "momentum": 0.9, "decay": d}) for w, g, s, d in each]
        weights, state = map(list, zip(*new, strict=True))
        if t % every == 0:
            curve.append(losses(weights, *unseen))
    return weights, torch.stack(curve, dim=1)  # (strengths, steps / every)


@experiment(seeds=8, share={"wrong": (0,)})
def weight_decay_digits(seed, *, strengths=STRENGTHS, wrong=(0, 20), steps=400, every=10, nudge=0.1):
    """Networks trained on 100 digits, of which some have `wrong` labels: a row for each number of those, a column a strength.

    The losses on the training digits and in `validation`, the share of `right` answers there, the `norm` of the parameters, how
    far the outputs are `moved` by a nudge of the pixels, and the `curve` of the validation loss at every tenth step.
    """
    outcomes = {name: [] for name in ("training", "validation", "right", "norm", "moved", "curve")}
    for count in wrong:
        data = hundred_digits(seed, count)
        weights, curve = train(sgdw, data, seed, strengths, steps=steps, every=every)
        x, y = data[2:]
        nudged = x + nudge * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        said = outputs(weights, x)
        rows = (
            losses(weights, *data[:2]),
            losses(weights, x, y),
            (said.argmax(-1) == y.argmax(-1)).double().mean(-1),
            sum(w.square().sum((-1, -2)) for w in weights).sqrt(),
            (outputs(weights, nudged) - said).norm(dim=-1).mean(-1),
            curve,
        )
        for values, row in zip(outcomes.values(), rows, strict=True):
            values.append(row)
    return {name: torch.stack(values) for name, values in outcomes.items()}


@experiment(seeds=8, share={"strengths": STRENGTHS[:3]})
def weight_decay_forms(seed, *, strengths=STRENGTHS):
    """The validation loss on 100 digits after decoupled decay of all parameters, by which others differ, for each strength.

    `spared` is the difference without decay of the biases, `l2` that of L2 in place of decoupled decay.
    """
    data = hundred_digits(seed)
    ends = [
        losses(train(rule, data, seed, strengths, decay_biases=biases)[0], *data[2:])
        for rule, biases in ((sgdw, True), (sgdw, False), (momentum_l2, True))
    ]
    return {"decoupled": ends[0], "spared": ends[1] - ends[0], "l2": ends[2] - ends[0]}


# A bias that has much to say


@experiment(seeds=5)
def weight_decay_bias(seed, *, strengths=(0.1, 1.0)):
    """A linear model that guesses the number which a digit shows: for each strength, with the bias `decayed` and `spared`.

    The `error` is the mean squared one on unseen digits; `bias` and `error` have the columns decayed, spared. `mean` is the
    mean label.
    """
    split = digits(100, 600, seed=seed, dtype=torch.float64)
    center = split.x_train.mean(0)
    x, x_val = (pad(x - center, (0, 1), value=1.0) for x in (split.x_train, split.x_val))
    y, y_val = split.y_train.double(), split.y_val.double()
    H, b, outcomes = x.T @ x / len(x), x.T @ y / len(x), {"bias": [], "error": []}
    for strength in strengths:
        decays = [torch.full((65,), strength, dtype=torch.float64) for _ in range(2)]
        decays[1][-1] = 0.0
        w = [torch.linalg.solve(H + d.diag(), b) for d in decays]
        outcomes["bias"].append(torch.stack(w)[:, -1])
        outcomes["error"].append(torch.stack([(x_val @ one - y_val).square().mean() for one in w]))
    return {name: torch.stack(rows) for name, rows in outcomes.items()} | {"mean": y.mean()}


# Before a norm


def normalized_network(seed: int) -> nn.Sequential:
    """64 inputs, 32 hidden units with batch norm and ReLU, 10 outputs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = nn.Linear(64, 32, bias=False)
        return nn.Sequential(first, nn.BatchNorm1d(32, affine=False), nn.ReLU(), nn.Linear(32, 10))


@experiment(seeds=5)
def weight_decay_before_norm(seed, *, strengths=(0.0, 0.01), lr=0.5, steps=400):
    """Decay of the layer before a batch norm alone: the `norm` of its weights at the end and the `validation` loss."""
    split, outcomes = digits(100, 600, seed=seed), {"norm": [], "validation": []}
    for strength in strengths:
        model = normalized_network(seed)
        W, rest = model[0].weight, [*model[3].parameters()]
        groups = [{"params": [W], "decay": strength}, {"params": rest, "decay": 0.0}]
        optimizer = Optimizer(groups, sgdw, lr=lr)
        for _ in range(steps):
            optimizer.zero_grad()
            cross_entropy(model(split.x_train), split.y_train).backward()
            optimizer.step()
        outcomes["norm"].append(W.norm().item())
        outcomes["validation"].append(cross_entropy(model.eval()(split.x_val), split.y_val).item())
    return outcomes
