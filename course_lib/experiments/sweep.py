"""Thousands of descents at once: every setting is a run, on the machine that is fastest."""

import math
from collections.abc import Callable

import torch

from course_lib.experiments.machines import MACHINES, Work, choose, of_the_library, signatures
from course_lib.formulas.signature import Signature, signature

OWN = ("machine", "keep", "dtype", "device")  # arguments of sweep itself


def sweep(
    rule: Callable, surface: Callable, start, steps: int, *, machine: str = "auto", keep: str = "path", dtype=torch.float64, device=None, **hyper
) -> torch.Tensor:
    """Run `rule` on `surface` from `start`: the path, of shape (steps + 1, runs, n); with `keep="end"` its end alone, (runs, n).

    `start` has the shape (n,) or (runs, n). Any hyperparameter of the rule or of the surface is a number or a vector of
    `runs` values; what is left out has its default. A diverging run goes to inf and NaN, as it would in training.

    `machine` is "torch" (any device and any formula), "numba" (generated code on all cores of the CPU, 10 to 100 times as fast
    once it is compiled, which takes seconds the first time), "triton" (with `device="cuda"`, the whole sweep as one generated
    kernel, a thread a run) or "auto", which takes one of the last two for 20 million steps and more, by the device.
    The results agree to rounding: bit for bit in float64 without transcendental functions, but for the square root of some builds.
    In float32 a fused multiply-add rounds once, and Triton's division and square root may be two units in the last place off;
    there 1 / x is 0 from x = 2 ** 126 on.

    Raises TypeError for an unknown hyperparameter or one that rule and surface both have; ValueError for one outside its limits,
    for vectors of unlike length, for a start that is not finite or has the wrong dimension, for a negative number of steps,
    for a rule that changes w in place, and for a machine that can't take the formula.
    """
    both = signatures(rule, surface)
    _check_names(both)
    if machine not in ("auto", *MACHINES):
        raise ValueError(f"machine must be one of auto, {', '.join(MACHINES)}, got {machine!r}.")
    if keep not in ("path", "end"):
        raise ValueError(f'keep must be "path" or "end", got {keep!r}.')
    settings = _settings(both, hyper, dtype, device)
    w = torch.as_tensor(start, dtype=dtype, device=device)
    if w.dim() not in (1, 2) or w.shape[-1] == 0 or not all(map(math.isfinite, _extremes(w))):
        shown = w.tolist() if w.numel() <= 16 else w[~w.isfinite()][:4].tolist()
        raise ValueError(f"start must be finite, of shape (n,) or (runs, n), got {tuple(w.shape)} with the values {shown}.")
    if isinstance(steps, bool) or not hasattr(steps, "__index__") or steps < 0:
        raise ValueError(f"steps must be a whole number from 0, got {steps!r}.")
    runs = _runs(settings, w)
    w = w.reshape(-1, w.shape[-1])
    if not (of_the_library(surface) and w.shape[1] == 2):  # all of the library's take points of the plane
        _check_dimension(surface, w[0], {k: _first(settings[k], w) for k in both[1].hyper})
    work = Work(rule, surface, w, settings, runs, int(steps), keep == "path")
    return (choose(work) if machine == "auto" else MACHINES[machine])(work)


def _check_names(signatures: tuple[Signature, ...]) -> None:
    for s in signatures:
        if taken := set(s.hyper) & set(OWN):
            raise TypeError(f"{s.name} has a hyperparameter `{min(taken)}`, which is the name of an argument of sweep: rename it.")


def _settings(signatures: tuple[Signature, ...], hyper: dict, dtype, device) -> dict[str, float | torch.Tensor]:
    """All hyperparameters, checked, defaults filled in: each a number, or a tensor with one value for each run."""
    known = {k: s for s in signatures for k in s.hyper}
    found = {k: s.hyper[k] for k, s in known.items()}
    for k, value in hyper.items():
        if k not in known:
            names = " and ".join(f"{s.name} has ({', '.join(s.hyper) or 'none'})" for s in signatures)
            raise TypeError(f"Unknown hyperparameter `{k}`: {names}.")
        found[k] = value if isinstance(value, int | float) else _vector(k, value, dtype, device)
        for x in _extremes(found[k]):
            known[k].check(k, x)
    return found


def _vector(name: str, value, dtype, device) -> torch.Tensor | float:
    try:
        x = torch.as_tensor(value, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a number or a vector of numbers, got {value!r}.") from error
    return x if x.dim() else x.item()


def _extremes(x: float | torch.Tensor) -> list[float]:
    """Those of the numbers that may lie outside of limits: NaN, if there is one, or the smallest and the largest."""
    return [x] if not isinstance(x, torch.Tensor) else [end.item() for end in x.aminmax()] if x.numel() else []


def _runs(settings: dict[str, float | torch.Tensor], start: torch.Tensor) -> int:
    vectors = {k: x for k, x in settings.items() if isinstance(x, torch.Tensor)}
    lengths = {k: len(x) for k, x in vectors.items() if x.dim() == 1} | ({"start": len(start)} if start.dim() == 2 else {})
    deep = {k: tuple(x.shape) for k, x in vectors.items() if x.dim() > 1}
    if deep or len(set(lengths.values())) > 1 or 0 in lengths.values():
        shapes = ", ".join(f"{k}: {n}" for k, n in (lengths | deep).items())
        raise ValueError(f"Each hyperparameter is one number or a vector with one value for each run, all of one length above 0, got {shapes}.")
    return next(iter(lengths.values()), 1)


def _first(setting: float | torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return setting[0] if isinstance(setting, torch.Tensor) else torch.as_tensor(setting, dtype=like.dtype, device=like.device)


def _check_dimension(surface: Callable, w: torch.Tensor, there: dict[str, torch.Tensor]) -> None:
    """Say it clearly where a surface can't take a point, or does not return one number."""
    name, n = signature(surface, inputs=("w",)).name, len(w)
    try:
        loss = surface(w, **there)
    except (ValueError, IndexError, RuntimeError) as error:
        raise ValueError(f"{name} does not take a point of {n} coordinates: {error}.") from error
    if not isinstance(loss, torch.Tensor) or loss.dim() != 0:
        raise ValueError(f"{name} must return one number (a tensor of shape ()), got {tuple(getattr(loss, 'shape', ())) or type(loss).__name__}.")
