"""Second-order rules as the textbooks state them (Nocedal and Wright, 2006): numpy, branches, and none of the library's code.

A reference is named after its rule. It takes a start, a loss with its gradient and Hessian, the number of steps, and the rule's
hyperparameters; it returns w after each step. tests/formulas/test_second_order.py compares the two.
"""

from dataclasses import dataclass

import numpy as np

TRIALS, C1, C2 = 20, 1e-4, 0.9


@dataclass(frozen=True)
class Rosenbrock:
    """Rosenbrock's function, its derivatives typed by hand."""

    b: float

    def loss(self, w):
        return (1 - w[0]) ** 2 + self.b * (w[1] - w[0] ** 2) ** 2

    def gradient(self, w):
        return np.array([-2 * (1 - w[0]) - 4 * self.b * w[0] * (w[1] - w[0] ** 2), 2 * self.b * (w[1] - w[0] ** 2)])

    def hessian(self, w):
        mixed = -4 * self.b * w[0]
        return np.array([[2 - 4 * self.b * (w[1] - 3 * w[0] ** 2), mixed], [mixed, 2 * self.b]])


def walk(w, steps, advance):
    path = []
    for _ in range(steps):
        w = advance(w)
        path.append(w)
    return path


def steepest_descent(w, f, steps):
    """To the first minimum on the line: there the loss is a polynomial of degree 4, so its slope has at most three roots."""

    def advance(w):
        d = -f.gradient(w)
        at = np.linspace(0, 2 / np.abs(f.hessian(w)).max(), 4)
        roots = np.roots(np.polyfit(at, [f.gradient(w + x * d) @ d for x in at], 3))
        return w + min(r.real for r in roots if abs(r.imag) < 1e-9 and r.real > 0) * d

    return walk(w, steps, advance)


def armijo(f, w, d, lr, shrink, c1):
    """Algorithm 3.1."""
    eta = lr
    for _ in range(TRIALS):
        if f.loss(w + eta * d) <= f.loss(w) + c1 * eta * f.gradient(w) @ d:
            return eta
        eta = eta * shrink
    return eta


def backtracking_descent(w, f, steps, *, lr, shrink, c1):
    return walk(w, steps, lambda w: w - armijo(f, w, -f.gradient(w), lr, shrink, c1) * f.gradient(w))


def newton_direction(w, f, damping):
    return -np.linalg.inv(f.hessian(w) + damping * np.eye(len(w))) @ f.gradient(w)


def newton(w, f, steps, *, lr, damping):
    return walk(w, steps, lambda w: w + lr * newton_direction(w, f, damping))


def newton_backtracking(w, f, steps, *, damping, c1):
    def advance(w):
        d = newton_direction(w, f, damping)
        if f.gradient(w) @ d >= 0:
            d = -f.gradient(w)
        return w + armijo(f, w, d, 1.0, 0.5, c1) * d

    return walk(w, steps, advance)


def wolfe(f, w, d):
    """Bisection, as Burke, Lewis and Overton (2008) write it."""
    slope, low, high, eta = f.gradient(w) @ d, 0.0, np.inf, 1.0
    for _ in range(TRIALS):
        if f.loss(w + eta * d) > f.loss(w) + C1 * eta * slope:
            high = eta
        elif f.gradient(w + eta * d) @ d < C2 * slope:
            low = eta
        else:
            break
        eta = (low + high) / 2 if high < np.inf else 2 * low
    return eta


def bfgs_matrix(B, p, q):
    """Equation 6.17."""
    left = np.eye(len(p)) - np.outer(p, q) / (p @ q)
    return left @ B @ left.T + np.outer(p, p) / (p @ q)


def dfp_matrix(B, p, q):
    """Equation 6.15."""
    return B - np.outer(B @ q, B @ q) / (q @ B @ q) + np.outer(p, p) / (p @ q)


def quasi_newton(w, f, steps, matrix):
    """Algorithm 6.1; `matrix` makes the inverse Hessian of all pairs (p, q) so far."""
    pairs = []

    def advance(w):
        d = -matrix(pairs) @ f.gradient(w)
        new = w + wolfe(f, w, d) * d
        if (new - w) @ (f.gradient(new) - f.gradient(w)) > 0:
            pairs.append((new - w, f.gradient(new) - f.gradient(w)))
        return new

    return walk(w, steps, advance)


def broyden(w, f, steps, *, xi):
    """The family between DFP and BFGS: a mean of both updates."""

    def matrix(pairs):
        B = np.eye(len(w))
        for p, q in pairs:
            B = (1 - xi) * dfp_matrix(B, p, q) + xi * bfgs_matrix(B, p, q)
        return B

    return quasi_newton(w, f, steps, matrix)


def dfp(w, f, steps):
    return broyden(w, f, steps, xi=0.0)


def bfgs(w, f, steps):
    return broyden(w, f, steps, xi=1.0)


def lbfgs(w, f, steps, *, memory):
    """BFGS from the last pairs alone, with the matrix written down; equation 7.20 scales its beginning."""

    def matrix(pairs):
        B = np.eye(len(w))
        if pairs:
            p, q = pairs[-1]
            B = p @ q / (q @ q) * B
        for p, q in pairs[-int(memory) :]:
            B = bfgs_matrix(B, p, q)
        return B

    return quasi_newton(w, f, steps, matrix)
