"""Sliders, read off a formula's signature."""

from collections.abc import Callable
from typing import get_args

from course_lib.formulas.catalog import CATALOG
from course_lib.formulas.signature import Range, Signature, Tiny

_LETTERS = dict(
    zip(
        "alpha beta gamma delta epsilon kappa lambda mu nu xi rho sigma tau phi psi omega".split(),
        "αβγδεκλμνξρστφψω",
        strict=True,
    )
)
_GREEK = _LETTERS | {
    "delta": "Δ",
    "lr": "η",
    "eta": "η",
    "eta_min": "ηₘᵢₙ",
    "eta_max": "ηₘₐₓ",
    "eps": "ε",
    "decay": "λ",
    "momentum": "m",
    "condition_number": "κ",
    "angle": "∠",
    "damping": "μ",
    "lr_1": "η₁",
    "lr_2": "η₂",
    "scale": "s",
    "c1": "c₁",
}
_NAMES = {
    "beta1": "decay of m",
    "beta2": "decay of v",
    "gamma": "decay of averages",
    "c1": "sufficient decrease",
    "lr": "learning rate",
    "eps": "epsilon",
    "decay": "weight decay",
    "lr_1": "rate of layer 1",
    "lr_2": "rate of layer 2",
    "scale": "scale of the weights",
    "rosenbrock": "Rosenbrock",
    "beale": "Beale",
    "himmelblau": "Himmelblau",
}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def symbol(name: str) -> str:
    """A hyperparameter's letter: η for lr, β₁ for beta1; its name in words where it has none."""
    if name in _GREEK:
        return _GREEK[name]
    stem = name.rstrip("0123456789")
    number = name[len(stem) :].translate(_SUBSCRIPTS)
    return _GREEK[stem] + number if stem in _GREEK else name.replace("_", " ")


def label(name: str) -> str:
    """A hyperparameter's, a rule's or a surface's name in words; the letter alone for one that is called after it, as `beta`."""
    if name in CATALOG:
        return CATALOG[name].label
    letter = name.rstrip("0123456789") in _LETTERS
    return _NAMES.get(name, symbol(name) if letter else name.replace("_", " "))


def identifier(formula: Callable) -> str:
    """A formula's name that JavaScript and the reader can read: `mine` for a lambda."""
    name = getattr(formula, "__name__", type(formula).__name__)
    return name if name.isidentifier() and name.isascii() else "mine"


def is_tiny(owner: Signature, name: str) -> bool:
    """Whether the hyperparameter only keeps a division safe, as ε does: no slider to begin with."""
    return owner.ranges[name] == get_args(Tiny)[1]


def control(owner: Signature, name: str, value: float) -> dict:
    """What a slider needs to know. A value outside the usual range widens the slider, so that it can be shown."""
    r = owner.ranges[name]
    low, high = min(r.low, value), max(r.high, value)
    scale = "linear" if (r.scale == "log" and low <= 0) or (r.scale == "decay" and high >= 1) else r.scale
    return {
        "name": name,
        "symbol": symbol(name),
        "label": label(name),
        "range": vars(Range(low, high, scale)) | {"at_least": None, "below": None},
        "initial": value,
    }


def own_control(
    name: str, r: Range, value: float, symbol: str | None = None, label: str | None = None, whole: bool = False
) -> dict:
    """The same for a number of the figure itself, such as its steps; `whole` for one that is counted."""
    return {
        "name": name,
        "symbol": symbol or name,
        "label": label or name,
        "range": {"low": min(r.low, value), "high": r.high, "scale": r.scale, "whole": whole},
        "initial": value,
    }
