"""Two by two processes on PyTorch's device mesh: the groups split the batch, the members of a group split the layers."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh


def hybrid_gradients(w1, w2, x, y):
    """This rank's part of the gradients of ((w2 tanh(w1 x) - y)²).mean().

    `w1` (hidden, inputs), `w2` (outputs, hidden), `x` (examples, inputs) and
    `y` (examples, outputs) are whole on every one of four ranks. Returns the
    gradients of this rank's rows of `w1` and columns of `w2`, each averaged
    over the groups. Raises ValueError where hidden units or examples are odd
    in number, or the ranks are not four. Source: slides 59 and 60.
    """
    _check(dist.get_world_size(), len(w1), len(x))
    names = ("data", "model")
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=names)
    group, member = (mesh[name].get_local_rank() for name in names)
    x, y = x.chunk(2)[group], y.chunk(2)[group]  # half of the batch
    w1 = w1.chunk(2)[member].clone().requires_grad_()  # half of the units
    w2 = w2.chunk(2, dim=1)[member].clone().requires_grad_()

    part = torch.tanh(x @ w1.T) @ w2.T  # a term of the outputs
    whole = part.detach().clone()
    dist.all_reduce(whole, group=mesh["model"].get_group())  # maps
    out = part + (whole - part.detach())  # the sum, and the part's gradient
    (out - y).square().mean().backward()

    for w in (w1, w2):
        dist.all_reduce(w.grad, group=mesh["data"].get_group())  # gradients
    return w1.grad / 2, w2.grad / 2


def _check(ranks: int, hidden: int, examples: int) -> None:
    if ranks != 4:
        raise ValueError(f"A mesh of 2 x 2 has 4 ranks, got {ranks}: launch with processes=4.")
    for what, count in (("hidden units", hidden), ("examples", examples)):
        if count % 2:
            raise ValueError(f"The {what} are cut into two equal parts: give an even number of them, got {count}.")
