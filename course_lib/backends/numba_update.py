"""An update as machine code for the CPU: all parameters of a network in one call, in one pass over the memory, on all cores.

PyTorch, left alone, makes a pass for each operation of a rule, and so reads and writes each number a dozen times.
"""

import functools
import re
from collections.abc import Callable, Sequence

import numpy as np
import torch

from course_lib.backends import generated
from course_lib.backends.numba import FAST, OPERATORS, literal
from course_lib.backends.update import Update

CHUNK = 1 << 14  # numbers that a core takes at a time

_TEXT = '''\
"""Generated: an update of {name}, {precision}."""
import math
import numpy as np
from numba import carray, njit, prange, types
from numba.extending import intrinsic
from numpy import {precision} as f


@intrinsic
def pointer(context, address):
    """The numbers at an address."""
    kind = types.CPointer(types.{precision})
    return kind(address), lambda context, builder, signature, args: builder.inttoptr(args[0], context.get_value_type(kind))


@njit(error_model="numpy", fastmath={fastmath}, cache=True)
def few(addresses, low, size, scalars):
    {few}


@njit(parallel=True, error_model="numpy", cache=True)
def run(addresses, chunks, hyper, step):
    t = float(step)
    {scalars}
    for c in prange(len(chunks)):
        few(addresses[chunks[c, 0]], chunks[c, 1], chunks[c, 2], scalars)
'''


def source(update: Update, precision: str) -> str:
    """The Python text of `run(addresses, chunks, hyper, step)`.

    `addresses` is an int64 matrix: a row for each tensor, with the places in memory of its parameters, their gradients and their
    states. `chunks` is another one: tensor, first number, how many. `hyper` holds the hyperparameters in float64: what is alike
    for all parameters is computed in float64, as PyTorch computes with Python's numbers.
    """
    names = [*update.hyper, *update.inputs, *(i.name for i in (*update.scalars, *update.body))]
    own = {"t": "t"} | {name: f"v{k}" for k, name in enumerate(names)}
    atom = functools.partial(_atom, own)

    def lines(instructions, number: Callable) -> list[str]:
        return [f"{own[i.name]} = {OPERATORS[i.op].format(*map(number, i.args))}" for i in instructions]

    arrays, bytes = [own[name] for name in update.inputs], np.dtype(precision).itemsize
    changed = [arrays[0], *arrays[2:]]
    few = [
        *(f"{own[name]} = scalars[{k}]" for k, name in enumerate(update.read)),
        *(f"M{a} = carray(pointer(addresses[{k}] + {bytes} * low), size)" for k, a in enumerate(arrays)),
        "for i in range(size):",
        *(f"    {a} = M{a}[i]" for a in arrays),
        *(f"    {line}" for line in lines(update.body, atom)),
        *(f"    M{a}[i] = {atom(x)}" for a, x in zip(changed, update.outputs, strict=True)),
    ]
    scalars = [
        *(f"{own[h]} = hyper[{k}]" for k, h in enumerate(update.hyper)),
        *(re.sub(r"\bf\(", "float(", line) for line in lines(update.scalars, atom)),
        f"scalars = ({''.join(f'f({own[name]}), ' for name in update.read) or 'f(0),'})",
    ]
    shown = {"name": update.name, "precision": precision, "fastmath": FAST[precision]}
    return _TEXT.format(few="\n    ".join(few), scalars="\n    ".join(scalars), **shown)


def _atom(own: dict[str, str], atom) -> str:
    return own[atom] if isinstance(atom, str) else literal(atom)


def apply(update: Update, tensors: Sequence[Sequence[torch.Tensor]], hyper: Sequence[float], t: int) -> None:
    """Make step `t` in place: `tensors` has a row (parameter, gradient, *states) for each parameter.

    All are dense, on the CPU, of one precision, float32 or float64, and in each row of one shape and one order in memory.
    """
    precision = {torch.float32: "float32", torch.float64: "float64"}[tensors[0][0].dtype]
    addresses = np.array([[x.data_ptr() for x in row] for row in tensors], np.int64)
    chunks = _chunks(tuple(row[0].numel() for row in tensors))
    _compiled(update, precision)(addresses, chunks, np.array(hyper, np.float64), t)


def takes(device: torch.device) -> bool:
    """Whether it updates tensors on this device."""
    return device.type == "cpu"


@functools.lru_cache(64)
def _compiled(update: Update, precision: str) -> Callable:
    return generated.load(source(update, precision), "numba")


@functools.lru_cache(16)
def _chunks(sizes: tuple[int, ...]) -> np.ndarray:
    """Pieces of at most CHUNK numbers: (tensor, first number, how many)."""
    pieces = [(k, low, min(CHUNK, size - low)) for k, size in enumerate(sizes) for low in range(0, size, CHUNK)]
    return np.array(pieces, np.int64).reshape(-1, 3)
