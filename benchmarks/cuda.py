"""On a CUDA GPU: a million runs beside JAX with optax on the same one, and PyTorch's own fused AdamW. Elsewhere each row says that there is none."""

import importlib.util
import os
import subprocess
from collections.abc import Callable

import torch

from benchmarks import peers
from benchmarks.table import Row
from course_lib.backends.loop import Loop, take_apart
from course_lib.backends.recurrence import trace_descent
from course_lib.experiments import sweep
from course_lib.formulas import SURFACES, adam, rosenbrock

RUNS, REPEATS = 1_000_000, 20
WORK = f"{RUNS:,} Adam runs × {peers.STEPS} steps, Rosenbrock, float32, CUDA"
LANES = {(7, 0): 64, (7, 5): 64, (8, 0): 64}  # float32 units of a multiprocessor, by compute capability
LANES_SINCE = 128
ARITHMETIC = {"add", "sub", "mul", "div", "sqrt"}  # each counts as one operation, though a division takes about eight
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX leaves some of the GPU's memory to PyTorch


def with_the_course() -> Callable[[], object]:
    """The sweep as one kernel."""
    rates, start = peers.rates_of(RUNS).cuda(), SURFACES["rosenbrock"].start

    def work() -> None:
        sweep(
            adam,
            rosenbrock,
            start,
            peers.STEPS,
            machine="triton",
            keep="end",
            dtype=torch.float32,
            device="cuda",
            lr=rates,
        )
        torch.cuda.synchronize()

    return work


def operations(loop: Loop) -> int:
    """The arithmetic that a step of one run needs; what is alike for all runs is not counted."""
    return sum(i.op in ARITHMETIC for i in loop.body)


def peak() -> float:
    """Float32 operations a second of the first GPU at its highest clock, a fused multiply-add counted as two; NaN if nothing tells the clock."""
    there = torch.cuda.get_device_properties(0)
    command = ["nvidia-smi", f"--id=GPU-{there.uuid}", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    try:
        clock = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) * 1e6
    except (OSError, subprocess.CalledProcessError, ValueError):
        return float("nan")
    return there.multi_processor_count * LANES.get((there.major, there.minor), LANES_SINCE) * 2 * clock


def _sweeps() -> list[Row]:
    ours, theirs = peers.compare(with_the_course(), peers.with_jax("adam", "rosenbrock", RUNS), REPEATS)
    recurrence = trace_descent(adam, rosenbrock)
    each = operations(take_apart(recurrence, loss=False, alike=set(recurrence.hyper) - {"lr"}))
    speeds = RUNS * peers.STEPS / ours, RUNS * peers.STEPS / theirs
    note = f"{each} operations a step, peak {peak() / 1e12:.3g} TFLOP/s, {torch.cuda.get_device_name()}"
    return [
        Row(
            f"{WORK}: against JAX + optax",
            theirs / ours,
            "times",
            at_least=10,
            note=f"{speeds[0]:.2g} and {speeds[1]:.2g} run-steps a second",
        ),
        Row("the same, its share of the GPU's float32 peak", 100 * each * speeds[0] / peak(), "%", note=note),
    ]


def _without_jax(why: str) -> list[Row]:
    return [Row(f"{WORK}: against JAX + optax", float("nan"), "", note=why)]


def rows() -> list[Row]:
    """The table's rows that need a CUDA GPU."""
    if not torch.cuda.is_available():
        missing = [
            f"{WORK}: against JAX + optax",
            "the same, its share of the GPU's float32 peak",
            "AdamW step, 2.6 M parameters in 40 tensors, CUDA: against torch.optim.AdamW(fused=True)",
        ]
        return [Row(what, float("nan"), "", note="no GPU here") for what in missing]
    if importlib.util.find_spec("jax") is None or importlib.util.find_spec("optax") is None:
        return [*_without_jax("not installed: pip install -r benchmarks/requirements.txt"), peers.update("cuda")]
    import jax

    if jax.default_backend() != "gpu":
        return [*_without_jax('this JAX has no GPU: pip install "jax[cuda12]"'), peers.update("cuda")]
    return [*_sweeps(), peers.update("cuda")]
