"""Exercise: the largest stable rate of a network's last layer, from the features that it sees."""

import torch

from course_lib.exercises.cases import once, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.trainability import largest_rate as of_features

# Case 1 has 2 units and 4 examples.


def largest_rate(W, x):
    """2 over the largest eigenvalue of H Hᵀ / N, with the features H = tanh(W x)."""
    return of_features((W @ x).tanh())


def curvatures(H):
    """The eigenvalues of H Hᵀ / N, the largest last."""
    return torch.linalg.eigvalsh(H @ H.T / H.shape[1])


@mistake(
    "Your rate is {times} times as large as it should be: 1 over the largest eigenvalue is where the error shrinks to 0 in one step. It still "
    "shrinks, from side to side, until η λ reaches 2."
)
def no_two(W, x):
    return 1 / curvatures((W @ x).tanh())[-1]


@mistake(
    "Your rate is {times} times as large as it should be: the loss is a *mean* over the examples, so its Hessian is H Hᵀ divided by their number."
)
def sum_over_examples(W, x):
    return of_features((W @ x).tanh()) / x.shape[1]


@mistake(
    "Your rate is {times} times as large as it should be: you divide by the number of units. The mean runs over the examples, the columns of H."
)
def units_for_examples(W, x):
    return of_features((W @ x).tanh()) * W.shape[0] / x.shape[1]


@mistake(
    "Your rate is {times} times as large as it should be: you take the smallest eigenvalue. Along the steepest direction such a rate is far too "
    "large: the largest curvature sets the limit for all."
)
def smallest_eigenvalue(W, x):
    return 2 / curvatures((W @ x).tanh())[0]


@mistake(
    "Your rate is {times} times as large as it should be: the trace is the sum of all curvatures. It is a safe bound, but the edge lies at the "
    "largest one alone."
)
def trace_for_the_largest(W, x):
    return 2 / curvatures((W @ x).tanh()).sum()


@mistake(
    "Your rate is {times} times as large as it should be: Frobenius' norm takes all eigenvalues together, as the root of the sum of their squares. "
    "`ord=2` gives the largest."
)
def frobenius_norm(W, x):
    return 2 / curvatures((W @ x).tanh()).norm()


@mistake(
    "Your rate is {times} times as large as it should be: that is 2 over the largest singular value of H / √N. The curvature is its *square*."
)
def singular_value_not_squared(W, x):
    return 2 / curvatures((W @ x).tanh())[-1].sqrt()


@singular_value_not_squared.also
def singular_value_over_examples(W, x):
    return 2 * x.shape[1] / torch.linalg.matrix_norm((W @ x).tanh(), ord=2)


@mistake(
    "Your rate is {times} times as large as it should be: tanh is missing. The last layer sees the features tanh(W x), and these are never "
    "above 1."
)
def no_tanh(W, x):
    return of_features(W @ x)


@mistake(
    "Your rate is {times} times as large as it should be: these are the curvatures of a layer that sees the inputs x. The last layer sees "
    "tanh(W x)."
)
def inputs_for_features(W, x):
    return of_features(x)


@mistake(
    "Your rate is {times} times as large as it should be: you subtract the mean of each feature, as a covariance does. The Hessian does not: a "
    "feature that is the same for all examples is steep, too."
)
def centered(W, x):
    H = (W @ x).tanh()
    return of_features(H - H.mean(1, keepdim=True))


@centered.also
def covariance(W, x):
    return 2 / torch.linalg.eigvalsh(torch.cov((W @ x).tanh(), correction=1))[-1]


@mistake(
    "You return {yours[rate]} instead of {right[rate]}: that is λ/2, and the rate is 2/λ. The steeper, the smaller is the rate."
)
def upside_down(W, x):
    return curvatures((W @ x).tanh())[-1] / 2


def case(title, look, units, inputs, examples, scale=1.0, dtype=torch.float64, about=()):
    """First weights and inputs of these shapes, no two of them alike, the weights times `scale`."""
    W = scale * (torch.arange(units * inputs, dtype=dtype) * 1.7 + 0.4).sin().reshape(units, inputs)
    x = (torch.arange(inputs * examples, dtype=dtype) * 2.3 + 0.9).cos().reshape(inputs, examples)
    return once(title, look, about=about, W=tensor(W.tolist(), dtype), x=tensor(x.tolist(), dtype))


check = Exercise(
    largest_rate,
    returns=("rate",),
    cases=[
        case("2 units, 4 examples", "", 2, 3, 4),
        case(
            "5 units, 3 examples",
            "Two units agree: look at which of the eigenvalues you take.",
            5,
            3,
            3,
            about=("sign", "reduction", "call", "hessian"),
        ),
        case("1 unit", "Several units agree: H has one row here.", 1, 2, 6, about=("shape", "reduction")),
        case(
            "saturated units",
            "Small weights agree: here each feature is 1 or -1.",
            4,
            4,
            4,
            1e3,
            about=("call", "dropped", "abs"),
        ),
        case(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision.",
            3,
            3,
            5,
            dtype=torch.float32,
            about=("float32", "in place"),
        ),
    ],
    mistakes=[
        no_two,
        sum_over_examples,
        units_for_examples,
        smallest_eigenvalue,
        trace_for_the_largest,
        frobenius_norm,
        singular_value_not_squared,
        no_tanh,
        inputs_for_features,
        centered,
        upside_down,
    ],
    source="the page's formula",
)
