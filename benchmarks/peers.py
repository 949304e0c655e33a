"""Sweeps and updates beside the strongest peers, in one process: JAX with optax for sweeps, PyTorch's own fused AdamW for updates.

Both sides do the same work: float32, the end of each run only, a vector of learning rates and defaults elsewhere. Measurements
alternate between the two, so that what else the machine does meets both; a ratio is that of the medians.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from benchmarks.table import Row
from course_lib.experiments import Optimizer, sweep
from course_lib.formulas import RULES, SURFACES, adam, adamw

RUNS, STEPS, REPEATS = 4096, 200, 15
TENSORS, NUMBERS = 40, 65_000  # 2.6 million parameters

# The lecture's rules, where optax has the same one. Its rprop takes its first rate from the same argument.
TWINS = {
    "gradient_descent": lambda optax, lr: optax.sgd(lr),
    "sgd": lambda optax, lr: optax.sgd(lr, momentum=0.9),
    "nesterov": lambda optax, lr: optax.sgd(lr, momentum=0.9, nesterov=True),
    "rprop": lambda optax, lr: optax.rprop(lr),
    "adagrad": lambda optax, lr: optax.adagrad(lr, initial_accumulator_value=0.0, eps=1e-10),
    "adadelta": lambda optax, lr: optax.adadelta(lr),
    "rmsprop": lambda optax, lr: optax.rmsprop(lr, decay=0.9),
    "adam": lambda optax, lr: optax.adam(lr),
    "adamw": lambda optax, lr: optax.adamw(lr, weight_decay=0.01),
}


def _surfaces(jnp) -> dict[str, Callable]:
    """The course's surfaces in JAX, at their defaults."""
    return {
        "quadratic": lambda w: (w[0] ** 2 + 10 * w[1] ** 2) / 2,
        "ravine": lambda w: jnp.sqrt(w[1] ** 2 + 0.01) - 0.1 + 0.05 * w[0] ** 2,
        "saddle": lambda w: w[0] ** 2 / 2 - w[1] ** 2 / 2 + w[1] ** 4 / 4,
        "rosenbrock": lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2,
        "beale": lambda w: sum((c - w[0] + w[0] * w[1] ** k) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))),
        "himmelblau": lambda w: (w[0] ** 2 + w[1] - 11) ** 2 + (w[0] + w[1] ** 2 - 7) ** 2,
    }


def with_jax(rule: str, surface: str, runs: int = RUNS) -> Callable[[], object]:
    """The sweep as one writes it in JAX: jit(vmap(scan)). The first call compiles."""
    import jax
    import jax.numpy as jnp
    import optax

    f, start = _surfaces(jnp)[surface], jnp.array(SURFACES[surface].start, jnp.float32)

    def run(lr):
        optimizer = TWINS[rule](optax, lr)

        def step(carry, _):
            w, state = carry
            update, state = optimizer.update(jax.grad(f)(w), state, w)
            return (optax.apply_updates(w, update), state), None

        (w, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), None, length=STEPS)
        return w

    compiled, rates = jax.jit(jax.vmap(run)), jnp.asarray(rates_of(runs).numpy())
    return lambda: compiled(rates).block_until_ready()


def rates_of(runs: int) -> torch.Tensor:
    return torch.logspace(-5, -2, runs)


def with_the_course(rule: Callable, surface: str, steps: int = STEPS) -> Callable[[], torch.Tensor]:
    """The same sweep by generated code."""
    found, rates = SURFACES[surface], rates_of(RUNS)
    return lambda: sweep(
        rule, found.formula, found.start, steps, machine="numba", keep="end", dtype=torch.float32, lr=rates
    )


def compare(ours: Callable, theirs: Callable, repeats: int = REPEATS) -> tuple[float, float]:
    """The median seconds of both, measured in turn after one call each to warm up."""
    seconds = ([], [])
    for k in range(repeats + 1):
        for work, taken in zip((ours, theirs), seconds, strict=True):
            begin = time.perf_counter()
            work()
            if k:
                taken.append(time.perf_counter() - begin)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def _sweeps() -> list[Row]:
    ours, theirs = compare(with_the_course(adam, "rosenbrock"), with_jax("adam", "rosenbrock"), 4 * REPEATS)
    fixed, _ = compare(with_the_course(adam, "rosenbrock", 0), with_jax("adam", "rosenbrock"), REPEATS)
    work, speeds = (
        f"{RUNS:,} Adam runs × {STEPS} steps, Rosenbrock, float32",
        (RUNS * STEPS / ours, RUNS * STEPS / theirs),
    )
    note = f"{speeds[0]:.2g} and {speeds[1]:.2g} run-steps a second; of our {ours * 1e3:.2g} ms {fixed * 1e3:.2g} are spent before the first step"
    rows = [Row(f"{work}: against JAX + optax", theirs / ours, "times", at_least=3, note=note)]
    ratios = {}
    for rule in TWINS:
        for surface in SURFACES:
            ours, theirs = compare(with_the_course(RULES[rule], surface), with_jax(rule, surface), REPEATS)
            ratios[f"{rule} on {surface}"] = theirs / ours
    low = min(ratios, key=ratios.get)
    return [
        *rows,
        Row(
            "every rule of the lecture × every surface, median",
            statistics.median(ratios.values()),
            "times",
            at_least=2,
            note=f"{len(ratios)} pairs that optax has, too",
        ),
        Row("the same, the lowest", ratios[low], "times", at_least=1, note=low),
    ]


def update(device: str = "cpu") -> Row:
    """A step of AdamW for a network's parameters."""

    def begun(make: Callable) -> Callable[[], object]:
        torch.manual_seed(0)
        parameters = [torch.randn(NUMBERS, device=device, requires_grad=True) for _ in range(TENSORS)]
        for p in parameters:
            p.grad = torch.randn(NUMBERS, device=device)
        step = make(parameters).step
        return step if device == "cpu" else lambda: (step(), torch.cuda.synchronize())

    ours = begun(lambda parameters: Optimizer(parameters, adamw, fused=True))
    theirs = begun(lambda parameters: torch.optim.AdamW(parameters, fused=True))
    mine, its = compare(ours, theirs, 60)
    note = f"{mine * 1e3:.2g} and {its * 1e3:.2g} ms" + (
        f", {torch.get_num_threads()} threads" if device == "cpu" else ""
    )
    return Row(
        f"AdamW step, 2.6 M parameters in 40 tensors, {device.upper()}: against torch.optim.AdamW(fused=True)",
        its / mine,
        "times",
        at_least=0.9,
        note=note,
    )


_IMPORTS = {
    "ours": "import numba.np.arraymath, numba.typed.typedlist, course_lib.experiments",
    "theirs": "import jax, optax; jax.numpy.zeros(1)",
}
_MAKE = {"ours": 'peers.with_the_course(peers.adam, "rosenbrock")', "theirs": 'peers.with_jax("adam", "rosenbrock")'}
_FIRST = """
import time
begin = time.perf_counter()
{imports}
imported = time.perf_counter() - begin
from benchmarks import peers
work = {make}
begin = time.perf_counter()
work()
called = time.perf_counter() - begin
print(called, imported + called)
"""


def _first_call() -> list[Row]:
    """What a new process waits for its first sweep: without and with what the libraries take to be imported."""

    def seconds(side: str) -> tuple[float, float]:
        text = _FIRST.format(imports=_IMPORTS[side], make=_MAKE[side])
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, env=os.environ)
        return tuple(map(float, done.stdout.split()))

    seconds("ours")  # the code is on the disk now
    taken = {"ours": [], "theirs": []}
    for _ in range(5):
        for side, times in taken.items():
            times.append(seconds(side))
    (ours, mine), (theirs, its) = (map(statistics.median, zip(*times, strict=True)) for times in taken.values())
    return [
        Row(
            "first call in a new process, code on the disk: against JAX's first",
            ours / theirs,
            "times",
            at_most=1,
            note=f"{ours:.2g} and {theirs:.2g} s, imports aside; ours is Numba reading its cache and its tables",
        ),
        Row(
            "the same and the imports of the libraries",
            mine / its,
            "times",
            note=f"{mine:.2g} and {its:.2g} s; much of ours is torch's own import",
        ),
    ]


def rows() -> list[Row]:
    """The table's rows; those that need what is not here say so."""
    try:
        import jax  # noqa: F401
        import optax  # noqa: F401
    except ImportError:
        return [
            update(),
            Row(
                "sweeps against JAX + optax",
                float("nan"),
                "",
                note="not installed: pip install -r benchmarks/requirements.txt",
            ),
        ]
    return [*_sweeps(), update(), *_first_call()]
