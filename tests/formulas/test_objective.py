"""Models and losses: PyTorch's numbers and gradients, also for extreme logits, and the same numbers in JavaScript."""

import math

import pytest
import torch
from torch.func import grad, vmap
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from course_lib.backends import javascript
from course_lib.backends.names import elements
from course_lib.backends.program import is_exact
from course_lib.backends.trace import trace
from course_lib.formulas.objective import MODELS, least_squares, line, logistic_loss, sine, squared_error, unit

LOSSES = {
    least_squares: lambda w, x, y: mse_loss(x @ w, y) / 2,
    logistic_loss: lambda w, x, y: binary_cross_entropy_with_logits(x @ w, y),
}
EACH_LOSS = pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
EACH_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
SHAPES = pytest.mark.parametrize("shape", [(1, 1), (7, 2), (40, 3), (1000, 20)], ids=str)


def close(got, want, tolerance=1e-12):
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


def draw(N, n, seed=0, dtype=torch.float64):
    """w, x and y in {0, 1}."""
    generator = torch.Generator().manual_seed(seed)
    w, x = (torch.randn(s, generator=generator, dtype=dtype) for s in ((n,), (N, n)))
    return w, x, (torch.rand(N, generator=generator) < 0.5).to(dtype)


@SHAPES
@EACH_LOSS
def test_loss_and_gradient_equal_pytorchs(loss, shape):
    for seed in range(5):
        w, x, y = draw(*shape, seed)
        for scale in (0.0, 1.0, 30.0):
            close(loss(scale * w, x, y), LOSSES[loss](scale * w, x, y))
            close(grad(loss)(scale * w, x, y), grad(LOSSES[loss])(scale * w, x, y))


@EACH_LOSS
def test_loss_is_the_mean_of_the_examples_losses(loss):
    w, x, y = draw(20, 3)
    alone = vmap(loss, in_dims=(None, 0, 0))(w, x[:, None, :], y[:, None])
    close(loss(w, x, y), alone.mean())
    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(w, x[:, None, :], y[:, None])  # (20, 3)
    close(grad(loss)(w, x, y), gradients.mean(dim=0))


@EACH_LOSS
def test_one_loss_for_many_parameters_at_once(loss):
    _, x, y = draw(20, 3)
    many = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    close(vmap(loss, in_dims=(0, None, None))(many, x, y), torch.stack([loss(w, x, y) for w in many]))


@pytest.mark.parametrize("logit", [0.0, 1e-3, 20.0, 40.0, 800.0, 1e6, 1e300])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_no_logit_is_too_large(logit, sign, y):
    w, x, y = (
        torch.tensor([logit * sign], dtype=torch.float64),
        torch.ones(1, 1, dtype=torch.float64),
        torch.tensor([y], dtype=torch.float64),
    )
    close(logistic_loss(w, x, y), binary_cross_entropy_with_logits(x @ w, y))
    close(grad(logistic_loss)(w, x, y), torch.sigmoid(w) - y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@EACH_LOSS
def test_dtype_is_kept(loss, dtype):
    value = loss(*draw(9, 2, dtype=dtype))
    assert value.dtype == dtype and value.shape == ()


@EACH_MODEL
@EACH_LOSS
def test_derivatives_equal_finite_differences(loss, model):
    w, x, y = draw(6, 2, seed=3)
    assert torch.autograd.gradcheck(lambda w: loss(w, x, y), w.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda w: squared_error(model(x[:, 0], w), y), w.clone().requires_grad_())


def test_the_line_is_linear_regression():
    w, x, y = draw(12, 1)
    w = torch.tensor([0.3, -1.2], dtype=torch.float64)
    close(squared_error(line(x[:, 0], w), y), least_squares(w, torch.cat([torch.ones_like(x), x], dim=1), y))


def test_the_line_has_one_minimum_and_least_squares_finds_it():
    _, x, y = draw(12, 1)
    A = torch.cat([torch.ones_like(x), x], dim=1)
    w = torch.linalg.lstsq(A, y).solution
    close(grad(least_squares)(w, A, y), torch.zeros(2, dtype=torch.float64))
    assert torch.linalg.eigvalsh(A.T @ A).min() > 0


def test_the_unit_has_twins_and_a_saddle_between_them():
    _, x, y = draw(12, 1)
    x, y = x[:, 0], y + x[:, 0]
    J = lambda w: squared_error(unit(x, w), y)
    w = torch.tensor([0.8, -1.3], dtype=torch.float64)
    close(J(w), J(-w), 0)
    zero = torch.zeros(2, dtype=torch.float64)
    close(grad(J)(zero), zero, 0)
    curvature = torch.linalg.eigvalsh(torch.func.jacrev(grad(J))(zero))
    assert curvature[0] < 0 < curvature[1]


def test_the_sine_knows_its_wave():
    x = torch.linspace(-3, 3, 30, dtype=torch.float64)
    true = torch.tensor([2.0, 0.5], dtype=torch.float64)
    close(
        squared_error(sine(x, true + torch.tensor([0, 2 * math.pi])), sine(x, true)),
        torch.tensor(0.0, dtype=torch.float64),
    )
    close(sine(x, true), (2 * x + 0.5).sin())


def test_models_keep_the_shape_and_vmap_over_parameters():
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)
    many = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for model in MODELS.values():
        assert model(x, many[0]).shape == x.shape
        close(vmap(model, in_dims=(None, 0))(x, many), torch.stack([model(x, w) for w in many]))


@pytest.mark.parametrize("formula", [line, unit, sine, squared_error, *LOSSES], ids=lambda f: f.__name__)
def test_says_what_it_is(formula):
    assert "Source: " in formula.__doc__ and "shape" in formula.__doc__


# --- the same formulas, traced: data and parameters are inputs


def of_model(model):
    return lambda w, x, y: squared_error(model(x, w), y)


FORMULAS = {name: (of_model(model), (2,), (9,), (9,)) for name, model in MODELS.items()} | {
    loss.__name__: (loss, (3,), (9, 3), (9,)) for loss in LOSSES
}


@pytest.mark.parametrize("name", FORMULAS)
def test_javascript_gives_pythons_numbers(browser, name):
    loss, *shapes = FORMULAS[name]
    inputs = dict(zip("wxy", shapes, strict=True))
    value = trace(lambda s: {"loss": loss(s["w"], s["x"], s["y"])}, inputs, name=name)
    slope = trace(lambda s: {"g": grad(loss)(s["w"], s["x"], s["y"])}, inputs, name=f"gradient of {name}")
    assert is_exact(value) == (name in ("line", "least_squares"))
    points, numbers = [], []
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        point = {
            k: torch.randn(s, generator=generator, dtype=torch.float64) * (seed % 3 and 20.0 ** (seed % 3 - 1))
            for k, s in inputs.items()
        }
        points.append(point)
        numbers.append([v for x in point.values() for v in x.flatten().tolist()])
    text = javascript.function("value", value) + javascript.function("slope", slope)
    page = browser.new_page()
    got = page.evaluate(
        """async ([text, calls]) => {
          const code = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(text));
          return calls.map((x) => [code.value(...x), ...code.slope(...x)]);
        }""",
        [text, numbers],
    )
    page.close()
    for row, point, given in zip(got, points, numbers, strict=True):
        row = torch.tensor(row, dtype=torch.float64)
        names = [e for k, s in inputs.items() for e in elements(k, s)]
        for program, part in ((value, row[:1]), (slope, row[1:])):
            own = torch.from_numpy(next(iter(program(**dict(zip(names, given, strict=True))).values())))
            torch.testing.assert_close(
                part, own, rtol=0 if is_exact(program) else 1e-12, atol=0 if is_exact(program) else 1e-12
            )
        close(row, torch.cat([loss(*point.values())[None], grad(loss)(*point.values())]))
