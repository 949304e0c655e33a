"""Figures over two axes whose pixels are runs: what Map and Trainability share."""

import torch
import traitlets

from course_lib.widgets.figures.maps.axis import Axis
from course_lib.widgets.kit.adjustable import Adjustable


class Plane(Adjustable):
    """A picture over `x_range` and `y_range`, computed by `shader` on a graphics chip, or by `code` where there is none."""

    x_range = traitlets.List().tag(sync=True)
    y_range = traitlets.List().tag(sync=True)
    shader = traitlets.Unicode().tag(sync=True)

    def _choose_axes(self, x: Axis, y: Axis, x_range, y_range) -> dict[str, list[float]]:
        """The ranges to begin with. Raises ValueError for one that can't be drawn."""
        self._axes = {"x_range": x, "y_range": y}
        return {
            k: a.check([a.low, a.high] if given is None else given)
            for (k, a), given in zip(self._axes.items(), (x_range, y_range), strict=True)
        }

    def _axes_spec(self) -> list[dict]:
        """What the figure needs to know of its axes; they begin with the present ranges."""
        return [axis.spec() | {"initial": getattr(self, name)} for name, axis in self._axes.items()]

    @traitlets.validate("x_range", "y_range")
    def _range_can_be_drawn(self, proposal):
        return self._axes[proposal["trait"].name].check(proposal["value"])

    def places(self, columns: int, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The values of x in the middle of each column and of y in the middle of each row, in float64."""
        return tuple(
            axis.centers(getattr(self, name), cells)
            for (name, axis), cells in zip(self._axes.items(), (columns, rows), strict=True)
        )

    def _runs(self, columns: int, rows: int) -> dict[str, torch.Tensor]:
        """The values of both axes for all runs, row after row."""
        x, y = self.places(columns, rows)
        return dict(
            zip(
                (axis.name for axis in self._axes.values()), (x.repeat(rows), y.repeat_interleave(columns)), strict=True
            )
        )

    def _over(self) -> str:
        """Both axes in words."""
        ends = ((axis.spec()["label"], *getattr(self, name)) for name, axis in self._axes.items())
        return " and ".join(f"{name} from {low:g} to {high:g}" for name, low, high in ends)
