"""The axes of a map: a name, a range, a scale, and how far the range may go."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from course_lib.formulas.signature import Range
from course_lib.widgets.kit.controls import label, symbol
from course_lib.widgets.kit.scales import SCALES

SMALLEST = 1e-12  # on a logarithmic axis
LARGEST = 1e6
NEAREST = 1e-6  # to what a value must stay below: a decay to 1, of which float32 holds 7 digits
NARROWEST = 1e-4  # of an axis, in decades or relative to its values: below, neighbors are one number in float32


@dataclass(frozen=True)
class Axis:
    """One axis: `low` to `high` as drawn first; a reader may move it between `least` and `most`."""

    name: str
    low: float
    high: float
    scale: str
    least: float
    most: float

    @classmethod
    def of_range(cls, name: str, r: Range) -> "Axis":
        """The axis of a hyperparameter with this range."""
        least = max(r.at_least, SMALLEST if r.scale == "log" else -LARGEST)
        most = LARGEST if r.below == math.inf else r.below - NEAREST
        return cls(name, max(r.low, least), min(r.high, most), r.scale, least, most)

    def check(self, bounds: Sequence[float]) -> list[float]:
        """The range as two floats. Raises ValueError for one that is empty, inverted, not finite, or outside the limits."""
        try:
            low, high = (float(x) for x in bounds)
        except (TypeError, ValueError):
            raise ValueError(f"The range of {self.name} must be (low, high), got {bounds!r}.") from None
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"The range of {self.name} must be finite, got ({low:g}, {high:g}).")
        if low >= high:
            raise ValueError(
                f"The range of {self.name} is {'empty' if low == high else 'inverted'}: it must be (low, high) with low < high, got ({low:g}, {high:g})."
            )
        if low < self.least or high > self.most:
            raise ValueError(
                f"The range of {self.name} must lie between {self.least:.7g} and {self.most:.7g}, got ({low:g}, {high:g})."
            )
        return [low, high]

    def centers(self, bounds: Sequence[float], cells: int) -> torch.Tensor:
        """The values in the middle of `cells` equal cells of the axis, in float64."""
        stretch, back = SCALES[self.scale]
        low, high = stretch(torch.tensor(bounds, dtype=torch.float64))
        return back(low + (torch.arange(cells, dtype=torch.float64) + 0.5) / cells * (high - low))

    def spec(self) -> dict:
        """What a figure needs to know of it."""
        point = self.name in ("w0", "w1")
        names = (
            {"symbol": self.name.translate(str.maketrans("01", "₀₁")), "label": f"start {'xy'[int(self.name[1])]}"}
            if point
            else {"symbol": symbol(self.name), "label": label(self.name)}
        )
        return {
            "name": self.name,
            "scale": self.scale,
            "initial": [self.low, self.high],
            "limits": [self.least, self.most],
            "narrowest": NARROWEST,
        } | names
