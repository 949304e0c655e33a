"""What the page on live training says, bound to its records, to its figure and to algebra."""

import math

import torch
from claims import Page

from course_lib.experiments import recorded
from course_lib.experiments.live import LiveRun, Settings
from course_lib.experiments.studies.live_training import TRAIN, VALIDATION, data, followed, run
from course_lib.widgets.figures.live_training import SLICE

page = Page("training/live_training")
SEEDS = range(5)


@page.claim(
    "A network with {} inputs, {} hidden units and {} outputs learns {} handwritten digits; {} others tell how good it is.",
    "the loss on the {} digits that it never sees", "You watch the {} digits while you turn the knobs.",
    "are those that suit these {}.", "the middle of an {} by {} square",
)
def test_the_figure(page):
    fig = page.figure(0)
    sizes, side = fig.spec["sizes"], fig.spec["side"]
    assert (fig.spec["train"], fig.spec["validation"]) == (TRAIN, VALIDATION)
    return *sizes, TRAIN, *[VALIDATION] * 4, side, side


@page.claim("says {}% for each class, and its loss is $\\ln {} = {}$.", "Far above that")
def test_a_network_that_knows_nothing():
    z, y = torch.zeros(1, 10), torch.zeros(1).long()
    return 100 / 10, 10, torch.nn.functional.cross_entropy(z, y).item()


@page.claim("After {} steps the weights in your browser are PyTorch's", "twenty reports a second")
def test_what_other_tests_prove():
    assert 1 / SLICE == 20
    return 100  # tests/experiments/test_live.py compares them after as many


# The rate first


def by_rule() -> dict[str, torch.Tensor]:
    """Losses by rule, (seeds, rates)."""
    record = recorded("live_rates")
    return dict(zip(record.settings["rules"], record["val_loss"].unbind(1), strict=True))


def at(rule: str, rate: float) -> torch.Tensor:
    return by_rule()[rule][:, recorded("live_rates").settings["rates"].index(rate)]


@page.claim(
    "Begin again with *gradient descent* at a rate of {}, then at {}. Which one is further after {} steps? Then take *Lion* at {}.",
    "Gradient descent is at {} to {} with the rate {} and at {} to {} with a tenth of it",
    "Lion ends above {}, as if it had learned nothing.", r"at $\eta = {}$ every weight moves by {} in each step",
    "Five rules, six rates, {} steps each, from five seeds",
)
def test_gradient_descent_and_lion():
    steps = recorded("live_rates").settings["steps"]
    large, small, lion = at("gradient_descent", 1.0), at("gradient_descent", 0.1), at("lion", 0.1)
    assert (large < small).all() and (lion > 2.2).all()
    assert len(by_rule()) == 5 and by_rule()["adam"].shape == (5, 6)
    ends = large.min(), large.max(), 1, small.min(), small.max()
    return 1, 0.1, steps, 0.1, *ends, 2.2, 0.1, 0.1, steps


@page.claim("differ by a factor of a thousand: from Lion's {} to gradient descent's {}.")
def test_each_rule_has_a_decade():
    rates = recorded("live_rates").settings["rates"]
    best = {rule: rates[losses.median(0).values.argmin()] for rule, losses in by_rule().items()}
    assert best == {"gradient_descent": 1, "momentum": 1, "adagrad": 0.1, "adam": 0.01, "lion": 0.001}
    for rule, losses in by_rule().items():
        assert (losses.min(1).values < 0.3).all()  # at its best no rule is bad
        assert (losses[:, -1] > 4).all()
        elsewhere = [rates.index(x) for other, x in best.items() if x != best[rule]]
        assert (losses.median(0).values[elsewhere] > 2 * losses.median(0).values.min()).float().mean() > 0.5, rule
    assert best["gradient_descent"] / best["lion"] == 1000
    return best["lion"], best["gradient_descent"]


# A smaller rate, in mid-run


@page.claim(
    "a batch of {} and a rate of {}. Wait for {} steps. Then pull the rate down to {}",
    "Between steps {} and {} the training loss stands at {} to {}; after the drop it is at {} to {}.",
)
def test_the_noise_floor():
    record = recorded("live_drop")
    s, losses, val = record.settings, record["loss"], record["val_loss"]
    drop = s["at"] // s["every"]
    before, after = losses[:, drop // 2 : drop].mean(1), losses[:, drop + 5 :].mean(1)
    assert (losses[:, drop + 4 : drop + 8].mean(1) < before / 2).all()  # 100 to 200 steps later
    assert (losses[:, drop + 5 :].std(1) < losses[:, drop // 2 : drop].std(1)).all()
    assert (val[:, drop + 5 :].mean(1) < val[:, drop // 2 : drop].mean(1)).all()
    window = s["at"] // 2, s["at"]
    return 8, s["rates"][0], s["at"], s["rates"][1], *window, before.min(), before.max(), after.min(), after.max()


@page.claim("with *steps of the schedule* at {}")
def test_restarts_end_their_periods():
    run = LiveRun(data(), schedule="warm_restarts", total=2000)
    ends = [round(2000 / 7), round(2000 * 3 / 7)]
    for end in ends:
        run.t = end - 2
        low = run.rate
        run.t = end + 1
        assert low < 1e-5 < 9e-4 < run.rate
    return 2000


# Batches, beginnings, shifts


@page.claim(
    "which is better, a batch of {} or one of {}?",
    "After ten passes at a rate of {} a batch of {} has made {} steps and is at {} to {}, a batch of {} has made {} and is at {} to {}.",
    "when you go from {} to {}, on a GPU",
)
def test_batches():
    record = recorded("live_batches")
    batches, losses = record.settings["batches"], record["val_loss"]
    assert (losses.diff(dim=1) < 0).all() and record.settings["epochs"] == 10
    large, small = losses[:, 0], losses[:, -1]
    steps = [10 * TRAIN // b for b in (batches[0], batches[-1])]
    ends = (batches[0], steps[0], large.min(), large.max(), batches[-1], steps[1], small.min(), small.max())
    return 256, 8, 0.3, *ends, 8, 256


@page.claim(
    "the accuracy stays at {}% in every seed.", r"*Normal* draws from $N(0, 1)$: the loss begins far above {}",
    "after {} steps it is at {} to {}%.", "The other four end at {} to {}%",
)
def test_beginnings():
    record = recorded("live_beginnings")
    accuracy = dict(zip(record.settings["initializations"], 100 * record["accuracy"].T, strict=True))
    constant, normal = accuracy.pop("constant"), accuracy.pop("normal")
    others = torch.stack([*accuracy.values()])
    assert len(others) == 4 and (constant == constant[0]).all()
    ranges = [(x.min(), x.max()) for x in others]
    assert max(low for low, _ in ranges) < min(high for _, high in ranges)  # they overlap
    assert all(run(seed, initialization="normal").report()["val_loss"] > 5 for seed in SEEDS)
    silent = run(0, initialization="constant")
    silent.step(3)
    assert all((silent.weights[k] == 0).all() for k in ("W1", "b1", "W2")) and (silent.weights["b2"] != 0).any()
    return constant[0], math.log(10), record.settings["steps"], normal.min(), normal.max(), others.min(), others.max()


@page.claim(
    "from {} or {}% to {} to {}%", "names only {} to {}% of them, the other one {} to {}%",
    "Turn *shift* up to {}: each digit",
)
def test_shifts():
    record = recorded("live_shifts")
    here, moved = 100 * record["as they are"], 100 * record["moved"]
    assert (here[:, 1] < here[:, 0]).all() and (moved[:, 1] > 2 * moved[:, 0]).all()
    assert ((moved[:, 1] - here[:, 1]).abs() < 1).all()
    ends = here[:, 0].min(), here[:, 0].max(), here[:, 1].min(), here[:, 1].max()
    return *ends, moved[:, 0].min(), moved[:, 0].max(), moved[:, 1].min(), moved[:, 1].max(), 1


@page.claim("With a shift the training loss lies *above* the validation loss.")
def test_with_a_shift_the_training_loss_lies_above():
    trained = run(0, rule="adam", hyper={"lr": 0.01}, shift=1)
    trained.step(300)
    losses = followed(trained, 200, 100)
    assert losses["loss"][-1] > losses["val_loss"][-1]


# A recording


@page.claim(
    "real runs of {} steps, {} seeds each", "Adam at a rate of {}, thirty times that of the other runs: seed {}, then seed {}.",
    "With seed {} the network learns, noisily, and ends at {}%. With seeds {} and {} the two curves",
    "the loss stays at {}, and the accuracy at guessing.", "The other four runs end at {} to {}%.",
)
def test_the_recording():
    record = recorded("convolutions_on_digits")
    k = record.settings["runs"].index("Adam, rate of 0.1")
    alive, *dead = 100 * record["accuracy"][:, k, -1]
    assert all(x < 15 for x in dead) and (record["norms"][1:, k, 2:, :2] == 0).all()
    assert (record["norms"][:, k, :, 2] > 0).all() and (record["norms"][0, k] > 0).all()
    others = 100 * record["accuracy"][:, [j for j in range(5) if j != k], -1]
    settings = record.settings["steps"], len(record.seeds), 0.1, 0, 1
    return *settings, 0, alive.item(), 1, 2, record["loss"][1:, k, -1].mean().item(), others.min(), others.max()


@page.claim("cost more than {} times as much a step")
def test_what_convolutions_cost():
    dense = 64 * 32 + 32 * 10  # multiplications of an example, forward
    both = 64 * 9 * 8 + 64 * 9 * 8 * 16 + 256 * 10
    assert 30 < both / dense < 40
    return 30


# In a notebook, and the tasks


@page.claim(
    "{} is a good rate for momentum and a ruin for Adam.",
    'LiveTraining("sgdw", lr={}, batch={}, schedule="cosine", total={})', 'fig.hyper = {"lr": {}}',
    "`LiveTraining(hidden=({}, {}))` has two hidden layers", "for step in range({}):",
)
def test_what_is_written_in_a_notebook():
    assert (at("momentum", 1.0) < 0.2).all() and (at("adam", 1.0) > 5).all()
    settings = Settings("sgdw", {"lr": 0.5}, 64, "cosine", 3000)
    LiveRun(data(), (64, 64, 64, 10)).step(1)
    return 1, settings.hyper["lr"], settings.batch, settings.total, 0.1, 64, 64, settings.total


@page.claim(
    "Get the loss on new digits below {} within {} steps. Adam at a rate of {} comes close or gets there.",
    "Let that run go on to {} steps.", "Take Rprop with a batch of {}, then with {}.",
)
def test_the_tasks():
    trained = run(0, rule="adam", hyper={"lr": 0.01})
    losses = followed(trained, 2000, 250)
    assert 0.08 < losses["val_loss"][3] < 0.12
    assert losses["val_loss"][-1] > min(losses["val_loss"]) and losses["loss"][-1] < losses["loss"][3] / 2
    return 0.1, 1000, 0.01, 2000, 8, 256


test_changed_numbers_are_noticed = page.test_of_numbers()
