"""What is optimized: small models f(x; θ), and the loss J(θ), a mean over the training examples.

`w` holds the parameters θ, of shape (n,) for data `x` of shape (N, n), or (2,) for the models of one input, `x` of shape (N,).
Gradients come from autograd, never from a second formula.
"""


# --- models of two parameters, the predictions for all N examples at once


def line(x, w):
    """A straight line: w[0] is its height at 0, w[1] its slope.

    x and the prediction have the shape (N,). Its squared error is a
    quadratic in w: a bowl. Source: Legendre (1805).
    """
    return w[0] + w[1] * x


def unit(x, w):
    """The smallest network: w[0] leads into a tanh unit, w[1] out of it.

    x and the prediction have the shape (N,). With both signs turned it is
    the same function, so a minimum has a twin, with a saddle between them.
    Source: Sussmann (1992), who shows that such twins are all there are.
    """
    return w[1] * (w[0] * x).tanh()


def sine(x, w):
    """A wave of frequency w[0] and phase w[1].

    x and the prediction have the shape (N,). Its squared error has many
    local minima. Source: Rife and Boorstyn (1974).
    """
    return (w[0] * x + w[1]).sin()


# --- losses: one number for all examples


def squared_error(prediction, y):
    """The mean over the examples of half the squared residual.

    Both arguments have the shape (N,). Source: slide 3, with a mean
    for the sum. Equals torch.nn.functional.mse_loss, halved.
    """
    return ((prediction - y) ** 2 / 2).mean()


def least_squares(w, x, y):
    """The mean squared error, halved, of a linear model x·w.

    x has the shape (N, n), w (n,), y (N,). Source: Legendre (1805);
    slide 3. Equals torch.nn.functional.mse_loss(x @ w, y), halved.
    """
    return squared_error(x @ w, y)


def logistic_loss(w, x, y):
    """The mean cross-entropy of the probability sigmoid(x·w) and y in {0, 1}.

    x has the shape (N, n), w (n,), y (N,). No logit is too large for it:
    log(1 + exp(z)) is computed as a log-sum-exp. Source: Cox (1958). Equals
    torch.nn.functional.binary_cross_entropy_with_logits(x @ w, y).
    """
    z = x @ w
    highest = z.clamp(min=0)
    log_of_both = highest + ((-highest).exp() + (z - highest).exp()).log()  # log(exp(0) + exp(z))
    return (log_of_both - y * z).mean()


MODELS = {model.__name__: model for model in (line, unit, sine)}
