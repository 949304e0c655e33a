"""What the chapter on gradient descent says, bound to its records, to its figures and to algebra."""

import math

import pytest
import torch
from claims import Above, Page
from torch.func import grad, jacrev, vmap
from torch.nn.utils import parameters_to_vector

from course_lib.exercises.stop_rule import descend
from course_lib.experiments import Optimizer, recorded, sweep
from course_lib.experiments.studies import gradient_descent as study
from course_lib.formulas import SURFACES, gradient_descent, himmelblau, saddle
from course_lib.formulas.convergence import gradient_descent_rate

page = Page("basics/gradient_descent")
CANYON = torch.tensor([1.0, 5.0], dtype=torch.float64)
START = torch.tensor([-2.2, 1.2], dtype=torch.float64)


def with_settings(fig, **settings):
    """The figure, set so."""
    for name, value in settings.items():
        setattr(fig, name, value)
    return fig


# In the canyon


@page.claim(
    r"a quadratic with condition number $\kappa = {}$, five times",
    r"$\lambda_{\min} = {}$ and $\lambda_{\max} = {}$. The slide",
    r"At $\eta = {}$ the path jumps from wall to wall.",
    r"Which $\eta$ gives the lowest loss after {} steps?",
    r"Raise $\eta$ from {}. Where is the edge",
    r"Go back to $\eta = {}$ and raise $\kappa$ to {}.",
    r"at {} it is ${}$, at 0.2 it is",
    r"a step, so three times the distance saves about $\ln 3/\ln {} =",
    r"Raise $\eta$ from {} to 0.016. Does it arrive?",
)
def test_where_the_figures_begin(page):
    fig = page.figure(0)
    kappa, lr = fig.condition_number, fig.lr
    assert ((fig.path[1:, 1] * fig.path[:-1, 1]) < 0).all()
    return kappa, 1, kappa, lr, fig.steps, lr, lr, 50, lr, fig.losses[-1], 1 + page.figure(1).lr, page.figure(2).lr


@page.claim(
    r"From $\eta = 1/\lambda_{\max} = {}$ down. At exactly {} the first step lands on the floor.",
    "at {} it is ${}$. The best path does zigzag",
    r"| 1 | 0 | arrives in one step |",
)
def test_the_path_crosses_the_floor_above_one_over_the_curvature_alone():
    fig, edge = page.figure(0), 1 / 5
    crosses = {
        lr: (with_settings(fig, lr=lr).path[1:4, 1] < -1e-12).any().item() for lr in (0.1, 0.19, 0.2, 0.21, 0.38)
    }
    assert crosses == {0.1: False, 0.19: False, 0.2: False, 0.21: True, 0.38: True}
    assert with_settings(fig, lr=edge).path[1, 1].abs() < 1e-15
    return edge, edge, edge, fig.losses[-1]


def best_of(fig, rates):
    """The rate of the lowest loss at the end, and this loss."""
    losses = torch.stack([with_settings(fig, lr=float(lr)).losses[-1] for lr in rates])
    return rates[losses.argmin()], losses.min()


@page.claim(
    r"About $1/3$. The loss falls to ${}$;", r"Even the best rate, about {}, ends with a loss above {} after 40 steps."
)
def test_the_best_rate_for_40_steps_is_about_that_of_theory():
    fig = page.figure(0)
    best, _ = best_of(fig, torch.arange(0.3, 0.37, 0.005))
    assert best.item() == pytest.approx(1 / 3, rel=0.02)
    third = with_settings(fig, lr=1 / 3)
    assert third.path[1:6, 1].sign().tolist() == [-1, 1, -1, 1, -1]  # it zigzags, and keeps two thirds
    torch.testing.assert_close(third.path[1:, 1] / third.path[:-1, 1], torch.full((40,), -2 / 3).double())
    loss = third.losses[-1]
    fig.condition_number = 50.0
    steep, lowest = best_of(fig, torch.arange(0.0365, 0.04, 0.0005))
    return loss, steep, Above(lowest)


@page.claim(
    r"At $\eta = 2/\lambda_{\max} = {}$. There the path bounces between $+{}$ and $-{}$ for ever; a little above, it diverges. "
    "The best rate and the edge are only {} apart.",
    "Below $2/50 = {}$.",
)
def test_the_edge_is_at_two_over_the_curvature():
    fig = with_settings(page.figure(0), lr=0.4)
    height = fig.path[:, 1].abs()
    torch.testing.assert_close(height, height[:1].expand(41))
    ends = [with_settings(fig, lr=lr).losses[-1] for lr in (0.399, 0.4, 0.41)]
    assert ends == sorted(ends) and ends[1] < fig.losses[0] < 100 < ends[2]
    steep = [with_settings(fig, lr=lr, condition_number=50.0).losses[-1] for lr in (0.0396, 0.0404)]
    assert steep[0] < steep[1]
    return 2 / 5, height[0], height[0], 0.4 / (1 / 3) - 1, 2 / 50


# The formula


@pytest.mark.parametrize("curvature", [0.3, 1.0, 1.9])
def test_each_direction_has_its_own_factor(curvature):
    path = sweep(gradient_descent, lambda w: curvature * w[0] ** 2 / 2, (1.0,), 20, lr=1.0)[:, 0, 0]
    torch.testing.assert_close(path, (1 - curvature) ** torch.arange(21.0, dtype=torch.float64))


def rate(lr, kappa):
    """The factor of the slowest direction of a quadratic with the curvatures 1 and κ."""
    return gradient_descent_rate(torch.tensor(lr).double(), torch.tensor([1.0, kappa]).double()).max().item()


def digit(factor):
    """Steps for one more digit."""
    return -1 / math.log10(factor)


@page.claim(
    r"which is about ${}\,\kappa$ for large $\kappa$.",
    "for condition numbers 5, {} and {}.",
    "two over its condition number: {} steps at best for 5, {} for {} and {} for {}.",
    r"close to it: {} of the edge for $\kappa = 5$, {} for $\kappa = {}$.",
    r"Half of the edge costs about twice the steps of the best rate: {} instead of {} for $\kappa = {}$.",
    r"the best rate for $\kappa = {}$ still needs {} steps for one digit. [Momentum](momentum.ipynb) needs {}.",
    r"is the price: about ${}\,\kappa$ steps for a digit.",
)
def test_the_best_rate_and_its_price():
    for kappa in (5.0, 20.0, 100.0):
        best, price = 2 / (1 + kappa), digit((kappa - 1) / (kappa + 1))
        assert rate(best, kappa) == pytest.approx((kappa - 1) / (kappa + 1))
        assert rate(best, kappa) < min(rate(0.99 * best, kappa), rate(1.01 * best, kappa))
        assert digit(rate(1 / kappa, kappa)) <= 2 * price + 1  # half of the edge
        assert rate(2.02 / kappa, kappa) > 1  # one percent above it
    five, twenty, hundred = (digit((kappa - 1) / (kappa + 1)) for kappa in (5, 20, 100))
    large = digit(9999 / 10001) / 10_000
    return (
        large, 20, 100, five, twenty, 20, hundred, 100, 5 / 6, 100 / 101, 100,
        digit(rate(0.01, 100.0)), hundred, 100, 100, hundred, digit(9 / 11), large,
    )


@page.claim("the dots real runs of {} steps.")
def test_measured_runs_lie_on_the_lines():
    for kappa in (5.0, 20.0, 100.0):
        tried, steps = study.measured_pace(kappa)
        expected = [digit(rate(lr, kappa)) for lr in tried.tolist()]
        torch.testing.assert_close(steps, torch.tensor(expected).double(), rtol=0.02, atol=0)
    return 600


@pytest.mark.parametrize("seed", range(3))
def test_below_two_over_the_largest_curvature_each_step_lowers_any_loss(seed):
    def wavy(w):  # curvature between -0.5 and 1.5 in both directions
        return (w**2).sum() / 4 + w.cos().sum()

    starts = torch.randn(200, 2, generator=torch.Generator().manual_seed(seed)) * 5
    path = sweep(gradient_descent, wavy, starts, 50, lr=0.9 * 2 / 1.5)
    losses, slopes = vmap(vmap(wavy))(path), vmap(vmap(grad(wavy)))(path).square().sum(-1)
    lr, bound = 0.9 * 2 / 1.5, 1.5
    assert (losses[1:] <= losses[:-1] - lr * (1 - lr * bound / 2) * slopes[:-1] + 1e-12).all()


# The stop rule


@page.claim(
    r"have become small: $\lVert\Delta\theta\rVert < \omega$ for more than {} iterations.",
    r"from a distance of {} to the minimum, with $\omega = {}$.",
    "after {} steps still {} with a rate of {}, then ever closer in ever fewer steps down to {} after {} steps with a rate of "
    "1/3; {} needs {} steps to {}. With {} all {} steps are made, and the distance is {}.",
    r"With $\eta = {}$ the rule is content after {} steps, where it started. With $\eta = {}$ the descent bounces until the "
    "bound of {} steps. From {} to the best rate, 1/3, a larger rate stops sooner *and* closer.",
)
def test_where_the_rule_stops():
    rates, omega = (1e-4, 1e-3, 1e-2, 0.1, 1 / 3, 0.38, 0.4), 1e-3
    ends = [descend(lambda w: CANYON * w, START, lr=lr, tolerance=omega) for lr in rates]
    far, steps = [w.norm().item() for w, _ in ends], [made for _, made in ends]
    assert all(d < omega / lr for d, lr in zip(far[:-1], rates))
    assert far[1:5] == sorted(far[1:5], reverse=True) and steps[1:5] == sorted(steps[1:5], reverse=True)
    assert far[0] > 0.99 * START.norm()
    least = next(k for k in range(100) if descend(lambda w: 0 * w, START, most=k)[1] < k)  # it stops before the bound
    return (
        least - 2, START.norm(), omega, steps[0], far[0], rates[0], far[4], steps[4], rates[5], steps[5], far[5],
        rates[6], steps[6], far[6], rates[0], steps[0], rates[6], steps[6], rates[1],
    )


def test_the_loop_as_printed_never_begins():
    small, steps = 0, 0
    while small > 10:
        steps += 1
    assert steps == 0


@page.claim(
    "from a ten-millionth to {}, for three tolerances.",
    "with a tolerance of {} between {} and {}, with {} between {} and {}, with {} near {}.",
    r"With $\omega = {}$ a start {} off the ridge already ends at the saddle",
    "So is waiting for more than {} small steps enough",
)
def test_a_finer_tolerance_escapes_from_nearer_to_the_ridge():
    def ends(omega, offsets):
        starts = [torch.tensor([-1.5, off], dtype=torch.float64) for off in offsets]
        return [descend(grad(saddle), w, lr=0.1, tolerance=omega)[0][1].item() for w in starts]

    def reached(omega, offsets):
        heights = ends(omega, offsets)
        assert [y for y in heights if 0.04 < y < 0.99] == []
        return [y > 0.99 for y in heights]

    assert reached(1e-2, (1e-4, 1e-3, 1e-2)) == [False, False, True]
    assert reached(1e-3, (1e-6, 1e-5, 1e-4)) == [False, False, True]
    assert reached(1e-4, (2e-7, 3e-6)) == [False, True]
    assert [ends(omega, [0.0]) for omega in (1e-2, 1e-3, 1e-4)] == [[0.0]] * 3
    return 0.1, 1e-2, 1e-3, 1e-2, 1e-3, 1e-5, 1e-4, 1e-4, 1e-6, 1e-2, 1e-3, 10


@page.claim(
    "The start lies {} off the ridge. Click on the ring and press the up arrow once: {}. Four times more: {}. How many steps "
    "does each save, on the way to a loss of {}?",
    r"It takes {} steps from {}, {} from {} and {} from {}. Near the ridge, the distance from it grows by the factor "
    r"$1 + \eta = {}$ a step, so three times the distance saves about $\ln 3/\ln {} = {}$ steps.",
)
def test_the_escape_takes_the_logarithm_of_the_distance(page):
    fig = page.figure(1)
    below = 1e-3
    until, offsets = [], [fig.start[1], fig.start[1] + 0.02, fig.start[1] + 0.1]
    for off in offsets:
        fig.start = [-1.5, off]
        until.append((fig.losses + 0.25 > below).sum().item())
        assert fig.path[-1, 1] > 0.99
    fig.start = [-1.5, -offsets[0]]
    assert fig.path[-1, 1] < -0.99
    pairs = [x for pair in zip(until, offsets) for x in pair]
    grows = 1 + fig.lr
    return *offsets, below, *pairs, grows, grows, math.log(3) / math.log(grows)


# Which minimum

SIDES = ("upper right", "upper left", "lower left", "lower right")


def edges():
    """2 / λ_max at each of Himmelblau's minima."""
    minima = torch.tensor(SURFACES["himmelblau"].minima(), dtype=torch.float64)
    return (2 / torch.linalg.eigvalsh(vmap(jacrev(grad(himmelblau)))(minima))[:, -1]).tolist()


@page.claim(
    r"whose minimum is $({}, {})$. Raise $\eta$ from {} to {}. Does it arrive?",
    "Keep {} and drag the start into each of the other three bowls. Which ones accept the descent? Then try {}.",
    "At {} the loss falls below ${}$. At {} it bounces around",
    r"The largest curvature at this minimum is {}, so that its edge is $2/{} = {}$.",
    r"At {} all three. At {} the bowl at the lower right, $({}, {})$, does not hold the descent either: its edge is {}. The two upper ones "
    "hold out until {} and {}.",
)
def test_the_bowl_at_the_lower_left_loses_its_guests_between_two_rates(page):
    fig = page.figure(2)
    minima, edge, low, high = SURFACES["himmelblau"].minima(), edges(), fig.lr, 0.016
    assert fig.losses[-1] < 1e-20
    path = with_settings(fig, lr=high).path[-50:]
    assert fig.losses[-50:].max() > 10 and (path < 0).all()
    assert (path - torch.tensor(minima[2])).norm(dim=1).max() < 1.5
    curvature = 2 / edge[2]
    return (
        *minima[2], low, high, high, 0.020, low, 1e-20, high, curvature, curvature, edge[2],
        high, 0.020, *minima[3], edge[3], edge[0], edge[1],
    )


@page.claim(
    "Now {} random starts between $-4$ and 4, for each of {} seeds.",
    "over the learning rate from {} to {}: the mean over the seeds. Up to {} each minimum gets about a quarter. From {} on the "
    "one at the lower left gets none, from {} on the one at the lower right none. At {} the part of the upper left one nearly "
    "doubles, and from {} on there is none at all.",
    r"Up to $\eta = {}$ it gets no second chance",
    "At {}, what bounces at the lower left leaps over into the bowl at the upper left, whose part rises from {} to {}, "
    "and settles there.",
)
def test_a_large_rate_never_settles_in_a_sharp_minimum():
    record = recorded("gradient_descent_minima")
    part = record["part"]  # (seeds, 4, rates)
    rates = [0.001 * k for k in range(1, record.settings["rates"] + 1)]
    assert (part[:, :, :14] - 0.25).abs().max() < 0.06 and (part[:, :, :14].sum(1) > 0.99).all()
    for k, edge in enumerate(edges()):
        assert (part[:, k, [lr > edge for lr in rates]] == 0).all(), SIDES[k]
    assert (part[:, :2, :22] - part[:, :2, :1]).abs().max() < 0.025  # what is lost goes to no other bowl
    assert (part[:, 1, 22] - part[:, 1, 21] > 0.8 * part[:, 2, 0]).all()
    assert (part[:, 0, 22] - part[:, 0, 21]).abs().max() < 0.02
    before, after = (part[:, 1, k].mean() for k in (21, 22))
    first = [next(lr for lr in rates if lr > edge) for edge in edges()]
    return (
        record.settings["starts"], len(record.seeds), rates[0], rates[-1], rates[13], first[2], first[3], rates[22],
        first[1], rates[21], rates[22], before, after,
    )


# At the edge of stability


@page.claim(
    r"It is a small one: {} parameters that learn $\sin 3x$ from {} points.",
    r"{} random starts with $\eta = {}$, the same five with $\eta = {}$.",
    "At the start it is between {} and {}.",
    "over {} steps for two learning rates",
    "hover around a dotted line: {} for a rate of {}, {} for {}.",
    r"with $\eta = {}$ it hovers around {}, with $\eta = {}$ around {}, the dotted lines. Averaged over the last {} steps, "
    r"$\eta\lambda_{\max}$ is between {} and {} in all ten runs.",
)
def test_the_curvature_rises_to_the_edge_and_stays():
    record = recorded("gradient_descent_sharpness")
    (low, high), curvature = record.settings["rates"], record["curvature"]  # (seeds, 2, steps / 20 + 1)
    at_edge = torch.tensor([low, high])[:, None] * curvature
    assert (at_edge.amax(2) > 2).all()
    late = at_edge[:, :, 50:].mean(2)
    weights = parameters_to_vector(study.tanh_network(0).parameters()).detach()
    assert len(record.seeds) * 2 == 10 and 50 * record.settings["every"] == 1000
    return (
        len(weights), 20, len(record.seeds), low, high, curvature[:, :, 0].min(), curvature[:, :, 0].max(), record.settings["steps"],
        2 / low, low, 2 / high, high, low, 2 / low, high, 2 / high, 1000, late.min(), late.max(),
    )


@page.claim(
    "here are the part of the last {} steps that raise it, and the mean loss of the last {} steps over that of steps {} to {}.",
    "The part of the last {} steps that go uphill lies between {} and {}. The late loss is in every run lower than the early "
    "one, between {} and {} of it.",
)
def test_the_loss_rises_in_single_steps_and_falls_over_many():
    record = recorded("gradient_descent_sharpness")
    uphill = record["uphill"][..., 10:].mean(2)
    falls = record["loss"][..., 15:].mean(2) / record["loss"][..., 3:5].mean(2)
    assert (record["uphill"][..., 0] == 0).all() and (uphill > 0).all() and (falls < 1).all()
    assert record.settings["window"] == 100
    return 1000, 500, 300, 500, 1000, uphill.min(), uphill.max(), falls.min(), falls.max()


def test_the_loss_of_the_weights_is_that_of_the_network():
    for seed in range(3):
        net = study.tanh_network(seed)
        assert study.loss_of_weights(parameters_to_vector(net.parameters()).detach()).item() == pytest.approx(
            study.sine_loss(net).item(), rel=1e-12
        )


# What goes wrong


def test_the_sum_of_the_losses_has_the_sum_of_the_curvatures():
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, two = (
        (jacrev(grad(lambda w, reduce=reduce: reduce((x @ w) ** 2))))(torch.zeros(2, dtype=torch.float64))
        for reduce in (torch.mean, torch.sum)
    )
    torch.testing.assert_close(two, 50 * one)


@page.claim(r"from $-1$ to 1 meter: $\kappa = {}$. In millimeters the same fit has a condition number of {},")
def test_units_make_the_condition_number():
    def condition_number(unit):
        curvature = unit**2 / 3  # the mean of x², spread evenly from -unit to unit
        x = unit * torch.linspace(-1, 1, 100_001, dtype=torch.float64)
        hessian = torch.tensor([[(x**2).mean(), x.mean()], [x.mean(), 1.0]], dtype=torch.float64)
        torch.testing.assert_close(torch.linalg.eigvalsh(hessian).prod().item(), curvature, rtol=1e-4, atol=0)
        return max(curvature, 1 / curvature)

    return condition_number(1.0), condition_number(1000.0)


@page.claim(
    r"on the canyon at $\eta = {}$ it still reaches a loss of {} after {} steps, more than the {} it started with."
)
def test_without_zero_grad_the_ball_has_no_friction():
    w, losses = START.clone().requires_grad_(), []
    optimizer = torch.optim.SGD([w], lr=0.1)
    for _ in range(1000):
        loss = (CANYON * w**2).sum() / 2
        losses.append(loss.item())
        loss.backward()  # and never a zero_grad()
        optimizer.step()
    momentum = sweep_of_momentum(1000)
    torch.testing.assert_close(momentum, w.detach())
    assert page.figure(0).losses[0].item() == pytest.approx(losses[0])
    return 0.1, max(losses[-100:]), 1000, losses[0]


def sweep_of_momentum(steps):
    """Where PyTorch's momentum of 1 ends on the canyon, with zero_grad()."""
    w = START.clone().requires_grad_()
    optimizer = torch.optim.SGD([w], lr=0.1, momentum=1.0)
    for _ in range(steps):
        optimizer.zero_grad()
        ((CANYON * w**2).sum() / 2).backward()
        optimizer.step()
    return w.detach()


# In PyTorch


def test_the_lecture_s_rule_is_pytorch_s_sgd():
    ours = study.trained_weights(lambda p: Optimizer(p, gradient_descent, lr=0.1))
    theirs = study.trained_weights(lambda p: torch.optim.SGD(p, lr=0.1))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    assert (theirs - parameters_to_vector(study.tanh_network(0).parameters()).detach()).norm() > 0.1


test_changed_numbers_are_noticed = page.test_of_numbers()
