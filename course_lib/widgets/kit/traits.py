"""Traits that know their limits: each refuses what a figure can't show by a ValueError that names it, at once and later."""

import math
import numbers
from collections.abc import Iterable

import traitlets

from course_lib.experiments.settings import whole_number
from course_lib.formulas.signature import Range, Signature


def real_number(name: str, value) -> float:
    """The `value` of the argument `name` as a float: a number, NumPy's or a tensor of one.

    Raises ValueError for any other, also for a text, for True and for a complex number.
    """
    x = value.item() if getattr(value, "ndim", None) == 0 else value
    if isinstance(x, bool) or not isinstance(x, numbers.Real):
        raise ValueError(f"{name} must be a number, got {value!r}.")
    return float(x)


def finite_numbers(name: str, values, count: int | None = None) -> list[float]:
    """So many finite numbers, or any, as floats. Raises ValueError for what is something else, or of another length."""
    try:
        if isinstance(values, str):
            raise ValueError
        found = [real_number(name, x) for x in values]
    except (TypeError, ValueError):
        found = [math.nan]
    if not all(map(math.isfinite, found)) or count is not None and len(found) != count:
        wanted = {None: "", 2: "two "}.get(count, f"{count} ")
        raise ValueError(f"{name} must be {wanted}finite numbers, got {_shown(values)}.")
    return found


def plane_domain(value) -> list[list[float]]:
    """A part of the plane. Raises ValueError for what is not ((x low, x high), (y low, y high)), finite and not empty."""
    try:
        (x0, x1), (y0, y1) = sides = [finite_numbers("domain", side, 2) for side in value]
    except (TypeError, ValueError):
        sides = None
    if sides is None or not (x0 < x1 and y0 < y1):
        raise ValueError(f"domain must be ((x low, x high), (y low, y high)), got {_shown(value)}.")
    return sides


def _shown(value) -> str:
    """As the reader wrote it, but for tuples: a trait may have made lists of them."""
    return repr(list(value)) if isinstance(value, tuple) else repr(value)


class Hyper(traitlets.Float):
    """A number within limits: those of a formula's hyperparameter (`of`), or from `low` to `high`, or `above` a number.

    Without any the figure's own `_check(name, value)` says. `because` ends the sentence that refuses a value.
    """

    def __init__(self, of: Signature | Range | None = None, *, low=None, high=None, above=None, because="", **kwargs):
        super().__init__(**kwargs)
        self._of, self._low, self._high, self._above = of, low, high, above
        self._because = because and f", {because}"
        self.tag(sync=True)

    def validate(self, obj, value):
        """The value as a float."""
        x = real_number(self.name, value)
        if self._of is not None:
            self._of.check(self.name, x)
        if self._above is not None and not self._above < x < math.inf:
            raise ValueError(f"{self.name} must be above {self._above:g} and finite{self._because}, got {x}.")
        if self._low is not None and not self._low <= x <= self._high:
            limits = f"between {self._low:g} and {self._high:g}"
            raise ValueError(f"{self.name} must lie {limits}{self._because}, got {x:g}.")
        if (self._of, self._above, self._low) == (None, None, None):
            obj._check(self.name, x)
        return x


class Point(traitlets.List):
    """Two finite numbers, inside `domain` if it is given: a place that a reader drags."""

    def __init__(self, domain: list[list[float]] | None = None, **kwargs):
        super().__init__(**kwargs)
        self._domain = domain
        self.tag(sync=True)

    def validate(self, obj, value):
        """The place as a list of two floats."""
        if self._domain is None:
            return finite_numbers(self.name, value, 2)
        (x0, x1), (y0, y1) = self._domain
        try:
            x, y = finite_numbers(self.name, value, 2)
        except ValueError:
            x = y = math.nan
        if not (x0 <= x <= x1 and y0 <= y <= y1):
            limits = f"x from {x0:g} to {x1:g} and y from {y0:g} to {y1:g}"
            raise ValueError(f"{self.name} must be two numbers in the picture, {limits}, got {_shown(value)}.")
        return [x, y]


class Numbers(traitlets.List):
    """Finite numbers, as many as the figure's attribute `count` says."""

    def __init__(self, count: str, **kwargs):
        super().__init__(**kwargs)
        self._count = count
        self.tag(sync=True)

    def validate(self, obj, value):
        """The numbers as a list of floats."""
        return finite_numbers(self.name, value, getattr(obj, self._count))


class Points(traitlets.List):
    """Places, the last `most` of them."""

    def __init__(self, most: int, **kwargs):
        super().__init__(**kwargs)
        self._most = most
        self.tag(sync=True)

    def validate(self, obj, value):
        """Lists of two floats."""
        return [finite_numbers(f"A point of the {self.name}", point, 2) for point in value][-self._most :]


class Whole(traitlets.Int):
    """A whole number from `low` to `high`; `high` may be the name of another trait that holds it."""

    def __init__(self, low: int, high: int | str, **kwargs):
        super().__init__(**kwargs)
        self._low, self._high = low, high
        self.tag(sync=True)

    def validate(self, obj, value):
        """The value as an int."""
        high = getattr(obj, self._high) if isinstance(self._high, str) else self._high
        return whole_number(self.name, value, self._low, high)


class Choice(traitlets.Unicode):
    """One of some names; `options` may be the name of the figure's attribute that holds them."""

    def __init__(self, options: Iterable[str] | str, **kwargs):
        super().__init__(**kwargs)
        self._options = options if isinstance(options, str) else tuple(options)
        self.tag(sync=True)

    def validate(self, obj, value):
        """The name, if it is one of them."""
        options = getattr(obj, self._options) if isinstance(self._options, str) else self._options
        if not isinstance(value, str) or value not in options:
            raise ValueError(f"{self.name} must be one of {', '.join(options)}, got {value!r}.")
        return value
