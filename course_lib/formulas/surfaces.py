"""Loss surfaces of two parameters, by growing difficulty. Each takes w of shape (2,) and returns a scalar."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch

from course_lib.formulas.signature import Range

Condition = Annotated[float, Range(1.0, 1000.0, "log", at_least=1.0)]
Degrees = Annotated[float, Range(-90.0, 90.0)]
Bend = Annotated[float, Range(1.0, 1000.0, "log", at_least=0.0)]
Small = Annotated[float, Range(1e-3, 1.0, "log", at_least=0.0)]


def quadratic(w, *, condition_number: Condition = 10.0, angle: Degrees = 0.0):
    """A bowl whose Hessian has the eigenvalues 1 and `condition_number`; its long axis is turned by `angle` degrees.

    Source: slide 12, where the condition number is 5.
    """
    radians = torch.ones_like(w[0]) * angle * math.pi / 180
    along = radians.cos() * w[0] + radians.sin() * w[1]
    across = radians.cos() * w[1] - radians.sin() * w[0]
    return (along**2 + condition_number * across**2) / 2


def ravine(w, *, width: Small = 0.1, slope: Small = 0.1):
    """Two walls of slope 1 that meet in a floor `width` wide, which falls gently toward the minimum.

    Far from the floor the gradient says nothing about the distance to it. Source: the walls are the loss of Charbonnier et al. (1994).
    """
    x, y = w
    wall = (y**2 + width**2).sqrt() - width
    return wall + slope * x**2 / 2


def saddle(w):
    """A saddle point at (0, 0), flat enough to look like the end, with a minimum on either side of it.

    Source: the simplest function of the kind that Dauphin et al. (2014) hold responsible for plateaus.
    """
    x, y = w
    return x**2 / 2 - y**2 / 2 + y**4 / 4


def rosenbrock(w, *, a: Annotated[float, Range(0.5, 1.5)] = 1.0, b: Bend = 100.0):
    """A bent valley: easy to find, hard to follow.

    Source: Rosenbrock, "An automatic method for finding the greatest or least value of a function" (1960).
    """
    x, y = w
    return (a - x) ** 2 + b * (y - x**2) ** 2


def beale(w):
    """Plateaus between steep walls: gradients that differ by five orders of magnitude.

    Source: Beale, "On an iterative method for finding a local minimum of a function of more than one variable" (1958).
    """
    x, y = w
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def himmelblau(w):
    """Four minima of equal depth: which one you reach depends on where you start and how you step.

    Source: Himmelblau, "Applied Nonlinear Programming" (1972).
    """
    x, y = w
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def turned(points, angle):
    """Points of the plane, of shape (..., 2), turned about the origin by `angle` degrees."""
    radians = angle * math.pi / 180
    x, y = points[..., 0], points[..., 1]
    return torch.stack(
        [math.cos(radians) * x - math.sin(radians) * y, math.sin(radians) * x + math.cos(radians) * y], -1
    )


@dataclass(frozen=True)
class Surface:
    """A surface and what one must know to draw it.

    `domain`: ((x low, x high), (y low, y high)); `start`: a point from which the descent is instructive;
    `minima(**hyper)`: the points of least loss, as pairs.
    """

    formula: Callable
    domain: tuple[tuple[float, float], tuple[float, float]]
    start: tuple[float, float]
    minima: Callable[..., tuple] = lambda **hyper: ()

    @staticmethod
    def of(formula: Callable) -> "Surface":
        """The course's entry for a surface; for a reader's own, the square from -2 to 2."""
        return formula if isinstance(formula, Surface) else Surface._of_function(formula)

    @staticmethod
    def function(surface) -> Callable:
        """The function in a Surface; anything else as it is, for signature() to judge."""
        return surface.formula if isinstance(surface, Surface) else surface

    @staticmethod
    def _of_function(formula: Callable) -> "Surface":
        return next((s for s in SURFACES.values() if s.formula is formula), None) or Surface(
            formula, ((-2, 2), (-2, 2)), (-1.5, 1.0)
        )


_HIMMELBLAU_MINIMA = (
    (3.0, 2.0),
    (-2.805118086952745, 3.131312518250573),
    (-3.779310253377747, -3.283185991286170),
    (3.584428340330492, -1.848126526964404),
)

SURFACES = {
    s.formula.__name__: s
    for s in (
        Surface(
            quadratic, ((-2.5, 2.5), (-1.6, 1.6)), (-2.2, 1.2), lambda condition_number=10.0, angle=0.0: ((0.0, 0.0),)
        ),
        Surface(ravine, ((-2.5, 2.5), (-1.2, 1.2)), (-2.2, 0.8), lambda width=0.1, slope=0.1: ((0.0, 0.0),)),
        Surface(saddle, ((-2.0, 2.0), (-1.8, 1.8)), (-1.5, 0.01), lambda: ((0.0, 1.0), (0.0, -1.0))),
        Surface(rosenbrock, ((-2.0, 2.0), (-1.0, 3.0)), (-1.2, 1.0), lambda a=1.0, b=100.0: ((a, a**2),)),
        Surface(beale, ((-4.5, 4.5), (-4.5, 4.5)), (1.0, 1.5), lambda: ((3.0, 0.5),)),
        Surface(himmelblau, ((-6.0, 6.0), (-6.0, 6.0)), (0.0, -0.5), lambda: _HIMMELBLAU_MINIMA),
    )
}
