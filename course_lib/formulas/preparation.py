"""Preparing inputs: centered, scaled, decorrelated; and what each does to the curvature of a linear model's loss.

Data x has the shape (N, n), one example a row. What is measured on the training set is used, as it is, on every other set.
"""

import torch


def feature_statistics(x):
    """The mean and the standard deviation of each feature, (n,), the variance divided by N.

    Equals sklearn.preprocessing.StandardScaler's mean_ and scale_, but that one has 1 where a feature never changes.
    """
    return x.mean(0), x.std(0, correction=0)


def standardize(x, mean, std):
    """Each feature with mean 0 and deviation 1; a feature that never
    changes, with the deviation 0, becomes 0.

    x: (N, n); mean, std: (n,), of the training set.
    Source: LeCun et al. (1998), "Efficient BackProp"; slide 37.
    """
    scale = torch.where(std > 0, std, torch.full_like(std, torch.inf))
    return (x - mean) / scale


def covariance(x):
    """The covariances of the features, (n, n), divided by N - 1. Equals torch.cov(x.T)."""
    centered = x - x.mean(0)
    return centered.T @ centered / (x.shape[0] - 1)


def principal_axes(x):
    """The variances along the principal axes, (n,), from the largest on, and the axes, (n, n), one a row.

    Equals sklearn.decomposition.PCA's explained_variance_ and components_, up to the axes' signs.
    """
    variances, columns = torch.linalg.eigh(covariance(x))
    return variances.flip(0), columns.T.flip(0)


def pca(x, mean, axes):
    """x in the coordinates of the principal axes: uncorrelated. (N, n); with fewer rows of `axes`, (N, k). Source: slide 37."""
    return (x - mean) @ axes.T


def whiten(x, mean, variances, axes, *, eps=1e-5):
    """x in the coordinates of the principal axes, each divided by its
    deviation: uncorrelated, with variance 1 (less where eps counts).

    x: (N, n); mean: (n,), variances: (k,), axes: (k, n), of the
    training set. eps keeps axes without variance from being blown up.
    Source: LeCun et al. (1998); slide 37.
    """
    return pca(x, mean, axes) / (variances + eps).sqrt()


def zca(x, mean, variances, axes, *, eps=1e-5):
    """Whitened, then turned back: of all whitened data the nearest to
    x, so that an image still looks like one.

    Source: Bell and Sejnowski (1997).
    """
    return whiten(x, mean, variances, axes, eps=eps) @ axes


def mean_pixel(images):
    """The mean of each channel over all images and places: (N, C, H, W) to (C, 1, 1). Source: slide 38 (VGG)."""
    return images.mean((0, 2, 3))[:, None, None]


def mean_image(images):
    """The mean over all images, of each pixel: (N, C, H, W) to (C, H, W). Source: slide 38 (AlexNet)."""
    return images.mean(0)


def least_squares_hessian(x):
    """The Hessian of a linear model's mean squared error, halved: xᵀx / N with a column of ones for the bias, (n + 1, n + 1)."""
    x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
    return x.T @ x / x.shape[0]


def condition_number(hessian):
    """The largest over the smallest eigenvalue of a symmetric matrix: what gradient descent's number of steps grows with."""
    values = torch.linalg.eigvalsh(hessian)
    return values[-1] / values[0]
