"""The page on conventions: its calls make the lecture's steps in PyTorch, and in Optax and Keras where these are installed."""

import inspect
import json
import math
import os
import re
from pathlib import Path

import pytest
import torch

from course_lib.experiments.conventions import (
    CONVERSIONS,
    largest_difference,
    of_rule,
    of_torch,
    recorded_gradients,
    trajectory,
)
from course_lib.formulas import adadelta, adagrad, adagrad_torch, adam, adamw, momentum, rmsprop
from course_lib.formulas.signature import signature

os.environ.setdefault("KERAS_BACKEND", "torch")  # else it wants TensorFlow
PAGE = Path(__file__).parents[2] / "book" / "reference" / "conventions.ipynb"
TEXT = "\n".join("".join(cell["source"]) for cell in json.loads(PAGE.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "markdown")
EACH = [pytest.param(conversion, id=conversion.rule.__name__) for conversion in CONVERSIONS]
SEEDS = range(3)


def of(library):
    return [pytest.param(c, id=c.rule.__name__) for c in CONVERSIONS if getattr(c, library)]


def agrees(path, conversion, problem):
    ours = trajectory(of_rule(conversion.rule, conversion.settings), *problem)
    torch.testing.assert_close(path, ours, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("conversion", EACH)
def test_every_call_stands_on_the_page(conversion):
    calls = [getattr(conversion, library) for library in ("torch", "optax", "keras")]
    assert [call for call in calls if call and f"`{call}`" not in TEXT] == []


def test_every_call_on_the_page_is_tested():
    written = re.findall(r"^- (?:PyTorch|Optax|Keras): `(.+)`$", TEXT, re.MULTILINE)
    assert sorted(written) == sorted(call for c in CONVERSIONS for call in (c.torch, c.optax, c.keras) if call)


@pytest.mark.parametrize("conversion", of("torch"))
def test_pytorch_makes_the_same_steps(conversion):
    assert max(largest_difference(conversion, seed) for seed in SEEDS) < 1e-11


@pytest.mark.parametrize("conversion", of("optax"))
def test_optax_makes_the_same_steps(conversion):
    optax = pytest.importorskip("optax", reason="Optax is not installed: pip install -r benchmarks/requirements.txt")
    jax = pytest.importorskip("jax")
    start, gradients = recorded_gradients()
    with jax.enable_x64(True):
        w, path = jax.numpy.array(start.numpy()), []
        rule = eval(conversion.optax, {"optax": optax, **conversion.settings})
        state = rule.init(w)
        for g in gradients:
            update, state = rule.update(jax.numpy.array(g.numpy()), state, w)
            w = optax.apply_updates(w, update)
            path.append(torch.tensor(w.tolist(), dtype=torch.float64))
    agrees(torch.stack(path), conversion, (start, gradients))


def keras_path(call, settings, start, gradients):
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install -r benchmarks/requirements.txt")
    weights, path = keras.Variable(start.numpy(), dtype="float64"), []
    before, _ = keras.config.floatx(), keras.config.set_floatx("float64")
    try:
        optimizer = eval(call, {"keras": keras, **settings})
        optimizer.build([weights])
        for g in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(g.numpy())], [weights])
            path.append(torch.tensor(keras.ops.convert_to_numpy(weights)))
    finally:
        keras.config.set_floatx(before)
    return torch.stack(path)


@pytest.mark.parametrize("conversion", of("keras"))
def test_keras_makes_the_same_steps(conversion):
    problem = recorded_gradients()
    agrees(keras_path(conversion.keras, conversion.settings, *problem), conversion, problem)


def test_kerass_epsilon_grows_by_the_correction():
    settings = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 0.01}

    def before_the_correction(w, g, t, m=0.0, v=0.0, *, lr=0.1, beta1=0.9, beta2=0.99, eps=0.01):
        return adam(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps / (1 - beta2**t) ** 0.5)

    problem = recorded_gradients()
    path = keras_path("keras.optimizers.Adam(lr, beta1, beta2, eps)", settings, *problem)
    torch.testing.assert_close(path, trajectory(of_rule(before_the_correction, settings), *problem), rtol=1e-11, atol=1e-11)
    assert (path - trajectory(of_rule(adam, settings), *problem)).abs().max() > 1e-3


def test_at_the_first_step_it_is_32_times_as_large():
    assert round(1 / math.sqrt(1 - 0.999)) == 32 and "about 32 times as large" in TEXT


def test_with_the_defaults_it_matters_for_tiny_gradients_only():
    shorter = lambda g: 1 - g / (g + 1e-7 / (1 - 0.999) ** 0.5)  # of Keras's first step
    assert shorter(1e-5) > 0.2 and shorter(1e-4) < 0.04
    assert "it matters for gradients below $10^{-5}$ or so only" in TEXT


def test_the_root_of_epsilon_beside_the_root_of_adagrad():
    """With G from one gradient: the steps agree where it is small or large, and differ by √2 where it is the root of ε."""
    eps, one = 0.01, torch.ones((), dtype=torch.float64)
    for g, share in ((1e-6, 1.0), (eps**0.5, 2**-0.5), (1e4, 1.0)):
        slide, torchs = (rule(0 * one, g * one, 1, 0 * one, lr=1.0, eps=e)[0] for rule, e in ((adagrad, eps), (adagrad_torch, eps**0.5)))
        assert math.isclose(torchs / slide, share, rel_tol=1e-4)
    assert "at worst 29% shorter" in TEXT


def test_kerass_l2_and_batch_normalization():
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install -r benchmarks/requirements.txt")
    assert math.isclose(float(keras.regularizers.L2(0.1)(keras.ops.convert_to_tensor([2.0]))), 0.1 * 4, rel_tol=1e-6)
    norm = keras.layers.BatchNormalization(momentum=0.9)
    norm(keras.ops.convert_to_tensor([[1.0], [3.0]]), training=True)
    assert math.isclose(float(keras.ops.convert_to_numpy(norm.moving_mean)[0]), 0.2, rel_tol=1e-5)  # as PyTorch's, with 0.1


def test_steps_in_the_memory_keep_the_old_rate():
    """u <- m u - lr g against b <- m b + g: the same at one rate, not when it falls."""
    start, gradients = recorded_gradients()

    def in_the_memory(w, g, t, u=0.0, *, lr=0.1, momentum=0.9):
        u = momentum * u - lr * g
        return w + u, u

    def run(rule, rates):
        w, memory, path = start, torch.zeros_like(start), []
        for t, (g, lr) in enumerate(zip(gradients, rates), 1):
            w, memory = rule(w, g, t, memory, lr=lr, momentum=0.9)
            path.append(w)
        return torch.stack(path)

    def of_gradients(w, g, t, b=0.0, *, lr=0.1, momentum=0.9):
        b = momentum * b + g
        return w - lr * b, b

    steady, falling = [0.1] * len(gradients), [0.1] * 20 + [0.001] * 20
    torch.testing.assert_close(run(in_the_memory, steady), run(of_gradients, steady))
    after = [run(rule, falling)[20] - run(rule, falling)[19] for rule in (in_the_memory, of_gradients)]
    assert after[0].norm() > 10 * after[1].norm()


def test_dampening_is_not_the_lectures_factor():
    problem = recorded_gradients()
    damped = trajectory(of_torch("torch.optim.SGD(w, lr=lr, momentum=momentum, dampening=momentum)", {"lr": 0.1, "momentum": 0.9}), *problem)
    ours = trajectory(of_rule(momentum, {"lr": 0.1, "momentum": 0.9}), *problem)
    torch.testing.assert_close(damped[0] - problem[0], 10 * (ours[0] - problem[0]))


def test_the_defaults():
    defaults = {kind: signature_of(kind) for kind in (torch.optim.RMSprop, torch.optim.Adadelta, torch.optim.AdamW, torch.optim.Adam)}
    assert defaults[torch.optim.RMSprop]["alpha"] == 0.99 and signature(rmsprop).hyper["gamma"] == 0.9
    assert defaults[torch.optim.Adadelta]["lr"] == 1.0 == signature(adadelta).hyper["lr"]
    assert defaults[torch.optim.AdamW]["weight_decay"] == 0.01
    assert defaults[torch.optim.Adam]["eps"] == 1e-8 == signature(adam).hyper["eps"] == signature(adamw).hyper["eps"]


def signature_of(kind):
    return kind([torch.zeros(1, requires_grad=True)]).defaults


def test_the_defaults_of_keras_and_optax():
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install -r benchmarks/requirements.txt")
    optax = pytest.importorskip("optax")

    optimizers = keras.optimizers
    assert optimizers.Adagrad().initial_accumulator_value == 0.1 and optimizers.RMSprop().rho == 0.9
    assert (optimizers.Adam().epsilon, optimizers.AdamW().weight_decay) == (1e-7, 0.004)
    assert math.isclose(float(optimizers.Adadelta().learning_rate), 0.001, rel_tol=1e-6)
    defaults = {f: {k: p.default for k, p in inspect.signature(f).parameters.items()} for f in (optax.adagrad, optax.rmsprop, optax.adamw, optax.adam)}
    assert defaults[optax.adagrad]["initial_accumulator_value"] == 0.1 and defaults[optax.rmsprop]["decay"] == 0.9
    assert defaults[optax.adamw]["weight_decay"] == 1e-4 and defaults[optax.adam]["eps"] == 1e-8


def test_two_spellings_of_l2_batch_normalization_and_kaiming():
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1.0, weight_decay=0.1)
    (0.0 * w.sum()).backward()
    optimizer.step()
    torch.testing.assert_close(w.detach(), torch.full((3,), 0.9, dtype=torch.float64))  # the gradient of 0.1/2 |w|²
    norm = torch.nn.BatchNorm1d(1)
    norm(torch.tensor([[1.0], [3.0]]))
    assert norm.momentum == 0.1 and math.isclose(norm.running_mean.item(), 0.2, rel_tol=1e-6)
    torch.manual_seed(0)
    weight = torch.empty(400, 400)
    assert math.isclose(torch.nn.init.kaiming_normal_(weight).var().item(), 2 / 400, rel_tol=0.02)
    assert math.isclose(torch.nn.Linear(400, 400).weight.var().item(), 1 / (3 * 400), rel_tol=0.02)
