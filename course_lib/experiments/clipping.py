"""Clipping in training: one norm over all parameter groups of an optimizer."""

import math

import torch

from course_lib.formulas.gradients import clip_by_global_norm


@torch.no_grad()
def clip_gradients(optimizer: torch.optim.Optimizer, limit: float) -> float:
    """Shorten the gradients of all groups together to the norm `limit` where they are longer; returns their norm before.

    Call it between backward() and step(). Parameters without a gradient, frozen ones or such that the loss does not need,
    play no part. An infinite norm makes every finite gradient 0, and NaN stays: look at what is returned.
    Raises ValueError for a limit that is not above 0, and where no parameter has a gradient.
    Equals torch.nn.utils.clip_grad_norm_ of all parameters at once; called for each group it would give each its own factor.
    """
    if not limit > 0 or math.isinf(limit):
        raise ValueError(f"limit must be a finite number above 0, got {limit!r}.")
    held = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    if not held:
        raise ValueError("No parameter has a gradient: call backward() on the loss before clip_gradients.")
    gradients = [p.grad for p in held]
    norm = torch.stack([g.norm() for g in gradients]).norm().item()
    for p, clipped in zip(held, clip_by_global_norm(gradients, limit), strict=True):
        p.grad.copy_(clipped)
    return norm
