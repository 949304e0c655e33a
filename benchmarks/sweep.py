"""`sweep` beside a loop over torch.optim: the same runs of momentum on Rosenbrock, in steps a second, over all runs."""

import time

import torch

from benchmarks.table import Row
from course_lib.experiments import sweep
from course_lib.formulas import rosenbrock, sgd

RUNS, STEPS = 4096, 200
LOOPED = 8  # runs of the loop; its time grows with their number and nothing else
RATES = torch.logspace(-5, -3.5, RUNS, dtype=torch.float64)


def ours() -> int:
    """All runs as one tensor program; returns how many steps it took."""
    sweep(sgd, rosenbrock, (-1.2, 1.0), STEPS, lr=RATES)
    return RUNS * STEPS


def looped() -> int:
    """The same as one has it without the course: an optimizer a run, one run after the other."""
    for lr in RATES[:: RUNS // LOOPED].tolist():
        w = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=lr, momentum=0.9)
        for _ in range(STEPS):
            optimizer.zero_grad()
            rosenbrock(w).backward()
            optimizer.step()
    return LOOPED * STEPS


def speed(work) -> float:
    """Steps a second: the best of three, after one to warm up."""
    work()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        steps = work()
        seconds.append(time.perf_counter() - start)
    return steps / min(seconds)


def rows() -> list[Row]:
    fast, slow = speed(ours), speed(looped)
    note = (
        f"{RUNS:,} runs of {STEPS} steps of SGD with momentum on Rosenbrock, float64, {torch.get_num_threads()} threads"
    )
    return [
        Row("sweep", fast, "steps/s", note=note),
        Row("a loop over torch.optim.SGD", slow, "steps/s", note=f"{LOOPED} of the same runs"),
        Row("sweep is faster by", fast / slow, "times"),
    ]
