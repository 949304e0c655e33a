"""A formula's signature is its specification: what it needs, what it remembers, what a slider may change.

    def rule(w, g, t, v=0.0, *, lr: Rate = 0.1, beta: Decay = 0.9):
             └──┬──┘  └─┬─┘     └──────────────┬────────────────┘
          parameters,  state and       hyperparameters, their
          gradient,    its values      defaults and ranges
          step from 1  at t = 0

A rule that needs more than the gradient, for curvature or a line search, takes the loss itself as a fourth input:
`def newton(w, g, t, f, *, lr=1.0)`, with f(w) the scalar loss. It works on w as one vector of shape (n,).
"""

import functools
import inspect
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_type_hints

import torch


@dataclass(frozen=True)
class Range:
    """The values a slider offers, and the limits outside which a value is an error.

    `scale` is "linear", "log", or "decay": logarithmic in 1 - x, for averages whose memory is 1 / (1 - x).
    """

    low: float
    high: float
    scale: str = "linear"
    at_least: float = -math.inf
    below: float = math.inf

    def check(self, name: str, value: float) -> None:
        """Raise a ValueError that names the hyperparameter if `value` lies outside the limits."""
        if not (self.at_least <= value < self.below):  # written so that NaN fails
            raise ValueError(f"{name} must be {self._allowed()}, got {value}.")

    def _allowed(self) -> str:
        if math.isinf(self.at_least) and math.isinf(self.below):
            return "a finite number"
        low = "" if math.isinf(self.at_least) else f"at least {self.at_least:g}"
        high = "finite" if math.isinf(self.below) else f"below {self.below:g}"
        return " and ".join(filter(None, (low, high)))


Rate = Annotated[float, Range(1e-4, 1.0, "log", at_least=0.0)]
Decay = Annotated[float, Range(0.0, 0.999, "decay", at_least=0.0, below=1.0)]
Tiny = Annotated[float, Range(1e-12, 1e-1, "log", at_least=0.0)]
Strength = Annotated[float, Range(1e-5, 1.0, "log", at_least=0.0)]

STEP = ("w", "g", "t")
LOSS = "f"  # the input of rules that need more than the gradient, after STEP

CONVENTION = "def rule(w, g, t, v=0.0, *, lr=0.1, beta=0.9): …; return w, v"
SURFACE = "def surface(w, *, a=1.0): …; return loss"
ORDER = "Pass the rule first, then the surface."


@dataclass(frozen=True)
class Signature:
    """What `signature` reads off a formula: its inputs, its state at t = 0, its hyperparameters and their ranges.

    A state's value at t = 0 is a number, the name of the hyperparameter that it starts at, or a function of w.
    """

    name: str
    inputs: tuple[str, ...]
    state: dict[str, float | str | Callable]
    hyper: dict[str, float]
    ranges: dict[str, Range]

    def check(self, name: str, value: float) -> None:
        """Raise a ValueError if `value` is not allowed for the hyperparameter `name`."""
        self.ranges[name].check(f"{self.name}'s {name}", value)

    @property
    def takes_loss(self) -> bool:
        """Whether the rule is handed the loss f as well, after t."""
        return self.inputs[-1] == LOSS

    def initial(self, w: torch.Tensor, hyper: dict) -> dict[str, torch.Tensor]:
        """The state at t = 0: tensors of w's shape, or of the shape that a state's own function gives them."""
        return {
            k: x(w) if callable(x) else torch.zeros_like(w) + (hyper[x] if isinstance(x, str) else x)
            for k, x in self.state.items()
        }


def signature(formula: Callable, inputs: tuple[str, ...] = STEP) -> Signature:
    """Split a formula's parameters into inputs, state and hyperparameters.

    Raises TypeError, with the way to mend it, where the formula breaks the convention; ValueError where a default is
    outside its own limits.
    """
    of_surface = inputs == STEP[:1]
    form = SURFACE if of_surface else CONVENTION
    if not callable(formula):
        raise TypeError(f"A {'surface' if of_surface else 'rule'} is a function like `{form}`, got {_shown(formula)}.")
    name = _name(formula)
    try:
        parameters = list(inspect.signature(formula).parameters.values())
    except ValueError as error:
        raise TypeError(
            f"{name} does not say which arguments it takes. Wrap it in a function like `{form}`."
        ) from error
    _check_place(name, [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY], inputs)
    if inputs == STEP and [(p.name, p.default) for p in parameters[3:4]] == [(LOSS, inspect.Parameter.empty)]:
        inputs = (*STEP, LOSS)
    state, hyper = {}, {}
    keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    for position, p in enumerate(parameters):
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise TypeError(
                f"{name} takes *args or **kwargs, so its state and sliders have no names. Write each one out, as in `{form}`."
            )
        if p.kind is p.KEYWORD_ONLY:
            hyper[p.name] = _number(name, p, "hyperparameter", "its slider starts there")
        elif position >= len(inputs):
            starts_at = (
                callable(p.default) and p.default is not p.empty or isinstance(p.default, str) and p.default in keywords
            )
            state[p.name] = (
                p.default
                if starts_at
                else _number(name, p, "state", "its value at t = 0; a hyperparameter stands after the `*`")
            )
    given = len(parameters) - len(state) - len(hyper)
    if given < len(inputs):
        raise TypeError(
            f"{name} takes {given} of the arguments ({', '.join(inputs)}). Its first ones must be these {len(inputs)}, in this order."
        )
    first = tuple(p.name for p in parameters[: len(inputs)])
    hints = _hints(formula)
    ranges = {k: _annotated_range(hints.get(k)) or inferred_range(k, v) for k, v in hyper.items()}
    found = Signature(name, first, state, hyper, ranges)
    for k, v in hyper.items():
        found.check(k, v)
    return found


def _check_place(name: str, positional: list[str], inputs: tuple[str, ...]) -> None:
    """Raise a TypeError for a surface in a rule's place, a rule in a surface's, and w, g, t in another order."""
    if inputs == STEP and positional in (["w"], ["x"]):
        raise TypeError(
            f"{name} takes {positional[0]} alone, as a surface does, and stands in the place of a rule. {ORDER}"
        )
    if inputs == STEP[:1] and positional[:3] == [*STEP]:
        raise TypeError(f"{name} takes (w, g, t), as a rule does, and stands in the place of a surface. {ORDER}")
    first = positional[:3]
    if inputs == STEP and any(x in STEP and x != y for x, y in zip(first, STEP, strict=False)):
        raise TypeError(
            f"{name} takes ({', '.join(first)}), but it is handed the parameters, the gradient and the step, in this order: write (w, g, t)."
        )


def _shown(formula) -> str:
    """What stands where a function should; of a Surface its name."""
    inner = getattr(formula, "formula", None)
    return f"the surface {_name(inner)}. {ORDER[:-1]}" if callable(inner) else repr(formula)


def _name(formula: Callable) -> str:
    inner = formula.func if isinstance(formula, functools.partial) else formula
    return getattr(inner, "__name__", type(inner).__name__)


def _function(formula: Callable) -> Callable:
    """The function in a functools.partial, in an object with __call__, or behind a decorator."""
    if isinstance(formula, functools.partial):
        return _function(formula.func)
    return inspect.unwrap(formula if inspect.isroutine(formula) else type(formula).__call__)


def _hints(formula: Callable) -> dict[str, Any]:
    """The annotations; none if one is a string that cannot be read here; then ranges are inferred."""
    try:
        return get_type_hints(_function(formula), include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError):
        return {}


def _number(name: str, p: inspect.Parameter, kind: str, why: str) -> float:
    if p.default is p.empty:
        raise TypeError(f"{name}'s {kind} `{p.name}` has no default. Give it one, as in `{p.name}=0.0`: {why}.")
    if isinstance(p.default, bool) or not isinstance(p.default, numbers.Real):
        raise TypeError(f"{name}'s {kind} `{p.name}` has the default {p.default!r}. It must be a number: {why}.")
    return float(p.default)


def _annotated_range(hint: Any) -> Range | None:
    return next((x for x in get_args(hint) if isinstance(x, Range)), None)


USUAL = {
    "lr": Rate,
    "eta": Rate,
    "eps": Tiny,
    "momentum": Decay,
    "beta": Decay,
    "gamma": Decay,
    "rho": Decay,
    "decay": Strength,
}


def _usual(name: str) -> Range | None:
    """The range that a hyperparameter of this name usually has."""
    return _annotated_range(USUAL.get(name.rstrip("0123456789_").removeprefix("weight_")))


def inferred_range(name: str, default: float) -> Range:
    """A range for a hyperparameter without annotation: by its usual name, else around its default."""
    found = _usual(name)
    if found is not None and found.at_least <= default < found.below:
        return found
    if default > 0:
        return Range(default / 100, default * 100, "log")
    return Range(min(-1.0, 2 * default), max(1.0, -2 * default))


def step(rule: Callable, w, g, t, state, hyper: dict, f: Callable | None = None) -> tuple[Any, tuple]:
    """One step of a rule: (w, state) at t from (w, state) at t - 1. `state` is in the signature's order; `f` is the loss,
    for a rule that takes it.

    Raises TypeError if the rule returns more or fewer values than its signature promises, a list, or a w or a state of
    another shape.
    """
    inputs = (w, g, t) if f is None else (w, g, t, f)
    result = rule(*inputs, *state, **hyper)
    values = result if isinstance(result, tuple) else (result,)
    if len(values) != 1 + len(state) or isinstance(result, list):
        raise TypeError(_miscounted(signature(rule), result))
    if getattr(values[0], "shape", None) != w.shape:
        raise TypeError(
            f"{signature(rule).name} returned a w of {_form(values[0])}. Return the new parameters, of the shape {tuple(w.shape)}."
        )
    for k, (old, new) in enumerate(zip(state, values[1:], strict=True)):
        if getattr(old, "shape", None) != getattr(new, "shape", ()):
            _check_state(signature(rule), k, old, new)
    return values[0], values[1:]


def _miscounted(own: Signature, result) -> str:
    """What to say of a rule that returned another number of values than its signature promises."""
    promised = ", ".join(("w", *own.state))
    if isinstance(result, list):
        return f"{own.name} returned a list. Return the values themselves: return {promised}."
    count = len(result) if isinstance(result, tuple) else 1
    settings = [k for k in own.state if _usual(k) is not None]
    if settings and count == 1 + len(own.state) - len(settings):
        return misplaced(own, settings)
    return f"{own.name} returned {count} value(s), but its signature promises {1 + len(own.state)}: return {promised}."


def misplaced(own: Signature, names: list[str]) -> str:
    """What to say where states look like hyperparameters for which the `*` was forgotten."""
    return (
        f"{own.name}'s `{names[0]}` stands before the `*`, so it is a state, which is returned: return {', '.join(('w', *own.state))}. "
        f"A hyperparameter stands after it: {starred(own, names)}."
    )


def starred(own: Signature, names) -> str:
    """A rule's first line, with these names behind the `*`, where hyperparameters stand."""
    parts = [
        *own.inputs,
        *(_argument(k, x) for k, x in own.state.items() if k not in names),
        "*",
        *(_argument(k, x) for k, x in (own.state | own.hyper).items() if k in names or k in own.hyper),
    ]
    return f"`def {own.name if own.name.isidentifier() else 'rule'}({', '.join(parts)})`"


def _argument(name: str, default) -> str:
    return f"{name}={default!r}" if isinstance(default, float | str) else f"{name}=…"


def _check_state(own: Signature, k: int, old, new) -> None:
    """Raise a TypeError for a state that is no number and no tensor, or one that changes its shape."""
    name, shapes = [*own.state][k], [tuple(getattr(x, "shape", ())) for x in (old, new)]
    if not isinstance(new, torch.Tensor | numbers.Real):
        raise TypeError(f"{own.name} returned `{name}` of {_form(new)}. Return a tensor of the shape {shapes[0]}.")
    if shapes[0] != shapes[1]:
        raise TypeError(
            f"{own.name} returned `{name}` with the shape {shapes[1]}, but it starts with {shapes[0]}: keep its shape."
        )


def _form(x) -> str:
    return f"the shape {tuple(x.shape)}" if hasattr(x, "shape") else f"the type {type(x).__name__}"
