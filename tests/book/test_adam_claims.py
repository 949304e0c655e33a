"""What the chapter on Adam says, bound to its records, to its figures and to algebra."""

import functools
import math

import pytest
import torch
from claims import About, Above, Below, Page
from torch import nn
from torch.func import vmap

from course_lib.exercises.adam import check
from course_lib.experiments import Optimizer, recorded, sweep
from course_lib.experiments.replay import replay
from course_lib.experiments.studies import adam as study
from course_lib.experiments.studies.adagrad import fit_product
from course_lib.experiments.studies.adam import measured, uncorrected
from course_lib.formulas import adam, amsgrad, momentum, quadratic, rosenbrock
from course_lib.formulas.signature import signature
from course_lib.widgets import Map

page = Page("optimizers/adam")
START = (-2.2, 1.2)
FLOAT = torch.float64


def factor(t, beta1=0.9, beta2=0.999):
    """How many times as long a step without corrections is."""
    return (1 - beta1**t) / math.sqrt(1 - beta2**t)


def worst(beta1=0.9, beta2=0.999):
    """The chapter's bound c: the longest step there can be, in units of the rate."""
    return (1 - beta1) / math.sqrt(1 - beta2) / math.sqrt(1 - beta1**2 / beta2)


@page.claim(
    "the learning rate, by default {} | a number",
    "the weights of the past, by default {} and {} |",
    "keeps the denominator above 0, by default ${}$",
    "`torch.optim.Adam(params)`: `lr=1e-3, betas=(0.9, 0.999), eps=1e-8`",
    "begin with {}.",
)
def test_the_defaults():
    ours, theirs = signature(adam).hyper, torch.optim.Adam([torch.zeros(1)]).defaults
    assert ours["lr"] == theirs["lr"] and (ours["beta1"], ours["beta2"]) == theirs["betas"]
    assert ours["eps"] == theirs["eps"]
    return ours["lr"], *theirs["betas"], ours["eps"], ours["lr"]


# What the figures begin with: cheap, so that a changed setting is noticed at once


@page.claim(
    r"by $\eta = {}$ in each coordinate, from $({}, {})$ to", "it has hardly left the start in $x$ after {} steps."
)
def test_the_first_figure(page):
    fig = page.figure(0)
    assert fig.unit == 1 and fig.condition_number == 10 and fig.angle == 0
    assert fig.spec["domain"] == [[-2.5, 2.5], [-1.6, 1.6]]
    return fig.lr, *fig.start, fig.steps


@page.claim(r"Both rules have $\eta = {}$. Which one is closer to the minimum after 20 steps? Which one is after {}?")
def test_the_second_and_third_figure(page):
    assert page.figure(1).steps == 80
    fig = page.figure(2)
    return fig.lr, fig.steps


@page.claim(
    "Each pixel is a run of {} steps on Rosenbrock's valley.",
    r"With $\eta = {}$ Adam may go {} in each step, and yet {} steps are not enough.",
    r"Drag $\beta_2$ to {}.",
)
def test_the_map_s_settings(page):
    fig = page.figure(3)
    assert [*fig.x_range, *fig.y_range] == [0.01, 4, 0, 0.99] and fig.start == [-1.2, 1.0]
    return fig.steps, fig.lr, fig.lr, fig.steps, 0.99


@page.claim(r"Here $\beta_2 = {}$, so that {} steps show it.")
def test_the_settings_of_the_run_that_does_not_rest(page):
    fig = page.figure(4)
    assert fig.eps == 1e-8
    return fig.beta2, fig.steps


# The same path in any unit


@page.claim(
    "Drag *unit* to {}, then to {}. Which path changes?",
    "raise the condition number to {}. What does Adam's path do?",
    r"Keep $\kappa = {}$ and turn *angle* to {}.",
    r"by $\eta = {}$ in each coordinate, from $({}, {})$ to $({}, {})$, though the gradient is {} times as steep in $y$ as in $x$.",
    "At {} it diverges; at {} it has hardly left the start in $x$ after {} steps. Adam's path stays where it is, to within a millionth;",
)
def test_adam_does_not_see_the_unit_of_the_loss_and_momentum_does():
    fig = page.figure(0)
    paths, first = {}, fig.path["adam"][1]
    torch.testing.assert_close(
        first - torch.tensor(fig.start), -fig.lr * torch.tensor(fig.start).sign().double(), atol=1e-6, rtol=0
    )
    for fig.unit in (1.0, 100.0, 0.01):
        paths[fig.unit] = fig.path
    assert all((path["adam"] - paths[1.0]["adam"]).abs().max() < 1e-6 for path in paths.values())
    assert paths[100.0]["momentum"][-1].abs().max() > 1e10
    assert (paths[0.01]["momentum"][-1, 0] - fig.start[0]).abs() < 0.12
    steep = fig.condition_number * abs(fig.start[1] / fig.start[0])
    return 100, 0.01, 1000, 1000, 45, fig.lr, *fig.start, *first, steep, 100, 0.01, fig.steps


@pytest.mark.parametrize("start", [(-2.2, 1.2), (0.3, -1.0), (1.5, 0.01), (-0.5, -0.5)])
def test_the_first_step_goes_along_a_diagonal_and_is_as_long_as_the_rate(start):
    first = sweep(adam, measured, start, 1, lr=0.1)[1, 0] - torch.tensor(start, dtype=FLOAT)
    torch.testing.assert_close(first, -0.1 * torch.tensor(start, dtype=FLOAT).sign(), atol=1e-6, rtol=0)


@page.claim(
    "to within ${}$, whether the valley is {} times as steep in $y$ as in $x$ or a round bowl. Momentum at this rate diverges "
    r"from $\kappa = {}$ on.",
    "the loss after {} steps is {}, where it was {}.",
)
def test_adam_does_not_see_the_condition_number_until_the_valley_is_turned():
    fig, ends = page.figure(0), []
    for fig.condition_number in (1.0, 10.0, 1000.0):
        ends.append(fig.path["adam"][-1])
    assert (torch.stack(ends) - ends[0]).abs().max() < 1e-8
    straight = fig.losses["adam"][-1].item()
    fig.angle = 45.0
    kappa = torch.tensor([375.0, 385.0], dtype=FLOAT)
    beyond = sweep(momentum, measured, START, 800, lr=0.1, condition_number=kappa, keep="end")[:, 1].abs()
    assert beyond[0] < 0.1 and beyond[1] > 10
    assert 2 * 1.9 / 0.1 / fig.lr == pytest.approx(380)
    return 1e-8, 1000, 380, fig.steps, fig.losses["adam"][-1].item(), straight


@page.claim(
    r"What do you expect at $\beta_1 = 0$?",
    "$y$ crosses zero at step {}, and its step turns at step {}: $m$ has to be outvoted",
)
def test_what_the_watched_run_shows():
    fig = page.figure(1)
    path = fig.path
    steps = path.diff(dim=0) / fig.lr
    torch.testing.assert_close(steps[0], torch.tensor([1.0, -1.0], dtype=FLOAT), atol=1e-6, rtol=0)
    assert fig.steps == 80 and (steps.abs().argmax(0) == 0).all()
    crossed, turned = path[:, 1].lt(0).nonzero()[0].item(), steps[:, 1].gt(0).nonzero()[0].item() + 1
    fig.beta1 = 0.0
    assert (fig.path[:, 1] > 0).all() and (fig.path[:, 0] < 0).all()  # nothing swings
    return crossed, turned


# How long a step is


def lengths(g: torch.Tensor, **betas) -> torch.Tensor:
    """The lengths of Adam's steps in units of its rate, for gradients (steps, histories)."""
    return replay(adam, g, lr=1.0, **betas).diff(dim=0).abs()


@page.claim(
    r"say how long its steps are: with the usual $\beta_1$ and $\beta_2$ never more than ${}\,\eta$, whatever the loss;",
    r"The first factor alone, {} with the usual betas, is what *one* gradient after a long silence does, and",
    "the true bound is $c = {}$.",
    "Each row below is one parameter with a history of its own, {} steps of which have passed; "
    "what counts is the longest of the next {} steps.",
    "A gradient that is always 5: {}. One that changes its sign in each step: {}. Noise around 0, over {} seeds: between {} and {}. "
    "After a silence, a single gradient: {}, a constant one: {}, one that grows by {} a step: {}.",
    r"With the usual $\beta_1$ and $\beta_2$ no step is longer than ${}\,\eta$.",
)
def test_the_longest_steps():
    record = recorded("adam_longest_steps")
    steady, turning, noise, single, constant, growing = record["longest"].T
    assert all((x == x[0]).all() for x in (steady, turning, single, constant, growing))
    assert worst() == pytest.approx(growing[0].item(), abs=0.005)
    assert 0.1 / math.sqrt(0.001) == pytest.approx(single[0].item(), abs=0.005)
    settings = record.settings
    return (
        worst(),
        single,
        worst(),
        settings["silence"],
        settings["steps"],
        steady,
        turning,
        len(record.seeds),
        noise.min(),
        noise.max(),
        single,
        constant,
        0.11,
        growing,
        worst(),
    )


@page.claim(r"= {}$ of $\eta$, by the computation in [the chapter on momentum]")
def test_steps_on_noise_are_a_quarter_of_the_rate():
    noise = torch.randn(700, 400, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
    seen = lengths(noise)[400:].square().mean().sqrt().item()
    assert seen == pytest.approx(math.sqrt(0.1 / 1.9), rel=0.05)
    return math.sqrt(0.1 / 1.9)


@pytest.mark.parametrize("seed", range(3))
def test_no_step_passes_the_bound(seed):
    source = torch.Generator().manual_seed(seed)
    noise, walk = torch.randn(2, 700, 400, generator=source, dtype=FLOAT)
    assert 1 < lengths(noise * torch.exp(walk.cumsum(0) / 3)).max() < worst()


@page.claim(
    r"the bound lower: {} for $\beta_2 = {}$, and {} for {}, which [GPT-3]",
    "moves up to seven times as far as",
    r"at $\beta_1 = {}$ that is ${}\,\eta$, at the lower edge of the map, $\beta_1 = 0$, it is ${}\,\eta$.",
)
def test_the_bound_and_its_values():
    corrected = [
        math.sqrt((1 - 0.999**t) / 0.001 * sum((0.81 / 0.999) ** k for k in range(t))) * 0.1 / (1 - 0.9**t)
        for t in range(1, 400)
    ]
    assert max(corrected) <= worst() * (1 + 1e-9)  # the corrections do not lift it
    return worst(beta2=0.99), 0.99, worst(beta2=0.95), 0.95, 0.9, worst(), worst(beta1=0.0)


# The correction


@page.claim(
    "without it the first step is {} times as long, the twelfth {} times;",
    r"(1 - \beta_1)/\sqrt{1 - \beta_2} = {}$ times as long. It gets worse, because $m$ fills up within {} steps and $v$ takes {}: "
    "{} times at step {}. After {} steps the factor is still {}, after {} it is {}, and only from step {} on is it below {}.",
    "A zero start is a long silence: this is the {} of above.",
    "The misprint of slide 18 is the first line, divided by {}: right at the first step, {} too long at the twelfth, and from step {} "
    "on less than a third of the rate",
    "Nothing corrected: {} at step 1, {} at step {}, then slowly down to 1. Only m corrected: {} at step 1, down to 1. "
    "Only v corrected: {} at step 1, 1 after some {} steps. 1 − β as printed: the first line, divided by {}, so that it ends at {}.",
    "Without it the steps are up to {} times as long.",
)
def test_what_mistakes_do_to_the_step():
    first, most = factor(1), factor(12)
    assert max(range(1, 5000), key=factor) == 12
    last = next(t for t in range(13, 5000) if factor(t) < 1.1)
    third = next(t for t in range(13, 5000) if factor(t) / first < 1 / 3)
    assert 1 - 0.9**30 > 0.95 and factor(1000) > 1.25
    return (
        first,
        most,
        first,
        10,
        1000,
        most,
        12,
        100,
        factor(100),
        1000,
        factor(1000),
        last,
        1.1,
        most,
        first,
        About(most / first),
        third,
        first,
        most,
        12,
        1 / math.sqrt(1 - 0.999),
        0.1,
        30,
        first,
        factor(5000) / first,
        most,
    )


def test_without_corrections_it_is_adam_with_another_schedule():
    g = torch.randn(60, 3, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
    schedule = torch.tensor([factor(t) for t in range(1, 61)], dtype=FLOAT)[:, None]
    steps = replay(adam, g, lr=0.01, eps=0.0).diff(dim=0) * schedule
    torch.testing.assert_close(replay(uncorrected, g, lr=0.01, eps=0.0)[1:], steps.cumsum(0), atol=1e-13, rtol=1e-12)


@page.claim(
    r"Both rules have $\eta = {}$. Which one is closer to the minimum after {} steps? Which one is after {}?",
    "After {} steps the uncorrected rule: its loss is {}, Adam's {}. But it flies past the minimum, "
    "to $y = {}$ and $x = {}$, where Adam turns at $y = {}$ and is still on its way in $x$, at ${}$; after {} steps it is behind, {} against {}.",
    r"At $\beta_2 = {}$ the first step is right, since",
    "the twelfth is still {} times too long.",
)
def test_the_two_paths_of_the_figure():
    fig = page.figure(2)
    ours, theirs = fig.path["adam"], fig.path["uncorrected"]
    losses = fig.losses
    assert factor(1, beta2=0.99) == pytest.approx(1)
    return (
        fig.lr,
        20,
        fig.steps,
        20,
        losses["uncorrected"][20],
        losses["adam"][20],
        theirs[:, 1].min(),
        theirs[:, 0].max(),
        ours[:, 1].min(),
        ours[-1, 0],
        fig.steps,
        losses["uncorrected"][-1],
        losses["adam"][-1],
        0.99,
        factor(12, beta2=0.99),
    )


@page.claim(
    "a network of {} parameters is trained for {} steps at each of six rates",
    r"Up to $\eta = {}$ Adam's two lines agree to within {}.",
    r"the best rate depends on $\beta_2$, and at $\eta = {}$ the network is ruined, with losses between {} and {}:",
    r"the first {} steps drive more than {} of the hidden units into saturation ($\beta_2 = {}$), and they do not come back.",
    "At its own best setting the uncorrected rule ends with {} to {} times the loss of Adam at its best.",
    "Loss after {} steps over six rates",
    "Adam's lines for β₂ = {} and {} lie on each other up to a rate of {} and are lowest at {}. "
    "Without the correction the best rate is {} for the one and {} for the other, and at a rate of {} the loss is between {} and {}.",
)
def test_the_correction_makes_the_rate_independent_of_beta2():
    record = recorded("adam_correction")
    ours, theirs, settings = record["adam"], record["uncorrected"], record.settings  # (seeds, β₂, rates)
    rates, beta2 = settings["rates"], settings["beta2"]
    apart = (ours[:, 0, :4] / ours[:, 1, :4] - 1).abs()
    assert (ours.argmin(2) == 4).all() and (theirs.argmin(2) == torch.tensor([3, 2])).all()
    assert (theirs[:, :, 5] > 20 * ours[:, :, 5]).all()
    ratio = theirs.amin((1, 2)) / ours.amin((1, 2))
    with_it, without = record["saturated"].unbind(1)  # (seeds, after 12 steps and at the end)
    assert (with_it < 0.5).all()
    ends = theirs[..., 5].min(), theirs[..., 5].max()
    return (
        study.network_starts(0, 1).shape[1],
        settings["steps"],
        rates[3],
        Below(apart),
        rates[5],
        *ends,
        12,
        Above(without),
        beta2[0],
        ratio.min(),
        ratio.max(),
        settings["steps"],
        *beta2,
        rates[3],
        rates[4],
        rates[3],
        rates[2],
        rates[5],
        *ends,
    )


# Adam or momentum?


@page.claim(
    "Each rule gets {} settings ({} learning rates from {} to {}, times four values",
    "from {} random starts for each of {} seeds: {} runs of {} steps.",
)
def test_the_number_of_settings_and_runs():
    record = recorded("adam_contest")
    s, seeds = record.settings, len(record.seeds)
    low, high, rates = s["log10_rates"]
    each = rates * len(s["memories"])
    settings = 2 * each * len(s["places"])
    runs = settings * s["starts"] * seeds
    return each, rates, 10**low, 10**high, s["starts"], seeds, runs, s["steps"]


@page.claim(
    r"its loss falls by {} orders of magnitude for $\kappa = {}$ and for $\kappa = {}$. Momentum gets there for $\kappa = {}$; "
    r"for $\kappa = {}$ it gets to about ${}$.",
    r"**In a turned valley momentum wins**, by a factor of {} at $\kappa = {}$, and of {} to {} at {}.",
    "To Adam the turn makes a difference of more than {} orders of magnitude.",
    "In the valley along the axes with condition number {} both rules get below 10 to the {}, with {} Adam alone, and momentum to "
    "10 to the {}.",
)
def test_who_wins_in_a_valley():
    record = recorded("adam_contest")
    place = {name: k for k, name in enumerate(record.settings["places"])}
    left = {n: {p: record[n][:, k] for p, k in place.items()} for n in ("adam", "momentum")}
    rate = {p: record["momentum_rate"][:, k] for p, k in place.items()}
    ours, theirs = left["adam"], left["momentum"]
    low, high, turned = "valley, κ = 10", "valley, κ = 1000", "turned, κ = 1000"
    assert all((x < 1e-27).all() for x in (ours[low], ours[high], theirs[low]))
    assert (rate[turned] / rate[high] > 0.75).all() and (rate[turned] <= rate[high]).all()
    behind, hundred = ours[turned] / theirs[turned], ours["turned, κ = 100"] / theirs["turned, κ = 100"]
    orders = (ours[turned] / ours[high]).log10()
    return (
        27,
        10,
        1000,
        10,
        1000,
        theirs[high].median(),
        behind,
        1000,
        hundred.min(),
        hundred.max(),
        100,
        Above(orders),
        10,
        -27,
        1000,
        theirs[high].median().log10(),
    )


def test_where_slopes_differ_adam_wins_and_elsewhere_the_order_changes():
    record = recorded("adam_contest")
    ahead = dict(zip(record.settings["places"], (record["adam"] < record["momentum"]).T, strict=True))
    assert ahead["Beale"].all() and ahead["ravine"].all()
    for place in ("Rosenbrock", "network"):
        assert ahead[place].any() and not ahead[place].all()


@page.claim(
    "**The rates that work** span more for Adam on seven of the eight, by a factor of {} to {} in the narrow valley.",
    "Its best rates still go from {} to {}.",
    "In the valley with condition number {} it is {} to {} times as wide, turned {} times, in the ravine {} to {}, on the others {} to "
    "{} times; on Rosenbrock's valley between {} and {}.",
)
def test_adam_forgives_a_wrong_rate_more_often():
    record = recorded("adam_contest")
    spans = dict(zip(record.settings["places"], (record["adam_span"] / record["momentum_span"]).T, strict=True))
    rosenbrock_valley, narrow = spans.pop("Rosenbrock"), spans.pop("valley, κ = 1000")
    assert all((span > 1.2).all() for span in spans.values())
    turned, ravine = spans.pop("turned, κ = 1000"), spans.pop("ravine")
    others = torch.stack([*spans.values()])
    rates = record["adam_rate"]
    return (
        narrow.min(),
        narrow.max(),
        About(rates.min()),
        About(rates.max()),
        1000,
        narrow.min(),
        narrow.max(),
        turned,
        ravine.min(),
        ravine.max(),
        others.min(),
        others.max(),
        rosenbrock_valley.min(),
        rosenbrock_valley.max(),
    )


# What a wrong rate looks like


@functools.cache
def map_of_adam(beta2=0.999):
    """The rates and memories of the page's map, and how its runs end."""
    fig = page.figure(3)
    fig.beta2 = beta2
    return *fig.places(80, 20), fig.values(80, 20)


@functools.cache
def map_of_momentum():
    """The same for the map of the chapter on momentum."""
    ranges = {"x_range": (0.001, 0.3), "y_range": (0, 0.99)}
    fig = Map(momentum, rosenbrock, x="lr", y="momentum", steps=600, **ranges)
    return *fig.places(80, 20), fig.values(80, 20)


def lowest_rate(beta2: float) -> float:
    """The lowest rate on the page's map that arrives, at β₁ = 0.9."""
    rates = torch.logspace(-2, -0.5, 150, dtype=FLOAT)
    path = sweep(adam, rosenbrock, (-1.2, 1.0), 600, lr=rates, beta2=beta2)
    arrived = vmap(rosenbrock)(path[-1]) <= page.figure(3).goal
    return rates[arrived].min().item()


@page.claim("On momentum's map {} of the runs diverge.")
def test_no_run_diverges_and_wrong_rates_end_close():
    _, _, seen = map_of_adam()
    assert not seen.lost.any()
    assert 0.7 < (seen.steps == math.inf).double().mean() < 0.85
    return About(map_of_momentum()[2].lost.double().mean())


@page.claim(
    r"At $\beta_1 = {}$, by how much may you misjudge $\eta$? (Momentum, at $m = {}$: by a factor of 3.)",
    r"By a factor of {}: rates from {} to about 2 arrive, with a few gaps at the upper end. Below $\beta_1 = {}$ hardly any rate does. "
    "The region of good rates is widest where the usual {} stands.",
)
def test_the_range_of_good_rates():
    rates, memories, seen = map_of_adam()
    good = seen.steps < math.inf
    near = (memories - 0.9).abs().argsort()[:2]
    high = torch.where(good, rates, 0.0)
    for row in near:
        assert high[row].max() > 2 and good[row, (0.16 < rates) & (rates < 0.8)].all()
    span = 10 ** (good[near].sum(1) * math.log10(400) / 80)
    assert good.sum(1).max() == good[near].sum(1).max() and (good[memories < 0.75].sum(1) <= 1).all()
    _, m, other = map_of_momentum()
    spans = 10 ** ((other.steps < math.inf)[(m - 0.9).abs().argsort()[:2]].sum(1) * math.log10(300) / 80)
    assert 2.8 < spans.min() and spans.max() < 3.7  # at 0.888 and at 0.911
    return 0.9, 0.9, span.double().mean(), lowest_rate(0.999), 0.75, 0.9


@page.claim(
    r"The valley is {} long.",
    r"The first gradient has the length {}, and with $\beta_2 = {}$ $v$ remembers it for a {} steps;",
    r"With $\beta_2 = {}$ the left border moves from {} to {}, and at {} it is below {}. The price is on the right: at $\beta_1 = {}$ "
    "the rates that arrive span a factor of {} to {} in place of {}.",
)
def test_the_memory_of_the_wall_holds_it_back():
    def rise(x):  # of the length along y = x²
        return x / 2 * math.hypot(1, 2 * x) + math.asinh(2 * x) / 4

    borders, spans = {}, []
    for beta2 in (0.999, 0.99, 0.95):
        rates, memories, seen = map_of_adam(beta2)
        good = (seen.steps < math.inf)[(memories - 0.9).abs().argsort()[:2]]
        borders[beta2] = torch.stack([rates[row].min() for row in good])
        spans.append(10 ** (good.sum(1) * math.log10(400) / 80))
    assert borders[0.95].max() < 0.011
    faster = torch.cat(spans[1:])
    assert 3.2 < faster.min() and faster.max() < 6.3
    wall = torch.func.grad(rosenbrock)(torch.tensor([-1.2, 1.0])).norm()
    return (
        rise(1.0) + rise(1.2),
        wall,
        0.999,
        1000,
        0.99,
        lowest_rate(0.999),
        lowest_rate(0.99),
        0.95,
        0.01,
        0.9,
        4,
        6,
        spans[0].mean(),
    )


# What goes wrong


@page.claim(
    "The loss after {} steps (in the original unit) over the unit, with",
    "Loss after {} steps over the unit of the loss, from 1 down to a ten-billionth, both axes logarithmic. "
    "With ε = {} it is {} down to a unit of a hundred-thousandth. With ε = {} it is {} at a unit of 1, {} at a ten-thousandth and {}, "
    "the loss of the start, from a hundred-millionth on.",
)
def test_a_large_epsilon_makes_adam_momentum():
    def losses(eps, *units):
        unit = torch.tensor(units, dtype=FLOAT)
        return vmap(quadratic)(sweep(adam, measured, START, 60, lr=0.1, unit=unit, eps=eps, keep="end"))

    small, large = losses(1e-8, 1.0, 1e-4, 1e-5), losses(1e-3, 1.0, 1e-4, 1e-8)
    assert small.tolist() == pytest.approx([small[0].item()] * 3, rel=0.02)
    assert large[2].item() == pytest.approx(quadratic(torch.tensor(START)).item(), rel=0.01)
    slow = sweep(adam, measured, START, 60, lr=0.1, unit=1e-10, eps=1e-3)
    uncorrected_for_one_step = sweep(momentum, measured, START, 60, lr=0.1 / 1e-3, unit=1e-10)
    assert (slow - slow[0]).abs().max() < 1e-4 and (uncorrected_for_one_step - slow).abs().max() < 1e-5
    return 60, 60, 1e-8, small[0], 1e-3, *large


@page.claim(
    r"at $t = 1$ {} times as much | TensorFlow, Keras",
    "It returns: from below ${}$ at step {} to {} at step {}.",
    r"Beyond ${}/\lambda$ momentum with $m = {}$ is unstable",
    r"is $\frac{2 (1 + m)}{1 - m} = {}$); "
    r"here the curvature across is $\lambda = {}$, so beyond {}.",
    r"$\eta/\epsilon < {}/\lambda$, or $\epsilon > \eta\lambda/{} = {}$. At {} the loss falls for good.",
    r"the threshold ${}/\eta$ in real training",
)
def test_adam_at_rest_does_not_rest_unless_epsilon_is_large():
    fig = page.figure(4)
    loss = fig.losses
    assert loss[400:950].max() < 1e-16  # below the plot
    lowest = loss.argmin().item()
    highest = loss[lowest:].argmax().item() + lowest
    assert loss[lowest] < 1e-40 and fig.eps == 1e-8
    fig.eps, fig.steps = 0.03, 1300
    assert fig.losses[1100:].max() < 1e-40
    limit, curvature = 2 * 1.9 / 0.1, quadratic.__kwdefaults__["condition_number"]
    return (
        About(1 / math.sqrt(0.001)),
        1e-40,
        lowest,
        loss[highest],
        highest,
        limit,
        0.9,
        limit,
        curvature,
        limit / curvature,
        limit,
        limit,
        fig.lr * curvature / limit,
        fig.eps,
        limit,
    )


def test_the_threshold_of_epsilon_lies_where_the_page_says():
    settings = {"beta2": torch.tensor([0.9, 0.9]), "eps": torch.tensor([0.02, 0.03])}
    below, above = vmap(vmap(quadratic))(sweep(adam, quadratic, START, 1300, lr=0.1, **settings))[1100:].T
    assert below.max() > 1e-7 and above.max() < 1e-40


@page.claim("with the default {} the first return comes at step {}.")
def test_a_longer_memory_only_waits_longer():
    beta2 = torch.tensor([0.99, 0.999])
    losses = vmap(vmap(quadratic))(sweep(adam, quadratic, START, 7600, machine="numba", lr=0.1, beta2=beta2))[500:]
    assert (losses[:200].amax(0) < 1e-6).all()
    returns = ((losses > 1e-6).int().argmax(0) + 500).tolist()
    assert returns[0] == pytest.approx(992, abs=5) and returns[1] == pytest.approx(7555, abs=5)
    return 0.999, 7555


@page.claim(
    r"At $\beta_2 = {}$ Adam walks to $+1$, the worst point, and stays. In each period the one step down is {} long "
    "(in units of the rate) and the two steps up are {} and {}:",
    "From {} on it goes down. AMSGrad divides",
    "Where w ends after {} steps, over 1 − β₂, logarithmic. AMSGrad ends at −1 for each β₂. Adam ends at −1 for β₂ above {} and at +1, "
    "the worst point, for β₂ below {}.",
)
def test_reddis_example():
    beta2 = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999], dtype=FLOAT)
    ours, amsgrads = (study.reddi_walk(rule, beta2) for rule in (adam, amsgrad))
    assert (ours[:2] == 1).all() and (ours[2:] < -0.97).all() and (amsgrads < -0.97).all()
    steps = lengths(torch.tensor([3.0, -1.0, -1.0], dtype=FLOAT).repeat(20)[:, None], beta1=0.0, beta2=0.1)[-3:, 0]
    return 0.1, *steps, 0.5, 3000, 0.5, 0.3


@page.claim(
    r"In `float16` the smallest number above 0 is ${}$. So $\epsilon$ is rounded to 0, and ${}\,g^2$ is, too, for gradients as large as {}. "
    "One step, with the gradients 0, {} and 1:"
)
def test_half_precision():
    w = torch.ones(3, dtype=torch.float16, requires_grad=True)
    w.grad = torch.tensor([0.0, 0.001, 1.0], dtype=torch.float16)
    torch.optim.Adam([w], lr=0.001).step()
    assert w[0].isnan() and w[1].isinf() and w[2].item() == pytest.approx(0.999, abs=1e-3)
    half = torch.float16
    assert torch.tensor(1e-8, dtype=half) == 0 and torch.tensor(0.001 * 0.005**2, dtype=half) == 0
    smallest = torch.finfo(half).smallest_normal * torch.finfo(half).eps
    return About(smallest), 0.001, 0.005, 0.001


@page.claim(
    r"**Momentum's rate.** $\eta = {}$ moves *every* weight by {} in the first step. "
    r"The weights of `nn.Linear(256, …)` start within $\pm 1/{}$: begin with"
)
def test_sizes_of_weights():
    bound = nn.Linear(256, 64).weight.abs().max().item()
    assert 0.06 < bound <= 1 / 16
    return 0.1, 0.1, math.sqrt(256)


def test_two_averages_a_weight():
    kept = [study.numbers_kept(kind, **o) for kind, o in (("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adam", {}))]
    assert kept == [0, 1, 2]


def test_the_network_equals_pytorch():
    ours, theirs = (
        fit_product(make)[0] for make in (lambda p: Optimizer(p, adam, lr=0.01), lambda p: torch.optim.Adam(p, lr=0.01))
    )
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


@page.claim("the check knows {} classic mistakes.")
def test_the_exercise_knows_as_many_mistakes_as_the_page_says():
    return len(check.mistakes)


test_changed_numbers_are_noticed = page.test_of_numbers()
