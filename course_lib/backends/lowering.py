"""What each PyTorch operator does to single numbers: `emit(op, *atoms)` writes an instruction and returns its name."""

import math

import torch

# --- element by element: (emit, one atom for each tensor or number, keyword arguments) -> atom


def _scaled(emit, x, alpha):
    return x if alpha == 1 else emit("mul", x, float(alpha))


def _pow(emit, x, y):
    """PyTorch computes small powers by multiplication, so that x**2 is exact; so do we."""
    cube = lambda: emit("mul", emit("mul", x, x), x)
    short = {
        0: lambda: 1.0,
        1: lambda: x,
        2: lambda: emit("mul", x, x),
        3: cube,
        0.5: lambda: emit("sqrt", x),
        -1: lambda: emit("div", 1.0, x),
        -2: lambda: emit("div", 1.0, emit("mul", x, x)),
        -0.5: lambda: emit("div", 1.0, emit("sqrt", x)),
    }
    return short[y]() if not isinstance(y, str) and y in short else emit("pow", x, y)


def _clamp(emit, x, low=None, high=None):
    x = x if low is None else emit("maximum", x, low)
    return x if high is None else emit("minimum", x, high)


def _ceil(emit, x):
    return emit("neg", emit("floor", emit("neg", x)))


def _trunc(emit, x):
    return emit("where", emit("lt", x, 0.0), _ceil(emit, x), emit("floor", x))


def _div(emit, x, y, *, rounding_mode=None):
    if rounding_mode == "floor":
        return _floor_divide(emit, x, y)
    quotient = emit("div", x, y)
    return quotient if rounding_mode is None else _trunc(emit, quotient)


def _rest_of_other_sign(emit, rest, y):
    """Whether C's fmod, which has the sign of x, is not Python's %, which has the sign of y."""
    if not isinstance(y, str):
        return emit("lt" if y > 0 else "gt", rest, 0.0)
    below, above = (emit("and", emit(a, rest, 0.0), emit(b, y, 0.0)) for a, b in (("lt", "gt"), ("gt", "lt")))
    return emit("or", below, above)


def _remainder(emit, x, y):
    """As Python's %: the result has the sign of y."""
    rest = emit("fmod", x, y)
    return emit("where", _rest_of_other_sign(emit, rest, y), emit("add", rest, y), rest)


def _floor_divide(emit, x, y):
    """As Python's //, by way of the remainder: floor(1 / 0.1) is 10, but 0.1 fits into 1 only 9 times."""
    rest = emit("fmod", x, y)
    whole = emit("div", emit("sub", x, rest), y)  # a whole number, up to rounding
    whole = emit("where", _rest_of_other_sign(emit, rest, y), emit("sub", whole, 1.0), whole)
    low = emit("floor", whole)
    nearest = emit("where", emit("gt", emit("sub", whole, low), 0.5), emit("add", low, 1.0), low)
    return emit("where", emit("eq", y, 0.0), emit("div", x, y), nearest)


def _lerp(emit, a, b, weight):
    d = emit("sub", b, a)
    near = emit("add", a, emit("mul", weight, d))
    far = emit("sub", b, emit("mul", d, emit("sub", 1.0, weight)))
    if not isinstance(weight, str):
        return near if abs(weight) < 0.5 else far
    return emit("where", emit("lt", emit("abs", weight), 0.5), near, far)


def _sigmoid(emit, x):
    return emit("div", 1.0, emit("add", 1.0, emit("exp", emit("neg", x))))


def _plain(op):
    return lambda emit, *x: emit(op, *x)


ELEMENTWISE = {
    name: _plain(name)
    for name in "mul neg sqrt abs floor maximum minimum exp log sin cos tanh gt ge lt le eq ne where fmod".split()
} | {
    "add": lambda emit, x, y, *, alpha=1: emit("add", x, _scaled(emit, y, alpha)),
    "sub": lambda emit, x, y, *, alpha=1: emit("sub", x, _scaled(emit, y, alpha)),
    "rsub": lambda emit, x, y, alpha=1: emit("sub", y, _scaled(emit, x, alpha)),
    "div": _div,
    "pow": _pow,
    "square": lambda emit, x: emit("mul", x, x),
    "floor_divide": _floor_divide,
    "ceil": _ceil,
    "trunc": _trunc,
    "frac": lambda emit, x: emit("sub", x, _trunc(emit, x)),
    "reciprocal": lambda emit, x: emit("div", 1.0, x),
    "rsqrt": lambda emit, x: emit("div", 1.0, emit("sqrt", x)),
    "sign": _plain("sign"),
    "sgn": _plain("sign"),
    "clamp": _clamp,
    "clamp_min": lambda emit, x, low: emit("maximum", x, low),
    "clamp_max": lambda emit, x, high: emit("minimum", x, high),
    "relu": lambda emit, x: emit("maximum", x, 0.0),
    "threshold_backward": lambda emit, g, x, limit: emit("where", emit("le", x, limit), 0.0, g),
    "sigmoid": _sigmoid,
    "sigmoid_backward": lambda emit, g, y: emit("mul", emit("mul", g, emit("sub", 1.0, y)), y),
    "tanh_backward": lambda emit, g, y: emit("mul", g, emit("sub", 1.0, emit("mul", y, y))),
    "deg2rad": lambda emit, x: emit("mul", x, math.pi / 180),
    "remainder": _remainder,
    "lerp": _lerp,
    "addcmul": lambda emit, x, a, b, *, value=1: emit("add", x, emit("mul", _scaled(emit, a, value), b)),
    "addcdiv": lambda emit, x, a, b, *, value=1: emit("add", x, emit("div", _scaled(emit, a, value), b)),
    "masked_fill": lambda emit, x, mask, value: emit("where", mask, value, x),
    "zero": lambda emit, x: 0.0,
    "isnan": lambda emit, x: emit("ne", x, x),
    "isinf": lambda emit, x: emit("eq", emit("abs", x), math.inf),
    "logical_and": _plain("and"),
    "logical_or": _plain("or"),
    "logical_not": _plain("not"),
    "bitwise_and": _plain("and"),
    "bitwise_or": _plain("or"),
    "bitwise_not": _plain("not"),
}

# Arguments and results that are true or false; PyTorch takes a bool for 0 or 1 elsewhere, and a number for "is it not 0" here.
LOGICAL = {"logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_or", "bitwise_not", "any", "all"}
CONDITIONS = {("where", 0), ("masked_fill", 1)}  # (operator, position of the argument)
PREDICATES = LOGICAL | {"gt", "ge", "lt", "le", "eq", "ne", "isnan", "isinf"}

# --- reductions: the operator's arguments after the tensor -> ((emit, atoms) -> atom, dimensions)


def fold(op, empty=None):
    """Combine atoms from the first to the last."""

    def reduce(emit, atoms):
        result = atoms[0] if atoms else empty
        for a in atoms[1:]:
            result = emit(op, result, a)
        return result

    return reduce


total = fold("add", 0.0)


def mean(emit, atoms):
    return emit("div", total(emit, atoms), float(len(atoms)))


def norm(order):
    """The norm of a vector, Σ|x|ᵖ to the power 1/p; the largest and the smallest |x| for p = ±∞, how many are not 0 for p = 0."""

    def reduce(emit, atoms):
        if order == 2:
            return emit("sqrt", total(emit, [emit("mul", a, a) for a in atoms]))
        if order == 0:
            return total(emit, [emit("where", emit("ne", a, 0.0), 1.0, 0.0) for a in atoms])
        sizes = [emit("abs", a) for a in atoms]
        if order in (1, math.inf, -math.inf):
            return fold({1: "add", math.inf: "maximum", -math.inf: "minimum"}[order], 0.0)(emit, sizes)
        return _pow(emit, total(emit, [_pow(emit, a, float(order)) for a in sizes]), 1 / order)

    return reduce


def _over(reduce):
    return lambda dim=None, *keepdim: (reduce, dim)


REDUCTIONS = {
    "sum": _over(total),
    "mean": _over(mean),
    "amax": _over(fold("maximum")),
    "amin": _over(fold("minimum")),
    "max": _over(fold("maximum")),
    "min": _over(fold("minimum")),
    "any": _over(fold("or", 0.0)),
    "all": _over(fold("and", 1.0)),
    "linalg_vector_norm": lambda order=2, dim=None, *keepdim: (norm(order), dim),
}

# --- products: written as sums of elementwise products, by the shapes of their factors

PRODUCTS = {
    "dot": lambda a, b: (a, b),
    "mv": lambda a, b: (a, b.expand_as(a)),
    "mm": lambda a, b: (a[:, None, :], b.mT[None, :, :]),
    "bmm": lambda a, b: (a[:, :, None, :], b.mT[:, None, :, :]),
}

# --- movement: numbers change their place, not their value, so the operator itself is run on a tensor of names

MOVEMENT = set(
    "_unsafe_view stack cat clone select_backward slice_backward diagonal_backward diag_embed flip roll repeat tril triu "
    "index gather index_select constant_pad_nd".split()
)

# --- a tensor changes its shape in place: as in a view, its numbers stay where they are

RESHAPING = {"squeeze_", "unsqueeze_", "t_", "transpose_", "detach_"}

# --- changes of type: the operator and the position of what it reads

CONVERSIONS = {"_to_copy": 0, "to": 0, "copy": 1, "fill": 1}


def conversion(source: torch.dtype, target: torch.dtype):
    """What it takes to read a number as another type: (emit, atom) -> atom, or None if it stays as it is."""
    whole = not (target.is_floating_point or target.is_complex)
    if (source == torch.bool) == (target == torch.bool):
        return _trunc if whole and source.is_floating_point else None
    if target == torch.bool:
        return lambda emit, x: emit("ne", x, 0.0)
    return lambda emit, x: emit("where", x, 1.0, 0.0)


# --- linear systems: (emit, the rows of A, the rows of B) -> the rows of X in A X = B


def solve(emit, A: list[list], B: list[list]) -> list[list]:
    """Gaussian elimination; of the rows left, the one with the largest number in the column comes first, as in LAPACK."""
    n = len(A)
    rows = [[*a, *b] for a, b in zip(A, B, strict=True)]
    for k in range(n):
        for i in range(k + 1, n):
            larger = emit("gt", emit("abs", rows[i][k]), emit("abs", rows[k][k]))
            pairs = [
                (emit("where", larger, y, x), emit("where", larger, x, y))
                for x, y in zip(rows[k], rows[i], strict=True)
            ]
            rows[k], rows[i] = map(list, zip(*pairs, strict=True))
        for i in range(k + 1, n):
            factor = emit("div", rows[i][k], rows[k][k])
            rows[i] = [emit("sub", y, emit("mul", factor, x)) for x, y in zip(rows[k], rows[i], strict=True)]
    for k in reversed(range(n)):
        for i in range(k + 1, n):
            rows[k][n:] = [
                emit("sub", y, emit("mul", rows[k][i], x)) for x, y in zip(rows[i][n:], rows[k][n:], strict=True)
            ]
        rows[k][n:] = [emit("div", y, rows[k][k]) for y in rows[k][n:]]
    return [row[n:] for row in rows]


SOLVERS = {"_linalg_solve_ex"}  # their first result is X; the others, LAPACK's factors, have no names

# --- results whose numbers are constants, though an argument isn't: they read its shape alone

CONSTANT = set(
    "zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty new_empty_strided".split()
)
