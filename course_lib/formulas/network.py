"""A network of dense layers and what it is trained on: logits, cross entropy, accuracy.

Weights are a dictionary: W1 (hidden, inputs), b1 (hidden,), W2, b2, … with the last layer's classes as its rows.
"""

import torch

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}


def layer_shapes(sizes):
    """The shapes of the weights, by name: `layer_shapes((64, 32, 10))`."""
    shapes = {}
    for k, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:], strict=False), 1):
        shapes |= {f"W{k}": (fan_out, fan_in), f"b{k}": (fan_out,)}
    return shapes


def logits(weights, x, activation="tanh"):
    """What the last layer gives for examples x (B, inputs): (B, classes).

    Equals nn.Sequential of nn.Linear layers with an activation between
    any two of them.
    """
    depth = len(weights) // 2
    for k in range(1, depth + 1):
        x = x @ weights[f"W{k}"].T + weights[f"b{k}"]
        if k < depth:
            x = ACTIVATIONS[activation](x)
    return x


def cross_entropies(z, y):
    """-log softmax(z)[y] of each example, for logits z (B, classes) and
    classes y (B,): (B,).

    The largest logit is taken off first, as exp overflows at 710.
    """
    z = z - z.detach().amax(1, keepdim=True)
    classes = torch.arange(z.shape[1], device=z.device)
    target = torch.where(y[:, None] == classes, z, 0).sum(1)
    return z.exp().sum(1).log() - target


def cross_entropy(z, y):
    """The mean over the examples of -log softmax(z)[y].

    Equals torch.nn.functional.cross_entropy(z, y).
    """
    return cross_entropies(z, y).mean()
