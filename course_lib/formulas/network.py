"""A network of dense layers and what it is trained on: logits and cross entropy.

Weights are a dictionary in the order of the layers: W1 (hidden, inputs),
b1 (hidden,), W2, b2, …; the last layer has a row for each class.
"""

import torch

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}


def logits(weights, x, activation=torch.tanh):
    """What the last layer gives for examples x (B, inputs): (B, classes).

    Equals nn.Sequential of nn.Linear layers with an activation between
    any two of them.
    """
    *hidden, W, b = weights.values()
    for V, c in zip(hidden[::2], hidden[1::2], strict=True):
        x = activation(x @ V.T + c)
    return x @ W.T + b


def cross_entropies(z, y):
    """-log softmax(z)[y] of each example, for logits z (B, classes) and
    classes y (B,): (B,).
    """
    is_target = y[:, None] == torch.arange(z.shape[1]).type_as(y)
    return torch.logsumexp(z, 1) - torch.where(is_target, z, 0).sum(1)


def cross_entropy(z, y):
    """The mean over the examples of -log softmax(z)[y].

    Equals torch.nn.functional.cross_entropy(z, y).
    """
    return cross_entropies(z, y).mean()


def softmax(z):
    """Probabilities of the classes, for logits z (B, classes).

    Equals torch.softmax(z, 1).
    """
    return torch.exp(z - torch.logsumexp(z, 1)[:, None])
