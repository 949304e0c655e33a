"""The picture of backpropagation: what is written in it is what autograd computes, and each step back is one multiplication."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_lib.experiments.backward_plot import backward_graph, backward_plot
from course_lib.formulas.objective import squared_error, unit

CASES = [((0.5, 1.5), 2.0, 2.0), ((-0.3, 0.7), 1.2, -1.0)]


@pytest.mark.parametrize(("w", "x", "y"), CASES)
def test_its_gradients_are_those_of_the_model(w, x, y):
    values, gradients = backward_graph(w, x, y)
    one = torch.tensor([*w], dtype=torch.float64, requires_grad=True)
    loss = squared_error(unit(torch.tensor([x], dtype=torch.float64), one), torch.tensor([y], dtype=torch.float64))
    (expected,) = torch.autograd.grad(loss, one)
    assert values["J"] == pytest.approx(loss.item())
    assert [gradients["θ₀"], gradients["θ₁"]] == pytest.approx(expected.tolist())


@pytest.mark.parametrize(("w", "x", "y"), CASES)
def test_each_box_multiplies_by_what_stands_under_it(w, x, y):
    values, gradients = backward_graph(w, x, y)
    ax = backward_plot(w, x, y)
    written = [text.get_text().replace("−", "-") for text in ax.texts]
    factors = [float(text.split("\n= ")[1]) for text in written if "times" in text]
    back = [gradients[name] for name in ("J", "f", "h", "z", "θ₀")]  # on the way from the loss to the first weight
    steps = [back[1] / back[0], back[2] / back[1], back[3] / back[2], back[4] / back[3]]
    assert factors[::-1] == pytest.approx(steps, rel=0.01)  # as they are written, with three digits
    for name, value in values.items():
        assert f"{name} = {value:.3g}" in written
    for name in gradients.keys() - {"x", "y"}:
        assert f"{gradients[name]:.3g}" in written
    plt.close(ax.figure)
