"""Exercise: write one step of gradient descent."""

from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.rule_cases import rule_cases
from course_lib.formulas import gradient_descent as reference

# Case 1, where most mistakes show, has w = 2.1, g = 3.3, t = 1, lr = 0.5, so w moves by -1.65.


@mistake(
    "Your step goes uphill: the gradient is {given[g]}, so w must move by {should_move}, and it moved by {moved}. The gradient points to "
    "where the loss grows. Look at the sign in front of the learning rate."
)
def ascends(w, g, t, *, lr=0.1):
    return w + lr * g


@mistake(
    "Your step is {times} times the right one: w moved by {moved}, which is the whole gradient. The learning rate, here {given[lr]}, "
    "plays no part. Look at what you subtract."
)
def no_rate(w, g, t, *, lr=0.1):
    return w - g


@mistake(
    "You return {yours[w]}, which is the step. The caller wants the place that it leads to: from w = {given[w]} it is {right[w]}. "
    "Look for the missing w."
)
def step_alone(w, g, t, *, lr=0.1):
    return -lr * g


@mistake(
    "Your step is {times} times the right one: w moved by {moved}, the gradient {given[g]} *divided* by the rate {given[lr]}. "
    "A small rate must make a short step. Look at the operator between the two."
)
def divides_by_rate(w, g, t, *, lr=0.1):
    return w - g / lr


@mistake(
    "w moved by {moved} instead of {should_move}. This is the learning rate times w itself ({given[w]}), whatever the gradient is "
    "({given[g]}): weight decay without a loss. Look at what the rate multiplies."
)
def gradient_is_w(w, g, t, *, lr=0.1):
    return w - lr * w


@mistake(
    "w moved by {moved} instead of {should_move}: as far as the rate {given[lr]} times the whole difference w − g. Python multiplies "
    "before it subtracts, so no parentheses are needed. Look at where yours stand."
)
def misplaced_parentheses(w, g, t, *, lr=0.1):
    return lr * (w - g)


@mistake(
    "w = {given[w]} became {yours[w]} instead of {right[w]}. This is w times (1 − ηg): each weight is scaled instead of shifted. "
    "The step does not depend on how large w is."
)
def scales_w(w, g, t, *, lr=0.1):
    return w * (1 - lr * g)


@mistake(
    "w moved by {moved} instead of {should_move}: the rate {given[lr]} alone, in the direction of the sign. The size of the gradient, "
    "{given[g]}, is lost. This is the first step of Rprop; gradient descent makes long steps where it is steep."
)
def sign_alone(w, g, t, *, lr=0.1):
    return w - lr * g.sign()


@mistake(
    "w moved by {moved} instead of {should_move}: your step is as long as the rate, {given[lr]}, whatever the gradient's length is. "
    "This is what dividing the gradient by its norm does. It never comes to rest; gradient descent does not divide."
)
def normalized(w, g, t, *, lr=0.1):
    return w - lr * g / g.square().sum().sqrt()


@mistake(
    "The first step agrees; at t = {given[t]} your step is {times} times the right one. This is what a rate divided by t does. "
    "A schedule is the caller's: the rate that comes in, {given[lr]}, is the rate of this step."
)
def rate_over_t(w, g, t, *, lr=0.1):
    return w - lr / t * g


@mistake(
    "Your step is {times} times the right one: w moved by {moved}, as it would with the rate 0.1. The rate that came in is {given[lr]}. "
    "Look for 0.1 written as a number, where the argument should stand."
)
def fixed_rate(w, g, t, *, lr=0.1):
    return w - 0.1 * g


@mistake(
    "One parameter agrees; with several each one got the same step: w moved by {moved} instead of {should_move}. The gradient has one "
    "entry for each parameter. Look for `mean` or `sum`."
)
def one_step_for_all(w, g, t, *, lr=0.1):
    return w - lr * g.mean()


@one_step_for_all.also
def one_sum_for_all(w, g, t, *, lr=0.1):
    return w - lr * g.sum()


check = Exercise(
    reference,
    returns=("w",),
    cases=rule_cases(reference, usual={"lr": 0.5}, other={"lr": 0.2137}),
    mistakes=[
        ascends,
        no_rate,
        step_alone,
        divides_by_rate,
        gradient_is_w,
        misplaced_parentheses,
        scales_w,
        sign_alone,
        normalized,
        rate_over_t,
        fixed_rate,
        one_step_for_all,
    ],
    source="torch.optim.SGD",
)
