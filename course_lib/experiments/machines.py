"""Where a sweep is computed: as one tensor program in PyTorch, or by generated code on all cores of the CPU or on a GPU.

How near their answers are to each other stands in tolerances.py.
"""

import functools
import logging
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.func import grad, vmap
from tqdm.auto import tqdm

from course_lib.backends import numba, triton
from course_lib.backends.loop import take_apart
from course_lib.backends.paths import ADVICE, is_batched, on_every_path
from course_lib.backends.python_math import on_tensors
from course_lib.backends.recurrence import hyperparameters, trace_descent
from course_lib.experiments.environment import in_book
from course_lib.experiments.settings import Settings, for_each_run
from course_lib.formulas.signature import Signature, signature, step

LARGE = 20_000_000  # steps of all runs together, from which on it pays to compile
FEW = 8  # coordinates, up to which `auto` writes a gradient out, number by number
AT_ONCE = 1 << 18  # runs between two updates of the progress bar
PATIENCE = 2.0  # seconds, after which a progress bar appears


def of_the_library(*formulas: Callable) -> bool:
    """Whether these stand in course_lib.formulas, so that they compute the same for ever."""
    return all((getattr(f, "__module__", "") or "").startswith("course_lib.formulas") for f in formulas)


def once_for_the_library(compute: Callable) -> Callable:
    """Decorator: `compute(rule, surface, …)` is remembered for the library's formulas.

    A reader's formula is looked at anew each time: it may read a number that has changed since.
    """
    remembered = functools.lru_cache(256)(compute)

    @functools.wraps(compute)
    def chosen(rule, surface, *rest):
        return (remembered if of_the_library(rule, surface) else compute)(rule, surface, *rest)

    return chosen


@once_for_the_library
def signatures(rule: Callable, surface: Callable) -> tuple[Signature, Signature]:
    """What both say of themselves. Raises TypeError where they use one name for two hyperparameters."""
    hyperparameters(rule, surface)
    return signature(rule), signature(surface, inputs=("w",))


@dataclass(frozen=True)
class Work:
    """A checked sweep: `start` has the shape (1 or runs, n), each of `settings` is a number or of the shape (runs,)."""

    rule: Callable
    surface: Callable
    start: torch.Tensor
    settings: Settings
    runs: int
    steps: int
    path: bool

    @property
    def name(self) -> str:
        return " on ".join(s.name for s in signatures(self.rule, self.surface))


def choose(work: Work) -> Callable[[Work], torch.Tensor]:
    """The machine that `auto` means: generated code for large sweeps of formulas that can be traced, else PyTorch.

    Where a large sweep can't be generated, a line of the log says why.
    """
    if work.runs * work.steps < LARGE or work.start.shape[1] > FEW or work.start.device.type not in ("cpu", "cuda"):
        return on_torch
    name, machine, runner = (
        ("Triton", on_triton, _triton_runner) if work.start.is_cuda else ("Numba", on_numba, _numba_runner)
    )
    try:
        runner(work)
    except (TypeError, ValueError) as why:
        logging.getLogger(__name__).warning(
            "sweep: %s is computed by PyTorch, as %s can't take it. %s", work.name, name, why
        )
        return on_torch
    return machine


def on_torch(work: Work) -> torch.Tensor:
    """All runs as one tensor program by vmap, on any device: the path, (steps + 1, runs, n), or its end, (runs, n)."""
    of_rule, of_surface = signatures(work.rule, work.surface)
    w = work.start.expand(work.runs, -1).clone()
    settings = for_each_run(work.settings, work.runs, w.dtype, w.device)
    own, there = ({k: settings[k] for k in s.hyper} for s in (of_rule, of_surface))

    rule, surface = on_tensors(work.rule), on_tensors(work.surface)

    def one_run(w, state, own, there, t):
        f = lambda w: surface(w, **there)
        g = on_every_path(lambda: grad(f)(w), is_batched)
        f = f if of_rule.takes_loss else None
        w, state = on_every_path(lambda: step(rule, w, g, t, state, own, f), is_batched)
        return w, tuple(torch.as_tensor(x, dtype=w.dtype, device=w.device) for x in state)

    state = vmap(lambda w, own: tuple(of_rule.initial(w, own).values()))(w, own) if of_rule.state else ()
    path = [w]
    for k in _progress(work, range(1, work.steps + 1)):
        before, version, t = w, w._version, torch.full_like(w[:, 0], k)
        w, state = _for_all_runs(one_run, of_rule.name)(w, state, own, there, t)
        if before._version > version:
            raise ValueError(
                f"{of_rule.name} changes w in place, so the path is lost. Write `w - lr * g`, not `w -= lr * g`."
            )
        if work.path:
            path.append(w)
    return torch.stack(path) if work.path else w


def _for_all_runs(one_run: Callable, name: str) -> Callable:
    """vmap of one run, which says in a sentence of its own what it can't do for all runs at once."""

    def all_runs(*values):
        try:
            return vmap(one_run)(*values)
        except RuntimeError as error:
            if "vmap" not in str(error) and "functorch" not in str(error):
                raise
            where = next((f for f in reversed(traceback.extract_tb(error.__traceback__)) if not _inside(f)), None)
            place = f"{where.name}, {where.filename}:{where.lineno}" if where else name
            raise ValueError(
                f"{place}: PyTorch can't compute this for all runs at once. {ADVICE}, and change no argument in place."
            ) from None

    return all_runs


def _inside(frame: traceback.FrameSummary) -> bool:
    """Whether a line is PyTorch's or one of the machinery that calls a formula."""
    folders = (Path(torch.__file__).parent, *(Path(__file__).parents[1] / k for k in ("backends", "experiments")))
    return any(Path(frame.filename).is_relative_to(folder) for folder in folders)


def on_numba(work: Work) -> torch.Tensor:
    """Generated code on all cores of the CPU, in float32 or float64: the same shapes as on_torch.

    Raises ValueError for another device or precision and for what can't be traced, naming the operator.
    """
    run = _numba_runner(work)
    n = work.start.shape[1]
    start = np.ascontiguousarray(work.start.numpy().T)
    settings = work.settings.values()  # in the trace's order
    numbers = np.array([x for x in settings if not isinstance(x, torch.Tensor)], start.dtype)
    vectors = tuple(x.numpy() for x in settings if isinstance(x, torch.Tensor))
    out = np.empty((*([work.steps + 1] if work.path else []), n, work.runs), start.dtype)
    for low in _progress(work, range(0, work.runs, AT_ONCE)):
        high = min(work.runs, low + AT_ONCE)
        run(start, numbers, vectors, work.steps, numba.block(high - low), low, high, out)
    return torch.from_numpy(out).mT


def on_triton(work: Work) -> torch.Tensor:
    """One generated kernel on a CUDA GPU, in float32 or float64: the same shapes as on_torch.

    With TRITON_INTERPRET=1 in the environment Triton interprets the kernel on the CPU, which is slow and needs no GPU.
    Raises ValueError where there is no such GPU, for another precision and for what can't be traced, naming the operator.
    """
    run = _triton_runner(work)
    out = work.start.new_empty((*([work.steps + 1] if work.path else []), work.start.shape[1], work.runs))
    run(work.start, tuple(work.settings.values()), work.steps, out)  # the settings are in the trace's order
    return out.mT


def _progress(work: Work, rounds: range) -> Iterable[int]:
    """A bar for what takes long; none in a page of the book, where it would stay for ever."""
    return rounds if len(rounds) < 2 else tqdm(rounds, work.name, delay=PATIENCE, leave=False, disable=in_book())


def _numba_runner(work: Work) -> Callable:
    if work.start.device.type != "cpu":
        raise ValueError(
            f'{work.name}: Numba computes on the CPU, and device is {work.start.device}. Use machine="torch".'
        )
    return _generated(
        work.rule, work.surface, work.start.shape[1], _alike(work), numba.runner, work.start.numpy().dtype, work.path
    )


def _triton_runner(work: Work) -> Callable:
    if why := triton.missing(work.start.device):
        raise ValueError(
            f'{work.name}: {why}. Or use machine="{"numba" if work.start.device.type == "cpu" else "torch"}".'
        )
    return _generated(
        work.rule,
        work.surface,
        work.start.shape[1],
        _alike(work),
        triton.runner,
        work.start.dtype,
        work.path,
        triton.is_interpreted(),
    )


def _alike(work: Work) -> frozenset[str]:
    return frozenset(k for k, x in work.settings.items() if not isinstance(x, torch.Tensor))


@once_for_the_library
def _generated(
    rule: Callable, surface: Callable, dimension: int, alike: frozenset[str], runner: Callable, *options
) -> Callable:
    return runner(take_apart(trace_descent(rule, surface, dimension), loss=False, alike=alike), *options)


MACHINES = {"torch": on_torch, "numba": on_numba, "triton": on_triton}
