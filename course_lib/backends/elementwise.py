"""What each PyTorch operator that works element by element does to single numbers: (emit, atoms, keyword arguments) -> atom."""

import math

import torch


def _scaled(emit, x, alpha):
    return x if alpha == 1 else emit("mul", x, float(alpha))


def power(emit, x, y):
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


def truncated(emit, x):
    return emit("where", emit("lt", x, 0.0), _ceil(emit, x), emit("floor", x))


def _div(emit, x, y, *, rounding_mode=None):
    if rounding_mode == "floor":
        return _floor_divide(emit, x, y)
    quotient = emit("div", x, y)
    return quotient if rounding_mode is None else truncated(emit, quotient)


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


def _round(emit, x, *, decimals=0):
    """To the nearest whole number, of two the even one."""
    if decimals:
        return emit("div", _round(emit, emit("mul", x, 10.0**decimals)), 10.0**decimals)
    low = emit("floor", x)
    rest = emit("sub", x, low)
    half = emit("mul", low, 0.5)
    odd = emit("ne", emit("floor", half), half)
    up = emit("or", emit("gt", rest, 0.5), emit("and", emit("eq", rest, 0.5), odd))
    return emit("where", up, emit("add", low, 1.0), low)


def _copysign(emit, x, y):
    size = emit("abs", x)
    if not isinstance(y, str):
        return size if math.copysign(1, y) > 0 else emit("neg", size)
    below = emit("or", emit("lt", y, 0.0), emit("lt", emit("div", 1.0, y), 0.0))  # -0.0, too
    return emit("where", below, emit("neg", size), size)


def _hypot(emit, x, y):
    """By the larger one, whose square may not exist."""
    a, b = emit("abs", x), emit("abs", y)
    large, small = emit("maximum", a, b), emit("minimum", a, b)
    ratio = emit("div", small, large)
    size = emit("mul", large, emit("sqrt", emit("add", 1.0, emit("mul", ratio, ratio))))
    size = emit("where", emit("eq", small, 0.0), large, size)
    return emit("where", emit("or", emit("eq", a, math.inf), emit("eq", b, math.inf)), math.inf, size)


def _tan(emit, x):
    return emit("div", emit("sin", x), emit("cos", x))


def _softplus(emit, x, beta=1.0, threshold=20.0):
    z = emit("mul", x, beta)
    return emit("where", emit("gt", z, threshold), x, emit("div", emit("log1p", emit("exp", z)), beta))


def _softplus_backward(emit, g, x, beta, threshold):
    z = emit("mul", x, beta)
    e = emit("exp", z)
    return emit("where", emit("gt", z, threshold), g, emit("div", emit("mul", g, e), emit("add", e, 1.0)))


def _outside(emit, x, limit):
    """Whether x is above the limit or below its negative; neither for NaN."""
    return emit("gt", x, limit), emit("lt", x, emit("neg", limit))


def _softshrink(emit, x, limit=0.5):
    above, below = _outside(emit, x, limit)
    inside = emit("mul", x, 0.0)  # 0, or NaN for NaN
    return emit("where", above, emit("sub", x, limit), emit("where", below, emit("add", x, limit), inside))


def _hardshrink(emit, x, limit=0.5):
    above, below = _outside(emit, x, limit)
    return emit("where", emit("or", above, emit("or", below, emit("ne", x, x))), x, 0.0)


def _shrink_backward(emit, g, x, limit):
    inside = emit("and", emit("ge", x, emit("neg", limit)), emit("le", x, limit))
    return emit("where", inside, 0.0, g)


def _gelu(emit, x, *, approximate="none"):
    if approximate == "tanh":
        share = emit("tanh", _inner(emit, x))
    else:
        share = emit("erf", emit("mul", x, math.sqrt(0.5)))
    return emit("mul", emit("mul", 0.5, x), emit("add", 1.0, share))


def _inner(emit, x):
    cubed = emit("mul", emit("mul", emit("mul", x, x), x), 0.044715)
    return emit("mul", math.sqrt(2 / math.pi), emit("add", x, cubed))


def _gelu_backward(emit, g, x, *, approximate="none"):
    square = emit("mul", x, x)
    if approximate == "tanh":
        share = emit("tanh", _inner(emit, x))
        slope = emit("mul", math.sqrt(2 / math.pi), emit("add", 1.0, emit("mul", square, 3 * 0.044715)))
        slope = emit("mul", emit("mul", 0.5, slope), emit("sub", 1.0, emit("mul", share, share)))
    else:
        share = emit("erf", emit("mul", x, math.sqrt(0.5)))
        slope = emit("mul", emit("exp", emit("mul", square, -0.5)), math.sqrt(0.5 / math.pi))
    whole = emit("add", emit("mul", 0.5, emit("add", 1.0, share)), emit("mul", x, slope))
    return emit("mul", g, whole)


def _nan_to_num(emit, x, nan=None, posinf=None, neginf=None):
    largest = torch.finfo(torch.float64).max
    high, low = largest if posinf is None else posinf, -largest if neginf is None else neginf
    finite = emit("where", emit("eq", x, math.inf), high, emit("where", emit("eq", x, -math.inf), low, x))
    return emit("where", emit("ne", x, x), 0.0 if nan is None else nan, finite)


def _silu(emit, x):
    return emit("div", x, emit("add", 1.0, emit("exp", emit("neg", x))))


def _plain(op):
    return lambda emit, *x: emit(op, *x)


ELEMENTWISE = {
    name: _plain(name)
    for name in "mul neg sqrt abs floor maximum minimum exp log sin cos tanh log1p expm1 log2 atan erf gt ge lt le eq ne where fmod".split()
} | {
    "add": lambda emit, x, y, *, alpha=1: emit("add", x, _scaled(emit, y, alpha)),
    "sub": lambda emit, x, y, *, alpha=1: emit("sub", x, _scaled(emit, y, alpha)),
    "rsub": lambda emit, x, y, alpha=1: emit("sub", y, _scaled(emit, x, alpha)),
    "div": _div,
    "pow": power,
    "square": lambda emit, x: emit("mul", x, x),
    "floor_divide": _floor_divide,
    "ceil": _ceil,
    "trunc": truncated,
    "frac": lambda emit, x: emit("sub", x, truncated(emit, x)),
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
    "exp2": lambda emit, x: emit("pow", 2.0, x),
    "tan": _tan,
    "round": _round,
    "copysign": _copysign,
    "hypot": _hypot,
    "heaviside": lambda emit, x, y: emit("where", emit("eq", x, 0.0), y, emit("where", emit("gt", x, 0.0), 1.0, 0.0)),
    "nan_to_num": _nan_to_num,
    "softplus": _softplus,
    "softplus_backward": _softplus_backward,
    "softshrink": _softshrink,
    "softshrink_backward": _shrink_backward,
    "hardshrink": _hardshrink,
    "hardshrink_backward": _shrink_backward,
    "hardtanh": lambda emit, x, low=-1.0, high=1.0: _clamp(emit, x, low, high),
    "leaky_relu": lambda emit, x, slope=0.01: emit("where", emit("gt", x, 0.0), x, emit("mul", x, slope)),
    "leaky_relu_backward": lambda emit, g, x, slope, *_: emit("where", emit("gt", x, 0.0), g, emit("mul", g, slope)),
    "gelu": _gelu,
    "gelu_backward": _gelu_backward,
    "silu": _silu,
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
