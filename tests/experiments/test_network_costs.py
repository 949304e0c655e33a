"""What networks cost: counted as PyTorch counts, on no device as on a real one."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_lib.experiments.network_costs import CARDS, STAGES, count, known, resnet

PARAMETERS = {"ResNet-50": 25_557_032, "ResNet-101": 44_549_160, "ResNet-152": 60_192_808}  # torchvision's
PAPER = {
    "ResNet-50": 3.8e9,
    "ResNet-101": 7.6e9,
    "ResNet-152": 11.3e9,
}  # He et al. (2015), table 1: products and sums as one


@pytest.mark.parametrize("name", STAGES)
def test_resnets_as_the_paper_and_torchvision_have_them(name):
    costs = known(name)
    assert costs.parameters == PARAMETERS[name]
    assert costs.forward / 2 == pytest.approx(PAPER[name], rel=0.09)  # the stride in the 3x3 convolution costs more


def test_the_operations_are_those_that_pytorch_counts():
    with torch.device("meta"):
        network = resnet(STAGES["ResNet-50"])
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, 224, 224))
    assert known("ResNet-50").forward == counter.get_total_flops()


def test_a_real_network_keeps_what_the_meta_one_does():
    real = resnet((1, 1))
    with torch.device("meta"):
        imagined = resnet((1, 1))
    assert count(real, (3, 32, 32)) == count(imagined, (3, 32, 32))


def test_activations_grow_with_the_batch_and_weights_do_not():
    with torch.device("meta"):
        network = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
    one, eight = (count(network, (100,), batch=batch) for batch in (1, 8))
    assert one.activations == 4 * (100 + 50) and eight.activations == 8 * one.activations  # x, and what ReLU gave
    assert one.parameters == eight.parameters == 5560
    assert eight.forward == 8 * one.forward == 8 * 2 * (5000 + 500)


def test_cards_have_the_memory_of_slide_52():
    gib = {name: card.memory / 2**30 for name, card in CARDS.items()}
    slide = {"GeForce GTX 670": 2, "TITAN": 6, "TITAN X": 12, "Tesla K40": 12, "Tesla P100": 16, "Tesla V100": 32}
    assert {name: gib[name] for name in slide} == slide


def test_an_unknown_network():
    with pytest.raises(ValueError, match="There is no network `LeNet`. There are: ResNet-50"):
        known("LeNet")
