"""A formula on arrays as JavaScript: its products stay loops, where `javascript.of` writes a line for every number."""

import math
from collections.abc import Callable

from course_lib.backends.javascript import _function, _identifiers, _number, _Writer
from course_lib.backends.trace_nests import trace_nests
from course_lib.backends.training import SUM, Dialect, statements

RESULT = "result"
DIALECT = Dialect("let", "let", "const", "0", _Writer)


def of_arrays(formula: Callable, name: str = "", /, **shapes: tuple[int, ...]) -> str:
    """`export function name(input, …, result)` of a formula of tensors of these shapes that returns one tensor.

    Arrays are flat, row by row. The function writes into `result` and returns it; for a formula that gives a number it takes
    no `result`, and returns the number. Raises what trace_nests raises.
    """
    name = name or formula.__name__
    nests = trace_nests(lambda given: {RESULT: formula(**given)}, shapes)
    (last,) = (nest for nest in nests.nests if nest.target == RESULT)
    words = [SUM, *(f"{letter}{k}" for letter in "ijn" for k in range(40))]  # what the loops call their own
    own = _identifiers((*shapes, *nests.constants, *nests.made), taken=words)
    made = {k: shape for k, shape in nests.made.items() if k != RESULT}
    lines = [
        *(f"const {own[k]} = new Float64Array({math.prod(shape)});" for k, shape in made.items() if shape),
        *(f"let {own[k]} = 0;" for k, shape in made.items() if not shape),
        *([] if last.shape else [f"let {own[RESULT]} = 0;"]),
        *(line for nest in nests.nests for line in statements(nest, own, DIALECT)),
        f"return {own[RESULT]};",
    ]
    inputs = [own[k] for k in shapes] + [own[RESULT]] * bool(last.shape)
    constants = (f"[{', '.join(map(_number, x.ravel().tolist()))}]" for x in nests.constants.values())
    data = "".join(f"const {name}_{own[k]} = {text};\n" for k, text in zip(nests.constants, constants))
    lines = [*(f"const {own[k]} = {name}_{own[k]};" for k in nests.constants), *lines]
    return data + _function(name, name, inputs, lines)
