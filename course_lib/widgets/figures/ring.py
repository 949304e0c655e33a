"""Ring: an all-reduce round by round, which machine holds whose parts, and what each has sent."""

import torch

from course_lib.backends import javascript
from course_lib.formulas import all_reduce
from course_lib.formulas.signature import Range
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Whole

ALGORITHMS = ("ring", "tree", "naive")
MOST = 8  # machines
RANGES = {"size": Range(1e-3, 1e4, "log"), "bandwidth": Range(0.01, 1000.0, "log"), "latency": Range(0.1, 1e4, "log")}
SYMBOLS = {"size": ("S", "array, MB"), "bandwidth": ("B", "bandwidth, GB/s"), "latency": ("λ", "latency, µs")}


class Ring(Figure):
    """An all-reduce over `n` machines, after `step` rounds: by the ring, a tree, or through machine 0 ("naive").

        Ring(8, "ring", step=3)

    A row is a machine, a column an n-th of the array; of each the stripes that are filled are the machines whose parts are in
    its sum. Bars are what each machine has sent. `size` in MB, `bandwidth` in GB/s and `latency` in µs give the time. With a
    kernel all of them can be read, set and observed; `fig.sent` are the MB that each machine has sent in the end, `fig.seconds`
    is the time. Raises ValueError for a setting outside the limits.
    """

    algorithm = Choice(ALGORITHMS, default_value="ring")
    n = Whole(2, MOST, default_value=4)
    step = Whole(0, 2 * (MOST - 1))
    size = Hyper(low=RANGES["size"].low, high=RANGES["size"].high)
    bandwidth = Hyper(low=RANGES["bandwidth"].low, high=RANGES["bandwidth"].high)
    latency = Hyper(low=RANGES["latency"].low, high=RANGES["latency"].high)

    def __init__(
        self,
        n: int = 4,
        algorithm: str = "ring",
        *,
        step: int = 1,
        size: float = 100.0,
        bandwidth: float = 10.0,
        latency: float = 10.0,
    ):
        values = {"size": size, "bandwidth": bandwidth, "latency": latency}
        super().__init__(n=n, algorithm=algorithm, step=step, **values)
        controls = [own_control("n", Range(2, MOST), n, "n", "machines", whole=True)]
        controls += [own_control(k, RANGES[k], getattr(self, k), *SYMBOLS[k]) for k in values]
        self.spec = {
            "algorithms": list(ALGORITHMS),
            "controls": controls,
            "initial": {k: getattr(self, k) for k in ("algorithm", "n", "step", *values)},
        }
        self.code = _javascript()

    @property
    def rounds(self) -> int:
        """The rounds after which every machine has the sum."""
        return int(_formula(self.algorithm, "rounds")(n=_whole(self.n)))

    @property
    def sent(self) -> torch.Tensor:
        """The MB that each machine has sent in the end, (n,)."""
        sent = _formula(self.algorithm, "sent")
        return sent(self.size, torch.arange(self.n), _whole(self.rounds), n=_whole(self.n)).double()

    @property
    def seconds(self) -> float:
        """The time of all rounds."""
        links = {"bandwidth": self.bandwidth * 1e9, "latency": self.latency * 1e-6}
        return float(_formula(self.algorithm, "seconds")(self.size * 1e6, n=_whole(self.n), **links))

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        return (
            f"An all-reduce of {self.size:g} MB over {self.n} machines by the algorithm {self.algorithm}, after {min(self.step, self.rounds)} of "
            f"{self.rounds} rounds. In the end the busiest machine has sent {self.sent.max():.3g} MB; "
            f"it takes {1000 * self.seconds:.3g} ms."
        )


def _formula(algorithm: str, what: str):
    return getattr(all_reduce, f"{algorithm}_{what}")


def _whole(x: int) -> torch.Tensor:
    return torch.tensor(x)


def _javascript() -> str:
    place = dict.fromkeys(("rank", "rounds", "n"), ())
    links = dict.fromkeys(("size", "n", "bandwidth", "latency"), ())
    parts = [javascript.of(all_reduce.ring_held, rank=(), chunk=(), rounds=(), n=())]
    parts += [javascript.of(_formula(name, "held"), **place) for name in ("tree", "naive")]
    for name in ALGORITHMS:
        parts.append(javascript.of(_formula(name, "sent"), size=(), **place))
        parts.append(javascript.of(_formula(name, "rounds"), n=()))
        parts.append(javascript.of(_formula(name, "seconds"), **links))
    return "\n".join(parts)
