"""Exercise: write RMSprop, in the lecture's form."""

import torch

from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.rule_cases import rule_cases
from course_lib.formulas import rmsprop as reference

# Case 1 has w = 2.1, g = 3.3, t = 1, lr = 0.5, gamma = 0.9, eps = 0.16: v is 1.089 and w moves by -0.5 * 3.3 / sqrt(1.249) = -1.476.


@mistake(
    "v is {yours[v]} instead of {right[v]}: at t = {given[t]} the square of g = {given[g]} enters with its full weight. Without the factor "
    "(1−γ) the weights of the past add up to 1/(1−γ), not to 1, and v is no average. Look at the weight of g²."
)
def no_factor(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + g**2
    return w - lr / (v + eps).sqrt() * g, v


@mistake(
    "At t = {given[t]} v is {yours[v]} instead of {right[v]}. The old v, {given[v]}, stays whole and the new square is added whole: this is "
    "Adagrad (slide 15), whose sum only grows. RMSprop weighs the two with γ and 1−γ, so that it can forget."
)
def adagrad(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = v + g**2
    return w - lr / (v + eps).sqrt() * g, v


@mistake(
    "The first step agrees; at t = {given[t]} v is {yours[v]} instead of {right[v]}. The old v, {given[v]}, enters with its full weight, so "
    "nothing is ever forgotten. Look at what γ multiplies."
)
def never_forgets(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = v + (1 - gamma) * g**2
    return w - lr / (v + eps).sqrt() * g, v


@mistake(
    "v is {yours[v]} instead of {right[v]}, and your step is {times} times the right one. This is what exchanging the two weights does: with "
    "γ = {given[gamma]}, most of v must come from the past and little from g². Look at which weight stands at which term."
)
def exchanged_weights(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = (1 - gamma) * v + gamma * g**2
    return w - lr / (v + eps).sqrt() * g, v


@mistake(
    "At g = {given[g]} v is {yours[v]} instead of {right[v]}: the gradient is averaged as it is, and so its sign stays in. "
    "An average under a root must be one of squares. Look at what is averaged."
)
def no_square(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g
    return w - lr / (v + eps).sqrt() * g, v


@mistake(
    "At g = {given[g]} v is {yours[v]} instead of {right[v]}: the factor (1−γ) is squared with the gradient. "
    "Only g is squared; its weight is not. Look at the parentheses around (1−γ) and g."
)
def squares_the_weight(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + ((1 - gamma) * g) ** 2
    return w - lr / (v + eps).sqrt() * g, v


@mistake(
    "v is right, but w moved by {moved} instead of {should_move}: the rate is divided by v + ε itself. "
    "v is a mean square; only its root has the units of a gradient. Look at the denominator."
)
def no_root(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / (v + eps) * g, v


@mistake(
    "w moved by {moved} instead of {should_move}, and v is right. The difference is the place of ε = {given[eps]}: you add it to the root, "
    "as PyTorch does. On slide 17 it stands under the root. Look at the parentheses around v and ε."
)
def eps_outside(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / (v.sqrt() + eps) * g, v


@mistake(
    "w moved by {moved} instead of {should_move}: ε = {given[eps]} has no part in it, or it is written as a tiny number of its own. "
    "Without it a parameter whose gradients are zero divides zero by zero. Look for the argument `eps` in the line of w."
)
def no_eps(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / v.sqrt() * g, v


@no_eps.also
def fixed_eps(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / (v + 1e-8).sqrt() * g, v


@mistake(
    "v is right, but at t = {given[t]} your step is {times} times the right one. It is divided by the root of the old v, {given[v]}, which "
    "does not know the gradient {given[g]} yet. Look at the order: first the new v, then w."
)
def steps_with_old_v(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    return w - lr / (v + eps).sqrt() * g, gamma * v + (1 - gamma) * g**2


@mistake(
    "w is right, but the v you return is {yours[v]}, just as it came in; the new one is {right[v]}. So the average never changes. "
    "Return the new v: it comes back as an argument at the next step."
)
def returns_old_v(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    return w - lr / (gamma * v + (1 - gamma) * g**2 + eps).sqrt() * g, v


@mistake(
    "v is right, but your first step is {times} times the right one: w moved by {moved}. This is what dividing v by (1−γᵗ) does, the bias "
    "correction of Adam. RMSprop has none, and so its first step is its longest."
)
def bias_correction(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr / (v / (1 - gamma**t) + eps).sqrt() * g, v


@mistake(
    "Your first v is the whole square, {yours[v]} instead of {right[v]}; from the second step on you weigh it with (1−γ). The first step needs "
    "no rule of its own: v = 0 before it, and the formula does the rest."
)
def first_step_apart(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = g**2 if t == 1 else gamma * v + (1 - gamma) * g**2
    return w - lr / (v + eps).sqrt() * g, v


@mistake(
    "Your step goes uphill: the gradient is {given[g]}, so w must move by {should_move}, and it moved by {moved}. "
    "The size is right, the sign is not. Look at the sign in front of the learning rate."
)
def ascends(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w + lr / (v + eps).sqrt() * g, v


@mistake(
    "v is right, but w moved by {moved} instead of {should_move}: your step is {times} times the right one at the rate {given[lr]}. "
    "The learning rate is missing in the line of w."
)
def no_rate(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return w - g / (v + eps).sqrt(), v


@mistake(
    "The two values are right, in the wrong order: w comes back as {yours[w]} and v as {yours[v]}. Return w first, then the state."
)
def exchanged_returns(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * g**2
    return v, w - lr / (v + eps).sqrt() * g


@mistake(
    "All agrees while γ is 0.9. Here it is {given[gamma]}, and your v is {yours[v]} instead of {right[v]}, as if it were still 0.9. "
    "Slide 17 writes the numbers 0.9 and 0.1; write the argument `gamma`."
)
def fixed_gamma(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = 0.9 * v + 0.1 * g**2
    return w - lr / (v + eps).sqrt() * g, v


@mistake(
    "One parameter agrees; with several, v is {yours[v]} instead of {right[v]}: the mean over all parameters went to each of them. The mean "
    "of RMSprop is one over time, for each parameter by itself. Look for `mean`, `sum` or `norm`."
)
def one_v_for_all(w, g, t, v=0.0, *, lr=0.01, gamma=0.9, eps=1e-8):
    v = gamma * v + (1 - gamma) * (g**2).mean() * torch.ones_like(g)
    return w - lr / (v + eps).sqrt() * g, v


check = Exercise(
    reference,
    returns=("w", "v"),
    cases=rule_cases(
        reference, usual={"lr": 0.5, "gamma": 0.9, "eps": 0.16}, other={"lr": 0.2137, "gamma": 0.5371, "eps": 1.37e-3}
    ),
    mistakes=[
        no_factor,
        adagrad,
        never_forgets,
        exchanged_weights,
        no_square,
        squares_the_weight,
        no_root,
        eps_outside,
        no_eps,
        steps_with_old_v,
        returns_old_v,
        bias_correction,
        first_step_apart,
        ascends,
        no_rate,
        exchanged_returns,
        fixed_gamma,
        one_v_for_all,
    ],
    source="course_lib.formulas.rmsprop",
)
