"""What a quasi-Newton method believes about its surroundings: the ellipse and the eigenvalues of B, to lay beside those of H⁻¹.

B is symmetric and positive definite, of shape (2, 2) where a picture is meant. The set {d : dᵀ B⁻¹ d = c} is an ellipse about the
current point: all steps on it are equally long in the eyes of B.
"""

import torch
from torch.func import grad
from torch.linalg import solve_ex, vector_norm

from course_lib.formulas.second_order import Share, broyden_update, exact_search, hessian, identity


def broyden_exact(w, g, t, f, B=identity, *, xi: Share = 1.0):
    """Quasi-Newton with any update of the Broyden family and an exact search.

    On a quadratic of n parameters it ends after n steps, with B the inverse Hessian.
    Source: slides 20, 21; Dixon (1972): no ξ changes its path.
    """
    d = -B @ g
    w_new = w + exact_search(f, w, d) * d
    return w_new, broyden_update(B, w_new - w, grad(f)(w_new) - g, xi)


def inverse_hessian(f, w):
    """What B should become: the inverse of all second derivatives of f at w, of shape (n, n)."""
    return solve_ex(hessian(f, w), identity(w))[0]


def determinant(B):
    """Of a (2, 2) matrix: the product of its eigenvalues."""
    return B[0, 0] * B[1, 1] - B[0, 1] * B[1, 0]


def eigenvalues(B):
    """The two eigenvalues of a symmetric (2, 2) matrix, the smaller one first."""
    mean, half = (B[0, 0] + B[1, 1]) / 2, (B[0, 0] - B[1, 1]) / 2
    root = (half**2 + B[0, 1] ** 2).sqrt()
    far = mean + torch.where(mean >= 0, root, -root)  # the one without a difference of near numbers
    near = determinant(B) / far
    return torch.stack([torch.minimum(near, far), torch.maximum(near, far)])


def relative_error(B, wanted):
    """How far B is from the wanted matrix, as a share of its size: ‖B − W‖ / ‖W‖ in Frobenius' norm."""
    return vector_norm(B - wanted) / vector_norm(wanted)


def secant_ellipse(phase, B, size):
    """The point, `phase` radians around, of the ellipse {d : dᵀ B⁻¹ d = c}, with the c that makes its area π size².

    With the Cholesky factor B = L Lᵀ, d = L u solves dᵀ B⁻¹ d = uᵀ u, so L turns a circle into it. NaN if B is not positive
    definite. `phase` and `size` are tensors of shape ().
    """
    u = torch.stack([phase.cos(), phase.sin()])
    first = B[0, 0].sqrt()
    below = B[1, 0] / first
    L = torch.stack([torch.stack([first, 0 * first]), torch.stack([below, (B[1, 1] - below**2).sqrt()])])
    return size / determinant(B) ** 0.25 * (L @ u)


def steepest_on_ellipse(g, B, size):
    """Where that ellipse reaches furthest downhill: its point of least gᵀ d, in the direction −B g.

    So −B g is the steepest descent for whoever measures lengths by B⁻¹.
    """
    return -size / determinant(B) ** 0.25 * (B @ g) / (g @ B @ g).sqrt()
