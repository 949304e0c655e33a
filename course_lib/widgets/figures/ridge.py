"""Ridge: what weight decay does to the minimum, for every strength of the decay."""

import math

import torch

from course_lib.backends import javascript
from course_lib.backends.recurrence import trace_descent
from course_lib.experiments.sweep import sweep
from course_lib.formulas import regularization
from course_lib.formulas.regularization import bowl
from course_lib.formulas.rules.decay import momentum_l2, sgdw
from course_lib.formulas.signature import Range, signature
from course_lib.widgets.kit.colors import rule_color
from course_lib.widgets.kit.controls import control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Hyper, Point, Whole

DOMAIN = [[-2.5, 2.5], [-2.0, 2.0]]
DECAYS = Range(0.01, 100.0, "log")  # what the slider and the plot of the shares span
MOST_STEPS = 1000
RULES = {"L2": momentum_l2, "decoupled": sgdw}
RULE, BOWL = signature(momentum_l2), signature(bowl, inputs=("w",))
SLIDERS = ("decay", "lr", "momentum", "condition_number", "angle")


class Ridge(Figure):
    """A quadratic loss and a penalty λ/2 ‖w‖²: the minimum that walks from the data's to 0, and two ways to get there.

        Ridge(decay=1)

    The bowl's minimum without decay, `minimum`, and the `start` of the two paths can be dragged; `decay`, `lr`, `momentum`,
    `condition_number` and `angle` are sliders. With a kernel all of them can be read, set and observed; `fig.solution` is the
    minimum with decay and `fig.shares` what is left along the valley and across it. Raises ValueError for a setting outside
    its limits.
    """

    decay = Hyper(RULE, above=0, because="as the figure's axis is logarithmic")
    lr = Hyper(RULE)
    momentum = Hyper(RULE)
    condition_number = Hyper(BOWL)
    angle = Hyper(BOWL)
    start = Point(DOMAIN)
    minimum = Point(DOMAIN)
    steps = Whole(1, MOST_STEPS)

    def __init__(
        self,
        decay: float = 1.0,
        *,
        lr: float = 0.1,
        momentum: float = 0.9,
        condition_number: float = 10.0,
        angle: float = -30.0,
        start=(1.4, -1.8),
        minimum=(1.5, 0.8),
        steps: int = 40,
    ):
        settings = {
            "decay": decay,
            "lr": lr,
            "momentum": momentum,
            "condition_number": condition_number,
            "angle": angle,
        }
        super().__init__(steps=steps, start=start, minimum=minimum, **settings)
        controls = [control(_owner(name), name, getattr(self, name)) for name in SLIDERS]
        controls[0]["range"] |= {"low": min(DECAYS.low, self.decay), "high": max(DECAYS.high, self.decay)}
        self.spec = {
            "domain": DOMAIN,
            "controls": controls,
            "runs": [
                {"key": rule.__name__, "label": label, "color": rule_color(rule.__name__)}
                for label, rule in RULES.items()
            ],
            "decays": [DECAYS.low, DECAYS.high],
            "initial": {name: getattr(self, name) for name in (*SLIDERS, "start", "minimum")},
        }
        self.code = _javascript()

    @property
    def solution(self) -> torch.Tensor:
        """The minimum of the loss with decay, of shape (2,)."""
        return regularization.ridge_minimum(*_doubles(*self.minimum, self.condition_number, self.angle, self.decay))

    @property
    def shares(self) -> tuple[float, float]:
        """What the decay leaves of the data's minimum along the valley and across it."""
        return tuple(regularization.shrinkage(*_doubles(h, self.decay)).item() for h in (1.0, self.condition_number))

    @property
    def distances(self) -> dict[str, float]:
        """How far from the solution each of the two paths ends, by rule."""
        x, y = self.minimum
        bowl_here = {"x": x, "y": y, "condition_number": self.condition_number, "angle": self.angle}
        own = {"lr": self.lr, "momentum": self.momentum, "decay": self.decay}
        ends = {
            label: sweep(rule, bowl, self.start, self.steps, **own, **bowl_here)[-1, 0] for label, rule in RULES.items()
        }
        return {label: (end - self.solution).norm().item() for label, end in ends.items()}

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        (x, y), (along, across) = self.solution.tolist(), self.shares
        data = math.hypot(*self.minimum)
        ends = "; ".join(f"{label}: {distance:.3g}" for label, distance in self.distances.items())
        return (
            f"A quadratic loss of condition number {self.condition_number:g} with its minimum at ({self.minimum[0]:g}, {self.minimum[1]:g}). "
            f"Weight decay {self.decay:g} moves it to ({x:.3g}, {y:.3g}): {along:.1%} is left along the valley and {across:.1%} across it, "
            f"{math.hypot(x, y) / data if data else 1:.1%} of the norm. Distance to it after {self.steps} steps, {ends}."
        )


def _owner(name: str):
    return RULE if name in RULE.hyper else BOWL


def _doubles(*values: float) -> list[torch.Tensor]:
    return [torch.tensor(float(x), dtype=torch.float64) for x in values]


def _javascript() -> str:
    place = dict.fromkeys(("x", "y", "condition_number", "angle"), ())
    parts = (
        javascript.of(bowl, w=(2,), **place),
        javascript.of(regularization.ridge_minimum, **place, decay=()),
        javascript.of(regularization.level_curve, phase=(), **place, loss=()),
        javascript.of(regularization.shrinkage, curvature=(), decay=()),
        javascript.of(regularization.eigenvectors, angle=()),
    )
    loops = (javascript.loop(rule.__name__, trace_descent(rule, bowl)) for rule in RULES.values())
    return "\n".join((*loops, *parts))
