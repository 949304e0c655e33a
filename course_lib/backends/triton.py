"""A loop as one CUDA kernel: each thread makes all steps of one run, with the run's numbers in its registers.

Nothing is read or written between the first step and the last one but a path, where it is kept. The kernel is generated once for
each rule, surface and precision; Triton compiles it and keeps the machine code on the disk.
"""

import contextlib
import functools
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from course_lib.backends import generated
from course_lib.backends.loop import Loop
from course_lib.backends.program import Atom, Instruction
from course_lib.backends.triton_functions import FUNCTIONS

LARGEST = 600  # instructions in a step; a line search has thousands, whose numbers a thread's 255 registers can't hold
BLOCK = 128  # runs of a program: four groups of 32 threads, as Triton makes them, each thread a run
OLDEST = (7, 0)  # the compute capability from which on Triton's machine code runs
PRECISIONS = {torch.float32: "float32", torch.float64: "float64"}
FUSED = {"float32": True, "float64": False}  # a fused multiply-add rounds once: as exact, but another number

OPERATORS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "fmod": "fmod({}, {})",
    "gt": "{} > {}",
    "ge": "{} >= {}",
    "lt": "{} < {}",
    "le": "{} <= {}",
    "eq": "{} == {}",
    "ne": "{} != {}",
    "and": "{} & {}",
    "or": "{} | {}",
    "not": "{} == 0",
    "where": "tl.where({}, {}, {})",
    "sqrt": "tl.sqrt({})",
    "abs": "tl.abs({})",
    "sign": "({0} > 0).to(f) - ({0} < 0).to(f)",
    "floor": "tl.floor({})",
    "maximum": "tl.maximum({}, {}, propagate_nan=tl.PropagateNan.ALL)",
    "minimum": "tl.minimum({}, {}, propagate_nan=tl.PropagateNan.ALL)",
    "pow": "pow({}, {})",
    "exp": "exp({})",
    "log": "log({})",
    "sin": "sin({})",
    "cos": "cos({})",
    "tanh": "tanh({})",
    "log1p": "log1p({})",
    "expm1": "expm1({})",
    "log2": "log2({})",
    "atan": "atan({})",
    "erf": "erf({})",
}
# In float32 a quotient to two units in the last place: with it a step of Adam has 40 instructions of an H100, without it 72.
# A divisor beyond 2 ** 126 gives 0, and one that is smaller than 2 ** -126 counts as 0.
FAST = {"float32": OPERATORS | {"div": "fast_dividef({}, {})"}, "float64": OPERATORS}
_TRUE_OR_FALSE = {"gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not"}
_ASKS = {"and": (0, 1), "or": (0, 1), "not": (0,), "where": (0,)}  # which arguments are true or false

HEADER = '''\
"""Generated: {name}, {precision}{how}."""
import triton
import triton.language as tl
{functions}

f = tl.constexpr(tl.{precision})
whole = tl.constexpr(tl.{whole})  # as wide: a number that all threads share comes as its bits, since Triton takes floats as float32


'''
_TEXT = """\
@triton.jit(do_not_specialize={plain})
def run(start, from_run, from_axis, {hyper}steps, runs, out, SIZE: tl.constexpr):
    {lines}
"""


def source(loop: Loop, precision: str, path: bool, interpreted: bool = False) -> str:
    """The text of the kernel `run(start, from_run, from_axis, hyper_0, …, steps, runs, out, SIZE)`.

    `start` has the shape (1 or runs, n), with the strides `from_run`, 0 where there is one, and `from_axis`. A hyperparameter is a
    vector of `runs` values or, where it is alike for all, the bits of a number. `out` has the shape (n, runs), or
    (steps + 1, n, runs) for a path. `SIZE` is the number of runs of a program.
    """
    write = Writer([*loop.hyper, *loop.carry, *loop.powers], (*loop.once, *loop.each, *loop.body), FAST[precision])
    own, n, hyper = (
        write.own,
        sum(c not in loop.initial for c in loop.carry),
        [f"hyper_{j}" for j in range(len(loop.hyper))],
    )
    first = [
        f"tl.load(start + k * from_run + {j} * from_axis)" if j < n else write.number(loop.initial[c])
        for j, c in enumerate(loop.carry)
    ]
    places = [f"tl.store(place + {j} * apart, {own[c]}, inside)" for j, c in enumerate(loop.carry[:n])]
    before = [
        *(
            f"{own[h]} = {shared(x) if h in loop.alike else f'tl.load({x} + k)'}"
            for h, x in zip(loop.hyper, hyper, strict=True)
        ),
        *map(write.line, (*loop.fixed, *loop.once)),
        *(f"{own[c]} = {x}" for c, x in zip(loop.carry, first, strict=True)),
        *(f"{own[p]} = {write.number(1.0)}" for p in loop.powers),
    ]
    step = [
        "t = tl.full([SIZE], step, f)",
        *(f"{own[p]} = {own[p]} * {write.number(base)}" for p, base in loop.powers.items()),
        *(write.line(i) for i in (*loop.each, *loop.body) if i not in loop.fixed),
        *(f"new_{j} = {write.number(x)}" for j, x in enumerate(loop.carried)),
        *(f"{own[c]} = new_{j}" for j, c in enumerate(loop.carry)),
        *([f"place += {n} * apart", *places] if path else []),
    ]
    lines = [
        "i = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)",
        "inside = i < runs",
        "k = tl.where(inside, i, 0)  # what lies outside repeats the first run, and is not stored",
        "place, apart = out + i, runs.to(tl.int64)",
        *write.constants(),
        *before,
        *(places if path else []),
        "for step in range(1, steps + 1):",
        *(f"    {line}" for line in step),
        *([] if path else places),
    ]
    plain = [
        "from_run",
        "from_axis",
        *(x for h, x in zip(loop.hyper, hyper, strict=True) if h in loop.alike),
        "steps",
        "runs",
    ]
    return header(loop.name, precision, interpreted) + _TEXT.format(
        plain=plain, hyper="".join(f"{x}, " for x in hyper), lines="\n    ".join(lines)
    )


def header(name: str, precision: str, interpreted: bool) -> str:
    """The first lines of every generated text."""
    how = ", for Triton's interpreter" if interpreted else ""
    return HEADER.format(
        name=name,
        precision=precision,
        how=how,
        functions=FUNCTIONS[interpreted],
        whole=precision.replace("float", "int"),
    )


def shared(name: str) -> str:
    """What makes a number again of its bits, the same for all threads."""
    return f"tl.full([SIZE], {name}, whole).to(f, bitcast=True)"


def bits(numbers: Sequence[float], precision: str) -> list[int]:
    """Numbers as the whole numbers with the same bits."""
    with np.errstate(over="ignore"):
        return np.array(numbers, precision).view(precision.replace("float", "int")).tolist()


class Writer:
    """Writes instructions as assignments: each number has a name of its own, a `v`, and each constant a `c`.

    A constant that stands in the text itself would be a float32 for some of Triton's functions.
    """

    def __init__(self, names: Iterable[str], instructions: Sequence[Instruction], operators: dict[str, str]):
        names = dict.fromkeys((*names, *(i.name for i in instructions)))
        self.own = {"t": "t"} | {name: f"v{j}" for j, name in enumerate(names)}
        self.conditions = {i.name for i in instructions if i.op in _TRUE_OR_FALSE}
        self.operators, self.known = operators, {}

    def line(self, i: Instruction) -> str:
        """`v3 = v1 + v2`"""
        args = [self._condition(a) if k in _ASKS.get(i.op, ()) else self.number(a) for k, a in enumerate(i.args)]
        return f"{self.own[i.name]} = {self.operators[i.op].format(*args)}"

    def number(self, atom: Atom) -> str:
        """An atom as a float; true and false are 1 and 0."""
        if isinstance(atom, str):
            return f"{self.own[atom]}.to(f)" if atom in self.conditions else self.own[atom]
        text = repr(float(atom))
        return self.known.setdefault(text if text[-1].isdigit() else f'float("{text}")', f"c{len(self.known)}")

    def _condition(self, atom: Atom) -> str:
        return self.own[atom] if isinstance(atom, str) and atom in self.conditions else f"({self.number(atom)} != 0)"

    def constants(self) -> list[str]:
        """Assignments for what `number` has named."""
        return [f"{name} = tl.full([SIZE], {value}, f)" for value, name in self.known.items()]


def runner(loop: Loop, dtype: torch.dtype, path: bool, interpreted: bool = False) -> Callable:
    """A function of (start, settings, steps, out) that makes the sweep; its first call compiles the kernel, or finds it on the disk.

    `start` is a tensor of the shape (1 or runs, n), `settings` are those of the hyperparameters in the order of `loop.hyper`, each a
    number where it is alike for all runs, else of the shape (runs,), and `out` is what is filled, as in `source`.

    Raises ValueError for another precision than float32 and float64, for a step of more than LARGEST instructions and for an
    operator that Triton does not have.
    """
    if dtype not in PRECISIONS:
        raise ValueError(
            f"{loop.name}: Triton's kernel computes in float32 or float64, got {str(dtype).removeprefix('torch.')}. Pass one of these as dtype."
        )
    if len(loop.body) > LARGEST:
        raise ValueError(
            f'{loop.name}: a step has {len(loop.body):,} instructions, and the numbers of more than {LARGEST} do not fit into a thread\'s registers. Use machine="torch".'
        )
    for i in (*loop.once, *loop.each, *loop.body):
        if i.op not in OPERATORS:
            raise ValueError(
                f'{loop.name}: Triton has no operator `{i.op}` in {i.name} = {i.op}{i.args}. Write the formula without it, or use machine="torch".'
            )
    precision = PRECISIONS[dtype]
    return functools.partial(_run, generated.load(source(loop, precision, path, interpreted), "triton"), precision)


def _run(
    kernel, precision: str, start: torch.Tensor, settings: Sequence[float | torch.Tensor], steps: int, out: torch.Tensor
) -> None:
    runs = out.shape[-1]
    hyper = [x.contiguous() if isinstance(x, torch.Tensor) else bits([x], precision)[0] for x in settings]
    size = BLOCK if start.is_cuda else min(BLOCK, 1 << (runs - 1).bit_length())
    with on(start.device):
        kernel[(-(-runs // size),)](
            start,
            start.stride(0) * (len(start) > 1),
            start.stride(1),
            *hyper,
            steps,
            runs,
            out,
            SIZE=size,
            enable_fp_fusion=FUSED[precision],
        )


@contextlib.contextmanager
def on(device: torch.device):
    """Where a kernel starts: Triton takes the current GPU. Interpreted, it is NumPy that divides by zero."""
    with torch.cuda.device(device) if device.type == "cuda" else np.errstate(all="ignore"):
        yield


def is_interpreted() -> bool:
    """Whether Triton interprets kernels, on any machine and slowly: with TRITON_INTERPRET=1 in the environment."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def missing(device: torch.device) -> str | None:
    """What Triton lacks for a kernel on this device, as a sentence that says what helps; None if nothing is missing."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed. PyTorch's builds for CUDA on Linux bring it along"
    if is_interpreted():
        return None if device.type in ("cpu", "cuda") else f"Triton does not compute on {device}"
    if not torch.cuda.is_available():
        return "Triton needs a CUDA GPU, and PyTorch finds none here"
    if device.type != "cuda":
        return f'Triton computes on a CUDA GPU, and device is {device}: pass device="cuda"'
    if (found := torch.cuda.get_device_capability(device)) < OLDEST:
        return f"Triton needs a GPU of compute capability {OLDEST[0]}.{OLDEST[1]} or newer, and this one has {found[0]}.{found[1]}"
    return _start()


@functools.cache
def _start() -> str | None:
    """Why Triton does not start, or None. When it starts for the first time, it compiles a few lines of C."""
    try:
        importlib.import_module("triton.runtime").driver.active.get_current_target()
    except Exception as error:  # what the import, a compiler, the linker or NVIDIA's driver say
        return f"Triton does not start ({type(error).__name__}: {error}). It needs a C compiler and Python's headers, as in apt-get install gcc python3-dev"
    return None
