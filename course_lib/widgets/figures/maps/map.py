"""Map: how a rule ends, for every value of two hyperparameters or for every start point, on the reader's graphics chip."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import traitlets
from torch.func import vmap

from course_lib.backends import glsl, javascript
from course_lib.backends.recurrence import hyperparameters, trace_descent, trace_minima, trace_surface
from course_lib.experiments.arrivals import ends, steps_until_it_stays
from course_lib.experiments.sweep import sweep
from course_lib.formulas.ends import DIVERGED
from course_lib.formulas.signature import Range, signature
from course_lib.formulas.surfaces import Surface
from course_lib.widgets.figures.maps.axis import Axis
from course_lib.widgets.figures.maps.plane import Plane
from course_lib.widgets.kit.colors import rule_color
from course_lib.widgets.kit.controls import control, is_tiny, label, own_control
from course_lib.widgets.kit.ends import javascript_of_ends
from course_lib.widgets.kit.traits import Choice, Hyper, Point, Whole

STEPS = Range(10, 2010)
GOALS = Range(1e-6, 1.0, "log")  # float32 tells losses of size 1 apart by 1e-7
FAR = 10_000  # times as far from 0 as the surface's picture reaches: a run that gets there has diverged, in single precision
POINTS = ("w0", "w1")
AT_ONCE = 2_000_000  # points of paths in memory
GLANCE = (40, 30)  # the cells that the text alternative counts


@dataclass(frozen=True)
class Verdicts:
    """How each run of a map ended: tensors of shape (rows, columns), the first row at the low end of y.

    `steps`: after how many the loss stays at the goal or below, infinite if it never does. `above`: the loss at the end above
    the minimum, infinite for a lost run. `minimum`: the index of the minimum nearest to the end; -1 for a lost run, or where no
    minima are known. `lost`: whether the run diverged.
    """

    steps: torch.Tensor
    above: torch.Tensor
    minimum: torch.Tensor
    lost: torch.Tensor


class Map(Plane):
    """A map of a rule's runs on a surface over two of its numbers: each pixel is a run.

        Map(adam, rosenbrock, x="lr", y="beta1")
        Map(momentum, himmelblau, x="w0", y="w1", view="minimum")

    `x` and `y` name hyperparameters of the rule or of the surface, or `w0`, `w1`, the start point. The colors show, by `view`,
    the `steps` until the loss stays within `goal` of the minimum, the `loss` above it after all steps, or the `minimum` that is
    reached; a run that has not settled and one that diverged (formulas.ends) have colors of their own. The ring chooses the run that is drawn beside the map. On a surface without known
    minima the goal is for the loss itself.

    With a kernel, `fig.x_range`, `fig.y_range`, `fig.steps`, `fig.goal`, `fig.start`, `fig.view` and every hyperparameter can be read and set, and
    `fig.values(columns, rows)` computes the map with sweep. Raises TypeError or ValueError, with what to change, for what can't be mapped.
    """

    view = Choice(("steps", "loss", "minimum"))
    start = Point()
    steps = Whole(1, int(STEPS.high))
    goal = Hyper(low=GOALS.low, high=GOALS.high, because="what single precision can tell")
    _taken = POINTS

    def __init__(
        self,
        rule: Callable,
        surface: Callable,
        *,
        x: str = "lr",
        y: str,
        x_range=None,
        y_range=None,
        view="steps",
        start=None,
        steps=200,
        goal=1e-3,
        **hyper,
    ):
        self._rule, self._surface = rule, Surface.of(surface)
        self._signatures = signature(rule), signature(surface, inputs=("w",))
        defaults = hyperparameters(rule, surface)
        values = self._settings(defaults, hyper)
        ranges = self._choose_axes(self._axis(x, values), self._axis(y, values), x_range, y_range)
        recurrence = trace_descent(rule, surface)
        minima = trace_minima(self._surface)
        self.shader = glsl.fragment(recurrence, x, y, minima)
        start = self._surface.start if start is None else start
        super().__init__(view=view, start=start, steps=steps, goal=goal, **ranges)
        self._add_hyperparameters(values)
        loss = javascript.function("loss", trace_surface(surface))
        parts = [javascript.loop("run", recurrence), loss, javascript_of_ends()]
        self.code = "\n".join(parts + ([javascript.function("minima", minima)] if minima else []))
        of_surface = self._signatures[1].hyper
        shown = [
            n
            for n in self._hyper
            if n not in (x, y) and (n in hyper or n not in of_surface and not is_tiny(self._owner(n), n))
        ]
        self.spec = {
            "title": f"{label(signature(rule).name)} on {label(surface.__name__)}",
            "run": {"label": label(signature(rule).name), "color": rule_color(signature(rule).name)},
            "views": ["steps", "loss", "minimum"] if len(self._points()) > 1 else ["steps", "loss"],
            "axes": self._axes_spec(),
            "domain": [[float(low), float(high)] for low, high in self._surface.domain],
            "bound": self._bound,
            "controls": [
                *(control(self._owner(n), n, values[n]) for n in shown),
                own_control("steps", STEPS, self.steps, whole=True),
                own_control("goal", GOALS, self.goal),
            ],
            "hyper": list(recurrence.hyper),
            "surface": list(of_surface),
            "initial": values | {name: getattr(self, name) for name in ("start", "steps", "goal", "view")} | ranges,
        }

    def _axis(self, name: str, values: dict[str, float]) -> Axis:
        if name in POINTS:
            low, high = self._surface.domain[POINTS.index(name)]
            return Axis(name, float(low), float(high), "linear", -self._bound / 10, self._bound / 10)
        if name not in values:
            raise ValueError(
                f"{self._signatures[0].name} on {self._signatures[1].name} has no `{name}` for an axis. It has {', '.join((*values, *POINTS))}."
            )
        return Axis.of_range(name, self._owner(name).ranges[name])

    @property
    def _bound(self) -> float:
        return FAR * max(abs(float(x)) for side in self._surface.domain for x in side)

    def _points(self) -> torch.Tensor:
        """The known minima at the surface's present hyperparameters, (count, 2) in float64."""
        there = {k: getattr(self, k, x) for k, x in self._signatures[1].hyper.items()}
        return torch.tensor(self._surface.minima(**there), dtype=torch.float64).reshape(-1, 2)

    @traitlets.validate("view")
    def _view_can_be_drawn(self, proposal):
        if proposal["value"] == "minimum" and len(self._points()) < 2:
            raise ValueError(
                f"view must be 'steps' or 'loss' on {self._signatures[1].name}, which has one minimum or none that is known, got 'minimum'."
            )
        return proposal["value"]

    @property
    def lowest(self) -> float:
        """The loss at the minimum; 0 where none is known."""
        points = self._points()
        there = {k: getattr(self, k) for k in self._signatures[1].hyper}
        return self._surface.formula(points[0], **there).item() if len(points) else 0.0

    def values(self, columns: int, rows: int) -> Verdicts:
        """The map as the figure draws it, computed with sweep in single precision: one run in the middle of each cell."""
        both = torch.stack([*self._runs(columns, rows).values()], dim=1)
        some = both.split(max(1, AT_ONCE // (self.steps + 1)))
        parts = zip(*map(self._verdicts, some), strict=True)
        return Verdicts(*(torch.cat(part).reshape(rows, columns) for part in parts))

    def _verdicts(self, places: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = dict(zip((a.name for a in self._axes.values()), places.float().T, strict=True))
        setting = {n: given.get(n, torch.full((len(places),), getattr(self, n))) for n in self._hyper}
        start = torch.stack(
            [given.get(n, torch.full((len(places),), w)) for n, w in zip(POINTS, self.start, strict=True)], dim=1
        )
        path = sweep(self._rule, self._surface.formula, start, self.steps, dtype=torch.float32, **setting)
        there = {n: setting[n] for n in self._signatures[1].hyper}
        above = (
            vmap(vmap(lambda w, there: self._surface.formula(w, **there)), in_dims=(0, None))(path, there) - self.lowest
        )
        near = (path.abs() <= self._bound).all(-1).all(0)
        lost = ~near | (ends(above, self.goal)[0] == DIVERGED)
        late = steps_until_it_stays(above, self.goal)
        minimum = torch.full(lost.shape, -1)
        if self._surface.minima():
            points = torch.stack(
                [
                    torch.stack([torch.as_tensor(x).float().expand(len(places)) for x in p])
                    for p in self._surface.minima(**there)
                ]
            )  # (minima, 2, runs)
            minimum = (points - path[-1].T).square().sum(1).argmin(0)
        return (
            torch.where(lost, math.inf, late),
            torch.where(lost, math.inf, above[-1]),
            torch.where(lost, -1, minimum),
            lost,
        )

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        columns, rows = GLANCE
        found, (x, y) = self.values(columns, rows), self.places(columns, rows)
        names = [axis.spec()["label"] for axis in self._axes.values()]
        share = lambda which: f"{which.double().mean():.0%}"
        best = found.steps.flatten().argmin().item()
        text = (
            f"Map of {self.spec['title']} over {self._over()}. "
            f"Of {columns * rows:,} runs of {self.steps} steps {share(found.steps < math.inf)} come to stay within {self.goal:g} of the minimum, "
            f"{share((found.steps == math.inf) & ~found.lost)} have not settled and {share(found.lost)} diverge. "
        )
        if found.steps.min() < math.inf:
            text += f"The fewest steps, {found.steps.min():.0f}, need {names[0]} {x[best % columns]:.2g} and {names[1]} {y[best // columns]:.2g}. "
        if self.view == "minimum":
            text += (
                f"The {len(self._points())} minima attract "
                + ", ".join(share(found.minimum == k) for k in range(len(self._points())))
                + ". "
            )
        return text.rstrip()
