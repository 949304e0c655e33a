"""ScheduleDesigner: a schedule and its hyperparameters, the curve of its rate, and PyTorch's code for the same."""

import functools
from collections.abc import Callable

import torch

from course_lib.backends import javascript
from course_lib.experiments.settings import check_names
from course_lib.formulas.schedules import SCHEDULES, cosine
from course_lib.formulas.schedules import warmup as with_warmup
from course_lib.formulas.signature import Range, signature
from course_lib.formulas.steps import WARMUP
from course_lib.widgets.figures.schedule_spelling import filled, spelling
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Whole

STEPS = 300  # the most that are shown
SIGNATURES = {name: signature(schedule, inputs=("t",)) for name, schedule in SCHEDULES.items()}
# The first schedule with a hyperparameter of this name: those that share a name share the slider.
OWNERS = {
    k: next(own for own in SIGNATURES.values() if k in own.hyper) for all_ in SIGNATURES.values() for k in all_.hyper
}
COUNTED = {"every", "first", "second", "third", "total", "T_0", "T_mult", "timescale"}
AXES = ("linear", "log")
# What a slider spans, where that is not the range of the formula: below lr, within the steps that are shown.
SPANS = {
    "lr": Range(0.01, 1.0, "log"), "floor": Range(0.0, 0.01), "T_mult": Range(1, 4),
    "every": Range(5, 100), "T_0": Range(5, 100), "total": Range(20, STEPS), "timescale": Range(1, 100, "log"),
    "first": Range(0, STEPS), "second": Range(0, STEPS), "third": Range(0, STEPS),
}  # fmt: skip
SYMBOLS = {
    "lr": ("η", "learning rate"), "decay": ("decay", "per step"), "gamma": ("γ", "factor"), "every": ("every", "steps"),
    "first": ("t₁", "first milestone"), "second": ("t₂", "second milestone"), "third": ("t₃", "third milestone"),
    "k": ("k", "per step"), "total": ("T", "total steps"), "floor": ("ηₘᵢₙ", "floor"), "T_0": ("T₀", "first cycle"),
    "T_mult": ("Tₘᵤₗₜ", "growth of the cycles"), "power": ("p", "power"), "pct_start": ("up", "share of the way up"),
    "div_factor": ("η/", "at the start"), "final_div_factor": ("η/…/", "at the end"), "timescale": ("τ", "time scale"),
}  # fmt: skip
USUAL = {"total": 200, "T_0": 30, "every": 60}  # at which the figure's 300 steps show most


class ScheduleDesigner(Figure):
    """The rate over the steps by a schedule, with or without a warm-up, and PyTorch's code for exactly these rates.

        ScheduleDesigner("cosine", warmup=20)
        ScheduleDesigner(warm_restarts, T_0=10, T_mult=2, axis="log")

    The curve ends with the training: where a schedule has a `total`, after the warm-up and so many steps. The `schedule`, the
    steps of `warmup`, the share `start` that these begin with, each hyperparameter of any schedule, the `axis` and the step `t`
    that is read off can be set. With a kernel all of them can be read, set and observed; `fig.rates` are the rates and
    `fig.pytorch` is the code. Raises TypeError for an unknown hyperparameter, ValueError for a setting outside its limits.
    """

    schedule = Choice(SCHEDULES, default_value="cosine")
    warmup = Whole(0, STEPS)
    start = Hyper(WARMUP["start"], default_value=0.01, above=0, because="as PyTorch's LinearLR begins above 0")
    axis = Choice(AXES, default_value="linear")
    t = Whole(0, STEPS)

    def __init__(
        self,
        schedule: str | Callable = cosine,
        *,
        warmup: int = 0,
        start: float = 0.01,
        axis: str = "linear",
        t: int = 0,
        **hyper,
    ):
        check_names(list(SIGNATURES.values()), hyper)
        name = getattr(schedule, "__name__", schedule)
        super().__init__(schedule=name, warmup=warmup, start=start, axis=axis, t=t)
        values = {k: own.hyper[k] for k, own in OWNERS.items()} | USUAL
        self.add_traits(**{k: _trait(k, value) for k, value in values.items()})
        for k, value in hyper.items():
            setattr(self, k, value)
        chosen = {k: getattr(self, k) for k in ("schedule", "warmup", "start", "axis", *values)}
        self.spec = {
            "steps": STEPS,
            "schedules": {k: [*own.hyper] for k, own in SIGNATURES.items()},
            "controls": [
                own_control("warmup", Range(0, 100), self.warmup, "W", "steps of warm-up", whole=True),
                own_control("start", WARMUP["start"], self.start, "s", "its first share of η"),
                *(_control(k, getattr(self, k)) for k in values),
            ],
            "spelling": {k: [spelling(k, False), spelling(k, True)] for k in SCHEDULES},
            "initial": chosen,
        }
        self.code = _javascript()

    @property
    def hyper(self) -> dict[str, float]:
        """The chosen schedule's hyperparameters."""
        return {k: getattr(self, k) for k in SIGNATURES[self.schedule].hyper}

    @property
    def steps(self) -> int:
        """How many steps the training has: as many as are shown, or fewer where the schedule ends before."""
        return min(STEPS, self.warmup + self.hyper.get("total", STEPS))

    @property
    def rates(self) -> torch.Tensor:
        """The rate of each step of the training, of shape (steps,) in float64."""
        schedule = SCHEDULES[self.schedule]
        made = with_warmup(schedule, self.warmup, self.start) if self.warmup else schedule
        return made(torch.arange(self.steps), **self.hyper)

    @property
    def pytorch(self) -> str:
        """PyTorch's code for the same rates, for a `model`."""
        values = self.hyper | {"warmup": self.warmup, "start": self.start}
        return filled(spelling(self.schedule, self.warmup > 0), values)

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        rates = self.rates
        before = f" after {self.warmup} steps of warm-up" if self.warmup else ""
        return (
            f"The learning rate over {len(rates)} steps by the schedule {self.schedule.replace('_', ' ')}{before}: it begins at "
            f"{rates[0]:.3g}, is {rates.max():.3g} at most and {rates.mean():.3g} on average, and {rates[-1]:.3g} at the last step."
        )


def _trait(name: str, value: float) -> Whole | Hyper:
    """Whole numbers where PyTorch counts, else what the formula allows."""
    if name in COUNTED:
        return Whole(int(max(0, OWNERS[name].ranges[name].at_least)), 10**6, default_value=int(value))
    return Hyper(OWNERS[name], default_value=value)


def _control(name: str, value: float) -> dict:
    own = OWNERS[name].ranges[name]
    symbol, label = SYMBOLS[name]
    return own_control(name, SPANS.get(name, own), value, symbol, label, whole=name in COUNTED)


@functools.cache
def _javascript() -> str:
    """For each schedule the rate at t: a function of t, the steps of the warm-up, its start and the hyperparameters."""
    parts = []
    for name, schedule in SCHEDULES.items():
        after = lambda t, warmup, start, **hyper: with_warmup(schedule, warmup, start)(t, **hyper)
        shapes = dict.fromkeys(("t", "warmup", "start", *SIGNATURES[name].hyper), ())
        parts.append(javascript.of(after, name, **shapes))
    return "\n".join(parts)
