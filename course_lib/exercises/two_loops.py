"""Exercise: write the two-loop recursion of L-BFGS."""

from course_lib.exercises.cases import once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake


def two_loops(g, P, Q):
    """B g from the pairs (p, q), the rows of P and Q, the newest first."""
    return recursion(g, P, Q)


def newest_gamma(P, Q):
    return P[0] @ Q[0] / (Q[0] @ Q[0])


def product(p, q):
    return p @ q


def recursion(
    g,
    P,
    Q,
    *,
    back=None,
    forward=None,
    gamma=newest_gamma,
    first=-1,
    second=1,
    seen="q",
    scale=product,
    fresh=True,
    coefficient=1,
):
    """The two loops, with every part that a mistake can change."""
    pairs, start = [*zip(P, Q, strict=True)], g
    back = range(len(pairs)) if back is None else back(len(pairs))
    forward = reversed(range(len(pairs))) if forward is None else forward(len(pairs))
    a = {}
    for k in back:
        p, q = pairs[k]
        a[k] = p @ (g if fresh else start) / scale(p, q)
        g = g + first * a[k] * q
    g = gamma(P, Q) * g
    for k in forward:
        p, q = pairs[k]
        b = (q if seen == "q" else p) @ g / scale(p, q)
        g = g + second * (coefficient * a[k] - b) * p
    return g


@mistake(
    "With one pair all agrees; here B g is {yours[Bg]} instead of {right[Bg]}. Both loops run from the newest pair to the oldest. The first goes "
    "back in time; the second must come forward again, the oldest pair first: it undoes the brackets from the inside."
)
def same_order_twice(g, P, Q):
    return recursion(g, P, Q, forward=range)


@mistake(
    "With one pair all agrees; here B g is {yours[Bg]} instead of {right[Bg]}. Your two loops run the wrong way around: first from the oldest "
    "pair to the newest, then back. Row 0 of P and Q is the newest. It must come first in the first loop."
)
def oldest_and_newest_exchanged(g, P, Q):
    return recursion(g, P, Q, back=lambda n: reversed(range(n)), forward=range)


@mistake(
    "With one pair all agrees; here B g is {yours[Bg]} instead of {right[Bg]}. Both loops begin with the oldest pair. The second one should; "
    "the first goes back in time and begins with row 0, the newest."
)
def both_from_the_oldest(g, P, Q):
    return recursion(g, P, Q, back=lambda n: reversed(range(n)))


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: between the loops g is not scaled, as if the first B were I. "
    "Multiply it by γ = pᵀq / qᵀq of the newest pair."
)
def no_gamma(g, P, Q):
    return recursion(g, P, Q, gamma=lambda P, Q: 1.0)


@mistake(
    "With one pair all agrees; here B g is {yours[Bg]} instead of {right[Bg]}. Your γ is that of the oldest pair. "
    "The newest one, row 0, knows best how the loss is curved now."
)
def oldest_gamma(g, P, Q):
    return recursion(g, P, Q, gamma=lambda P, Q: P[-1] @ Q[-1] / (Q[-1] @ Q[-1]))


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: your γ is upside down, qᵀq / pᵀq. B is an *inverse* Hessian: where the gradient changes "
    "fast (large q), it must be small."
)
def gamma_upside_down(g, P, Q):
    return recursion(g, P, Q, gamma=lambda P, Q: Q[0] @ Q[0] / (P[0] @ Q[0]))


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: your γ is pᵀp / pᵀq. It has the right units and is never smaller than the right one, "
    "pᵀq / qᵀq, which makes γ q the nearest to p."
)
def other_gamma(g, P, Q):
    return recursion(g, P, Q, gamma=lambda P, Q: P[0] @ P[0] / (P[0] @ Q[0]))


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: in the first loop a q is added. The loop multiplies g by I − ρ q pᵀ, with a minus. "
    "Look at the sign in the first loop."
)
def first_sign(g, P, Q):
    return recursion(g, P, Q, first=1)


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: in the second loop (a − b) p is subtracted. It is a p that comes in, and b p that goes out. "
    "Look at the sign in the second loop."
)
def second_sign(g, P, Q):
    return recursion(g, P, Q, second=-1)


@mistake(
    "With one pair all agrees; here B g is {yours[Bg]} instead of {right[Bg]}. Each a of your first loop is made from the gradient that came in. "
    "It must be made from what the newer pairs have left of it: g changes within the loop."
)
def stale_gradient(g, P, Q):
    return recursion(g, P, Q, fresh=False)


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: the second loop measures g along p, as the first one does. There it is q: "
    "b = ρ qᵀ g. The factor is the transpose of the first loop's."
)
def measures_p_twice(g, P, Q):
    return recursion(g, P, Q, seen="p")


@mistake(
    "With one pair all agrees; here B g is {yours[Bg]} instead of {right[Bg]}. The pairs come back in the right order, but not their a: each "
    "pair needs the a that it had in the first loop. Keep the list in step with the pairs."
)
def a_in_the_wrong_order(g, P, Q):
    a, rho = [], 1 / (P * Q).sum(dim=1)
    for p, q, r in zip(P, Q, rho, strict=True):
        a.append(r * (p @ g))
        g = g - a[-1] * q
    g = P[0] @ Q[0] / (Q[0] @ Q[0]) * g
    for k, x in zip(reversed(range(len(P))), a, strict=True):
        g = g + (x - rho[k] * (Q[k] @ g)) * P[k]
    return g


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: the same size, the opposite sign. You return the direction d = −B g. "
    "Here B g itself is asked for; the minus belongs to the step."
)
def direction(g, P, Q):
    return -recursion(g, P, Q)


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: your ρ is 1 / qᵀq. It is 1 / pᵀq in both loops; qᵀq stands in γ alone."
)
def wrong_rho(g, P, Q):
    return recursion(g, P, Q, scale=lambda p, q: q @ q)


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: your ρ is pᵀq; it is 1 over it. Look at the numbers a and b of both loops."
)
def rho_upside_down(g, P, Q):
    return recursion(g, P, Q, scale=lambda p, q: 1 / (p @ q))


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: the second loop does not use the a of the first. Without it the term ρ p pᵀ of the update is "
    "missing, and B knows no step at all. The factor of p is a − b."
)
def forgets_a(g, P, Q):
    return recursion(g, P, Q, coefficient=0)


@mistake(
    "B g is {yours[Bg]} instead of {right[Bg]}: this is what the first loop and γ leave. The second loop is missing, or its result is not returned."
)
def one_loop(g, P, Q):
    return recursion(g, P, Q, forward=lambda n: ())


H = tensor([[4.1, 1.2, 0.6], [1.2, 3.3, -1.1], [0.6, -1.1, 2.2]])
STEPS = tensor([[1.1, 0.0, -1.2], [0.6, 2.3, 0.2], [-1.1, 0.9, 1.3], [0.3, -0.2, 0.8], [2.1, 0.6, 0.1]])
FLAT = tensor([[2.1, -0.7], [-0.7, 1.1]])
PAIR = tensor([[1.1, -0.6], [-0.2, 0.7]])
SLOPE, SLOPES = tensor([1.3, -2.1]), tensor([1.1, -2.3, 0.6])

check = Exercise(
    two_loops,
    returns=("Bg",),
    cases=[
        once("one pair, two parameters", "", g=SLOPE, P=PAIR[:1], Q=PAIR[:1] @ FLAT),
        once(
            "two pairs",
            "One pair agrees: look at the order of the two loops, at the rows that you take, and at which a belongs to which pair.",
            g=SLOPE,
            P=PAIR,
            Q=PAIR @ FLAT,
            about=("order", "constant", "a"),
        ),
        once(
            "three pairs, three parameters",
            "Two pairs agree: look for an index that is written as a number.",
            g=SLOPES,
            P=STEPS[:3],
            Q=STEPS[:3] @ H,
            about=("constant",),
        ),
        once(
            "five pairs, more than there are parameters",
            "Three pairs agree: look for a loop over the parameters instead of the pairs.",
            g=SLOPES,
            P=STEPS,
            Q=STEPS @ H,
            about=("constant",),
        ),
        several(
            "one parameter",
            "More parameters agree: here each vector has one element, and B g is p g / q.",
            *({"g": tensor([-1.7]), "P": STEPS[:n, :1] + 0.1, "Q": 3.1 * STEPS[:n, :1] + 0.31} for n in (1, 3)),
            about=("shape",),
        ),
        once(
            "the gradient of the newest step: B q = p",
            "The result must be p here, by the secant equation.",
            g=H @ STEPS[0],
            P=STEPS[:3],
            Q=STEPS[:3] @ H,
            about=("a", "p", "q"),
        ),
        once(
            "a gradient of 0",
            "B g is 0 for g = 0: look for something divided by g.",
            g=0 * SLOPE,
            P=PAIR,
            Q=PAIR @ FLAT,
            about=("g",),
        ),
        once(
            "float32",
            "float64 agrees: look for a tensor made in another precision than that of g.",
            g=SLOPES.float(),
            P=STEPS.float(),
            Q=(STEPS @ H).float(),
            about=("float32",),
        ),
    ],
    mistakes=[
        same_order_twice,
        oldest_and_newest_exchanged,
        both_from_the_oldest,
        no_gamma,
        oldest_gamma,
        gamma_upside_down,
        other_gamma,
        first_sign,
        second_sign,
        stale_gradient,
        measures_p_twice,
        a_in_the_wrong_order,
        direction,
        wrong_rho,
        rho_upside_down,
        forgets_a,
        one_loop,
    ],
    source="the two-loop recursion",
)
