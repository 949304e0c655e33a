"""Exercise: write AdamW, Adam with a decay that nothing divides."""

from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.rule_cases import rule_cases
from course_lib.formulas import adam, adam_l2
from course_lib.formulas import adamw as reference

# Case 1, where most mistakes show, has w = 2.1, g = 3.3, t = 1, lr = 0.5, betas of 0.9 and 0.999, eps = 0.01, decay = 0.1. So m is 0.33 and
# v is 0.01089; Adam moves w by -0.4985, the decay by -0.5 · 0.1 · 2.1 = -0.105.


def averages(g, m, v, beta1, beta2):
    """Adam's two averages, which no decay enters."""
    return beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2


def ratio(m, v, t, beta1, beta2, eps):
    """Adam's step at the rate 1."""
    return m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps)


@mistake(
    "m is {yours[m]} instead of {right[m]}, and v is {yours[v]} instead of {right[v]} at the gradient {given[g]}: the decay went into the "
    "gradient, so it is averaged and divided with it. This is Adam + L2, `torch.optim.Adam(weight_decay=…)`. In AdamW it acts on w alone."
)
def l2_in_gradient(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    return adam_l2(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)


@mistake(
    "v is right, but m is {yours[m]} instead of {right[m]}: the decay entered m and not v. This is how slide 19 prints the L2 form, with the "
    "λθ in the numerator only. It is neither Adam + L2, where v has it too, nor AdamW, where neither has it."
)
def l2_in_m(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    m, _ = averages(g + decay * w, m, v, beta1, beta2)
    _, v = averages(g, m, v, beta1, beta2)
    return w - lr * ratio(m, v, t, beta1, beta2, eps), m, v


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}. This is what a decay divided by the root of v does: λθ stands over "
    "the same denominator as m. To take it out from under that root is all that AdamW is about."
)
def divided_decay(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    m, v = averages(g, m, v, beta1, beta2)
    return w - lr * (m / (1 - beta1**t) + decay * w) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}. Your decay takes off {given[decay]} of w where ηλ, the rate "
    "{given[lr]} times that, is right. Without the rate a schedule would shrink the steps and leave the decay at full strength."
)
def decay_without_rate(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - decay * w, m, v


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}: close, but not it. You decay the w that Adam has moved already, so "
    "the decay acts on Adam's step, too. The error is ηλ times that step: of second order in the rate, large here at η = {given[lr]}."
)
def decays_moved_w(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - lr * decay * w_adam, m, v


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}. Your decay pushes w away from 0: the weights grow by the factor 1+ηλ "
    "a step. Look at the sign in front of the decay."
)
def grows(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam + lr * decay * w, m, v


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}, which is Adam's step and nothing else. The decay {given[decay]} does "
    "not enter at all. Look at what else w must lose in a step."
)
def no_decay(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    return adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}: your decay is twice the right one. That is the slope of λ‖θ‖². "
    "The decay of the lecture is ηλθ, without a 2: it belongs to λ/2 times ‖θ‖²."
)
def twice(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - 2 * lr * decay * w, m, v


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}. Your decay takes the same amount off every weight, by its sign only: "
    "that is an L1 penalty. In AdamW a weight loses a share of itself, ηλ times w = {given[w]}."
)
def by_sign(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - lr * decay * w.sign(), m, v


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}. Your decay holds the square of w = {given[w]}: that is the penalty "
    "itself, and what acts on w is its slope. A squared weight also pushes negative weights away from 0."
)
def squared(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - lr * decay * w**2, m, v


@squared.also
def half_squared(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - lr * decay / 2 * w**2, m, v


@mistake(
    "m and v are right, but w moved by {moved} instead of {should_move}: {times} times the right step. The corrections of m and v are missing, "
    "so the first steps are too long and the decay weighs too little beside them. Look at the chapter on Adam."
)
def no_correction(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    m, v = averages(g, m, v, beta1, beta2)
    return w - lr * m / (v.sqrt() + eps) - lr * decay * w, m, v


@mistake(
    "m and v are right, and w moved by {moved} instead of {should_move}. This is what ε inside the root does: there ε = {given[eps]} stands "
    "beside a squared gradient. Slides 18 and 19 add it outside."
)
def eps_inside_root(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    m, v = averages(g, m, v, beta1, beta2)
    return w - lr * m / (1 - beta1**t) / (v / (1 - beta2**t) + eps).sqrt() - lr * decay * w, m, v


@mistake(
    "The first step agrees; at t = {given[t]} w moved by {moved} instead of {should_move}, with m and v right. This is what dividing by (1−β) "
    "does, as slide 18 is printed, instead of 1−βᵗ. Look at what must fade as t grows."
)
def constant_correction(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    m, v = averages(g, m, v, beta1, beta2)
    return w - lr * ratio(m, v, 1, beta1, beta2, eps) - lr * decay * w, m, v


@mistake(
    "w is right, but the state you return is m = {yours[m]} instead of {right[m]} and v = {yours[v]} instead of {right[v]}: the corrected "
    "averages. The next step would correct them again. Give the corrected ones names of their own."
)
def stores_corrected(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w, m, v = reference(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)
    return w, m / (1 - beta1**t), v / (1 - beta2**t)


@mistake(
    "The values are right, in the wrong order: m comes back as {yours[m]} and v as {yours[v]}. The state goes out in the order in which it "
    "comes in: first m, then v."
)
def exchanged_state(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w, m, v = reference(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)
    return w, v, m


@mistake(
    "All agrees while the decay is 0.1. Here it is {given[decay]}, and w moved by {moved} instead of {should_move}, as if it were still 0.1. "
    "Look for a number written where `decay` should stand."
)
def fixed_decay(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    return reference(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=0.1)


@mistake(
    "One parameter agrees; with several, w moved by {moved} instead of {should_move}: each one lost the same amount, made from the norm or "
    "the mean of all. Each weight loses a share of itself. Look for `norm`, `mean` or `sum`."
)
def by_norm(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - lr * decay * w.norm(), m, v


@by_norm.also
def by_mean(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w_adam, m, v = adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w_adam - lr * decay * w.mean(), m, v


check = Exercise(
    reference,
    returns=("w", "m", "v"),
    cases=rule_cases(
        reference,
        usual={"lr": 0.5, "beta1": 0.9, "beta2": 0.999, "eps": 1e-2, "decay": 0.1},
        other={"lr": 0.2137, "beta1": 0.5371, "beta2": 0.7519, "eps": 0.1371, "decay": 0.4739},
    ),
    mistakes=[
        l2_in_gradient,
        l2_in_m,
        divided_decay,
        decay_without_rate,
        decays_moved_w,
        grows,
        no_decay,
        twice,
        by_sign,
        squared,
        no_correction,
        eps_inside_root,
        constant_correction,
        stores_corrected,
        exchanged_state,
        fixed_decay,
        by_norm,
    ],
    source="course_lib.formulas.adamw",
)
