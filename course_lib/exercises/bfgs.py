"""Exercise: write the BFGS update of the inverse Hessian."""

import torch

from course_lib.exercises.cases import Case, once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.second_order import bfgs_update as reference

# Case 1 has B = (2.1), p = (-0.6), q = (-4.8): any B that solves B q = p is 0.125 there.


def product(B, p, q, rho):
    """The product form without its last term, for any ρ."""
    V = torch.eye(len(p), dtype=p.dtype) - rho * torch.outer(q, p)
    return V.T @ B @ V


@mistake(
    "Your B solves B p = q, not B q = p: the two vectors are exchanged. This is the update of the Hessian itself. The B of this page is the "
    "*inverse* Hessian: it takes a change of the gradient, q, and gives the step, p."
)
def exchanged(B, p, q):
    return product(B, q, p, 1 / (p @ q)) + torch.outer(q, q) / (p @ q)


@mistake(
    "Every element of B has changed by the same number: somewhere p @ p stands for a matrix. The correction is made of outer products, "
    "p pᵀ with a row for each element of p. Look for `torch.outer`."
)
def inner_products(B, p, q):
    Bq = B @ q
    return B + p @ p / (p @ q) * (1 + q @ Bq / (p @ q)) - 2 * (Bq @ p) / (p @ q)


@mistake(
    "Your B sends q to 0, and q must become p. The two factors around B are right. What they have cleared away must be filled: a term is "
    "missing after the product (in the slide's form: the 1 in the brackets)."
)
def no_last_term(B, p, q):
    return product(B, p, q, 1 / (p @ q))


@no_last_term.also
def no_one_in_the_brackets(B, p, q):
    Bq = B @ q
    return B + torch.outer(p, p) / (p @ q) * (q @ Bq / (p @ q)) - (torch.outer(Bq, p) + torch.outer(p, Bq)) / (p @ q)


@mistake(
    "Your B is symmetric, but B q is not p. The two factors around the old B have changed places: the one that stands on the left must "
    "have p in its column, p qᵀ, the one on the right q pᵀ. Check: the right factor alone must send q to 0."
)
def factors_exchanged(B, p, q):
    V = torch.eye(len(p), dtype=p.dtype) - torch.outer(q, p) / (p @ q)
    return V @ B @ V.T + torch.outer(p, p) / (p @ q)


@mistake(
    "The correction has the right size and the wrong sign: B moved away from the secant equation by as much as it should have moved "
    "toward it. C is what is *added* to B."
)
def subtracted(B, p, q):
    return 2 * B - reference(B, p, q)


@mistake(
    "Your B q is p, but your B is not symmetric: of the two cross terms, one stands twice and its mirror image is missing. "
    "Look at B q pᵀ + p qᵀ B: the second is the transpose of the first."
)
def one_cross_term_twice(B, p, q):
    Bq = B @ q
    return B + torch.outer(p, p) / (p @ q) * (1 + q @ Bq / (p @ q)) - 2 * torch.outer(p, Bq) / (p @ q)


@mistake(
    "Your B is not symmetric, and one factor of the product is missing: the old B is corrected on one side alone. It stands between two "
    "factors, and the left one is the transpose of the right one."
)
def one_factor(B, p, q):
    V = torch.eye(len(p), dtype=p.dtype) - torch.outer(q, p) / (p @ q)
    return B @ V + torch.outer(p, p) / (p @ q)


@mistake(
    "Your B solves the secant equation, is symmetric and positive definite, and is not BFGS: it is DFP, the other end of the family "
    "(ξ = 0). The term with τ v vᵀ is missing."
)
def dfp(B, p, q):
    Bq = B @ q
    return B + torch.outer(p, p) / (p @ q) - torch.outer(Bq, Bq) / (q @ Bq)


@mistake(
    "Your B solves the secant equation and is symmetric: it is the symmetric rank-one update, built of p − B q alone. It does not stay "
    "positive definite. BFGS has two more outer products, those of p with B q."
)
def rank_one(B, p, q):
    r = p - B @ q
    return B + torch.outer(r, r) / (r @ q)


@mistake(
    "From the identity all agrees; from another B it does not. So a B is missing: in the cross terms stands q where B q should be. "
    "Only at B = I are the two equal."
)
def no_b_in_the_cross_terms(B, p, q):
    return (
        B + torch.outer(p, p) / (p @ q) * (1 + q @ B @ q / (p @ q)) - (torch.outer(q, p) + torch.outer(p, q)) / (p @ q)
    )


@mistake(
    "Your B is off by a multiple of p pᵀ: the number qᵀ B q stands there as it is. In the brackets it is divided by pᵀq once more, as the "
    "units demand: 1 has none. Look at the brackets."
)
def not_divided_twice(B, p, q):
    Bq = B @ q
    return B + torch.outer(p, p) / (p @ q) * (1 + q @ Bq) - (torch.outer(Bq, p) + torch.outer(p, Bq)) / (p @ q)


@mistake(
    "The cross terms have the wrong sign: B q pᵀ + p qᵀ B is subtracted. With a plus, what B believed about q "
    "stays, doubled, instead of being taken away."
)
def cross_terms_added(B, p, q):
    Bq = B @ q
    return (
        B + torch.outer(p, p) / (p @ q) * (1 + q @ Bq / (p @ q)) + (torch.outer(Bq, p) + torch.outer(p, Bq)) / (p @ q)
    )


@mistake(
    "What you return is the correction C alone. The new B is the old one *plus* the correction: the earlier steps must not be forgotten."
)
def correction_alone(B, p, q):
    return reference(B, p, q) - B


@mistake(
    "Your ρ is pᵀq; it is 1 over it. As it is, a step twice as long changes B sixteen times as much, though it says the same about the curvature."
)
def rho_upside_down(B, p, q):
    return product(B, p, q, p @ q) + (p @ q) * torch.outer(p, p)


@mistake(
    "Your denominators hold qᵀq; they are pᵀq. It is their mixed product, step times change of the slope, that measures the curvature, and "
    "whose sign keeps B positive definite."
)
def wrong_denominator(B, p, q):
    return product(B, p, q, 1 / (q @ q)) + torch.outer(p, p) / (q @ q)


HESSIAN = tensor([[4.1, 1.2, 0.6], [1.2, 3.3, -1.1], [0.6, -1.1, 2.2]])
STEPS = (tensor([1.1, 0.0, -1.2]), tensor([0.6, 2.3, 0.2]), tensor([-1.1, 0.9, 1.3]))


def updates(call, curvature: float = 1.0):
    """Feeds B back, along three steps on one quadratic: B after each."""
    B = torch.eye(3, dtype=torch.float64)
    for p in STEPS:
        (B,) = call(B=B, p=p, q=curvature * HESSIAN @ p)
        yield B


def _take_turns(call) -> None:
    for _ in zip(updates(call), updates(call, 0.3)):
        pass


IDENTITY, LEANING = tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([[2.1, -0.6], [-0.6, 1.2]])
P, Q = tensor([1.1, -0.6]), tensor([3.1, -1.3])
FIVE = tensor([[0.9 ** abs(i - j) * (-1) ** (i * j) + 3.7 * (i == j) for i in range(5)] for j in range(5)])

check = Exercise(
    reference,
    returns=("B",),
    cases=[
        once("one parameter", "", B=tensor([[2.1]]), p=tensor([-0.6]), q=tensor([-4.8])),
        once(
            "two parameters, from the identity",
            "One parameter agrees: look at outer products, transposes, and the order of factors.",
            B=IDENTITY,
            p=P,
            q=Q,
            about=("transpose", "order", "outer"),
        ),
        once(
            "two parameters, from another B",
            "The identity agrees: look for a place where B itself is missing or changed.",
            B=LEANING,
            p=P,
            q=Q,
            about=("B", "u"),
        ),
        once(
            "a short step",
            "Look at the powers of pᵀq: p and q a tenth as long say the same about the curvature.",
            B=LEANING,
            p=P / 10,
            q=Q / 10,
            about=("r",),
        ),
        several(
            "more parameters",
            "Two parameters agree: look for their number, or an index, that is written down.",
            {"B": FIVE, "p": FIVE[1], "q": FIVE @ FIVE[1]},
            {"B": FIVE[:3, :3], "p": FIVE[1, :3], "q": FIVE[1, :3] + FIVE[2, :3] / 3},
            about=("constant",),
        ),
        once(
            "the secant equation holds already",
            "Here B q is p before the update, and nothing changes: the correction must vanish, with no 0 below a line.",
            B=LEANING,
            p=LEANING @ Q,
            q=Q,
            about=("B", "u"),
        ),
        Case(
            "three updates in a row",
            "One update agrees: the B that comes in is the one that went out.",
            lambda call: list(updates(call)),
            about=("B",),
        ),
        Case(
            "two runs that take turns",
            "One run by itself agrees: look for something that is kept between calls.",
            _take_turns,
            about=("memory",),
        ),
        once(
            "three parameters in float32",
            "float64 agrees: look for a matrix made in another precision than that of p.",
            B=tensor([[2.1, 0.6, 0.0], [0.6, 1.1, -0.2], [0.0, -0.2, 3.2]]).float(),
            p=tensor([1.1, -0.6, 2.2]).float(),
            q=tensor([3.1, 1.2, 0.6]).float(),
            about=("float32",),
        ),
    ],
    mistakes=[
        exchanged,
        inner_products,
        no_last_term,
        factors_exchanged,
        subtracted,
        one_cross_term_twice,
        one_factor,
        dfp,
        rank_one,
        no_b_in_the_cross_terms,
        not_divided_twice,
        cross_terms_added,
        correction_alone,
        rho_upside_down,
        wrong_denominator,
    ],
    source="the BFGS update of slide 21",
)
