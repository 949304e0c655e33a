"""Networks that nobody has trained, with one slip in how their weights are drawn: what an exercise in diagnosis shows of them."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from course_lib.experiments.records import experiment, recorded
from course_lib.experiments.signals import mean_squares, propagate
from course_lib.experiments.studies.initialization import generator, histogram, standardized

WIDTH, LAYERS, EXAMPLES = 128, 10, 256
SPAN = 3.0  # the histograms go from minus to plus this


@dataclass(frozen=True)
class Layers:
    """What was measured in each layer, from the first one.

    Of shape (layers,): `signal` and `gradient`, the mean squares of the pre-activations and of the loss's gradient there, the
    share of activations that are `zero`, and the `largest` weight. Of shape (layers, bins): the shares of the activations other
    than 0, of the gradients and of the weights, in equal bins: of activations from -3 to 3, of gradients in units of the last
    layer's deviation from -3 to 3, of weights from -0.3 to 0.3.
    """

    signal: torch.Tensor
    gradient: torch.Tensor
    zero: torch.Tensor
    largest: torch.Tensor
    activations: torch.Tensor
    gradients: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def read(cls, name: str) -> "Layers":
        """The recorded network of this name, of the first seed."""
        return cls(**{name: values[0] for name, values in recorded(name).outcomes.items()})


def measure(draw: Callable, seed: int = 0, biases: bool = False) -> Layers:
    """Digits through ten layers of 128 ReLUs whose weights are `draw(z, u, fan_in, fan_out)`, of normal and of uniform draws.

    With `biases` these are U(±1/√fan_in), as PyTorch's; else they are 0.
    """
    source, (x, _) = generator(seed), standardized(seed, EXAMPLES)
    weights = []
    for fan_in in [x.shape[1], *[WIDTH] * (LAYERS - 1)]:
        z = torch.randn(WIDTH, fan_in, generator=source, dtype=torch.float64)
        u = torch.rand(WIDTH, fan_in, generator=source, dtype=torch.float64)
        b = (2 * torch.rand(WIDTH, 1, generator=source, dtype=torch.float64) - 1) / math.sqrt(fan_in)
        weights.append((draw(z, u, fan_in, WIDTH), b * biases))
    incoming = torch.randn(EXAMPLES, WIDTH, generator=source, dtype=torch.float64)
    signals = propagate(*_with_biases(weights, x, incoming), "relu")
    kept = [[part[:, :WIDTH] for part in parts] for parts in (signals.pre, signals.post, signals.gradients)]
    pre, post, gradients = kept  # without the unit that carries the biases
    bare = [W for W, _ in weights]
    last = gradients[-1].std()
    return Layers(
        mean_squares(pre),
        mean_squares(gradients),
        torch.stack([(a == 0).double().mean() for a in post]),
        torch.stack([W.abs().max() for W in bare]),
        torch.stack([histogram(a[a != 0], SPAN) for a in post]),
        torch.stack([histogram(g / last, SPAN) for g in gradients]),
        torch.stack([histogram(W, SPAN / 10) for W in bare]),
    )


def _with_biases(weights: list, x: torch.Tensor, incoming: torch.Tensor) -> tuple:
    """The same layers without biases: one more unit is 1 in each layer, and its weights are the biases."""
    one = torch.ones(len(x), 1, dtype=torch.float64)
    joined = []
    for W, b in weights:
        row = torch.zeros(1, W.shape[1] + 1, dtype=torch.float64)
        row[0, -1] = 1.0
        joined.append(torch.cat([torch.cat([W, b], 1), row]))
    return joined, torch.cat([x, one], 1), torch.cat([incoming, 0 * one], 1)


def no_root_of_three(z, u, fan_in, fan_out):
    """Kaiming's deviation as the bound of a uniform distribution."""
    return math.sqrt(2 / fan_in) * (2 * u - 1)


@experiment(seeds=5)
def which_initialization(seed):
    """Ten layers of ReLU whose weights are Kaiming's, but for a √3. The exercise shows the network of the first seed."""
    return asdict(measure(no_root_of_three, seed))
