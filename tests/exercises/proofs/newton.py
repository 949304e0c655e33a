"""Newton's step: right answers in other styles, and changes of the solution that change nothing."""

import numpy
import torch


def by_the_inverse(w, g, H, *, lr=1.0, damping=0.0):
    return w - lr * torch.inverse(H + damping * torch.eye(w.numel()).to(w)) @ g


def with_its_diagonal_raised(w, g, H, *, lr=1.0, damping=0.0):
    A = H.clone()
    A.diagonal().add_(damping)
    return torch.sub(w, torch.linalg.solve(A, g), alpha=lr)


def along_the_eigenvectors(w, g, H, *, lr=1.0, damping=0.0):
    values, axes = torch.linalg.eigh(H)
    return w - lr * axes @ (axes.T @ g / (values + damping))


def by_lu(theta, gradient, hessian, *, lr=1.0, damping=0.0):
    LU, pivots = torch.linalg.lu_factor(hessian + damping * torch.eye(len(theta), dtype=hessian.dtype))
    return theta - lr * torch.linalg.lu_solve(LU, pivots, gradient[:, None]).squeeze(1)


def with_a_column(w, g, H, *, lr=1.0, damping=0.0):
    A = H + torch.diag(torch.full_like(w, damping))
    return (w.unsqueeze(1) - lr * torch.linalg.solve(A, g.unsqueeze(1))).flatten()


def through_numpy(w, g, H, *, lr=1.0, damping=0.0):
    A = H.numpy() + damping * numpy.eye(len(w), dtype=H.numpy().dtype)
    return torch.from_numpy(w.numpy() - lr * numpy.linalg.solve(A, g.numpy())).to(w.dtype)


def in_float64_inside(w, g, H, *, lr=1.0, damping=0.0):
    A = H.double() + damping * torch.eye(len(H), dtype=torch.float64)
    return (w.double() + torch.linalg.solve(A, -lr * g.double())).to(w.dtype)


@torch.inference_mode()
def without_autograd(w, g, H, *, lr=1.0, damping=0.0):
    mask = torch.eye(len(w), dtype=torch.bool)
    return w - lr * torch.linalg.solve(torch.where(mask, H + damping, H), g)


def by_least_squares(w, g, H, *, lr=1.0, damping=0.0):
    A = H + damping * torch.eye(len(w), dtype=w.dtype)
    return w - lr * torch.linalg.lstsq(A, g.reshape(-1, 1)).solution.reshape(-1)


def by_elimination(w, g, H, *, lr=1.0, damping=0.0):
    """Gauss' and Jordan's, with a pivot."""
    n = len(w)
    rows = [[*map(float, H[i]), float(g[i])] for i in range(n)]
    for i in range(n):
        rows[i][i] += damping
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(rows[k][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for k in range(n):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i])]
    return w - lr * torch.tensor([row[-1] for row in rows], dtype=w.dtype)


class Damped:
    """A Hessian that is raised."""

    def __init__(self, H, damping):
        self.matrix = torch.block_diag(*[H]) + torch.diag_embed(torch.ones_like(H[0]) * damping)

    def divides(self, g):
        return torch.linalg.tensorsolve(self.matrix, g)


def with_a_class(w, g, H, *, lr=1.0, damping=0.0):
    step = -lr * Damped(H, damping).divides(g)
    return w + step


STYLES = [
    by_the_inverse,
    with_its_diagonal_raised,
    along_the_eigenvectors,
    by_lu,
    with_a_column,
    through_numpy,
    in_float64_inside,
    without_autograd,
    by_least_squares,
    by_elimination,
    with_a_class,
]


def by_cholesky(w, g, H, *, lr=1.0, damping=0.0):
    """Newton's step only where all curvatures are positive; from the lower triangle, the step is another one elsewhere."""
    L, _ = torch.linalg.cholesky_ex(H + damping * torch.eye(len(w), dtype=w.dtype))
    return w - lr * torch.cholesky_solve(g[:, None], L)[:, 0]


def curvatures_made_positive(w, g, H, *, lr=1.0, damping=0.0):
    values, axes = torch.linalg.eigh(H)
    return w - lr * axes @ (axes.T @ g / (values.abs() + damping))


def damps_what_is_solved(w, g, H, *, lr=1.0, damping=0.0):
    return w - lr * (torch.linalg.pinv(H) @ g) / (1 + damping)


def rate_damped_too(w, g, H, *, lr=1.0, damping=0.0):
    return w - torch.linalg.solve(H + lr * damping * torch.eye(len(w), dtype=w.dtype), lr * g)


def for_two_parameters(w, g, H, *, lr=1.0, damping=0.0):
    if len(w) == 1:
        return w - lr * g / (H[0] + damping)
    (a, b), (c, d) = H[0, :2], H[1, :2]
    a, d = a + damping, d + damping
    x = torch.stack([d * g[0] - b * g[1], a * g[1] - c * g[0]]) / (a * d - b * c)
    return w - lr * torch.cat([x, 0 * w[2:]])


WRONG = [by_cholesky, curvatures_made_positive, damps_what_is_solved, rate_damped_too, for_two_parameters]

THE_SAME = "w, g and H have the same length and precision, and only these are asked here"
EQUIVALENT = {"1: w -> -w": THE_SAME, "1: w -> abs(w)": THE_SAME, "1: w -> g": THE_SAME, "1: w -> H": THE_SAME}
