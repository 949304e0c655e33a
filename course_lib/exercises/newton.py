"""Exercise: write Newton's step, damped."""

import torch

from course_lib.exercises.cases import once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake


def newton_step(w, g, H, *, lr=1.0, damping=0.0):
    """The parameters after one step, with the gradient g and the Hessian H at w."""
    return w - lr * torch.linalg.solve(H + damping * torch.eye(len(w), dtype=w.dtype), g)


@mistake(
    "w moved by {moved} instead of {should_move}: the right step, the wrong way. The model's slope g + H Δθ is zero at Δθ = −H⁻¹g. "
    "Look at the sign in front of the rate."
)
def uphill(w, g, H, *, lr=1.0, damping=0.0):
    return w + lr * torch.linalg.solve(H + damping * torch.eye(len(w), dtype=w.dtype), g)


@mistake(
    "w moved by {moved} instead of {should_move}. This is what multiplying by H does. A steep, strongly curved direction needs a short "
    "step, so g is *divided* by the curvature: solve H x = g for x."
)
def multiplies(w, g, H, *, lr=1.0, damping=0.0):
    return w - lr * (H + damping * torch.eye(len(w), dtype=w.dtype)) @ g


@mistake(
    "One parameter agrees; here w moved by {moved} instead of {should_move}. You divide by the diagonal of H alone, as if each parameter "
    "had a valley of its own. The other elements say how the slopes depend on each other: solve the whole system."
)
def diagonal_alone(w, g, H, *, lr=1.0, damping=0.0):
    return w - lr * g / (H.diagonal() + damping)


@mistake(
    "One parameter agrees; here w moved by {moved} instead of {should_move}. This is what 1/H does, element by element. The inverse of a "
    "matrix is another one: solve H x = g for x."
)
def element_by_element(w, g, H, *, lr=1.0, damping=0.0):
    return w - lr * (1 / (H + damping * torch.eye(len(w), dtype=w.dtype))) @ g


@mistake(
    "Without damping all agrees. With μ = {given[damping]} w moved by {moved} instead of {should_move}: the damping has no part in it. "
    "Look for the argument `damping`."
)
def no_damping(w, g, H, *, lr=1.0, damping=0.0):
    return w - lr * torch.linalg.solve(H, g)


@mistake(
    "Without damping all agrees. With μ = {given[damping]} w moved by {moved} instead of {should_move}: the damping is subtracted. "
    "It must raise all curvatures, so that the step gets shorter, not longer."
)
def damping_subtracted(w, g, H, *, lr=1.0, damping=0.0):
    return w - lr * torch.linalg.solve(H - damping * torch.eye(len(w), dtype=w.dtype), g)


@mistake(
    "Without damping all agrees. With μ = {given[damping]} w moved by {moved} instead of {should_move}: μ is added to every element of H. "
    "H + μI has it on the diagonal alone. Look for `torch.eye`."
)
def damping_everywhere(w, g, H, *, lr=1.0, damping=0.0):
    return w - lr * torch.linalg.solve(H + damping, g)


@mistake(
    "With η = 1 all agrees. With η = {given[lr]} your step is {times} times the right one: the rate has no part in it. "
    "Look for the argument `lr`."
)
def no_rate(w, g, H, *, lr=1.0, damping=0.0):
    return w - torch.linalg.solve(H + damping * torch.eye(len(w), dtype=w.dtype), g)


@mistake(
    "w came out as {yours[w]}, which is the step itself; the parameters after it are {right[w]}. Subtract the step from w."
)
def step_alone(w, g, H, *, lr=1.0, damping=0.0):
    return lr * torch.linalg.solve(H + damping * torch.eye(len(w), dtype=w.dtype), g)


CURVED = tensor([[3.1, 1.2], [1.2, 2.3]])
SADDLE = tensor([[-2.2, -0.6], [-0.6, 1.1]])
THREE = tensor([[4.1, 1.2, 0.6], [1.2, 3.3, -1.1], [0.6, -1.1, 2.2]])
FIVE = tensor([[0.9 ** abs(i - j) * (-1) ** (i * j) + 3.7 * (i == j) for i in range(5)] for j in range(5)])
TWO = {"w": tensor([1.1, -2.3]), "g": tensor([2.2, -1.3]), "H": CURVED}

check = Exercise(
    newton_step,
    returns=("w",),
    cases=[
        once("one parameter", "", w=tensor([-2.1]), g=tensor([-6.3]), H=tensor([[4.4]]), lr=1.0, damping=0.0),
        once(
            "two parameters",
            "One parameter agrees: look at how you divide by a matrix.",
            **TWO,
            lr=1.0,
            damping=0.0,
            about=("H", "A"),
        ),
        once(
            "beside a saddle",
            "H has a negative curvature here, and the step goes as the formula says: look for an absolute value, a root, or a "
            "factorization that needs positive curvatures.",
            w=tensor([0.6, 0.3]),
            g=tensor([1.1, -0.6]),
            H=SADDLE,
            lr=1.0,
            damping=0.0,
            about=("abs",),
        ),
        once(
            "with damping",
            "Without damping all agrees: look at H + μI.",
            **TWO,
            lr=1.0,
            damping=0.6,
            about=("damping",),
        ),
        once(
            "a smaller rate",
            "A full step agrees: look for the argument `lr`.",
            **TWO,
            lr=0.3,
            damping=0.0,
            about=("lr",),
        ),
        once(
            "a smaller rate and damping",
            "Each by itself agrees: look at where the two meet. The rate multiplies the damped step.",
            **TWO,
            lr=0.3,
            damping=1.7,
            about=("lr", "damping"),
        ),
        several(
            "more parameters",
            "Two parameters agree: look for their number, or an index, that is written down.",
            {"w": tensor([1.1, 0.0, -1.2]), "g": tensor([1.3, 2.1, -3.1]), "H": THREE, "lr": 1.0, "damping": 0.3},
            {"w": FIVE[0], "g": FIVE[3] - 0.4, "H": FIVE, "lr": 1.0, "damping": 0.3},
            about=("constant",),
        ),
        once(
            "a slope of 0",
            "Where the gradient is 0, w stays as it is.",
            w=TWO["w"],
            g=0 * TWO["g"],
            H=CURVED,
            lr=0.7,
            damping=0.2,
            about=("g",),
        ),
        once(
            "no curvature at all",
            "H is 0 here, and the damping alone is left: the step is g / μ. Solve with H + μI, never with H.",
            w=TWO["w"],
            g=TWO["g"],
            H=0 * CURVED,
            lr=0.7,
            damping=1.3,
            about=("H", "damping"),
        ),
        once(
            "float32 stays float32",
            "float64 agrees: look for a matrix made in another precision than that of w.",
            **{name: value.float() for name, value in TWO.items()},
            lr=0.3,
            damping=1.7,
            about=("float32",),
        ),
        once(
            "no rate and no damping given",
            "Each one was right when it was given: η is 1 and μ is 0 where none is.",
            **TWO,
            about=("signature",),
        ),
    ],
    mistakes=[
        uphill,
        multiplies,
        diagonal_alone,
        element_by_element,
        no_damping,
        damping_subtracted,
        damping_everywhere,
        no_rate,
        step_alone,
    ],
    source="Newton's step of slide 11",
)
