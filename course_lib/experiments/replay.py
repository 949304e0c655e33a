"""A rule on gradients that are given, whatever the parameters: what it does with them, apart from what they depend on."""

from collections.abc import Callable

import torch

from course_lib.experiments.settings import check_names
from course_lib.formulas.signature import signature, step


def replay(rule: Callable, gradients: torch.Tensor, start: torch.Tensor | None = None, **hyper) -> torch.Tensor:
    """The parameters before the first step and after each one, (steps + 1, ...), for `gradients` of shape (steps, ...).

    They begin at `start`, of the shape (...), or at 0. Raises TypeError for an unknown hyperparameter.
    """
    spec = signature(rule)
    check_names((spec,), hyper)
    hyper = spec.hyper | hyper
    w = torch.zeros_like(gradients[0]) if start is None else start
    state, path = tuple(spec.initial(w, hyper).values()), [w]
    for t, g in enumerate(gradients, 1):
        w, state = step(rule, w, g, t, state, hyper)
        path.append(w)
    return torch.stack(path)
