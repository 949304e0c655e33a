"""What can't be traced is an error that names the operator and the line of the formula, never a wrong program."""

import inspect
import random
import re

import numpy as np
import pytest
import torch

from course_lib.backends.trace import trace


def waits(x):
    while x.sum() > 0:  # this line
        x = x - 1
    return x


def numbers(x):
    return x * float(x[0])  # this line


def random_numbers(x):
    return x + torch.randn(3)  # this line


def random_like(x):
    return x + torch.rand_like(x)  # this line


def drops_out(x):
    return torch.nn.functional.dropout(x)  # this line


def in_place(x):
    x *= 2  # this line
    return x


def in_place_by_method(x):
    return x.clamp_(0, 1)  # this line


def in_place_by_a_view(x):
    x[0] = 1.0  # this line
    return x


def in_place_by_data(x):
    x.data.mul_(2)  # this line
    return x


def out(x):
    y = torch.zeros_like(x)
    return torch.add(x, x, out=y)  # this line


def sorts(x):
    return x.sort().values  # this line


def argmax(x):
    return x * x.argmax()  # this line


def both_of_max(x):
    return x.max(dim=0).values  # this line


def cumulates(x):
    y = 2 * x
    return torch.logcumsumexp(y, 0)  # this line


def bits(x):
    return x.view(torch.int64)  # this line


def bits_of_whole_numbers(x):
    return x.long() & 1  # this line


def single(x):
    return x.float() * 2  # this line


def single_by_assignment(x):
    y = torch.zeros(3)
    y[0] = x[0]  # this line
    return y


def single_by_promotion(x):
    return torch.ones(3) * x[0]  # this line


def index(x):
    return x[x.long()]  # this line


def mask(x):
    return x[x > 0]  # this line


def compares(x):
    return x if torch.equal(x, x + 1) else -x  # this line


def of_many(x):
    y = [x * 2, x * 3]
    torch._foreach_mul_(y, 2.0)  # this line
    return y[0]


def becomes_complex(x):
    return torch.complex(x, x).real  # this line


UNTRACEABLE = [
    (waits, "more than 6 questions", "choose between values with torch.where"),
    (numbers, "`float(x)`", "turns a tensor into a Python number"),
    (random_numbers, "`randn`", "random numbers"),
    (random_like, "`rand_like`", "random numbers"),
    (drops_out, "aten", "random numbers"),
    (in_place, "aten.mul_", "Write `m = beta * m`"),
    (in_place_by_method, "aten.clamp_", "changes an argument in place"),
    (in_place_by_a_view, "aten", "changes an argument in place"),
    (in_place_by_data, "aten.mul_", "changes an argument in place"),
    (out, "aten.add.out", "f(y, out=x)"),
    (sorts, "aten.sort", "has no lowering"),
    (argmax, "aten.argmax", "has no lowering"),
    (both_of_max, "aten.max.dim", "has no lowering"),
    (cumulates, "aten.logcumsumexp", "add it to course_lib/backends/elementwise.py"),
    (bits, "aten.view.dtype", "reads the bits"),
    (bits_of_whole_numbers, "aten.bitwise_and", "works on the bits"),
    (single, "aten._to_copy", "one precision"),
    (single_by_assignment, "aten.copy_", "one precision"),
    (single_by_promotion, "aten.mul", "one precision"),
    (index, "aten.index", "an index that depends on a value"),
    (mask, "aten.index", "an index that depends on a value"),
    (compares, "`torch.equal`", "torch.where"),
    (of_many, "aten._foreach_mul_", "has no lowering"),
    (becomes_complex, "aten.complex", "one precision"),
]


@pytest.mark.parametrize("f, operator, remedy", UNTRACEABLE, ids=[f.__name__ for f, *_ in UNTRACEABLE])
def test_what_cannot_be_traced_names_the_operator_and_the_line(f, operator, remedy):
    lines, first = inspect.getsourcelines(f)
    line = first + next(k for k, text in enumerate(lines) if "# this line" in text)
    with pytest.raises(ValueError) as error:
        trace(lambda x: {"y": f(x["x"])}, {"x": (3,)}, name="f")
    assert re.search(rf"{f.__name__}, .*test_untraceable\.py:{line}: .*", str(error.value))
    assert operator in str(error.value) and remedy in str(error.value)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * float(np.abs(x.numpy()).sum()),
        lambda x: torch.from_numpy(np.exp(x.numpy())),
        lambda x: x * random.random(),
        lambda x: torch.tensor(x.tolist()) * 2,
        lambda x: x * np.random.rand(),
    ],
)
def test_a_way_round_pytorch_is_noticed(f):
    with pytest.raises(
        ValueError,
        match="turns a tensor into a Python number|The formula leaves PyTorch somewhere|draws random numbers",
    ):
        trace(lambda x: {"y": f(x["x"])}, {"x": (3,)}, name="f")


def test_a_value_kept_from_the_first_call_is_noticed():
    kept = []

    def remembers(x):
        kept.append(x["x"])
        return {"y": x["x"] * kept[0]}

    with pytest.raises(ValueError, match=r"traced at one point and computed at another, `y` is .*, but PyTorch gives"):
        trace(remembers, {"x": ()})
