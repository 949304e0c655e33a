"""GradientChain with a kernel: its gradients are autograd's, never above the bound, and settings outside the limits are named."""

import pytest
import torch
from torch.func import grad

from course_lib.widgets import GradientChain

FUNCTIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu}
SETTINGS = [{}, {"weight": 4.0, "bias": -2.0}, {"weight": 7.0, "bias": 3.0, "a": -0.4}, {"weight": 0.3, "depth": 40}]


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("settings", SETTINGS)
def test_the_derivative_is_autograds_and_within_the_bound(activation, settings):
    fig = GradientChain(activation, **settings)

    def chain(a):
        for _ in range(fig.depth):
            a = FUNCTIONS[activation](fig.weight * a + fig.bias)
        return a

    torch.testing.assert_close(
        fig.gradients[-1], grad(chain)(torch.tensor(fig.a).double()), rtol=1e-6, atol=0
    )  # 1 - tanh² cancels where tanh is flat
    assert fig.gradients[-1] <= fig.bound * (1 + 1e-12)
    assert len(fig.gradients) == fig.depth + 1 and fig.gradients[0] == 1


def test_the_bound_is_reached_where_the_slope_is_steepest_in_every_layer():
    fig = GradientChain("sigmoid", weight=4.0, bias=-2.0, a=0.5, depth=30)
    assert fig.gradients.tolist() == [1.0] * 31 and fig.bound == 1
    fig.weight, fig.bias = 8.0, -4.0
    assert fig.gradients[-1] == fig.bound == 2**30


def test_the_text_alternative_states_the_result():
    assert GradientChain().alt == (
        "A chain of 12 neurons, sigmoid, with the weight 1 and the bias 0, at the input 0.5: the output's derivative in the input is "
        "1.76e-08, and at most 5.96e-08."
    )


@pytest.mark.parametrize("settings, message", [
    ({"activation": "swish"}, "activation must be one of sigmoid, tanh, ReLU, got 'swish'."),
    ({"weight": 0.1}, "weight must lie between 0.25 and 16, got 0.1."),
    ({"bias": 9.0}, "bias must lie between -8 and 8, got 9."), ({"a": 2.0}, "a must lie between -1 and 1, got 2."),
    ({"depth": 41}, "depth must be"),
])  # fmt: skip
def test_a_setting_outside_the_limits_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        GradientChain(**settings)
