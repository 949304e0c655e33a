"""A formula as a straight line of scalar instructions: small enough to read, plain enough for every machine.

>>> print(trace_descent(gradient_descent, saddle).step)
gradient_descent on saddle (w[0], w[1], t, lr)
  _1 = w[0] * w[0]
  _2 = _1 / 2
  …
  loss = _8
  w = _19, _20
"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

Atom = str | float  # the name of an input or of an earlier instruction, or a number


@dataclass(frozen=True)
class Instruction:
    """`name = op(*args)`, for one number."""

    name: str
    op: str
    args: tuple[Atom, ...]

    def __str__(self) -> str:
        return f"{self.name} = {_TEXT[self.op].format(*(_show(a) for a in self.args))}"


@dataclass(frozen=True)
class Program:
    """Instructions in order, from named inputs to named outputs, each output a tuple of atoms (a vector, flattened)."""

    name: str
    inputs: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    outputs: dict[str, tuple[Atom, ...]]

    def __str__(self) -> str:
        results = (f"{name} = {', '.join(map(_show, atoms))}" for name, atoms in self.outputs.items())
        return "\n  ".join((f"{self.name} ({', '.join(self.inputs)})", *map(str, self.instructions), *results))

    def __call__(self, **values: float) -> dict[str, np.ndarray]:
        """Run the program on numbers given by input name, in float64: slow, and the yardstick for every backend."""
        known = {name: np.float64(values[name]) for name in self.inputs}

        def number(atom: Atom):
            return known[atom] if isinstance(atom, str) else np.float64(atom)

        with np.errstate(all="ignore"):
            for i in self.instructions:
                known[i.name] = NUMPY[i.op](*map(number, i.args))
        return {name: np.array([number(a) for a in atoms], dtype=np.float64) for name, atoms in self.outputs.items()}


def simplify(program: Program) -> Program:
    """The same program with fewer instructions: no x * 1, no x + 0, no - - x, nothing computed twice, nothing unused.

    Only identities that hold exactly in IEEE arithmetic, for infinities and NaN too (but for the sign of a zero), are used.
    """
    same: dict[Atom, Atom] = {}  # what each name stands for
    seen: dict[tuple, str] = {}
    negated: dict[Atom, Atom] = {}
    kept = []
    for i in program.instructions:
        args = tuple(same.get(a, a) for a in i.args)
        key = (i.op, *(sorted(args, key=str) if i.op in _COMMUTES else args))
        short = next(
            (
                x
                for x in (identity(i.op, args), negated.get(args[0]) if i.op == "neg" else None, seen.get(key))
                if x is not None
            ),
            None,
        )
        if short is not None:
            same[i.name] = short
            continue
        seen[key] = i.name
        if i.op == "neg":
            negated[i.name] = args[0]
        kept.append(replace(i, args=args))
    outputs = {name: tuple(same.get(a, a) for a in atoms) for name, atoms in program.outputs.items()}
    return _renumbered(replace(program, instructions=tuple(_used(kept, outputs)), outputs=outputs))


def identity(op: str, args: tuple[Atom, ...]) -> Atom | None:
    """The atom that `op(*args)` is equal to without computing it, if there is one."""
    if op in EXACT and not any(isinstance(a, str) for a in args):
        with np.errstate(all="ignore"):
            return float(NUMPY[op](*map(np.float64, args)))
    x, y = (*args, None)[:2]
    if op == "where" and not isinstance(x, str):
        return args[1] if x else args[2]
    if op == "add":
        return x if _is(y, 0) else y if _is(x, 0) else None
    if op == "mul":
        return x if _is(y, 1) else y if _is(x, 1) else None
    if op == "sub":
        return x if _is(y, 0) else None
    if op == "div":
        return x if _is(y, 1) else None
    return None


def _is(atom: Atom | None, value: float) -> bool:
    return not isinstance(atom, str) and atom == value


def _used(instructions: list[Instruction], outputs: dict) -> list[Instruction]:
    needed = {a for atoms in outputs.values() for a in atoms}
    kept = []
    for i in reversed(instructions):
        if i.name in needed:
            needed.update(i.args)
            kept.append(i)
    return kept[::-1]


def _renumbered(program: Program) -> Program:
    free = (name for name in map("_{}".format, itertools.count(1)) if name not in program.inputs)
    new = {i.name: next(free) for i in program.instructions}
    return replace(
        program,
        instructions=tuple(
            Instruction(new[i.name], i.op, tuple(new.get(a, a) for a in i.args)) for i in program.instructions
        ),
        outputs={name: tuple(new.get(a, a) for a in atoms) for name, atoms in program.outputs.items()},
    )


def _show(atom: Atom) -> str:
    return atom if isinstance(atom, str) else repr(float(atom)).removesuffix(".0")


_COMMUTES = {"add", "mul", "maximum", "minimum", "eq", "ne", "and", "or"}

_TEXT = {
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
    "and": "{} and {}",
    "or": "{} or {}",
    "not": "not {}",
    "where": "{1} if {0} else {2}",
    "sqrt": "sqrt({})",
    "abs": "abs({})",
    "sign": "sign({})",
    "floor": "floor({})",
    "maximum": "max({}, {})",
    "minimum": "min({}, {})",
    "pow": "{} ** {}",
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

NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "fmod": np.fmod,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "where": np.where,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": lambda x: np.float64(x > 0) - np.float64(x < 0),
    "floor": np.floor,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "pow": np.power,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "log2": np.log2,
    "atan": np.arctan,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
}

TRANSCENDENTAL = {"pow", "exp", "log", "sin", "cos", "tanh", "log1p", "expm1", "log2", "atan", "erf"}
EXACT = set(NUMPY) - TRANSCENDENTAL
"""Operators whose result IEEE 754 fixes to the last bit, so that every machine gives the same number.

PyTorch itself is not such a machine. Its CPU builds with MKL have about every 70th square root one unit in the last place off, and
its kernels of lerp, addcmul, add(…, alpha=…) and sub(…, alpha=…) round the product and the sum together, where a program, as any
other machine, rounds twice.
"""


def is_exact(program: Program) -> bool:
    """Whether every machine that runs the program must compute it bit for bit alike (in one precision, without fused operations).

    So the machines agree with each other; PyTorch may differ in what it rounds otherwise, see EXACT.
    """
    return all(i.op in EXACT for i in program.instructions)
