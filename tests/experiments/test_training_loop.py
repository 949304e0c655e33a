"""train: a hand-written loop of PyTorch, bit for bit."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import lr_scheduler

from course_lib.experiments import Optimizer, digits, train
from course_lib.experiments.augment import Augment
from course_lib.experiments.data import Split
from course_lib.experiments.history import gradient_norms, measure
from course_lib.experiments.schedule import as_scheduler
from course_lib.formulas import adam, sgd
from course_lib.formulas.schedules import cosine, warmup

N, STEPS, BATCH = 70, 11, 16  # batches of 16, 16, 16, 16, 6
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
quiet = partial(train, batch=BATCH, progress=False)


@pytest.fixture(scope="module")
def data():
    return digits(N, 40)


def images(data: Split) -> Split:
    shaped = {k: x.reshape(-1, 1, 8, 8) if k.startswith("x") else x for k, x in vars(data).items()}
    return Split(**shaped)


def net(seed=1):
    """With what has a state beside its weights, and with what draws."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 10))


def weights(network) -> list[torch.Tensor]:
    return [*network.state_dict().values()]


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def by_hand(network, data, optimizer, scheduler=None, clip=None, half=None, seed=3):
    """The lecture's loop in PyTorch."""
    torch.manual_seed(seed)
    generator, t = torch.Generator().manual_seed(seed), 0
    network.train()
    while True:
        for chosen in torch.randperm(N, generator=generator).split(BATCH):
            optimizer.zero_grad()
            with torch.autocast("cpu", half, enabled=half is not None):
                loss = cross_entropy(network(data.x_train[chosen]), data.y_train[chosen])
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            t += 1
            if t == STEPS:
                return network


@pytest.mark.parametrize("half", [None, torch.bfloat16])
@pytest.mark.parametrize("make", [SGD, torch.optim.AdamW, partial(Optimizer, rule=adam)], ids=["SGD", "AdamW", "ours"])
def test_is_the_loop_of_pytorch_bit_for_bit(data, make, half):
    a, b = net(), net()
    quiet(a, data, make(a.parameters()), steps=STEPS, seed=3, mixed_precision=half or False)
    assert same(a, by_hand(b, data, make(b.parameters()), half=half)) and not same(a, net())


SCHEDULES = {
    "formula": (partial(cosine, total=8), lambda o: as_scheduler(cosine, o, total=8)),
    "warm-up": (warmup(partial(cosine, total=8), 3), lambda o: as_scheduler(warmup(cosine, 3), o, total=8)),
    "factor": (lambda t: 0.9**t, lambda o: lr_scheduler.LambdaLR(o, lambda t: 0.9**t)),
    "scheduler": (None, lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=12)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_schedule_counts_steps(data, name):
    schedule, scheduler = SCHEDULES[name]
    a, b = net(), net()
    ours, theirs = SGD(a.parameters()), SGD(b.parameters())
    history = quiet(a, data, ours, schedule or scheduler(ours), steps=STEPS, seed=3, every=1)
    rates, expected = [], scheduler(theirs)
    by_hand(b, data, theirs, expected)
    assert same(a, b)
    twin = SGD(net().parameters())
    expected = scheduler(twin)
    for t in range(STEPS):
        rates.append(twin.param_groups[0]["lr"])
        twin.step()
        expected.step()
    assert history.rate == rates and len(set(rates)) > 3


def test_all_parameter_groups_are_clipped_by_one_norm(data):
    """To the 1e-6 that PyTorch adds to the norm."""
    a, b = net(), net()
    groups = lambda m: [
        {"params": m[0].parameters()},
        {"params": m[1].parameters(), "lr": 0.01},
        {"params": m[4].parameters()},
    ]
    history = quiet(a, data, SGD(groups(a)), steps=STEPS, seed=3, clip=0.5, every=1)
    by_hand(b, data, SGD(groups(b)), clip=0.5)
    for ours, theirs in zip(weights(a), weights(b)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    totals = [torch.tensor(x).norm() for x in zip(*history.gradient_norm.values())]
    assert min(totals) > 0.5, "every step was clipped"


def test_the_history_is_what_was_measured(data):
    network = net()
    optimizer = SGD(network.parameters())
    history = quiet(network, data, optimizer, epochs=3, seed=3)
    assert history.steps == [5, 10, 15] and history.rate == [0.1] * 3
    assert (history.val_loss[-1], history.val_accuracy[-1]) == measure(network, data.x_val, data.y_val)
    assert list(history.gradient_norm) == ["0", "1", "4"]
    assert {k: x[-1] for k, x in history.gradient_norm.items()} == gradient_norms(network)  # of the last step
    layer = torch.cat([network[0].weight.grad.flatten(), network[0].bias.grad])
    assert history.gradient_norm["0"][-1] == pytest.approx(layer.norm().item(), rel=1e-6)


def test_the_training_loss_is_the_mean_over_the_examples_seen(data):
    """Each batch's loss counts as often as it has examples: a network that does not move has the loss of all of them."""
    network = nn.Linear(64, 10)
    history = quiet(network, data, torch.optim.SGD(network.parameters(), lr=0.0), epochs=2)
    whole = measure(network, data.x_train, data.y_train)
    assert history.train_loss == pytest.approx([whole[0]] * 2, rel=1e-6)
    assert history.train_accuracy == [whole[1]] * 2


def test_measuring_leaves_each_module_in_its_mode(data):
    network = net()
    network[1].eval()
    before = [x.clone() for x in weights(network)]
    measure(network, data.x_val, data.y_val)
    assert [m.training for m in network] == [True, False, True, True, True]
    assert all(map(torch.equal, before, weights(network)))


def test_without_validation_examples_there_is_no_number(data):
    network = net()
    history = quiet(network, digits(N, 0), SGD(network.parameters()), steps=2)
    assert str(history.val_loss) == str(history.val_accuracy) == "[nan]"


def test_the_seed_decides_everything_but_the_beginning(data):
    augment = Augment(shift=1, noise=0.1)

    def trained(seed):
        network = nn.Sequential(nn.Flatten(), *net())
        quiet(network, images(data), SGD(network.parameters()), steps=4, seed=seed, augment=bounded)
        return network

    bounded = lambda x, generator: augment(x, generator).clamp(0, 1)
    assert same(trained(0), trained(0)) and not same(trained(0), trained(1))


def test_the_global_generator_is_given_back(data):
    network = net()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    quiet(network, data, SGD(network.parameters()), steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_float16_scales_the_loss_and_skips_what_overflows(data):
    """The first scale, 65,536, is too large for this loss: no step is taken then, and the schedule waits, too."""
    a, b = nn.Linear(64, 10), nn.Linear(64, 10)
    b.load_state_dict(a.state_dict())
    large = lambda z, y: 20 * cross_entropy(z, y)
    ours, theirs = (torch.optim.SGD(network.parameters(), lr=1e-4) for network in (a, b))
    history = quiet(a, data, ours, lambda t: 0.5**t, steps=4, every=1, mixed_precision=torch.float16, loss=large)

    scaler, rates = torch.amp.GradScaler("cpu"), []
    generator = torch.Generator().manual_seed(0)
    for chosen in torch.randperm(N, generator=generator).split(BATCH)[:4]:
        rates.append(theirs.param_groups[0]["lr"])
        theirs.zero_grad()
        with torch.autocast("cpu", torch.float16):
            loss = large(b(data.x_train[chosen]), data.y_train[chosen])
        scaler.scale(loss).backward()
        before = b.weight.detach().clone()
        scaler.step(theirs)
        scaler.update()
        if not torch.equal(before, b.weight):
            theirs.param_groups[0]["lr"] *= 0.5
    assert same(a, b) and history.rate == rates
    assert rates[0] == rates[1] == 1e-4 and rates[-1] < 1e-4, "the first step was skipped, a later one was not"


def test_training_shows_its_progress(data, capfd):
    network = net()
    train(network, data, SGD(network.parameters()), steps=3, batch=BATCH, every=1)
    assert "3/3" in (shown := capfd.readouterr().err) and "val=" in shown


def wrong(network, **settings):
    given = {"steps": 2} | settings
    return lambda data: quiet(
        network, data, given.pop("optimizer", None) or SGD(network.parameters()), given.pop("schedule", None), **given
    )


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"steps": None}, ValueError, "steps=None and epochs=None"),
        ({"epochs": 2}, ValueError, "steps=2 and epochs=2"),
        ({"steps": 0}, ValueError, "steps must be a whole number from 1, got 0"),
        ({"batch": 71}, ValueError, "batch must be a whole number from 1 to 70, got 71"),
        ({"every": 1.5}, ValueError, "every must be a whole number from 1, got 1.5"),
        ({"mixed_precision": torch.float32}, ValueError, "mixed_precision must be .*torch.float16, got torch.float32"),
        ({"clip": 0.0}, ValueError, "clip must be the largest norm, above 0, .* got 0.0"),
        ({"clip": float("nan")}, ValueError, "clip must be .* got nan"),
        ({"schedule": partial(cosine, total=0)}, ValueError, "total"),
        ({"schedule": partial(cosine, lr=0.1)}, TypeError, "takes its lr from the optimizer's parameter groups"),
        ({"schedule": partial(cosine, T_0=3)}, TypeError, "cosine has no `T_0`"),
        ({"schedule": 0.1}, TypeError, "schedule must be a function of t .*, got float"),
        ({"optimizer": SGD(nn.Linear(2, 2).parameters())}, ValueError, "of this very network"),
    ],
)
def test_wrong_settings_are_told_in_a_sentence(data, settings, error, said):
    with pytest.raises(error, match=said):
        wrong(net(), **settings)(data)


def test_a_scheduler_that_waits_for_a_loss_is_refused(data):
    network = net()
    optimizer = SGD(network.parameters())
    with pytest.raises(TypeError, match="ReduceLROnPlateau waits for a loss"):
        quiet(network, data, optimizer, lr_scheduler.ReduceLROnPlateau(optimizer), steps=1)


def test_our_rule_is_pytorchs_within_rounding(data):
    a, b = net(), net()
    quiet(a, data, Optimizer(a.parameters(), sgd, lr=0.1, momentum=0.9), steps=STEPS)
    quiet(b, data, SGD(b.parameters()), steps=STEPS)
    for ours, theirs in zip(weights(a), weights(b)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
