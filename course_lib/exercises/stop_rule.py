"""Exercise: the lecture's Algorithm 1, plain gradient descent with its stop rule."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.exercises.cases import Case, once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake


def descend(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    """Algorithm 1 of slide 4: gradient descent until ‖Δθ‖ < ω has held
    for more than 10 iterations in a row, and for `most` at the latest.

    `slope(w)` is the gradient at w. Returns w and the number of steps.
    """
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w = w + delta
        small = small + 1 if delta.norm() < tolerance else 0
        steps = steps + 1
    return w, steps


# Case 1, where most mistakes show, has the slope w, w = 2.1, lr = 0.4, tolerance = 0.12: the steps are 0.84, 0.504, 0.302, 0.181, 0.109, …
# so the fifth is the first small one, and the fifteenth is the last.


@mistake(
    "Your loop never began: {yours[steps]} steps, and w is still {yours[w]}. This is the condition as slide 4 prints it. It says when to "
    "stop, and a `while` needs the opposite: go on as long as the step has not yet been small for more than 10 iterations."
)
def as_on_the_slide(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small > 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.norm() < tolerance else 0
    return w, steps


@mistake(
    "You stop after {yours[steps]} steps instead of {right[steps]}: at the first step that is shorter than {given[tolerance]}. The rule "
    "waits: the step must stay that short for more than 10 iterations. Look for a counter of small steps."
)
def no_patience(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    for steps in range(1, most + 1):
        delta = -lr * slope(w)
        w = w + delta
        if delta.norm() < tolerance:
            break
    return w, steps


@mistake(
    "You stop after {yours[steps]} steps instead of {right[steps]}, one too early: at the tenth small step in a row. The rule says "
    "*more than* 10. Look at `<`, `<=`, `>` or `>=` next to the 10."
)
def ten_are_enough(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small < 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.norm() < tolerance else 0
    return w, steps


@mistake(
    "You stop after {yours[steps]} steps instead of {right[steps]}, one too late: when the twelfth small step in a row has been made. "
    "More than 10 is 11. Look at `<`, `<=`, `>` or `>=` next to the 10."
)
def one_more(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 11 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.norm() < tolerance else 0
    return w, steps


@mistake(
    "Where each step is shorter than the last, all agrees. Here the descent slows down at a saddle point, then speeds up again, and you "
    "stop after {yours[steps]} steps instead of {right[steps]}: you add up small steps over the whole run. They must come in a row. "
    "Look at what happens to your counter when a step is long."
)
def never_resets(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.norm() < tolerance else small
    return w, steps


@mistake(
    "You make {yours[steps]} steps instead of {right[steps]}. This is what comparing the gradient with ω does. Δθ is the step, so the "
    "gradient times the rate, here {given[lr]}. Look at what you take the norm of."
)
def norm_of_the_gradient(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        g = slope(w)
        w, steps, small = w - lr * g, steps + 1, small + 1 if g.norm() < tolerance else 0
    return w, steps


@mistake(
    "You stop after {yours[steps]} steps instead of {right[steps]}. This is what comparing Δθ itself with ω does: each negative step, "
    "however long, is below {given[tolerance]}. Look for the norm, or the absolute value."
)
def no_norm(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if (delta < tolerance).all() else 0
    return w, steps


@mistake(
    "You stop after {yours[steps]} steps instead of {right[steps]}. This is what the *square* of the norm does: it is below "
    "{given[tolerance]} long before the norm is. Look for a missing square root."
)
def squared_norm(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.square().sum() < tolerance else 0
    return w, steps


@mistake(
    "One parameter agrees; with several you stop after {yours[steps]} steps instead of {right[steps]}. This is what looking at the "
    "largest coordinate of the step does. ‖Δθ‖ is the length of the whole step: the root of the sum of squares."
)
def largest_coordinate(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.abs().max() < tolerance else 0
    return w, steps


@mistake(
    "One parameter agrees; with several you make {yours[steps]} steps instead of {right[steps]}. This is what adding up the absolute "
    "values of the coordinates does. ‖Δθ‖ is the length of the step: the root of the sum of squares."
)
def sum_of_sizes(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = -lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.abs().sum() < tolerance else 0
    return w, steps


@mistake(
    "You went uphill for all {yours[steps]} steps that were allowed: the slope at the start, {given[w]}, is positive, so w must fall. "
    "Look at the sign in front of the learning rate."
)
def uphill(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    steps = small = 0
    while small <= 10 and steps < most:
        delta = lr * slope(w)
        w, steps, small = w + delta, steps + 1, small + 1 if delta.norm() < tolerance else 0
    return w, steps


@mistake(
    "You make all {yours[steps]} steps that are allowed; the rule stops after {right[steps]}. Nothing ends your loop early. Look for a "
    "counter of small steps, and for the condition that reads it."
)
def never_stops(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    for _ in range(most):
        w = w - lr * slope(w)
    return w, most


@mistake(
    "w is right, and you made {right[steps]} steps to get there, but you return {yours[steps]}. This is what a loop variable that begins "
    "at 0 does: it is one behind the number of steps made."
)
def counts_from_zero(slope, w, *, lr=0.1, tolerance=1e-3, most=10_000):
    w, steps = descend(slope, w, lr=lr, tolerance=tolerance, most=most)
    return w, steps - 1


@dataclass(frozen=True)
class Slope:
    """A gradient with a text that a message can show."""

    text: str
    formula: Callable

    def __call__(self, w):
        return self.formula(w)

    def __str__(self) -> str:
        return self.text


BOWL = Slope("the function w ↦ w", lambda w: w)
BOWLS = Slope("the function w ↦ (1, 0.9, 0.8) w", lambda w: tensor([1.0, 0.9, 0.8]).to(w) * w)
STEEP = Slope("the function w ↦ 4 w", lambda w: 4 * w)
SADDLE = Slope("the function (x, y) ↦ (x, y³ − y)", lambda w: tensor([1.0, 0.0]) * w + tensor([0.0, 1.0]) * (w**3 - w))
FAR = Slope("the function w ↦ w − 31", lambda w: w - 31)
ROOT = Slope("the function w ↦ √w", lambda w: w.sqrt())


def _from(w: torch.Tensor, **other) -> dict:
    """The arguments of a call down the bowl."""
    return {"slope": BOWL, "w": w, "lr": 0.4, "tolerance": 0.12, "most": 100} | other


check = Exercise(
    descend,
    returns=("w", "steps"),
    cases=[
        once("one parameter", "", **_from(tensor(2.1))),
        once("from a negative start", "From a positive start all agrees: look for a sign that is lost.", **_from(tensor(-2.3)), about=("sign", "abs", "comparison")),
        once("another rate", "Look for a number written where `lr` should stand, and at what you take the norm of.", **_from(tensor(2.1), lr=0.3), about=("lr", "delta")),
        once("another tolerance", "Look for a number written where `tolerance` should stand.", **_from(tensor(2.1), tolerance=0.013), about=("tolerance",)),
        once("a step as long as the tolerance", "One step has exactly the length ω here, and ω is not below ω: look at `<`.", **_from(tensor(2.0), lr=0.5, tolerance=0.125), about=("comparison",)),
        once("three parameters", "One parameter agrees: look at how you measure the length of a step.", slope=BOWLS, w=tensor([3.1, 2.3, -2.1]), lr=0.1, tolerance=0.013, most=1000, about=("norm", "reduction")),
        once("a minimum far from 0", "The size of w plays no part in the rule: ω is compared with the length of the step alone.", **_from(tensor(33.1), slope=FAR), about=("delta",)),
        once("across a saddle point", "Look at what happens to your counter when a long step follows a short one.", slope=SADDLE, w=tensor([1.6, 0.01]), lr=0.3, tolerance=0.08, most=1000, about=("small",)),
        once("back and forth for ever", "The step never gets short. Look at how `most` ends your loop.", slope=STEEP, w=tensor(1.1), lr=0.5, tolerance=0.1, most=30, about=("most",)),
        several("very few steps", "After `most` steps the loop ends, small ones or not. It may be 1, or 0: then w is the start.", *(_from(tensor(2.1), most=most) for most in (1, 0, 8)), about=("most",)),
        once("already there", "Here the slope is 0, and so is each step: 11 of them are made, and counted.", **_from(tensor(0.0)), about=("zero",)),
        several("other shapes", "A vector agrees: the norm must take in all elements, whatever the shape is.", *(_from((torch.arange(6.0, dtype=torch.float64) - 2.7).reshape(shape)) for shape in ((6,), (2, 3), (6, 1), (1, 3, 2, 1))), _from(tensor([2.1])), about=("norm", "shape")),
        once("a descent that leaves its domain", "Below 0 there is no slope, and all steps are NaN. A NaN is not below ω: look for a comparison that is turned around.", **_from(tensor(2.1), slope=ROOT, most=25), about=("comparison",)),
        once("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", **_from(tensor([[1.1, -2.1, 0.6], [0.3, 1.2, -1.1]]).float()), about=("float32",)),
        Case("nothing given but slope and start", "Each argument was right when it was given: the defaults in the first line are 0.1, 1e-3 and 10,000.", lambda call: call(slope=BOWL, w=tensor(2.1)), about=("signature",)),
    ],
    mistakes=[
        as_on_the_slide,
        no_patience,
        ten_are_enough,
        one_more,
        never_resets,
        norm_of_the_gradient,
        no_norm,
        squared_norm,
        largest_coordinate,
        sum_of_sizes,
        uphill,
        never_stops,
        counts_from_zero,
    ],
    source="Algorithm 1 of slide 4",
)  # fmt: skip
