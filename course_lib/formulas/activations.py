"""What a layer does to the size of a signal: activations, and the variances that they predict, forward and backward.

For weights that are drawn independently with mean 0, biases of 0 and a pre-activation y with the distribution N(0, v). Sums of
many inputs come near to that, and the wider a layer, the nearer.
"""

import math

import torch

from course_lib.formulas.initialization import LEAKY

# The trapezoid rule for E[f(z)], z ~ N(0, 1): for smooth f its error falls exponentially with the number of nodes
NODES = torch.arange(-120, 121, dtype=torch.float64) / 20
DENSITY = (-(NODES**2) / 2).exp() / (20 * math.sqrt(2 * math.pi))


def forward(x, W):
    """y = W x for each example: x (batch, in), W (out, in), y (batch, out). Source: slide 25."""
    return x @ W.mT


def backward(g, W):
    """∂J/∂x = Wᵀ ∂J/∂y for each example: g (batch, out), W (out, in), result (batch, in). Source: slide 27."""
    return g @ W


def linear(y):
    """No activation."""
    return 1 * y


def tanh(y):
    """The hyperbolic tangent, of slope at most 1."""
    return torch.tanh(y)


def sigmoid(y):
    """1 / (1 + e^-y), of slope at most 1/4, and of mean 1/2. Written by tanh, which overflows nowhere."""
    return (1 + torch.tanh(y / 2)) / 2


def relu(y):
    """max(y, 0)."""
    return torch.where(y > 0, y, 0 * y)


def leaky_relu(y, slope=LEAKY):
    """y, and left of 0 `slope` times y."""
    return torch.where(y > 0, y, slope * y)


def linear_slope(y):
    """1."""
    return 0 * y + 1


def tanh_slope(y):
    """1 − tanh² y."""
    return 1 - torch.tanh(y) ** 2


def sigmoid_slope(y):
    """σ(y) (1 − σ(y))."""
    return (1 - torch.tanh(y / 2) ** 2) / 4


def relu_slope(y):
    """1 right of 0, else 0."""
    return torch.where(y > 0, 1.0 + 0 * y, 0 * y)


def leaky_relu_slope(y, slope=LEAKY):
    """1 right of 0, else `slope`."""
    return torch.where(y > 0, 1.0 + 0 * y, slope + 0 * y)


ACTIVATIONS = {  # φ, φ'
    "linear": (linear, linear_slope),
    "tanh": (tanh, tanh_slope),
    "sigmoid": (sigmoid, sigmoid_slope),
    "relu": (relu, relu_slope),
    "leaky_relu": (leaky_relu, leaky_relu_slope),
}


def expectation(f, variance):
    """E[f(y)] for y ~ N(0, variance), by the trapezoid rule on 241 nodes. Relative errors stay below 1e-4 up to variances of 64."""
    return (DENSITY * f(variance**0.5 * NODES)).sum()


def leaky_square(variance, slope=LEAKY):
    """E[φ(y)²] of a leaky ReLU: half of the square comes from each side. Exact, and with a slope of 0 that of ReLU (slide 29)."""
    return (1 + slope**2) / 2 * variance


def leaky_slope_square(variance, slope=LEAKY):
    """E[φ'(y)²] of a leaky ReLU: (1 + slope²)/2 at any variance. Exact."""
    return (1 + slope**2) / 2 + 0 * variance


def tanh_square(variance):
    """E[tanh² y]."""
    return expectation(lambda y: tanh(y) ** 2, variance)


def tanh_slope_square(variance):
    """E[(tanh' y)²]."""
    return expectation(lambda y: tanh_slope(y) ** 2, variance)


def sigmoid_square(variance):
    """E[σ(y)²], which is never below 1/4: the mean is 1/2."""
    return expectation(lambda y: sigmoid(y) ** 2, variance)


def sigmoid_slope_square(variance):
    """E[σ'(y)²], at most 1/16."""
    return expectation(lambda y: sigmoid_slope(y) ** 2, variance)


def relu_square(variance):
    """E[max(y, 0)²] = variance/2: half of the square comes from each side. Exact. Source: slide 29."""
    return 0.5 * variance


def relu_slope_square(variance):
    """1/2, at any variance. Exact."""
    return 0 * variance + 0.5


def linear_square(variance):
    """The variance itself."""
    return 1 * variance


def linear_slope_square(variance):
    """1."""
    return 0 * variance + 1


def sigmoid_tangent_square(variance):
    """E[(1/2 + y/4)²], of the sigmoid's tangent at 0."""
    return 0.25 + variance / 16


def sigmoid_tangent_slope_square(variance):
    """1/16."""
    return 0 * variance + 1 / 16


MEAN_SQUARES = {  # E[φ(y)²], E[φ'(y)²] of y ~ N(0, variance)
    "linear": (linear_square, linear_slope_square),
    "tanh": (tanh_square, tanh_slope_square),
    "sigmoid": (sigmoid_square, sigmoid_slope_square),
    "relu": (relu_square, relu_slope_square),
    "leaky_relu": (leaky_square, leaky_slope_square),
}
AROUND_ZERO = {  # the same where an activation is its tangent at 0: (φ(0)² + φ'(0)² v, φ'(0)²)
    **MEAN_SQUARES,
    "tanh": MEAN_SQUARES["linear"],
    "sigmoid": (sigmoid_tangent_square, sigmoid_tangent_slope_square),
}


def forward_variance(mean_square, fan_in, weight_variance):
    """Var(y_i) = fan_in Var(W_ij) E[x_j²], of the inputs' mean square, not their variance. Source: slides 26 and 29."""
    return fan_in * weight_variance * mean_square


def backward_variance(variance, fan_out, weight_variance, slope_square=1.0):
    """Var(∂J/∂y_j) = fan_out Var(W_ij) Var(∂J/∂y_i) E[φ'(y_j)²], from the layer above to the one below.

    Exact if gradients and weights were independent, which they are not: the loss has seen the weights. Source: slide 27.
    """
    return fan_out * weight_variance * variance * slope_square
