"""Sharded training on real processes: equal to one process, and as many bytes a rank as the formula says."""

import copy

import pytest
import torch
from torch import nn

from course_lib.formulas.training_costs import training_bytes
from course_lib.parallel import RankError, launch
from course_lib.parallel.sharding import train_sharded


def problem():
    """A network in float64 whose 8 and 16 rows 2 and 4 ranks divide, and 12 examples."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8)).double()
    return network, torch.randn(12, 6, dtype=torch.float64), torch.randn(12, 8, dtype=torch.float64)


@pytest.mark.parametrize("processes", [2, 4])
def trained_alone(network, x, y):
    """The weights after three steps of Adam on all examples, in this process."""
    network = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(x), y).backward()
        optimizer.step()
    return [p.detach() for p in network.parameters()]


@pytest.mark.parametrize("processes", [2, 4])
def test_sharded_training_equals_one_process_and_each_rank_holds_an_nth(processes):
    network, x, y = problem()
    count = sum(p.numel() for p in network.parameters())
    alone = trained_alone(network, x, y)
    for weights, held in launch(train_sharded, network, x, y, processes=processes, timeout=120.0, check=False):
        torch.testing.assert_close(weights, alone, rtol=1e-12, atol=1e-12)
        each = 8 * count // processes
        assert held == {"weights": each, "gradients": each, "states": 2 * each}
        assert sum(held.values()) == training_bytes(count, states=2, shards=processes, each=8)


def unsharded(network, x, y):
    return train_sharded(network, x, y, shard=False)


def test_without_sharding_the_weights_are_the_same_and_every_rank_holds_everything():
    network, x, y = problem()
    ranks = launch(unsharded, network, x, y, processes=2)
    count = sum(p.numel() for p in network.parameters())
    assert [sum(held.values()) for _, held in ranks] == [training_bytes(count, states=2, each=8)] * 2
    for weights, _ in ranks:
        torch.testing.assert_close(weights, trained_alone(network, x, y), rtol=1e-12, atol=1e-12)


def test_parts_of_unequal_length_are_refused():
    network, x, y = problem()
    with pytest.raises(RankError, match="11 examples cannot be cut into 2 equal parts: give a multiple of 2."):
        launch(unsharded, network, x[:11], y[:11], processes=2)
