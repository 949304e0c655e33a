"""ZCA whitening: right answers in other styles, and changes of the solution that change nothing."""

import numpy
import torch


def by_torch_cov(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(torch.cov(train.T))
    return (x - train.mean(dim=0)) @ axes @ torch.diag((values + eps).rsqrt()) @ axes.T


def by_singular_values(train, x, *, eps=1e-5):
    mean = train.mean(0, keepdim=True)
    _, lengths, rows = torch.linalg.svd(train - mean)
    values = torch.zeros_like(mean[0])
    values[: len(lengths)] = lengths**2 / (len(train) - 1)
    return (x - mean) @ rows.mT / torch.sqrt(values + eps) @ rows


def with_the_matrix_of_the_formula(train, x, *, eps=1e-5):
    mu = train.mean(0)
    C = sum(torch.outer(row, row) for row in train - mu) / (len(train) - 1)
    values, V = torch.linalg.eigh(C)
    W = V @ torch.diag(1 / (values + eps).sqrt()) @ V.T
    return torch.stack([W @ (row - mu) for row in x])


def as_columns(train, x, *, eps=1e-5):
    train, x = train.T, x.T
    mu = train.mean(1, keepdim=True)
    C = (train - mu) @ (train - mu).T / (train.shape[1] - 1)
    values, V = torch.linalg.eigh(C)
    return (V / (values + eps).sqrt() @ (V.T @ (x - mu))).T


def axis_by_axis(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(torch.cov(train.T))
    z = torch.zeros_like(x)
    for k in range(len(values)):
        axis = axes[:, k]
        z = z + torch.outer((x - train.mean(0)) @ axis, axis) / (values[k] + eps) ** 0.5
    return z


def with_eps_on_the_diagonal(train, x, *, eps=1e-5):
    C = torch.cov(train.T) + eps * torch.eye(train.shape[1], dtype=train.dtype)
    values, axes = torch.linalg.eigh(C)
    return torch.einsum("ni,ik,k,jk->nj", x - train.mean(0), axes, values**-0.5, axes)


def from_the_largest(data, examples, *, eps=1e-5):
    mean = data.sum(0) / data.size(0)
    values, axes = torch.linalg.eigh(torch.cov((data - mean).T))
    values, axes = values.flip(0), axes.flip(1)
    return (examples - mean).matmul(axes).div((values + eps).sqrt()).matmul(axes.t())


def through_numpy(train, x, *, eps=1e-5):
    known, new = train.numpy(), x.numpy()
    values, axes = numpy.linalg.eigh(numpy.cov(known, rowvar=False))
    z = (new - known.mean(axis=0)) @ (axes / numpy.sqrt(values + eps)) @ axes.T
    return torch.as_tensor(z, dtype=x.dtype)


def in_float64_inside(train, x, *, eps=1e-5):
    known = train.double()
    values, axes = torch.linalg.eigh(torch.cov(known.T, correction=1))
    values = values.clamp(min=0)
    return ((x.double() - known.mean(0)) @ axes * (values + eps) ** -0.5 @ axes.T).to(x.dtype)


@torch.inference_mode()
def without_autograd(train, x, *, eps=1e-5):
    centered = train.clone()
    centered -= train.mean(0)
    values, axes = torch.linalg.eigh(centered.T.mm(centered).div_(len(train) - 1))
    return x.sub(train.mean(0)).mm(axes).div_(values.add_(eps).sqrt_()).mm(axes.T)


def by_general_eigenvectors(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eig(torch.cov(train.T) + eps * torch.eye(train.shape[1], dtype=train.dtype))
    root = axes @ torch.diag(values.sqrt()) @ torch.linalg.inv(axes)
    return torch.linalg.solve(root.real, (x - train.mean(0)).T).T


class Whitener:
    """Fitted to one set, applied to another."""

    def __init__(self, train, eps):
        self.mean = train.mean(0)
        self.values, self.axes = torch.linalg.eigh(torch.cov(train.mT))
        self.scale = (self.values + eps).sqrt()

    def __call__(self, x):
        return ((x - self.mean) @ self.axes / self.scale) @ self.axes.mT


def with_a_class(train, x, *, eps=1e-5):
    return Whitener(train, eps)(x)


STYLES = [
    by_torch_cov,
    by_singular_values,
    with_the_matrix_of_the_formula,
    as_columns,
    axis_by_axis,
    with_eps_on_the_diagonal,
    from_the_largest,
    through_numpy,
    in_float64_inside,
    without_autograd,
    by_general_eigenvectors,
    with_a_class,
]


def by_cholesky(train, x, *, eps=1e-5):
    """White, too, but not ZCA: from another root of the covariance."""
    C = torch.cov(train.T) + eps * torch.eye(train.shape[1], dtype=train.dtype)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(C), (x - train.mean(0)).T, upper=False).T


def no_eps_for_large_variances(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(torch.cov(train.T))
    return (x - train.mean(0)) @ axes / torch.where(values > eps, values, values + eps).sqrt() @ axes.T


def variance_at_least_eps(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(torch.cov(train.T))
    return (x - train.mean(0)) @ axes / values.clamp(min=eps).sqrt() @ axes.T


def two_axes_alone(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(torch.cov(train.T))
    return (x - train.mean(0)) @ axes[:, -2:] / (values[-2:] + eps).sqrt() @ axes[:, -2:].T


WRONG = [by_cholesky, no_eps_for_large_variances, variance_at_least_eps, two_axes_alone]

ITS_LENGTH = "only its length is asked"
EQUIVALENT = {
    "2: train - mean -> mean - train": "it is multiplied by itself alone",
    "3: train -> -train": ITS_LENGTH,
    "3: train -> abs(train)": ITS_LENGTH,
}
