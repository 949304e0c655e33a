"""A recurrence as a WebGL2 fragment shader: one pixel a run, in float32, on the reader's own graphics chip.

A shader has no doubles, no names but its own, and no promise about NaN: what leaves the bound is found before it gets there, and
what is not a number is found by its bits.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np

from course_lib.backends.glsl_functions import FUNCTIONS
from course_lib.backends.loop import Loop, take_apart
from course_lib.backends.loops import Dialect, statements
from course_lib.backends.program import Atom, Instruction, Program
from course_lib.backends.recurrence import Recurrence
from course_lib.backends.trace import trace
from course_lib.backends.training import Training
from course_lib.formulas.ends import DIVERGED, end_of_run

LARGEST = (
    600  # instructions in a step; a line search has thousands, on which compilers of shaders take minutes or give up
)
LONGEST = 10_000  # steps: a driver ends a shader that runs for seconds
RESULTS = ("steps", "above", "minimum", "lost")

_OPERATORS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-({})",
    "fmod": "fmod({}, {})",
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
    "sqrt": "sqrt({})",
    "abs": "abs({})",
    "sign": "sign({})",
    "floor": "floor({})",
    "maximum": "max({}, {})",
    "minimum": "min({}, {})",
    "pow": "power({}, {})",
    "exp": "exp({})",
    "log": "logarithm({})",
    "sin": "sine({}, 0)",
    "cos": "sine({}, 1)",
    "tanh": "tangent({})",
    "log1p": "log_of_one_plus({})",
    "expm1": "exp_less_one({})",
    "log2": "binary_logarithm({})",
    "atan": "arc({})",
    "erf": "error_function({})",
}
_REDUCTIONS = {"sum": ("0.0", "{} += {};"), "max": ("uintBitsToFloat(0xff800000u)", "{0} = max({0}, {1});")}
_TRUE_OR_FALSE = {"gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not"}

_TEXT = """\
#version 300 es
// {name}: one run a pixel, over {x} and {y}
precision highp float;
precision highp int;
precision highp sampler2D;
uniform sampler2D places; // row 0: {x} of each column of pixels; row 1: {y} of each row
uniform float {uniforms};
uniform int steps;
out vec4 result;

{functions}
void main() {{
  {lines}
}}
"""


def fragment(
    recurrence: Recurrence, x: str, y: str, minima: Program | None = None, results: Sequence[str] = RESULTS
) -> str:
    """The text of a fragment shader that makes `steps` steps for each pixel and writes four `results`.

    `x` and `y` name what changes from column to column and from row to row: hyperparameters, or `w0`, `w1` for the start point; their
    values come from the texture `places`. All else is uniform: `hyper` in the recurrence's order, `start`, the number of `steps`.
    `minima` takes hyperparameters to points, flattened. The results, four of:

    - `steps`: after how many steps the loss stays at `lowest + goal` or below; `steps + 1` for a run that doesn't get there
    - `above`: the loss at the end, above `lowest`; infinite for a lost run
    - `minimum`: the place in `minima` of the one nearest to the end; -1 for a lost run, or where there are none
    - `lost`: 1 for a run that diverged by formulas.ends, or once was not finite or had a coordinate beyond ±`bound`
    - `w0`, `w1`, …: the point at the end

    Raises ValueError for names that are none of these, and for a step of more than LARGEST instructions.
    """
    loop = take_apart(recurrence)
    _check(loop, (x, y), results)
    names = (*loop.hyper, *loop.carry, *loop.powers, *(i.name for i in _instructions(loop)))
    write = _Writer({"t": "t"} | {name: f"v{k}" for k, name in enumerate(dict.fromkeys(names))}, _instructions(loop))
    size = len(loop.carry) - len(loop.initial)
    pixel = {
        x: "texelFetch(places, ivec2(gl_FragCoord.x, 0), 0).r",
        y: "texelFetch(places, ivec2(gl_FragCoord.y, 1), 0).r",
    }
    lines = [
        *(f"float {write.own[h]} = {pixel.get(h, f'hyper[{k}]')};" for k, h in enumerate(loop.hyper)),
        *(f"float {write.own[c]} = {pixel.get(f'w{k}', f'start[{k}]')};" for k, c in enumerate(loop.carry[:size])),
        *(f"float {write.own[c]} = {write.number(loop.initial[c])};" for c in loop.carry[size:]),
        *map(write.line, (*loop.fixed, *loop.once)),
        *(f"float {write.own[p]} = 1.0;" for p in loop.powers),
        "int late = 0, limit = size(bound);",
        "float above = 0.0, before = 0.0, after = 0.0;",
        "bool lost = false;",
        f"for (int k = 0; k <= min(steps, {LONGEST}); k++) {{",
        "  float t = float(k + 1);",
        *(f"  {write.own[p]} *= {write.number(base)};" for p, base in loop.powers.items()),
        *(f"  {write.line(i)}" for i in (*loop.each, *loop.body) if i not in loop.fixed),
        f"  above = {write.number(loop.loss)} - lowest;",
        "  late = above <= goal ? late : k + 1;",
        "  if (2 * k <= steps) before = max(before, abs(above)); else after = max(after, abs(above));",
        f"  lost = max({_largest([f'size({write.own[c]}) - limit' for c in loop.carry[:size]])}, size(above) - 0x7f7fffff) > 0;",
        "  if (lost || k == steps) break;",
        *(f"  float new_{k} = {write.number(a)};" for k, a in enumerate(loop.carried)),
        *(f"  {write.own[c]} = new_{k};" for k, c in enumerate(loop.carry)),
        "}",
        *_ended(write),
        *_nearest(write, minima, loop.carry[:size]),
        "if (lost) { late = steps + 1; above = uintBitsToFloat(0x7f800000u); nearest = -1.0; }",
        f"result = vec4({', '.join(_result(r, write, loop) for r in results)});",
    ]
    uniforms = f"hyper[{max(1, len(loop.hyper))}], start[{size}], goal, lowest, bound"
    return _TEXT.format(functions=FUNCTIONS, name=loop.name, x=x, y=y, uniforms=uniforms, lines="\n  ".join(lines))


def training(training: Training, x: str, y: str) -> str:
    """The text of a fragment shader that trains a network of its own for each pixel, over the hyperparameters `x` and `y`.

    `places`, `hyper` and `steps` are as in `fragment`. The results: the step at which the loss exceeded `bound` or was not a number,
    `steps + 1` where it never did; the loss at the end; the mean over the steps of the loss relative to the first; 1 for a lost
    run, else 0. Of a lost run the second and the third mean nothing.

    Raises ValueError for names that are no hyperparameters.
    """
    for axis in (x, y):
        if axis not in training.hyper:
            raise ValueError(f"{training.name} has no `{axis}` for an axis. It has {', '.join(training.hyper)}.")
    if x == y:
        raise ValueError(f"Both axes of {training.name} are `{x}`: a map needs two.")
    arrays, constants = training.arrays, training.constants
    own = {name: f"v{k}" for k, name in enumerate((*training.hyper, *training.weights, *constants, *arrays))}
    dialect = Dialect("int", "float", "float", _REDUCTIONS, _Writer)
    first, step = (
        [line for nest in nests.nests for line in statements(nest, own, dialect)]
        for nests in (training.first, training.step)
    )
    pixel = {
        x: "texelFetch(places, ivec2(gl_FragCoord.x, 0), 0).r",
        y: "texelFetch(places, ivec2(gl_FragCoord.y, 1), 0).r",
    }
    lines = [
        *(f"float {own[h]} = {pixel.get(h, f'hyper[{k}]')};" for k, h in enumerate(training.hyper)),
        *(
            f"const float {own[k]}[{a.size}] = float[{a.size}]({', '.join(map(number, a.ravel().tolist()))});"
            for k, a in constants.items()
        ),
        *(
            f"float {own[k]}{f'[{math.prod(shape)}]' if shape else ''};"
            for k, shape in (training.weights | arrays).items()
        ),
        *first,
        "int when = steps + 1, limit = size(bound);",
        "float begin = 0.0, total = 0.0;",
        f"for (int k = 0; k <= min(steps, {LONGEST}); k++) {{",
        *(f"  {line}" for line in step),
        f"  if (size({own['loss']}) > limit) {{ when = k; break; }}",
        f"  begin = k == 0 ? {own['loss']} : begin;",
        f"  total += {own['loss']} / begin;",
        "}",
        f"result = vec4(float(when), {own['loss']}, total / float(steps + 1), float(when <= steps));",
    ]
    return _TEXT.format(
        functions=FUNCTIONS,
        name=training.name,
        x=x,
        y=y,
        uniforms=f"hyper[{len(training.hyper)}], bound",
        lines="\n  ".join(lines),
    )


def _largest(terms: Sequence[str]) -> str:
    return functools.reduce("max({}, {})".format, terms)


def _check(loop: Loop, axes: tuple[str, str], results: Sequence[str]) -> None:
    points = [f"w{k}" for k in range(len(loop.carry) - len(loop.initial))]
    for axis in axes:
        if axis not in (*loop.hyper, *points):
            raise ValueError(f"{loop.name} has no `{axis}` for an axis. It has {', '.join((*loop.hyper, *points))}.")
    if axes[0] == axes[1]:
        raise ValueError(f"Both axes of {loop.name} are `{axes[0]}`: a map needs two.")
    if len(results) != 4 or set(results) - {*RESULTS, *points}:
        raise ValueError(f"results must be four of {', '.join((*RESULTS, *points))}, got {', '.join(results)}.")
    count = len(_instructions(loop))
    if count > LARGEST:
        raise ValueError(
            f"{loop.name}: a step has {count:,} instructions, and a shader of more than {LARGEST} takes minutes to compile. Take a rule without a line search."
        )
    for i in _instructions(loop):
        if i.op not in _OPERATORS:
            raise ValueError(
                f"{loop.name}: GLSL has no operator `{i.op}` in {i.name} = {i.op}{i.args}. Write the rule without it."
            )


def _instructions(loop: Loop) -> tuple[Instruction, ...]:
    return (*loop.once, *loop.each, *loop.body)


class _Writer:
    """Writes instructions as statements. `own`: for each name another one, `v` and a number, that is no word of GLSL."""

    def __init__(self, own: dict[str, str], instructions: Sequence[Instruction]):
        self.own, self.conditions = own, {i.name for i in instructions if i.op in _TRUE_OR_FALSE}

    def line(self, i: Instruction) -> str:
        """`float v3 = v1 + v2;`"""
        if i.op in ("eq", "ne") and i.args[0] == i.args[1]:  # x != x, the usual question for NaN
            text = f"{'!' if i.op == 'eq' else ''}is_nan({self.number(i.args[0])})"
        else:
            args = [
                self.condition(a) if i.op in ("and", "or", "not") or (i.op, k) == ("where", 0) else self.number(a)
                for k, a in enumerate(i.args)
            ]
            text = _OPERATORS[i.op].format(*args)
        return f"{'bool' if i.op in _TRUE_OR_FALSE else 'float'} {self.own[i.name]} = {text};"

    def number(self, atom: Atom) -> str:
        """An atom as a float; true and false are 1 and 0."""
        if isinstance(atom, str):
            return f"float({self.own[atom]})" if atom in self.conditions else self.own[atom]
        return number(atom)

    def condition(self, atom: Atom) -> str:
        """An atom as a bool."""
        return self.own[atom] if atom in self.conditions else f"({self.number(atom)} != 0.0)"


def number(x: float) -> str:
    """The shortest decimal that reads back as the float32 nearest to x."""
    with np.errstate(over="ignore"):
        near = np.float32(x)
    if np.isfinite(near):
        return (
            np.format_float_scientific(near, trim="0")
            if near and not 1e-4 <= abs(near) < 1e7
            else np.format_float_positional(near, trim="0")
        )
    return f"uintBitsToFloat({'0x7fc00000u' if np.isnan(near) else '0x7f800000u' if near > 0 else '0xff800000u'})"


def _result(name: str, write: _Writer, loop: Loop) -> str:
    known = {"steps": "float(late)", "above": "above", "minimum": "nearest", "lost": "float(lost)"}
    return known[name] if name in known else write.own[loop.carry[int(name[1:])]]


def _ended(write: _Writer) -> list[str]:
    """Statements that ask the rule for the ends of runs whether this one, which stayed finite, is lost."""
    program = trace(
        lambda run: {"end": end_of_run(**run)}, dict.fromkeys(("late", "before", "after", "last", "steps"), ())
    )
    names = {"late": "float(late)", "before": "before", "after": "after", "last": "abs(above)", "steps": "float(steps)"}
    own = names | {i.name: f"e{k}" for k, i in enumerate(program.instructions)}
    other = _Writer(own, program.instructions)
    (end,) = program.outputs["end"]
    return [*map(other.line, program.instructions), f"lost = lost || {other.number(end)} == {DIVERGED}.0;"]


def _nearest(write: _Writer, minima: Program | None, w: Sequence[str]) -> list[str]:
    """Statements that find the minimum nearest to where w is."""
    lines = ["float nearest = -1.0, least = 3e38, away;"]
    if minima is None:
        return lines
    other = _Writer(write.own | {i.name: f"m{k}" for k, i in enumerate(minima.instructions)}, minima.instructions)
    atoms = [other.number(a) for found in minima.outputs.values() for a in found]
    for k in range(len(atoms) // len(w)):
        squares = (
            f"({write.own[c]} - {atoms[k * len(w) + j]}) * ({write.own[c]} - {atoms[k * len(w) + j]})"
            for j, c in enumerate(w)
        )
        lines += [f"away = {' + '.join(squares)};", f"if (away < least) {{ least = away; nearest = {k}.0; }}"]
    return [*map(other.line, minima.instructions), *lines]
