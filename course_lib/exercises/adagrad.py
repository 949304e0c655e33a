"""Exercise: write Adagrad, in the lecture's form."""

import torch

from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.rule_cases import rule_cases
from course_lib.formulas import adagrad as reference

# Case 1 has w = 2.1, g = 3.3, t = 1, lr = 0.5, eps = 0.16, so G is 10.89 and w moves by -0.5 * 3.3 / sqrt(11.05) = -0.4964. So large an ε
# shows its place.


@mistake(
    "At g = {given[g]} and a zero start, G is {yours[G]} instead of {right[G]}: the gradient is added as it is. Gradients of either sign "
    "must make the sum grow, or it shrinks again and may turn negative under the root. Look at what is added up."
)
def no_square(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g
    return w - lr / (G + eps).sqrt() * g, G


@mistake(
    "At g = {given[g]} and a zero start, G is {yours[G]} instead of {right[G]}: it adds up absolute values. The sum has to grow with the "
    "square, so that its root has the size of a gradient. Look at what is added up."
)
def adds_absolute_values(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g.abs()
    return w - lr / (G + eps).sqrt() * g, G


@mistake(
    "G is right, but w moved by {moved} instead of {should_move}: the rate is divided by G + ε = {right[G]} + {given[eps]} itself. "
    "G is a sum of squares; only its root has the units of a gradient. Look at the denominator."
)
def no_root(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr / (G + eps) * g, G


@mistake(
    "G is right, but your step is {times} times the right one: w moved by {moved}. The root comes out as a factor where it should divide, "
    "so the steepest parameter takes the longest step. Look at which side of the fraction the root is on."
)
def multiplies(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr * (G + eps).sqrt() * g, G


@mistake(
    "G is right, but your step is {times} times the right one, at t = {given[t]} with G = {given[G]} before the step. "
    "It is divided by the root of the old G, which does not know the gradient {given[g]} yet. Look at the order: first the new G, then w."
)
def steps_with_old_G(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    return w - lr / (G + eps).sqrt() * g, G + g**2


@mistake(
    "w moved by {moved} instead of {should_move}, which is close, and G is right. The difference is the place of ε = {given[eps]}: you add it "
    "to the root, as PyTorch does. On slide 15 it stands under the root. Look at the parentheses around G and ε."
)
def eps_outside(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr / (G.sqrt() + eps) * g, G


@mistake(
    "w moved by {moved} instead of {should_move}: ε = {given[eps]} has no part in it, or it is written as a tiny number of its own. "
    "Without it a parameter whose gradient has been zero so far divides zero by zero. Look for the argument `eps` in the line of w."
)
def no_eps(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr * torch.where(G > 0, g / G.sqrt(), g), G


@no_eps.also
def fixed_eps(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr / (G + 1e-10).sqrt() * g, G


@mistake(
    "The step is right, and G is {yours[G]} instead of {right[G]}: you store G with ε = {given[eps]} in it. So a new ε is added at every "
    "step, {given[eps]} more each time. G is the sum of squares and nothing else: ε belongs to the line of w."
)
def eps_in_G(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2 + eps
    return w - lr / G.sqrt() * g, G


@mistake(
    "Your G is {yours[G]} where the sum of squares is {right[G]}. A weight of 0.1 for the new square and 0.9 for the old is a decaying "
    "average, which is RMSprop (slide 17). Adagrad forgets nothing: every square enters with its full weight."
)
def decays(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = 0.9 * G + 0.1 * g**2
    return w - lr / (G + eps).sqrt() * g, G


@mistake(
    "The first step agrees; at t = {given[t]} G is {yours[G]} instead of {right[G]}, so it has grown too little or not at all. The old sum "
    "{given[G]} is gone: you keep the newest square alone. Look at how the old G enters the new one."
)
def forgets_all(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = 0 * G + g**2
    return w - lr / (G + eps).sqrt() * g, G


@mistake(
    "The first step agrees; at t = {given[t]} your step is {times} times the right one, and G is {yours[G]} instead of {right[G]}: the sum "
    "of squares has become their mean. A mean does not grow, so the rate would not fall. Look for a division by t."
)
def averages(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + (g**2 - G) / t
    return w - lr / (G + eps).sqrt() * g, G


@mistake(
    "G is right, but at t = {given[t]} your step is {times} times the right one: in the line of w the sum is divided by t. "
    "The root of a mean does not grow, so the rate would not fall. Adagrad divides by the root of the sum."
)
def divides_by_t(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr / (G / t + eps).sqrt() * g, G


@mistake(
    "Your step goes uphill: the gradient is {given[g]}, so w must move by {should_move}, and it moved by {moved}. "
    "The size is right, the sign is not. Look at the sign in front of the learning rate."
)
def ascends(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w + lr / (G + eps).sqrt() * g, G


@mistake(
    "w is right, but the G you return is {yours[G]}, just as it came in; the new one is {right[G]}. So the sum never grows. "
    "Return the new G: it comes back as an argument at the next step."
)
def returns_old_G(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    return w - lr / (G + g**2 + eps).sqrt() * g, G


@mistake(
    "w is right, but G is {yours[G]}, the root of {right[G]}. At the next step a square would be added to a root. "
    "The state is the sum of squares; the root is taken anew in the line of w."
)
def stores_the_root(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr / (G + eps).sqrt() * g, G.sqrt()


@mistake(
    "G is {yours[G]} instead of {right[G]}: it adds up the squares of your steps, not of the gradients. Slide 15 speaks of a parameter that "
    "is *updated* by a large accumulated amount, but its formula sums g². Look at what is squared."
)
def adds_up_steps(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    step = lr / (G + eps).sqrt() * g
    return w - step, G + step**2


@mistake(
    "G is right, but w moved by {moved} instead of {should_move}: without the gradient's size, as {given[lr]} over (root times g) would. "
    "In Python `a / (b * g)` divides by g as well. Look at the parentheses in the line of w."
)
def divides_by_g(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - lr / ((G + eps).sqrt() * g), G


@mistake(
    "G is right, but w moved by {moved} instead of {should_move}: your step is {times} times the right one at the rate {given[lr]}. "
    "The learning rate is missing in the line of w."
)
def no_rate(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return w - g / (G + eps).sqrt(), G


@mistake(
    "G is right, but w moved by {moved}, which is the rate {given[lr]} times the gradient {given[g]}: a plain gradient step. "
    "The sum plays no part in it. Look at what divides the learning rate."
)
def ignores_G(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    return w - lr * g, G + g**2


@mistake(
    "The two values are right, in the wrong order: w comes back as {yours[w]} and G as {yours[G]}. Return w first, then the state."
)
def exchanged_returns(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + g**2
    return G, w - lr / (G + eps).sqrt() * g


@mistake(
    "One parameter agrees; with several, G is {yours[G]} instead of {right[G]}: the squares of all went into one number. Then all share one "
    "rate, and a rate for each parameter is what Adagrad is for. Look for `sum`, `mean` or `norm`."
)
def one_G_for_all(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + (g**2).sum() * torch.ones_like(g)
    return w - lr / (G + eps).sqrt() * g, G


@one_G_for_all.also
def one_mean_for_all(w, g, t, G=0.0, *, lr=0.01, eps=1e-10):
    G = G + (g**2).mean() * torch.ones_like(g)
    return w - lr / (G + eps).sqrt() * g, G


check = Exercise(
    reference,
    returns=("w", "G"),
    cases=rule_cases(reference, usual={"lr": 0.5, "eps": 0.16}, other={"lr": 0.2137, "eps": 1.37e-3}),
    mistakes=[
        no_square,
        adds_absolute_values,
        no_root,
        multiplies,
        steps_with_old_G,
        eps_outside,
        no_eps,
        eps_in_G,
        decays,
        forgets_all,
        averages,
        divides_by_t,
        ascends,
        returns_old_G,
        stores_the_root,
        adds_up_steps,
        divides_by_g,
        no_rate,
        ignores_G,
        exchanged_returns,
        one_G_for_all,
    ],
    source="course_lib.formulas.adagrad",
)
