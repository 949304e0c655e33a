"""What the chapter on gradient flow measures in deep networks: the gradient layer by layer, and what each remedy does to it."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.experiments.data import digits
from course_lib.experiments.layer_statistics import LayerCall, layer_statistics
from course_lib.experiments.records import experiment
from course_lib.formulas.gradient_chain import residual

FUNCTIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "ReLU": nn.ReLU}
NETWORKS = (
    "sigmoid", "tanh", "ReLU", "ReLU, He", "sigmoid, batch norm", "ReLU, batch norm",
    "sigmoid, residual", "ReLU, batch norm, residual",
)  # fmt: skip


class Residual(nn.Module):
    """The input plus what a branch makes of it."""

    def __init__(self, branch: nn.Module):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return residual(x, self.branch)


def linear(fan_in: int, fan_out: int, scale: float) -> nn.Linear:
    """A layer whose weights have the standard deviation scale/√fan_in, and whose biases are 0."""
    layer = nn.Linear(fan_in, fan_out, dtype=torch.float64)
    nn.init.normal_(layer.weight, std=scale * fan_in**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


def block(name: str, width: int, scale: float) -> nn.Module:
    """One hidden layer: matrix, batch normalization where the name says so, activation; around it a residual connection.

    The names are those of NETWORKS, by the commas: an activation, then what is added to it. He's scale is √2.
    """
    activation, *extras = name.split(", ")
    parts = [linear(width, width, scale * 2**0.5 if "He" in extras else scale)]
    if "batch norm" in extras:
        parts.append(nn.BatchNorm1d(width, dtype=torch.float64))
    whole = nn.Sequential(*parts, FUNCTIONS[activation]())
    return Residual(whole) if "residual" in extras else whole


def network(name: str, depth: int, width: int, seed: int, scale: float = 1.0) -> nn.Sequential:
    """`depth` hidden layers between 64 inputs and 10 logits, in float64: the first from 64 inputs to `width`, without extras."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = nn.Sequential(linear(64, width, 1.0), FUNCTIONS[name.split(", ")[0]]())
        blocks = [block(name, width, scale) for _ in range(depth - 1)]
        return nn.Sequential(first, *blocks, linear(width, 10, 1.0))


def standardized(seed: int, examples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Digits, (examples, 64), each pixel with mean 0 and deviation 1 over them (0 where it never changes), and their classes."""
    data = digits(seed=seed, dtype=torch.float64)
    x, y = data.x_train[:examples], data.y_train[:examples]
    return (x - x.mean(0)) / x.std(0).clamp(min=0.02), y


def gradients_by_layer(net: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> list[LayerCall]:
    """The statistics of every hidden layer's output and of the loss's gradient in it, from the input on."""
    with layer_statistics(net, [str(k) for k in range(len(net) - 1)]) as calls:
        cross_entropy(net(x), y).backward()
    return calls


@experiment(seeds=5)
def gradient_flow_by_scale(seed, *, scales=(0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0, 11.3), depth=20, width=64):
    """By how much a layer multiplies the gradient's norm on its way down, on the geometric average over the layers.

    For each activation, at each scale of the weights, whose deviation is scale/√fan_in.
    """
    x, y = standardized(seed, 100)

    def factor(name, scale):
        calls = gradients_by_layer(network(name, depth, width, seed, scale), x, y)
        return (calls[0].gradient.norm / calls[-1].gradient.norm) ** (1 / (depth - 1))

    return {name: [factor(name, scale) for scale in scales] for name in FUNCTIONS}


@experiment(seeds=5)
def gradient_flow_by_layer(seed, *, networks=NETWORKS, depth=30, width=64, batch=256):
    """The norm of the gradient in each hidden layer's output, and in its weights, of networks before their first step.

    `output` and `weight` have a row for each network, from the first layer to the last, `activation` the deviations.
    """
    x, y = standardized(seed, batch)
    found = {"output": [], "weight": [], "activation": []}
    for name in networks:
        net = network(name, depth, width, seed)
        calls = gradients_by_layer(net, x, y)
        found["output"].append([call.gradient.norm for call in calls])
        found["activation"].append([call.activation.std for call in calls])
        weights = [p for p in net.parameters() if p.dim() == 2][:-1]
        found["weight"].append([p.grad.norm().item() for p in weights])
    return found


def train(net: nn.Module, x, y, *, steps: int, batch: int, lr: float, seed: int, every: int) -> list[float]:
    """Plain gradient descent in mini-batches: the mean loss of each `every` steps."""
    optimizer, source = torch.optim.SGD(net.parameters(), lr), torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(steps):
        chosen = torch.randperm(len(x), generator=source)[:batch]
        loss = cross_entropy(net(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses).view(-1, every).mean(1).tolist()


@experiment(seeds=5, share={"networks": ("sigmoid",), "rates": (0.03, 0.3)})
def gradient_flow_training(
    seed, *, networks=NETWORKS, rates=(0.03, 0.3), depth=20, width=32, batch=64, steps=160, every=20
):
    """The training loss of the digits, on average over each 20 steps: a row for each network, in it one for each rate."""
    x, y = standardized(seed, 1000)
    run = {"steps": steps, "batch": batch, "every": every, "seed": seed}
    losses = [[train(network(name, depth, width, seed), x, y, lr=lr, **run) for lr in rates] for name in networks]
    return {"loss": losses}
