"""The chain rule through depth: slopes of the activations with their bounds, one neuron a layer, and a residual connection."""

from collections.abc import Callable
from dataclasses import dataclass

import torch


def sigmoid(z):
    """1 / (1 + exp(-z)), element by element. Equals torch.sigmoid(z)."""
    return 1 / (1 + torch.exp(-z))


def sigmoid_slope(z):
    """σ′(z) = σ(z) (1 - σ(z)): at most 0.25, and exactly that at z = 0.

    Source: slide 22, whose "≈ 0.25" is an equality.
    """
    return sigmoid(z) * (1 - sigmoid(z))


def tanh_slope(z):
    """1 - tanh²(z): at most 1, and exactly that at z = 0. Source: slide 22."""
    return 1 - torch.tanh(z) ** 2


def relu(z):
    """max(0, z), element by element. Equals torch.relu(z)."""
    return torch.where(z > 0, z, torch.zeros_like(z))


def relu_slope(z):
    """1 where z is above 0, else 0; at 0 it is 0, as in PyTorch. Source: slide 23."""
    return torch.where(z > 0, torch.ones_like(z), torch.zeros_like(z))


@dataclass(frozen=True)
class Activation:
    """An activation, its slope, and the largest slope that it has."""

    function: Callable
    slope: Callable
    steepest: float


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, sigmoid_slope, 0.25),
    "tanh": Activation(torch.tanh, tanh_slope, 1.0),
    "ReLU": Activation(relu, relu_slope, 1.0),
}


def sigmoid_neuron(a, *, weight=1.0, bias=0.0):
    """A layer of one sigmoid: its z = w a + b, its output, and the factor w σ′(z) by which it multiplies a gradient.

    All three have the shape of `a`, the output of the layer before. Source: slide 22.
    """
    z = weight * a + bias
    return z, sigmoid(z), weight * sigmoid_slope(z)


def tanh_neuron(a, *, weight=1.0, bias=0.0):
    """The same for one tanh. Source: slide 22."""
    z = weight * a + bias
    return z, torch.tanh(z), weight * tanh_slope(z)


def relu_neuron(a, *, weight=1.0, bias=0.0):
    """The same for one ReLU. Source: slide 23."""
    z = weight * a + bias
    return z, relu(z), weight * relu_slope(z)


NEURONS = {"sigmoid": sigmoid_neuron, "tanh": tanh_neuron, "ReLU": relu_neuron}


def residual(x, branch: Callable):
    """x + branch(x): whatever the branch does, the gradient has a way around it, as the Jacobian is I + ∂branch/∂x.

    Source: He et al. (2016), arXiv:1512.03385; slide 23.
    """
    return x + branch(x)
