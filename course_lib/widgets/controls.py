"""Sliders, read off a formula's signature."""

from course_lib.formulas.signature import Range, Signature

_GREEK = {"lr": "η", "eta": "η", "eps": "ε", "decay": "λ", "momentum": "m", "condition_number": "κ", "angle": "∠"} | dict(
    zip("alpha beta gamma delta epsilon kappa lambda mu nu xi rho sigma tau phi psi omega".split(), "αβγδεκλμνξρστφψω", strict=True)
)
_NAMES = {"lr": "learning rate", "eps": "epsilon", "decay": "weight decay"}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def symbol(name: str) -> str:
    """A hyperparameter's letter: η for lr, β₁ for beta1; its name where it has none."""
    stem = name.rstrip("0123456789")
    return _GREEK[stem] + name[len(stem) :].translate(_SUBSCRIPTS) if stem in _GREEK else name


def label(name: str) -> str:
    """A hyperparameter's name in words."""
    return _NAMES.get(name, name.replace("_", " "))


def control(owner: Signature, name: str, value: float) -> dict:
    """What a slider needs to know. A value outside the usual range widens the slider, so that it can be shown."""
    r = owner.ranges[name]
    low, high = min(r.low, value), max(r.high, value)
    scale = "linear" if (r.scale == "log" and low <= 0) or (r.scale == "decay" and high >= 1) else r.scale
    return {"name": name, "symbol": symbol(name), "label": label(name), "range": vars(Range(low, high, scale)) | {"at_least": None, "below": None}, "initial": value}
