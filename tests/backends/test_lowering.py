"""Every operator that can be traced, against PyTorch on other numbers than those it was traced with."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.func import grad, jacrev, jvp, vmap

from course_lib.backends.elementwise import ELEMENTWISE
from course_lib.backends.lowering import CUMULATIVE, MOVEMENT, PRODUCTS, REDUCTIONS

# operator -> formulas of a and b, both of shape (3,), that call it
CALLS = {
    "add": [lambda a, b: a + b, lambda a, b: torch.add(a, b, alpha=0.5), lambda a, b: 2 + a],
    "mul": [lambda a, b: a * b, lambda a, b: 3 * a],
    "sub": [lambda a, b: a - b, lambda a, b: torch.sub(a, b, alpha=2), lambda a, b: a - 0.1],
    "rsub": [lambda a, b: 1 - a, lambda a, b: torch.rsub(a, b, alpha=2)],
    "div": [
        lambda a, b: a / b,
        lambda a, b: a / 3,
        lambda a, b: 1 / a,
        lambda a, b: torch.div(a, b, rounding_mode="trunc"),
        lambda a, b: torch.div(a, b, rounding_mode="floor"),
    ],
    "floor_divide": [lambda a, b: a // b, lambda a, b: a // 0.1, lambda a, b: 7 // a, lambda a, b: a // -0.3],
    "neg": [lambda a, b: -a],
    "remainder": [lambda a, b: a % b, lambda a, b: a % 0.3, lambda a, b: a % -0.3, lambda a, b: 2 % a],
    "fmod": [torch.fmod, lambda a, b: torch.fmod(a, -0.7)],
    "floor": [lambda a, b: a.floor()],
    "ceil": [lambda a, b: a.ceil()],
    "trunc": [lambda a, b: a.trunc()],
    "frac": [lambda a, b: a.frac()],
    "sqrt": [lambda a, b: a.sqrt()],
    "rsqrt": [lambda a, b: a.rsqrt()],
    "square": [lambda a, b: a.square()],
    "reciprocal": [lambda a, b: a.reciprocal()],
    "abs": [lambda a, b: a.abs()],
    "sign": [lambda a, b: a.sign()],
    "sgn": [lambda a, b: a.sgn()],
    "relu": [lambda a, b: F.relu(a)],
    "threshold_backward": [lambda a, b: grad(lambda x: (F.relu(x) * b).sum())(a)],
    "pow": [lambda a, b, p=p: a**p for p in (0, 1, 2, 3, 4, -1, -2, 0.5, -0.5, 2.3)]
    + [lambda a, b: a**b, lambda a, b: 2**a, lambda a, b: a.abs() ** 1.7],
    "exp": [lambda a, b: a.exp()],
    "log": [lambda a, b: a.log()],
    "sin": [lambda a, b: a.sin()],
    "cos": [lambda a, b: a.cos()],
    "tanh": [lambda a, b: a.tanh()],
    "sigmoid": [lambda a, b: a.sigmoid()],
    "deg2rad": [lambda a, b: torch.deg2rad(a)],
    "sigmoid_backward": [lambda a, b: grad(lambda x: (x.sigmoid() * b).sum())(a)],
    "tanh_backward": [lambda a, b: grad(lambda x: (x.tanh() * b).sum())(a)],
    "log1p": [lambda a, b: a.log1p()],
    "expm1": [lambda a, b: a.expm1()],
    "exp2": [lambda a, b: a.exp2()],
    "log2": [lambda a, b: a.log2()],
    "tan": [lambda a, b: a.clamp(-7, 7).tan()],
    "atan": [lambda a, b: a.atan()],
    "erf": [lambda a, b: a.erf()],
    "hypot": [torch.hypot],
    "round": [
        lambda a, b: a.round(),
        lambda a, b: (2 * a).round() / 2,
        lambda a, b: torch.round(torch.floor(a) + 0.5),
        lambda a, b: torch.round(a.clamp(-9, 9), decimals=2),
    ],
    "copysign": [torch.copysign, lambda a, b: torch.copysign(a, -2), lambda a, b: torch.copysign(a, 2)],
    "heaviside": [torch.heaviside],
    "nan_to_num": [lambda a, b: a.nan_to_num(), lambda a, b: torch.nan_to_num(a, nan=0.5, posinf=3.0, neginf=-4.0)],
    "softplus": [lambda a, b: F.softplus(a), lambda a, b: F.softplus(a, 2.0, 3.0)],
    "softplus_backward": [lambda a, b: grad(lambda x: (F.softplus(x, 2.0) * b).sum())(a)],
    "softshrink": [lambda a, b: F.softshrink(a), lambda a, b: F.softshrink(a, 0.1)],
    "softshrink_backward": [lambda a, b: grad(lambda x: (F.softshrink(x) * b).sum())(a)],
    "hardshrink": [lambda a, b: F.hardshrink(a, 0.2)],
    "hardshrink_backward": [lambda a, b: grad(lambda x: (F.hardshrink(x) * b).sum())(a)],
    "hardtanh": [lambda a, b: F.hardtanh(a), lambda a, b: F.hardtanh(a, -0.2, 0.3)],
    "leaky_relu": [lambda a, b: F.leaky_relu(a), lambda a, b: F.leaky_relu(a, 0.3)],
    "leaky_relu_backward": [lambda a, b: grad(lambda x: (F.leaky_relu(x, 0.3) * b).sum())(a)],
    "gelu": [lambda a, b: F.gelu(a.clamp(-3, 9)), lambda a, b: F.gelu(a.clamp(-3, 9), approximate="tanh")],
    "gelu_backward": [
        lambda a, b, how=how: grad(lambda x: (F.gelu(x, approximate=how) * b).sum())(a.clamp(-1, 9))
        for how in ("none", "tanh")
    ],
    "silu": [lambda a, b: F.silu(a)],
    "maximum": [torch.maximum, torch.max],
    "minimum": [torch.minimum, torch.min],
    "clamp": [
        lambda a, b: a.clamp(-1, 1),
        lambda a, b: a.clamp(max=0.3),
        lambda a, b: a.clamp(min=b),
        lambda a, b: a.clamp(max=b),
        lambda a, b: a.clamp(b, b.abs()),
    ],
    "clamp_min": [lambda a, b: a.clamp_min(0.2), lambda a, b: a.clamp_min(b)],
    "clamp_max": [lambda a, b: a.clamp_max(0.2), lambda a, b: a.clamp_max(b)],
    "gt": [lambda a, b: a > b, lambda a, b: a > 0],
    "ge": [lambda a, b: a >= b],
    "lt": [lambda a, b: a < b],
    "le": [lambda a, b: a <= b],
    "eq": [lambda a, b: a == b, lambda a, b: (a > 0) == (b > 0)],
    "ne": [lambda a, b: a != b, lambda a, b: (a > 0) != True],  # noqa: E712
    "isnan": [lambda a, b: a.isnan()],
    "isinf": [lambda a, b: a.isinf(), lambda a, b: a.isfinite()],
    "where": [
        lambda a, b: torch.where(a > b, a, b),
        lambda a, b: torch.where(a > 0, a, 0.0),
        lambda a, b: torch.where(a > 0, 1.0, -1.0),
        lambda a, b: torch.where(a > 0, a > 1, b > 1),
        lambda a, b: torch.where(torch.tensor([True, False, True]), a, b),
    ],
    "masked_fill": [lambda a, b: a.masked_fill(b > 0, -2.0), lambda a, b: a.masked_fill(b > 0, a.sum())],
    "logical_and": [lambda a, b: torch.logical_and(a, b), lambda a, b: torch.logical_and(a > 0, b > 0)],
    "logical_or": [torch.logical_or],
    "logical_not": [lambda a, b: torch.logical_not(a)],
    "bitwise_and": [lambda a, b: (a > 0) & (b > 0)],
    "bitwise_or": [lambda a, b: (a > 0) | (b > 0)],
    "bitwise_not": [lambda a, b: ~(a > 0)],
    "zero": [lambda a, b: (a * b).zero_() + a],
}

# PyTorch computes these with fused multiply-adds, or by way of other formulas, on some processors.
LOOSE = {"lerp", "addcmul", "addcdiv", "sigmoid", "sigmoid_backward", "tanh_backward", "rsub", "add", "sub"} | set(
    "log1p expm1 exp2 log2 tan atan erf hypot round softplus softplus_backward silu".split()
)
CANCELS = {"gelu", "gelu_backward"}  # near 0 of a sum

THREE = {
    "lerp": [torch.lerp, lambda a, b, c: torch.lerp(a, b, 0.3), lambda a, b, c: torch.lerp(a, b, 0.7)],
    "addcmul": [torch.addcmul, lambda a, b, c: torch.addcmul(a, b, c, value=-0.3)],
    "addcdiv": [torch.addcdiv, lambda a, b, c: torch.addcdiv(a, b, c, value=-0.3)],
}


def table(calls):
    return [pytest.param(f, id=f"{op}-{k}") for op, formulas in calls.items() for k, f in enumerate(formulas)]


def test_every_elementwise_operator_is_tested():
    assert set(CALLS) | set(THREE) == set(ELEMENTWISE)


@pytest.mark.parametrize("f", table(CALLS))
def test_elementwise(f, request, check):
    op = request.node.callspec.id.split("-")[0]
    check(f, (3,), (3,), ulps=512 if op in CANCELS else 8 if op in LOOSE else 2, special=op != "gelu_backward")


@pytest.mark.parametrize("f", table(THREE))
def test_of_three_tensors(f, check):
    check(f, (3,), (3,), (3,), ulps=64, special=False)


@pytest.mark.parametrize("shapes", [((), ()), ((), (3,)), ((2, 1), (3,)), ((2, 3), (1, 3))], ids=str)
def test_shapes_broadcast(shapes, check):
    check(lambda a, b: a * b - torch.where(a > b, b, 2.0) / 3, *shapes)


MATRIX_CALLS = {
    "sum": [
        lambda a: a.sum(),
        lambda a: a.sum(0),
        lambda a: a.sum(-1),
        lambda a: a.sum((0, 2)),
        lambda a: a.sum((-1, 1), keepdim=True),
        lambda a: a.sum(dim=[]),
        lambda a: (a > 0).sum(),
        lambda a: (a > 0).sum(1) * a[:, 0],
        lambda a: a.sum(dtype=torch.float64),
        lambda a: a[0, 0, 0].sum(),
        lambda a: a[:, :0].sum(1),
    ],
    "mean": [
        lambda a: a.mean(),
        lambda a: a.mean(1),
        lambda a: a.mean((0, -1), keepdim=True),
        lambda a: (a > 0).double().mean(),
        lambda a: (a > 0).mean(dtype=torch.float64),
    ],
    "cumsum": [lambda a: a.cumsum(0), lambda a: a.cumsum(-1), lambda a: a[0, 0, 0].cumsum(0)],
    "cumprod": [lambda a: a.cumprod(1)],
    "prod": [lambda a: a.prod(), lambda a: a.prod(1), lambda a: a.prod(-1, keepdim=True)],
    "var": [
        lambda a: a.var(),
        lambda a: a.var(-1),
        lambda a: a.var((0, 2), keepdim=True, correction=0),
        lambda a: torch.var(a, unbiased=False),
    ],
    "std": [lambda a: a.std(), lambda a: a.std(-1), lambda a: a.std((0, 1), correction=0)],
    "amax": [lambda a: a.amax(), lambda a: a.amax(-1), lambda a: a.amax((0, 1), keepdim=True)],
    "amin": [lambda a: a.amin(), lambda a: a.amin(1)],
    "max": [lambda a: a.max()],
    "min": [lambda a: a.min(), lambda a: (a > 0).min()],
    "any": [lambda a: (a > 2).any(), lambda a: (a > 2).any(1), lambda a: a.any(-1, keepdim=True)],
    "all": [lambda a: (a > -2).all(), lambda a: (a > -2).all(0), lambda a: a.all()],
    "linalg_vector_norm": [
        lambda a: a.norm(),
        lambda a: a.norm(dim=1),
        lambda a: torch.linalg.vector_norm(a, dim=(0, 2), keepdim=True),
        lambda a: a.norm(p=1),
        lambda a: a.norm(p=math.inf, dim=-1),
        lambda a: torch.linalg.vector_norm(a, -math.inf, 1),
        lambda a: torch.linalg.vector_norm(a, 0),
        lambda a: a.norm(p=3),
        lambda a: torch.linalg.vector_norm(a, 1.5, -1),
    ],
    "index": [
        lambda a: a[[1, 0]],
        lambda a: a[:, torch.tensor([True, False])],
        lambda a: a[torch.tensor(1), :, [0, 2]],
    ],
    "select_backward": [lambda a: grad(lambda x: x[0, -1].square().sum())(a)],
    "slice_backward": [lambda a: grad(lambda x: x[1:, :, ::2].square().sum())(a)],
    "diagonal_backward": [lambda a: grad(lambda x: x.diagonal(0, 0, 1).square().sum())(a)],
    "stack": [
        lambda a: torch.stack([a[0], a[1] * 2], 1),
        lambda a: torch.stack([a[0], torch.ones(2, 3)]),
        lambda a: torch.stack([a[0], a[1] > 0]),
    ],
    "cat": [
        lambda a: torch.cat([a, a.flip(0)], -1),
        lambda a: torch.cat([a, torch.full((1, 2, 3), 7.0, dtype=torch.float64)]),
    ],
    "clone": [lambda a: a.clone(), lambda a: a.mT.contiguous(), lambda a: a.mT.reshape(-1)],
    "_unsafe_view": [lambda a: a.mT.reshape(3, 4)],
    "flip": [lambda a: a.flip(0, 2)],
    "roll": [lambda a: a.roll(1, -1), lambda a: a.roll(2)],
    "repeat": [lambda a: a.repeat(2, 1, 1)],
    "tril": [lambda a: a.tril(), lambda a: a.tril(-1)],
    "triu": [lambda a: a.triu(1)],
    "diag_embed": [lambda a: torch.diag_embed(a), lambda a: torch.diag(a[0, 0])],
    "gather": [lambda a: a.gather(2, torch.tensor([[[2, 0], [1, 1]], [[0, 0], [2, 1]]]))],
    "index_select": [lambda a: a.index_select(2, torch.tensor([2, 0]))],
    "constant_pad_nd": [
        lambda a: F.pad(a, (1, 2)),
        lambda a: F.pad(a, (0, 1), value=1.0),
        lambda a: F.pad(a, (0, 1), value=-3.5),
    ],
    # views: no lowering, since names are shared as numbers are
    "view": [
        lambda a: a.view(3, 4),
        lambda a: a.mT,
        lambda a: a.permute(2, 0, 1),
        lambda a: a.diagonal(0, 0, 1),
        lambda a: a.unfold(2, 2, 1),
        lambda a: a[:, None].expand(2, 4, 2, 3),
        lambda a: a[0].T,
        lambda a: a.squeeze(),
        lambda a: a[:, :, 1::2],
        lambda a: torch.stack(a.unbind(1)),
        lambda a: torch.cat(a.split([1, 2], 2), 2),
        lambda a: a.movedim(0, 2).flatten(1),
        lambda a: a.detach(),
    ],
}


def test_every_reduction_and_movement_is_tested():
    assert set(MATRIX_CALLS) == set(REDUCTIONS) | set(CUMULATIVE) | MOVEMENT | {"view"}


@pytest.mark.parametrize("f", table(MATRIX_CALLS))
def test_reductions_and_movement(f, request, check):
    op = request.node.callspec.id.split("-")[0]
    sums = op in ("sum", "mean", "cumsum", "prod", "var", "std", "linalg_vector_norm")  # PyTorch adds in another order
    check(lambda a: 1.0 * f(a), (2, 2, 3), ulps=64 if sums else 2, special=not sums)


PRODUCT_CALLS = {
    "dot": [((3,), (3,), torch.dot), ((3,), (3,), lambda a, b: a @ b)],
    "mv": [((2, 3), (3,), lambda a, b: a @ b), ((3,), (3, 2), lambda a, b: a @ b)],
    "mm": [
        ((2, 3), (3, 4), lambda a, b: a @ b),
        ((2, 3), (2, 3), lambda a, b: a.T @ b),
        ((2,), (3,), torch.outer),
        ((2, 3), (4, 3), lambda a, b: torch.einsum("ij,kj->ik", a, b)),
    ],
    "bmm": [
        ((2, 2, 3), (2, 3, 2), lambda a, b: a @ b),
        ((2, 2, 3), (3, 2), lambda a, b: a @ b),
        ((2, 3), (2, 3), lambda a, b: torch.einsum("ij,ij->i", a, b)),
    ],
}


@pytest.mark.parametrize(
    "a, b, f", [pytest.param(*row, id=f"{op}-{k}") for op, rows in PRODUCT_CALLS.items() for k, row in enumerate(rows)]
)
def test_products(a, b, f, check):
    assert set(PRODUCT_CALLS) == set(PRODUCTS)
    check(f, a, b, ulps=256, special=False)


GRADIENTS = {
    "prod": lambda x: x.prod(),
    "std": lambda x: x.std(),
    "var": lambda x: x.var(correction=0) * x[0],
    "log1p": lambda x: x.abs().log1p().sum(),
    "atan": lambda x: x.atan().sum(),
    "erf": lambda x: x.erf().sum(),
    "hypot": lambda x: torch.hypot(x[0], x[1]) * x[2],
    "tan": lambda x: (x / 9).tan().sum(),
    "exp2": lambda x: (x.exp2() + x.expm1() + (1 + x**2).log2()).sum(),
    "silu": lambda x: F.silu(x).sum(),
    "sqrt": lambda x: x.abs().sqrt().sum(),
    "exp": lambda x: x.exp().sum(),
    "tanh": lambda x: x.tanh().sum(),
    "sigmoid": lambda x: x.sigmoid().sum(),
    "log": lambda x: x.abs().log().sum(),
    "sin": lambda x: (x.sin() * x.cos()).sum(),
    "where": lambda x: torch.where(x > 0, x**2, -x).sum(),
    "norm": lambda x: x.norm() * x[0],
    "norm1": lambda x: x.norm(p=1) * x[0],
    "norm3": lambda x: x.norm(p=3),
    "norm-inf": lambda x: x.norm(p=math.inf),
    "matmul": lambda x: (x @ torch.outer(x, x)) @ x,
    "mm": lambda x: (x[:, None] @ x[None, :]).square().sum(),
    "abs": lambda x: (x.abs() * x).sum(),
    "clamp": lambda x: (x.clamp(-1, 1) * x).sum(),
    "maximum": lambda x: torch.maximum(x, x.flip(0)).square().sum(),
    "amax": lambda x: x.amax() * x[1],
    "max": lambda x: x.max() * x[1],
    "mean": lambda x: (x.mean() - x).square().mean(),
    "pow": lambda x: (x.abs() ** 1.5).sum(),
    "power": lambda x: (x.abs() ** x).sum(),
    "div": lambda x: (x[0] / x).sum(),
    "relu": lambda x: F.relu(x).square().sum(),
    "stack": lambda x: torch.stack([x[0] * x[1], x[2]]).square().sum(),
    "cat": lambda x: torch.cat([x, x[:1] * x[2]]).square().sum(),
    "lerp": lambda x: torch.lerp(x, x.flip(0), x**2).sum(),
    "set": lambda x: assigned(x).square().sum(),
    "remainder": lambda x: ((x % 0.7) * x).sum(),
}


def assigned(x):
    y = 2 * x
    y[0] = x[1] * x[2]
    y[1:] += 1
    return y


@pytest.mark.parametrize("f", GRADIENTS.values(), ids=GRADIENTS)
def test_gradients(f, check):
    check(grad(f), (3,), ulps=512, special=False)


@pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)  # PyTorch's own forward mode uses it
def test_derivatives_of_derivatives(check):
    f = lambda x: x[0] ** 2 * x[1].exp() + x.norm()
    check(jacrev(grad(f)), (2,), ulps=512, special=False)
    check(lambda x, v: jvp(grad(f), (x,), (v,))[1], (2,), (2,), ulps=4096, special=False)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_linear_systems(n, check):
    """Up to rounding that grows with the matrix's condition number, so that few units in the last place can't be asked for."""
    away = torch.eye(n, dtype=torch.float64) * 10
    check(lambda A, b: torch.linalg.solve_ex(A + away, b)[0], (n, n), (n,), ulps=4096, special=False)
    check(lambda A, b: torch.linalg.solve_ex(A + away.flip(0), b)[0], (n, n), (n, 2), ulps=4096, special=False)


def test_a_system_needs_the_largest_number_first(check):
    zero = torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    check(lambda A, b: torch.linalg.solve_ex(A * zero, b)[0], (3, 3), (3,), ulps=2**24, special=False)


@pytest.mark.parametrize(
    "solve",
    [
        lambda A, b: torch.linalg.solve_ex(A.expand(2, 2, 2), b.expand(2, 2, 2))[0],
        lambda A, b: torch.linalg.solve_ex(A, b[None], left=False)[0],
    ],
)
def test_other_systems_are_refused(solve, check):
    with pytest.raises(ValueError, match="solves A X = B for one square matrix A only"):
        check(solve, (2, 2), (2,))


def test_formulas_under_vmap(check):
    check(lambda a, b: vmap(lambda x, y: x / y.norm() + (x > 0).sum())(a, b), (2, 3), (2, 3), ulps=64, special=False)
