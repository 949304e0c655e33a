"""A training whose settings change: PyTorch's run is what nn.Module and torch.optim do, and the traced one is PyTorch's."""

import json
import re

import pytest
import torch
from torch import nn

from course_lib.experiments.batches import index_batches
from course_lib.experiments.data import digits
from course_lib.experiments.live import LiveRun, Settings, first_weights, orthogonalized, scheduled_rate, takes_uniform
from course_lib.experiments.live_program import javascript_of_training
from course_lib.formulas.catalog import RULES
from course_lib.formulas.initialization import INITIALIZATIONS
from course_lib.formulas.network import ACTIVATIONS, cross_entropy, logits, softmax
from course_lib.formulas.schedules import SCHEDULES
from course_lib.widgets import LiveTraining
from course_lib.widgets.kit.bundle import FOLDER

TOLERANCE = 1e-7  # of weights after 100 steps: most agree to 1e-12, but a rule that overshoots lets last bits of exp and tanh grow
SIZES = (64, 32, 10)


@pytest.fixture(scope="module")
def data():
    return digits(1280, 512, dtype=torch.float64)


def flat(weights) -> torch.Tensor:
    return torch.cat([torch.as_tensor(w, dtype=torch.float64).flatten() for w in weights.values()])


def module_of(run) -> nn.Module:
    network = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)).double()
    with torch.no_grad():
        for p, w in zip(network.parameters(), run.weights.values(), strict=True):
            p.copy_(w)
    return network


# The formulas


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_network_is_a_sequence_of_layers(name):
    layers = nn.Linear(5, 4), nn.Linear(4, 6), nn.Linear(6, 3)
    act = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}[name]
    network = nn.Sequential(layers[0], act(), layers[1], act(), layers[2]).double()
    x = torch.randn(7, 5, dtype=torch.float64)
    weights = dict(network.named_parameters())
    torch.testing.assert_close(logits(weights, x, ACTIVATIONS[name]), network(x), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
def test_cross_entropy_and_softmax_are_pytorch_s(scale):
    z = scale * torch.randn(20, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.arange(20) % 10
    torch.testing.assert_close(cross_entropy(z, y), nn.functional.cross_entropy(z, y), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(softmax(z), torch.softmax(z, 1), rtol=1e-12, atol=1e-15)


# The run


@pytest.mark.parametrize(
    "settings, optimizer",
    [
        ({"rule": "adam"}, lambda p: torch.optim.Adam(p)),
        ({"rule": "sgd_l2", "hyper": {"lr": 0.1, "momentum": 0.9, "decay": 1e-3}},
         lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3)),
        ({"rule": "adamw", "hyper": {"decay": 0.1}}, lambda p: torch.optim.AdamW(p, weight_decay=0.1)),
    ],
    ids=["adam", "sgd", "adamw"],
)  # fmt: skip
def test_a_run_is_what_torch_optim_does(data, settings, optimizer):
    run = LiveRun(data, SIZES, batch=64, seed=3, **settings)
    network = module_of(run)
    optimizer, rows = optimizer(network.parameters()), index_batches(1280, 64, "shuffled", 4)
    run.step(60)
    for _ in range(60):
        batch = next(rows)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(data.x_train[batch]), data.y_train[batch]).backward()
        optimizer.step()
    torch.testing.assert_close(flat(run.weights), flat(dict(network.named_parameters())), rtol=1e-10, atol=1e-12)
    report = run.report()
    right = (network(data.x_val).argmax(1) == data.y_val).double().mean()
    assert report["accuracy"] == right.item() and report["t"] == 60


def test_settings_change_in_mid_run(data):
    run = LiveRun(data, SIZES, hyper={"lr": 0.01}, schedule="cosine", total=100)
    run.step(50)
    assert run.rate == pytest.approx(0.005)
    run.change(hyper={"lr": 0.02})
    assert run.rate == pytest.approx(0.01) and run.settings.hyper["beta1"] == 0.9
    run.change(rule="sgdw", batch=256)
    assert run.settings.hyper == {"lr": 0.1, "momentum": 0.9, "decay": 0.01} and run.t_rule == 0
    before = flat(run.weights)
    run.step(1)
    assert run.t == 51 and not torch.equal(before, flat(run.weights))
    run.reset()
    assert torch.equal(flat(run.weights), flat(first_weights("xavier_uniform", SIZES, 0))) and run.t == 0


@pytest.mark.parametrize("name", [k for k in SCHEDULES if k != "constant"])
def test_a_schedule_has_done_its_work_by_its_total(name):
    rates = [scheduled_rate(t, lr=1.0, total=700, name=name) for t in (0, 699)]
    assert rates[1] < 0.25 * max(rates[0], 0.5)
    assert scheduled_rate(5, lr=1.0, total=700, name=name, warm=100) < 0.1


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_shortest_schedule_is_one(data, name):
    run = LiveRun(data, SIZES, schedule=name, total=20, hyper={"lr": 1e-3})
    rates = [(run.rate, run.step())[0] for _ in range(22)]
    assert all(0 <= rate <= 1e-3 * (1 + 1e-12) for rate in rates)


@pytest.mark.parametrize("shape", [(32, 64), (10, 32), (8, 8), (40, 5)])
def test_orthogonal_weights_are_orthogonal(shape):
    z = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    q = orthogonalized(z)
    product = q @ q.T if shape[0] <= shape[1] else q.T @ q
    torch.testing.assert_close(product, torch.eye(min(shape), dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"rule": "adm"}, "rule must be one of gradient_descent, .* got 'adm'"),
        ({"batch": 33}, "batch must be one of 8, 16, 32, 64, 128, 256, got 33"),
        ({"schedule": "cos"}, "schedule must be one of constant, .* got 'cos'"),
        ({"noise": -1.0}, "noise must be at least 0 and finite, got -1.0"),
        ({"shift": 9}, "shift must be .* 7, got 9"),
        ({"total": 19}, "total must be .*20.* got 19"),
        ({"hyper": {"lr": -1.0}}, "adam's lr must be at least 0 and finite, got -1.0"),
    ],
)
def test_what_is_not_allowed_is_said(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        Settings(**settings)


def test_a_hyperparameter_that_the_rule_lacks_is_named():
    with pytest.raises(TypeError, match="Unknown hyperparameter `momentum`: adam has"):
        Settings(rule="adam", hyper={"momentum": 0.9})


# The traced run

TRAIN = """async ([text, setup, cases, steps]) => {
  const module = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(text));
  const { trainingRun, uniform, batches, ...code } = module;
  setup.digits.pixels = Float64Array.from(setup.digits.pixels);
  setup.digits.labels = Int32Array.from(setup.digits.labels);
  return cases.map((settings) => {
    const run = trainingRun(code, { uniform, batches }, setup, settings[0]);
    for (const now of settings) {
      run.change(now);
      for (let k = 0; k < steps / settings.length; k++) run.step();
    }
    const { accuracy, loss, val_loss } = run.report();
    return [Object.values(run.weights).flatMap((w) => [...w]), accuracy, loss, val_loss];
  });
}"""
CASES = {
    **{f"by {name}": [{"rule": name}] for name in RULES},
    **{f"{name}, at first": [{"initialization": name, "rule": "sgdw"}] for name in INITIALIZATIONS},
    **{f"{name} schedule": [{"schedule": name, "total": 90, "warm": 10}] for name in SCHEDULES},
    **{name: [{"activation": name, "initialization": "kaiming_normal"}] for name in ACTIVATIONS},
    **{f"batches of {n}": [{"batch": n, "seed": 5}] for n in (8, 16, 64, 128, 256)},
    "shift": [{"shift": 2}],
    "shift and noise": [{"shift": 1, "noise": 0.3, "batch": 16}],
    "changed on the way": [
        {"rule": "momentum", "hyper": {"lr": 0.5}}, {"rule": "lamb", "batch": 64}, {"rule": "lamb", "noise": 0.1}, {"rule": "adam"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def traced(page, data):
    """What each case gives in the browser, by its name."""
    figure = LiveTraining(where="page")
    scripts = [(FOLDER / "figures" / f"{name}.js").read_text() for name in ("mini_batch_draws", "live_training_run")]
    text = "\n".join([javascript_of_training(SIZES, 1280, 512), *scripts])
    pixels = torch.cat((data.x_train, data.x_val)).flatten().tolist()
    states = {name: rule["states"] for name, rule in figure.spec["rules"].items()}
    all_digits = {"pixels": pixels, "labels": figure.spec["labels"], "train": 1280, "validation": 512}
    cases = [[vars(Settings(**x)) for x in case] for case in CASES.values()]
    found = page.evaluate(TRAIN, [text, figure.spec | {"states": states, "digits": all_digits}, cases, 100])
    return dict(zip(CASES, found, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_the_page_trains_as_pytorch_does(traced, data, name):
    weights, accuracy, loss, val_loss = traced[name]
    first, *others = CASES[name]
    run = LiveRun(data, SIZES, **first)
    run.step(100 // len(CASES[name]))
    for now in others:
        run.change(**vars(Settings(**now)))
        run.step(100 // len(CASES[name]))
    report = run.report()
    torch.testing.assert_close(
        torch.tensor(weights, dtype=torch.float64), flat(run.weights), rtol=TOLERANCE, atol=TOLERANCE
    )
    assert accuracy == report["accuracy"]
    assert [loss, val_loss] == pytest.approx([report["loss"], report["val_loss"]], rel=1e-9)


def test_every_formula_of_a_step_is_traced():
    names = set(re.findall(r"^export function (\w+)", javascript_of_training(SIZES, 1280, 512), re.M))
    wanted = {f"update_{k}" for k in RULES} | {f"rate_{k}" for k in SCHEDULES} | {f"first_{k}" for k in INITIALIZATIONS}
    assert wanted - names == {"first_orthogonal"}
    assert {"pick", "augment", "normal", "nearer_W1", "nearer_W2"} < names
    assert [k for k in INITIALIZATIONS if takes_uniform(INITIALIZATIONS[k])] == [
        k for k in INITIALIZATIONS if "uniform" in k or k == "pytorch_default"
    ]
    assert len(json.dumps(LiveTraining(where="page").page_state())) < 130_000
