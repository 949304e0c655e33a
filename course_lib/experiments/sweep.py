"""Thousands of descents at once: every setting is a run, on the machine that is fastest."""

import math
from collections.abc import Callable

import torch

from course_lib.backends.python_math import on_tensors
from course_lib.experiments.machines import MACHINES, Work, choose, of_the_library, signatures
from course_lib.experiments.settings import complete, extremes, floating, number_of_runs, tensor, whole_number
from course_lib.formulas.signature import Signature, signature
from course_lib.formulas.surfaces import Surface

OWN = ("rule", "surface", "start", "steps", "machine", "keep", "dtype", "device")  # arguments of sweep itself


def sweep(
    rule: Callable,
    surface: Callable,
    start,
    steps: int,
    *,
    machine: str = "auto",
    keep: str = "path",
    dtype=torch.float64,
    device=None,
    **hyper,
) -> torch.Tensor:
    """Run `rule` on `surface` from `start`: the path, of shape (steps + 1, runs, n); with `keep="end"` its end alone, (runs, n).

    `start` has the shape (n,) or (runs, n). Any hyperparameter of the rule or of the surface is a number or a vector of
    `runs` values; what is left out has its default. A diverging run goes to inf and NaN, as it would in training.

    `machine` is "torch" (any device and any formula), "numba" (generated code on all cores of the CPU, 10 to 100 times as fast
    once it is compiled, which takes seconds the first time), "triton" (with `device="cuda"`, the whole sweep as one generated
    kernel, a thread a run) or "auto", which takes one of the last two for 20 million steps and more, by the device.
    The results agree to rounding: bit for bit in float64 without transcendental functions, but for what PyTorch itself rounds
    otherwise (the square root of some builds, and lerp, addcmul and add(…, alpha=…), which fuse a product and a sum). In float32 a fused multiply-add rounds once, and Triton's division and square root may be two units in the last place off;
    there 1 / x is 0 from x = 2 ** 126 on. How far that carries is stated and tested for each rule: FLOAT32 in tolerances.py.

    An `if` on a value, or `min(1, t / 10)`, is followed both ways, and `math.cos(t)` is torch.cos(t): t and the hyperparameters are
    tensors of the shape (). Raises TypeError for an unknown hyperparameter, one that rule and surface both have, and what holds no
    real numbers; ValueError for one outside its limits,
    for vectors of unlike length, for a start that is not finite or has the wrong dimension, for a negative number of steps,
    for a rule that changes w in place, and for a machine that can't take the formula.
    """
    surface = Surface.function(surface)
    both = signatures(rule, surface)
    _check_no_name_is_taken(both)
    if machine not in ("auto", *MACHINES):
        raise ValueError(f"machine must be one of auto, {', '.join(MACHINES)}, got {machine!r}.")
    if keep not in ("path", "end"):
        raise ValueError(f'keep must be "path" or "end", got {keep!r}.')
    settings = complete(both, hyper, floating(dtype), device)
    w = tensor("start", start, "a point or a list of points", dtype, device)
    if w.dim() not in (1, 2) or w.shape[-1] == 0 or not all(map(math.isfinite, extremes(w))):
        shown = w.tolist() if w.numel() <= 16 else w[~w.isfinite()][:4].tolist()
        raise ValueError(
            f"start must be finite, of shape (n,) or (runs, n), got {tuple(w.shape)} with the values {shown}."
        )
    steps = whole_number("steps", steps)
    runs = number_of_runs(settings, w)
    w = w.reshape(-1, w.shape[-1])
    if not (of_the_library(surface) and w.shape[1] == 2):  # all of the library's take points of the plane
        _check_dimension(surface, w[0], {k: _first(settings[k], w) for k in both[1].hyper})
    work = Work(rule, surface, w, settings, runs, steps, keep == "path")
    return (choose(work) if machine == "auto" else MACHINES[machine])(work)


def _check_no_name_is_taken(signatures: tuple[Signature, ...]) -> None:
    for s in signatures:
        if taken := set(s.hyper) & set(OWN):
            raise TypeError(
                f"{s.name} has a hyperparameter `{min(taken)}`, which is the name of an argument of sweep: rename it."
            )


def _first(setting: float | torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return (
        setting[0]
        if isinstance(setting, torch.Tensor)
        else torch.as_tensor(setting, dtype=like.dtype, device=like.device)
    )


def _check_dimension(surface: Callable, w: torch.Tensor, there: dict[str, torch.Tensor]) -> None:
    """Say it clearly where a surface can't take a point, or does not return one number."""
    name, n = signature(surface, inputs=("w",)).name, len(w)
    try:
        with torch.no_grad():
            loss = on_tensors(surface)(w, **there)
    except (ValueError, IndexError, RuntimeError) as error:
        raise ValueError(f"{name} does not take a point of {n} coordinates: {error}.") from error
    if not isinstance(loss, torch.Tensor) or loss.dim() != 0:
        raise ValueError(
            f"{name} must return one number (a tensor of shape ()), got {tuple(getattr(loss, 'shape', ())) or type(loss).__name__}."
        )
