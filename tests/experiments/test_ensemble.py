"""train_ensemble: every run is the network that a plain training loop trains, whatever else is trained beside it."""

import functools
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from course_lib.experiments import Optimizer, digits
from course_lib.experiments.ensemble import batches, network, train_ensemble
from course_lib.formulas import RULES, adam, adam_l2, adamw, gradient_descent, momentum_l2, newton
from course_lib.formulas.signature import signature

DOUBLE = torch.float64
TWINS = {
    adamw: lambda p, lr, decay: torch.optim.AdamW(p, lr, weight_decay=decay),
    adam_l2: lambda p, lr, decay: torch.optim.Adam(p, lr, weight_decay=decay),
    momentum_l2: lambda p, lr, decay: torch.optim.SGD(p, lr * (1 - 0.9), momentum=0.9, weight_decay=decay),
}


def data():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(60, 4, generator=generator, dtype=DOUBLE), torch.randint(0, 3, (60,), generator=generator)
    return SimpleNamespace(x_train=x[:40], y_train=y[:40], x_val=x[40:], y_val=y[40:])


def model():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 3))


def one_by_one(make_optimizer, seed, steps, batch=8, schedule=None):
    """The loop that everybody writes: (training loss, validation loss, accuracy, norm) before and after."""
    there = data()
    torch.manual_seed(seed)
    net, generator = model().double(), torch.Generator().manual_seed(seed)
    optimizer = make_optimizer(net.parameters())
    scheduler = LambdaLR(optimizer, lambda k: schedule(k + 1)) if schedule else None
    measured = []
    for t in range(steps + 1):
        if t in (0, steps):
            logits, norm = net(there.x_val), nn.utils.parameters_to_vector(net.parameters()).norm()
            right = (logits.argmax(1) == there.y_val).double().mean()
            measured.append(
                torch.stack(
                    [cross_entropy(net(there.x_train), there.y_train), cross_entropy(logits, there.y_val), right, norm]
                ).detach()
            )
        chosen = torch.randperm(40, generator=generator)[:batch]
        optimizer.zero_grad()
        cross_entropy(net(there.x_train[chosen]), there.y_train[chosen]).backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
    return torch.stack(measured)


def together(rule, steps, **options):
    curves = train_ensemble(
        rule, model, data(), steps=steps, records=(0, steps), dtype=DOUBLE, **({"batch": 8} | options)
    )
    assert curves.steps == [0, steps]
    return torch.stack([curves.train, curves.val, curves.accuracy, curves.norm], dim=1)  # (records, 4, runs)


def assert_same(curves, loops):
    torch.testing.assert_close(curves, torch.stack(loops, dim=-1), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES.values() if not signature(rule).takes_loss], ids=lambda rule: rule.__name__
)
def test_each_run_is_the_network_that_the_rule_trains_alone(rule):
    rates, seeds = [1e-3, 1e-2, 3e-2], [0, 7, 0]
    loops = [one_by_one(lambda p, lr=lr: Optimizer(p, rule, lr=lr), seed, 25) for lr, seed in zip(rates, seeds)]
    assert_same(together(rule, 25, lr=rates, seed=seeds), loops)


@pytest.mark.parametrize(
    "schedule", [None, lambda t: 0.5 * (1 + math.cos(math.pi * (t - 1) / 60))], ids=["constant", "cosine"]
)
@pytest.mark.parametrize("rule", TWINS, ids=lambda rule: rule.__name__)
def test_each_run_is_the_network_that_torch_trains(rule, schedule):
    lr, decay, seeds = [0.003, 0.01, 0.03, 0.03], [0.3, 0.0, 0.1, 1.0], [3, 2, 1, 1]
    loops = [
        one_by_one(functools.partial(TWINS[rule], lr=a, decay=b), seed, 60, schedule=schedule)
        for a, b, seed in zip(lr, decay, seeds)
    ]
    assert_same(together(rule, 60, lr=lr, decay=decay, seed=seeds, schedule=schedule), loops)


def test_without_a_batch_every_step_sees_all_examples():
    assert_same(
        together(adam, 10, lr=[0.01], batch=None), [one_by_one(lambda p: torch.optim.Adam(p, 0.01), 0, 10, batch=40)]
    )


def test_how_many_are_in_memory_together_changes_nothing():
    options = {"lr": [0.001, 0.01, 0.02, 0.03, 0.1], "seed": [4, 3, 4, 4, 0]}
    torch.testing.assert_close(
        together(adamw, 20, at_once=2, **options), together(adamw, 20, **options), rtol=1e-10, atol=1e-12
    )


def test_a_diverged_run_is_not_finite_and_leaves_the_others_alone():
    curves = together(gradient_descent, 400, lr=[0.1, 1e200, 0.1])
    assert not curves[-1, :, 1].isfinite().any()
    torch.testing.assert_close(curves[:, :, [0, 2]], together(gradient_descent, 400, lr=[0.1, 0.1]), rtol=1e-10, atol=0)


def test_its_network_and_its_batches_are_those_that_the_helpers_give():
    torch.manual_seed(5)
    expected = model().state_dict()
    torch.manual_seed(11)
    before = torch.get_rng_state()
    made = network(model, 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert [k for k, x in made.state_dict().items() if not torch.equal(expected[k], x)] == []
    indices = batches(40, 8, seed=5)
    first, second = next(indices), next(indices)
    assert len(first.unique()) == 8 and not torch.equal(first, second)
    assert torch.equal(first, torch.randperm(40, generator=torch.Generator().manual_seed(5))[:8])


def test_real_digits_in_single_precision():
    curves = train_ensemble(
        adamw, lambda: nn.Linear(64, 10), digits(), steps=100, batch=50, records=(100, 0, 50), lr=[0.0, 0.01]
    )
    assert curves.steps == [0, 50, 100] and curves.val.shape == (3, 2) and curves.val.dtype == torch.float32
    assert (curves.val[:, 0] == curves.val[0, 0]).all()
    assert curves.accuracy[-1, 1] > 0.85 and (curves.train.diff(dim=0)[:, 1] < 0).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_the_same_networks():
    options = {"lr": [0.003, 0.03], "seed": [1, 2]}
    torch.testing.assert_close(
        together(adamw, 20, device="cuda", **options).cpu(), together(adamw, 20, **options), rtol=1e-8, atol=1e-10
    )


class Counting(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
        self.register_buffer("seen", torch.zeros(()))


@pytest.mark.parametrize(
    "kind, given, sentence",
    [
        (TypeError, {"momentum": 0.9}, "Unknown hyperparameter `momentum`: adamw has (lr, beta1, beta2, eps, decay)."),
        (TypeError, {"rule": newton}, "newton needs the loss as a function of all parameters in one vector."),
        (
            TypeError,
            {"model": nn.Linear(4, 3)},
            "model must be a function that makes a network, such as `lambda: nn.Linear(64, 10)`, got Linear.",
        ),
        (TypeError, {"lr": "fast"}, "lr must be a number or a vector of numbers, got 'fast'."),
        (TypeError, {"rule": lambda w, g, t: w - g, "schedule": lambda t: 1.0}, "A schedule multiplies lr"),
        (ValueError, {"model": Counting}, "The model has buffers (seen)"),
        (ValueError, {"lr": -0.1}, "adamw's lr must be at least 0 and finite, got -0.1."),
        (ValueError, {"lr": [0.1, 0.2], "decay": [0.1, 0.2, 0.3]}, "all of one length above 0, got lr: 2, decay: 3."),
        (ValueError, {"lr": [0.1, 0.2], "seed": [1, 2, 3]}, "all of one length above 0, got lr: 2, seed: 3."),
        (ValueError, {"seed": 0.5}, "seed must be a whole number from 0 or a vector of them, got 0.5."),
        (ValueError, {"seed": -1}, "got -1."),
        (ValueError, {"steps": -1}, "steps must be a whole number from 0, got -1."),
        (ValueError, {"steps": 2.0}, "got 2.0."),
        (ValueError, {"batch": 0}, "batch must be a whole number from 1, got 0."),
        (ValueError, {"batch": 41}, "batch must be at most 40, the number of training examples, got 41."),
        (ValueError, {"at_once": 0}, "at_once must be a whole number from 1, got 0."),
        (ValueError, {"records": (0, 9)}, "records must be steps from 0 to 3, got [0, 9]."),
        (ValueError, {"records": ()}, "got []."),
    ],
)
def test_errors_say_what_came_and_what_is_allowed(kind, given, sentence):
    arguments = {"rule": adamw, "model": model, "data": data(), "steps": 3, "batch": 8} | given
    with pytest.raises(kind) as error:
        train_ensemble(**arguments)
    assert sentence in str(error.value)
