"""A step on arrays as nests of loops: what `trace_nests` makes, and what backends write as text.

mv[i0 < 3] = Σ over j0 < 2 of (W[2 i0 + j0] * x[j0])
tanh[i0 < 3] = tanh(mv[i0])
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from course_lib.backends.program import NUMPY, Atom, Instruction

Index = tuple[tuple[int, str], ...]  # (stride, loop variable or earlier line), added up
REDUCTIONS = {"sum": (0.0, np.add), "max": (-math.inf, np.maximum)}  # what a reduction begins with, and how it goes on


class Size(int):
    """A size that may change from call to call: a loop ends at the number of this name, and arrays have room for `most`.

    As a number it is the size that the nests were traced with.
    """

    def __new__(cls, name: str, value: int, most: int):
        size = super().__new__(cls, value)
        size.name, size.most = name, most
        return size

    def __str__(self) -> str:
        return self.name

    __format__ = object.__format__


@dataclass(frozen=True)
class Load:
    """`name = array[index]`, the array's numbers in one row; an index that is looked up is the name of an earlier line."""

    name: str
    array: str
    index: Index


@dataclass(frozen=True)
class Nest:
    """`target[i0, i1, …] = value`, or, with loops `over` j0, j1, …, the sum or the largest of all values, as `reduction` says.

    `lines` compute the value, each from loop variables, numbers, arrays and earlier lines.
    """

    target: str
    shape: tuple[int, ...]
    over: tuple[int, ...]
    lines: tuple[Load | Instruction, ...]
    value: Atom
    reduction: str = "sum"

    @property
    def index(self) -> Index:
        """Where the target's number stands."""
        return affine(contiguous(self.shape), variables("i", self.shape))

    @property
    def read(self) -> set[Atom]:
        """The arrays and numbers that it reads."""
        loads = [x for x in self.lines if isinstance(x, Load)]
        atoms = {a for x in self.lines if isinstance(x, Instruction) for a in x.args} | {self.value}
        places = {v for x in loads for _, v in x.index}
        return {x.array for x in loads} | places | {a for a in atoms if isinstance(a, str)}

    def __str__(self) -> str:
        known: dict[Atom, str] = {}
        compound = set()  # what needs parentheses as a part
        for line in self.lines:
            if isinstance(line, Load):
                looked_up = tuple(
                    (stride, f"({known[v]})" if v in compound else known.get(v, v)) for stride, v in line.index
                )
                known[line.name] = f"{line.array}[{show(looked_up)}]"
                continue
            parts = tuple(f"({known[a]})" if a in compound else known.get(a, a) for a in line.args)
            known[line.name] = str(Instruction("", line.op, parts)).removeprefix(" = ")
            if not known[line.name].startswith(f"{line.op}("):
                compound.add(line.name)
        loops = [
            ", ".join(f"{v} < {n}" for v, n in zip(variables(letter, sizes), sizes, strict=True) if v)
            for letter, sizes in (("i", self.shape), ("j", self.over))
        ]
        sign = {"sum": "Σ", "max": "max"}[self.reduction]
        place, total = f"[{loops[0]}]" if loops[0] else "", f"{sign} over {loops[1]} of " if self.over else ""
        value = f"({known[self.value]})" if self.over and self.value in compound else known.get(self.value, self.value)
        return f"{self.target}{place} = {total}{value}"


@dataclass(frozen=True)
class Nests:
    """Nests in order, from `inputs` to the arrays named in `outputs`; `constants` are arrays, too. What has the shape () is a plain number."""

    inputs: dict[str, tuple[int, ...]]
    constants: dict[str, np.ndarray]
    nests: tuple[Nest, ...]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.nests))

    def with_size(self, size: Size) -> "Nests":
        """The same nests, in which every loop over `size` numbers ends at the number of its name."""

        def sizes(shape: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(size if n == size else n for n in shape)

        nests = tuple(replace(n, shape=sizes(n.shape), over=sizes(n.over)) for n in self.nests)
        return replace(self, inputs={k: sizes(shape) for k, shape in self.inputs.items()}, nests=nests)

    @property
    def made(self) -> dict[str, tuple[int, ...]]:
        """The arrays that the nests write, with their shapes."""
        return {nest.target: nest.shape for nest in self.nests}

    def __call__(self, **values) -> dict[str, np.ndarray]:
        """Run the nests in float64, sums from the first number to the last: the yardstick for every backend."""
        given = self.constants | {k: values[k] for k in self.inputs}
        memory = {k: np.asarray(x, np.float64).ravel() for k, x in given.items()}
        numbers = {k for k, shape in (self.inputs | self.made).items() if not shape}
        with np.errstate(all="ignore"):
            for nest in self.nests:
                memory[nest.target] = _computed(nest, memory, numbers).ravel()
        return {k: memory[k].reshape(self.made[k]) for k in self.outputs}


def _computed(nest: Nest, memory: dict[str, np.ndarray], numbers: set[str]) -> np.ndarray:
    """The numbers of the target, of its shape: every line for all places of the loops at once."""
    sizes = (*nest.shape, *nest.over)
    loops = (*variables("i", nest.shape), *variables("j", nest.over))
    places = {
        v: np.arange(n).reshape([-1 if v == x else 1 for x in loops]) for v, n in zip(loops, sizes, strict=True) if v
    }
    values = {k: memory[k][0] for k in numbers & memory.keys()}

    def number(atom: Atom):
        return values[atom] if isinstance(atom, str) else np.float64(atom)

    for line in nest.lines:
        if isinstance(line, Load):
            index = ((stride, places[v] if v in places else np.asarray(values[v])) for stride, v in line.index)
            place = sum(stride * x.astype(np.intp) for stride, x in index)
            values[line.name] = memory[line.array][place]
        else:
            values[line.name] = NUMPY[line.op](*map(number, line.args))
    found = np.broadcast_to(np.asarray(number(nest.value), np.float64), sizes)
    if not nest.over:
        return found
    each = found.reshape(*nest.shape, math.prod(nest.over))
    return REDUCTIONS[nest.reduction][1].accumulate(each, axis=-1)[..., -1]


def room(shape: tuple[int, ...]) -> int:
    """How many numbers an array must have room for."""
    return math.prod(n.most if isinstance(n, Size) else n for n in shape)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of an array whose rows stand one after the other."""
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


def variables(letter: str, sizes: tuple[int, ...]) -> tuple[str | None, ...]:
    """i0, i1, …; None for a dimension of size 1, which needs no loop."""
    return tuple(f"{letter}{k}" if n > 1 else None for k, n in enumerate(sizes))


def affine(strides: tuple[int, ...], index: tuple[str | None, ...]) -> Index:
    """The place in a row; a variable that is None is 0."""
    return tuple((stride, v) for stride, v in zip(strides, index, strict=True) if v is not None)


def show(index: Index, times: str = " ") -> str:
    """`4 i0 + j0`; with `times` as in a programming language."""
    return " + ".join(v if stride == 1 else f"{stride}{times}{v}" for stride, v in index) or "0"
