"""What a run is told, checked at the edge: whole numbers, and hyperparameters of which each is one number or a number for each run."""

import operator
from collections.abc import Iterable

import torch

from course_lib.formulas.signature import Signature

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


def check_names(signatures: Iterable[Signature], names: Iterable[str]) -> None:
    """Raise a TypeError if one of the names is no hyperparameter of any of these formulas; it says what there is."""
    signatures = tuple(signatures)
    for name in names:
        if not any(name in s.hyper for s in signatures):
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
    if isinstance(value, int | float):
        return value
    try:
        x = torch.as_tensor(value, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a number or a vector of numbers, got {value!r}.") from error
    return x if x.dim() else x.item()
