"""What weight decay does to the minimum: on a quadratic each eigenvector of the Hessian keeps the share h / (h + λ).

The loss is a bowl about the data's minimum θ* = (x, y). Its Hessian has the eigenvalues h = 1 along the valley, whose direction is
`angle` degrees, and h = `condition_number` across it.
"""

import math
from typing import Annotated

import torch

from course_lib.formulas.signature import Range, Strength
from course_lib.formulas.surfaces import Condition, Degrees, quadratic

Place = Annotated[float, Range(-2.5, 2.5)]


def bowl(w, *, x: Place = 1.5, y: Place = 0.8, condition_number: Condition = 10.0, angle: Degrees = -30.0):
    """The data's loss: a quadratic with its minimum at (x, y). `w` has the shape (2,).

    Source: slide 12, moved away from 0.
    """
    return quadratic(
        w - torch.stack([torch.ones_like(w[0]) * x, torch.ones_like(w[0]) * y]),
        condition_number=condition_number,
        angle=angle,
    )


def l2_penalty(w, decay: Strength):
    """What the penalty adds to the loss, λ/2 ‖w‖², for w of any shape.

    Source: slide 8; Hoerl and Kennard (1970). Its gradient is λ w, not λ ‖w‖ and not 2 λ w.
    """
    return decay / 2 * (w**2).sum()


def shrinkage(curvature, decay):
    """The share of the data's minimum that is left along an eigenvector of the Hessian: h / (h + λ).

    1 where the data insist (h far above λ), 0 where they do not care (h far below λ). Both broadcast.
    Source: Hoerl and Kennard (1970); Krogh and Hertz (1991).
    """
    return curvature / (curvature + decay)


def eigenvectors(angle):
    """The directions along the valley and across it, the rows of a (2, 2) tensor; `angle` in degrees is a tensor of shape ()."""
    radians = angle * math.pi / 180
    return torch.stack([torch.stack([radians.cos(), radians.sin()]), torch.stack([-radians.sin(), radians.cos()])])


def ridge_minimum(x, y, condition_number, angle, decay):
    """The minimum of the bowl plus λ/2 ‖w‖², of shape (2,): θ*, shrunk along each eigenvector. Tensors of shape ().

    As λ grows it walks from θ* to 0, along the ridge trace. Source: Hoerl and Kennard (1970).
    """
    axes = eigenvectors(angle)
    curvature = torch.stack([torch.ones_like(condition_number), condition_number])
    return axes.T @ (shrinkage(curvature, decay) * (axes @ torch.stack([x, y])))


def level_curve(phase, x, y, condition_number, angle, loss):
    """The point of the bowl's contour at this loss, of shape (2,), that is `phase` radians around it. Tensors of shape ()."""
    along, across = phase.cos(), phase.sin() / condition_number.sqrt()
    return torch.stack([x, y]) + (2 * loss).sqrt() * (eigenvectors(angle).T @ torch.stack([along, across]))
