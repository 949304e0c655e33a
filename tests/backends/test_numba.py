"""Generated loops give what sweep gives: all of them interpreted by Python, some of them compiled."""

import numpy as np
import pytest
import torch

from course_lib.backends import generated, numba
from course_lib.backends.loop import take_apart
from course_lib.backends.recurrence import trace_descent
from course_lib.experiments import sweep
from course_lib.experiments.tolerances import MODERATE, deviation, tolerance
from course_lib.formulas import RULES, SURFACES, adam, bfgs, gradient_descent, rosenbrock

PAIRS = [
    pytest.param(rule, s, id=f"{name}-{s.formula.__name__}") for name, rule in RULES.items() for s in SURFACES.values()
]
INTERPRETED = "def njit(**options):\n    return lambda f: f\nprange = range\n"


def interpreted(text: str):
    """The function `run` of a generated text, without Numba."""
    scope = {}
    exec(text.replace("from numba import njit, prange\n", INTERPRETED), scope)
    return scope["run"]


def rates(rule):
    return {} if "lr" not in trace_descent(rule, rosenbrock).hyper else {"lr": [1e-3, 3e-3, 1e-2]}


def assert_agrees(path, expected, rule, surface):
    """Chaos aside: of runs that stay moderate, all numbers agree."""
    tame = expected.abs().amax(dim=(0, 2)) < MODERATE
    assert tame.any() and path.shape == expected.shape and path.dtype == expected.dtype
    assert deviation(path, expected)[tame].max() <= tolerance(rule, surface, expected.dtype)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(("rule", "surface"), PAIRS)
def test_every_rule_on_every_surface_interpreted(rule, surface, precision):
    steps, recurrence, own = 12, trace_descent(rule, surface.formula), rates(rule)
    runs = len(own.get("lr", [0]))
    alike = (
        set(recurrence.hyper) - set(own) if precision == "float64" else set()
    )  # in float32 each run has its own value of everything
    loop = take_apart(recurrence, loss=False, alike=alike)
    expected = sweep(
        rule, surface.formula, surface.start, steps, dtype=getattr(torch, precision), machine="torch", **own
    )
    values = _defaults(rule, surface.formula) | own
    numbers = np.array([values[h] for h in recurrence.hyper if h in alike], precision)
    vectors = tuple(np.array(np.broadcast_to(values[h], runs), precision) for h in recurrence.hyper if h not in alike)
    out = np.empty((steps + 1, 2, runs), precision)
    with np.errstate(all="ignore"):
        interpreted(numba.source(loop, precision, path=True))(
            np.array(surface.start, precision)[:, None], numbers, vectors, steps, 2, 0, runs, out
        )
    assert_agrees(torch.from_numpy(out).mT, expected, rule, surface.formula)


def _defaults(rule, surface):
    from course_lib.backends.recurrence import hyperparameters

    return hyperparameters(rule, surface)


@pytest.mark.parametrize(
    ("rule", "precision"), [(gradient_descent, "float64"), (RULES["rprop"], "float64"), (adam, "float32")]
)
def test_compiled(rule, precision, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path_factory.getbasetemp() / "machine code"))
    setting = {"start": (-1.2, 1.0), "steps": 30, "dtype": getattr(torch, precision), "lr": torch.logspace(-5, -2, 301)}
    start = setting.pop("start")
    expected = sweep(rule, rosenbrock, start, machine="torch", **setting)
    path = sweep(rule, rosenbrock, start, machine="numba", **setting)
    assert_agrees(path, expected, rule, rosenbrock)
    torch.testing.assert_close(
        sweep(rule, rosenbrock, start, machine="numba", keep="end", **setting),
        path[-1],
        rtol=1e-5,
        atol=1e-6,
        equal_nan=True,
    )


def test_the_machine_code_is_kept_on_the_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    mine = lambda w: rosenbrock(w)
    generated.load.cache_clear()
    sweep(gradient_descent, mine, (0.0, 0.0), 3, machine="numba", lr=[1e-3, 1e-4])
    (text,) = (tmp_path / "numba").glob("run_*.py")
    assert len(list((tmp_path / "numba" / "__pycache__").glob("*.nbc"))) >= 2
    before = text.stat().st_mtime_ns
    generated.load.cache_clear()
    sweep(gradient_descent, mine, (0.0, 0.0), 3, machine="numba", lr=[1e-3, 1e-4])
    assert text.stat().st_mtime_ns == before


def test_what_it_does_not_take():
    loop = take_apart(trace_descent(adam, rosenbrock))
    with pytest.raises(ValueError, match="adam on rosenbrock: Numba computes in float32 or float64, got float16"):
        numba.runner(loop, np.float16, path=True)
    with pytest.raises(ValueError, match="bfgs on rosenbrock: a step has [0-9,]+ instructions, and more than 600"):
        numba.runner(take_apart(trace_descent(bfgs, rosenbrock)), np.float64, path=True)


def test_blocks_are_few_enough_for_the_cache_and_many_enough_for_the_cores():
    assert numba.block(1) == 32
    assert numba.block(10_000_000) == numba.BLOCK


def test_the_text_is_the_same_in_every_process():
    loop = take_apart(trace_descent(adam, rosenbrock))
    assert numba.source(loop, "float32", False) == numba.source(
        take_apart(trace_descent(adam, rosenbrock)), "float32", False
    )
    assert 'fastmath={"arcp", "contract"}' in numba.source(loop, "float32", False)
