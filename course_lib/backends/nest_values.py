"""A tensor while it is traced into nests: its shape, and how to write what computes the number at an index."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.backends.elementwise import truncated
from course_lib.backends.nests import Index, Load, affine, contiguous
from course_lib.backends.program import Atom, Instruction, identity

At = Callable[["Lines", tuple], Atom]  # writes what computes the number at an index, and names it


@dataclass(frozen=True)
class Value:
    """A tensor while it is traced: its shape, and how to read it; `store` is the array that it stands in, row by row, if it does."""

    shape: tuple[int, ...]
    at: At
    store: str | None = None


class Lines:
    """The lines of one nest; the same line is written once."""

    def __init__(self):
        self.lines: dict[tuple, Load | Instruction] = {}

    def emit(self, op: str, *args: Atom) -> Atom:
        """The atom that `op` gives of these, by a line where it takes one."""
        short = identity(op, args)
        return self._once((op, *args), lambda name: Instruction(name, op, args)) if short is None else short

    def load(self, array: str, index: Index) -> str:
        """The name of the line that reads this number of an array."""
        return self._once(("load", array, index), lambda name: Load(name, array, index))

    def _once(self, key: tuple, make: Callable) -> str:
        if key not in self.lines:
            self.lines[key] = make(f"#{len(self.lines)}")
        return self.lines[key].name


def lines_that_lead_to(lines: Lines, atom: Atom) -> tuple[Load | Instruction, ...]:
    """The lines that lead to an atom."""
    wanted, kept = {atom}, []
    for x in reversed(lines.lines.values()):
        if x.name in wanted:
            wanted |= {v for _, v in x.index} if isinstance(x, Load) else {*x.args}
            kept.append(x)
    return tuple(kept[::-1])


def truth(value: Value) -> Value:
    """Whether a number is not 0: `and` of some languages takes numbers for what they are."""
    return Value(value.shape, lambda lines, index: lines.emit("ne", value.at(lines, index), 0.0))


def converted(value: Value, old: torch.dtype, new: torch.dtype) -> Value:
    """The numbers in another type: whole ones lose their fraction, and true and false become 1 and 0."""
    if old == torch.bool:
        return Value(value.shape, lambda lines, index: lines.emit("where", value.at(lines, index), 1.0, 0.0))
    if old.is_floating_point and not new.is_floating_point:
        return Value(value.shape, lambda lines, index: truncated(lines.emit, value.at(lines, index)))
    return value


def mapped(value: Value, function: Callable) -> Value:
    """`function(lines, number)` of each number."""
    return Value(value.shape, lambda lines, index: function(lines, value.at(lines, index)))


def number(x: float) -> Value:
    """A constant."""
    return Value((), lambda lines, index: float(x))


def stored(name: str, shape: tuple[int, ...]) -> Value:
    """What stands in an array, row by row; with the shape () a number of this name."""
    if not shape:
        return Value((), lambda lines, index: name, name)
    strides = contiguous(shape)
    return Value(
        shape,
        lambda lines, index: lines.load(
            name, affine(strides, tuple(v if n > 1 else None for v, n in zip(index, shape, strict=True)))
        ),
        name,
    )


def spread(value: Value, shape: tuple[int, ...]) -> Value:
    """The value repeated along new dimensions and along those of size 1."""
    new = len(shape) - len(value.shape)
    if value.shape == shape:
        return value
    return Value(
        shape,
        lambda lines, index: value.at(
            lines, tuple(None if n == 1 else v for v, n in zip(index[new:], value.shape, strict=True))
        ),
    )


def swapped(value: Value, shape: tuple[int, ...], *dims: int) -> Value:
    """Two dimensions exchanged, the first two unless others are said."""
    order = list(range(len(shape)))
    if len(shape) > 1:
        a, b = (d % len(shape) for d in dims or (0, 1))
        order[a], order[b] = order[b], order[a]
    return permuted(value, shape, order)


def permuted(value: Value, shape: tuple[int, ...], order: list[int]) -> Value:
    """The dimensions in another order."""
    places = [order.index(d) if d in order else order.index(d - len(shape)) for d in range(len(shape))]
    return Value(shape, lambda lines, index: value.at(lines, tuple(index[k] for k in places)))


def squeezed(value: Value, shape: tuple[int, ...], *dims) -> Value:
    """Without dimensions of size 1, or with more of them."""
    if [n for n in value.shape if n > 1] != [n for n in shape if n > 1]:
        raise AssertionError(f"{value.shape} and {shape} differ in more than dimensions of size 1")

    def at(lines: Lines, index: tuple) -> Atom:
        long = iter([v for v, n in zip(index, shape, strict=True) if n > 1])
        return value.at(lines, tuple(next(long) if n > 1 else None for n in value.shape))

    return Value(shape, at)


VIEWS = {
    "t": swapped,
    "transpose": swapped,
    "permute": permuted,
    "expand": lambda value, shape, *_: spread(value, shape),
    "unsqueeze": squeezed,
    "squeeze": squeezed,
    "view": lambda value, shape, *_: stored(value.store, shape),
    "_unsafe_view": lambda value, shape, *_: stored(value.store, shape),
    "detach": lambda value, shape: value,
    "lift_fresh_copy": lambda value, shape: value,
    "alias": lambda value, shape: value,
    "clone": lambda value, shape: value,
}
