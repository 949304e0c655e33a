"""An update as one CUDA kernel: all parameters of a network in one launch, in one pass over the memory.

The kernel finds its tensors by a table of their places, so that many small ones take no longer than one of their size together.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from course_lib.backends import generated, numba
from course_lib.backends.triton import (
    FUSED,
    OPERATORS,
    PRECISIONS,
    Writer,
    bits,
    header,
    is_interpreted,
    missing,
    on,
    shared,
)
from course_lib.backends.update import Update

SIZE = 1024  # numbers of a program: eight for each of 128 threads

_TEXT = """\
@triton.jit(do_not_specialize={plain})
def run(addresses, chunks, {numbers}SIZE: tl.constexpr):
    {lines}
"""


def source(update: Update, precision: str, interpreted: bool = False) -> str:
    """The text of the kernel `run(addresses, chunks, scalar_0, …, SIZE)`.

    `addresses` is an int64 matrix: a row for each tensor, with the places in memory of its parameters, their gradients and their
    states. `chunks` is another one, with a row for each program: tensor, first number, how many the tensor has. The scalars that
    the update reads come as bits.
    """
    write = Writer(update.inputs + update.read, update.body, OPERATORS)
    arrays, scalars = [write.own[name] for name in update.inputs], [f"scalar_{j}" for j in range(len(update.read))]
    body = [write.line(i) for i in update.body]
    changed = [
        (f"place_{j}", write.number(x)) for j, x in zip((0, *range(2, len(arrays))), update.outputs, strict=True)
    ]
    lines = [
        "chunk = chunks + 3 * tl.program_id(0)",
        "row = addresses + tl.load(chunk) * " + str(len(arrays)),
        "i = tl.load(chunk + 1) + tl.arange(0, SIZE)",
        "inside = i < tl.load(chunk + 2)",
        *(f"place_{j} = tl.load(row + {j}).to(tl.pointer_type(f)) + i" for j in range(len(arrays))),
        *(f"{a} = tl.load(place_{j}, inside, 0)" for j, a in enumerate(arrays)),
        *(f"{write.own[name]} = {shared(x)}" for name, x in zip(update.read, scalars, strict=True)),
        *write.constants(),
        *body,
        *(f"tl.store({place}, {x}, inside)" for place, x in changed),
    ]
    return header(f"an update of {update.name}", precision, interpreted) + _TEXT.format(
        plain=scalars, numbers="".join(f"{x}, " for x in scalars), lines="\n    ".join(lines)
    )


def apply(update: Update, tensors: Sequence[Sequence[torch.Tensor]], hyper: Sequence[float], t: int) -> None:
    """Make step `t` in place: `tensors` has a row (parameter, gradient, *states) for each parameter.

    All are dense, on one CUDA GPU, of one precision, float32 or float64, and in each row of one shape and one order in memory.
    What is alike for all parameters is computed in float64 before, as PyTorch computes with Python's numbers.
    """
    device, precision = tensors[0][0].device, PRECISIONS[tensors[0][0].dtype]
    kernel, scalars = _prepared(update, precision, is_interpreted())
    with np.errstate(all="ignore"):
        numbers = bits(scalars(*map(np.float64, hyper), np.float64(t)), precision)
    chunks = _chunks(tuple(row[0].numel() for row in tensors), device)
    if len(chunks):
        with on(device):
            addresses = _addresses(tuple(x.data_ptr() for row in tensors for x in row), device)
            kernel[(len(chunks),)](addresses, chunks, *numbers, SIZE=SIZE, enable_fp_fusion=FUSED[precision])


@functools.cache
def takes(device: torch.device) -> bool:
    """Whether it updates tensors on this device."""
    return missing(device) is None


@functools.lru_cache(64)
def _prepared(update: Update, precision: str, interpreted: bool) -> tuple[Callable, Callable]:
    return generated.load(source(update, precision, interpreted), "triton"), _scalars(update)


def _scalars(update: Update) -> Callable:
    """A function of the hyperparameters and t that gives what is alike for all parameters, in float64."""
    own = {name: f"v{j}" for j, name in enumerate((*update.hyper, "t", *(i.name for i in update.scalars)))}
    lines = [
        f"{own[i.name]} = {numba.OPERATORS[i.op].format(*(own[a] if isinstance(a, str) else numba.literal(a) for a in i.args))}"
        for i in update.scalars
    ]
    text = "\n    ".join(
        (
            f"def scalars({', '.join(own[name] for name in (*update.hyper, 't'))}):",
            *lines,
            f"return [{', '.join(own[name] for name in update.read)}]",
        )
    )
    scope = {"np": np, "math": math, "f": np.float64}
    exec(text, scope)
    return scope["scalars"]


@functools.lru_cache(16)
def _chunks(sizes: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Pieces of at most SIZE numbers: (tensor, first number, how many the tensor has)."""
    pieces = [(k, low, size) for k, size in enumerate(sizes) for low in range(0, size, SIZE)]
    return torch.tensor(pieces, dtype=torch.int64).reshape(-1, 3).to(device)


@functools.lru_cache(16)
def _addresses(places: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """The table of places, on the device; gradients often lie where they lay in the step before. Nobody waits for it to get there."""
    return torch.tensor(places, dtype=torch.int64, pin_memory=device.type == "cuda").to(device, non_blocking=True)
