"""Partitions of a graph: counted in plain loops over edges, and the closed forms against the counts."""

import pytest
import torch

from course_lib.formulas.partition import (
    crossing_edges,
    fully_connected,
    locally_connected,
    partitioned_speed_up,
    received_if_full,
    received_if_local,
    square_blocks,
    states_received,
)


def counted(connected, above, below, machines):
    """Edges that cross, and states that each machine gets, by loops and sets."""
    edges, got = 0, [set() for _ in range(machines)]
    for i, row in enumerate(connected.tolist()):
        for j, edge in enumerate(row):
            if edge and above[i] != below[j]:
                edges += 1
                got[above[i]].add(j)
    return edges, [*map(len, got)]


@pytest.mark.parametrize("seed", range(6))
def test_any_graph_is_counted_as_by_hand(seed):
    generator = torch.Generator().manual_seed(seed)
    connected = torch.rand(17, 23, generator=generator) < 0.2
    above, below = (torch.randint(0, 4, (n,), generator=generator) for n in (17, 23))
    edges, states = counted(connected, above.tolist(), below.tolist(), 4)
    assert crossing_edges(connected, above, below) == edges
    assert states_received(connected, above, below, 4).tolist() == states


@pytest.mark.parametrize("reach", [0, 1, 2])
def test_a_local_layer_has_the_edges_of_a_convolution(reach):
    """A 'same' convolution with a kernel of ones reaches from each node exactly those that are connected to it."""
    side = 7
    ones = torch.ones(1, 1, 2 * reach + 1, 2 * reach + 1)
    images = torch.eye(side**2).reshape(side**2, 1, side, side)
    reached = torch.nn.functional.conv2d(images, ones, padding=reach).reshape(side**2, side**2)
    assert torch.equal(locally_connected(side, reach), reached > 0)


@pytest.mark.parametrize("blocks", [1, 2, 3, 6])
def test_closed_forms_are_the_counts(blocks):
    side, machines = 18, blocks**2
    where = square_blocks(side, blocks)
    full = states_received(fully_connected(side**2), where, where, machines)
    assert full.tolist() == [received_if_full(side**2, machines)] * machines
    for reach in (1, 2):
        local = states_received(locally_connected(side, reach), where, where, machines)
        inside = blocks > 2  # else every block has a side on the edge of the grid, and gets less
        frame = received_if_local(side, machines, reach)
        assert (local.max().item() == frame) if inside else (local.max().item() < frame)


def test_one_machine_sends_nothing():
    where = square_blocks(6, 1)
    for graph in (fully_connected(36), locally_connected(6, 1)):
        assert crossing_edges(graph, where, where) == 0
        assert states_received(graph, where, where, 1).tolist() == [0]


def test_the_speed_up_of_a_full_layer_saturates_and_that_of_a_local_one_goes_on():
    machines = torch.tensor([1.0, 4.0, 16.0, 64.0, 256.0, 4096.0], dtype=torch.float64)
    full = partitioned_speed_up(1024.0**2, machines, received_if_full(1024.0, machines), price=50)
    assert full[0] == 1 and full[-1] < 1024 / 50
    local = partitioned_speed_up(200.0**2 * 25, machines, received_if_local(200.0, machines, 2), price=50)
    assert (local[2:] > full[2:]).all() and (local.diff() > 0).all()
