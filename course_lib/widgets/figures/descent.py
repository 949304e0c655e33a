"""Descent: watch a rule walk on a surface, and change everything about it."""

from collections.abc import Callable, Sequence

import torch
import traitlets

from course_lib.backends import javascript
from course_lib.backends.recurrence import hyperparameters, trace_descent, trace_minima, trace_slope, trace_surface
from course_lib.experiments.arrivals import ends, steps_until_it_stays
from course_lib.experiments.sweep import sweep
from course_lib.formulas.ends import DIVERGED, REACHED
from course_lib.formulas.signature import signature
from course_lib.formulas.surfaces import Surface, quadratic
from course_lib.widgets.kit.adjustable import Adjustable
from course_lib.widgets.kit.colors import rule_color
from course_lib.widgets.kit.controls import control, is_tiny, label, symbol
from course_lib.widgets.kit.ends import javascript_of_ends
from course_lib.widgets.kit.traits import Point, Whole, plane_domain

MOST_STEPS = 10_000
GOAL = 1e-6  # of the loss above a known minimum: a run that stays there has reached it


class Descent(Adjustable):
    """A live figure of one rule, or of several side by side, on a surface of two parameters.

        Descent(momentum, surface=rosenbrock, lr=0.01)
        Descent([gradient_descent, momentum], quadratic, condition_number=50)

    `rule` is any function in the course's convention, one of your own too; it is traced, so that its figure computes in the
    browser. Every hyperparameter of the rules becomes a slider (rules that share a name share the slider), but for the tiny
    ones, ε; these and the surface's become sliders if you name them. With a kernel they are attributes that can be read, set and observed: `fig.lr`, `fig.start`,
    `fig.steps`, `fig.step`. What stands at `step` is read off a table; with `watch=True` the rules' state is drawn over the
    steps, too.

    Raises TypeError or ValueError, with what to change, for a rule that breaks the convention or can't be traced, for unknown
    hyperparameters, and for values outside their limits.
    """

    start = Point()
    steps = Whole(1, MOST_STEPS)
    step = Whole(0, "steps")
    recorded = traitlets.List().tag(sync=True)

    def __init__(
        self,
        rule: Callable | Sequence[Callable],
        surface: Callable = quadratic,
        *,
        start=None,
        steps: int = 100,
        step: int | None = None,
        domain=None,
        watch: bool = False,
        **hyper,
    ):
        self._rules = _named(rule)
        self._surface = Surface.of(surface)
        both = [hyperparameters(one, surface) for one in self._rules.values()]
        defaults = {
            k: v for own in reversed(both) for k, v in own.items()
        }  # where rules share a name, the first one's default
        self._signatures = [*map(signature, self._rules.values()), signature(surface, inputs=("w",))]
        values = self._settings(defaults, hyper)
        of_surface = self._signatures[-1].hyper
        shown = [
            name
            for name in dict.fromkeys(k for s in self._signatures for k in s.hyper)  # the rules', then the surface's
            if name in hyper or name not in of_surface and not is_tiny(self._owner(name), name)
        ]
        start = self._surface.start if start is None else start
        super().__init__(start=start, steps=steps, step=steps if step is None else step)
        self._add_hyperparameters(values)
        for one in self._rules.values():
            self._sweep(one, 0)  # says in words what is wrong with a surface
        self.code = self._javascript()
        self.spec = {
            "title": f"{' and '.join(map(label, self._rules))} on {label(surface.__name__)}",
            "runs": [
                {"key": f"run{k}", "label": label(name), "color": rule_color(name, k), "states": self._states(rule)}
                for k, (name, rule) in enumerate(self._rules.items())
            ],
            "watched": self._watched() if watch else [],
            "goal": GOAL,
            "domain": plane_domain(self._surface.domain if domain is None else domain),
            "controls": [control(self._owner(name), name, values[name]) for name in shown],
            "hyper": list(values),
            "surface": list(of_surface),
            "minimum_known": bool(self._surface.minima()),
            "initial": {name: values[name] for name in shown} | {"start": self.start, "step": self.step},
        }

    def _states(self, rule: Callable) -> list[dict]:
        """Where a rule's state stands in the rows that its loop returns, after the loss and the two coordinates: what has a
        number for each coordinate, or one for both."""
        found, column = [], 3
        for state, x in signature(rule).initial(torch.zeros(2), signature(rule).hyper).items():
            if x.shape in ((), (2,)):
                found.append({"symbol": symbol(state), "columns": [*range(column, column + x.numel())]})
            column += x.numel()
        return found

    def _watched(self) -> list[dict]:
        """The plots of what the rules remember: one for each state that has a number for each coordinate."""
        several = len(self._rules) > 1
        return [
            {
                "key": f"run{k}",
                "title": f"{state['symbol']}, {label(name)}" if several else state["symbol"],
                "color": rule_color(name, k),
                "columns": state["columns"],
            }
            for k, (name, rule) in enumerate(self._rules.items())
            for state in self._states(rule)
            if len(state["columns"]) == 2
        ]

    def _javascript(self) -> str:
        surface = self._surface.formula
        loops = [
            javascript.loop(f"run{k}", trace_descent(rule, surface)) for k, rule in enumerate(self._rules.values())
        ]
        parts = [
            *loops,
            javascript.function("loss", trace_surface(surface)),
            javascript.function("slope", trace_slope(surface)),
            javascript_of_ends(),
        ]
        if points := trace_minima(self._surface):
            parts.append(javascript.function("minima", points))
        return "\n".join(parts)

    def _sweep(self, rule: Callable, steps: int) -> torch.Tensor:
        known = set(signature(rule).hyper) | set(self._signatures[-1].hyper)
        return sweep(
            rule, self._surface.formula, self.start, steps, **{k: v for k, v in self.hyper.items() if k in known}
        )[:, 0]

    @property
    def path(self) -> torch.Tensor | dict[str, torch.Tensor]:
        """The path that the figure draws, (steps + 1, 2) in float64; for several rules, one by each name.

        Set it to draw a path of your own beside the rule's, for instance one recorded from a training loop: a tensor or
        list of shape (any, 2). Set it to None to take it away.
        """
        paths = {name: self._sweep(rule, self.steps) for name, rule in self._rules.items()}
        return paths if len(paths) > 1 else next(iter(paths.values()))

    @path.setter
    def path(self, points) -> None:
        points = torch.empty(0, 2) if points is None else torch.as_tensor(points, dtype=torch.float64)
        if points.dim() != 2 or points.shape[1] != 2:
            raise ValueError(f"A path has the shape (points, 2), got {tuple(points.shape)}.")
        whole = points[: int(points.isfinite().all(1).long().cumprod(0).sum())]
        self.recorded = whole.tolist()

    @property
    def losses(self) -> torch.Tensor | dict[str, torch.Tensor]:
        """The loss along the path, (steps + 1,) in float64; for several rules, one by each name."""
        at = {k: torch.tensor(getattr(self, k), dtype=torch.float64) for k in self._signatures[-1].hyper}
        along = torch.func.vmap(lambda w: self._surface.formula(w, **at))
        path = self.path
        return {name: along(w) for name, w in path.items()} if isinstance(path, dict) else along(path)

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        settings = ", ".join(f"{label(c['name'])} {getattr(self, c['name']):g}" for c in self.spec["controls"])
        return f"{self.spec['title']}, from ({self.start[0]:g}, {self.start[1]:g}), {settings}. " + " ".join(
            map(self._outcome, self._rules)
        )

    def _outcome(self, name: str) -> str:
        path = self._sweep(self._rules[name], self.steps)
        there = {k: torch.tensor(getattr(self, k), dtype=path.dtype) for k in self._signatures[-1].hyper}
        losses = torch.func.vmap(lambda w: self._surface.formula(w, **there))(path)
        minima = self._surface.minima(**there)
        floor = self._surface.formula(torch.tensor(minima[0], dtype=path.dtype), **there) if minima else losses.min()
        above = losses - floor
        end = ends(above, GOAL)[0]
        first, last = losses[0].item(), losses[-1].item()
        if end == DIVERGED:
            return f"With {label(name)} the loss diverges from {first:.3g} in {self.steps} steps."
        text = f"With {label(name)} the loss goes from {first:.3g} to {last:.3g} in {self.steps} steps"
        if end == REACHED and minima:
            text += f"; from step {steps_until_it_stays(above, GOAL):.0f} on it stays within {GOAL:g} of the minimum"
        return f"{text}."


def _named(rule: Callable | Sequence[Callable]) -> dict[str, Callable]:
    """The rules by name, each name once."""
    rules = list(rule) if isinstance(rule, (list, tuple)) else [rule]
    if not rules:
        raise ValueError("Descent needs at least one rule, got an empty list.")
    named = {signature(one).name: one for one in rules}
    if len(named) < len(rules):
        raise ValueError(
            f"Two rules have the same name: {', '.join(signature(one).name for one in rules)}. Give each its own."
        )
    return named
