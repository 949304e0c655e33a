"""A recurrence taken apart by how often each of its instructions must run: what the fast machines turn into nested loops.

>>> loop = take_apart(trace_descent(adam, rosenbrock))
>>> [str(i) for i in loop.each]  # once a step, for all runs together
[]
>>> loop.powers  # beta1 ** t is a running product
{'_32': 'beta1', '_36': 'beta2'}
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from course_lib.backends.program import EXACT, TRANSCENDENTAL, Atom, Instruction, Program
from course_lib.backends.recurrence import Recurrence

LARGEST_POWER = 16  # whole powers up to this one become products
DEAR = {"div", "sqrt", "fmod"} | TRANSCENDENTAL


@dataclass(frozen=True)
class Loop:
    """`once` runs before the first step, for each run; `each`, once a step, for all runs; `body`, in each step of each run.

    `powers` are running products: name -> base, whose value at step t is base ** t; they are multiplied before `each` runs.
    `alike` are those of the hyperparameters and powers that all runs share. What the body reads of `once` is in `kept`.
    `carried` are the atoms that replace `carry`, and `loss` is the surface at w before the step, both as in a Recurrence.
    """

    name: str
    carry: tuple[str, ...]
    initial: dict[str, float | str]
    hyper: tuple[str, ...]
    once: tuple[Instruction, ...]
    powers: dict[str, Atom]
    each: tuple[Instruction, ...]
    body: tuple[Instruction, ...]
    carried: tuple[Atom, ...]
    loss: Atom
    alike: frozenset[str] = frozenset()

    @property
    def kept(self) -> tuple[str, ...]:
        """What the loop over the steps reads of what was computed once: arguments of the body, and bases of powers."""
        known = {i.name for i in self.once} - {i.name for i in self.body}
        read = [*(a for i in self.body for a in i.args), *self.carried, self.loss, *self.powers.values()]
        return tuple(dict.fromkeys(a for a in read if a in known))

    @property
    def fixed(self) -> tuple[Instruction, ...]:
        """Those of `each` that give the same at every step. They run before `once`, which may read them."""
        moving, found = {"t", *self.powers}, []
        for i in self.each:
            if moving.isdisjoint(i.args):
                found.append(i)
            else:
                moving.add(i.name)
        return tuple(found)

    @property
    def read(self) -> set[str]:
        """Every name that the body reads."""
        return {a for i in self.body for a in i.args if isinstance(a, str)} | {
            a for a in (*self.carried, self.loss) if isinstance(a, str)
        }

    @property
    def exact(self) -> bool:
        """Whether all machines compute it bit for bit alike: no transcendental operators and no running products."""
        return not self.powers and all(i.op in EXACT for i in (*self.once, *self.each, *self.body))


def take_apart(recurrence: Recurrence, loss: bool = True, alike: Iterable[str] = ()) -> Loop:
    """Sort a recurrence's instructions by how often they must run.

    `alike` names hyperparameters that have one value for all runs: what depends on them alone is not computed run by run.
    Without `loss`, what only the loss needs is left out.
    """
    alike = frozenset(alike)
    step = without_whole_powers(recurrence.step)
    carried = tuple(a for name, atoms in step.outputs.items() if name != "loss" for a in atoms)
    (at,) = step.outputs["loss"]
    instructions = needed(step.instructions, {*carried, *([at] if loss else [])})
    depends: dict[str, set[str]] = (
        {h: set() if h in alike else {"hyper"} for h in recurrence.hyper}
        | {"t": {"t"}}
        | {c: {"run"} for c in recurrence.carry}
    )
    once, each, body, powers, dear = [], [], [], {}, set()
    for i in instructions:
        sources = set().union(*(depends[a] for a in i.args if isinstance(a, str)))
        depends[i.name] = sources
        if i.op == "pow" and i.args[1] == "t" and depends.get(i.args[0], set()) <= {"hyper"}:
            powers[i.name] = i.args[0]
            depends[i.name] = {"t"} if i.args[0] in alike else {"run"}
        elif sources <= {"t"}:
            each.append(i)
        elif sources <= {"hyper"}:
            once.append(i)
            if i.op in DEAR or any(a in dear for a in i.args):
                dear.add(i.name)
        else:
            body.append(i)
    body = _with_cheap(once, dear, body)
    again = {i.name for i in body}
    once = needed(once, ({a for i in body for a in i.args} | {*carried, at} | set(powers.values())) - again)
    return Loop(
        step.name,
        recurrence.carry,
        recurrence.initial,
        recurrence.hyper,
        tuple(once),
        powers,
        tuple(each),
        tuple(body),
        carried,
        at if loss else 0.0,
        alike | {p for p, base in powers.items() if base in alike},
    )


def _with_cheap(once: list[Instruction], dear: set[str], body: list[Instruction]) -> list[Instruction]:
    """The body with those of `once` in front that cost less to compute again than to keep."""
    cheap = [i for i in once if i.name not in dear]
    return [*needed(cheap, {a for i in body for a in i.args}), *body]


def needed(instructions, wanted: set[Atom]) -> list[Instruction]:
    """The instructions that lead to what is wanted, in order."""
    wanted, kept = set(wanted), []
    for i in reversed(instructions):
        if i.name in wanted:
            wanted.update(i.args)
            kept.append(i)
    return kept[::-1]


def without_whole_powers(program: Program) -> Program:
    """x ** 4 as (x x)(x x): a power is slow, and on a GPU it is wrong for a negative x."""
    written = []
    for i in program.instructions:
        whole = (
            i.op == "pow"
            and not isinstance(i.args[1], str)
            and i.args[1] == int(i.args[1])
            and 2 <= i.args[1] <= LARGEST_POWER
        )
        written += _products(i) if whole else [i]
    return replace(program, instructions=tuple(written))


def _products(power: Instruction) -> list[Instruction]:
    x, rest = power.args[0], int(power.args[1])
    lines, square, result = [], x, None

    def multiply(a: Atom, b: Atom) -> str:
        lines.append(Instruction(f"{power.name}_{len(lines)}", "mul", (a, b)))
        return lines[-1].name

    while rest:
        if rest % 2:
            result = square if result is None else multiply(result, square)
        rest //= 2
        square = multiply(square, square) if rest else square
    return [*lines[:-1], replace(lines[-1], name=power.name)] if lines[-1].name == result else lines
