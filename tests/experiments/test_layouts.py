"""Slide 61 modeled: the table is reproduced, rows left out are predicted, and the layers are those of the real networks."""

import pytest
import torch
from torch import nn

from course_lib.experiments import layouts
from course_lib.experiments.layer_costs import NETWORKS, parameters
from course_lib.experiments.layouts import (
    SLIDE_61,
    days,
    days_by_part,
    fit,
    group_shape,
    leave_one_out,
    possible_counts,
    slide_61_constants,
)
from course_lib.experiments.network_costs import known
from course_lib.parallel.alexnet import alexnet, layer_sizes


def test_one_set_of_constants_gives_all_five_rows_within_ten_percent():
    constants = slide_61_constants()
    errors = [days(constants, row.groups, row.members) / row.days - 1 for row in SLIDE_61]
    assert errors[:3] == pytest.approx([0, 0, 0], abs=1e-12)  # those that the constants are taken from
    assert all(0.04 < error < 0.10 for error in errors[3:])  # predicted


def test_each_row_is_predicted_by_the_four_others():
    predicted = leave_one_out()
    assert [*predicted] == [*SLIDE_61]
    assert all(abs(value / row.days - 1) < 0.06 for row, value in predicted.items())


def test_the_constants_are_those_of_the_equations():
    constants = slide_61_constants()
    assert constants.compute == pytest.approx(10.5)
    assert 2 * constants.gradients == pytest.approx(7 - 10.5 / 2)
    assert 2 * constants.maps == pytest.approx(6.6 - 10.5 / 2)
    assert constants.bandwidth * (constants.gradients * 86400 / 500500) == pytest.approx(4 * parameters("AlexNet"))


def test_the_maps_that_were_fitted_lie_between_one_crossing_and_all():
    """A check of the model by numbers that it was not fitted to: AlexNet's own."""
    numbers = slide_61_constants().map_bytes / layouts.BATCH / 4
    inputs = {row["layer"]: row["inputs"] for row in layer_sizes(alexnet())}
    fewest = sum(inputs[layer] for layer in ("conv3", "fc6", "fc7", "fc8"))
    most = sum(inputs.values()) - inputs["conv1"]
    assert fewest < numbers < most


@pytest.mark.parametrize("topology", layouts.TOPOLOGIES)
@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_every_possible_count_is_modeled_and_no_other(layout, topology):
    for n in range(1, 9):
        if n not in possible_counts(layout):
            with pytest.raises(ValueError, match=f"n must be .*got {n}."):
                group_shape(layout, n)
            continue
        groups, members = group_shape(layout, n)
        assert groups * members == n
        parts = days_by_part(slide_61_constants(), groups, members, topology)
        assert parts[0] == pytest.approx(10.5 / n) and min(parts) >= 0


@pytest.mark.parametrize(
    ("layout", "n", "words"),
    [
        ("tensor", 2, "parallelism must be one of data, model, hybrid, got 'tensor'"),
        ("data", 0, "n must be a whole number from 1 to 8, got 0"),
        ("data", 2.5, "n must be a whole number from 1 to 8, got 2.5"),
        ("data", 9, "n must be a whole number from 1 to 8, got 9"),
        ("model", 6, "n must be 1, 2, 4 or 8, got 6"),
        ("hybrid", 2, "has at least two pairs: n must be 4, 6 or 8, got 2"),
    ],
)
def test_what_a_layout_cannot_have(layout, n, words):
    with pytest.raises(ValueError) as refused:
        group_shape(layout, n)
    assert words in str(refused.value)


@pytest.mark.parametrize("rows", [[0, 1], [0, 2, 3], [0, 0, 1]])
def test_too_few_rows_are_refused(rows):
    with pytest.raises(ValueError, match="do not decide three constants"):
        fit(SLIDE_61[k] for k in rows)


# Networks


def test_alexnets_layers_are_pytorchs():
    with torch.device("meta"):
        modules = {
            "conv1": nn.Conv2d(3, 96, 11), "conv2": nn.Conv2d(96, 256, 5, groups=2), "conv3": nn.Conv2d(256, 384, 3),
            "conv4": nn.Conv2d(384, 384, 3, groups=2), "conv5": nn.Conv2d(384, 256, 3, groups=2),
            "fc6": nn.Linear(9216, 4096), "fc7": nn.Linear(4096, 4096), "fc8": nn.Linear(4096, 1000),
        }  # fmt: skip
    assert {name: sum(p.numel() for p in m.parameters()) for name, m in modules.items()} == {
        layer.name: layer.parameters for layer in NETWORKS["AlexNet"]
    }


def test_the_networks_are_as_large_as_published():
    assert parameters("ResNet-50") == 25_557_032  # torchvision's
    assert parameters("GPT-2 small") == 124_439_808  # the published checkpoint's


def test_the_blocks_of_a_resnet_are_those_that_are_counted_on_modules():
    counted = known("ResNet-50")
    assert parameters("ResNet-50") == counted.parameters
    assert 2 * sum(layer.multiplications for layer in NETWORKS["ResNet-50"]) == counted.forward


def test_a_transformer_block_has_as_many_parameters_as_pytorchs():
    with torch.device("meta"):
        block = nn.TransformerEncoderLayer(768, 12, 4 * 768)
    assert sum(p.numel() for p in block.parameters()) == NETWORKS["GPT-2 small"][1].parameters


def test_alexnet_is_the_one_that_two_ranks_train():
    rows = layer_sizes(alexnet())
    assert [(layer.name, layer.parameters) for layer in NETWORKS["AlexNet"]] == [
        (row["layer"], row["parameters"]) for row in rows
    ]


def test_an_unknown_name():
    with pytest.raises(ValueError, match="There is no network `LeNet`. There are: AlexNet, ResNet-50, GPT-2 small."):
        parameters("LeNet")
