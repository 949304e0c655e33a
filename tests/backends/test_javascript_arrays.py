"""Formulas on arrays as JavaScript, in node's place a page: equal to PyTorch in double precision."""

import pytest
import torch

from course_lib.backends.javascript_arrays import of_arrays


def run(page, text, name, inputs, size):
    """The printed function on these inputs."""
    code = "\n".join(line.removeprefix("export ") for line in text.splitlines())
    arguments = [x.flatten().tolist() if x.dim() else x.item() for x in inputs]
    call = f"(given, size) => {{ {code}\n const found = {name}(...given, ...(size ? [new Float64Array(size)] : [])); return size ? [...found] : found; }}"
    return torch.tensor(
        page.evaluate(f"([given, size]) => ({call})(given, size)", [arguments, size]), dtype=torch.float64
    )


def draws(*shapes):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize(
    "formula, shapes, size",
    [
        (lambda x, W: x @ W.mT, {"x": (3,), "W": (4, 3)}, 4),
        (lambda g, W: g @ W, {"g": (4,), "W": (4, 3)}, 3),
        (lambda x, W: torch.tanh(x @ W.mT) * 2, {"x": (5, 3), "W": (4, 3)}, 20),
        (lambda x, a: (torch.tensor([1.0, 2.5], dtype=torch.float64) * (a * x) ** 2).sum(), {"x": (2,), "a": ()}, 0),
        (lambda new, sum: new + sum, {"new": (2, 2), "sum": (2,)}, 4),  # words that JavaScript and the loops use
    ],
)
def test_it_equals_pytorch(page, formula, shapes, size):
    inputs = draws(*shapes.values())
    found = run(page, of_arrays(formula, "f", **shapes), "f", inputs, size)
    torch.testing.assert_close(found, formula(*inputs).flatten() if size else formula(*inputs), rtol=1e-14, atol=1e-15)


def test_a_product_stays_a_loop():
    lengths = [len(of_arrays(lambda x, W: W @ x, "f", x=(n,), W=(n, n))) for n in (3, 9)]
    assert lengths[0] == lengths[1]  # of the same text, but for its sizes
