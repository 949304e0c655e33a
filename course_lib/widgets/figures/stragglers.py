"""Stragglers: the lanes of n machines over some steps, with a barrier, with backup workers or without, and the speed-up over n."""

import functools

import torch

from course_lib.backends import javascript
from course_lib.backends.javascript_arrays import of_arrays
from course_lib.experiments.batches import uniform_draws
from course_lib.formulas.signature import Range
from course_lib.formulas.stragglers import SLOWEST, TIMES, backup_speed_up
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Whole

MOST = 64  # machines
STEPS = 100  # that are drawn and counted; the lanes show the first of them
SPREADS = (0.02, 0.55)  # up to 1/√3, where a uniform time would begin at 0
MODES = {"synchronous": "synchronous", "backup": "backup workers", "asynchronous": "asynchronous"}


class Stragglers(Figure):
    """n machines that each draw their time for a gradient, and what a barrier makes of it.

        Stragglers(8)
        Stragglers(32, mode="backup", dropped=2, distribution="Pareto", spread=0.5)

    `mode` is "synchronous" (a step ends with the slowest machine), "backup" (with the slowest but `dropped`) or "asynchronous"
    (nobody waits). The times have the mean 1 and the standard deviation `spread`. With a kernel all settings can be read, set and
    observed; `fig.times` are the draws, `fig.expected` is the speed-up by the formula and `fig.counted` that of the draws.
    Raises ValueError for a setting outside its limits.
    """

    n = Whole(1, MOST)
    distribution = Choice(TIMES)
    spread = Hyper(low=SPREADS[0], high=SPREADS[1])
    mode = Choice(MODES)
    dropped = Whole(0, MOST - 1)
    seed = Whole(0, 2**32 - 1)

    def __init__(
        self,
        n: int = 8,
        *,
        distribution: str = "lognormal",
        spread: float = 0.3,
        mode: str = "synchronous",
        dropped: int = 1,
        seed: int = 1,
    ):
        settings = {"n": n, "distribution": distribution, "spread": spread, "mode": mode, "dropped": dropped}
        super().__init__(seed=seed, **settings)
        self.spec = {
            "most": MOST,
            "steps": STEPS,
            "distributions": {name: formula.__name__.removesuffix("_time") for name, formula in TIMES.items()},
            "modes": MODES,
            "controls": [
                own_control("n", Range(1, MOST, "log"), self.n, "n", "machines", whole=True),
                own_control("spread", Range(*SPREADS), self.spread, "σ", "spread of a time"),
                own_control("dropped", Range(0, 16), self.dropped, "k", "machines not waited for", whole=True),
            ],
            "initial": settings | {"seed": self.seed},
        }
        self.code = _javascript()

    @property
    def left_out(self) -> int:
        """How many of the machines a step does not wait for; one is left in any case."""
        return min(self.dropped, self.n - 1) if self.mode == "backup" else 0

    @property
    def times(self) -> torch.Tensor:
        """The drawn times, (100, n): a machine's do not depend on n."""
        u = uniform_draws(self.seed, 2 * STEPS * MOST).reshape(STEPS, MOST, 2)[:, : self.n]
        return TIMES[self.distribution](u[..., 0], u[..., 1], spread=torch.tensor(self.spread, dtype=torch.float64))

    @property
    def expected(self) -> float:
        """Gradients in the mean time of one, by the formula."""
        if self.mode == "asynchronous":
            return float(self.n)
        n, k, spread = (torch.tensor(float(x), dtype=torch.float64) for x in (self.n, self.left_out, self.spread))
        return backup_speed_up(n, k, SLOWEST[self.distribution](n, k, spread=spread)).item()

    @property
    def counted(self) -> float:
        """The same in the 100 drawn steps; without a barrier until the first machine has made its 100."""
        if self.mode == "asynchronous":
            ends = self.times.cumsum(0)
            until = ends[-1].min()
            return ((ends <= until).sum() / until).item()
        steps = self.times.sort(1).values[:, self.n - 1 - self.left_out]
        return ((self.n - self.left_out) * STEPS / steps.sum()).item()

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        waited = {"backup": f", without waiting for {self.left_out}"}.get(self.mode, "")
        return (
            f"{self.n} machines, {MODES[self.mode]}{waited}, {self.distribution} times with the spread {self.spread:g}: "
            f"{self.expected:.3g} times as many gradients as one machine, by the formula; {self.counted:.3g} in {STEPS} drawn steps."
        )


@functools.cache
def _javascript() -> str:
    """For each distribution `x_time(u, v, spread)` and `x_slowest(n, dropped, spread)`; and the speed-up."""
    parts = [javascript.of(backup_speed_up, n=(), dropped=(), slowest=())]
    for name, draw in TIMES.items():
        time = lambda u, v, spread: draw(u, v, spread=spread)
        slowest = lambda n, dropped, spread: SLOWEST[name](n, dropped, spread=spread)
        parts.append(javascript.of(time, draw.__name__, u=(), v=(), spread=()))
        parts.append(of_arrays(slowest, SLOWEST[name].__name__, n=(), dropped=(), spread=()))
    return "\n".join(parts)
