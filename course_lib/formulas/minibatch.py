"""Mini-batches: the gradient over some of the examples, how far it is from the gradient over all, and what that does to a descent.

`loss(w, x, y)` is a mean over examples, as all losses of this course are: `x` has the shape (N, n), `y` (N,), `w` (n,).
"""

from torch.func import grad, vmap

# --- the gradient over a batch


def batch_gradient(loss, w, x, y, indices):
    """The gradient of the loss over the examples at these indices.

    `indices` has the shape (B,), the gradient that of w. The mean over B
    examples estimates the mean over N, whatever B is. Source: Robbins and
    Monro (1951); slide 5, with a mean for the sum. Equals .grad after
    torch.nn.functional's loss, reduction="mean", on x[indices].
    """
    return grad(loss)(w, x[indices], y[indices])


def example_gradients(loss, w, x, y):
    """The gradient of each example's own loss, of shape (N, n).

    Their mean over dimension 0 is the gradient of the loss. Source:
    slide 5. Equals N calls of torch.autograd.grad, one an example.
    """
    alone = lambda w, x, y: loss(w, x[None], y[None])  # a batch of one
    return vmap(grad(alone), in_dims=(None, 0, 0))(w, x, y)


def accumulated_gradient(gradients, sizes):
    """The mean gradient over all examples, from those of its parts.

    `gradients` has the shape (k, n), one mean gradient a part; `sizes`
    (k,) says of how many examples each is the mean. Equals .backward() on
    each part's mean loss times its share of the examples.
    """
    shares = sizes / sizes.sum()
    return shares @ gradients


# --- its noise


def gradient_covariance(gradients):
    """Σ, the covariance of one example's gradient drawn at random.

    `gradients` has the shape (N, n), the covariance (n, n). The N examples
    are all there are, so the sum is divided by N. Source: Bottou, Curtis
    and Nocedal (2018). Equals torch.cov(gradients.T, correction=0).
    """
    apart = gradients - gradients.mean(dim=0)
    return apart.T @ apart / len(gradients)


def noise_with_replacement(covariance, B):
    """The covariance of the mean of B gradients drawn with replacement.

    `covariance` has any shape, () for one component; B >= 1 is the number
    of draws. Source: slide 5 ("might be noisy"), made a number.
    """
    return covariance / B


def noise_without_replacement(covariance, B, N):
    """The covariance of the mean of B different gradients out of N.

    `covariance` has any shape; 1 <= B <= N. No noise is left at B = N. The
    factor (N - B)/(N - 1) is the finite population correction. Source:
    Isserlis (1918).
    """
    return covariance / B * (N - B) / (N - 1)


def noise_scale(covariance, gradient):
    """The batch size at which noise and gradient are equally long.

    `covariance` has the shape (n, n), `gradient` (n,); the result is a
    number of examples: E‖noise‖² = ‖gradient‖² noise_scale / B. Source:
    McCandlish et al. (2018), their "simple" noise scale.
    """
    return covariance.diagonal().sum() / (gradient**2).sum()


def variance_error(B):
    """The relative error of a variance that is estimated from B numbers.

    It is the standard deviation of torch.var over the true variance, for
    B > 1 independent normal numbers. Source: Helmert (1876). Equals the
    standard deviation of chi-squared with B - 1 degrees, over its mean.
    """
    return (2 / (B - 1)) ** 0.5


# --- what the noise does to a descent with a constant rate


def noise_floor(variance, curvature, lr):
    """The variance of a parameter about the minimum, after long enough.

    The loss is a quadratic of this curvature, each step's gradient has
    independent noise of this variance; 0 < lr * curvature < 2. All are
    numbers, or tensors of one shape. Source: Murata (1998). Equals the
    variance at which (1 - lr * curvature) * w - lr * noise stays.
    """
    return lr * variance / (curvature * (2 - lr * curvature))


def excess_loss(covariance, B, lr):
    """How far above the minimum the loss stays on average, for small lr.

    `covariance` is that of one example's gradient at the minimum, (n, n);
    batches of B are drawn with replacement, of any curvatures. Source:
    Mandt, Hoffman and Blei (2017). It leaves out terms of order lr².
    """
    return lr * covariance.diagonal().sum() / (4 * B)
