"""Update rules for weight matrices alone: they see rows and columns where the others see numbers."""

from torch.linalg import vector_norm

from course_lib.formulas.entry import Entry
from course_lib.formulas.signature import Decay, Rate, Strength


def orthogonal(G, steps=5):
    """U S' Vᵀ where G is U S Vᵀ, with all of S' near 1: between 0.68 and 1.21, but for singular
    values below 1/500 of the norm of G.

    Each step is an odd polynomial of the singular values that moves them toward 1, made of products alone.
    Source: Jordan et al. (2024), who chose a, b and c for speed, not for an end at 1.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    X = G / vector_norm(G).clamp(min=1e-7)
    for _ in range(steps):
        A = X @ X.mT
        X = a * X + (b * A + c * A @ A) @ X
    return X


def muon(w, g, t, m=0.0, *, lr: Rate = 1e-3, momentum: Decay = 0.95, decay: Strength = 0.1):
    """A step of the same length in every direction of a weight matrix:
    momentum, looking ahead as Nesterov does, and of it the directions.

    `w` has the shape (outputs, inputs). Raises ValueError for a tensor
    that is no matrix.
    Source: Jordan et al. (2024), with the decay of Liu et al. (2025).
    Equals torch.optim.Muon(lr=lr, momentum=momentum, weight_decay=decay),
    which computes its products in bfloat16.
    """
    outputs, inputs = w.shape
    m = momentum * m + (1 - momentum) * g
    step = orthogonal((1 - momentum) * g + momentum * m)
    scale = max(1, outputs / inputs) ** 0.5
    return w - lr * decay * w - lr * scale * step, m


CATALOG = {muon: Entry("Muon", "#b0218f", dark="#ff7ae0")}

__all__ = [rule.__name__ for rule in CATALOG]
