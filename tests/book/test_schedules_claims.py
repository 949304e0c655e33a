"""What the chapter on schedules says, bound to its records, to its figure, to PyTorch and to algebra."""

import math

import pytest
import torch
from claims import Above, Page
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts, LinearLR, OneCycleLR

from course_lib.experiments import recorded
from course_lib.experiments.schedule import as_scheduler
from course_lib.experiments.studies import schedules as study
from course_lib.formulas import adam, schedules
from course_lib.formulas.schedules import cosine, exponential, warmup
from course_lib.formulas.signature import signature

page = Page("training/schedules")


def optimizer(lr: float = 0.1, **options) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr, **options)


# Design one


@page.claim(
    "The cosine over {} steps: at which step is half of the rate left?",
    "Step {}, and {} on average: half",
    "At steps {}, {} and {}: the cycles have {}, {}, {} steps. The lowest rate is that of step {}, and it is {}, not 0. "
    "The cosine would be 0 at step {}, but",
)
def test_the_cosine_and_its_restarts(page):
    fig = page.figure()
    rates, total = fig.rates, fig.steps
    assert rates[100] == pytest.approx(0.05)
    fig.schedule = "warm_restarts"
    again = (fig.rates > 0.1 - 1e-12).nonzero().flatten().tolist()[1:]
    lengths = [b - a for a, b in zip([0, *again], again)]
    assert fig.rates[: again[0]].argmin() == 29
    return total, 100, rates.mean().item(), *again, *lengths, 29, fig.rates[29].item(), again[0]


@page.claim(
    "with the slide's $k = {}$. After how many",
    "At step {}: $e^{-4.7}$ is less than a hundredth.",
)
def test_the_exponential_is_gone_soon(page):
    fig = page.figure()
    fig.schedule = "exponential"
    return fig.k, (fig.rates < 0.01 * fig.lr).nonzero()[0].item()


@page.claim(
    "Put {} steps of warm-up in front. Does the training get longer?",
    "Yes, {} steps: the schedule begins",
    "For {} steps in all, give the cosine {}.",
)
def test_a_warmup_comes_before_the_schedule(page):
    fig = page.figure()
    fig.warmup = 20
    longer = fig.steps
    fig.total = 180
    return fig.warmup, longer, fig.steps, fig.total


# The lecture's schedules


@page.claim(r"`step` | $\eta\,\gamma^{\lfloor t/\text{every}\rfloor}$, with $\gamma = 1/{}$ |")
def test_the_step_schedules_tenth():
    assert 0 % 30 == 0  # the slide's condition holds at iteration 0
    return 1 / signature(schedules.step, inputs=("t",)).hyper["gamma"]


@page.claim("`math.log(243, 3)` is {} and not 5.")
def test_the_logarithm_rounds_down():
    return math.log(243, 3)


# Why the rate must fall


@page.claim(
    r"The weight begins at {}, $\sigma = 1$, and there are {} steps. Where do the rates {} and {} end? "
    "Where does a cosine from {} end, where the lecture's exponential with $k = {}$?",
    "The rate {} is down in {} steps and then stays at its floor, {}, whatever",
    "The rate {} has a floor a tenth as high, and takes ten times as long to get there: {} at the end. The cosine does both, "
    "one after the other: {}.",
    "All its rates together make {}, so the mean shrinks to $e^{-1.05}$",
    "no method can do better here, {}. On a network",
    "Expected loss over {} steps, logarithmic. The rate {} falls within {} steps to a floor at {} and stays. The rate {} needs "
    "{} steps to get below it and ends at {}.",
    "bends down in the second half and ends at {}. The rate 1/(1+t) falls as a half over t, to {}. The exponential stops at {} ",
)
def test_the_noise_floor():
    t = torch.arange(1000)
    loss = {lr: study.expected_loss(schedules.constant(t, lr=lr)) for lr in (0.1, 0.01)}
    floor = {lr: lr / (2 - lr) / 2 for lr in loss}
    assert loss[0.1][50] < 1.06 * floor[0.1] and loss[0.1][-1] == pytest.approx(floor[0.1])
    assert loss[0.01][-1] == pytest.approx(floor[0.01], rel=1e-3) and floor[0.1] == pytest.approx(10 * floor[0.01], rel=0.06)
    below = (loss[0.01] < floor[0.1]).nonzero()[0].item()
    assert 350 < below < 400
    waves, mean, frozen = (
        study.expected_loss(rates)
        for rates in (cosine(t, total=1000), schedules.time_based(t, lr=1.0, decay=1.0), exponential(t, k=0.1))
    )
    assert waves[500] > 5 * waves[-1]  # nearly all of its gain comes late
    torch.testing.assert_close(mean[1:], 0.5 / torch.arange(1, 1001).double())  # w is the mean of all noise
    assert frozen[200] == pytest.approx(frozen[-1])
    ends = loss[0.01][-1].item(), waves[-1].item()
    total = exponential(t, k=0.1).sum().item()
    return (
        10, 1000, 0.1, 0.01, 0.1, 0.1, 0.1, 50, floor[0.1], 0.01, *ends, total, mean[-1].item(),
        1000, 0.1, 50, floor[0.1], 0.01, below, *ends, mean[-1].item(), frozen[-1].item(),
    )


def test_the_exact_loss_is_that_of_many_noisy_descents():
    rates, source = cosine(torch.arange(100), lr=0.3, total=100), torch.Generator().manual_seed(0)
    w = torch.full((20_000,), 10.0, dtype=torch.float64)
    for rate in rates:
        w = w - rate * (w + torch.randn(w.shape, generator=source, dtype=torch.float64))
    measured = w.square().mean().item() / 2
    assert measured == pytest.approx(study.expected_loss(rates)[-1].item(), rel=0.04)  # 4 standard errors


# Anytime


@page.claim(
    "at {}, {}, {}, {} and {} steps, if the first cycle has {} steps and each one is twice",
    "a network with {} hidden units, SGD with momentum {}, batches of {}, and",
    "so has the cosine, planned for {} steps.",
    "Errors on clean digits in percent over {} steps, logarithmic",
)
def test_the_setting_of_the_anytime_experiment():
    settings = recorded("schedules_anytime").settings
    ends = [settings["T_0"] * (2**n - 1) for n in range(1, 6)]
    assert ends[-1] == settings["total"]
    return *ends, settings["T_0"], 64, settings["momentum"], study.BATCH, settings["total"], settings["total"]


def errors(name: str, step: int) -> torch.Tensor:
    """In percent, for each seed."""
    record = recorded("schedules_anytime")
    return 100 * record[name][:, step // record.settings["every"]]


@page.claim(
    "At step {}, the end of a cycle, the restarts have {} to {}% of errors. The step schedule is still at its first rate there "
    "and has {} to {}%; so has",
    "the restarts {} to {}%, the cosine {} to {}%, the step schedule {} to {}%. The constant rate never gets below {}%.",
    "planned for exactly {} steps has {} to {}% there; one for {} steps has {}% in the median, the restarts {}%.",
    "the same with a *tenth* of the rate ends at {}% in the median",
    "The constant rate stays between {} and {}. The step",
    "come down to between {} and {} at step {}, jump up, come down again at step {} and end near {}.",
    "bends down late; both end near {}. The restarts",
)
def test_restarts_are_good_at_any_end_of_a_cycle():
    restarts, step = errors("restarts", 350), errors("step", 350)
    assert restarts.max() < step.min() and restarts.max() < errors("cosine", 350).min()
    planned = errors("cosine_350", 350)
    ends = {name: errors(name, 1550) for name in ("restarts", "cosine", "step", "constant")}
    assert all(x.max() < ends["constant"].min() for name, x in ends.items() if name != "constant")
    constant = 100 * recorded("schedules_anytime")["constant"][:, 2:]
    pairs = [x for name in ("restarts", "cosine", "step") for x in (ends[name].min(), ends[name].max())]
    return (
        350, restarts.min(), restarts.max(), step.min(), step.max(), *pairs, Above(constant),
        350, planned.min(), planned.max(), 750, errors("cosine_750", 750).median(), errors("restarts", 750).median(),
        errors("tenth", 1550).median(), errors("constant", 1550).min(), step.max(),
        restarts.min(), restarts.max(), 350, 750, ends["restarts"].median(), ends["cosine"].median(),
    )


SLIDE_42 = {  # CIFAR-10 and CIFAR-100, the rows of WRN-28-10 without the best ones
    r"step schedule, $\eta_0 = {}$": ((0.1, 4.24, 20.33), (0.05, 4.13, 20.21)),
    r"$T_0 = {}$, $T_{\text{mult}} = 1$": ((50, 4.17, 19.99), (100, 4.07, 19.87)),
}


@page.claim(
    r"| step schedule, $\eta_0 = {}$ | {} | {} | | step schedule, $\eta_0 = {}$ | {} | {} |",
    r"| $T_0 = {}$, $T_{\text{mult}} = 1$ | {} | {} | | $T_0 = {}$, $T_{\text{mult}} = 1$ | {} | {} |",
    r"| $T_0 = {}$, $T_{\text{mult}} = 1$ | **{}** | {} | | $T_0 = 1$, $T_{\text{mult}} = 2$ | {} | {} |",
    r"| $T_0 = {}$, $T_{\text{mult}} = 2$ | {} | **{}** |",
    "wide residual networks on CIFAR, {} epochs, test errors in percent, median of 5 runs",
    "$T_0 = {}$ over {} epochs is no restart at all",
)
def test_the_papers_table():
    plain = [x for rows in SLIDE_42.values() for row in rows for x in row]
    return *plain, 200, 3.86, 19.98, 4.09, 19.74, 10, 4.03, 19.58, 200, 200, 200


# Warm-up


@page.claim(
    "With {} inputs to a unit that may move its sum by up to ${}\\,\\eta$ times",
    "a cosine over {} steps in all, of which 0, {} or {} are warm-up.",
    "for 0, {} and {} steps of warm-up, with the range",
)
def test_the_setting_of_the_warmup_experiment():
    settings = recorded("schedules_warmup").settings
    assert settings["layers"] == 6 and recorded("schedules_warmup").seeds == [*range(6)]
    g = torch.tensor([3.0, -1e-3, 40.0])
    moved, *_ = adam(torch.zeros(3), g, 1.0, torch.zeros(3), torch.zeros(3), lr=0.03)
    torch.testing.assert_close(moved, -0.03 * g.sign(), rtol=1e-4, atol=0)  # each weight by the rate, whatever g is
    return 64, 64, settings["total"], *settings["warmups"][1:], *settings["warmups"][1:]


@page.claim(
    "At the best rate, {}, it changes nothing: {}% in the median without, {}% with {} steps. At {}, ten times as much, the runs "
    "without a warm-up end at {} to {}% of errors, where guessing has {}; with {} steps of warm-up they end at {} to {}%.",
    "Up to a rate of {} the three lie on each other, near 6 to 8 percent. At {} the runs without a warm-up make {} to {} percent "
    "of errors, those with one about {}.",
)
def test_a_warmup_makes_a_wrong_rate_less_fatal():
    record = recorded("schedules_warmup")
    rates, end = record.settings["rates"], 100 * record["error"][:, -1]  # (seeds, warm-ups, rates)
    middle = end.median(0).values
    assert (middle.argmin(1) == rates.index(0.003)).all()
    assert (middle[:, :2].amax(0) - middle[:, :2].amin(0) < 1).all()
    without, long = end[:, 0, -1], end[:, 2, -1]
    assert (long < without).all()
    return (
        0.003, middle[0, 1], middle[1, 1], 60, rates[-1], without.min(), without.max(), 90, 180, long.min(), long.max(),
        0.003, rates[-1], without.min(), without.max(), middle[1:, -1].mean(),
    )


# Adam, too


@page.claim(
    "AdamW on the noisy digits, {} steps, at six rates",
    "Constant, the best rate is {} with {}% in the median. With the cosine it is {}, ten times as large, with {}%, and in {} of the "
    "{} seeds that is better than the best of all constant rates. From {} to {} it hardly matters which one you take. At {} the cosine is *worse*, {}% after {}%:",
    "The constant rate has a narrow minimum of about {} percent at {} and rises to {} at {}. The cosine is worse at {}, falls to "
    "about {} percent at {} and {}, and is at {} at {}.",
)
def test_adamw_wants_a_schedule_too():
    record = recorded("schedules_adamw")
    rates = record.settings["rates"]
    constant, waves = (100 * record[name][:, -1] for name in ("constant", "cosine"))
    middle = [x.median(0).values for x in (constant, waves)]
    best = [x.argmin().item() for x in middle]
    better = (waves[:, best[1]] < constant.amin(1)).sum()
    assert middle[1][2:5].max() - middle[1][2:5].min() < 1.1 and (waves[:, 0] > constant[:, 0]).all()
    return (
        record.settings["total"], rates[best[0]], middle[0].min(), rates[best[1]], middle[1].min(), better, len(record.seeds), rates[2], rates[4],
        rates[0], middle[1][0], middle[0][0],
        middle[0].min(), rates[best[0]], middle[0][-1], rates[-1], rates[0], middle[1].min(), rates[3], rates[4],
        middle[1][-1], rates[-1],
    )


# What goes wrong


@page.claim("Stepped once an epoch for {} epochs, the last *epoch* has {} of the first rate")
def test_the_last_rate():
    return 10, cosine(9, lr=1.0, total=10)


def test_the_wrong_order_skips_the_first_rate():
    o = optimizer()
    scheduler = CosineAnnealingLR(o, 10)
    rates = []
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        for _ in range(3):
            scheduler.step()
            rates.append(o.param_groups[0]["lr"])
            o.step()
    assert rates == pytest.approx([cosine(t, total=10) for t in (1, 2, 3)])


def test_pytorchs_cosine_climbs_again():
    o = optimizer()
    scheduler = CosineAnnealingLR(o, 10)
    for _ in range(20):
        o.step()
        scheduler.step()
    assert o.param_groups[0]["lr"] == pytest.approx(0.1) and cosine(20, total=10) == 0


@page.claim("With `T_0=1, T_mult=3` and epoch {}, a restart, PyTorch {} sets the rate to {}")
def test_a_restart_that_pytorch_misses():
    scheduler = CosineAnnealingWarmRestarts(optimizer(), 1, 3)
    scheduler.step(121)
    assert 1 + 3 + 9 + 27 + 81 == 121
    return 121, 2.13, scheduler.get_last_lr()[0]


@page.claim(
    "`OneCycleLR` cycles the momentum as well, between {} and {}. With `SGD(momentum=0)` it switches momentum on: {} at the first step."
)
def test_one_cycle_switches_momentum_on():
    o = optimizer(momentum=0)
    scheduler, momenta = OneCycleLR(o, 0.1, 100), []
    for _ in range(99):
        momenta.append(o.param_groups[0]["momentum"])
        o.step()
        scheduler.step()
    return min(momenta), max(momenta), momenta[0]


# Resuming


@page.claim("Here is a run that is stopped after {} steps of a rising line.", "Pass 9 after {} steps.")
def test_a_run_that_is_resumed_wrongly():
    got = study.resumed_rates(lambda o: LinearLR(o, 0.1, total_iters=50))
    assert got[1] == pytest.approx(0.1 * got[0])
    right = study.resumed_rates(lambda o: as_scheduler(warmup(schedules.constant, 50, 0.1), o))
    assert right[0] == right[1] == pytest.approx(got[0])
    o = optimizer()
    o.param_groups[0]["initial_lr"] = 0.1
    CosineAnnealingWarmRestarts(o, 50, last_epoch=9)
    assert o.param_groups[0]["lr"] == pytest.approx(cosine(10, total=50))
    return 10, 10


@page.claim("256 GPUs, {} epochs of warm-up")
def test_goyals_warmup():
    return 5


test_changed_numbers_are_noticed = page.test_of_numbers()
