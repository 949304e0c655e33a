"""Generated kernels give what PyTorch gives: interpreted, as that needs no GPU; and they compile for one, with all state in registers."""

import dataclasses
import itertools
import re

import pytest
import torch

from course_lib.backends import generated, program, triton
from course_lib.backends.loop import take_apart
from course_lib.backends.program import Instruction, Program
from course_lib.backends.recurrence import Recurrence, trace_descent
from course_lib.experiments import machines, sweep
from course_lib.experiments.tolerances import MODERATE, deviation, tolerance
from course_lib.formulas import (
    RULES,
    adam,
    bfgs,
    gradient_descent,
    himmelblau,
    momentum,
    quadratic,
    ravine,
    rosenbrock,
    rprop,
)

CASES = [(quadratic, torch.float64), (ravine, torch.float64), (rosenbrock, torch.float64), (rosenbrock, torch.float32)]
PAIRS = [
    pytest.param(rule, s, dtype, id=f"{name}-{s.__name__}-{dtype}")
    for name, rule in RULES.items()
    for s, dtype in CASES
]
START = (-1.2, 1.0)
INTERPRETED = 1e-5  # of every rule: the interpreter fuses nothing
TAME = [0.0, 1.0, -1.0, 0.75, -2.5, 3.0, 0.1]
TRANSCENDENTAL = program.NUMPY.keys() - program.EXACT
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.75, -2.5, 7.0, 1e-30, -1e30, float("inf"), -float("inf"), float("nan"), 0.1, -3.0]


def both(rule, surface, start, steps, **setting):
    return (sweep(rule, surface, start, steps, machine=machine, **setting) for machine in ("triton", "torch"))


# What a kernel computes


@pytest.mark.parametrize(("rule", "surface", "dtype"), PAIRS)
def test_every_rule_on_surfaces(rule, surface, dtype, interpreter):
    own = {"lr": [1e-3, 3e-3, 1e-2]} if "lr" in trace_descent(rule, surface).hyper else {}
    path, expected = both(rule, surface, START, 8, dtype=dtype, **own)
    assert path.shape == expected.shape and path.dtype == dtype
    tame = expected.abs().amax(dim=(0, 2)) < MODERATE
    assert tame.any()
    assert deviation(path, expected)[tame].max() <= min(tolerance(rule, surface, dtype), INTERPRETED)


@pytest.mark.parametrize("runs", [1, 2, 5, triton.BLOCK, triton.BLOCK + 1, 2 * triton.BLOCK + 77])
def test_any_number_of_runs(runs, interpreter):
    own = {"start": torch.linspace(-2, 2, 2 * runs).reshape(runs, 2), "lr": torch.logspace(-4, -3, runs), "steps": 4}
    path, expected = both(momentum, rosenbrock, **own)
    torch.testing.assert_close(path, expected, rtol=1e-12, atol=1e-12)
    end, _ = both(momentum, rosenbrock, keep="end", **own)
    torch.testing.assert_close(end, path[-1], rtol=0, atol=0)


def test_no_step_and_one(interpreter):
    for steps, keep in itertools.product((0, 1), ("path", "end")):
        result, expected = both(adam, rosenbrock, START, steps, keep=keep, lr=[0.1, 0.2])
        torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


def test_starts_and_hyperparameters_that_do_not_lie_side_by_side(interpreter):
    starts, rates = torch.linspace(-2, 2, 24).reshape(2, 12).T[::2], torch.logspace(-4, -2, 12)[::2]
    path, expected = both(adam, rosenbrock, starts, 5, lr=rates, beta1=0.5, b=[10.0] * 6)
    torch.testing.assert_close(path, expected, rtol=1e-12, atol=1e-12)


def test_a_run_that_diverges(interpreter):
    end, expected = both(gradient_descent, rosenbrock, (2.0, 2.0), 40, keep="end", lr=[1.0, 1e-4, float("1e30")])
    assert not end[0].isfinite().any() and not end[2].isfinite().any()
    torch.testing.assert_close(end, expected, rtol=1e-12, atol=0, equal_nan=True)


def test_a_rule_with_a_condition_and_a_readers_own_surface(interpreter):
    def careful(w, g, t, last=1e9, small=True * 1.0, *, lr=0.1):
        size = g.abs().amax()
        worse = (g.abs() > 0.5 * last) & (t > 1)
        return (
            torch.where(worse, w - 0.1 * lr * g, w - lr * torch.where(g == 0, 1.0, g)),
            size + 0 * w,
            torch.where(~worse, 1.0, 0.0),
        )

    bumpy = lambda w: (
        (w**2).sum()
        + 0.3 * torch.cos(3 * w[0])
        + torch.tanh(w[1]) * torch.exp(-w[0])
        + w[1].abs() ** 1.5
        + torch.remainder(w[0], 0.7) * w[1].clamp(min=0.1)
    )
    path, expected = both(careful, bumpy, torch.linspace(-2, 1.9, 12).reshape(6, 2), 9)
    torch.testing.assert_close(path, expected, rtol=1e-9, atol=1e-9)


def test_what_some_runs_share(interpreter):
    def rule(w, g, t, *, lr=0.1, beta=0.5):
        return w - lr / (1 - beta) ** 1.5 * g / (1 - beta**t)

    for shared in (
        {},
        {"lr": [0.1, 0.01]},
        {"beta": [0.1, 0.3]},
        {"condition_number": [2.0, 3.0]},
        {"lr": [0.1, 0.01], "beta": [0.1, 0.3]},
    ):
        path, expected = both(rule, quadratic, START, 5, **shared)
        torch.testing.assert_close(path, expected, rtol=1e-9, atol=1e-9)


def test_other_dimensions(interpreter):
    bowl = lambda w, *, bend=1.0: (bend * w**4).sum() / 4 + w.norm()
    path, expected = both(momentum, bowl, [1.0, -0.5, 0.25, 2.0, 0.1], 6, bend=[0.5, 1.0])
    torch.testing.assert_close(path, expected, rtol=1e-12, atol=1e-12)


def applied(*operators: str) -> Recurrence:
    """Operators one after the other as a step: a, b, c -> op(a, b, c), b, c."""
    lines, last = [], "a"
    for j, op in enumerate(operators):
        lines.append(Instruction(f"_{j}", op, (last, "b", "c")[: program._TEXT[op].count("{")]))
        last = lines[-1].name
    return Recurrence(
        Program("all", ("a", "b", "c"), tuple(lines), {"loss": (0.0,), "w": (last, "b", "c")}), ("a", "b", "c"), {}, ()
    )


@pytest.mark.parametrize(
    ("dtype", "numbers", "near"),
    [(torch.float64, SPECIAL, 1e-13), (torch.float32, TAME, 3e-6)],
    ids=["float64", "float32"],
)
@pytest.mark.parametrize("op", triton.OPERATORS)
def test_each_operator(op, dtype, numbers, near, interpreter):
    recurrence, start = applied(op), torch.cartesian_prod(*[torch.tensor(numbers, dtype=dtype)] * 2)
    start = torch.cat([start, start.flip(0)[:, :1]], 1)
    out = torch.empty(3, len(start), dtype=dtype)
    triton.runner(take_apart(recurrence, loss=False), dtype, path=False, interpreted=True)(start, (), 1, out)
    expected = torch.tensor(
        [recurrence.step(**dict(zip("abc", row.tolist(), strict=True)))["w"][0] for row in start], dtype=torch.float64
    ).to(dtype)
    near = near if op in TRANSCENDENTAL or dtype == torch.float32 else 0.0
    torch.testing.assert_close(out[0], expected, rtol=near, atol=near, equal_nan=True)


def test_every_operator_has_its_text():
    assert triton.OPERATORS.keys() == program._TEXT.keys()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("rule", [adam, rprop, RULES["nadam"], RULES["lamb"]])
def test_on_a_gpu(rule, dtype, triton_installed):
    rates = torch.logspace(-4, -2, 1000, device="cuda")
    for keep in ("path", "end"):
        result, expected = both(rule, rosenbrock, START, 20, keep=keep, dtype=dtype, device="cuda", lr=rates)
        near = 1e-3 if dtype == torch.float32 else 1e-9
        torch.testing.assert_close(result, expected, rtol=near, atol=near)


# What it says where it can't


def test_without_triton(monkeypatch):
    monkeypatch.setattr(triton.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError,
        match='adam on rosenbrock: Triton is not installed. PyTorch\'s builds for CUDA on Linux bring it along. Or use machine="numba"',
    ):
        sweep(adam, rosenbrock, START, 3, machine="triton")


def test_without_a_gpu(monkeypatch, triton_installed):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ValueError, match='Triton needs a CUDA GPU, and PyTorch finds none here. Or use machine="numba"'
    ):
        sweep(adam, rosenbrock, START, 3, machine="triton")


def test_on_the_wrong_device(monkeypatch, triton_installed):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match='Triton computes on a CUDA GPU, and device is cpu: pass device="cuda"'):
        sweep(adam, rosenbrock, START, 3, machine="triton")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    assert "compute capability 7.0 or newer, and this one has 6.1" in triton.missing(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(triton, "_start", lambda: None)
    assert triton.missing(torch.device("cuda")) is None
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert triton.missing(torch.device("cpu")) is None and "does not compute on meta" in triton.missing(
        torch.device("meta")
    )


def test_where_it_does_not_start(monkeypatch):
    def start(name):
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(triton.importlib, "import_module", start)
    triton._start.cache_clear()
    assert triton._start().startswith(
        "Triton does not start (RuntimeError: Failed to find C compiler). It needs a C compiler and Python's headers"
    )
    triton._start.cache_clear()


def test_what_it_does_not_take(interpreter):
    with pytest.raises(
        ValueError, match="gradient_descent on rosenbrock: Triton's kernel computes in float32 or float64, got float16"
    ):
        sweep(gradient_descent, rosenbrock, START, 3, machine="triton", dtype=torch.float16)
    with pytest.raises(
        ValueError,
        match="bfgs on rosenbrock: a step has [0-9,]+ instructions, and the numbers of more than 600 do not fit",
    ):
        sweep(bfgs, rosenbrock, START, 3, machine="triton")
    with pytest.raises(ValueError, match="digamma"):
        sweep(lambda w, g, t, *, lr=0.1: w - lr * torch.digamma(g), rosenbrock, START, 3, machine="triton")


def test_an_operator_that_it_does_not_have():
    loop = take_apart(trace_descent(gradient_descent, rosenbrock))
    odd = dataclasses.replace(loop, body=(*loop.body, Instruction("_99", "bessel", ("lr",))))
    with pytest.raises(
        ValueError, match="gradient_descent on rosenbrock: Triton has no operator `bessel` in _99 = bessel"
    ):
        triton.runner(odd, torch.float32, path=False)


def test_auto_takes_it_for_a_large_sweep_on_a_gpu(monkeypatch, caplog):
    class OnGpu(torch.Tensor):
        device, is_cuda = torch.device("cuda"), True

    work = machines.Work(
        gradient_descent, rosenbrock, torch.zeros(1, 2).as_subclass(OnGpu), {"lr": 0.1}, 1000, 1000, False
    )
    monkeypatch.setattr(machines, "LARGE", 1_000_000)
    monkeypatch.setattr(triton, "missing", lambda device: None)
    assert machines.choose(dataclasses.replace(work, runs=999)) is machines.on_torch
    monkeypatch.setattr(machines, "_generated", lambda *some: some)
    assert machines.choose(work) is machines.on_triton
    monkeypatch.setattr(triton, "missing", lambda device: "Triton is not installed")
    assert machines.choose(work) is machines.on_torch
    assert "gradient_descent on rosenbrock is computed by PyTorch, as Triton can't take it" in caplog.text


# What a GPU gets: nothing here runs on one, but Triton brings NVIDIA's assembler along


def kernel_of(loop, precision: str, path: bool):
    pointers = {"start", "out", *(f"hyper_{j}" for j, h in enumerate(loop.hyper) if h not in loop.alike)}
    bits = {f"hyper_{j}": "i" + precision.removeprefix("float") for j, h in enumerate(loop.hyper) if h in loop.alike}
    return generated.load(triton.source(loop, precision, path), "triton"), dict.fromkeys(
        pointers, "*fp" + precision.removeprefix("float")
    ) | bits


def loop_of(ptx: str) -> str:
    """The instructions between a label and the branch back to it."""
    (found,) = (
        ptx[there.end() : back]
        for there in re.finditer(r"^(\$\w+):", ptx, re.M)
        if (back := ptx.find(f"bra \t{there[1]};", there.end())) > 0
    )
    return found


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("rule", [adam, rprop])
def test_all_state_is_in_registers(rule, precision, machine_code):
    recurrence = trace_descent(rule, rosenbrock)
    loop = take_apart(recurrence, loss=False, alike=set(recurrence.hyper) - {"lr"})
    ptx, used = machine_code(*kernel_of(loop, precision, path=False), triton.BLOCK, triton.FUSED[precision])
    assert used["STACK"] == used["LOCAL"] == used["SHARED"] == 0 and ".local" not in ptx
    assert (
        used["REG"] <= {"float32": 32, "float64": 80}[precision]
    )  # with 32, as many threads as a multiprocessor takes
    steps = loop_of(ptx)
    assert re.search(r"\bmul\.", steps) and not re.search(
        r"\b(ld|st)\.", steps
    )  # nothing is read or written between the steps
    assert ("fma.rn.f32" in steps, "fma.rn.f64" in steps) == (precision == "float32", False)
    assert set(re.findall(r"\b(?:div|sqrt)\S+", steps)) <= (
        {"div.approx.ftz.f32", "sqrt.approx.ftz.f32"} if precision == "float32" else {"div.rn.f64", "sqrt.rn.f64"}
    )


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("capability", [75, 90])
def test_every_operator_compiles(precision, capability, machine_code):
    loop = take_apart(applied(*triton.OPERATORS), loss=False)
    ptx, _ = machine_code(*kernel_of(loop, precision, path=True), triton.BLOCK, triton.FUSED[precision], capability)
    assert "st.global" in ptx


def test_the_text_is_the_same_in_every_process_and_says_what_it_is():
    loop = take_apart(trace_descent(adam, himmelblau), loss=False)
    text = triton.source(loop, "float32", False)
    assert text == triton.source(take_apart(trace_descent(adam, himmelblau), loss=False), "float32", False)
    assert text.startswith('"""Generated: adam on himmelblau, float32."""') and "libdevice" in text
    assert triton.source(loop, "float32", False, interpreted=True) != text
