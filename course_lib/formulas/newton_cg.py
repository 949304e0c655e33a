"""Newton's step without the Hessian: products with it, and conjugate gradients, which ask for nothing else.

As in `second_order`, the loss is `f(w)`, a scalar, `w` one vector of shape (n,), and nothing branches on a value.
"""

import torch
from torch.func import grad

from course_lib.formulas.second_order import Damping, Strength, backtracking_search


def hessian_product(f, w, v):
    """H v: the gradient of the slope along v, without H.

    Source: Pearlmutter (1994).
    """
    return grad(lambda w: grad(f)(w) @ v)(w)


def conjugate_gradients(product, b, *, steps):
    """The x that solves A x = b, from products with A alone, after
    so many steps. `product(v)` is A v; A is symmetric.

    It stops before a direction along which A is not positive: at
    x = 0 if b itself is one.
    Source: Hestenes and Stiefel (1952); Steihaug (1983) for the stop.
    """
    x, r, d = torch.zeros_like(b), b, b
    going = b @ b > 0
    for _ in range(steps):
        Ad = product(d)
        going = going & (d @ Ad > 0)
        eta = torch.where(going, r @ r / (d @ Ad), 0.0)
        x, new = x + eta * d, r - eta * Ad
        d = torch.where(going, new + new @ new / (r @ r) * d, d)
        r = new
    return x


def newton_cg(w, g, t, f, *, products=10, damping: Damping = 0.0, c1: Strength = 1e-4):
    """Newton's direction from so many products with the Hessian, with a line search; against the gradient where it curves down.

    Source: slide 11; Nocedal and Wright (2006), algorithm 7.1.
    """
    d = conjugate_gradients(lambda v: hessian_product(f, w, v) + damping * v, -g, steps=products)
    d = torch.where(g @ d < 0, d, -g)
    return w + backtracking_search(f, w, g, d, c1=c1) * d
