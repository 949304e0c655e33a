"""Slide 61's five rows and a model of them: three constants, fitted to some of the rows, predict the others.

The table is that of Yadan et al. (2013): AlexNet, 100 epochs of ImageNet in batches of 256, on up to four NVIDIA TITANs in one server.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch

from course_lib.experiments.layer_costs import parameters
from course_lib.experiments.network_costs import IMAGENET
from course_lib.experiments.settings import whole_number
from course_lib.formulas.parallel_costs import step_on_bus, step_on_links, step_on_switches

DAY = 86_400
EPOCHS, BATCH = 100, 256
STEPS = EPOCHS * -(-IMAGENET // BATCH)
GRADIENTS = 4 * parameters("AlexNet")  # bytes
TOPOLOGIES = {"bus": step_on_bus, "switches": step_on_switches, "links": step_on_links}
LAYOUTS = ("data", "model", "hybrid")
PAIR = 2  # the members of a group in a hybrid: slide 60
MOST = 8
SPLITS = (1, 2, 4, 8)  # into which AlexNet's filters can be cut: each of 96, 256, 384 and 4,096 divides by 8


class Row(NamedTuple):
    """A line of the table: its words, groups x members, and what was measured, in days."""

    words: str
    groups: int
    members: int
    days: float


SLIDE_61 = (
    Row("1 GPU", 1, 1, 10.5),
    Row("2 GPUs, model parallel", 1, 2, 6.6),
    Row("2 GPUs, data parallel", 2, 1, 7.0),
    Row("4 GPUs, data parallel", 4, 1, 7.2),
    Row("4 GPUs, model + data parallel", 2, 2, 4.8),
)
FITTED = (0, 1, 2)  # the rows that the constants are taken from; the other two are predicted


class Constants(NamedTuple):
    """Days of computing on one GPU, of all gradients once over the bus, and of all crossing maps once over it."""

    compute: float
    gradients: float
    maps: float

    @property
    def bandwidth(self) -> float:
        """Of the bus, in bytes a second: AlexNet's gradients, once in each step, take `gradients` days."""
        return GRADIENTS * STEPS / (self.gradients * DAY)

    @property
    def map_bytes(self) -> float:
        """Of the crossing maps of a batch."""
        return self.maps * DAY / STEPS * self.bandwidth


def group_shape(parallelism: str, n: int) -> tuple[int, int]:
    """(groups, members) of n GPUs. Raises ValueError for a kind that there is none of, or one that cannot have n GPUs."""
    if parallelism not in LAYOUTS:
        raise ValueError(f"parallelism must be one of {', '.join(LAYOUTS)}, got {parallelism!r}.")
    n = whole_number("n", n, 1, MOST)
    if parallelism == "model" and n not in SPLITS:
        raise ValueError(f"The model-parallel layout cuts 96 and more filters evenly: n must be 1, 2, 4 or 8, got {n}.")
    if parallelism == "hybrid" and (n < 2 * PAIR or n % PAIR):
        raise ValueError(f"The hybrid layout has at least two pairs: n must be 4, 6 or 8, got {n}.")
    return {"data": (n, 1), "model": (1, n), "hybrid": (n // PAIR, PAIR)}[parallelism]


def possible_counts(layout: str) -> list[int]:
    """The numbers of GPUs that the layout can have, up to 8."""
    return {"data": [*range(1, MOST + 1)], "model": [*SPLITS], "hybrid": [*range(2 * PAIR, MOST + 1, PAIR)]}[layout]


def days_by_part(
    constants: Constants,
    groups: int,
    members: int,
    topology: str = "switches",
    *,
    speed: float = 1.0,
    bandwidth: float = 1.0,
) -> tuple[float, ...]:
    """Days of computing, of gradients and of maps for the training of slide 61.

    `speed` and `bandwidth` are multiples of those of the slide's GPUs and bus.
    """
    layout = {"groups": groups, "members": members, "bandwidth": bandwidth}  # the sizes are days of the slide's bus
    return TOPOLOGIES[topology](constants.compute / speed, constants.gradients, constants.maps, **layout)


def days(constants: Constants, groups: int, members: int, topology: str = "switches", **hardware: float) -> float:
    """The same in all."""
    return sum(days_by_part(constants, groups, members, topology, **hardware))


def fit(rows: Iterable[Row], topology: str = "switches") -> Constants:
    """The constants whose relative errors on these rows have the least squares; exact for three rows that decide them."""
    rows = list(rows)
    unit = [Constants(*x) for x in torch.eye(3, dtype=torch.float64).tolist()]  # the model is linear in the constants
    parts = [[days(c, row.groups, row.members, topology) / row.days for c in unit] for row in rows]
    a = torch.tensor(parts, dtype=torch.float64)
    if len(rows) < 3 or torch.linalg.matrix_rank(a) < 3:
        raise ValueError(
            f"These {len(rows)} rows do not decide three constants: take one GPU, a data-parallel and a model-parallel row."
        )
    return Constants(*torch.linalg.lstsq(a, torch.ones(len(rows), 1, dtype=torch.float64)).solution.flatten().tolist())


def slide_61_constants() -> Constants:
    """The constants of the first three rows: one GPU, two model parallel, two data parallel."""
    return fit(SLIDE_61[k] for k in FITTED)


def leave_one_out() -> dict[Row, float]:
    """For each row what the constants predict that are fitted to the four others, in days."""
    others = {row: fit(other for other in SLIDE_61 if other is not row) for row in SLIDE_61}
    return {row: days(constants, row.groups, row.members) for row, constants in others.items()}
