"""Exercise: write momentum with decoupled weight decay."""

import torch

from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.rule_cases import rule_cases
from course_lib.formulas import sgdw as reference

# Case 1, where most mistakes show, has w = 2.1, g = 3.3, t = 1, lr = 0.5, momentum = 0.9, decay = 0.1: delta is 0.33, the step is -0.165,
# the decay is -0.105, so w moves by -0.27.


@mistake(
    "w moved by {moved} instead of {should_move}, and delta is right. Your decay has the wrong sign: it pushes w = {given[w]} away from 0, "
    "by {given[lr]} · {given[decay]} · {given[w]} in each step, and more the larger w is. Look at the sign in front of it."
)
def grows(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta + lr * decay * w, delta


@mistake(
    "w moved by {moved} instead of {should_move}, and delta is right. This is what a decay without the learning rate does: {given[decay]} of "
    "w goes in each step, whatever the rate is. On slide 9 it is η · λ of w, so that a smaller rate decays less, too."
)
def decay_without_rate(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - decay * w, delta


@mistake(
    "delta is {yours[delta]} instead of {right[delta]}, with g = {given[g]} and w = {given[w]}. You add the decay to the gradient before it "
    "enters the average: this is L2 in the loss (slide 8). Decoupled decay stays out of delta, and acts at once, at full strength."
)
def l2_in_the_loss(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * (g + decay * w)
    return w - lr * delta, delta


@mistake(
    "w is right after the first step, but delta is {yours[delta]} instead of {right[delta]}: the decay is stored in it, and will come "
    "again, weakened by m, in every later step. Look at what you add to delta, and what you subtract from w."
)
def decay_remembered(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g + decay * w
    return w - lr * delta, delta


@mistake(
    "w moved by {moved} instead of {should_move}: that is the step along delta alone. Nothing decays. The rule has one term more than "
    "momentum; here it is as large as 0.105."
)
def no_decay(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta, delta


@mistake(
    "w moved by {moved} instead of {should_move}, and delta is right: your decay is twice too strong. The penalty is λ/2 ‖w‖², with a half "
    "in front, so its slope has no 2. Look for a factor of 2."
)
def twice_the_decay(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - 2 * lr * decay * w, delta


@mistake(
    "w moved by {moved} instead of {should_move}, and delta is right: your decay is half of what it should be. The half of λ/2 ‖w‖² cancels "
    "with the 2 of the square when you take the slope."
)
def half_the_decay(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * decay / 2 * w, delta


@mistake(
    "w moved by {moved} instead of {should_move}, and delta is right. This is what a decay of the *new* w does: it takes its share of w "
    "after the step along delta. The rule shrinks the w that came in, {given[w]}."
)
def decays_the_new_w(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return (w - lr * delta) * (1 - lr * decay), delta


@mistake(
    "w moved by {moved} instead of {should_move}, and delta is right: your decay has a factor (1−m) too many. That factor makes delta an "
    "average of gradients. The decay is no gradient here: η · λ of w goes, all of it, in this step."
)
def decay_with_the_averages_weight(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * (1 - momentum) * decay * w, delta


@mistake(
    "One positive parameter agrees; with several, or a negative one, you subtract the same number from all of them. This is what the "
    "length ‖w‖ does in place of w. Each parameter shrinks by its own share: the slope of λ/2 ‖w‖² is a vector."
)
def subtracts_the_norm(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * decay * w.norm(), delta


@mistake(
    "w moved by {moved} instead of {should_move}, and delta is right. Your decay pulls w = {given[w]} by a fixed length, {given[lr]} · "
    "{given[decay]}, whatever the size of w is. This is the decay of the penalty λ|w| (L1). Weight decay takes a share of w."
)
def pulls_by_the_sign(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * decay * w.sign(), delta


@mistake(
    "One parameter agreed with the penalty λ|w|, and several have the direction of w, but not its length: your decay is w/‖w‖, the slope "
    "of λ‖w‖ without a square. w moved by {moved} instead of {should_move}. Do you divide by a norm?"
)
def pulls_by_the_direction(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * decay * w / torch.sqrt((w**2).sum()), delta


@mistake(
    "delta is {yours[delta]} instead of {right[delta]}: ten times too large at m = {given[momentum]}. The factor (1−m) is missing: this is "
    "PyTorch's momentum, and the rule asked for has the lecture's. The decay is right."
)
def pytorchs_momentum(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + g
    return w - lr * delta - lr * decay * w, delta


@mistake(
    "The decay is right, the step is not: with the gradient {given[g]} w must fall by 0.165 more than it decays, and it rose. w moved by "
    "{moved} instead of {should_move}. Look at the sign in front of delta."
)
def uphill(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w + lr * delta - lr * decay * w, delta


@mistake(
    "w is right, but delta is {yours[delta]}, which is {given[lr]} times {right[delta]}: the learning rate is inside it. While the rate is "
    "constant nobody notices. delta is an average of gradients, and the rate belongs to the line of w."
)
def rate_inside_delta(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + lr * (1 - momentum) * g
    return w - delta - lr * decay * w, delta


@mistake(
    "w is right, but the delta you return is {yours[delta]}, as it came in; the new one is {right[delta]}. Return the new one: it comes "
    "back as an argument at the next step."
)
def returns_old_delta(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    new = momentum * delta + (1 - momentum) * g
    return w - lr * new - lr * decay * w, delta


@mistake(
    "The two values are right, in the wrong order: w comes back as {yours[w]} and delta as {yours[delta]}. Return w first, then delta."
)
def exchanged_returns(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return delta, w - lr * delta - lr * decay * w


@mistake(
    "All agrees while decay is 0.1. Here it is {given[decay]}, and w moved by {moved} instead of {should_move}, as if it were still 0.1. "
    "Look for a number where the argument should stand."
)
def fixed_decay(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * 0.1 * w, delta


check = Exercise(
    reference,
    returns=("w", "delta"),
    cases=rule_cases(
        reference,
        usual={"lr": 0.5, "momentum": 0.9, "decay": 0.1},
        other={"lr": 0.2137, "momentum": 0.5371, "decay": 0.3119},
    ),
    mistakes=[
        grows,
        decay_without_rate,
        l2_in_the_loss,
        decay_remembered,
        no_decay,
        twice_the_decay,
        half_the_decay,
        decays_the_new_w,
        decay_with_the_averages_weight,
        subtracts_the_norm,
        pulls_by_the_sign,
        pulls_by_the_direction,
        pytorchs_momentum,
        uphill,
        rate_inside_delta,
        returns_old_delta,
        exchanged_returns,
        fixed_decay,
    ],
    source="course_lib.formulas.sgdw",
)
