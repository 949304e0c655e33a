"""Exercise: clip the gradients of a model by their global norm."""

from collections.abc import Callable, Iterable

import torch

from course_lib.exercises.cases import Case, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas import clip_by_global_norm as reference

# Case 1, where most mistakes show, has the gradients (3, 4) and (12): together 13 long, so a limit of 1.3 shortens them to a tenth.


def length(gradients):
    return torch.cat([g.flatten() for g in gradients]).norm()


def factor(norm, limit):
    return torch.where(norm > limit, limit / norm, torch.ones_like(norm))


@mistake(
    "You return {yours[clipped]} instead of {right[clipped]}: each tensor is clipped by a norm of its own. "
    "So a layer with large gradients loses more than one with small ones, and the direction of the whole step turns. One norm, one factor."
)
def each_by_its_own(gradients, limit):
    return [factor(g.norm(), limit) * g for g in gradients]


@mistake(
    "You return {yours[clipped]} instead of {right[clipped]}: each entry is cut off at the limit by itself. "
    "That is clipping by value. It turns the direction: what was large becomes equal. By norm, all entries shrink by one factor."
)
def by_value(gradients, limit):
    return [g.clamp(-limit, limit) for g in gradients]


@mistake(
    "Long gradients agree. These are shorter than the limit of {given[limit]}, and come back {times} times as long: you scale up, too. Near a "
    "minimum, where gradients get small, that would keep the steps long for ever. The factor is never above 1."
)
def scales_up(gradients, limit):
    return [g * limit / length(gradients) for g in gradients]


@mistake(
    "Your gradients are {times} times as long as they should be: you divide by the square of the norm. It is 169 here, its root 13. "
    "Look for the root."
)
def squared_norm(gradients, limit):
    return [factor(length(gradients) ** 2, limit) * g for g in gradients]


@squared_norm.also
def squared_beside_the_norm(gradients, limit):
    norm = length(gradients)
    return [g * torch.where(norm > limit, limit / norm**2, torch.ones_like(norm)) for g in gradients]


@mistake(
    "Your gradients are {times} times as long as they should be: you add up the norms of the tensors, 5 + 12. The norm of all entries together "
    "is the root of the sum of their squares, √(25 + 144) = 13."
)
def sum_of_norms(gradients, limit):
    return [factor(sum(g.norm() for g in gradients), limit) * g for g in gradients]


@mistake(
    "Your gradients are {times} times as long as they should be: you take the norm of the longest tensor, 12, for that of all. Together they "
    "are 13 long: √(5² + 12²)."
)
def longest_tensor(gradients, limit):
    return [factor(torch.stack([g.norm() for g in gradients]).max(), limit) * g for g in gradients]


@mistake(
    "Your gradients are {times} times as long as they should be: you add up the sizes of all entries, 3 + 4 + 12. The norm is the root of the "
    "sum of squares."
)
def sum_of_sizes(gradients, limit):
    return [factor(sum(g.abs().sum() for g in gradients), limit) * g for g in gradients]


@mistake(
    "Your gradients are {times} times as long as they should be: you take the root of the *mean* of the squares. The norm is the root of "
    "their sum; it grows with the number of entries."
)
def mean_square(gradients, limit):
    return [factor(torch.cat([g.flatten() for g in gradients]).square().mean().sqrt(), limit) * g for g in gradients]


@mistake(
    "You return {yours[clipped]} where {right[clipped]} is expected: the long gradients are left as they are. You shorten in the wrong case: look at the "
    "comparison, or at `min` and `max`."
)
def the_wrong_way_round(gradients, limit):
    norm = length(gradients)
    return [g * torch.where(norm < limit, limit / norm, torch.ones_like(norm)) for g in gradients]


@the_wrong_way_round.also
def max_for_min(gradients, limit):
    return [g * (limit / length(gradients)).clamp(min=1.0) for g in gradients]


@mistake(
    "Your gradients are {times} times as long as they should be: you multiply by the limit, but do not divide by the norm. A gradient of "
    "length 13 times 1.3/13 is 1.3 long; times 1.3 it is longer than before."
)
def no_division(gradients, limit):
    return [g * torch.where(length(gradients) > limit, limit, 1.0) for g in gradients]


@mistake(
    "All agrees but gradients of zero, as a layer has whose units are all off. They come back as no numbers at all: you divide them by their norm, "
    "and 0/0 has no value. Divide the limit by the norm, and only where the norm is larger."
)
def unit_vectors(gradients, limit):
    norm = length(gradients)
    return [g / norm * norm.clamp(max=limit) for g in gradients]


@mistake(
    "All agrees at a limit of 1.3. Here it is {given[limit]}, and you clip as if it were still 1.3. Look for a number written where `limit` "
    "should stand."
)
def fixed_limit(gradients, limit):
    return reference(gradients, 1.3)


@mistake(
    "Your gradients are {times} times as long as they should be: you add 10⁻⁶ to the norm, as PyTorch does so that it never divides by 0. Nothing "
    "is wrong with that in training. Here leave it out, and compare before you divide."
)
def as_in_pytorch(gradients, limit):
    return [g * (limit / (length(gradients) + 1e-6)).clamp(max=1.0) for g in gradients]


def in_a_list(clip: Callable) -> Callable:
    """The clipped gradients as one value, a list, whatever sequence they come in."""

    def lifted(gradients, limit):
        result = clip(gradients, limit)
        if result is ... or result is None:
            return result
        return (result if isinstance(result, torch.Tensor) or not isinstance(result, Iterable) else list(result),)

    return lifted


def case(title: str, look: str, gradients: list, limit: float, about: tuple[str, ...] = ()) -> Case:
    """The gradients of some tensors, and a limit."""
    tensors = [tensor(g) if isinstance(g, list) else g for g in gradients]
    return Case(title, look, lambda call: call(gradients=tensors, limit=limit), in_a_list, about)


FIVE = [[0.3, -1.2], [2.1, 0.7], [0.4, 1.1, -0.9], [3.3], [-2.2, 0.1]]

check = Exercise(
    reference,
    returns=("clipped",),
    cases=[
        case("too long", "", [[3.0, 4.0], [12.0]], 1.3),
        case(
            "short enough",
            "Long gradients agree: look at what happens to those that need no clipping.",
            [[0.3, 0.4], [0.5]],
            1.3,
            ("comparison", "constant", "max", "dropped"),
        ),
        case(
            "another limit",
            "Look for a number written where `limit` should stand.",
            [[3.0, 4.0], [12.0]],
            6.5,
            ("limit",),
        ),
        case("one tensor", "Two tensors agree: the list may have any length.", [[0.6, -2.5]], 0.7, ("length",)),
        case("five tensors", "Two tensors agree: the list may have any length.", FIVE, 0.9, ("length",)),
        case(
            "twelve tensors",
            "Five tensors agree: the list may have any length.",
            [[0.1 * k - 0.7] for k in range(12)],
            0.9,
            ("length",),
        ),
        case(
            "a weight and a bias",
            "Vectors agree: the norm must take in all entries, whatever the shape is.",
            [[[1.1, -2.3, 0.6], [3.1, 0.0, -1.4]], [0.1, -4.2]],
            0.5,
            ("shape", "reduction"),
        ),
        case(
            "a single number and a tensor of four dimensions",
            "Vectors and matrices agree: a tensor may have no dimension, or many.",
            [tensor(-2.3), tensor([[[[1.1], [-0.7]]]])],
            0.5,
            ("shape", "reduction"),
        ),
        case(
            "barely too long",
            "Longer ones agree: from which norm on do you clip, and to which?",
            [[6.0, 0.0], [8.0]],
            9.9999,
            ("comparison", "constant"),
        ),
        case(
            "exactly at the limit",
            "Here the norm is the limit itself, so nothing changes.",
            [[6.0, 0.0], [8.0]],
            10.0,
            ("comparison",),
        ),
        case(
            "no gradient at all",
            "All entries are 0: look at what you divide by.",
            [[0.0, 0.0], [0.0]],
            1.3,
            ("zero", "dropped", "order"),
        ),
        case(
            "one layer far ahead",
            "Look at how the second tensor, almost 0, is scaled.",
            [[3e4, -4e4], [1e-3]],
            1.0,
            ("zero",),
        ),
        case(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision.",
            [tensor([3.0, 4.0]).float(), tensor([12.0]).float()],
            1.3,
            ("float32",),
        ),
        case(
            "a limit of 0",
            "Nothing may pass: look at your comparison.",
            [[3.0, 4.0], [12.0]],
            0.0,
            ("comparison", "limit"),
        ),
    ],
    mistakes=[
        each_by_its_own,
        by_value,
        scales_up,
        squared_norm,
        sum_of_norms,
        longest_tensor,
        sum_of_sizes,
        mean_square,
        the_wrong_way_round,
        no_division,
        unit_vectors,
        fixed_limit,
        as_in_pytorch,
    ],
    source="slide 23's formula",
)
