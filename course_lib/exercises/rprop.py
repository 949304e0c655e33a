"""Exercise: write Rprop, in the lecture's form."""

from dataclasses import replace
from itertools import islice

import torch

from course_lib.exercises.cases import Call, Case, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.rule_cases import START, recorded, rule_cases, steps
from course_lib.formulas import rprop as formula


def rprop(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    """The course's Rprop, with the first rate written as a number."""
    return formula(w, g, t, g_old, eta, alpha=alpha, beta=beta, eta_min=eta_min, eta_max=eta_max)


def adapt(same, eta, alpha, beta, eta_min, eta_max):
    """Slide 14: the new rates, where `same` is the product of the new gradient and the old one."""
    faster, slower = (alpha * eta).clamp(max=eta_max), (beta * eta).clamp(min=eta_min)
    return torch.where(same > 0, faster, torch.where(same < 0, slower, eta))


# Case 1 has w = 2.1, g = 3.3, t = 1, g_old = 0, eta = 0.01: the product is 0, so eta stays and w moves by -0.01. In case 3 the gradient
# turns to -1.1, so eta shrinks to 0.0045. The cases before the fourth never see a repeated sign.


@mistake(
    "w moved by {moved} instead of {should_move}: {times} times as far. The rate is {given[eta]}, and this is the rate times the gradient, "
    "{given[g]}. Only the sign of the gradient counts."
)
def with_size(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = adapt(g * g_old, eta, alpha, beta, eta_min, eta_max)
    return w - eta * g, g, eta


@mistake(
    "Your step goes uphill: the gradient is {given[g]}, so w must move by {should_move}, and it moved by {moved}. "
    "Look at the sign in front of the rate."
)
def ascends(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = adapt(g * g_old, eta, alpha, beta, eta_min, eta_max)
    return w + eta * g.sign(), g, eta


@mistake(
    "At t = {given[t]} the sign turned. Your new eta, {yours[eta]}, is right, but w moved by {moved}: a step with the old one, {given[eta]}. "
    "Slide 14 first adapts the rate, then slide 13 steps with it. Look at the order of your lines."
)
def steps_with_old_rate(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    return w - eta * g.sign(), g, adapt(g * g_old, eta, alpha, beta, eta_min, eta_max)


@mistake(
    "The gradient turned from {given[g_old]} to {given[g]}, and your eta grew from {given[eta]} to {yours[eta]}; it must shrink to "
    "{right[eta]}. A turn means that the weight has jumped over an optimum. Look at which case has α and which has β."
)
def exchanged_cases(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = adapt(-g * g_old, eta, alpha, beta, eta_min, eta_max)
    return w - eta * g.sign(), g, eta


@mistake(
    "At t = 1 there is no old gradient (g_old = {given[g_old]}), the product is 0, and eta must stay {right[eta]}; yours became "
    '{yours[eta]}. This is what treating 0 as a turn does. Slide 14 has a third case, "otherwise".'
)
def zero_is_a_turn(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = torch.where(g * g_old > 0, (alpha * eta).clamp(max=eta_max), (beta * eta).clamp(min=eta_min))
    return w - eta * g.sign(), g, eta


@mistake(
    "At t = 1 there is no old gradient (g_old = {given[g_old]}), the product is 0, and eta must stay {right[eta]}; yours became "
    "{yours[eta]}. This is what treating 0 as a repeated sign does. Look for `>=` where `>` should stand, and for the third case."
)
def zero_is_a_repeat(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = torch.where(g * g_old >= 0, (alpha * eta).clamp(max=eta_max), (beta * eta).clamp(min=eta_min))
    return w - eta * g.sign(), g, eta


@mistake(
    "The step is right, but the g_old you return is {yours[g_old]}, just as it came in; the new one is {right[g_old]}. So the next step "
    "compares its gradient with an old one that never changes. Return the gradient of this step."
)
def keeps_the_first_gradient(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = adapt(g * g_old, eta, alpha, beta, eta_min, eta_max)
    return w - eta * g.sign(), g_old, eta


@mistake(
    "w and eta are right, but the g_old you return is {yours[g_old]}, the sign of {right[g_old]}. The rule would run with it, and be safer "
    "from products too small for float32. The state asked for here is the gradient itself."
)
def stores_the_sign(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = adapt(g * g_old, eta, alpha, beta, eta_min, eta_max)
    return w - eta * g.sign(), g.sign(), eta


@mistake(
    "At t = {given[t]} the sign turned, and your weight moved by {moved} instead of {should_move}, with g_old = {yours[g_old]}. "
    "Waiting a step after a turn and forgetting the gradient is what PyTorch does (iRprop⁻). The lecture's form steps with the halved rate."
)
def pytorchs_form(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = adapt(g * g_old, eta, alpha, beta, eta_min, eta_max)
    g = torch.where(g * g_old < 0, torch.zeros_like(g), g)
    return w - eta * g.sign(), g, eta


@mistake(
    "At t = {given[t]} the sign turned, and you went back by {moved} instead of taking the next step, {should_move}. Taking the last step "
    "back is part of the original of 1993. The lecture's form leaves it out."
)
def backtracks(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    new = adapt(g * g_old, eta, alpha, beta, eta_min, eta_max)
    return torch.where(g * g_old < 0, w + eta * g_old.sign(), w - new * g.sign()), g, new


@mistake(
    "The gradient turned from {given[g_old]} to {given[g]}, and eta is still {yours[eta]}; it must become {right[eta]}. Your rates never "
    "change: this is descent by signs with steps of one length. Look at what happens to eta before the step."
)
def constant_rates(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    return w - eta * g.sign(), g, eta


@mistake(
    "Your rates do what they should until a limit comes: eta became {yours[eta]}, and with eta_min = {given[eta_min]} and "
    "eta_max = {given[eta_max]} it must be {right[eta]}. Look for the `min` and the `max` of slide 14."
)
def no_limits(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = torch.where(g * g_old > 0, alpha * eta, torch.where(g * g_old < 0, beta * eta, eta))
    return w - eta * g.sign(), g, eta


@mistake(
    "eta became {yours[eta]}, where {right[eta]} is right: the rate is now at the *other* end of what is allowed, from {given[eta_min]} to "
    "{given[eta_max]}. Slide 14 takes the smaller of α η and η_max, and the larger of β η and η_min. You exchanged `min` and `max`."
)
def exchanged_limits(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    faster, slower = (alpha * eta).clamp(min=eta_max), (beta * eta).clamp(max=eta_min)
    eta = torch.where(g * g_old > 0, faster, torch.where(g * g_old < 0, slower, eta))
    return w - eta * g.sign(), g, eta


@mistake(
    "All agrees while α is 1.2 and β is 0.5. Here they are {given[alpha]} and {given[beta]}, and your eta is {yours[eta]} instead of "
    "{right[eta]}. Look for 1.2 or 0.5 written as a number, where the argument should stand."
)
def fixed_factors(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = adapt(g * g_old, eta, 1.2, 0.5, eta_min, eta_max)
    return w - eta * g.sign(), g, eta


@mistake(
    "One parameter agrees; with several, eta is {yours[eta]} instead of {right[eta]}: one verdict on the sign went to all of them. "
    "Each parameter has a rate of its own. Look for a `sum`, a `mean` or a dot product of the two gradients."
)
def one_verdict_for_all(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    eta = adapt((g * g_old).sum() * torch.ones_like(g), eta, alpha, beta, eta_min, eta_max)
    return w - eta * g.sign(), g, eta


USUAL = {"alpha": 1.6, "beta": 0.45, "eta_min": 1e-6, "eta_max": 50.0}  # the usual limits are out of reach
OTHER = {"alpha": 2.07, "beta": 0.353, "eta_min": 0.00313, "eta_max": 0.0111}  # these are met from 0.01 in five steps


def run(title: str, look: str, gradients: list, about: tuple[str, ...], hyper: dict = USUAL, eta=0.01) -> Case:
    """The first steps with these gradients, from these rates."""
    gradients = [tensor(g) for g in gradients]
    state = {"g_old": torch.zeros_like(gradients[0]), "eta": torch.zeros_like(gradients[0]) + tensor(eta)}

    def play(call: Call) -> None:
        start = torch.ones_like(gradients[0]) * START
        list(islice(steps(rprop, call, start, recorded(gradients), hyper, state=state), len(gradients)))

    return Case(title, look, play, about=about)


def cases() -> list[Case]:
    """Those of every rule, and more: a sign that stays, a small product, and the ends of what is allowed."""
    first, negative, turn, mirrored, *others = rule_cases(rprop, usual=USUAL, other=OTHER, rate="beta")
    turn_look = (
        "At a turn of the sign: the rate is β times the old one, but not below eta_min, and the step is made with it."
    )
    small_look = "Larger ones agree. The sign of the product counts, however small it is: with what do you compare it?"
    return [
        first,
        replace(negative, about=("sign", "abs", "g")),
        replace(turn, look=turn_look, about=("slower", "beta", "eta_min", "same", "g_old", "g", "order")),
        run(
            "three steps of one sign",
            "Where the sign turns all agrees. Here it stays: look at the case with α and eta_max.",
            [3.3, 1.1, 2.6],
            ("faster", "alpha", "eta_max"),
        ),
        run("a small product above 0", small_look, [0.3, 0.02], ("constant",)),
        run("a small product below 0", small_look, [0.3, -0.02], ("constant",)),
        mirrored,
        *others,
        run(
            "a lower limit of 0",
            "0 is allowed for eta_min, and a number like any other.",
            [3.3, -1.1, 0.6],
            ("default",),
            USUAL | {"eta_min": 0.0},
            eta=1.5e-6,
        ),
        run(
            "no limit given, and rates that come to them",
            "Limits that are given agree: the defaults in the first line of your function have changed.",
            [[3.3, 3.3], [1.1, -1.1], [0.6, 0.6]],
            ("signature",),
            {},
            eta=[40.0, 1.5e-6],
        ),
    ]


check = Exercise(
    rprop,
    returns=("w", "g_old", "eta"),
    cases=cases(),
    mistakes=[
        with_size,
        ascends,
        steps_with_old_rate,
        exchanged_cases,
        zero_is_a_turn,
        zero_is_a_repeat,
        keeps_the_first_gradient,
        stores_the_sign,
        pytorchs_form,
        backtracks,
        constant_rates,
        no_limits,
        exchanged_limits,
        fixed_factors,
        one_verdict_for_all,
    ],
    source="course_lib.formulas.rprop",
)
