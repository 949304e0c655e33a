"""SignalPropagation in Python: its limits, its numbers, and the script that is printed from it."""

import math

import pytest
import torch

from course_lib.formulas.activations import ACTIVATIONS
from course_lib.widgets import SignalPropagation
from course_lib.widgets.figures.signal_propagation import SCRIPT, STARTS, script


def test_the_script_is_what_python_prints():
    printed = "PYTHONPATH=. python course_lib/widgets/figures/signal_propagation.py"
    assert SCRIPT.read_text("utf8") == script(), f"The formulas have changed. Print them again: {printed}"


@pytest.mark.parametrize("initialization", STARTS)
def test_the_variance_is_that_of_the_weights(initialization):
    fig = SignalPropagation("linear", initialization, depth=2, gain=1.3)
    forward, _ = fig.measured
    # of x, whose mean square is 1 give or take, a layer of 64 makes 64 times the variance
    assert forward[0].item() == pytest.approx(64 * fig.weight_variance, rel=0.15)
    assert fig.predicted[0][0].item() == pytest.approx(64 * fig.weight_variance)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_is_measured_is_near_to_what_is_predicted(activation):
    fig = SignalPropagation(activation, "kaiming_normal", depth=4)
    for measured, predicted in zip(fig.measured, fig.predicted, strict=True):
        assert ((measured / predicted).log().abs() < 0.7).all()  # one draw of four layers of 64


def test_the_gain_is_the_initializations_own_where_none_is_given():
    assert SignalPropagation("relu", "kaiming_normal").gain == math.sqrt(2)
    assert SignalPropagation("relu", "xavier_normal").gain == 1.0
    assert SignalPropagation("relu", "kaiming_normal", gain=0.5).gain == 0.5


def test_deeper_networks_have_the_same_first_layers():
    shallow, deep = (SignalPropagation("tanh", depth=depth).signals for depth in (3, 6))
    for a, b in zip(shallow.post, deep.post):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"activation": "gelu"}, "activation must be one of linear, tanh"),
        ({"initialization": "he"}, "initialization must be one of normal, xavier_normal"),
        ({"width": 48}, "width must be one of 16, 32, 64, got 48"),
        ({"depth": 31}, "depth must be"),
        ({"gain": 0.0}, "gain must lie between 0.01 and 10"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_what_it_cannot_show_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        SignalPropagation(**settings)
    fig, ((name, value),) = SignalPropagation(), settings.items()
    with pytest.raises(ValueError, match=words):
        setattr(fig, name, value)
