"""RateMap: how fast momentum converges, for every learning rate and momentum at once."""

import math

import torch
from torch.func import vmap

from course_lib.backends import javascript
from course_lib.backends.recurrence import trace_descent
from course_lib.experiments.sweep import sweep
from course_lib.formulas import convergence
from course_lib.formulas.rules.descent import momentum as momentum_rule
from course_lib.formulas.signature import Range, signature
from course_lib.formulas.surfaces import SURFACES, quadratic
from course_lib.widgets.kit.controls import control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper

RULE, SURFACE = signature(momentum_rule), signature(quadratic, inputs=("w",))
STEPS, WINDOW = 240, 24
SMALLEST, LARGEST = 1e-290, 1e290  # energies that a double holds with all its digits


class RateMap(Figure):
    """A map of momentum's convergence rate on a quadratic over (learning rate, momentum), computed or measured.

        RateMap(condition_number=10)

    The ring chooses a setting; beside the map its distance to the minimum is drawn over the steps, with the line that theory
    predicts. With a kernel `fig.lr`, `fig.momentum` and `fig.condition_number` can be read, set and observed, and
    `fig.predicted_rate` and `fig.measured_rate` are the two numbers. Raises ValueError for a setting outside its limits.
    """

    lr = Hyper(RULE, above=0, because="as the map's axis is logarithmic")
    momentum = Hyper(RULE)
    condition_number = Hyper(SURFACE)
    view = Choice(("theory", "measured"))

    def __init__(
        self, condition_number: float = 10.0, *, lr: float = 0.05, momentum: float = 0.5, view: str = "theory"
    ):
        super().__init__(lr=lr, momentum=momentum, condition_number=condition_number, view=view)
        self._start = [float(x) for x in SURFACES["quadratic"].start]
        x, y = Range(1e-3, 1e2, "log"), Range(0.0, 0.99, "decay")
        controls = {
            c["name"]: c
            for c in (
                control(RULE, "lr", self.lr),
                control(RULE, "momentum", self.momentum),
                control(SURFACE, "condition_number", self.condition_number),
            )
        }
        controls["lr"]["range"] |= {"low": x.low, "high": x.high}
        controls["momentum"]["range"] |= {"low": y.low, "high": y.high}
        self.spec = {
            "controls": list(controls.values()),
            "initial": {name: getattr(self, name) for name in controls},
            "start": self._start,
            "steps": STEPS,
            "window": WINDOW,
            "held": [SMALLEST, LARGEST],
        }
        self.code = _javascript()

    @property
    def predicted_rate(self) -> float:
        """The factor a step that theory predicts for this setting."""
        return convergence.worst_momentum_rate(*self._setting()).item()

    @property
    def measured_rate(self) -> float:
        """The factor a step of a real run of the momentum rule with this setting, as late as doubles hold its energy."""
        lr, momentum, condition_number = self._setting()
        path = sweep(
            momentum_rule, quadratic, self._start, STEPS, lr=lr, momentum=momentum, condition_number=condition_number
        )[:, 0]
        losses = vmap(lambda w: quadratic(w, condition_number=condition_number))(path[1:])
        energies = vmap(convergence.energy, in_dims=(0, 0, None, None))(
            losses, (path[:-1] - path[1:]) / lr, lr, momentum
        )
        held = (energies > SMALLEST) & (energies < LARGEST)
        last = max([2 * WINDOW, *(held.nonzero().flatten() + 1).tolist()])
        half, end = last // 2, energies[last - 1].item()
        if end == 0 or not math.isfinite(end):
            return 0.0 if end == 0 else math.inf
        return convergence.measured_rate(
            energies[half - WINDOW : half], energies[last - WINDOW : last], torch.tensor(last - half)
        ).item()

    def _setting(self) -> tuple[torch.Tensor, ...]:
        return tuple(torch.tensor(x, dtype=torch.float64) for x in (self.lr, self.momentum, self.condition_number))

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        best_lr, best = (x.item() for x in convergence.best_momentum(self._setting()[2]))
        measured = self.measured_rate
        return (
            f"Map of momentum's convergence rate on a quadratic of condition number {self.condition_number:g}, over learning rate and momentum. "
            f"It is best, {best**0.5:.3g} a step, at learning rate {best_lr:.3g} and momentum {best:.3g}. "
            f"At learning rate {self.lr:g} and momentum {self.momentum:g} theory predicts {self.predicted_rate:.3g}; a run measures {measured:.3g}{', so it diverges' if measured >= 1 else ''}."
        )


def _javascript() -> str:
    parts = (
        javascript.of(convergence.worst_momentum_rate, lr=(), momentum=(), condition_number=()),
        javascript.of(convergence.stability_edge, momentum=(), curvature=()),
        javascript.of(convergence.critical_rates, momentum=(), curvature=()),
        javascript.of(convergence.best_momentum, condition_number=()),
        javascript.of(convergence.energy, loss=(), delta=(2,), lr=(), momentum=()),
        javascript.of(convergence.measured_rate, early=(WINDOW,), late=(WINDOW,), steps=()),
    )
    return "\n".join((javascript.loop("run", trace_descent(momentum_rule, quadratic)), *parts))
