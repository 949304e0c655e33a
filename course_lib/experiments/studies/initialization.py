"""What the chapter on initialization measures: signals through networks as they begin, and whether these networks train."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from course_lib.experiments.data import digits
from course_lib.experiments.ensemble import batches
from course_lib.experiments.initialize import fans
from course_lib.experiments.records import experiment
from course_lib.experiments.signals import drawn, mean_squares, propagate
from course_lib.formulas.initialization import INITIALIZATIONS

EDGES = {
    "activation": 1.0,
    "gradient": 4.0,
}  # the histograms go from minus to plus this; gradients in units of the last layer's
BINS = 41
FIRST = {  # as slide 24 has it: N(0, σ²) and Xavier
    "σ = 0.01": ("normal", {"sigma": 0.01}),
    "σ = 1": ("normal", {"sigma": 1.0}),
    "Xavier": ("xavier_normal", {}),
}


def generator(seed: int) -> torch.Generator:
    """A source of random numbers of its own."""
    return torch.Generator().manual_seed(seed)


def standardized(seed: int, examples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Digits with a mean of 0 and a mean square of 1 over all pixels together, and their classes: (examples, 64), (examples,)."""
    data = digits(train=examples, val=0, seed=seed, dtype=torch.float64)
    x = data.x_train - data.x_train.mean(0)
    return x / x.square().mean().sqrt(), data.y_train


def histogram(x: torch.Tensor, edge: float) -> torch.Tensor:
    """Shares of the values in 41 bins from -edge to edge; what lies outside counts in the outermost ones. (bins,)"""
    counts = torch.histc(x.clamp(-edge, edge), BINS, -edge, edge)
    return counts / counts.sum()


@experiment(seeds=5)
def initialization_tanh(seed, *, width=256, layers=5, examples=256):
    """Digits through five layers of tanh and an output for each class, before any training, by three initializations.

    For each of them, layer by layer: the standard deviations of `activation` and of the loss's `gradient` at the
    pre-activations, the share of `saturated` activations, beyond ±0.99, and both histograms.
    """
    (x, y), source = standardized(seed, examples), generator(seed)
    z = [
        torch.randn(m, n, generator=source, dtype=torch.float64)
        for n, m in [(64, width), *[(width, width)] * (layers - 1)]
    ]
    top = torch.randn(10, width, generator=source, dtype=torch.float64)
    found = {key: [] for key in ("activation", "gradient", "saturated", "activation_histogram", "gradient_histogram")}
    for name, settings in FIRST.values():
        weights, out = ([INITIALIZATIONS[name](w, *fans(w), **settings) for w in part] for part in (z, [top]))
        post = propagate(weights, x, torch.zeros(examples, width, dtype=torch.float64), "tanh").post
        incoming = ((post[-1] @ out[0].mT).softmax(-1) - one_hot(y, 10)) @ out[0] / examples
        signals = propagate(weights, x, incoming, "tanh")
        stds = torch.stack([g.std() for g in signals.gradients])
        found["activation"].append(torch.stack([a.std() for a in signals.post]))
        found["gradient"].append(stds)
        found["saturated"].append(torch.stack([(a.abs() > 0.99).double().mean() for a in signals.post]))
        found["activation_histogram"].append(torch.stack([histogram(a, EDGES["activation"]) for a in signals.post]))
        found["gradient_histogram"].append(
            torch.stack([histogram(g / stds[-1], EDGES["gradient"]) for g in signals.gradients])
        )
    return {key: torch.stack(rows) for key, rows in found.items()}


DEEP = (  # activation, initialization, gain
    ("linear", "xavier_normal", 1.0),
    ("tanh", "xavier_normal", 1.0),
    ("relu", "xavier_normal", 1.0),
    ("relu", "kaiming_normal", 2**0.5),
)


@experiment(seeds=5)
def initialization_deep(seed, *, networks=DEEP, width=128, layers=30, runs=12):
    """Mean squares of the pre-activations, `forward`, and of the gradients there, `backward`, layer by layer: the averages
    over some networks of each kind. `typical` is the median network's mean square in the last layer."""
    found = {"forward": [], "backward": [], "typical": []}
    for activation, name, gain in networks:
        signals = drawn(name, [width] * (layers + 1), runs, seed, activation, examples=8, gain=gain)
        forward, backward = mean_squares(signals.pre), mean_squares(signals.gradients)  # (layers, runs)
        found["forward"].append(forward.mean(1))
        found["backward"].append(backward.mean(1))
        found["typical"].append(forward[-1].median())
    return {key: torch.stack(rows) for key, rows in found.items()}


@experiment(seeds=5)
def initialization_widths(seed, *, widths=(16, 32, 64, 128), layers=30, runs=100):
    """By how much 30 layers of ReLU with Kaiming's weights multiply a mean square: for each width the `mean` and the `median`
    over networks, and the standard deviation of its natural logarithm, `spread`."""
    found = {"mean": [], "median": [], "spread": []}
    for width in widths:
        last = _through_relu(seed, width, layers, runs)
        for key, value in (("mean", last.mean()), ("median", last.median()), ("spread", last.log().std())):
            found[key].append(value)
    return found


def _through_relu(seed: int, width: int, layers: int, runs: int) -> torch.Tensor:
    """The mean square of the last pre-activations over twice that of one random input: (runs,)."""
    source = generator(seed)
    x = torch.randn(runs, 1, width, generator=source)
    first = 2 * x.square().mean((1, 2))
    for _ in range(layers):
        y = x @ INITIALIZATIONS["kaiming_normal"](torch.randn(runs, width, width, generator=source), width, width).mT
        x = y.relu()
    return y.square().mean((1, 2)) / first


@experiment(seeds=5)
def initialization_default(seed, *, width=64, layers=30, examples=64):
    """Digits through 30 layers of ReLU as nn.Linear makes them, with its biases: layer by layer the mean square of the
    pre-activations, `size`, the share of it that differs between images, `share`, and that share with Kaiming's weights."""
    x, _ = standardized(seed, examples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = [nn.Linear(64 if k == 0 else width, width).double() for k in range(layers)]
    source, size, share, kaiming = generator(seed), [], [], []
    a = b = x
    with torch.no_grad():
        for layer in made:
            y = layer(a)
            W = INITIALIZATIONS["kaiming_normal"](
                torch.randn(layer.weight.shape, generator=source).double(), *fans(layer.weight)
            )
            y_kaiming = b @ W.mT
            size.append(y.square().mean())
            share.append(y.var(0, correction=0).mean() / y.square().mean())
            kaiming.append(y_kaiming.var(0, correction=0).mean() / y_kaiming.square().mean())
            a, b = y.relu(), y_kaiming.relu()
    return {"size": torch.stack(size), "share": torch.stack(share), "kaiming": torch.stack(kaiming)}


@experiment(seeds=5)
def initialization_orthogonal(seed, *, width=64, layers=(1, 2, 5, 10, 20, 30)):
    """The singular values of a product of that many square layers, the largest over the median one: `gaussian` layers of
    variance 1/width, and `orthogonal` ones."""
    source, found = generator(seed), {"gaussian": [], "orthogonal": []}
    products = {"gaussian": torch.eye(width, dtype=torch.float64), "orthogonal": torch.eye(width, dtype=torch.float64)}
    for k in range(1, max(layers) + 1):
        z = torch.randn(width, width, generator=source, dtype=torch.float64)
        for kind, name in (("gaussian", "lecun_normal"), ("orthogonal", "orthogonal")):
            products[kind] = INITIALIZATIONS[name](z, width, width) @ products[kind]
            if k in layers:
                values = torch.linalg.svdvals(products[kind])
                found[kind].append(values[0] / values.median())
    return found


STARTS = (("normal", {"sigma": 0.01}), ("xavier_normal", {}), ("kaiming_normal", {}), ("pytorch_default", {}))
FORMS = ("plain", "batch normalization", "residual")


@experiment(seeds=5, share={"steps": 10})
def initialization_training(
    seed, *, depth=30, width=64, rates=(0.03, 0.1), steps=200, batch=32, momentum=0.9, every=10
):
    """Digits learned by 30 layers of ReLU with momentum, from four initializations, in three forms of the network.

    The losses on 200 training digits before step 0, 10, 20, … for each form, under its first word: (initializations, rates,
    steps / 10 + 1). A loss that is no number any more, or above 10, counts as 10.
    """
    data, found = digits(train=1000, val=400, seed=seed), {}
    for form in FORMS:
        network = _Deep(seed, form, depth, width, rates, momentum)
        chosen, losses = batches(len(data.x_train), batch, seed), []
        for t in range(steps + 1):
            if t % every == 0:
                with torch.no_grad():
                    losses.append(network.losses(data.x_train[:200], data.y_train[:200]))
            if t < steps:
                k = next(chosen)
                network.descend(data.x_train[k], data.y_train[k])
        curves = torch.stack(losses, -1).nan_to_num(nan=10.0).clamp(max=10.0)
        found[form.split()[0]] = curves.view(len(STARTS), len(rates), -1)
    return found


class _Deep:
    """Networks of one form side by side: W has the shape (runs, out, in) in each layer, a run for each start and rate."""

    def __init__(self, seed: int, form: str, depth: int, width: int, rates: tuple, momentum: float):
        source, self.form, self.momentum = generator(seed), form, momentum
        self.W, self.b = [], []
        for shape in [(width, 64), *[(width, width)] * (depth - 2), (10, width)]:
            W, b = zip(*(first_parameters(name, settings, shape, source) for name, settings in STARTS))
            self.W.append(torch.stack(W).repeat_interleave(len(rates), 0).requires_grad_())
            self.b.append(torch.stack(b).repeat_interleave(len(rates), 0).requires_grad_())
        self.lr = torch.tensor(rates).repeat(len(STARTS))
        self.velocity = [torch.zeros_like(w) for w in (*self.W, *self.b)]

    def losses(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The mean cross entropy of each network: (runs,)."""
        x = x.expand(len(self.lr), *x.shape)
        for k, (W, b) in enumerate(zip(self.W[:-1], self.b)):
            pre = torch.baddbmm(b[:, None], x, W.mT)  # (runs, examples, out)
            if self.form == "batch normalization":
                pre = (pre - pre.mean(1, keepdim=True)) / (pre.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
            x = x + pre.relu() if self.form == "residual" and k else pre.relu()
        logits = torch.baddbmm(self.b[-1][:, None], x, self.W[-1].mT)
        return cross_entropy(logits.mT, y.expand(len(logits), -1), reduction="none").mean(1)

    def descend(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """A step with momentum in the lecture's form, each network at its own rate."""
        parameters = [*self.W, *self.b]
        gradients = torch.autograd.grad(self.losses(x, y).sum(), parameters)
        with torch.no_grad():
            for w, v, g in zip(parameters, self.velocity, gradients):
                v.mul_(self.momentum).add_(g, alpha=1 - self.momentum)
                w -= self.lr.view(-1, *[1] * (w.dim() - 1)) * v


def first_parameters(
    name: str, settings: dict, shape: tuple, source: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A layer's weight and bias by this initialization; biases are 0, but for PyTorch's default, where they are as the weights."""
    z, u = torch.randn(shape, generator=source), torch.rand(shape, generator=source)
    bias, is_default = torch.rand(shape[0], generator=source), name == "pytorch_default"
    weight = INITIALIZATIONS[name](u if is_default else z, *fans(shape), **settings)
    return weight, is_default * INITIALIZATIONS["pytorch_default"](bias, *fans(shape))


@experiment(seeds=5)
def initialization_constant(seed, *, values=(0.0, 0.1), steps=100, lr=0.5, width=32):
    """A network with one hidden layer of tanh that learns digits from constant weights, and from Xavier's: the number of
    different hidden `units` after training, and the validation `accuracy`. The last entry is Xavier's."""
    data = digits(train=1000, val=400, seed=seed)
    units, accuracy = [], []
    for k in range(len(values) + 1):
        net = nn.Sequential(nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 10))
        source = generator(seed)
        with torch.no_grad():
            for layer in (net[0], net[2]):
                z = torch.randn(layer.weight.shape, generator=source)
                name, settings = ("constant", {"value": values[k]}) if k < len(values) else ("xavier_normal", {})
                layer.weight.copy_(INITIALIZATIONS[name](z, *fans(z), **settings))
                layer.bias.zero_()
        optimizer = torch.optim.SGD(net.parameters(), lr)
        for _ in range(steps):
            optimizer.zero_grad()
            cross_entropy(net(data.x_train), data.y_train).backward()
            optimizer.step()
        units.append(len(torch.unique(net[0].weight.detach().mul(1e3).round(), dim=0)))  # up to rounding
        accuracy.append((net(data.x_val).argmax(1) == data.y_val).float().mean())
    return {"units": units, "accuracy": accuracy}
