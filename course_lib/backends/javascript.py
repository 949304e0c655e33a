"""A program as JavaScript: the same IEEE doubles, so the same numbers, in the reader's browser."""

import re

from course_lib.backends.program import Atom, Instruction, Program
from course_lib.backends.recurrence import Recurrence

_OPERATORS = {
    "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-({})", "fmod": "{} % {}",
    "gt": "{} > {}", "ge": "{} >= {}", "lt": "{} < {}", "le": "{} <= {}", "eq": "{} == {}", "ne": "{} != {}",
    "and": "{} && {}", "or": "{} || {}", "not": "!{}", "where": "{} ? {} : {}",
    "sqrt": "Math.sqrt({})", "abs": "Math.abs({})", "sign": "({0} > 0) - ({0} < 0)", "floor": "Math.floor({})",
    "maximum": "Math.max({}, {})", "minimum": "Math.min({}, {})",
    "pow": "{} ** {}", "exp": "Math.exp({})", "log": "Math.log({})", "sin": "Math.sin({})", "cos": "Math.cos({})", "tanh": "Math.tanh({})",
}  # fmt: skip

_RESERVED = set(
    "arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for function if "
    "implements import in instanceof interface let new null package private protected public return static super switch this throw true try typeof "
    "var void while with yield Math rows row start steps hyper t".split()
)


def function(name: str, program: Program) -> str:
    """`export function name(input, …)`: returns the output, or an array where there is more than one number."""
    results = [_atom(a) for atoms in program.outputs.values() for a in atoms]
    result = results[0] if len(results) == 1 else f"[{', '.join(results)}]"
    lines = [*_body(program), f"return {result};"]
    return _function(name, program.name, [_identifier(i) for i in program.inputs], lines)


def loop(name: str, recurrence: Recurrence) -> str:
    """`export function name(start, steps, hyper)`: the whole descent, as a Float64Array with one row for t = 0 … steps.

    A row holds the loss, then w and the state in the order of `name.columns`. `hyper` is an object by hyperparameter name.
    """
    size = len([c for c in recurrence.carry if c.startswith("w[")])
    carry = [_identifier(c) for c in recurrence.carry]
    first = [f"start[{k}]" if k < size else _number(recurrence.initial[c]) for k, c in enumerate(recurrence.carry)]
    new, moves = [_atom(a) for a in recurrence.carried], []
    for k, atom in enumerate(new):  # an output that is itself carried must be read before it is replaced
        if atom in carry[:k]:
            moves.append(f"  const old_{atom} = {atom};")
            new[k] = f"old_{atom}"
    lines = [
        *(f"const {_identifier(h)} = hyper[{h!r}];" for h in recurrence.hyper),
        f"let {', '.join(f'{c} = {x}' for c, x in zip(carry, first, strict=True))};",
        f"const rows = new Float64Array((steps + 1) * {1 + len(carry)});",
        "for (let t = 1, row = 0; t <= steps + 1; t++) {",
        *(f"  {line}" for line in _body(recurrence.step)),
        *(f"  rows[row++] = {x};" for x in [_atom(recurrence.step.outputs["loss"][0]), *carry]),
        *dict.fromkeys(moves),
        *(f"  {c} = {x};" for c, x in zip(carry, new, strict=True) if c != x),
        "}",
        "return rows;",
    ]
    columns = ", ".join(f'"{c}"' for c in ("loss", *recurrence.carry))
    return _function(name, recurrence.step.name, ["start", "steps", "hyper"], lines) + f"{name}.columns = [{columns}];\n"


def _function(name: str, title: str, parameters: list[str], lines: list[str]) -> str:
    return "\n".join((f"// {title}", f"export function {name}({', '.join(parameters)}) {{", *(f"  {line}" for line in lines), "}\n"))


def _body(program: Program) -> list[str]:
    return [_instruction(i) for i in program.instructions]


def _instruction(i: Instruction) -> str:
    return f"const {i.name} = {_OPERATORS[i.op].format(*map(_atom, i.args))};"


def _atom(atom: Atom) -> str:
    return _identifier(atom) if isinstance(atom, str) else _number(atom)


def _number(x: float) -> str:
    """The shortest decimal that reads back as the same double."""
    text = {"inf": "Infinity", "-inf": "(-Infinity)", "nan": "NaN"}.get(repr(float(x)), repr(float(x)).removesuffix(".0"))
    return f"({text})" if text.startswith("-") else text


def _identifier(name: str) -> str:
    """`w[0]` becomes `w_0`; a word that JavaScript keeps for itself (`new`, but not the loop's own `t`) gets a `$`."""
    plain = re.sub(r"\W+", "_", name).rstrip("_") or "_"
    return f"{plain}$" if plain in _RESERVED - {"t"} else plain
