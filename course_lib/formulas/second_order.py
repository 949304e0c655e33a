"""Rules that see more than the slope: curvature, by the Hessian or by what the steps so far reveal of it, and line searches.

They take the loss, too: `f(w)` is a scalar, and `w` one vector of shape (n,). Nothing in them branches on a value: a search
makes a fixed number of trials and torch.where keeps the best, so that thousands run at once and the browser can, too.
"""

import math
from typing import Annotated

import torch
from torch.func import grad, jacrev
from torch.linalg import solve_ex, vector_norm

from course_lib.formulas.entry import Entry
from course_lib.formulas.signature import Range, Rate, Strength

TRIALS = 20  # of a line search
DEEPEST = 10  # pairs that L-BFGS can remember
NOISE, NOTHING = 1e-12, 1e-200  # a scalar product below these, relative and absolute, is rounding error

Damping = Annotated[float, Range(1e-3, 1e3, "log", at_least=0.0)]
Share = Annotated[float, Range(0.0, 1.0, at_least=0.0, below=1.0 + 1e-12)]
Memory = Annotated[float, Range(0.0, float(DEEPEST), at_least=0.0, below=DEEPEST + 1.0)]

# --- the local model


def hessian(f, w):
    """All second derivatives of f at w, of shape (n, n).

    Source: slide 10.
    """
    return jacrev(grad(f))(w)


def quadratic_model(f, w, delta):
    """What f looks like near w: value, slope and curvature at w, continued to w + delta.

    Source: slide 10; an approximation, the first three terms of Taylor's series.
    """
    return f(w) + grad(f)(w) @ delta + delta @ hessian(f, w) @ delta / 2


# --- line searches: how far to go from w along d


def exact_search(f, w, d):
    """The η that minimizes f(w + η d), nearest to 0: where the slope along d turns zero.

    The quadratic model says how far to look, Ridders' method closes in.
    Source: slide 11; Ridders (1979).
    """
    slope = lambda eta: grad(f)(w + eta * d) @ d
    curvature = d @ hessian(f, w) @ d
    model = -(grad(f)(w) @ d) / curvature
    low = torch.zeros_like(model)
    high = torch.where((curvature > 0) & (model > 0), 2 * model, torch.ones_like(model))
    at_low, at_high = slope(low), slope(high)
    for _ in range(TRIALS // 2):  # still downhill at the far end: look further
        falls = at_high < 0
        low, at_low = torch.where(falls, high, low), torch.where(falls, at_high, at_low)
        high = torch.where(falls, 4 * high, high)
        at_high = slope(high)
    for _ in range(TRIALS // 2):
        middle = (low + high) / 2
        at_middle = slope(middle)
        bend = (at_middle**2 - at_low * at_high).sqrt()
        zero = torch.where(bend > 0, middle - (middle - low) * at_middle / bend, middle)
        for eta, at_eta in ((middle, at_middle), (zero, slope(zero))):
            inside, falls = (low < eta) & (eta < high), at_eta < 0
            low, at_low = torch.where(inside & falls, eta, low), torch.where(inside & falls, at_eta, at_low)
            high, at_high = torch.where(inside & ~falls, eta, high), torch.where(inside & ~falls, at_eta, at_high)
    return torch.where(-at_low < at_high, low, high)


def backtracking_search(f, w, g, d, *, lr=1.0, shrink=0.5, c1=1e-4):
    """The first of lr, lr·shrink, lr·shrink², … that lowers f enough: by c1 of
    what the slope promises. If none of TRIALS does, the next one, untried.

    Source: Armijo (1966); slide 11.
    """
    here, slope = f(w), g @ d
    eta = lr * torch.ones_like(here)
    for _ in range(TRIALS):
        enough = f(w + eta * d) <= here + c1 * eta * slope
        eta = torch.where(enough, eta, shrink * eta)
    return eta


def wolfe_search(f, w, g, d, *, c1=1e-4, c2=0.9):
    """An η after which f is low enough (Armijo) and its slope along d
    flat enough (Wolfe), by bisection.

    Too long a step becomes the upper end of the search, too short a
    one the lower. If none of TRIALS fits, the next one, untried: then
    pᵀq may be negative, and B stays as it is.
    Source: Wolfe (1969); Burke, Lewis and Overton (2008), bisection.
    """
    here, slope = f(w), g @ d
    eta = torch.ones_like(here)
    low, high = torch.zeros_like(here), math.inf * torch.ones_like(here)
    for _ in range(TRIALS):
        long = ~(f(w + eta * d) <= here + c1 * eta * slope)  # or NaN
        short = ~long & (grad(f)(w + eta * d) @ d < c2 * slope)
        low = torch.where(short, eta, low)
        high = torch.where(long, eta, high)
        middle = torch.where(high < math.inf, (low + high) / 2, 2 * low)
        eta = torch.where(long | short, middle, eta)
    return eta


# --- gradient descent with a line search


def steepest_descent(w, g, t, f):
    """Against the gradient, to the lowest point on that line.

    Source: Cauchy (1847); slide 11's search with d = g.
    """
    return w - exact_search(f, w, -g) * g


def backtracking_descent(
    w,
    g,
    t,
    f,
    *,
    lr: Rate = 1.0,
    shrink: Annotated[float, Range(0.1, 0.9, at_least=0.0, below=1.0)] = 0.5,
    c1: Strength = 1e-4,
):
    """Against the gradient, with the first rate that lowers the loss enough.

    Source: Armijo (1966); slide 11.
    """
    return w - backtracking_search(f, w, g, -g, lr=lr, shrink=shrink, c1=c1) * g


# --- Newton


def newton(w, g, t, f, *, lr: Rate = 1.0, damping: Damping = 0.0):
    """To the stationary point of the quadratic model. Damping μ bends the step
    toward the gradient and shortens it.

    Source: slides 10, 11; Levenberg (1944) for the damping.
    """
    H = hessian(f, w) + damping * identity(w)
    return w - lr * solve_ex(H, g)[0]


def newton_backtracking(w, g, t, f, *, damping: Damping = 0.0, c1: Strength = 1e-4):
    """Newton's direction with a line search; against the gradient where that direction climbs.

    Source: slide 11; Nocedal and Wright (2006), chapter 3.
    """
    d = -solve_ex(hessian(f, w) + damping * identity(w), g)[0]
    d = torch.where(g @ d < 0, d, -g)
    return w + backtracking_search(f, w, g, d, c1=c1) * d


# --- quasi-Newton: B, the inverse Hessian, from the steps p and the changes q of the gradient


def identity(w):
    """The matrix that changes nothing: B at t = 0."""
    return torch.diag(torch.ones_like(w))


def broyden_update(B, p, q, xi):
    """A B that explains the last step, B q = p: ξ = 0 is DFP, ξ = 1 BFGS.

    Source: Broyden (1967); slide 21.
    """
    tau = q @ B @ q
    v = p / (p @ q) - B @ q / tau
    C = torch.outer(p, p) / (p @ q) - torch.outer(B @ q, q @ B) / tau + xi * tau * torch.outer(v, v)
    return torch.where(curved(p, q), B + C, B)


def bfgs_update(B, p, q):
    """The Broyden family's update with ξ = 1, multiplied out.

    Source: slide 21; Broyden, Fletcher, Goldfarb and Shanno (1970).
    """
    C = torch.outer(p, p) / (p @ q) * (1 + q @ B @ q / (p @ q))
    C = C - (torch.outer(B @ q, p) + torch.outer(p, q @ B)) / (p @ q)
    return torch.where(curved(p, q), B + C, B)


def curved(p, q):
    """Whether the loss curves upward along the step, so that B stays
    positive definite."""
    return p @ q > NOISE * vector_norm(p) * vector_norm(q) + NOTHING


def broyden(w, g, t, f, B=identity, *, xi: Share = 1.0):
    """Quasi-Newton with any update of the Broyden family and a Wolfe search.

    Source: slides 20, 21.
    """
    d = -B @ g
    w_new = w + wolfe_search(f, w, g, d) * d
    return w_new, broyden_update(B, w_new - w, grad(f)(w_new) - g, xi)


def dfp(w, g, t, f, B=identity):
    """The first quasi-Newton method, ξ = 0.

    Source: Davidon (1959), Fletcher and Powell (1963).
    """
    return broyden(w, g, t, f, B, xi=0.0)


def bfgs(w, g, t, f, B=identity):
    """Newton's direction with B in place of the inverse Hessian, learned from the steps.

    Source: Broyden, Fletcher, Goldfarb and Shanno (1970); slides 20, 21.
    """
    d = -B @ g
    w_new = w + wolfe_search(f, w, g, d) * d
    return w_new, bfgs_update(B, w_new - w, grad(f)(w_new) - g)


def history(w):
    """Room for the last pairs, newest first, of shape (DEEPEST, n): zeros at t = 0."""
    return torch.zeros_like(w).repeat(DEEPEST, 1)


def two_loops(g, P, Q, memory):
    """B g from the last pairs (p, q) alone, without ever writing B down;
    the first B is a multiple of the identity.

    Source: Nocedal (1980).
    """
    pairs, over, a = [*zip(P, Q, strict=True)], [], []
    for k, (p, q) in enumerate(pairs):
        known = curved(p, q) & (k < memory)
        over.append(torch.where(known, 1 / (p @ q), 0.0))
    for (p, q), o in zip(pairs, over, strict=True):  # back in time
        a.append(o * (p @ g))
        g = g - a[-1] * q
    p, q = pairs[0]  # the newest: how flat the loss is
    g = torch.where(over[0] > 0, p @ q / (q @ q), 1.0) * g
    for (p, q), o, x in reversed([*zip(pairs, over, a, strict=True)]):
        g = g + (x - o * (q @ g)) * p  # and forward again
    return g


def lbfgs(w, g, t, f, P=history, Q=history, *, memory: Memory = 5.0):
    """BFGS that remembers the last pairs instead of a matrix: memory · n numbers instead of n².

    Source: Nocedal (1980), Liu and Nocedal (1989); slide 21.
    """
    d = -two_loops(g, P, Q, memory)
    w_new = w + wolfe_search(f, w, g, d) * d
    p, q = w_new - w, grad(f)(w_new) - g
    keep = curved(p, q)
    P = torch.where(keep, torch.cat([p[None], P[:-1]]), P)
    Q = torch.where(keep, torch.cat([q[None], Q[:-1]]), Q)
    return w_new, P, Q


CATALOG = {
    steepest_descent: Entry("steepest descent", "#44546a", dark="#a9bccf"),
    backtracking_descent: Entry("descent with backtracking", "#4f8a10", dark="#9ccc65", float32=4e-3),
    newton: Entry("Newton", "#7a1f1f", dark="#e07a6a", group="second order", float32=3e-3),
    # no tolerance: it may come to rest on a saddle point, and a last bit decides when it leaves
    newton_backtracking: Entry("Newton with backtracking", "#a0522d", dark="#e09a6a"),
    broyden: Entry("Broyden", "#8a6d00", dark="#d9bd4a"),
    dfp: Entry("DFP", "#12877f", dark="#45cdbf"),
    bfgs: Entry("BFGS", "#4b3fb0", dark="#9f95ff", group="second order"),
    lbfgs: Entry("L-BFGS", "#7d74d6", dark="#c6c0ff", group="second order"),
}

__all__ = [rule.__name__ for rule in CATALOG]
