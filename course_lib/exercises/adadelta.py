"""Exercise: write Adadelta, with the average of the steps before in the numerator."""

import torch

from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.rule_cases import rule_cases
from course_lib.formulas import adadelta as reference

# Case 1 has w = 2.1, g = 3.3, t = 1, lr = 0.5, gamma = 0.9, eps = 0.16: v is 1.089, the step is 3.3 * sqrt(0.16 / 1.249) = 1.181 and w moves
# by half of it.


@mistake(
    "v is right, but w moved by {moved} instead of {should_move}, and u is {yours[u]} instead of {right[u]}. Your step uses an average u that "
    "has the present step in it, as slide 16 is printed. Take the u that came in, {given[u]}, for the step; make the new one after it."
)
def numerator_of_the_slide(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    u = gamma * u + (1 - gamma) * delta**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - lr * delta, v, u


@numerator_of_the_slide.also
def numerator_of_the_slide_kept(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    old = u
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    u = gamma * old + (1 - gamma) * delta**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - lr * delta, v, gamma * old + (1 - gamma) * delta**2


@mistake(
    "w moved by {moved} instead of {should_move}: at t = {given[t]}, with u = {given[u]}, your numerator is zero, and so it stays for ever. "
    "The first length of Adadelta is √ε. Look for ε in the numerator."
)
def never_starts(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = u.sqrt() / (v + eps).sqrt() * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * delta**2


@mistake(
    "w moved by {moved} instead of {should_move}, and v is right. ε = {given[eps]} is added to the roots; it belongs under both of them. "
    "In Adadelta slide and PyTorch agree on that. Look at the parentheses."
)
def eps_outside(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u.sqrt() + eps) / (v.sqrt() + eps) * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * delta**2


@mistake(
    "w moved by {moved} instead of {should_move}, and v is right: u + ε stands in the numerator without its root. "
    "u is a mean square, in squared units; a step is not. Look at the numerator."
)
def no_root_above(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps) / (v + eps).sqrt() * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * delta**2


@mistake(
    "w moved by {moved} instead of {should_move}, and v is right: neither root is taken. Two mean squares are divided, "
    "and the result is multiplied by g. Look at numerator and denominator."
)
def no_roots(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps) / (v + eps) * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * delta**2


@mistake(
    "Your step is {times} times the right one: w moved by {moved}. The ratio stands upside down: the steps belong above the line, the "
    "gradients below. Check the units: only then do those of the gradient cancel."
)
def upside_down(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (v + eps).sqrt() / (u + eps).sqrt() * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * delta**2


@mistake(
    "v and u are right where the step is {times} times the right one: w moved by {moved}. There is no root of u in your step; "
    "lr = {given[lr]} stands in its place. That is RMSprop. Look at the numerator."
)
def rmsprop(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - lr / (v + eps).sqrt() * g, v, gamma * u + (1 - gamma) * delta**2


@mistake(
    "v is right, but your step is {times} times the right one at t = {given[t]}. The denominator uses the old v, {given[v]}, which does not "
    "know the gradient {given[g]} yet. Of the two averages only u must be the old one."
)
def steps_with_old_v(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - lr * delta, gamma * v + (1 - gamma) * g**2, gamma * u + (1 - gamma) * delta**2


@mistake(
    "w and v are right, but u is {yours[u]} instead of {right[u]}: lr = {given[lr]} is inside your u. PyTorch multiplies by lr in the line of "
    "w only; the average is of the steps before that. Look at what you square."
)
def rate_inside_u(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = lr * (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - delta, v, gamma * u + (1 - gamma) * delta**2


@mistake(
    "w and v are right, but u is {yours[u]} instead of {right[u]}: the step is averaged without its square. "
    "Steps of either sign would cancel, and the root of u may not exist. Look at the line of u."
)
def no_square_of_the_step(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * delta


@mistake(
    "w and v are right, but u is {yours[u]} instead of {right[u]}, which is v: you average squared gradients twice. "
    "u is the average of the squared steps. Look at what you square in the line of u."
)
def u_of_gradients(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * g**2


@mistake(
    "w and v are right, but the u you return is {yours[u]}, just as it came in; the new one is {right[u]}. So the steps never grow. "
    "Return the new u: it comes back as an argument at the next step."
)
def returns_old_u(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    return w - lr * (u + eps).sqrt() / (v + eps).sqrt() * g, v, u


@mistake(
    "w is right, but v is {yours[v]} where {right[v]} is expected, and u is {yours[u]} where {right[u]} is: the two averages came back in the "
    "wrong order. Return w, then v (of the gradients), then u (of the steps)."
)
def exchanged_states(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - lr * delta, gamma * u + (1 - gamma) * delta**2, v


@mistake(
    "Your step goes uphill: the gradient is {given[g]}, so w must move by {should_move}, and it moved by {moved}. On slide 16 Δθ has the sign "
    "of the gradient and is subtracted. Look at the sign in the line of w."
)
def ascends(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w + lr * delta, v, gamma * u + (1 - gamma) * delta**2


@mistake(
    "v and u are right, but w moved by {moved} instead of {should_move}: your step is {times} times the right one at lr = {given[lr]}. The "
    "lecture has no lr; PyTorch multiplies the step by one, and so does this exercise. At lr = 1 nobody would see it."
)
def no_rate(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - delta, v, gamma * u + (1 - gamma) * delta**2


@mistake(
    "One parameter agrees; with several, v is {yours[v]} instead of {right[v]}: the mean over all parameters went to each of them. Both "
    "averages are over time, for each parameter by itself. Look for `mean`, `sum` or `norm`."
)
def one_average_for_all(w, g, t, v=0.0, u=0.0, *, lr=1.0, gamma=0.9, eps=1e-6):
    v = gamma * v + (1 - gamma) * (g**2).mean() * torch.ones_like(g)
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    return w - lr * delta, v, gamma * u + (1 - gamma) * (delta**2).mean() * torch.ones_like(g)


check = Exercise(
    reference,
    returns=("w", "v", "u"),
    cases=rule_cases(
        reference, usual={"lr": 0.5, "gamma": 0.9, "eps": 0.16}, other={"lr": 0.2137, "gamma": 0.5371, "eps": 1.37e-3}
    ),
    mistakes=[
        numerator_of_the_slide,
        never_starts,
        eps_outside,
        no_root_above,
        no_roots,
        upside_down,
        rmsprop,
        steps_with_old_v,
        rate_inside_u,
        no_square_of_the_step,
        u_of_gradients,
        returns_old_u,
        exchanged_states,
        ascends,
        no_rate,
        one_average_for_all,
    ],
    source="course_lib.formulas.adadelta",
)
