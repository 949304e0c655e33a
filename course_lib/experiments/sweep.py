"""Thousands of descents at once: every setting is a run, and all runs are one tensor program."""

from collections.abc import Callable

import torch
from torch.func import grad, vmap

from course_lib.backends.recurrence import hyperparameters
from course_lib.formulas.signature import Signature, signature, step


def sweep(rule: Callable, surface: Callable, start, steps: int, *, dtype=torch.float64, device=None, **hyper) -> torch.Tensor:
    """Run `rule` on `surface` from `start`: the path, of shape (steps + 1, runs, n).

    `start` has the shape (n,) or (runs, n). Any hyperparameter of the rule or of the surface is a number or a vector of
    `runs` values; what is left out has its default. A diverging run goes to inf and NaN, as it would in training.

    Raises TypeError for an unknown hyperparameter or one that rule and surface both have; ValueError for one outside its limits,
    for vectors of unlike length, for a start that is not finite or has the wrong dimension, for a negative number of steps, and
    for a rule that changes w in place.
    """
    signatures = signature(rule), signature(surface, inputs=("w",))
    hyperparameters(rule, surface)
    settings = _settings(signatures, hyper, dtype, device)
    w = torch.as_tensor(start, dtype=dtype, device=device)
    if w.dim() not in (1, 2) or w.shape[-1] == 0 or not w.isfinite().all():
        raise ValueError(f"start must be finite, of shape (n,) or (runs, n), got {tuple(w.shape)} with the values {w.tolist()}.")
    if isinstance(steps, bool) or not hasattr(steps, "__index__") or steps < 0:
        raise ValueError(f"steps must be a whole number from 0, got {steps!r}.")
    runs = _runs(settings, w)
    w = w.expand(runs, w.shape[-1]).clone()
    own, there = ({k: settings[k].expand(runs) for k in s.hyper} for s in signatures)
    _check_dimension(surface, w, there)

    def one_run(w, state, own, there, t):
        f = lambda w: surface(w, **there)  # noqa: E731
        return step(rule, w, grad(f)(w), t, state, own, f if signatures[0].takes_loss else None)

    state = vmap(lambda w, own: tuple(signatures[0].initial(w, own).values()))(w, own) if signatures[0].state else ()
    path = [w]
    for t in range(1, int(steps) + 1):
        before = w._version
        w, state = vmap(one_run, in_dims=(0, 0, 0, 0, None))(w, state, own, there, t)
        if path[-1]._version > before:
            raise ValueError(f"{signatures[0].name} changes w in place, so the path is lost. Write `w - lr * g`, not `w -= lr * g`.")
        path.append(w)
    return torch.stack(path)


def _settings(signatures: tuple[Signature, ...], hyper: dict, dtype, device) -> dict[str, torch.Tensor]:
    """All hyperparameters as tensors, checked, defaults filled in."""
    known = {k: s for s in signatures for k in s.hyper}
    for k, value in hyper.items():
        if k not in known:
            names = " and ".join(f"{s.name} has ({', '.join(s.hyper) or 'none'})" for s in signatures)
            raise TypeError(f"Unknown hyperparameter `{k}`: {names}.")
        for x in _numbers(k, value):
            known[k].check(k, x)
    defaults = {k: s.hyper[k] for k, s in known.items()}
    return {k: torch.as_tensor(hyper.get(k, x), dtype=dtype, device=device) for k, x in defaults.items()}


def _numbers(name: str, value) -> list[float]:
    try:
        return torch.as_tensor(value, dtype=torch.float64).flatten().tolist()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a number or a vector of numbers, got {value!r}.") from error


def _runs(settings: dict[str, torch.Tensor], start: torch.Tensor) -> int:
    lengths = {k: len(x) for k, x in settings.items() if x.dim() == 1} | ({"start": len(start)} if start.dim() == 2 else {})
    deep = [k for k, x in settings.items() if x.dim() > 1]
    if deep or len(set(lengths.values())) > 1 or 0 in lengths.values():
        shapes = ", ".join(f"{k}: {n}" for k, n in (lengths | {k: tuple(settings[k].shape) for k in deep}).items())
        raise ValueError(f"Each hyperparameter is one number or a vector with one value for each run, all of one length above 0, got {shapes}.")
    return next(iter(lengths.values()), 1)


def _check_dimension(surface: Callable, w: torch.Tensor, there: dict[str, torch.Tensor]) -> None:
    """Say it clearly where a surface can't take a point, or does not return one number."""
    name, n = signature(surface, inputs=("w",)).name, w.shape[-1]
    try:
        loss = surface(w[0], **{k: x[0] for k, x in there.items()})
    except (ValueError, IndexError, RuntimeError) as error:
        raise ValueError(f"{name} does not take a point of {n} coordinates: {error}.") from error
    if not isinstance(loss, torch.Tensor) or loss.dim() != 0:
        raise ValueError(f"{name} must return one number (a tensor of shape ()), got {tuple(getattr(loss, 'shape', ())) or type(loss).__name__}.")
