"""LayoutChooser: the days of slide 61's training by layout, number of GPUs and topology, and how well the slide is reproduced."""

import functools

import traitlets

from course_lib.backends import javascript
from course_lib.experiments.layouts import (
    LAYOUTS,
    MOST,
    SLIDE_61,
    TOPOLOGIES,
    days,
    days_by_part,
    group_shape,
    possible_counts,
    slide_61_constants,
)
from course_lib.formulas.signature import Range
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Whole

CONSTANTS = slide_61_constants()
GIGABYTE = 1e9
OF_SLIDE = CONSTANTS.bandwidth / GIGABYTE  # the bandwidth that was fitted, in GB/s
BANDWIDTHS, SPEEDS = Range(0.5, 500.0, "log", at_least=0.0), Range(1.0, 100.0, "log", at_least=0.0)
LAYOUT_WORDS = {"data": "data", "model": "model", "hybrid": "hybrid"}
TOPOLOGY_WORDS = {"bus": "one bus for all", "switches": "a switch for each group", "links": "a link for each GPU"}


class LayoutChooser(Figure):
    """AlexNet for 100 epochs on 1 to 8 GPUs: days of computing, of gradients and of maps, and slide 61's table beside them.

        LayoutChooser()
        LayoutChooser("hybrid", n=4, topology="bus", bandwidth=10)

    `parallelism` is data, model or hybrid, `topology` bus, switches or links; `bandwidth` is in GB/s, by default that which the
    slide's rows imply, and `speed` how many times as fast as one of its GPUs each one computes. With a kernel all of them can
    be read, set and observed; `fig.parts` are the days by part and `fig.days` their sum. A new one that cannot have n GPUs
    takes the nearest smaller number that it can have, or its smallest. Raises ValueError for a setting outside its limits, and
    for a number of GPUs that the layout cannot have.
    """

    parallelism = Choice(LAYOUTS, default_value="data")
    topology = Choice(TOPOLOGIES, default_value="switches")
    n = Whole(1, MOST, default_value=1)
    bandwidth = Hyper(BANDWIDTHS, default_value=OF_SLIDE, above=0)
    speed = Hyper(SPEEDS, default_value=1.0, above=0)

    def __init__(
        self,
        parallelism: str = "data",
        *,
        n: int = 4,
        topology: str = "switches",
        bandwidth: float = round(OF_SLIDE, 3),
        speed: float = 1.0,
    ):
        group_shape(parallelism, n)
        super().__init__(parallelism=parallelism, topology=topology, n=n, bandwidth=bandwidth, speed=speed)
        names = ("parallelism", "topology", "n", "bandwidth", "speed")
        self.spec = {
            "constants": [*CONSTANTS],
            "fitted": OF_SLIDE,
            "most": MOST,
            "layouts": LAYOUT_WORDS,
            "topologies": TOPOLOGY_WORDS,
            "shapes": {x: {str(n): group_shape(x, n) for n in possible_counts(x)} for x in LAYOUTS},
            "rows": [row._asdict() for row in SLIDE_61],
            "controls": [
                own_control("bandwidth", BANDWIDTHS, self.bandwidth, "B", "bandwidth, GB/s"),
                own_control("speed", SPEEDS, self.speed, "×", "speed of a GPU"),
            ],
            "initial": {name: getattr(self, name) for name in names},
        }
        self.code = _javascript()

    @traitlets.validate("n")
    def _possible(self, proposal) -> int:
        group_shape(self.parallelism, proposal["value"])
        return proposal["value"]

    @traitlets.observe("parallelism")
    def _fit_the_count(self, change) -> None:
        possible = possible_counts(self.parallelism)
        if self.n not in possible:
            self.n = max([n for n in possible if n < self.n], default=possible[0])

    @property
    def parts(self) -> tuple[float, float, float]:
        """Days of computing, of gradients and of maps."""
        shape = group_shape(self.parallelism, self.n)
        hardware = {"speed": self.speed, "bandwidth": self.bandwidth / OF_SLIDE}
        return days_by_part(CONSTANTS, *shape, self.topology, **hardware)

    @property
    def days(self) -> float:
        """Of the whole training."""
        return sum(self.parts)

    @property
    def table(self) -> dict[str, float]:
        """What the model says about each of slide 61's rows, with the slide's hardware and this topology, in days."""
        return {row.words: days(CONSTANTS, row.groups, row.members, self.topology) for row in SLIDE_61}

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        computing, gradients, maps = self.parts
        rows = "; ".join(f"{row.words}: {row.days:g}, modeled {self.table[row.words]:.2f}" for row in SLIDE_61)
        return (
            f"AlexNet, 100 epochs, on {self.n} GPUs in the layout {self.parallelism}, {TOPOLOGY_WORDS[self.topology]}, "
            f"{self.bandwidth:.3g} GB/s: {self.days:.3g} days, of which {computing:.3g} compute, {gradients:.3g} are for gradients "
            f"and {maps:.3g} for maps. Slide 61's rows in days: {rows}."
        )


@functools.cache
def _javascript() -> str:
    names = ("compute", "gradients", "maps", "groups", "members", "bandwidth")
    return "\n".join(javascript.of(step, key, **dict.fromkeys(names, ())) for key, step in TOPOLOGIES.items())
