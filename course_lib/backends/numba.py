"""A loop as machine code for the CPU: blocks of runs, a SIMD inner loop over a block, blocks spread over the cores.

All steps of a block are made while its numbers are in the cache. The code is generated once for each rule, surface and
precision, compiled by Numba, and kept on disk for the next process.
"""

import functools
import os
from collections.abc import Callable

import numpy as np

from course_lib.backends import generated
from course_lib.backends.loop import Loop
from course_lib.backends.program import Atom, Instruction

LARGEST = 600  # instructions in a step; a line search has thousands, which would take minutes to compile
BLOCK = 256  # runs whose state fits into a core's first cache
PRECISIONS = {np.dtype("float32"): "float32", np.dtype("float64"): "float64"}

OPERATORS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "fmod": "f(np.fmod({}, {}))",
    "gt": "{} > {}",
    "ge": "{} >= {}",
    "lt": "{} < {}",
    "le": "{} <= {}",
    "eq": "{} == {}",
    "ne": "{} != {}",
    "and": "bool({}) & bool({})",
    "or": "bool({}) | bool({})",
    "not": "not {}",
    "where": "{1} if {0} else {2}",
    "sqrt": "np.sqrt({})",
    "abs": "abs({})",
    "sign": "f({0} > 0) - f({0} < 0)",
    "floor": "np.floor({})",
    "maximum": "{0} if ({0} >= {1}) | ({0} != {0}) else {1}",
    "minimum": "{0} if ({0} <= {1}) | ({0} != {0}) else {1}",
    "pow": "{} ** {}",
    "exp": "np.exp({})",
    "log": "np.log({})",
    "sin": "np.sin({})",
    "cos": "np.cos({})",
    "tanh": "np.tanh({})",
    "log1p": "np.log1p({})",
    "expm1": "np.expm1({})",
    "log2": "np.log2({})",
    "atan": "np.arctan({})",
    "erf": "f(math.erf({}))",
}

_TEXT = '''\
"""Generated: {name}, {precision}."""
import math
import numpy as np
from numba import njit, prange
from numpy import {precision} as f


@njit(error_model="numpy", fastmath={fastmath}, cache=True)
def few(low, size, start, numbers, vectors, steps, out):
    moves = 0 if start.shape[1] == 1 else 1
    {lines}


@njit(parallel=True, error_model="numpy", cache=True)
def run(start, numbers, vectors, steps, block, low, high, out):
    for k in prange((high - low + block - 1) // block):
        first = low + k * block
        few(first, min(block, high - first), start, numbers, vectors, steps, out)
'''
FAST = {
    "float32": '{"arcp", "contract"}',
    "float64": "False",
}  # a fused multiply-add rounds once: as exact, but another number


def source(loop: Loop, precision: str, path: bool) -> str:
    """The Python text of `run(start, numbers, vectors, steps, block, low, high, out)`, which makes the runs from `low` to before `high`.

    `start` has the shape (n, 1 or runs). Of the hyperparameters, in the order of `loop.hyper`, those that are alike for all runs are
    in the vector `numbers`, the others are a tuple of vectors with `runs` values each. `out` has the shape (n, runs), or
    (steps + 1, n, runs) for a path.
    """
    own = _identifiers(loop)
    n = sum(c not in loop.initial for c in loop.carry)
    atom = functools.partial(_atom, own)
    alike, hyper = [p for p in loop.powers if p in loop.alike], [h for h in loop.hyper if h not in loop.alike]
    powers = {p: base for p, base in loop.powers.items() if p not in loop.alike}
    read = [a for a in (*hyper, *loop.kept, *loop.carry) if a in loop.read or a in powers.values()]

    def line(i: Instruction) -> str:
        return f"{own[i.name]} = {OPERATORS[i.op].format(*map(atom, i.args))}"

    first = [f"start[{k}, (low + i) * moves]" if k < n else atom(loop.initial[c]) for k, c in enumerate(loop.carry)]
    lines = [
        *(f"{own[h]} = numbers[{k}]" for k, h in enumerate(h for h in loop.hyper if h in loop.alike)),
        *(f"{own[p]} = f(1)" for p in alike),
        *map(line, loop.fixed),
        *(f"A_{own[a]} = np.empty(size, f)" for a in dict.fromkeys((*read, *loop.carry, *powers))),
        "for i in range(size):",
        *(f"    {own[h]} = vectors[{k}][low + i]" for k, h in enumerate(hyper)),
        *(f"    {line(i)}" for i in loop.once),
        *(f"    A_{own[a]}[i] = {own[a]}" for a in read if a not in loop.carry),
        *(f"    A_{own[c]}[i] = {x}" for c, x in zip(loop.carry, first, strict=True)),
        *(f"    A_{own[p]}[i] = f(1)" for p in powers),
        *(f"    out[0, {j}, low + i] = A_{own[c]}[i]" for j, c in enumerate(loop.carry[:n]) if path),
        "for step in range(1, steps + 1):",
        "    t = f(step)",
        *(f"    {own[p]} = {own[p]} * {own[loop.powers[p]]}" for p in alike),
        *(f"    {line(i)}" for i in loop.each if i not in loop.fixed),
        "    for i in range(size):",
        *(f"        {own[a]} = A_{own[a]}[i]" for a in read),
        *(f"        {own[p]} = A_{own[p]}[i] * {atom(b)}" for p, b in powers.items()),
        *(f"        {line(i)}" for i in loop.body),
        *(f"        A_{own[p]}[i] = {own[p]}" for p in powers),
        *(f"        A_{own[c]}[i] = {atom(x)}" for c, x in zip(loop.carry, loop.carried, strict=True)),
        *(f"        out[step, {j}, low + i] = {atom(x)}" for j, x in enumerate(loop.carried[:n]) if path),
        *(
            []
            if path
            else [
                "for i in range(size):",
                *(f"    out[{j}, low + i] = A_{own[c]}[i]" for j, c in enumerate(loop.carry[:n])),
            ]
        ),
    ]
    return _TEXT.format(name=loop.name, precision=precision, fastmath=FAST[precision], lines="\n    ".join(lines))


def block(runs: int) -> int:
    """How many runs a core takes at a time: as many as fit into its first cache, and few enough to keep all cores busy."""
    return max(32, min(BLOCK, -(-runs // (4 * _cores()))))


@functools.cache
def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def runner(loop: Loop, dtype, path: bool) -> Callable:
    """The compiled `run` of `source`; the first call compiles it, or reads it from the disk.

    Raises ValueError for another precision than float32 and float64 and for a step of more than LARGEST instructions.
    """
    precision = PRECISIONS.get(np.dtype(dtype))
    if precision is None:
        raise ValueError(
            f"{loop.name}: Numba computes in float32 or float64, got {np.dtype(dtype).name}. Pass one of these as dtype."
        )
    if len(loop.body) > LARGEST:
        raise ValueError(
            f'{loop.name}: a step has {len(loop.body):,} instructions, and more than {LARGEST} take minutes to compile. Use machine="torch".'
        )
    return generated.load(source(loop, precision, path), "numba")


def _atom(own: dict[str, str], atom: Atom) -> str:
    return own[atom] if isinstance(atom, str) else literal(atom)


def literal(x: float) -> str:
    """A constant, in the precision of the generated text, where `f` makes one."""
    return {"inf": "f(np.inf)", "-inf": "f(-np.inf)", "nan": "f(np.nan)"}.get(repr(float(x)), f"f({float(x)!r})")


def _identifiers(loop: Loop) -> dict[str, str]:
    """A Python name for each number. All begin with `v`, which nothing else here does."""
    names = [*loop.hyper, *loop.carry, *loop.powers, *(i.name for i in (*loop.once, *loop.each, *loop.body))]
    return {"t": "t"} | {name: f"v{k}" for k, name in enumerate(dict.fromkeys(names))}
