"""Figures whose hyperparameters can be read, set and observed: `fig.lr`."""

from collections.abc import Sequence

import traitlets

from course_lib.formulas.signature import Signature
from course_lib.widgets.kit.figure import Figure


class _Hyperparameter(traitlets.Float):
    """A value of a slider or of a ring; one outside the hyperparameter's limits is an error also when it is set later."""

    def validate(self, obj, value):
        value = super().validate(obj, value)
        obj._check(self.name, value)
        return value


class Adjustable(Figure):
    """A figure of formulas whose `_signatures` say what can be adjusted; where they share a name they share the value."""

    _signatures: Sequence[Signature]
    _hyper: tuple[str, ...]

    def _add_hyperparameters(self, values: dict[str, float]) -> None:
        """Each one as a synchronized trait. Raises ValueError for a value outside its limits."""
        self._hyper = tuple(values)
        for name, value in values.items():
            self._check(name, value)
        self.add_traits(**{name: _Hyperparameter(value).tag(sync=True) for name, value in values.items()})

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
