"""Figures that a reader can move: x.py holds the state, x.js draws it."""

from course_lib.widgets.decay_map import DecayMap
from course_lib.widgets.descent import Descent
from course_lib.widgets.figure import Figure
from course_lib.widgets.fit import Fit
from course_lib.widgets.local_model import LocalModel
from course_lib.widgets.map import Map
from course_lib.widgets.mini_batch import MiniBatch
from course_lib.widgets.race import Race
from course_lib.widgets.rate_map import RateMap
from course_lib.widgets.ridge import Ridge
from course_lib.widgets.secant_ellipse import SecantEllipse
from course_lib.widgets.trainability import Trainability

__all__ = [
    "DecayMap",
    "Descent",
    "Figure",
    "Fit",
    "LocalModel",
    "Map",
    "MiniBatch",
    "Race",
    "RateMap",
    "Ridge",
    "SecantEllipse",
    "Trainability",
]
