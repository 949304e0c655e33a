"""The training of a network, traced: the nests, the JavaScript and the shader make the losses that train_many makes."""

import base64
import re

import numpy as np
import pytest
import torch
from shader_drawing import draw_shader

from course_lib.backends import glsl, javascript
from course_lib.backends.training import WEIGHTS, signature_of, trace_training
from course_lib.experiments.trainability import LARGEST, task, train_many
from course_lib.formulas.trainability import one_rate, training_error, two_rates

TRAIN = """async ([text, calls]) => {
  const { train } = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(text));
  return calls.map(([hyper, steps, bound]) => btoa(String.fromCharCode(...new Uint8Array(train(hyper, steps, bound).buffer))));
}"""
STEPS = 40
SETTINGS = {"lr": [0.05, 0.5, 3.0, 1000.0], "scale": [1.0, 0.5, 2.0, 1.0]}


def gradient(W, V, x, y):
    return torch.func.grad(training_error, argnums=(0, 1))(W, V, x, y)


def other_order(W, V, x, y, *, lr=0.1):
    """V moves by the new W, W by the old V and both W."""
    moved = W - lr * gradient(W, V, x, y)[0]
    return moved - 0.01 * lr * (W - moved), V - lr * gradient(moved, V, x, y)[1]


def old_weights(W, V, x, y, *, lr=0.1):
    """V moves by the old W, which is written over before."""
    dW, dV = gradient(W, V, x, y)
    return W - lr * dW, V - lr * dV - 0.01 * lr * W.sum(0)


def mixed(W, V, x, y, *, lr=0.1):
    """Each new number of W needs old ones at other places, by way of a product."""
    return W - 0.05 * lr * W.T @ W / (1 + W.square().sum()), V.mean() + 0.1 * V


def turned(W, V, x, y, *, lr=0.1):
    """Each new number of W needs an old one at another place: written at once, it would be gone."""
    dW, dV = gradient(W, V, x, y)
    return W.T - lr * dW, V - lr * dV


def crossed(W, V, x, y, *, lr=0.1):
    """For one hidden unit: each needs the other's old number."""
    return W - 0.01 * lr * V[None, :], V - 0.01 * lr * W.squeeze(0)


def in_place(W, V, x, y, *, lr=0.1):
    dW, dV = gradient(W, V, x, y)
    W -= lr * dW
    return W, V - lr * dV


def unmoved(W, V, x, y, *, lr=0.1):
    return W, V - lr * gradient(W, V, x, y)[1]


def clipped(W, V, x, y, *, lr=0.1):
    """Several sums that are single numbers."""
    dW, dV = gradient(W, V, x, y)
    size = (dW.square().sum() + dV.square().sum()).sqrt()
    return W - lr * torch.where(size > 0.5, dW / size, dW), V - lr * torch.where(size > 0.5, dV / size, dV)


OWN = [(step, 3) for step in (one_rate, other_order, old_weights, mixed, turned, in_place, unmoved, clipped)] + [
    (crossed, 1),
    (clipped, 1),
]
ALL = pytest.mark.parametrize("step, width", OWN, ids=lambda x: getattr(x, "__name__", x))


def traced(step, width=3, seed=0):
    given = task(width, seed)
    return given, trace_training(step, given.W, given.V, given.x, given.y, training_error)


@pytest.fixture
def train(page):
    """`train(training, steps, **hyper)` -> the losses of the generated JavaScript, (steps + 1, runs)."""

    def train(training, steps=STEPS, bound=LARGEST, /, **hyper):
        runs = [dict(zip(hyper, values, strict=True)) for values in zip(*hyper.values(), strict=True)]
        answers = page.evaluate(TRAIN, [javascript.training("train", training), [[run, steps, bound] for run in runs]])
        return torch.stack([torch.from_numpy(np.frombuffer(base64.b64decode(a)).copy()) for a in answers], dim=1)

    return train


@pytest.fixture
def draw(page):
    """`draw(training, x, y, steps, **hyper)` -> the shader's four results, (rows, columns) each; x and y are (name, values)."""

    def draw(training, x, y, steps=STEPS, /, **hyper):
        return draw_shader(
            page,
            glsl.training(training, x[0], y[0]),
            x[1],
            y[1],
            [hyper.get(h, 1.0) for h in training.hyper],
            steps,
            bound=LARGEST,
        )

    return draw


def results(losses):
    """What the shader says of runs, from their losses (steps + 1, runs)."""
    lost = losses.isnan().any(0)
    return (
        torch.where(lost, losses.isnan().int().argmax(0), len(losses)),
        losses[-1],
        (losses / losses[0]).mean(0),
        lost,
    )


# The yardstick


@ALL
def test_the_nests_make_the_losses_of_pytorch(step, width):
    given, training = traced(step, width)
    weights, losses = training.first(scale=0.7), []
    for _ in range(6):
        found = training.step(**weights, scale=0.7, lr=0.4)
        losses.append(float(found.pop("loss")))
        weights = found
    torch.testing.assert_close(
        torch.tensor(losses, dtype=torch.float64),
        train_many(step, given, 5, scale=0.7, lr=0.4)[:, 0],
        rtol=1e-12,
        atol=1e-15,
    )


def test_what_is_written_at_once_and_what_from_a_copy():
    written = lambda step, width=3: [
        n.target for n in traced(step, width)[1].step.nests if n.target.removeprefix("next ") in WEIGHTS
    ]
    assert written(two_rates) == written(in_place) == ["W", "V"]
    assert written(turned) == written(crossed, width=1) == ["next W", "V", "W"]


# JavaScript


@ALL
def test_javascript_makes_the_losses_of_train_many(train, step, width):
    given, training = traced(step, width)
    want = train_many(step, given, STEPS, **SETTINGS)
    torch.testing.assert_close(train(training, **SETTINGS), want, rtol=1e-9, atol=1e-13, equal_nan=True)


@pytest.mark.parametrize("width", [1, 2, 6])
def test_javascript_for_every_width(train, width):
    given, training = traced(two_rates, width, seed=1)
    settings = {"lr_1": [0.1, 2.0, 1e4], "lr_2": [0.1, 0.2, 1e5], "scale": [1.0, 2.0, 0.5]}
    want = train_many(two_rates, given, STEPS, **settings)
    assert want[-1].isnan().any() and not want[-1].isnan().all()
    torch.testing.assert_close(train(training, **settings), want, rtol=1e-9, atol=1e-13, equal_nan=True)


def test_from_the_divergence_on_there_are_no_numbers(train):
    given, training = traced(two_rates)
    settings = {"lr_1": [1.0], "lr_2": [30.0], "scale": [1.0]}
    losses, low = train(training, **settings)[:, 0], train(training, STEPS, 10.0, **settings)[:, 0]
    when = int(losses.isnan().int().argmax())
    assert 2 < when < STEPS and losses[when:].isnan().all() and (losses[:when] <= LARGEST).all()
    assert int(low.isnan().int().argmax()) <= when and torch.equal(low[~low.isnan()], losses[: (~low.isnan()).sum()])


# Names

NAMES = "i0 i1 j0 n0 n3 sum t new W_ mm mm1 mean tanh sub data data1 start_data next_W losses hyper bound when begin total k limit size places result v0 v3 V1 η Math".split()


def named(name):
    scope = {"gradient": gradient}
    exec(
        f"def own(W, V, x, y, *, {name}=0.1, other=0.2):\n    dW, dV = gradient(W, V, x, y)\n    return W - {name} * dW, V - {name} * other * dV",
        scope,
    )
    return scope["own"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_hyperparameter(train, draw, name):
    given, training = traced(named(name), width=2)
    settings = {name: [0.5, 2.0], "other": [0.25, 0.25], "scale": [1.0, 1.0]}
    want = train_many(named(name), given, 10, **settings)
    torch.testing.assert_close(train(training, 10, **settings), want, rtol=1e-9, atol=1e-13)
    _, end, _, lost = draw(training, (name, [0.5, 2.0]), ("other", [0.25]), 10, scale=1.0)
    assert not lost.any()
    torch.testing.assert_close(end[0].double(), want[-1], rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    "name, what", [("scale", "the scale of the first weights"), ("loss", "the loss before the step")]
)
def test_a_name_with_a_meaning_of_its_own_is_refused(name, what):
    with pytest.raises(
        TypeError, match=re.escape(f"own has a hyperparameter `{name}`, which is {what} here: rename it.")
    ):
        traced(named(name))


# The shader


@pytest.mark.parametrize("step", [two_rates, mixed, clipped, turned], ids=lambda f: f.__name__)
@pytest.mark.parametrize("width", [1, 3])
def test_a_pixel_is_a_run_of_train_many_in_single_precision(draw, step, width):
    given, training = traced(step, width, seed=1)
    x, y = [h for h in training.hyper if h != "scale"][:1] + ["scale"]
    rates, scales = [0.05, 0.1, 0.2, 200.0], [0.5, 1.0, 2.0]
    found = [z.flatten() for z in draw(training, (x, rates), (y, scales), 15, lr_2=0.3)]
    losses = train_many(
        step,
        given,
        15,
        dtype=torch.float32,
        **{x: rates * 3, y: [s for s in scales for _ in rates]} | ({"lr_2": 0.3} if step is two_rates else {}),
    )
    when, end, mean, lost = results(losses)
    assert torch.equal(found[3].bool(), lost) and torch.equal(found[0], when.float())
    torch.testing.assert_close(found[1][~lost], end[~lost], rtol=1e-3, atol=1e-7)
    torch.testing.assert_close(found[2][~lost], mean[~lost], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    "axes, message",
    [
        (("lr_1", "lr"), "two_rates has no `lr` for an axis. It has scale, lr_1, lr_2."),
        (("lr_1", "lr_1"), "Both axes of two_rates are `lr_1`: a map needs two."),
    ],
)
def test_an_axis_that_is_none_is_named(axes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        glsl.training(traced(two_rates)[1], *axes)


# Refusals


def no_default(W, V, x, y, *, lr):
    return W, V


REFUSED = [
    (
        lambda w, g, t, *, lr=0.1: w,
        "<lambda> takes 3 of the arguments (W, V, x, y). Its first ones must be these 4, in this order.",
    ),
    (
        lambda V, W, x, y: (W, V),
        "<lambda> must take the arguments (W, V, x, y) and, after a `*`, hyperparameters, got (V, W, x, y).",
    ),
    (lambda W, V, x, y, lr=0.1: (W, V), "got (W, V, x, y, lr)."),
    (no_default, "no_default's hyperparameter `lr` has no default."),
    (3, "A rule is a function like"),
]


@pytest.mark.parametrize("step, message", REFUSED, ids=lambda x: x if isinstance(x, str) else "")
def test_another_form_is_named(step, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        signature_of(step)


def test_another_result_is_named():
    with pytest.raises(
        TypeError,
        match=re.escape("<lambda> must return the new W and V, of the shapes (3, 3) and (3,), got (3,), (3, 3)."),
    ):
        traced(lambda W, V, x, y: (V, W))


def test_what_has_no_form_as_nests_is_named():
    with pytest.raises(ValueError, match=re.escape("The operator aten.cumsum.default has no form as a nest of loops.")):
        traced(lambda W, V, x, y: (W.cumsum(0), V))
