"""A graph of layers over machines: whose states cross a boundary, once to each machine that needs them, and what that costs.

`connected` has the shape (nodes above, nodes below), True where there is an edge; `above` and `below` name each node's machine.
"""

import torch

# --- graphs and partitions


def fully_connected(nodes):
    """Every node has an edge from every node of the layer below: (nodes, nodes)."""
    return torch.ones(nodes, nodes) > 0


def locally_connected(side, reach):
    """Nodes on a square grid, with edges from all that are at most `reach` rows and columns away: (side², side²)."""
    place = torch.arange(side)
    near = (place[:, None] - place[None, :]).abs() <= reach  # (side, side)
    return (near[:, None, :, None] & near[None, :, None, :]).reshape(side * side, side * side)


def square_blocks(side, blocks):
    """The machine of each node of a square grid that is cut into blocks² squares: (side²,). `blocks` divides `side`."""
    row = torch.arange(side) // (side // blocks)
    return (row[:, None] * blocks + row[None, :]).reshape(side * side)


# --- counting


def crossing_edges(connected, above, below):
    """How many edges have their two ends on different machines."""
    return (connected & (above[:, None] != below[None, :])).sum()


def states_received(connected, above, below, machines):
    """How many states each machine gets from the others: (machines,).

    A state is sent once to a machine, however many of its nodes have an
    edge from it. Source: Dean et al. (2012), section 3; slide 62.
    """
    here = above[None, :] == torch.arange(machines)[:, None]  # (machines, nodes above)
    needed = (here[:, :, None] & connected[None]).any(1)  # (machines, nodes below)
    own = below[None, :] == torch.arange(machines)[:, None]
    return (needed & ~own).sum(1)


def received_if_full(nodes, machines):
    """The same for a full layer: all that a machine does not have itself."""
    return nodes - nodes / machines


def received_if_local(side, machines, reach):
    """The same for a local layer: a frame around a square block inside of the grid (machines >= 9)."""
    block = side / machines**0.5
    return (block + 2 * reach) ** 2 - block**2


# --- its price


def partitioned_speed_up(edges, machines, received, *, price):
    """How many times as fast so many machines are as one.

    An edge costs one operation, a received state as much as `price` of them; machines work and wait at the same time.
    Source: slide 63, made a formula.
    """
    return edges / (edges / machines + price * received)
