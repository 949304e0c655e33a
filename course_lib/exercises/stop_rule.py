"""Exercise: the lecture's Algorithm 1, plain gradient descent with its stop rule."""

from collections.abc import Callable
from dataclasses import dataclass

from course_lib.exercises.cases import once, tensor
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


# Case 1, where most mistakes show, has the slope w, w = 2, lr = 0.5, tolerance = 0.1: the steps are 1, 0.5, 0.25, 0.125, 0.0625, …
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

check = Exercise(
    descend,
    returns=("w", "steps"),
    cases=[
        once("one parameter", "", slope=BOWL, w=tensor(2.0), lr=0.5, tolerance=0.1, most=100),
        once(
            "another rate and tolerance",
            "Look for a number written where an argument should stand.",
            slope=BOWL,
            w=tensor(2.0),
            lr=0.2,
            tolerance=0.01,
            most=100,
        ),
        once(
            "three parameters",
            "One parameter agrees: look at how you measure the length of a step.",
            slope=BOWLS,
            w=tensor([3.0, 2.5, -2.0]),
            lr=0.1,
            tolerance=0.01,
            most=1000,
        ),
        once(
            "across a saddle point",
            "Look at what happens to your counter when a long step follows a short one.",
            slope=SADDLE,
            w=tensor([1.5, 0.01]),
            lr=0.3,
            tolerance=0.08,
            most=1000,
        ),
        once(
            "back and forth for ever",
            "The step never gets short. Look at how `most` ends your loop.",
            slope=STEEP,
            w=tensor(1.0),
            lr=0.5,
            tolerance=0.1,
            most=30,
        ),
        once(
            "already there",
            "Here the slope is 0, and so is each step: 11 of them are made, and counted.",
            slope=BOWL,
            w=tensor(0.0),
            lr=0.5,
            tolerance=0.1,
            most=100,
        ),
        once(
            "a 2 × 3 matrix in float32",
            "A vector agrees: the norm must take in all elements, whatever the shape is.",
            slope=BOWL,
            w=tensor([[1.0, -2.0, 0.5], [0.3, 1.0, -1.0]]).float(),
            lr=0.1,
            tolerance=0.01,
            most=1000,
        ),
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
)
