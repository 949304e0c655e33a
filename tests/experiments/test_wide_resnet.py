"""Wide residual networks: as large as the papers say, and their block is what its definition says."""

import pytest
import torch
from torch.nn.functional import batch_norm, conv2d, relu

from course_lib.experiments.wide_resnet import Block, WideResNet, wide_resnet


@pytest.mark.parametrize(
    ("name", "millions"),
    [("wrn-28-10", 36.5), ("wrn-28-20", 145.8), ("wrn-16-4", 2.7), ("wrn-40-4", 8.9), ("wrn-22-8", 17.2)],
)
def test_it_has_the_parameters_that_the_papers_count(name, millions):
    """Slide 42's table, and those of Zagoruyko and Komodakis (2016)."""
    with torch.device("meta"):  # shapes without numbers
        network = wide_resnet(name)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize(("channels", "wider", "stride"), [(4, 4, 1), (4, 6, 1), (4, 6, 2), (4, 4, 2)])
def test_a_block_is_its_definition(channels, wider, stride):
    torch.manual_seed(0)
    block, x = Block(channels, wider, stride), torch.randn(5, channels, 8, 8)
    norm = lambda z, layer: batch_norm(z, None, None, layer.weight, layer.bias, training=True)
    first = relu(norm(x, block.norm1))
    second = relu(norm(conv2d(first, block.conv1.weight, stride=stride, padding=1), block.norm2))
    changed = (channels, stride) != (wider, 1)
    shortcut = conv2d(first, block.shortcut.weight, stride=stride) if changed else x
    assert torch.equal(block(x), conv2d(second, block.conv2.weight, padding=1) + shortcut)
    assert changed or block.shortcut is None


def test_dropout_lies_between_the_convolutions():
    block = Block(4, 4, 1, dropout=1.0)
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(block(x), x), "what is dropped there leaves the shortcut alone"


def test_the_convolutions_begin_by_kaiming():
    network = wide_resnet("wrn-10-2", seed=1)
    for block in filter(lambda layer: isinstance(layer, Block), network):
        fan_in = block.conv2.weight[0].numel()
        assert block.conv2.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
    assert torch.equal(network[0].weight, wide_resnet("wrn-10-2", seed=1)[0].weight)
    assert not torch.equal(network[0].weight, wide_resnet("wrn-10-2", seed=2)[0].weight)


def test_shapes():
    network = wide_resnet("wrn-16-2", classes=7, channels=1)
    assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 7)
    assert [x.shape[1:] for x in _outputs(network, torch.zeros(1, 1, 32, 32))] == [
        (32, 32, 32), (32, 32, 32), (64, 16, 16), (64, 16, 16), (128, 8, 8), (128, 8, 8),
    ]  # fmt: skip


def _outputs(network, x):
    for layer in network:
        x = layer(x)
        if isinstance(layer, Block):
            yield x


@pytest.mark.parametrize("name", ["wrn-12-4", "wrn-4-1", "wrn-28-0"])
def test_a_depth_or_width_that_there_is_not_is_told(name):
    with pytest.raises(ValueError, match=f"depth must be 10, 16, 22, .*, got {name.removeprefix('wrn-')}"):
        wide_resnet(name)


def test_another_name_is_told():
    with pytest.raises(ValueError, match="got 'resnet-50'"):
        wide_resnet("resnet-50")
    assert isinstance(wide_resnet("wrn-10-1"), WideResNet)
