"""A step from one point, judged by the quadratic model there: what the model promises, and what the loss does."""

import math

import torch
from torch.func import grad
from torch.linalg import vector_norm

from course_lib.formulas.rules.descent import gradient_descent
from course_lib.formulas.second_order import hessian, identity, newton, quadratic_model

FLAT = 1e-9  # a curvature this much smaller than the other one is 0
NOISE = 1e-13  # a number this much smaller than the loss is rounding error


def curvatures(H):
    """The eigenvalues of a symmetric matrix of shape (2, 2), the smaller one first; one that is rounding error beside the other is 0.

    Equals torch.linalg.eigvalsh(H).
    """
    (a, b), (_, d) = H
    middle, spread = (a + d) / 2, (((a - d) / 2) ** 2 + b**2).sqrt()
    both = torch.stack([middle - spread, middle + spread])
    return torch.where(both.abs() > FLAT * both.abs().max(), both, 0.0)


def principal_axis(H):
    """The eigenvector of the larger eigenvalue of a symmetric matrix of shape (2, 2), of length 1; the x axis for a multiple of the identity.

    Equals torch.linalg.eigh(H)[1][:, 1], up to its sign.
    """
    (a, b), (_, d) = H
    half, spread = (a - d) / 2, (((a - d) / 2) ** 2 + b**2).sqrt()
    wide, tall = (
        torch.stack([spread + half, b]),
        torch.stack([b, spread - half]),
    )  # of the two, the longer one loses no digits
    axis = torch.where(half >= 0, wide, tall)
    length = vector_norm(axis)
    return torch.where(length > 0, axis / length, torch.stack([torch.ones_like(a), torch.zeros_like(a)]))


def outcome(f, w, end):
    """A step judged: the loss that the model promises at `end`, the loss there, actual over promised reduction, where on the
    line from w (0) to `end` (1) the model is flat, and how it bends along that line.

    The ratio is NaN where the promise is below the loss's rounding error. Source: slide 10; Nocedal and Wright (2006), chapter 4.
    """
    d, here, reached = end - w, f(w), f(end)
    bend = d @ hessian(f, w) @ d
    promised = quadratic_model(f, w, d)
    promised = torch.where(promised.abs() > NOISE * here.abs(), promised, 0.0)
    ratio = torch.where((here - promised).abs() > NOISE * here.abs(), (here - reached) / (here - promised), math.nan)
    return {"promised": promised, "reached": reached, "ratio": ratio, "flat": -(grad(f)(w) @ d) / bend, "bend": bend}


def judge(f, w, *, damping, lr, gradient_lr):
    """Everything that the figure shows about one point w, by name; tensors of shape () or (2,)."""
    g, H = grad(f)(w), hessian(f, w)
    ends = {"newton": newton(w, g, 1, f, lr=lr, damping=damping), "gradient": gradient_descent(w, g, 1, lr=gradient_lr)}
    stationary = newton(w, g, 1, f)
    return {
        "loss": f(w),
        "gradient": g,
        "slope": vector_norm(g),
        "curvatures": curvatures(H),
        "damped_curvatures": curvatures(H + damping * identity(w)),
        "axis": principal_axis(H),
        "stationary": stationary,
        "stationary_loss": quadratic_model(f, w, stationary - w),
        **{f"{key}_{name}": x for key, end in ends.items() for name, x in ({"end": end} | outcome(f, w, end)).items()},
    }
