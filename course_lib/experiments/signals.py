"""Signals through deep networks that nobody has trained: what layers make of activations and of gradients, many networks at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from course_lib.formulas.activations import (
    ACTIVATIONS,
    AROUND_ZERO,
    MEAN_SQUARES,
    backward,
    backward_variance,
    forward,
    forward_variance,
)
from course_lib.formulas.initialization import INITIALIZATIONS


@dataclass(frozen=True)
class Signals:
    """What was measured in each layer, from the first one: lists of tensors (…, examples, width).

    `pre` are the pre-activations y = W x, `post` the activations φ(y), `gradients` the ∂J/∂y.
    """

    pre: list[torch.Tensor]
    post: list[torch.Tensor]
    gradients: list[torch.Tensor]


def propagate(
    weights: Sequence[torch.Tensor], x: torch.Tensor, incoming: torch.Tensor, activation: str = "tanh"
) -> Signals:
    """Send x (…, examples, inputs) up through layers without biases, and the gradient `incoming` of the last activations down.

    Each of `weights` has the shape (…, out, in): further dimensions in front are networks of their own. Raises ValueError for
    an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}.")
    function, slope = ACTIVATIONS[activation]
    pre, post, gradients = [], [], []
    for W in weights:
        pre.append(forward(post[-1] if post else x, W))
        post.append(function(pre[-1]))
    for k in reversed(range(len(weights))):
        incoming = backward(gradients[-1], weights[k + 1]) if gradients else incoming
        gradients.append(incoming * slope(pre[k]))
    return Signals(pre, post, gradients[::-1])


def mean_squares(signals: list[torch.Tensor]) -> torch.Tensor:
    """The mean square of each layer, over examples and units: (layers, …)."""
    return torch.stack([x.square().mean((-2, -1)) for x in signals])


def drawn(
    name: str, widths: Sequence[int], runs: int, seed: int = 0, activation: str = "tanh", examples: int = 16, **settings
) -> Signals:
    """Signals through `runs` networks with weights by this initialization; inputs and incoming gradients are N(0, 1).

    `widths` are (inputs, layer 1, …).
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    weights = [INITIALIZATIONS[name](normal(runs, m, n), n, m, **settings) for n, m in zip(widths, widths[1:])]
    return propagate(weights, normal(runs, examples, widths[0]), normal(runs, examples, widths[-1]), activation)


def predicted(activation, widths, weight_variances, *, mean_square=1.0, around_zero=False):
    """Variances of the pre-activations and of the gradients there, layer by layer: two tensors of shape (layers,).

    `widths` are (inputs, layer 1, …), `weight_variances` one a layer, `mean_square` that of the inputs; the gradient that
    comes in from above has variance 1. With `around_zero` the activation counts as its tangent at 0, as the lecture has it:
    exact for linear and (leaky) ReLU, too large for tanh.
    """
    square, slope = (AROUND_ZERO if around_zero else MEAN_SQUARES)[activation]
    forward = []
    incoming = torch.tensor(mean_square, dtype=torch.float64)
    for fan_in, variance in zip(widths, weight_variances):
        forward.append(forward_variance(incoming, fan_in, variance))
        incoming = square(forward[-1])
    slopes = [slope(v) for v in forward]
    backward = [slopes[-1]]
    for k in range(len(forward) - 1, 0, -1):
        backward.append(backward_variance(backward[-1], widths[k + 1], weight_variances[k], slopes[k - 1]))
    return torch.stack(forward), torch.stack(backward[::-1])
