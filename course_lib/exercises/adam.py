"""Exercise: write Adam, with the bias correction that slide 18 means."""

from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.rule_cases import rule_cases
from course_lib.formulas import adam as reference

# Case 1, where most mistakes show, has w = 2.1, g = 3.3, t = 1, lr = 0.5, betas of 0.9 and 0.999, eps = 0.01. So m is 0.33, v is 0.01089,
# their corrected values are 3.3 and 10.89, and w moves by -0.5 · 3.3 / 3.31 = -0.4985.


@mistake(
    "m and v are right, but your step is {times} times the right one: w moved by {moved} instead of {should_move}. Nothing corrects m and v "
    "for having begun at 0: both are still small, v far more so, and you divide by its root. Look for the two lines between m, v and w."
)
def no_correction(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (v.sqrt() + eps), m, v


@mistake(
    "The first step agrees; at t = {given[t]} yours is {times} times the right one, with m and v right. This is what dividing by (1−β) does, "
    "as slide 18 is printed: at t = 1 it is the right divisor, later it is far too small. Look at what must fade as t grows."
)
def constant_correction(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (1 - beta1) / ((v / (1 - beta2)).sqrt() + eps), m, v


@mistake(
    "m and v are right, but your step is {times} times the right one: w moved by {moved} instead of {should_move}. This is what correcting "
    "m alone does: the denominator is still the root of v = {yours[v]}, which began at 0. Both averages need it."
)
def only_m_corrected(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (1 - beta1**t) / (v.sqrt() + eps), m, v


@mistake(
    "m and v are right, but your step is {times} times the right one: w moved by {moved} instead of {should_move}. This is what correcting "
    "v alone does: the numerator is still m = {yours[m]} where the gradient is {given[g]}. Both averages need it."
)
def only_v_corrected(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@mistake(
    "m and v are right, but at t = {given[t]} w is not a number. This is what the exponent t − 1 does: the steps count from 1, so t − 1 is 0 "
    "here, 1−β⁰ is 0, and you divide by it. Look at where your counting of steps starts."
)
def counts_from_zero(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (1 - beta1 ** (t - 1)) / ((v / (1 - beta2 ** (t - 1))).sqrt() + eps), m, v


@mistake(
    "m and v are right, but your step is {times} times the right one. This is what the exponent t + 1 does: t is {given[t]} at the first "
    "step already, so nobody needs to add 1. Code that counts from 0 adds it; the rules of this course do not."
)
def counts_one_too_far(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (1 - beta1 ** (t + 1)) / ((v / (1 - beta2 ** (t + 1))).sqrt() + eps), m, v


@mistake(
    "m and v are right, and w moved by {moved} instead of {should_move}. This is what ε inside the root does, as on slides 15 and 17: there "
    "ε = {given[eps]} stands beside a squared gradient, and acts as its root where gradients are small. Slide 18 adds it outside."
)
def eps_inside_root(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (1 - beta1**t) / (v / (1 - beta2**t) + eps).sqrt(), m, v


@mistake(
    "m and v are right, and w moved by {moved} instead of {should_move}: {times} times the right step. This is what adding ε = {given[eps]} to "
    "the root of the uncorrected v does, as TensorFlow and Keras do. At t = 1 that root is still small, so ε weighs 1/√(1−β₂) times as much."
)
def eps_before_correction(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t) * m / (v.sqrt() + eps), m, v


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}: there is no ε in your denominator. One coordinate with a gradient "
    "of 0 at the first step would make it 0/0. Here ε is {given[eps]}, so that you see it."
)
def no_eps(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (1 - beta1**t) / (v / (1 - beta2**t)).sqrt(), m, v


@mistake(
    "m and v are right, but your step is {times} times the right one: at the gradient {given[g]} w moved by {moved} instead of {should_move}. "
    "This is what a denominator without its root does: v is made of squares, so the unit of the gradient does not cancel."
)
def no_root(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (1 - beta1**t) / (v / (1 - beta2**t) + eps), m, v


@mistake(
    "v is right, but m is {yours[m]} instead of {right[m]} at the gradient {given[g]}: the squared gradient went into m. m must keep the "
    "sign, since it alone knows which way to go. The square belongs to v."
)
def m_from_squares(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g**2, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@mistake(
    "m is right, but v is {yours[v]} instead of {right[v]} at the gradient {given[g]}: the gradient went into v as it is. v is an average of "
    "squares. Without them it can turn negative, and its root is not a number."
)
def v_from_gradient(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g
    return w - lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@mistake(
    "m is right, but v is {yours[v]} instead of {right[v]}: it is the square of an average, and must be an average of squares. You built v "
    "from m, which has little of the gradient {given[g]} in it. Look at what is squared, and when."
)
def v_from_m(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * m**2
    return w - lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@mistake(
    "Your first m is {yours[m]} instead of {right[m]}, and v is {yours[v]} instead of {right[v]}: the new gradient enters with its full weight. "
    "The two weights of an average add up to 1. Look at the factors (1−β)."
)
def sums(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + g, beta2 * v + g**2
    return w - lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@mistake(
    "m is {yours[m]} instead of {right[m]}, and v is {yours[v]} instead of {right[v]}: β1 and β2 are exchanged. m is the shorter memory, "
    "with β1 = {given[beta1]}; v is the longer one, with β2 = {given[beta2]}."
)
def exchanged_betas(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    return reference(w, g, t, m, v, lr=lr, beta1=beta2, beta2=beta1, eps=eps)


@mistake(
    "m is {yours[m]} instead of {right[m]}, and v is {yours[v]} instead of {right[v]}: in each average the two weights are exchanged. "
    "With β1 = {given[beta1]} most of m must come from the past and little from the new gradient."
)
def exchanged_weights(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = (1 - beta1) * m + beta1 * g, (1 - beta2) * v + beta2 * g**2
    return w - lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@exchanged_weights.also
def exchanged_everywhere(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    return reference(w, g, t, m, v, lr=lr, beta1=1 - beta1, beta2=1 - beta2, eps=eps)


@mistake(
    "w is right, but the state you return is m = {yours[m]} instead of {right[m]} and v = {yours[v]} instead of {right[v]}: the corrected "
    "averages. The next step would correct them again. Keep m and v as they are, and give the corrected ones names of their own."
)
def stores_corrected(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    w, m, v = reference(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w, m / (1 - beta1**t), v / (1 - beta2**t)


@mistake(
    "w is right, but m and v come back as they came in: {yours[m]} and {yours[v]} instead of {right[m]} and {right[v]}. So each step forgets "
    "the gradients before it. Return the new ones: they come back as arguments at the next step."
)
def returns_old_state(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    return reference(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)[0], m, v


@mistake(
    "The values are right, in the wrong order: m comes back as {yours[m]} and v as {yours[v]}. The state goes out in the order in which it "
    "comes in: first m, then v."
)
def exchanged_state(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    w, m, v = reference(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w, v, m


@mistake(
    "The values are right, in the wrong order: w comes back as {yours[w]}, which is the new m. Return w first, then the state."
)
def state_first(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    w, m, v = reference(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return m, v, w


@mistake(
    "Your step goes uphill: the gradient is {given[g]}, so w must move by {should_move}, and it moved by {moved}. "
    "The size is right, the sign is not. Look at the sign in front of the learning rate."
)
def ascends(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    new, m, v = reference(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w + (w - new), m, v


@mistake(
    "The first step agrees; at t = {given[t]} w moved by {moved} instead of {should_move}, with m and v right. The new gradient {given[g]} "
    "stands in your numerator by itself, so m plays no part in the step. This is RMSprop with a corrected v. Look at what you divide."
)
def gradient_in_numerator(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * g / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@mistake(
    "All agrees at the usual betas. Here they are {given[beta1]} and {given[beta2]}, and m is {yours[m]} instead of {right[m]}, as if they were "
    "still 0.9 and 0.999. Look for a number written where an argument should stand."
)
def fixed_betas(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    return reference(w, g, t, m, v, lr=lr, eps=eps)


@mistake(
    "One parameter agrees; with several, v is {yours[v]} instead of {right[v]}: the same for all of them. Each parameter has a v of its own, "
    "or the small gradients drown in the large ones. Look for `mean`, `sum` or `norm`."
)
def one_v_for_all(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * (g**2).mean()
    return w - lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@one_v_for_all.also
def norm_of_all(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * (g**2).sum()
    return w - lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


check = Exercise(
    reference,
    returns=("w", "m", "v"),
    cases=rule_cases(
        reference,
        usual={"lr": 0.5, "beta1": 0.9, "beta2": 0.999, "eps": 1e-2},
        other={"lr": 0.2137, "beta1": 0.5371, "beta2": 0.7519, "eps": 0.1371},
    ),
    mistakes=[
        no_correction,
        constant_correction,
        only_m_corrected,
        only_v_corrected,
        counts_from_zero,
        counts_one_too_far,
        eps_inside_root,
        eps_before_correction,
        no_eps,
        no_root,
        m_from_squares,
        v_from_gradient,
        v_from_m,
        sums,
        exchanged_betas,
        exchanged_weights,
        stores_corrected,
        returns_old_state,
        exchanged_state,
        state_first,
        ascends,
        gradient_in_numerator,
        fixed_betas,
        one_v_for_all,
    ],
    source="course_lib.formulas.adam",
)
