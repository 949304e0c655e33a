"""What each PyTorch operator does to single numbers: `emit(op, *atoms)` writes an instruction and returns its name."""

import math

import torch

# --- element by element: (emit, one atom for each tensor or number, keyword arguments) -> atom


def _scaled(emit, x, alpha):
    return x if alpha == 1 else emit("mul", x, float(alpha))


def _pow(emit, x, y):
    """PyTorch computes small powers by multiplication, so that x**2 is exact; so do we."""
    cube = lambda: emit("mul", emit("mul", x, x), x)  # noqa: E731
    short = {
        0: lambda: 1.0, 1: lambda: x, 2: lambda: emit("mul", x, x), 3: cube, 0.5: lambda: emit("sqrt", x),
        -1: lambda: emit("div", 1.0, x), -2: lambda: emit("div", 1.0, emit("mul", x, x)), -0.5: lambda: emit("div", 1.0, emit("sqrt", x)),
    }  # fmt: skip
    return short[y]() if not isinstance(y, str) and y in short else emit("pow", x, y)


def _clamp(emit, x, low=None, high=None):
    x = x if low is None else emit("maximum", x, low)
    return x if high is None else emit("minimum", x, high)


def _div(emit, x, y, *, rounding_mode=None):
    quotient = emit("div", x, y)
    return quotient if rounding_mode is None else emit("floor", quotient)


def _remainder(emit, x, y):
    """As Python's %: the result has the sign of y."""
    r = emit("fmod", x, y)
    if isinstance(y, str):
        other_sign = emit("and", emit("ne", r, 0.0), emit("ne", emit("lt", r, 0.0), emit("lt", y, 0.0)))
    else:
        other_sign = emit("lt" if y > 0 else "gt", r, 0.0)
    return emit("where", other_sign, emit("add", r, y), r)


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


ELEMENTWISE = {name: _plain(name) for name in "mul neg sqrt abs floor maximum minimum exp log sin cos tanh gt ge lt le eq ne where fmod".split()} | {
    "add": lambda emit, x, y, *, alpha=1: emit("add", x, _scaled(emit, y, alpha)),
    "sub": lambda emit, x, y, *, alpha=1: emit("sub", x, _scaled(emit, y, alpha)),
    "rsub": lambda emit, x, y, alpha=1: emit("sub", y, _scaled(emit, x, alpha)),
    "div": _div,
    "pow": _pow,
    "square": lambda emit, x: emit("mul", x, x),
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
    "logical_and": _plain("and"),
    "logical_or": _plain("or"),
    "logical_not": _plain("not"),
    "bitwise_and": _plain("and"),
    "bitwise_or": _plain("or"),
    "bitwise_not": _plain("not"),
}

# --- reductions: (numbers of each row, emit) -> atom


def total(emit, atoms):
    result = atoms[0] if atoms else 0.0
    for a in atoms[1:]:
        result = emit("add", result, a)
    return result


def extreme(op):
    def reduce(emit, atoms):
        result = atoms[0]
        for a in atoms[1:]:
            result = emit(op, result, a)
        return result

    return reduce


def mean(emit, atoms):
    return emit("div", total(emit, atoms), float(len(atoms)))


def norm(emit, atoms):
    return emit("sqrt", total(emit, [emit("mul", a, a) for a in atoms]))


REDUCTIONS = {"sum": total, "mean": mean, "amax": extreme("maximum"), "amin": extreme("minimum"), "linalg_vector_norm": norm}

# --- products: written as sums of elementwise products, by the shapes of their factors

PRODUCTS = {
    "dot": lambda a, b: (a, b),
    "mv": lambda a, b: (a, b.expand_as(a)),
    "mm": lambda a, b: (a[:, None, :], b.mT[None, :, :]),
    "bmm": lambda a, b: (a[:, :, None, :], b.mT[:, None, :, :]),
}

# --- movement: numbers change their place, not their value, so the operator itself is run on a tensor of names

MOVEMENT = set(
    "view _unsafe_view reshape permute transpose t select slice expand squeeze unsqueeze stack cat unbind split split_with_sizes detach clone "
    "alias lift_fresh lift_fresh_copy select_backward slice_backward diagonal diagonal_backward diag_embed flip roll repeat tril triu "
    "gather index_select constant_pad_nd".split()
)


def convert(ids: torch.Tensor, *_, **__) -> torch.Tensor:
    """A change of dtype or device: the program computes in one precision, so it keeps the names."""
    return ids


CONVERSIONS = {"_to_copy", "to", "contiguous"}
