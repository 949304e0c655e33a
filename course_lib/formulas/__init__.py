"""The blackboard: each formula of the lecture as one pure function."""

from course_lib.formulas.catalog import CATALOG, MATRIX_RULES, RULES, SECOND_ORDER, color
from course_lib.formulas.gradients import clip_by_global_norm, clip_by_norm, clip_by_value, clipped
from course_lib.formulas.matrices import *
from course_lib.formulas.minibatch import batch_gradient, example_gradients, gradient_covariance, noise_scale
from course_lib.formulas.objective import least_squares, line, logistic_loss, sine, squared_error, unit
from course_lib.formulas.rules.adaptive import *
from course_lib.formulas.rules.beyond import *
from course_lib.formulas.rules.decay import *
from course_lib.formulas.rules.descent import *
from course_lib.formulas.second_order import *
from course_lib.formulas.surfaces import SURFACES, beale, himmelblau, quadratic, ravine, rosenbrock, saddle

__all__ = [
    *CATALOG,  # every rule, by its name
    "CATALOG",
    "MATRIX_RULES",
    "RULES",
    "SECOND_ORDER",
    "SURFACES",
    "batch_gradient",
    "beale",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "clipped",
    "color",
    "example_gradients",
    "gradient_covariance",
    "himmelblau",
    "least_squares",
    "line",
    "logistic_loss",
    "noise_scale",
    "quadratic",
    "ravine",
    "rosenbrock",
    "saddle",
    "sine",
    "squared_error",
    "unit",
]
