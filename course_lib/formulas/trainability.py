"""A network with one hidden layer, trained by gradient descent: the smallest one whose trainability has a fractal edge.

Source: Sohl-Dickstein, "The boundary of neural network trainability is fractal", 2024. The scale of the weights is the usual one here,
not his mean-field one, so the rates mean what they mean in torch.
"""

from typing import Annotated

from torch.func import grad
from torch.linalg import eigvalsh

from course_lib.formulas.objective import squared_error
from course_lib.formulas.signature import Range

LayerRate = Annotated[float, Range(0.05, 500.0, "log", at_least=0.0)]


def one_hidden_layer(W, V, x):
    """The outputs V tanh(W x), of shape (examples,).

    Shapes: W (hidden, inputs), V (hidden,), x (inputs, examples).
    """
    return V @ (W @ x).tanh()


def training_error(W, V, x, y):
    """Half the mean squared error of the network, y of shape (examples,)."""
    return squared_error(one_hidden_layer(W, V, x), y)


def largest_rate(features):
    """The largest stable rate of the last layer while its features, of
    shape (hidden, examples), stay as they are: 2 / λ_max of H Hᵀ / n.
    """
    return 2 / eigvalsh(features @ features.T / features.shape[1])[-1]


def two_rates(W, V, x, y, *, lr_1: LayerRate = 1.0, lr_2: LayerRate = 0.3):
    """One step of gradient descent, each layer with its own rate.

    Equals torch.optim.SGD with a parameter group for each layer.
    Source: Sohl-Dickstein (2024).
    """
    dW, dV = grad(training_error, argnums=(0, 1))(W, V, x, y)
    return W - lr_1 * dW, V - lr_2 * dV


def one_rate(W, V, x, y, *, lr: LayerRate = 1.0):
    """One step of gradient descent on all examples (slide 4)."""
    dW, dV = grad(training_error, argnums=(0, 1))(W, V, x, y)
    return W - lr * dW, V - lr * dV
