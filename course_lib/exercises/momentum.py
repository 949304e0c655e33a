"""Exercise: write momentum, in the lecture's form."""

import torch

from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.rule_cases import rule_cases
from course_lib.formulas import momentum as reference

# Case 1, where most mistakes show, has w = 2.1, g = 3.3, t = 1, lr = 0.5, momentum = 0.9, so delta is 0.33 and w moves by -0.165.


@mistake(
    "Your step is {times} times the right one: w moved by {moved} instead of {should_move}, and delta is {yours[delta]} instead of "
    "{right[delta]}. This is what leaving out the factor (1−m) does: the new gradient enters with its full weight. "
    "PyTorch's SGD does leave it out; the lecture does not. Look at the weight of g in delta."
)
def no_factor(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + g
    return w - lr * delta, delta


@mistake(
    "Your step goes uphill: the gradient is {given[g]}, so w must move by {should_move}, and it moved by {moved}. "
    "The size is right, the sign is not. Look at the sign in front of the learning rate."
)
def ascends(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + (1 - momentum) * g
    return w + lr * delta, delta


@mistake(
    "w is right, and delta has the wrong sign: {yours[delta]} instead of {right[delta]}. You store the step to take, as some books do, "
    "and add it to w. In the lecture's form delta is an average of gradients: at t = 1 it has the gradient's sign."
)
def negated(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta - (1 - momentum) * g
    return w + lr * delta, delta


@mistake(
    "Your first step is {times} times the right one, and delta is {yours[delta]} where the gradient is {given[g]}. "
    "This is what exchanging the two weights does: with m = {given[momentum]}, most of delta must come from the past and little from "
    "the new gradient. Look at which weight stands at which term."
)
def exchanged_weights(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = (1 - momentum) * delta + momentum * g
    return w - lr * delta, delta


@mistake(
    "At t = {given[t]} the gradient is {given[g]}, the learning rate is {given[lr]}, and your w moved by {moved}. delta itself is right. "
    "So the step was taken with the old delta ({given[delta]}), one gradient too late. Look at the order: first the new delta, then w."
)
def steps_with_old_delta(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    new = momentum * delta + (1 - momentum) * g
    return w - lr * delta, new


@mistake(
    "w is right, but the delta you return is {yours[delta]}, just as it came in; the new one is {right[delta]}. So each step forgets the "
    "gradients before it. Return the new delta: it comes back as an argument at the next step."
)
def returns_old_delta(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    new = momentum * delta + (1 - momentum) * g
    return w - lr * new, delta


@mistake(
    "w is right, but delta is {yours[delta]}, which is {given[lr]} times {right[delta]}: the learning rate ({given[lr]}) is inside your "
    "delta. You cannot see it in w while the rate is constant. Once it changes, the old steps keep the old rate. "
    "In the lecture's form delta knows nothing of the rate: it enters in the line of w."
)
def rate_inside_delta(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + lr * (1 - momentum) * g
    return w - delta, delta


@mistake(
    "Your step is {times} times the right one: w moved by {moved} instead of {should_move}, and delta is {yours[delta]} instead of "
    "{right[delta]}. Two things differ from the lecture's form: the learning rate is inside delta, and the factor (1−m) is missing. "
    "This is the heavy ball of many books. Here delta is an average of gradients, and the rate belongs to the line of w."
)
def heavy_ball(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + lr * g
    return w - delta, delta


@mistake(
    "Your step is {times} times the right one: w moved by {moved} instead of {should_move}, and delta is {yours[delta]} instead of "
    "{right[delta]}. Your delta is a velocity, as in Keras: it holds the learning rate and a minus sign, and lacks the factor (1−m). "
    "In the lecture's form delta is an average of gradients; rate and sign belong to the line of w."
)
def velocity(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta - lr * g
    return w + delta, delta


@mistake(
    "Your step is {times} times the right one: w moved by {moved}, which is the rate {given[lr]} times the gradient {given[g]}. "
    "This is a plain gradient step: delta plays no part in it. Look at what you subtract from w."
)
def ignores_momentum(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return w - lr * g, momentum * delta + (1 - momentum) * g


@ignores_momentum.also
def keeps_delta(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return w - lr * g, delta


@ignores_momentum.also
def stores_gradient(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return w - lr * g, g


@mistake(
    "delta is right, but your step is {times} times the right one. This is what looking ahead does (Nesterov): the step counts the new "
    "gradient a second time, as the next delta would. The rule asked for here steps with delta alone."
)
def nesterov(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * (momentum * delta + (1 - momentum) * g), delta


@mistake(
    "delta is right, but your first step is {times} times the right one, just 1/(1−m). This is what dividing delta by (1−mᵗ) does, "
    "the bias correction of Adam. The lecture's momentum has none: its first steps are short."
)
def bias_correction(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta / (1 - momentum**t), delta


@mistake(
    "Your first delta is the whole gradient, {yours[delta]}; from the second step on you weigh it with (1−m). The first step needs no "
    "rule of its own: Δ = 0 before it, and the formula does the rest. (torch.optim.SGD with `dampening` does start this way.)"
)
def first_step_apart(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = g if t == 1 else momentum * delta + (1 - momentum) * g
    return w - lr * delta, delta


@mistake(
    "delta is right, but w moved by {moved} instead of {should_move}: your step is delta itself, {times} times the right one "
    "at the rate {given[lr]}. The learning rate is missing in the line of w."
)
def no_rate(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + (1 - momentum) * g
    return w - delta, delta


@mistake(
    "At g = {given[g]} and a zero start, delta is {yours[delta]} instead of {right[delta]}. It is what `1 - momentum * g` gives: Python "
    "multiplies before it subtracts. Look at where the weight of g needs parentheses."
)
def missing_parentheses(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + 1 - momentum * g
    return w - lr * delta, delta


@mistake(
    "The two values are right, in the wrong order: w comes back as {yours[w]} and delta as {yours[delta]}. "
    "Return w first, then the state."
)
def exchanged_returns(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + (1 - momentum) * g
    return delta, w - lr * delta


@mistake(
    "The first step agrees; at t = {given[t]} delta is {yours[delta]} instead of {right[delta]}. The old delta, {given[delta]}, enters "
    "with its full weight, so nothing is ever forgotten. Look at what m multiplies."
)
def never_forgets(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = delta + (1 - momentum) * g
    return w - lr * delta, delta


@mistake(
    "All agrees while momentum is 0.9. Here it is {given[momentum]}, and your delta is {yours[delta]} instead of {right[delta]}, as if "
    "it were still 0.9. Look for 0.9 (or 0.1) written as a number, where the argument should stand."
)
def fixed_momentum(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = 0.9 * delta + 0.1 * g
    return w - lr * delta, delta


@mistake(
    "One parameter agrees; with several, delta is {yours[delta]} instead of {right[delta]}: the gradient's mean went to all of them. "
    "Each parameter has a delta of its own. Look for `mean` or `sum`."
)
def one_delta_for_all(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + (1 - momentum) * g.mean() * torch.ones_like(g)
    return w - lr * delta, delta


check = Exercise(
    reference,
    returns=("w", "delta"),
    cases=rule_cases(reference, usual={"lr": 0.5, "momentum": 0.9}, other={"lr": 0.2137, "momentum": 0.5371}),
    mistakes=[
        no_factor,
        ascends,
        negated,
        exchanged_weights,
        steps_with_old_delta,
        returns_old_delta,
        rate_inside_delta,
        heavy_ball,
        velocity,
        ignores_momentum,
        nesterov,
        bias_correction,
        first_step_apart,
        no_rate,
        missing_parentheses,
        exchanged_returns,
        never_forgets,
        fixed_momentum,
        one_delta_for_all,
    ],
    source="course_lib.formulas.momentum",
)
