"""Figures whose hyperparameters can be read, set and observed: `fig.lr`."""

import inspect
from collections.abc import Iterable, Sequence

from course_lib.experiments.settings import check_names
from course_lib.formulas.signature import Signature
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Hyper, real_number


class Adjustable(Figure):
    """A figure of formulas whose `_signatures` say what can be adjusted; where they share a name they share the value."""

    _signatures: Sequence[Signature]
    _hyper: tuple[str, ...]
    _taken: tuple[str, ...] = ()  # names that a hyperparameter can't have besides those of attributes and arguments

    def _settings(self, defaults: dict[str, float], hyper: dict[str, float]) -> dict[str, float]:
        """The value of each hyperparameter: the one that was given, or its default.

        Raises TypeError for an unknown name, and for one that the figure has a use of its own for, because each becomes an
        attribute of the figure and a keyword.
        """
        check_names(self._signatures, hyper)
        taken = {*self._taken, *self._arguments()}
        for name in defaults:
            if hasattr(type(self), name) or name in taken:
                raise TypeError(
                    f"A hyperparameter of a figure can't be called `{name}`: "
                    f"the figure has a `{name}` of its own. Rename it, as in `my_{name}`."
                )
        return {name: real_number(name, value) for name, value in (defaults | hyper).items()}

    @classmethod
    def _arguments(cls) -> Iterable[str]:
        figures = [c for c in cls.__mro__ if issubclass(c, Figure) and "__init__" in vars(c)]
        return {name for c in figures for name in inspect.signature(c.__init__).parameters}

    def _add_hyperparameters(self, values: dict[str, float]) -> None:
        """Each one as a synchronized trait. Raises ValueError for a value outside its limits."""
        self._hyper = tuple(values)
        for name, value in values.items():
            self._check(name, value)
        self.add_traits(**{name: Hyper(default_value=value) for name, value in values.items()})

    def _owner(self, name: str) -> Signature:
        return next(s for s in self._signatures if name in s.hyper)

    def _check(self, name: str, value: float) -> None:
        for s in self._signatures:
            if name in s.hyper:
                s.check(name, value)

    @property
    def hyper(self) -> dict[str, float]:
        """The hyperparameters by name, as the figure has them now."""
        return {name: getattr(self, name) for name in self._hyper}
