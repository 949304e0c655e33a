"""Fans and gains against PyTorch, and modules whose layers are drawn anew."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import init

from course_lib.experiments.initialize import fans, gain, initialize
from course_lib.formulas.initialization import INITIALIZATIONS

# Fans


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_fans_are_those_of_pytorch(shape):
    assert fans(shape) == fans(torch.empty(shape)) == init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize(
    "layer, expected",
    [
        (nn.Linear(3, 5), (3, 5)),
        (nn.Conv2d(3, 5, 3), (27, 45)),
        (nn.Conv3d(2, 4, 3), (54, 108)),
        (nn.Conv2d(8, 8, 3, groups=8), (9, 72)),
    ],
)
def test_fans_of_layers(layer, expected):
    assert fans(layer.weight) == expected


def test_what_a_fan_in_counts_by_what_an_output_adds_up():
    for layer, transposed in ((nn.Conv2d(3, 5, 3), False), (nn.ConvTranspose2d(3, 5, 3), True)):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
        center = layer(torch.ones(1, 3, 9, 9))[0, 0, 4, 4].item()  # a stride of 1, far from the border
        assert fans(layer.weight, transposed=transposed)[0] == center


@pytest.mark.parametrize(
    "shape, words", [((5,), "shape (5,)"), ((), "shape ()"), ((3, 0), "from 1"), ((3, 2.5), "whole number")]
)
def test_a_shape_without_fans_is_refused_in_a_sentence(shape, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)")):
        fans(shape)


# Gains


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "selu"])
def test_gains_are_those_of_pytorch(name):
    assert gain(name) == pytest.approx(init.calculate_gain(name))


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.2, 1.0, math.sqrt(5)])
def test_the_gain_of_a_leaky_slope(slope):
    assert gain("leaky_relu", slope) == pytest.approx(init.calculate_gain("leaky_relu", slope))


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="linear, sigmoid, tanh, relu, selu, leaky_relu, got 'gelu'"):
        gain("gelu")


# Modules


def network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ConvTranspose2d(4, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(512, 10)
    )


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_every_layer_of_a_module_is_drawn(name):
    made = initialize(network(), name, seed=3)
    again = initialize(network(), name, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(made.state_dict().values(), again.state_dict().values()))
    assert all((layer.bias == 0).all() for layer in made if isinstance(layer, (nn.Linear, nn.Conv2d)))
    assert (made[2].weight == 1).all()  # a normalization keeps its scales


def test_settings_and_the_transposed_fans_arrive():
    made = initialize(network(), "kaiming_normal", gain=1.0)
    for k, fan_in in ((0, 9), (1, 36), (4, 512)):
        w = made[k].weight
        assert w.square().mean().item() == pytest.approx(1 / fan_in, rel=5 * math.sqrt(2 / w.numel()))


def test_the_global_random_state_stays_as_it_was():
    before = torch.get_rng_state()
    module = network()
    between = torch.get_rng_state()
    initialize(module, "xavier_normal")
    assert torch.equal(torch.get_rng_state(), between) and not torch.equal(before, between)


def test_what_cannot_be_initialized_is_refused():
    with pytest.raises(ValueError, match="no initialization 'he'. There are: constant, normal"):
        initialize(network(), "he")
    with pytest.raises(ValueError, match="ReLU has no linear layer"):
        initialize(nn.ReLU(), "normal")
    with pytest.raises(TypeError, match="std"):
        initialize(network(), "normal", std=1.0)
