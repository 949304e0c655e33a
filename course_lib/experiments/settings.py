"""What a run is told, checked at the edge, with a sentence that names the argument: numbers, points, hyperparameters.

Each hyperparameter is one number or a number for each run.
"""

import numbers
import operator
from collections.abc import Iterable

import numpy as np
import torch

from course_lib.formulas.signature import Signature, misplaced

Settings = dict[str, float | torch.Tensor]  # each hyperparameter: one number, or a tensor of the shape (runs,)


def whole_number(name: str, value, low: int = 0, high: int | None = None) -> int:
    """The `value` of the argument `name` as an int: an int, NumPy's or a tensor of one, from `low` to `high`.

    Raises ValueError for any other, also for True, for 3.0 and for a tensor of a float.
    """
    try:
        whole = None if isinstance(value, bool) else operator.index(value)
    except TypeError:  # as of a float, of a text and of None
        whole = None
    if whole is None or whole < low or high is not None and whole > high:
        limits = f"from {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {limits}, got {value!r}.")
    return whole


def number(name: str, value) -> float:
    """The `value` of the argument `name` as a float: Python's, NumPy's or a tensor of one number, which may be infinite or NaN.

    Raises TypeError for any other, also for True, for "0.1", for a complex number and for a tensor that requires a gradient.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    x = tensor(name, value, "a number")
    if x.numel() != 1:
        raise TypeError(f"{name} must be a number, got {x.numel()} of them: {_short(value)}.")
    return x.item()


def point(name: str, value, coordinates: int | None = None) -> tuple[float, ...]:
    """The `value` of the argument `name` as the finite coordinates of one point.

    Raises TypeError for what holds no numbers, ValueError for another shape and for a number that is not finite.
    """
    x = tensor(name, value, "a point")
    wanted = "(n,)" if coordinates is None else f"({coordinates},)"
    if x.dim() != 1 or len(x) == 0 or coordinates not in (None, len(x)) or not x.isfinite().all():
        raise ValueError(f"{name} must be a point, finite numbers of the shape {wanted}, got {_short(value)}.")
    return tuple(x.tolist())


def domain(name: str, value) -> tuple[tuple[float, float], tuple[float, float]]:
    """The `value` of the argument `name` as ((x low, x high), (y low, y high)).

    Raises TypeError for what holds no numbers, ValueError for another shape, for ends that are not finite or in the wrong order.
    """
    x = tensor(name, value, "two ranges")
    if tuple(x.shape) != (2, 2) or not x.isfinite().all() or not (x[:, 0] < x[:, 1]).all():
        raise ValueError(
            f"{name} must be ((x low, x high), (y low, y high)), finite and in this order, got {_short(value)}."
        )
    return tuple(tuple(row) for row in x.tolist())


def tensor(name: str, value, kind: str = "a number or a vector of numbers", dtype=torch.float64, device=None):
    """The `value` of the argument `name`, which is `kind`, as a tensor of real numbers.

    Raises TypeError for texts, True and False, complex numbers, ragged lists and a tensor that requires a gradient.
    """
    if isinstance(value, torch.Tensor) and value.requires_grad:
        raise TypeError(f"{name} requires a gradient, and none is followed through a run. Pass {name}.detach().")
    try:
        x = value if isinstance(value, torch.Tensor) else torch.as_tensor(_real(value))
        if x.dtype == torch.bool or x.is_complex():
            raise TypeError(x.dtype)
        return x.to(dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be {kind}, got {_short(value)}.") from error


def _real(value):
    """What numbers stand in `value`, as NumPy reads them: not those of a text, nor True for 1."""
    if isinstance(value, list | tuple):
        if any(isinstance(x, torch.Tensor) for x in value):
            return torch.stack([torch.as_tensor(_real(x), dtype=torch.float64) for x in value])
        if any(isinstance(x, bool | str) for x in value):
            raise TypeError(value)
        if value and all(isinstance(x, numbers.Real) for x in value):
            return np.array(value, np.float64)
    found = value if isinstance(value, torch.Tensor) else np.asarray(value)
    if isinstance(found, np.ndarray) and (found.dtype.kind not in "iuf" or any(s < 0 for s in found.strides)):
        if found.dtype.kind not in "iuf":
            raise TypeError(found.dtype)
        return found.copy()
    return found


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def floating(dtype) -> torch.dtype:
    """A type of real numbers with a fraction, as torch.float64. Raises TypeError for any other."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype must be one of PyTorch's floating-point types, as torch.float64, got {dtype!r}.")
    return dtype


def check_names(signatures: Iterable[Signature], names: Iterable[str]) -> None:
    """Raise a TypeError if one of the names is no hyperparameter of any of these formulas; it says what there is."""
    signatures = tuple(signatures)
    for name in names:
        if not any(name in s.hyper for s in signatures):
            if states := [s for s in signatures if name in s.state]:
                raise TypeError(misplaced(states[0], [name]))
            known = " and ".join(f"{s.name} has ({', '.join(s.hyper) or 'none'})" for s in signatures)
            raise TypeError(f"Unknown hyperparameter `{name}`: {known}.")


def complete(signatures: Iterable[Signature], hyper: dict, dtype: torch.dtype, device=None) -> Settings:
    """All hyperparameters of these formulas, in their order, checked: those of `hyper`, and of the others the defaults.

    A number stays one; of what else holds numbers comes a tensor, of any shape: see number_of_runs. Raises TypeError for an
    unknown name and for what is no number, ValueError for one outside its limits.
    """
    signatures = tuple(signatures)
    check_names(signatures, hyper)
    settings = {}
    for s in signatures:
        for name, default in s.hyper.items():
            settings[name] = _number_or_tensor(name, hyper.get(name, default), dtype, device)
            for x in extremes(settings[name]):
                s.check(name, x)
    return settings


def extremes(x: float | torch.Tensor) -> list[float]:
    """Those of the numbers that may lie outside of limits: NaN, if there is one, or the smallest and the largest; [] of none."""
    return [x] if not isinstance(x, torch.Tensor) else [end.item() for end in x.aminmax()] if x.numel() else []


def number_of_runs(settings: Settings, start: torch.Tensor | None = None) -> int:
    """How many runs these settings ask for, and `start` of shape (n,) or (runs, n): the length of their vectors, 1 without any.

    Raises ValueError for vectors of unlike or no length, and for a setting of more axes than one.
    """
    vectors = {k: x for k, x in settings.items() if isinstance(x, torch.Tensor)}
    lengths = {k: len(x) for k, x in vectors.items() if x.dim() == 1}
    if start is not None and start.dim() == 2:
        lengths["start"] = len(start)
    deep = {k: tuple(x.shape) for k, x in vectors.items() if x.dim() > 1}
    if deep or len(set(lengths.values())) > 1 or 0 in lengths.values():
        shapes = ", ".join(f"{k}: {n}" for k, n in (lengths | deep).items())
        raise ValueError(
            f"Each hyperparameter is one number or a vector with one value for each run, all of one length above 0, got {shapes}."
        )
    return next(iter(lengths.values()), 1)


def for_each_run(settings: Settings, runs: int, dtype: torch.dtype, device=None) -> dict[str, torch.Tensor]:
    """Each setting as a tensor of the shape (runs,)."""
    return {k: torch.as_tensor(x, dtype=dtype, device=device).expand(runs) for k, x in settings.items()}


def _number_or_tensor(name: str, value, dtype: torch.dtype, device) -> float | torch.Tensor:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    x = tensor(name, value, dtype=dtype, device=device)
    return x if x.dim() else x.item()
