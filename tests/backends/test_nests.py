"""Nests of loops compute what PyTorch computes, for every shape; how many there are does not depend on the shape."""

import doctest
import re
import sys

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.func import grad

from course_lib.backends.trace_nests import trace_nests, trace_nests_of_any_size

SIZE = st.integers(1, 4)


def shapes(m, k, n):
    return {"A": (m, k), "B": (k, n), "C": (m, k), "T": (m, k, n), "x": (k,), "z": (m,), "s": ()}


def draws(inputs, seed=7):
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draw, dtype=torch.float64) for name, shape in inputs.items()}


def check(function, inputs):
    """Trace function(A=…, …) -> tensor, or several by name, and compare it with PyTorch on other numbers."""

    def by_name(given):
        found = function(**given)
        return found if isinstance(found, dict) else {"y": found}

    found, values = trace_nests(by_name, inputs), draws(inputs)
    got, want = found(**{k: x.numpy() for k, x in values.items()}), by_name(values)
    assert list(got) == list(want) == list(found.outputs)
    for name, x in want.items():
        assert got[name].shape == tuple(x.shape)
        np.testing.assert_allclose(got[name], x.to(torch.float64).numpy(), rtol=1e-12, atol=1e-13)
    return found


FORMULAS = {
    "matrix by matrix": lambda A, B, **_: A @ B,
    "matrix by vector": lambda A, x, **_: A @ x,
    "vector by matrix": lambda A, z, **_: z @ A,
    "vector by vector": lambda x, **_: x @ x,
    "product of products": lambda A, B, x, z, **_: (z @ A) * (x @ B).sum() + A.mT @ (A @ x),
    "transposes": lambda A, C, **_: A.mT @ C + (C.T @ A).mT,
    "other transposes": lambda T, **_: T.transpose(0, 1).transpose(-1, 0) * T.permute(2, -3, 1),
    "sum": lambda A, **_: A.sum(),
    "sum of rows": lambda A, **_: A.sum(1),
    "sum of columns, kept": lambda A, **_: A - A.sum(0, keepdim=True),
    "sum over two of three": lambda T, **_: T.sum((2, 0)),
    "sum over two of three, kept": lambda T, **_: T * T.sum((-1, 0), keepdim=True),
    "sum of a transpose": lambda T, **_: T.transpose(0, 2).sum((0, 1)),
    "mean": lambda T, **_: T.mean(),
    "mean of rows": lambda A, **_: A - A.mean(-1, keepdim=True),
    "mean of a number": lambda s, **_: s.mean() + s.sum(),
    "sums of sums": lambda T, **_: (T.sum(2).square().mean(1) * 3).sum(),
    "broadcasting": lambda A, x, z, s, **_: A * x + z[:, None] / (2 + s.square()) - s,
    "a new last dimension": lambda A, T, **_: A[..., None] + T,
    "outer product": lambda x, z, **_: z[:, None] * x[None, :],
    "repeated": lambda x, s, **_: x.expand(3, len(x)) + s.expand(3, 1),
    "reshaped": lambda T, **_: T.reshape(T.shape[0], -1) + 1,
    "a transpose, reshaped": lambda T, **_: T.transpose(0, 1).reshape(-1, T.shape[0]),
    "a repeated one, flattened": lambda x, **_: x.expand(2, len(x)).flatten() * 2,
    "dimensions of size 1": lambda x, **_: x.unsqueeze(0).unsqueeze(-1).squeeze(0) + 1,
    "choices": lambda A, C, **_: torch.where(A > C, A, -2 * C).relu(),
    "true and false as numbers": lambda A, **_: (A > 0).sum() + (A > 1).sum(1) * A.mean(),
    "conditions": lambda A, C, **_: torch.where((A > 0) & ~(C > 0) | (A < -1), A, 2 * C),
    "numbers as conditions": lambda A, C, **_: torch.logical_and(A, C) * A + torch.logical_not(A),
    "element by element": lambda A, C, **_: (A.tanh() + C.exp()).sigmoid() * A.sin() - (1 + C.square()).log() + A**3,
    "limits": lambda A, C, **_: torch.maximum(A, C).clamp(-0.5, 0.5) + A.abs().rsqrt(),
    "nothing of the inputs": lambda A, **_: torch.ones_like(A) * 3 + torch.zeros_like(A),
    "an input": lambda A, **_: A,
    "a number": lambda s, **_: s,
    "largest": lambda A, T, **_: A.amax(1) + T.amax((0, 2), keepdim=True).sum(),
    "log of a sum of exponentials": lambda A, T, **_: A.logsumexp(1) + (100 * T).logsumexp((-1, 0)).sum(),
    "length": lambda A, x, **_: A.norm() * torch.linalg.vector_norm(A, dim=1) + x.norm(),
    "made on the way": lambda A, **_: A * torch.arange(A.shape[1]) + torch.full((A.shape[0], 1), 3.0),
    "types": lambda A, **_: A.long() + (A > 0).double() + A.to(torch.int32).double(),
    "limited on one side": lambda A, **_: A.clamp(max=0.2) + A.clamp(min=-0.2),
    "written in place": lambda A, **_: A.mul_(2).add_(1).clone().tanh_(),
}
LOSSES = {
    "mean square of tanh": lambda A, C, x, z, **_: ((A @ x).tanh() - z).square().mean(),
    "relu": lambda A, B, **_: (A @ B).relu().pow(2).sum(),
    "log of a sum of exponentials": lambda A, x, z, **_: (A @ x).exp().sum().log() - z @ (A @ x),
    "softmax by hand": lambda A, C, **_: ((A.exp() / A.exp().sum(1, keepdim=True)) * C).mean(),
    "two uses": lambda A, C, **_: (A.mT @ A).square().sum() + (A * C).sigmoid().mean(0).sum(),
    "reshaped and repeated": lambda A, T, **_: (A[..., None] * T).reshape(-1).square().mean(),
    "log of a softmax": lambda A, C, **_: (A.logsumexp(1) - (A * C).sum(1)).mean(),
    "choice": lambda A, C, s, **_: torch.where(A > 0, A * s, C - A).abs().mean(),
}
FORMULAS |= {
    f"gradient: {name}": lambda loss=loss, **given: grad(lambda A: loss(**given | {"A": A}))(given["A"])
    for name, loss in LOSSES.items()
}


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@settings(max_examples=3, deadline=None, derandomize=True)
@given(m=SIZE, k=SIZE, n=SIZE)
@example(m=1, k=1, n=1)
def test_nests_equal_pytorch(formula, m, k, n):
    check(formula, shapes(m, k, n))


# What is looked up

ROWS, COLUMNS = torch.tensor([[2, 0], [1, 1], [0, 2], [2, 2]]), torch.tensor([[3], [0], [1], [1]])
LOOKED_UP = {
    "rows": lambda T, rows, **_: T[rows],
    "the middle": lambda T, rows, **_: T[:, rows],
    "two neighbors": lambda T, rows, columns, **_: T[rows, columns],
    "two that are none": lambda T, rows, columns, **_: T[rows, :, columns % 2],
    "all three": lambda T, rows, columns, **_: T[rows, columns, rows % 2],
    "with a row of whole numbers": lambda T, columns, **_: T[torch.arange(3), columns],
    "of what is computed": lambda T, rows, **_: (T.tanh() + 1)[rows].sum(1),
    "by what is computed": lambda T, rows, **_: T[(rows - 1).clamp(min=0)] * 2,
    "one after the other": lambda T, rows, **_: T[rows[rows]],
}


@pytest.mark.parametrize("formula", LOOKED_UP.values(), ids=LOOKED_UP)
def test_numbers_are_looked_up_as_pytorch_does(formula):
    inputs = {"T": (3, 4, 2), "rows": ROWS, "columns": COLUMNS}
    nests = trace_nests(lambda given: {"y": formula(**given)}, inputs)
    values = draws({"T": (3, 4, 2)}) | {"rows": ROWS.flip(0), "columns": COLUMNS.flip(0)}
    want = formula(**values)
    np.testing.assert_allclose(nests(**{k: x.numpy() for k, x in values.items()})["y"], want.numpy(), rtol=1e-12)


def test_a_lookup_is_written_as_such():
    rows = torch.tensor([0, 2])
    nests = trace_nests(lambda a: {"y": a["A"][a["rows"]]}, {"A": (3, 4), "rows": rows})
    assert str(nests.nests[0]) == "index[i0 < 2, i1 < 4] = A[4 rows[i0] + i1]"
    counted = trace_nests(
        lambda a: {"y": a["A"][torch.arange(3), a["columns"]]}, {"A": (3, 4), "columns": torch.tensor([1, 3, 0])}
    )
    assert str(counted.nests[0]) == "index[i0 < 3] = A[4 i0 + columns[i0]]" and not counted.constants


# A first dimension of any size


def batch(n):
    return {"W": (3, 4), "x": (n, 4), "y": torch.arange(n) % 3}


def mean_over_the_batch(a):
    z = (a["x"] @ a["W"].T).tanh()
    return {"loss": (z.logsumexp(1) - torch.where(a["y"][:, None] == torch.arange(3), z, 0).sum(1)).sum() / a["n"]}


def test_nests_of_any_size_end_at_a_number_of_the_size_s_name():
    nests = trace_nests_of_any_size(mean_over_the_batch, batch, "n", 20)
    assert str(nests.nests[0]) == "mm[i0 < n, i1 < 3] = Σ over j0 < 4 of (x[4 i0 + j0] * W[4 i1 + j0])"
    assert {str(n) for shape in nests.made.values() for n in shape} == {"n", "3"}


@pytest.mark.parametrize(
    "function",
    [
        lambda a: {"z": (a["x"] @ a["W"].T).mean()},
        lambda a: {"z": a["x"].T.reshape(-1)[a["y"]].sum()},
        lambda a: {"z": a["x"] * torch.arange(len(a["x"]))[:, None]},
    ],
    ids=["a mean divides by the size", "a stride", "a row of whole numbers"],
)
def test_what_depends_on_the_size_otherwise_is_refused(function):
    with pytest.raises(ValueError, match="let n be the first dimension, and divide a sum by it|has no form"):
        trace_nests_of_any_size(function, batch, "n", 20)


# What is written


def hidden_layer(A, B, **_):
    return grad(lambda A: (A @ B).tanh().square().mean())(A)


def test_what_stands_in_the_docstring():
    found = doctest.testmod(sys.modules[trace_nests.__module__])
    assert (found.failed, found.attempted) == (0, 2)


def test_the_number_of_nests_and_lines_does_not_depend_on_the_width():
    narrow, wide = (trace_nests(lambda a: {"y": hidden_layer(**a)}, {"A": (n, n), "B": (n, n)}) for n in (2, 16))
    assert [(n.target, len(n.lines)) for n in narrow.nests] == [(n.target, len(n.lines)) for n in wide.nests]
    assert len(str(narrow).splitlines()) < 10


def test_what_is_read_twice_is_computed_once():
    found = check(
        lambda A, x, **_: {"y": (A @ x).tanh() + (A @ x).tanh().exp(), "total": (A @ x).sum()}, shapes(3, 2, 1)
    )
    assert [n.target for n in found.nests] == ["mv", "tanh", "exp", "sum", "y", "total"]


def test_what_leads_to_no_result_is_left_out():
    def formula(x, **_):
        x.exp().sum()
        return x * 2

    assert len(check(formula, shapes(2, 2, 2)).nests) == 1


def test_constants_are_captured_once():
    fixed, other, number = (
        torch.arange(6.0, dtype=torch.float64).reshape(3, 2),
        torch.tensor([2, 3]),
        torch.tensor(0.5, dtype=torch.float64),
    )
    found = check(
        lambda A, **_: (A @ fixed.T) * number + (A * other) @ fixed.T.clone() + torch.tensor(2.0), {"A": (4, 2)}
    )
    assert sorted(str(x.tolist()) for x in found.constants.values()) == sorted(
        map(str, (fixed.tolist(), other.tolist()))
    )


def test_two_equal_results_and_results_of_each_other():
    both = check(lambda x, z, **_: {"a": x.tanh(), "b": x.tanh(), "c": x, "d": x.tanh() @ x}, shapes(2, 3, 1))
    assert both.made == {"tanh": (3,), "dot": (), "a": (3,), "b": (3,), "c": (3,), "d": ()}


NAMES = ["mm", "tanh", "sum", "data", "copy", "i0", "j0", "n0", "new"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_an_input_and_of_a_result(name):
    fixed = torch.ones(2, 2, dtype=torch.float64)

    def formula(B, **given):
        return {
            "x" + name: (given.get(name, B) @ B @ fixed).tanh().mT.reshape(-1).sum(),
            "tanh1": B.tanh(),
            "mm1": B @ B,
        } | ({} if name in given else {name: B})

    check(formula, {name: (2, 2), "B": (2, 2)})
    check(formula, {"B": (2, 2)})


# Refusals


def branches(A, **_):
    return A if A.sum() > 0 else -A


REFUSED = {
    "an if on a value": (
        branches,
        "The formula can't be traced: .* Choose between values with torch.where; take no number out of a tensor.",
    ),
    "a number taken out": (
        lambda A, **_: A * A.sum().item(),
        "The formula can't be traced: .* take no number out of a tensor.",
    ),
    "a cumulative sum": (
        lambda A, **_: A.cumsum(0),
        "The operator aten.cumsum.default has no form as a nest of loops. Use another one, or add it to",
    ),
    "random numbers": (
        lambda A, **_: A + torch.randn_like(A),
        "The operator aten.randn_like.default has no form as a nest of loops.",
    ),
    "a batched product": (
        lambda T, **_: T @ T.mT,
        "The product bmm has no form as a nest of loops. Write it with matrices and vectors.",
    ),
    "a name with two meanings": (
        lambda A, x, **_: {"x": A @ x},
        "`x` is the name of an input and of a result: rename one of them.",
    ),
    "numbers from outside of PyTorch": (
        lambda A, **_: A * next(COUNT),
        "As nests of loops `y` is .*, but PyTorch gives .*: the formula leaves PyTorch somewhere.",
    ),
    "a view that changes with another one": (
        lambda A, **_: (A.t().mul_(2), A)[1] * 1,
        "the formula leaves PyTorch somewhere",
    ),
}
COUNT = iter(range(1, 100))


@pytest.mark.parametrize("formula, message", REFUSED.values(), ids=REFUSED)
def test_what_has_no_form_is_named(formula, message):
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        check(formula, shapes(2, 3, 2))


def test_nothing_to_loop_over_is_named():
    with pytest.raises(ValueError, match=re.escape("`A` has the shape (3, 0): there is nothing to loop over.")):
        check(lambda A: A.sum(1), {"A": (3, 0)})
