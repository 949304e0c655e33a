"""Data and model parallelism at once: a mesh of ranks, each row holds one split network, all rows share the batch."""

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.nn import functional as F

from course_lib.parallel.data_parallel import average_gradients
from course_lib.parallel.launcher import local_device
from course_lib.parallel.model_parallel import own_part, split


def data_by_model(model: int) -> DeviceMesh:
    """All ranks as a mesh of rows of `model` ranks: mesh["model"] is a rank's row, mesh["data"] its column.

    Neighboring ranks share a network, as they talk most. Raises ValueError where rows of `model` do not divide the ranks.
    """
    n = dist.get_world_size()
    if model < 1 or n % model:
        raise ValueError(f"{n} ranks can't stand in rows of {model}: take a divisor of {n}.")
    return init_device_mesh(local_device().type, (n // model, model), mesh_dim_names=("data", "model"))


def hybrid_step(network, x, y, lr: float, mesh: DeviceMesh) -> torch.Tensor:
    """One step of gradient descent: the loss of the whole batch.

    All ranks pass the same batch, x (B, ...) and y (B,), and each row of the
    mesh takes its share of it. Raises ValueError where the rows do not divide
    the batch. Source: slides 59 and 60.
    """
    data, rows = mesh.get_group("data"), mesh["data"].size()
    if len(x) % rows:
        raise ValueError(
            f"{len(x)} examples can't be shared evenly by {rows} rows of ranks: "
            f"take a multiple of {rows}."
        )
    x, y = own_part(x, 0, data), own_part(y, 0, data)
    loss = F.cross_entropy(network(x), y)  # maps go along the row
    network.zero_grad()
    loss.backward()  # and their gradients back
    average_gradients(network.parameters(), data)  # along the column
    with torch.no_grad():
        for p in network.parameters():
            p -= lr * p.grad
    loss = loss.detach()
    dist.all_reduce(loss, group=data)
    return loss / rows


def train_hybrid(
    network: nn.Sequential, x: torch.Tensor, y: torch.Tensor, *, model: int = 2, steps: int = 10, lr: float = 0.1
) -> tuple[list[float], torch.Tensor]:
    """The losses of steps on one batch, on all ranks, and the trained network's output for it, of shape (B, classes).

    The network is split over rows of `model` ranks: `launch(train_hybrid, network, x, y, processes=4)` trains on 2 x 2. Equals
    torch.optim.SGD in one process. Raises ValueError where the ranks do not divide into rows, or filters or examples do not
    divide over them. Source: slide 59.
    """
    mesh, device = data_by_model(model), local_device()
    x, y = x.to(device), y.to(device)
    network = split(network.to(device), mesh.get_group("model"))
    losses = [hybrid_step(network, x, y, lr, mesh).item() for _ in range(steps)]
    with torch.no_grad():
        return losses, network(x).cpu()
