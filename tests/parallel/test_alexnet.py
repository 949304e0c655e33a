"""AlexNet in two columns: at full size counted, at small size trained on two processes as in one."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.parallel import launch
from course_lib.parallel.alexnet import alexnet, columns, layer_sizes, own_groups
from course_lib.parallel.traffic import Traffic

SMALL = {"filters": (4, 8, 12, 12, 8), "hidden": (16, 16), "side": 35, "first": (5, 1)}  # maps of 31, 15, 7 and 3
X = torch.randn(4, 3, 35, 35, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 3, 1, 2])


def small() -> nn.Sequential:
    torch.manual_seed(4)
    return alexnet(4, **SMALL).double()


def train(network: nn.Sequential, steps: int = 4):
    """Losses, outputs, and the parameters after the last step."""
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(network(X), Y)
        network.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in network.parameters():
                p -= 0.1 * p.grad
        losses.append(loss.item())
    return losses, network(X).detach(), [p.detach() for p in network.parameters()]


def on_two_ranks():
    """One rank's training at small size; the bytes that it sends in a step at full size; what cannot be split."""
    trained = train(columns(small()))
    with pytest.raises(ValueError, match="in 3 groups can't be shared by 2 ranks"):
        own_groups(nn.Conv2d(6, 6, 3, groups=3))
    with torch.device("meta"):
        whole = alexnet()
    column = columns(whole.to_empty(device="cpu"))  # no values: what is sent does not depend on them
    with Traffic() as traffic:
        column(torch.ones(1, 3, 227, 227)).sum().backward()
    return trained, traffic.bytes, sum(p.numel() for p in column.parameters())


@pytest.fixture(scope="module")
def ranks() -> list:
    return launch(on_two_ranks)


def test_two_columns_train_as_one_network(ranks):
    losses, output, parameters = train(copy.deepcopy(small()))
    for k, ((mine, y, parts), _, _) in enumerate(ranks):
        assert mine == pytest.approx(losses, rel=1e-11)  # rounding, carried through 4 steps
        torch.testing.assert_close(y, output, rtol=1e-10, atol=1e-11)
        for part, whole in zip(parts, parameters, strict=True):
            torch.testing.assert_close(part, whole.chunk(2)[k], rtol=1e-10, atol=1e-11)


def test_the_full_size_is_that_of_the_paper():
    rows = layer_sizes(alexnet())
    assert sum(row["parameters"] for row in rows) == 60_965_224  # "60 million parameters"
    maps = [row["outputs"] for row in rows[:5]]
    assert maps == [96 * 55**2, 256 * 27**2, 384 * 13**2, 384 * 13**2, 256 * 13**2]
    neurons = sum(row["outputs"] for row in rows)
    assert neurons == 290_400 + 186_624 + 64_896 + 64_896 + 43_264 + 4096 + 4096 + 1000  # as in its section 3.5
    assert [row["layer"] for row in rows if row["crosses"]] == ["conv3", "fc6", "fc7", "fc8"]


def test_a_column_holds_half_and_sends_what_crosses(ranks):
    rows = layer_sizes(alexnet())
    crossing = sum(row["inputs"] for row in rows if row["crosses"])
    for _, sent, held in ranks:
        assert held == sum(row["parameters"] for row in rows) / 2
        # forward each crossing's maps and the scores are gathered, backward the crossings' gradients are summed
        assert sent == 4 * (crossing * (1 + 2) + 1000) / 2
