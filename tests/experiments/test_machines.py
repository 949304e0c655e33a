"""A sweep is one answer from every machine; `auto` takes the fast one where it pays and says when it can't."""

import logging
import warnings

import pytest
import torch

from course_lib.experiments import machines, sweep
from course_lib.formulas import adam, bfgs, gradient_descent, momentum, quadratic, rosenbrock

RATES = torch.logspace(-4, -2, 5)


def used(monkeypatch, **setting):
    """The machine that `auto` took, and the result."""
    taken = []
    for name, machine in (("torch", machines.on_torch), ("numba", machines.on_numba)):
        monkeypatch.setattr(
            machines, f"on_{name}", lambda work, name=name, machine=machine: taken.append(name) or machine(work)
        )
    result = sweep(**{"rule": gradient_descent, "surface": rosenbrock, "start": (0.0, 0.0), "steps": 10} | setting)
    return taken, result


@pytest.fixture
def small(monkeypatch):
    """What counts as a large sweep, for a test."""
    monkeypatch.setattr(machines, "LARGE", 20)


def test_a_small_sweep_is_not_worth_compiling(monkeypatch):
    assert used(monkeypatch, lr=RATES)[0] == ["torch"]


def test_a_large_one_is(monkeypatch, small):
    taken, path = used(monkeypatch, lr=RATES)
    assert taken == ["numba"] and path.shape == (11, 5, 2)
    torch.testing.assert_close(
        path, sweep(gradient_descent, rosenbrock, (0.0, 0.0), 10, machine="torch", lr=RATES), rtol=1e-12, atol=1e-12
    )


def test_what_cannot_be_generated_falls_back_and_says_so(monkeypatch, small, caplog):
    def choosy(w, g, t, *, lr=0.1):
        return w - lr * torch.digamma(g)

    with caplog.at_level(logging.WARNING):
        assert used(monkeypatch, rule=choosy, lr=RATES)[0] == ["torch"]
    (record,) = caplog.records
    assert (
        "choosy on rosenbrock is computed by PyTorch, as Numba can't take it" in record.message
        and "digamma" in record.message
    )
    with pytest.raises(ValueError, match="digamma"):
        sweep(choosy, rosenbrock, (0.0, 0.0), 10, machine="numba", lr=RATES)


def test_a_line_search_is_too_long_to_compile(monkeypatch, small, caplog):
    with caplog.at_level(logging.WARNING):
        assert used(monkeypatch, rule=bfgs, steps=20)[0] == ["torch"]
    assert "more than 600 take minutes to compile" in caplog.text


def test_many_coordinates_are_not_written_out(monkeypatch, small):
    def bowl(w):
        return (w**2).sum()

    assert used(monkeypatch, surface=bowl, start=[1.0] * 9, lr=RATES)[0] == ["torch"]
    path = sweep(gradient_descent, bowl, [1.0] * 9, 4, machine="numba", lr=RATES)
    torch.testing.assert_close(
        path, sweep(gradient_descent, bowl, [1.0] * 9, 4, machine="torch", lr=RATES), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("machine", ["torch", "numba"])
def test_the_end_is_the_last_of_the_path(machine):
    setting = {
        "rule": momentum,
        "surface": quadratic,
        "steps": 7,
        "machine": machine,
        "momentum": [0.5, 0.9],
        "condition_number": [5.0, 10.0],
    }
    start = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
    path, end = (sweep(start=start, keep=keep, **setting) for keep in ("path", "end"))
    assert path.shape == (8, 2, 2) and end.shape == (2, 2)
    torch.testing.assert_close(path[-1], end, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(path[0], start.double(), rtol=0, atol=0)
    torch.testing.assert_close(sweep(start=start, keep="end", **setting | {"steps": 0}), start.double(), rtol=0, atol=0)


def test_more_runs_than_are_made_at_once(monkeypatch):
    monkeypatch.setattr(machines, "AT_ONCE", 64)
    rates = torch.logspace(-4, -2, 150)
    ends = [
        sweep(gradient_descent, rosenbrock, (0.0, 0.0), 5, machine=machine, keep="end", lr=rates)
        for machine in ("torch", "numba")
    ]
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-12)


def test_a_run_that_diverges_does_so_on_each_machine():
    for machine in ("torch", "numba"):
        end = sweep(gradient_descent, rosenbrock, (2.0, 2.0), 50, machine=machine, keep="end", lr=[1.0, 1e-4])
        assert not end[0].isfinite().any() and end[1].isfinite().all()


def test_a_million_runs_are_checked_at_once():
    with pytest.raises(ValueError, match="lr must"):
        sweep(adam, rosenbrock, (0.0, 0.0), 1, lr=torch.cat([torch.full((1_000_000,), 0.1), torch.tensor([-0.1])]))
    with pytest.raises(ValueError, match="lr must"):
        sweep(
            adam, rosenbrock, (0.0, 0.0), 1, lr=torch.cat([torch.full((1_000_000,), 0.1), torch.tensor([float("nan")])])
        )


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"machine": "abacus"}, "machine must be one of auto, torch, numba, triton, got 'abacus'"),
        ({"keep": "all"}, 'keep must be "path" or "end", got \'all\''),
        ({"machine": "numba", "dtype": torch.float16}, "Numba computes in float32 or float64, got float16"),
    ],
)
def test_what_is_not_possible(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        sweep(gradient_descent, rosenbrock, (0.0, 0.0), 3, **setting)


def test_numba_is_for_the_cpu():
    start = torch.empty(1, 2, device="meta")
    work = machines.Work(gradient_descent, rosenbrock, start, {"lr": torch.tensor(0.1)}, 1, 3, True)
    with pytest.raises(
        ValueError,
        match='gradient_descent on rosenbrock: Numba computes on the CPU, and device is meta. Use machine="torch".',
    ):
        machines.on_numba(work)


def test_a_hyperparameter_with_a_name_of_sweeps_own():
    def rule(w, g, t, *, keep=0.5):
        return w - keep * g

    with pytest.raises(
        TypeError, match="rule has a hyperparameter `keep`, which is the name of an argument of sweep: rename it"
    ):
        sweep(rule, rosenbrock, (0.0, 0.0), 3)


def test_a_readers_formula_is_traced_anew(monkeypatch):
    scale = {"value": 1.0}

    def mine(w, g, t, *, lr=0.1):
        return w - scale["value"] * lr * g

    def end():
        return sweep(mine, rosenbrock, (0.0, 0.0), 1, machine="numba", keep="end")[0, 0].item()

    first = end()
    scale["value"] = 2.0
    assert end() == pytest.approx(2 * first)


def test_a_formula_that_belongs_to_no_module():
    scope = {}
    exec("def rule(w, g, t, *, lr=0.1):\n    return w - lr * g", scope)
    scope["rule"].__module__ = None  # as in code that a program writes
    end = sweep(scope["rule"], rosenbrock, (0.0, 0.0), 3, keep="end")
    torch.testing.assert_close(end, sweep(gradient_descent, rosenbrock, (0.0, 0.0), 3, keep="end", lr=0.1))


def test_the_librarys_formula_is_traced_once(monkeypatch):
    traced = []
    monkeypatch.setattr(
        machines, "trace_descent", lambda *some, real=machines.trace_descent: traced.append(some) or real(*some)
    )
    for steps in (1, 2, 3):
        sweep(momentum, rosenbrock, (0.0, 0.0), steps, machine="numba", lr=RATES, dtype=torch.float32)
    assert len(traced) <= 1  # an earlier test may have done it


def test_progress_is_shown_on_long_sweeps_and_never_in_the_book(monkeypatch, capsys):
    monkeypatch.setattr(machines, "PATIENCE", 0.0)
    monkeypatch.delenv("COURSE_BOOK", raising=False)
    sweep(gradient_descent, rosenbrock, (0.0, 0.0), 30, machine="torch")
    assert "gradient_descent on rosenbrock" in capsys.readouterr().err
    monkeypatch.setenv("COURSE_BOOK", "1")
    sweep(gradient_descent, rosenbrock, (0.0, 0.0), 30, machine="torch")
    assert capsys.readouterr().err == ""


def test_importing_the_library_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep(gradient_descent, rosenbrock, (0.0, 0.0), 2, machine="numba")
