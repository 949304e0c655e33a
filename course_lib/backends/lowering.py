"""What PyTorch's operators on whole tensors do to single numbers: `emit(op, *atoms)` writes an instruction and returns its name."""

import math

import torch

from course_lib.backends.elementwise import power, truncated

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


def variance(correction=None):
    """The sum of squared deviations from the mean over n - 1, or n less another correction."""

    def reduce(emit, atoms):
        center = mean(emit, atoms)
        deviations = [emit("sub", a, center) for a in atoms]
        freedom = max(0.0, len(atoms) - (1 if correction is None else float(correction)))
        return emit("div", total(emit, [emit("mul", d, d) for d in deviations]), freedom)

    return reduce


def deviation(correction=None):
    """The root of the variance."""
    return lambda emit, atoms: emit("sqrt", variance(correction)(emit, atoms))


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
        return power(emit, total(emit, [power(emit, a, float(order)) for a in sizes]), 1 / order)

    return reduce


def _over(reduce):
    return lambda dim=None, *keepdim: (reduce, dim)


REDUCTIONS = {
    "sum": _over(total),
    "mean": _over(mean),
    "prod": _over(fold("mul", 1.0)),
    "var": lambda dim=None, *keepdim, correction=None: (variance(correction), dim),
    "std": lambda dim=None, *keepdim, correction=None: (deviation(correction), dim),
    "amax": _over(fold("maximum")),
    "amin": _over(fold("minimum")),
    "max": _over(fold("maximum")),
    "min": _over(fold("minimum")),
    "any": _over(fold("or", 0.0)),
    "all": _over(fold("and", 1.0)),
    "linalg_vector_norm": lambda order=2, dim=None, *keepdim: (norm(order), dim),
}

# --- sums and products so far, along one dimension

CUMULATIVE = {"cumsum": "add", "cumprod": "mul"}

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
        return truncated if whole and source.is_floating_point else None
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
