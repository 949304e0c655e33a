"""What happens to a gradient before a rule sees it: clipping."""

import inspect
from collections.abc import Callable
from typing import Annotated

import torch
from torch.linalg import vector_norm

from course_lib.formulas.signature import Range, Signature, signature

Limit = Annotated[float, Range(1e-3, 1e3, "log", at_least=0.0)]


def clip_by_value(g, limit):
    """Each entry of the gradient, cut off at -limit and limit. The direction changes.

    An infinite entry becomes ±limit, NaN stays. Equals torch.nn.utils.clip_grad_value_(w, limit).
    """
    return g.clamp(-limit, limit)


def clip_by_norm(g, limit):
    """The gradient, shortened to the length `limit` where it is longer. The direction stays.

    Source: Pascanu, Mikolov and Bengio (2013); slide 23.
    Equals torch.nn.utils.clip_grad_norm_(w, limit) up to its 1e-6, as clip_by_global_norm does.
    """
    return clip_by_global_norm([g], limit)[0]


def clip_by_global_norm(gradients, limit):
    """The gradients of several tensors, shortened by one factor so
    that all of them together are no longer than `limit`.

    An infinite entry becomes NaN and makes all others 0, as limit / ∞
    is 0; a NaN makes all NaN.
    Source: Pascanu, Mikolov and Bengio (2013); slide 23.
    Equals torch.nn.utils.clip_grad_norm_(w, limit), but that one
    multiplies by min(1, limit / (norm + 1e-6)).
    """
    norm = vector_norm(torch.stack([vector_norm(g) for g in gradients]))
    one = torch.ones_like(norm)
    scale = torch.where(norm <= limit, one, limit / norm)
    return [scale * g for g in gradients]


def clipped(rule: Callable, by: Callable = clip_by_norm) -> Callable:
    """The rule on clipped gradients: a rule with one more hyperparameter, `limit`.

        Descent(clipped(gradient_descent), rosenbrock, lr=0.01, limit=1.0)

    A rule sees one tensor. So with Optimizer each tensor of a network is clipped by its own norm; for the norm of all
    together call torch.nn.utils.clip_grad_norm_(model.parameters(), limit) before step().

    Raises TypeError for a rule that breaks the convention, ValueError for one that has a `limit` of its own.
    """
    found = signature(rule)

    def clipped_rule(w, g, t, *rest, limit, **hyper):
        return rule(w, by(g, limit), t, *rest, **hyper)

    parameters = _parameters(found)
    clipped_rule.__name__ = f"{found.name}_{by.__name__.replace('clip', 'clipped', 1).removesuffix('_by_norm')}"
    clipped_rule.__doc__ = f"{found.name} on gradients clipped {by.__name__.removeprefix('clip_').replace('_', ' ')}."
    clipped_rule.__signature__ = inspect.Signature(parameters)
    clipped_rule.__annotations__ = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
    return clipped_rule


def _parameters(found: Signature) -> list[inspect.Parameter]:
    """What was read off the rule, written down again, with `limit` at the end."""
    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return [
        *(inspect.Parameter(name, positional) for name in found.inputs),
        *(inspect.Parameter(name, positional, default=x) for name, x in found.state.items()),
        *(
            inspect.Parameter(name, keyword, default=x, annotation=Annotated[float, found.ranges[name]])
            for name, x in found.hyper.items()
        ),
        inspect.Parameter("limit", keyword, default=1.0, annotation=Limit),
    ]
