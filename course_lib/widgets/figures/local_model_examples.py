"""The surfaces that LocalModel offers, each with a point that is worth a look."""

from collections.abc import Callable
from dataclasses import dataclass

from course_lib.formulas.surfaces import Surface, himmelblau, quadratic, rosenbrock, saddle


@dataclass(frozen=True)
class Example:
    """A surface, the part of the plane to draw, a point that is worth a look, and a learning rate that suits the surface."""

    formula: Callable
    domain: tuple[tuple[float, float], tuple[float, float]]
    w: tuple[float, float]
    gradient_lr: float
    minima: tuple[tuple[float, float], ...] = ()

    @staticmethod
    def of(surface: Callable) -> "Example":
        """What is known about a function, one of the reader's own too."""
        known = Surface.of(surface)
        return next((e for e in EXAMPLES.values() if e.formula is surface), None) or Example(
            surface, known.domain, known.start, 0.01, known.minima()
        )


def canyon(w):
    """The quadratic of slide 12, of condition number 5."""
    return quadratic(w, condition_number=5.0)


# All square, so that nothing on the page moves when another one is chosen. Newton's walk on rosenbrock leaves its usual domain.
EXAMPLES = {
    "quadratic": Example(canyon, ((-2.5, 2.5), (-2.5, 2.5)), (2.0, 0.6), 0.38, ((0.0, 0.0),)),
    "saddle": Example(saddle, ((-2.0, 2.0), (-2.0, 2.0)), (-1.2, 0.4), 0.3, Surface.of(saddle).minima()),
    "himmelblau": Example(himmelblau, ((-6.0, 6.0), (-6.0, 6.0)), (3.8, 3.4), 0.014, Surface.of(himmelblau).minima()),
    "rosenbrock": Example(rosenbrock, ((-3.2, 3.2), (-3.6, 2.8)), (-1.2, 1.0), 0.001, Surface.of(rosenbrock).minima()),
}
