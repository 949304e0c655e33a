"""A program as JavaScript: the same IEEE doubles, so the same numbers, in the reader's browser."""

import json
import math
from collections.abc import Callable, Iterable

from course_lib.backends.loops import Dialect, statements, words
from course_lib.backends.program import Atom, Instruction, Program
from course_lib.backends.recurrence import Recurrence
from course_lib.backends.trace import trace
from course_lib.backends.training import Training

_OPERATORS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-({})",
    "fmod": "{} % {}",
    "gt": "{} > {}",
    "ge": "{} >= {}",
    "lt": "{} < {}",
    "le": "{} <= {}",
    "eq": "{} == {}",
    "ne": "{} != {}",
    "and": "{} && {}",
    "or": "{} || {}",
    "not": "!{}",
    "where": "{} ? {} : {}",
    "sqrt": "Math.sqrt({})",
    "abs": "Math.abs({})",
    "sign": "({0} > 0) - ({0} < 0)",
    "floor": "Math.floor({})",
    "maximum": "Math.max({}, {})",
    "minimum": "Math.min({}, {})",
    "pow": "{} ** {}",
    "exp": "Math.exp({})",
    "log": "Math.log({})",
    "sin": "Math.sin({})",
    "cos": "Math.cos({})",
    "tanh": "Math.tanh({})",
    "log1p": "Math.log1p({})",
    "expm1": "Math.expm1({})",
    "log2": "Math.log2({})",
    "atan": "Math.atan({})",
    "erf": "erf({})",
}

_RESERVED = set(
    "arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for function if "
    "implements import in instanceof interface let new null package private protected public return static super switch this throw true try typeof "
    "var void while with yield undefined NaN Infinity Math Float64Array rows row start steps hyper losses bound erf".split()
)

# Kummer's series, whose terms are all positive; from 2 on a continued fraction of what is missing to 1
_ERF = """\
const erf = (x) => {
  const a = Math.abs(x);
  if (!(a < 6)) return x === x ? Math.sign(x) : x;
  const scale = Math.exp(-a * a) / 1.772453850905516;
  if (a < 2) {
    let term = 2 * x, sum = term;
    for (let k = 1; k < 60; k++) sum += term *= 2 * a * a / (2 * k + 1);
    return scale * sum;
  }
  let rest = a;
  for (let k = 80; k > 0; k--) rest = a + k / 2 / rest;
  return Math.sign(x) * (1 - scale / rest);
};""".split("\n")


def function(name: str, program: Program) -> str:
    """`export function name(input, …)`: returns the output, or an array where there is more than one number."""
    own = _identifiers((*program.inputs, *_names(program)))
    results = [_atom(a, own) for atoms in program.outputs.values() for a in atoms]
    result = results[0] if len(results) == 1 else f"[{', '.join(results)}]"
    return _function(name, program.name, [own[i] for i in program.inputs], [*_body(program, own), f"return {result};"])


def of(formula: Callable, name: str = "", /, **shapes: tuple[int, ...]) -> str:
    """A function of tensors of these shapes, traced and printed: `of(f, w=(2,), lr=())`; `name` where it has none of its own.

    A formula that returns a tuple returns an array. Raises what trace raises for one that can't be traced.
    """

    def named(inputs):
        results = formula(**inputs)
        return {f"result{k}": x for k, x in enumerate(results if isinstance(results, tuple) else (results,))}

    name = name or formula.__name__
    return function(name, trace(named, shapes, name=name))


def loop(name: str, recurrence: Recurrence, *, path: bool = True) -> str:
    """`export function name(start, steps, hyper)`: the whole descent, as a Float64Array with one row for t = 0 … steps.

    A row holds the loss, then w and the state in the order of `name.columns`. `hyper` is an object by hyperparameter name.
    Without `path` it returns the last row alone, an array, and keeps none of the others.
    """
    carry, step = recurrence.carry, recurrence.step
    saved = {
        c: f"old {c}" for k, c in enumerate(carry) if c in recurrence.carried[k + 1 :]
    }  # read after it is replaced
    own = _identifiers(("t", *step.inputs, *_names(step), *saved.values()))
    size = sum(c not in recurrence.initial for c in carry)
    first = [f"start[{k}]" if k < size else _atom(recurrence.initial[c], own) for k, c in enumerate(carry)]
    new = [_atom(saved[a] if a in carry[:k] else a, own) for k, a in enumerate(recurrence.carried)]
    row = [_atom(x, own) for x in (step.outputs["loss"][0], *carry)]
    lines = [
        *(f"const {own[h]} = hyper[{_text(h)}];" for h in recurrence.hyper),
        f"let {', '.join(f'{own[c]} = {x}' for c, x in zip(carry, first, strict=True))};",
        *([f"const rows = new Float64Array((steps + 1) * {1 + len(carry)});"] if path else []),
        f"for (let {own['t']} = 1{', row = 0' if path else ''}; {own['t']} <= steps + 1; {own['t']}++) {{",
        *(f"  {line}" for line in _body(step, own)),
        *(
            [f"  rows[row++] = {x};" for x in row]
            if path
            else [f"  if ({own['t']} > steps) return [{', '.join(row)}];"]
        ),
        *(f"  const {own[old]} = {own[c]};" for c, old in saved.items()),
        *(f"  {own[c]} = {x};" for c, x in zip(carry, new, strict=True) if own[c] != x),
        "}",
        *(["return rows;"] if path else []),
    ]
    return (
        _function(name, step.name, ["start", "steps", "hyper"], lines)
        + f"{name}.columns = [{', '.join(map(_text, ('loss', *carry)))}];\n"
    )


def training(name: str, training: Training) -> str:
    """`export function name(hyper, steps, bound)`: the losses at t = 0 … steps as a Float64Array; NaN from where one exceeds `bound`."""
    arrays, constants = training.arrays, training.constants
    own = _identifiers(
        (*training.hyper, *training.weights, *constants, *arrays), taken=("t", *words((training.first, training.step)))
    )
    first, step = (
        [line for nest in nests.nests for line in statements(nest, own, loops_dialect())]
        for nests in (training.first, training.step)
    )
    made = training.weights | {k: shape for k, shape in arrays.items() if shape}
    lines = [
        *(f"const {own[h]} = hyper[{_text(h)}];" for h in training.hyper),
        *(f"const {own[k]} = [{', '.join(map(_number, x.ravel().tolist()))}];" for k, x in constants.items()),
        *(f"const {own[k]} = new Float64Array({math.prod(shape)});" for k, shape in made.items()),
        *(f"let {own[k]} = 0;" for k, shape in arrays.items() if not shape),
        "const losses = new Float64Array(steps + 1).fill(NaN);",
        *first,
        "for (let t = 0; t <= steps; t++) {",
        *(f"  {line}" for line in step),
        f"  if (!({own['loss']} <= bound)) break;",
        f"  losses[t] = {own['loss']};",
        "}",
        "return losses;",
    ]
    return _function(name, training.name, ["hyper", "steps", "bound"], lines)


def loops_dialect(lanes: bool = True) -> Dialect:
    """How JavaScript writes loops; with `lanes` they are several times as long, and two or three times as fast."""
    reductions = {"sum": ("0", "{} += {};"), "max": ("-Infinity", "{0} = Math.max({0}, {1});")}
    return Dialect("let", "let", "const", reductions, _Writer, lanes)


class _Writer:
    """Writes instructions as statements, with the names in `own`."""

    def __init__(self, own: dict[str, str], instructions):
        self.own = own

    def line(self, i: Instruction) -> str:
        return f"const {self.own[i.name]} = {_OPERATORS[i.op].format(*(_atom(a, self.own) for a in i.args))};"

    def number(self, atom: Atom) -> str:
        return _atom(atom, self.own)


def _function(name: str, title: str, parameters: list[str], lines: list[str]) -> str:
    lines = [*(_ERF if any("= erf(" in line for line in lines) else ()), *lines]
    return "\n".join(
        (f"// {title}", f"export function {name}({', '.join(parameters)}) {{", *(f"  {line}" for line in lines), "}\n")
    )


def _names(program: Program) -> list[str]:
    return [i.name for i in program.instructions]


def _body(program: Program, own: dict[str, str]) -> list[str]:
    return [
        f"const {own[i.name]} = {_OPERATORS[i.op].format(*(_atom(a, own) for a in i.args))};"
        for i in program.instructions
    ]


def _atom(atom: Atom, own: dict[str, str]) -> str:
    return own[atom] if isinstance(atom, str) else _number(atom)


def _number(x: float) -> str:
    """The shortest decimal that reads back as the same double."""
    text = {"inf": "Infinity", "-inf": "(-Infinity)", "nan": "NaN"}.get(
        repr(float(x)), repr(float(x)).removesuffix(".0")
    )
    return f"({text})" if text.startswith("-") else text


def _text(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _identifiers(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A JavaScript name for each: `w[0]` becomes `w_0`; where that is taken, by another or by JavaScript (`new`), it gets a `$`."""
    own, taken = {}, _RESERVED | set(taken)
    for name in dict.fromkeys(names):
        plain = "".join(c if f"_{c}".isidentifier() else "_" for c in name).rstrip("_") or "_"
        while plain in taken:
            plain += "$"
        own[name] = plain
        taken.add(plain)
    return own
