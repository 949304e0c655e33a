"""A small network that learns a product: what an optimizer makes of it, to compare two spellings of one rule."""

from collections.abc import Callable

import torch
from torch import nn


def fitted_weights(make_optimizer: Callable, shrink: float = 0.0, steps: int = 200) -> torch.Tensor:
    """All parameters of 32 tanh units that learn x₁ x₂ in batches of 64, in float64; start and batches are always the same.

    Before each step of the optimizer, which is made for the parameters, they are multiplied by 1 - shrink.
    """
    model, source = _network(), torch.Generator().manual_seed(0)
    optimizer = make_optimizer(model.parameters())
    for _ in range(steps):
        x = 4 * torch.rand(64, 2, generator=source).double() - 2
        error = model(x).squeeze() - x.prod(dim=1)
        optimizer.zero_grad()
        error.square().mean().backward()
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 - shrink)  # after backward, before step
        optimizer.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def _network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1)).double()
