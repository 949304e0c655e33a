"""Race: rules side by side on a surface of choice, at default or tuned rates, and the whole map of rates and rules."""

import base64
import functools
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import traitlets
from torch.func import vmap

from course_lib.backends import javascript
from course_lib.backends.recurrence import hyperparameters, trace_descent, trace_slope, trace_surface
from course_lib.experiments.arrivals import RATES, ends, steps_until_it_stays
from course_lib.experiments.sweep import sweep
from course_lib.formulas.catalog import GROUPS
from course_lib.formulas.ends import DIVERGED
from course_lib.formulas.signature import Range, signature
from course_lib.formulas.surfaces import SURFACES, Surface
from course_lib.widgets.kit.colors import rule_color
from course_lib.widgets.kit.controls import label, own_control
from course_lib.widgets.kit.ends import javascript_of_ends
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Point, Whole

STATE = ("surface", "mode", "chosen", "start", "steps", "step", "goal", "picked")
HELD = {"decay": 0.0}  # a decay would move the minimum
HEIGHT = 0.84  # of a picture, over its width: the page stays where it is when the surface changes
STEPS, GOAL = Range(10, 2010), Range(1e-12, 1.0, "log")
FEW = 40  # steps in which most rules that see curvature arrive; each costs as much as a hundred others
GRID = 110  # points a side, to find how high the surface is


@dataclass(frozen=True)
class Finish:
    """How a rule's run ended (formulas.ends): after how many `steps` its loss above the minimum stays at the goal; `above`, at the end.

    `steps` is infinite for a run that has not settled, NaN for one that diverged; `lr` is None for a rule without one.
    """

    rule: str
    lr: float | None
    steps: float
    above: float


class Race(Figure):
    """Rules on a surface of choice, from a start of choice, each at its default rate or at the best of 29.

        Race()
        Race([momentum, adam, bfgs], [quadratic, rosenbrock], mode="tuned")

    A rule has arrived when its loss above the minimum stays at `goal` or below. With a kernel, `fig.surface`, `fig.mode`, `fig.goal`,
    `fig.steps`, `fig.start` and `fig.chosen` can be read and set; `fig.standings` and `fig.map` are computed with sweep.
    Raises ValueError or TypeError, with what to change, for what can't be raced.
    """

    surface = Choice("_surfaces")
    mode = Choice(("defaults", "tuned"))
    chosen = traitlets.List().tag(sync=True)
    start = Point()
    steps = Whole(int(STEPS.low), int(STEPS.high))
    step = Whole(0, "steps")
    goal = Hyper(low=GOAL.low, high=GOAL.high)
    picked = traitlets.List().tag(sync=True)

    def __init__(
        self,
        rules: Sequence[Callable] | None = None,
        surfaces: Sequence[Callable] | None = None,
        *,
        mode="defaults",
        steps=1000,
        goal=1e-6,
        start=None,
        chosen=None,
    ):
        self._known = {}
        groups = _grouped([r for group in GROUPS.values() for r in group] if rules is None else list(rules))
        self._rules = {signature(r).name: r for group in groups.values() for r in group}
        self._surfaces = {
            x.formula.__name__: x
            for x in map(Surface.of, [x.formula for x in SURFACES.values()] if surfaces is None else surfaces)
        }
        if not self._rules or not self._surfaces:
            raise ValueError("Race needs at least one rule and one surface, got an empty list.")
        first, chosen = (
            next(iter(self._surfaces)),
            self._lectures() if chosen is None else [signature(r).name for r in chosen],
        )
        start = self._surfaces[first].start if start is None else start
        super().__init__(surface=first, mode=mode, chosen=chosen, start=start, steps=steps, step=steps, goal=goal)
        self.spec = {
            "groups": [
                {"title": title, "rules": [signature(r).name for r in group]} for title, group in groups.items()
            ],
            "rules": {name: self._rule(k, name) for k, name in enumerate(self._rules)},
            "surfaces": {name: _surface(k, self._surfaces[name].formula) for k, name in enumerate(self._surfaces)},
            "rates": RATES,
            "controls": [own_control("steps", STEPS, self.steps, whole=True), own_control("goal", GOAL, self.goal)],
            "initial": {name: getattr(self, name) for name in STATE},
        }
        self.code = base64.b64encode(zlib.compress(self._javascript().encode(), 9)).decode()

    def _rule(self, k: int, name: str) -> dict:
        hyper = _hyper(self._rules[name])
        return {
            "key": f"r{k}",
            "label": label(name),
            "color": rule_color(name, k),
            "hyper": hyper,
            "lr": hyper["lr"] if _has_rate(self._rules[name]) else None,
        }

    def _javascript(self) -> str:
        loops = [
            _loop(f"r{k}s{j}", rule, x.formula)
            for k, rule in enumerate(self._rules.values())
            for j, x in enumerate(self._surfaces.values())
        ]
        losses = (_loss(f"s{j}", x.formula) for j, x in enumerate(self._surfaces.values()))
        return "\n".join([*loops, *losses, _outcomes()])

    @traitlets.validate("chosen")
    def _chosen_can_race(self, proposal):
        if unknown := set(proposal["value"]) - set(self._rules):
            raise ValueError(
                f"chosen must be names of the rules {', '.join(self._rules)}, got {', '.join(sorted(map(str, unknown)))}."
            )
        return proposal["value"]

    @property
    def map(self) -> dict[str, torch.Tensor]:
        """For each chosen rule its steps to the goal at each of RATES: infinite if it has not settled, NaN if it diverged.

        A rule that needs no rate, or has only one that makes sense, has one value.
        """
        return {name: self._runs(name)[0] for name in self._in_order()}

    @property
    def standings(self) -> list[Finish]:
        """The chosen rules at their default or their tuned rates, the first to arrive first."""
        found = [self._finish(name) for name in self._in_order()]
        return sorted(found, key=lambda x: (*_standing(x.steps, x.above), x.above))

    def _lectures(self) -> list[str]:
        """All rules but those beyond the lecture; all where there are no others."""
        beyond = {signature(r).name for r in GROUPS["beyond the lecture"]}
        return [name for name in self._rules if name not in beyond] or [*self._rules]

    def _in_order(self) -> list[str]:
        return [name for name in self._rules if name in self.chosen]

    def _finish(self, name: str) -> Finish:
        rule = self._rules[name]
        rates = None if _has_rate(rule) and self.mode == "tuned" else [_hyper(rule).get("lr", 0.0)]
        steps, above = self._runs(name, rates)
        k = best(steps, above)
        lr = (rates or RATES)[k] if _has_rate(rule) else None
        return Finish(name, lr, steps[k].item(), above[k].item())

    def _runs(self, name: str, rates: Sequence[float] | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(steps to the goal, loss above the minimum at the end) for each rate."""
        if not _has_rate(self._rules[name]):
            rates = None  # it has one run, whatever is asked
        key = (name, rates and tuple(rates), self.surface, tuple(self.start), self.steps, self.goal)
        if key not in self._known:
            self._known[key] = self._sweep(name, rates)
        return self._known[key]

    def _sweep(self, name: str, rates: Sequence[float] | None) -> tuple[torch.Tensor, torch.Tensor]:
        rule, surface = self._rules[name], self._surfaces[self.surface].formula
        own = {k: x for k, x in _hyper(rule).items() if k != "lr" or not _has_rate(rule)}
        if _has_rate(rule):
            own["lr"] = torch.tensor(RATES if rates is None else rates, dtype=torch.float64)
        facts = _facts(surface)
        for steps in (min(FEW, self.steps), self.steps) if signature(rule).takes_loss else (self.steps,):
            path = sweep(rule, surface, self.start, steps, **own)
            above = vmap(vmap(surface))(path) - facts["floor"]
            if ((above[-1] <= 1e-6 * self.goal) | (path[-1] == path[-2]).all(dim=-1)).all():
                break  # and stays there: these do not climb
        lost = ends(above, self.goal)[0] == DIVERGED
        return steps_until_it_stays(above, self.goal).where(~lost, math.nan), above[-1]

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        return " ".join([self._title(), *map(self._words, self.standings)])

    def _title(self) -> str:
        rates = "at its default rate" if self.mode == "defaults" else f"at the best of {len(RATES)} rates"
        return (
            f"Race of {len(self.chosen)} rules on {label(self.surface)} from ({self.start[0]:g}, {self.start[1]:g}), each {rates}, "
            f"to a loss {self.goal:g} above the minimum, and the map of all rates and rules."
        )

    def _words(self, x: Finish) -> str:
        at = "" if x.lr is None else f" at {x.lr:g}"
        end = (
            "diverges"
            if math.isnan(x.steps)
            else f"has not settled, {x.above:.2g} above after {self.steps} steps"
            if math.isinf(x.steps)
            else f"needs {x.steps:.0f} steps"
        )
        return (
            f"{label(x.rule)}{at} {end}.".capitalize()
            if x.rule.islower() and label(x.rule).islower()
            else f"{label(x.rule)}{at} {end}."
        )


def standing(steps, above):
    """(group, order) of a run: those that arrive, by their steps; those on their way, by their loss; those that diverged."""
    arrived, diverged = steps < math.inf, steps != steps
    group = torch.where(arrived, 0.0, torch.where(diverged, 2.0, 1.0))
    return group, torch.where(arrived, steps, torch.where(diverged, 0.0, above))


def _standing(steps, above) -> tuple[float, ...]:
    return tuple(x.item() for x in standing(*(torch.as_tensor(x, dtype=torch.float64) for x in (steps, above))))


@functools.cache
def _outcomes() -> str:
    return "\n".join((javascript_of_ends(), javascript.of(standing, steps=(), above=())))


def best(steps: torch.Tensor, above: torch.Tensor) -> int:
    """The run that arrives first; where none arrives, the one that ends lowest; where all diverge, the first."""
    return min(range(len(steps)), key=lambda k: _standing(steps[k], above[k]))


def _grouped(rules: list[Callable]) -> dict[str, list[Callable]]:
    """The rules under the headings of GROUPS; what these do not know comes last."""
    named = {signature(r).name: r for r in rules}
    if len(named) < len(rules):
        raise ValueError(
            f"Two rules have the same name: {', '.join(signature(r).name for r in rules)}. Give each its own."
        )
    known = {title: [r for r in group if r in rules] for title, group in GROUPS.items()}
    known["your own"] = [r for r in rules if not any(r in group for group in GROUPS.values())]
    return {title: group for title, group in known.items() if group}


def _hyper(rule: Callable) -> dict[str, float]:
    own = signature(rule).hyper
    return own | {k: x for k, x in HELD.items() if k in own}


def _has_rate(rule: Callable) -> bool:
    """Whether there is a rate worth a scan: a rule that sees curvature knows how far to go."""
    return "lr" in signature(rule).hyper and not signature(rule).takes_loss


@functools.lru_cache(maxsize=512)
def _loop(name: str, rule: Callable, surface: Callable) -> str:
    hyperparameters(rule, surface)
    return javascript.loop(name, trace_descent(rule, surface))


@functools.lru_cache(maxsize=64)
def _loss(name: str, surface: Callable) -> str:
    slope = javascript.function(f"{name}_slope", trace_slope(surface))
    return f"{javascript.function(name, trace_surface(surface))}\n{slope}"


def _framed(domain) -> list[list[float]]:
    """The domain, made wider or higher until its height is HEIGHT of its width."""
    (x0, x1), (y0, y1) = domain
    more_x, more_y = max(0.0, (y1 - y0) / HEIGHT - (x1 - x0)) / 2, max(0.0, (x1 - x0) * HEIGHT - (y1 - y0)) / 2
    return [[x0 - more_x, x1 + more_x], [y0 - more_y, y1 + more_y]]


@functools.lru_cache(maxsize=64)
def _facts(surface: Callable) -> dict:
    """The least loss, and a loss far above everything in the picture."""
    known = Surface.of(surface)
    (x0, x1), (y0, y1) = domain = _framed(known.domain)
    sides = torch.linspace(x0, x1, GRID, dtype=torch.float64), torch.linspace(y0, y1, GRID, dtype=torch.float64)
    losses = vmap(surface)(torch.cartesian_prod(*sides))
    minima = [list(map(float, point)) for point in known.minima()]
    floor = surface(torch.tensor(minima[0], dtype=torch.float64)).item() if minima else min(0.0, losses.min().item())
    return {"floor": floor, "top": 10 * (losses.max().item() - floor), "minima": minima, "domain": domain}


def _surface(k: int, surface: Callable) -> dict:
    known = Surface.of(surface)
    return {
        "key": f"s{k}",
        "label": label(surface.__name__),
        "start": [*map(float, known.start)],
        "hyper": signature(surface, inputs=("w",)).hyper,
    } | _facts(surface)
