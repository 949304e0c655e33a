"""MachineNow: one traced formula, run by JavaScript and by the graphics chip of the reader's own machine, and timed."""

import functools

import torch

from course_lib.backends import glsl, javascript
from course_lib.backends.recurrence import hyperparameters, trace_descent
from course_lib.formulas import adam, rosenbrock
from course_lib.formulas.signature import Range
from course_lib.formulas.surfaces import SURFACES
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Whole

STEPS = 200
MOST = 18  # doublings: 262,144 runs
AXES = {"lr": (1e-4, 1e-2), "beta1": (0.5, 0.95)}  # what differs between runs; none of these diverges
FAR = 1e6


class MachineNow(Figure):
    """How fast your own browser runs Adam, in JavaScript on one core and in WebGL2 on the graphics chip, for 2ᵏ runs.

        MachineNow(log2_runs=12)

    Both machines get the same formula, printed as JavaScript and as a shader. The slider `log2_runs` chooses how many runs are
    done at once; the page measures both rates whenever it moves, and remembers them. What it measures stays in the page: Python
    only knows the number of runs. Raises ValueError for a number outside its limits.
    """

    log2_runs = Whole(0, MOST)

    def __init__(self, log2_runs: int = 12):
        super().__init__(log2_runs=log2_runs)
        control = own_control("log2_runs", Range(0, MOST), log2_runs, "k", "2ᵏ runs at once", whole=True)
        hyper = hyperparameters(adam, rosenbrock)
        self.spec = {
            "steps": STEPS,
            "most": MOST,
            "bound": FAR,
            "axes": [{"name": name, "low": low, "high": high} for name, (low, high) in AXES.items()],
            "hyper": hyper,
            "start": [float(x) for x in SURFACES["rosenbrock"].start],
            "shader": shader(),
            "controls": [control],
            "initial": {"log2_runs": log2_runs},
        }
        self.code = code()

    @property
    def runs(self) -> int:
        """The runs that are done at once."""
        return 2**self.log2_runs

    @property
    def alt(self) -> str:
        """What the figure measures, in words; what it finds stands in the page."""
        return (
            f"Steps of Adam a second in the reader's own browser, over the number of runs at once, here {self.runs:,}: by JavaScript "
            f"on one core, and by WebGL2 on the graphics chip. The page measures both when it is open."
        )


@functools.cache
def shader() -> str:
    """The descent as a fragment shader: a pixel is a run, and gives where it ends."""
    return glsl.fragment(trace_descent(adam, rosenbrock), *AXES, results=("above", "lost", "w0", "w1"))


@functools.cache
def code() -> str:
    """The same descent as JavaScript: `run(start, steps, hyper)` gives the loss, w and the state at the end."""
    return javascript.loop("run", trace_descent(adam, rosenbrock), path=False)


def places(log2_runs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The values of both AXES, columns and rows of a grid of 2**log2_runs runs: each in the middle of its cell, in float64."""
    sizes = 2 ** ((log2_runs + 1) // 2), 2 ** (log2_runs // 2)
    ends = [torch.tensor(pair, dtype=torch.float64) for pair in AXES.values()]
    return tuple(low + (torch.arange(n) + 0.5) / n * (high - low) for n, (low, high) in zip(sizes, ends, strict=True))
