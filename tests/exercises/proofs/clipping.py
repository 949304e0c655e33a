"""Clipping by the global norm: right answers in other styles, wrong ones that no mutant makes, and changes that change nothing."""

import functools
import math

import numpy
import torch


def by_one_vector(gradients, limit):
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    if norm <= limit:
        return gradients
    return [limit / norm * g for g in gradients]


def by_a_sum_of_squares(gradients, limit):
    norm = sum((g**2).sum() for g in gradients).sqrt()
    factor = torch.where(norm > limit, limit / norm, torch.ones_like(norm))
    return [g * factor for g in gradients]


def by_plain_numbers(grads, most):
    norm = math.sqrt(sum(float((g * g).sum()) for g in grads))
    factor = most / norm if norm > most else 1.0
    return tuple(factor * g for g in grads)


def by_linalg(gradients, limit):
    norms = torch.stack([torch.linalg.vector_norm(g) for g in gradients])
    norm = torch.linalg.vector_norm(norms)
    return (
        list(map(lambda g: g * (limit / torch.maximum(norm, torch.full_like(norm, limit))), gradients))
        if limit
        else [torch.zeros_like(g) for g in gradients]
    )


def in_place_on_copies(gradients, limit):
    copies = [g.clone() for g in gradients]
    norm = torch.stack([g.norm() for g in copies]).norm()
    if norm > limit:
        for g in copies:
            g.mul_(limit).div_(norm)
    return copies


def with_a_loop(gradients, limit):
    total = 0.0
    for g in gradients:
        total = total + g.square().sum()
    scale, clipped = total.sqrt(), []
    for g in gradients:
        clipped.append(g if scale <= limit else g / scale * limit)
    return clipped


def through_numpy(gradients, limit):
    arrays = [g.numpy() for g in gradients]
    norm = numpy.linalg.norm(numpy.concatenate([a.ravel() for a in arrays]).astype(float))
    factor = min(1.0, limit / norm) if norm else 1.0
    return [torch.as_tensor(factor * a, dtype=g.dtype) for a, g in zip(arrays, gradients)]


def in_float64_inside(gradients, limit):
    norm = torch.cat([g.double().reshape(-1) for g in gradients]).norm()
    factor = (limit / norm).clamp(max=1)
    return [(factor * g).to(g.dtype) for g in gradients]


@torch.inference_mode()
def without_autograd(gradients, limit):
    norm = torch.stack([g.norm() for g in gradients]).norm()
    return [(limit / norm).clamp(max=1.0) * g for g in gradients]


def by_hypot(gradients, limit):
    norm = functools.reduce(torch.hypot, [x.abs() for g in gradients for x in g.flatten()])
    return [torch.where(norm > limit, g * limit / norm, g) for g in gradients]


def recursive(gradients, limit):
    def squares(rest):
        return rest[0].pow(2).sum() + squares(rest[1:]) if rest else 0.0

    norm = squares(list(gradients)) ** 0.5
    return [g * torch.minimum(limit / norm, torch.ones_like(norm)) for g in gradients]


def a_generator(gradients, limit):
    norm = torch.stack([g.norm() for g in gradients]).norm()
    return (g * (limit / norm).clamp(max=1.0) for g in gradients)


def by_pytorch_on_copies(gradients, limit):
    vector = torch.nn.utils.parameters_to_vector(gradients)
    copies = [g.clone() for g in gradients]
    norm = vector.norm()
    torch.nn.utils.vector_to_parameters(vector * (limit / norm).clamp(max=1.0), copies)
    return copies


class Limit:
    """What a norm may be."""

    def __init__(self, most):
        self.most = most

    def __call__(self, norm):
        return 1.0 if norm <= self.most else self.most / norm


def an_object(gradients, limit):
    factor = Limit(limit)(torch.stack([g.norm() for g in gradients]).norm())
    return [factor * g for g in gradients]


STYLES = [
    by_one_vector,
    by_a_sum_of_squares,
    by_plain_numbers,
    by_linalg,
    in_place_on_copies,
    with_a_loop,
    through_numpy,
    in_float64_inside,
    without_autograd,
    by_hypot,
    recursive,
    a_generator,
    by_pytorch_on_copies,
    an_object,
]


def writes_through_data(gradients, limit):
    norm = torch.stack([g.norm() for g in gradients]).norm()
    for g in gradients:
        g.data.mul_((limit / norm).clamp(max=1.0))
    return gradients


def writes_into_the_list(gradients, limit):
    norm = torch.stack([g.norm() for g in gradients]).norm()
    for k, g in enumerate(gradients):
        gradients[k] = (limit / norm).clamp(max=1.0) * g
    return gradients


def as_pytorch_does_it(gradients, limit):
    for g in gradients:
        g.grad = g.clone()
    torch.nn.utils.clip_grad_norm_(gradients, limit)
    return [g.grad for g in gradients]


def empties_the_list(gradients, limit):
    clipped = by_one_vector(list(gradients), limit)
    gradients.clear()
    return clipped


def of_two(gradients, limit):
    a, b = gradients
    return by_one_vector([a, b], limit)


def of_at_most_five(gradients, limit):
    norm = by_a_sum_of_squares(gradients[:5], limit) and torch.cat([g.flatten() for g in gradients[:5]]).norm()
    return [g * (limit / norm).clamp(max=1.0) for g in gradients]


def of_rows(gradients, limit):
    norm = torch.stack([g.norm(dim=-1).max() if g.dim() > 1 else g.norm() for g in gradients]).norm()
    return [g * (limit / norm).clamp(max=1.0) for g in gradients]


def with_some_slack(gradients, limit):
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    return [g * limit / norm if norm > 1.001 * limit else g for g in gradients]


def with_a_small_number(gradients, limit):
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    return [g * (limit / (norm + 1e-8)).clamp(max=1.0) for g in gradients]


def limit_or_the_usual(gradients, limit):
    return by_one_vector(gradients, limit or 1.0)


def joined(gradients, limit):
    return torch.cat([g.flatten() for g in by_one_vector(gradients, limit)])


def without_zeros(gradients, limit):
    return [g for g in by_one_vector(gradients, limit) if g.any()]


def by_concatenation(gradients, limit):
    norm = torch.cat([g.view(-1) if g.dim() else g.new_zeros(1) for g in gradients]).norm()
    return [g * (limit / norm).clamp(max=1.0) for g in gradients]


WRONG = [
    writes_through_data,
    writes_into_the_list,
    as_pytorch_does_it,
    empties_the_list,
    of_two,
    of_at_most_five,
    of_rows,
    with_some_slack,
    with_a_small_number,
    limit_or_the_usual,
    joined,
    without_zeros,
    by_concatenation,
]

EQUIVALENT = {
    "2: limit -> abs(limit)": "a limit is never negative",
    "writes into limit": "the limit is a number, and nothing can be written into one",
}
