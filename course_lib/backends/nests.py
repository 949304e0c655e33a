"""A step on arrays as nests of loops: what `trace_nests` makes, and what backends write as text.

mv[i0 < 3] = Σ over j0 < 2 of (W[2 i0 + j0] * x[j0])
tanh[i0 < 3] = tanh(mv[i0])
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from course_lib.backends.program import Atom, Instruction, Program

Index = tuple[tuple[int, str], ...]  # (stride, loop variable), added up


@dataclass(frozen=True)
class Load:
    """`name = array[index]`, the array's numbers in one row."""

    name: str
    array: str
    index: Index


@dataclass(frozen=True)
class Nest:
    """`target[i0, i1, …] = value`, or, with loops `over` j0, j1, …, the sum of all values; `lines` compute the value."""

    target: str
    shape: tuple[int, ...]
    over: tuple[int, ...]
    lines: tuple[Load | Instruction, ...]
    value: Atom

    @property
    def index(self) -> Index:
        """Where the target's number stands."""
        return affine(contiguous(self.shape), variables("i", self.shape))

    @property
    def read(self) -> set[Atom]:
        """The arrays and numbers that it reads."""
        atoms = {a for x in self.lines if isinstance(x, Instruction) for a in x.args} | {self.value}
        return {x.array for x in self.lines if isinstance(x, Load)} | {a for a in atoms if isinstance(a, str)}

    def __str__(self) -> str:
        known: dict[Atom, str] = {}
        compound = set()  # what needs parentheses as a part
        for line in self.lines:
            if isinstance(line, Load):
                known[line.name] = f"{line.array}[{show(line.index)}]"
                continue
            parts = tuple(f"({known[a]})" if a in compound else known.get(a, a) for a in line.args)
            known[line.name] = str(Instruction("", line.op, parts)).removeprefix(" = ")
            if not known[line.name].startswith(f"{line.op}("):
                compound.add(line.name)
        loops = [
            ", ".join(f"{v} < {n}" for v, n in zip(variables(letter, sizes), sizes, strict=True) if v)
            for letter, sizes in (("i", self.shape), ("j", self.over))
        ]
        place, total = f"[{loops[0]}]" if loops[0] else "", f"Σ over {loops[1]} of " if self.over else ""
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

    @property
    def made(self) -> dict[str, tuple[int, ...]]:
        """The arrays that the nests write, with their shapes."""
        return {nest.target: nest.shape for nest in self.nests}

    def __call__(self, **values) -> dict[str, np.ndarray]:
        """Run the nests in float64, a number at a time: slow, and the yardstick for every backend."""
        memory = {
            k: np.asarray(x, np.float64).ravel()
            for k, x in {**self.constants, **{k: values[k] for k in self.inputs}}.items()
        }
        for nest in self.nests:
            memory[nest.target] = np.array(
                [_total(nest, memory, place) for place in itertools.product(*map(range, nest.shape))]
            )
        return {k: memory[k].reshape(self.made[k]) for k in self.outputs}


def _total(nest: Nest, memory: dict[str, np.ndarray], place: tuple[int, ...]) -> float:
    loads = [x for x in nest.lines if isinstance(x, Load)]
    numbers = {k: x[0] for k, x in memory.items() if len(x) == 1}
    program = Program(
        "",
        (*numbers, *(x.name for x in loads)),
        tuple(x for x in nest.lines if isinstance(x, Instruction)),
        {"value": (nest.value,)},
    )
    total = 0.0
    for summed in itertools.product(*map(range, nest.over)):
        at = dict(zip((*variables("i", nest.shape), *variables("j", nest.over)), (*place, *summed), strict=True))
        total += program(
            **numbers, **{x.name: memory[x.array][sum(stride * at[v] for stride, v in x.index)] for x in loads}
        )["value"].item()
    return total


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
