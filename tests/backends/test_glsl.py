"""Generated shaders, run in Chromium: one pixel is one run of `sweep` in single precision.

Chromium brings a graphics chip in software, SwiftShader, which rounds as IEEE 754 asks for. Real chips fuse multiplications with additions
and divide less exactly; they were not at hand.
"""

import re

import numpy as np
import pytest
import torch
from rule_reading import COUPLED
from shader_drawing import draw_shader
from torch.func import vmap
from torch.nn import functional as F

from course_lib.backends.glsl import LARGEST, LONGEST, fragment, number
from course_lib.backends.program import Instruction, Program
from course_lib.backends.recurrence import Recurrence, hyperparameters, trace_descent
from course_lib.experiments import sweep
from course_lib.experiments.arrivals import ends
from course_lib.formulas import (
    RULES,
    SURFACES,
    adam,
    gradient_descent,
    himmelblau,
    lamb,
    momentum,
    quadratic,
    rosenbrock,
    steepest_descent,
)
from course_lib.formulas.ends import DIVERGED

CELLS, STEPS, FEW, GOAL, BOUND = 20, 200, 30, 1e-3, 1000.0
CHAOTIC = COUPLED  # as LAMB, whose trust ratio |w| / |step| makes the last digit of a small step into a large one


@pytest.fixture
def draw(page):
    """`draw(rule, surface, x, y, steps, …)` -> the four results, each a tensor (rows, columns); x and y are (name, values)."""

    def draw(
        rule,
        surface,
        x,
        y,
        steps,
        results=("w0", "w1", "steps", "lost"),
        minima=None,
        goal=GOAL,
        lowest=0.0,
        bound=BOUND,
        start=(0.5, 0.5),
        **hyper,
    ):
        recurrence = trace_descent(rule, surface)
        values = hyperparameters(rule, surface) | hyper
        text, given = fragment(recurrence, x[0], y[0], minima, results), [values[h] for h in recurrence.hyper]
        return draw_shader(
            page, text, x[1].tolist(), y[1].tolist(), given, steps, start, goal=goal, lowest=lowest, bound=bound
        )

    return draw


def verdicts(path, surface, lowest, minima=None):
    """What a shader says of runs, from their paths (steps + 1, runs, 2): steps and whether they are lost."""
    above = vmap(vmap(surface))(path) - lowest
    lost = ~(path.abs() <= BOUND).all(-1).all(0) | (ends(above, GOAL)[0] == DIVERGED)
    late = torch.where(above > GOAL, torch.arange(1, len(path) + 1)[:, None], 0).amax(0)
    return torch.where(lost, len(path), late), lost


def classes(steps, lost):
    """0: reached, 1: not settled, 2: diverged."""
    return torch.where(lost.bool(), 2, (steps > STEPS).long())


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("rule", RULES)
def test_a_pixel_is_a_run_of_sweep_in_single_precision(draw, rule, surface):
    """Learning rates by start points. After 30 steps the median pixel is within 1e-6 of sweep's point and nine of ten within
    1e-4; after 200 more than 99% end in the same class, and 97% arrive at the same step, or one beside it."""
    known, formula = SURFACES[surface], SURFACES[surface].formula
    lr, w0 = torch.logspace(-4, 0, CELLS), torch.linspace(*known.domain[0], CELLS) + 0.013
    lowest = formula(torch.tensor(known.minima()[0], dtype=torch.float64)).item()
    start = torch.stack([w0.repeat_interleave(CELLS), torch.full((CELLS**2,), known.start[1])], dim=1)
    path = sweep(RULES[rule], formula, start, STEPS, dtype=torch.float32, lr=lr.repeat(CELLS))

    *point, _, gone = (
        x.flatten() for x in draw(RULES[rule], formula, ("lr", lr), ("w0", w0), FEW, lowest=lowest, start=known.start)
    )
    want = path[FEW][gone == 0]
    error = ((torch.stack(point, dim=1)[gone == 0] - want).abs() / (1 + want.abs())).amax(1)
    assert error.median() <= 1e-6
    assert rule in CHAOTIC or error.quantile(0.9) <= 1e-4

    _, _, steps, lost = (
        x.flatten() for x in draw(RULES[rule], formula, ("lr", lr), ("w0", w0), STEPS, lowest=lowest, start=known.start)
    )
    want_steps, want_lost = verdicts(path, formula, lowest)
    same = (classes(steps, lost) == classes(want_steps, want_lost)).double().mean()
    close = ((steps - want_steps).abs() <= 1).double().mean()
    assert (same > 0.9 and close > 0.9) if rule in CHAOTIC else (same > 0.99 and close >= 0.97)


def test_what_is_chaotic_is_so_in_sweep_as_well():
    """Where a shader differs from sweep, sweep in single precision differs from itself in double precision as often."""
    known = SURFACES["saddle"]
    lr, w0 = torch.logspace(-4, 0, CELLS, dtype=torch.float64), torch.linspace(*known.domain[0], CELLS) + 0.013
    start = torch.stack([w0.repeat_interleave(CELLS), torch.full((CELLS**2,), known.start[1])], dim=1).double()
    found = [
        classes(*verdicts(sweep(lamb, known.formula, start, STEPS, dtype=d, lr=lr.repeat(CELLS)), known.formula, -0.25))
        for d in (torch.float32, torch.float64)
    ]
    assert (found[0] != found[1]).double().mean() > 0.02


def test_the_minimum_that_is_reached_and_the_loss_there(draw):
    x = torch.linspace(-6, 6, 24)
    points = torch.tensor(SURFACES["himmelblau"].minima())
    minima = Program("minima", (), (), {"minima": tuple(points.flatten().tolist())})
    steps, above, minimum, lost = draw(
        momentum, himmelblau, ("w0", x), ("w1", x), STEPS, ("steps", "above", "minimum", "lost"), minima
    )
    path = sweep(momentum, himmelblau, torch.cartesian_prod(x, x).flip(1), STEPS, dtype=torch.float32)
    want = torch.cdist(path[-1], points).argmin(1).reshape(24, 24)
    kept = lost == 0
    assert 0.5 < kept.double().mean() < 1 and len(minimum[kept].unique()) == 4
    assert (minimum[kept] == want[kept]).double().mean() > 0.99
    assert (minimum[~kept] == -1).all() and (above[~kept] == torch.inf).all() and (steps[~kept] == STEPS + 1).all()
    torch.testing.assert_close(above[kept], vmap(himmelblau)(path[-1]).reshape(24, 24)[kept], rtol=1e-3, atol=1e-9)


def test_minima_that_move_with_a_hyperparameter(draw):
    """Rosenbrock's minimum is (a, a²): it is found anew for each pixel."""
    from course_lib.backends.trace import trace

    minima = trace(
        lambda h: {"minima": torch.stack([h["a"], h["a"] ** 2, -h["a"], h["a"] * 0])}, {"a": (), "b": ()}, name="minima"
    )
    a = torch.tensor([0.5, 1.0, 1.5])
    (_, _, minimum, _) = draw(
        gradient_descent,
        rosenbrock,
        ("a", a),
        ("lr", torch.tensor([0.0])),
        1,
        ("w0", "w1", "minimum", "lost"),
        minima,
        start=(-0.4, 0.1),
    )
    assert minimum.tolist() == [[1, 1, 1]]
    (_, _, minimum, _) = draw(
        gradient_descent, rosenbrock, ("a", a), ("w0", torch.tensor([0.9])), 0, ("w0", "w1", "minimum", "lost"), minima
    )
    assert minimum.tolist() == [[0, 0, 0]]


def test_the_loop_ends_where_it_should(draw):
    """No step at all, and a goal that is met from the start."""
    x = torch.tensor([0.0, 0.01, 1.0])
    w0, w1, steps, _ = draw(gradient_descent, quadratic, ("w0", x), ("w1", x[:1]), 0)
    assert w0.tolist() == [x.tolist()] and w1.tolist() == [[0, 0, 0]] and steps.tolist() == [[0, 0, 1]]
    (_, _, steps, lost) = draw(gradient_descent, quadratic, ("w0", x), ("w1", x[:1]), 1000, lr=3.0)
    assert steps.tolist() == [[0, 1001, 1001]] and lost.tolist() == [[0, 1, 1]]


# Operators

NUMBERS = torch.tensor([-7.5, -3.0, -2.1, -1.0, -0.5, -0.3, 0.0, 0.2, 0.5, 1.0, 2.0, 2.5, 6.0, 11.0])


def bowl(w):
    """A surface without hyperparameters."""
    return w[0] ** 2 + w[1] ** 2


OPERATORS = {
    "remainder": lambda w: torch.remainder(w, 0.7),
    "fmod": lambda w: torch.fmod(w, w.flip(0).abs() + 0.5),
    "fmod of multiples": lambda w: torch.fmod(w * 12, torch.full_like(w, 3.0)),
    "floor divide": lambda w: torch.floor_divide(w, 0.3),
    "power of a negative base": lambda w: w**3 + w**4 / 10 + w**5 / 100,
    "power with a whole number that varies": lambda w: torch.pow(w, (w * 0 + 3).floor()),
    "fractional power": lambda w: w.abs() ** 0.7,
    "power zero": lambda w: (w * 0 + 2) ** (w * 0),
    "select": lambda w: torch.where(w > 0, w.sqrt(), -w),  # the other side is NaN
    "select with NaN": lambda w: torch.where(w.log().isnan(), w, w * 2),
    "select with infinity": lambda w: torch.where((1 / w).isinf(), torch.ones_like(w), 1 / w),
    "and, or, not": lambda w: torch.where((w > 0) & ~(w > 2) | (w < -2), w, 2 * w),
    "true and false as numbers": lambda w: w + (w > 0) + (w == 2) * 3 + (w != 2),
    "number as a condition": lambda w: torch.where(torch.logical_not(w), torch.ones_like(w), w),
    "maximum and minimum": lambda w: torch.maximum(w, w.flip(0)) + torch.minimum(w, w.flip(0) / 2),
    "clamp": lambda w: w.clamp(-1, 2),
    "sign": lambda w: w.sign() + 2 * (w - 1).sign(),
    "rounding": lambda w: w.floor() + w.ceil() / 10 + w.trunc() / 100,
    "exponential": lambda w: torch.exp(-w),
    "logarithm": lambda w: torch.log(1 + w.abs()),
    "sine and cosine": lambda w: (100 * w).sin() + w.cos() / 2,
    "hyperbolic tangent": lambda w: w.tanh(),
    "logarithms": lambda w: torch.log1p(w.abs()) + torch.log2(w.abs() + 0.25) + torch.log1p(w.clamp(-0.4, 0.4) / 1000),
    "logarithm of a small number": lambda w: 1000 * torch.log1p(w / 1000),
    "exponential less one": lambda w: torch.expm1(w.clamp(max=3)) + 1000 * torch.expm1(w / 1000),
    "powers of two": lambda w: torch.exp2(w.clamp(-5, 5)),
    "tangent and its inverse": lambda w: torch.tan(w / 9) + torch.atan(w) + torch.atan(w / 100) + torch.atan(1 / w),
    "error function": lambda w: torch.erf(w) + 1000 * torch.erf(w / 1000) + torch.erf(w / 3),
    "to the nearest": lambda w: torch.round(w) + torch.round(2 * w) / 10,
    "sign of another": lambda w: torch.copysign(w, w.flip(0)),  # GLSL promises no sign of a zero
    "hypotenuse": lambda w: torch.hypot(w, w.flip(0)),
    "soft thresholds": lambda w: F.softshrink(w, 0.3) + F.softplus(w) + F.leaky_relu(w) + F.gelu(w) + F.silu(w),
    "statistics": lambda w: (w - w.mean()) / (w.std() + 1) + w.var() + w.prod() + w.amax() * w.amin(),
    "not a number replaced": lambda w: torch.nan_to_num(w.sqrt(), nan=0.5, posinf=7.0),
    "sigmoid": lambda w: w.sigmoid(),
    "constants of any size": lambda w: w + 1e-8 + 3e7 + 1e-30 * w + 12345678.0,
    "an infinite constant": lambda w: torch.minimum(w, torch.full_like(w, torch.inf)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_pytorchs(draw, name):
    def rule(w, g, t):
        return OPERATORS[name](w)

    got = torch.stack(draw(rule, bowl, ("w0", NUMBERS), ("w1", NUMBERS), 1, bound=3e38)[:2], dim=-1)
    want = vmap(vmap(OPERATORS[name]))(torch.cartesian_prod(NUMBERS, NUMBERS).flip(1).reshape(14, 14, 2))
    torch.testing.assert_close(got, want, rtol=3e-6, atol=3e-6)


def test_not_a_number_is_lost(draw):
    def rule(w, g, t):
        return w.sqrt()

    *_, lost = draw(rule, bowl, ("w0", NUMBERS), ("w1", NUMBERS), 1)
    assert torch.equal(lost.bool(), (NUMBERS[:, None] < 0) | (NUMBERS[None, :] < 0))


@pytest.mark.parametrize(
    "x, text",
    [
        (1, "1.0"),
        (0.1, "0.1"),
        (1e-8, "1.0e-08"),
        (-2.5, "-2.5"),
        (1e39, "uintBitsToFloat(0x7f800000u)"),
        (float("-inf"), "uintBitsToFloat(0xff800000u)"),
        (1e-60, "0.0"),
    ],
)
def test_a_number_is_written_as_a_float(x, text):
    assert number(x) == text


@pytest.mark.parametrize("x", [0.1, 1 / 3, 1e-30, 123456789.0, 3.4e38, 1.17549435e-38, -7e-5])
def test_a_number_reads_back_as_the_same_float(x):
    assert np.float32(number(x)) == np.float32(x)


# Names and refusals


def test_names_of_glsl_do_not_get_in_the_way(draw):
    def rule(w, g, t, gl_x=0.0, *, sampler=0.1, float_=0.5, precise__=1.0, η=0.1):
        gl_x = float_ * gl_x + g
        return w - sampler * gl_x * precise__ * η, gl_x

    w0, *_ = draw(rule, bowl, ("sampler", NUMBERS[9:11]), ("η", NUMBERS[8:10]), 3)
    path = sweep(
        rule,
        bowl,
        [0.5, 0.5],
        3,
        dtype=torch.float32,
        sampler=torch.tensor([1.0, 2.0, 1.0, 2.0]),
        η=torch.tensor([0.5, 0.5, 1.0, 1.0]),
    )
    torch.testing.assert_close(w0.flatten(), path[-1, :, 0])


@pytest.mark.parametrize(
    "names, message",
    [
        (("lr", "gamma"), "adam on rosenbrock has no `gamma` for an axis. It has lr, beta1, beta2, eps, a, b, w0, w1."),
        (("lr", "lr"), "Both axes of adam on rosenbrock are `lr`"),
    ],
)
def test_an_axis_that_is_none_is_named(names, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fragment(trace_descent(adam, rosenbrock), *names)


def test_unknown_results_are_named():
    with pytest.raises(ValueError, match="results must be four of steps, above, minimum, lost, w0, w1, got steps, w2"):
        fragment(trace_descent(adam, rosenbrock), "lr", "beta1", results=("steps", "w2"))


def test_a_step_that_is_too_long_is_refused():
    with pytest.raises(
        ValueError,
        match=rf"steepest_descent on rosenbrock: a step has 1,\d\d\d instructions, and a shader of more than {LARGEST} .* without a line search\.",
    ):
        fragment(trace_descent(steepest_descent, rosenbrock), "w0", "w1")


def test_an_operator_that_glsl_lacks_is_named():
    step = Program(
        "own on bowl",
        ("w[0]", "w[1]", "t"),
        (Instruction("_1", "gamma", ("w[0]",)),),
        {"loss": ("_1",), "w": ("_1", "w[1]")},
    )
    with pytest.raises(ValueError, match=re.escape("own on bowl: GLSL has no operator `gamma` in _1 = gamma")):
        fragment(Recurrence(step, ("w[0]", "w[1]"), {}, ()), "w0", "w1")


def test_the_loop_has_an_end_that_the_driver_knows():
    assert f"k <= min(steps, {LONGEST})" in fragment(trace_descent(adam, rosenbrock), "lr", "beta1")
