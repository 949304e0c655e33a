"""Nests of loops as text, for languages with C's braces.

    for (let i0 = 0; i0 < 3; i0++) {
      let sum = 0;
      for (let j0 = 0; j0 < 2; j0++) {
        ...
        sum += n2;
      }
      mv[i0] = sum;
    }

What does not depend on an inner loop stands outside of it. Where a dialect has several lanes, neighbors are reduced side by side, each
from its first number to its last: a processor adds four sums in the time of one, and every sum stays the same to its last bit.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from course_lib.backends.nests import Load, Nest, Nests, Size, show, variables
from course_lib.backends.program import Instruction

TOTAL = "sum"  # in generated text
LANES = (8, 5, 4, 3, 2)  # how many neighbors side by side, the first that divides their number


@dataclass(frozen=True)
class Dialect:
    """How a language writes a loop: its words for a whole number, for a reduction that grows and for a number.

    `reductions` have, by name, what each begins with and the statement that goes on, of its name and of one more number;
    `writer(names, instructions)` writes what is inside: `line(instruction)` is a statement, `number(atom)` an expression.
    """

    integer: str
    total: str
    number: str
    reductions: dict[str, tuple[str, str]] = field(hash=False)
    writer: Callable
    lanes: bool = False


def words(nests: Iterable[Nests]) -> list[str]:
    """The names that the loops inside use for themselves."""
    all_nests = [nest for each in nests for nest in each.nests]
    most = {
        "i": max(len(n.shape) for n in all_nests),
        "j": max(len(n.over) for n in all_nests),
        "n": max(len(n.lines) for n in all_nests),
    }
    plain = [TOTAL, *(f"{letter}{k}" for letter, count in most.items() for k in range(count))]
    return [*plain, *(f"{word}_{lane}" for word in plain for lane in range(max(LANES)))]


def statements(nest: Nest, names: dict[str, str], dialect: Dialect) -> list[str]:
    """A nest as text. `names` has a name for each array and number outside; the target is declared before."""
    return _indented(_Text(nest, names, dialect).lines())


class _Text:
    def __init__(self, nest: Nest, names: dict[str, str], dialect: Dialect):
        self.nest, self.names, self.dialect = nest, names, dialect
        self.outer, self.inner = variables("i", nest.shape), variables("j", nest.over)
        self.depends = _dependencies(nest)
        self.lane, self.count = self._lanes()

    def _lanes(self) -> tuple[str | None, int]:
        """The variable whose neighbors go side by side, and how many of them."""
        looped = [(v, n) for v, n in zip(self.outer, self.nest.shape, strict=True) if v]
        if not (self.dialect.lanes and self.nest.over and looped):
            return None, 1
        v, n = looped[-1]
        return v, 1 if isinstance(n, Size) else next((count for count in LANES if n % count == 0), 1)

    def lines(self) -> list[str]:
        """All lines, without indentation."""
        inside = {name for name, loops in self.depends.items() if loops & set(self.inner)}
        before = [x for x in self.nest.lines if x.name not in inside]
        within = [x for x in self.nest.lines if x.name in inside]
        outer = self._loops(self.outer, self.nest.shape) or ["{"]  # each nest has its names for itself
        inner = self._loops(self.inner, self.nest.over)
        lanes = range(self.count)
        begin, going_on = self.dialect.reductions[self.nest.reduction]
        totals = [f"{TOTAL}{self._suffix(lane)}" for lane in lanes] if self.nest.over else []
        values = [self._writer(lane).number(self.nest.value) for lane in lanes]
        return [
            *outer,
            *self._body(before),
            *(f"{self.dialect.total} {total} = {begin};" for total in totals),
            *inner,
            *self._body(within),
            *(going_on.format(total, value) for total, value in zip(totals, values, strict=False)),
            *["}"] * len(inner),
            *(f"{self._target(lane)} = {x};" for lane, x in zip(lanes, totals or values, strict=True)),
            *["}"] * len(outer),
        ]

    def _loops(self, loops: tuple, sizes: tuple[int, ...]) -> list[str]:
        step = {v: f"{v} += {self.count}" if v == self.lane and self.count > 1 else f"{v}++" for v in loops}
        return [
            f"for ({self.dialect.integer} {v} = 0; {v} < {self._end(n)}; {step[v]}) {{"
            for v, n in zip(loops, sizes, strict=True)
            if v
        ]

    def _end(self, n: int) -> str:
        return self.names[n.name] if isinstance(n, Size) else str(n)

    def _body(self, lines: list) -> list[str]:
        """Each line once, or once for each lane where it depends on the lane."""
        return [
            self._line(x, lane) for x in lines for lane in (range(self.count) if self._in_lanes(x.name) else range(1))
        ]

    def _in_lanes(self, name: str) -> bool:
        return self.count > 1 and self.lane in self.depends.get(name, ())

    def _suffix(self, lane: int) -> str:
        return f"_{lane}" if self.count > 1 else ""

    def _names(self, lane: int) -> dict[str, str]:
        lines = {
            x.name: f"n{k}{self._suffix(lane) if self._in_lanes(x.name) else ''}" for k, x in enumerate(self.nest.lines)
        }
        return self.names | lines

    def _writer(self, lane: int):
        return self.dialect.writer(self._names(lane), [x for x in self.nest.lines if isinstance(x, Instruction)])

    def _line(self, x: Load | Instruction, lane: int) -> str:
        if isinstance(x, Instruction):
            return self._writer(lane).line(x)
        names = self._names(lane)
        return f"{self.dialect.number} {names[x.name]} = {names[x.array]}[{self._place(x.index, lane)}];"

    def _place(self, index, lane: int) -> str:
        names = self._names(lane) | {v: v for v in (*self.outer, *self.inner)}
        offset = lane * sum(stride for stride, v in index if v == self.lane)
        text = show(tuple((stride, names[v]) for stride, v in index), " * ")
        return f"{text} + {offset}" if offset else text

    def _target(self, lane: int) -> str:
        name = self.names[self.nest.target]
        return f"{name}[{self._place(self.nest.index, lane)}]" if self.nest.shape else name


def _dependencies(nest: Nest) -> dict[str, set[str]]:
    """The loops on which each line depends."""
    depends: dict[str, set[str]] = {}
    for x in nest.lines:
        read = [v for _, v in x.index] if isinstance(x, Load) else [a for a in x.args if isinstance(a, str)]
        depends[x.name] = set().union(*(depends.get(a, {a}) for a in read))
    return depends


def _indented(lines: list[str]) -> list[str]:
    depth, result = 0, []
    for line in lines:
        depth -= line == "}"
        result.append("  " * depth + line)
        depth += line.endswith("{")
    return result
