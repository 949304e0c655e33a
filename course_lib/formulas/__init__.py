"""The blackboard: each formula of the lecture as one pure function."""

from course_lib.formulas.optimizers import RULES, gradient_descent, momentum, nesterov, sgd
from course_lib.formulas.surfaces import SURFACES, beale, himmelblau, quadratic, ravine, rosenbrock, saddle

__all__ = [
    "RULES",
    "SURFACES",
    "beale",
    "gradient_descent",
    "himmelblau",
    "momentum",
    "nesterov",
    "quadratic",
    "ravine",
    "rosenbrock",
    "saddle",
    "sgd",
]
