"""Formulas on arrays as JavaScript: their products stay loops, where `javascript.of` writes a line for every number."""

import math
from collections.abc import Callable

from course_lib.backends.javascript import _function, _identifiers, _number, _text, loops_dialect
from course_lib.backends.loops import statements, words
from course_lib.backends.nests import Nests, room
from course_lib.backends.trace_nests import trace_nests

RESULT = "result"


def arrays(name: str, nests: Nests) -> str:
    """`export function name()`: makes a function of an object with the inputs by name, which returns an object with the results.

    Arrays are Float64Array, or Int32Array for whole numbers that are looked up, row by row; what has the shape () is a number.
    The arrays that it returns are written over by its next call.
    """
    made = nests.made
    own = _identifiers((*nests.inputs, *nests.constants, *made), taken=("inputs", *words((nests,))))
    lines = [
        *(f"const {own[k]} = [{', '.join(map(_number, x.ravel().tolist()))}];" for k, x in nests.constants.items()),
        *(f"const {own[k]} = new Float64Array({room(shape)});" for k, shape in made.items() if shape),
        "return (inputs) => {",
        *(f"  const {own[k]} = inputs[{_text(k)}];" for k in nests.inputs),
        *(f"  let {own[k]} = 0;" for k, shape in made.items() if not shape),
        *(f"  {line}" for nest in nests.nests for line in statements(nest, own, loops_dialect())),
        f"  return {{ {', '.join(f'{_text(k)}: {own[k]}' for k in nests.outputs)} }};",
        "};",
    ]
    return _function(name, name, [], lines)


def of_arrays(formula: Callable, name: str = "", /, **shapes: tuple[int, ...]) -> str:
    """`export function name(input, …, result)` of a formula of tensors of these shapes that returns one tensor.

    Arrays are flat, row by row. The function writes into `result` and returns it; for a formula that gives a number it takes
    no `result`, and returns the number. Raises what trace_nests raises.
    """
    name = name or formula.__name__
    nests = trace_nests(lambda given: {RESULT: formula(**given)}, shapes)
    (last,) = (nest for nest in nests.nests if nest.target == RESULT)
    own = _identifiers((*shapes, *nests.constants, *nests.made), taken=words((nests,)))
    made = {k: shape for k, shape in nests.made.items() if k != RESULT}
    lines = [
        *(f"const {own[k]} = new Float64Array({math.prod(shape)});" for k, shape in made.items() if shape),
        *(f"let {own[k]} = 0;" for k, shape in made.items() if not shape),
        *([] if last.shape else [f"let {own[RESULT]} = 0;"]),
        *(line for nest in nests.nests for line in statements(nest, own, loops_dialect(lanes=False))),
        f"return {own[RESULT]};",
    ]
    inputs = [own[k] for k in shapes] + [own[RESULT]] * bool(last.shape)
    constants = (f"[{', '.join(map(_number, x.ravel().tolist()))}]" for x in nests.constants.values())
    data = "".join(f"const {name}_{own[k]} = {text};\n" for k, text in zip(nests.constants, constants))
    lines = [*(f"const {own[k]} = {name}_{own[k]};" for k in nests.constants), *lines]
    return data + _function(name, name, inputs, lines)
