"""Figures that a reader can move: x.py holds the state, x.js draws it."""

from course_lib.widgets.descent import Descent
from course_lib.widgets.figure import Figure
from course_lib.widgets.rate_map import RateMap

__all__ = ["Descent", "Figure", "RateMap"]
