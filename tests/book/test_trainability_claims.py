"""What the chapter on trainability says, bound to its records, to its figures and to algebra."""

import functools
import math

import pytest
import torch
from claims import About, Below, Page
from torch import nn

from course_lib.experiments import recorded
from course_lib.experiments.studies.trainability import frozen_features, saturated_features
from course_lib.experiments.trainability import LARGEST, Task, task, train_many
from course_lib.formulas.trainability import largest_rate, one_rate, two_rates
from course_lib.widgets import Trainability

page = Page("training/trainability")
FLOAT = torch.float64
GIVEN = task(4, 4)  # the first figure's


@page.claim(
    "$n = 4$ tanh units, so {} weights, trained for {} steps of gradient descent.", "iterates a map, here of {} numbers",
    "if its loss passes ${}$: warm colors",
    r"Put the ring on the left, at $\eta_1 = {}$, and raise",
    r"Put the ring at $\eta = {}$ and raise it to a scale of 8.",
)
def test_the_figures(page):
    first, second = page.figure(0), page.figure(1)
    assert [*first.x_range, *first.y_range] == [0.05, 1e4, 0.05, 10.0] and torch.equal(first.task.W, GIVEN.W)
    assert [*second.x_range] == [0.05, 20.0] and torch.equal(second.task.W, task(4, 2).W)
    weights = GIVEN.W.numel() + GIVEN.V.numel()
    return weights, first.steps, weights, LARGEST, first.x_range[0], second.lr


# The first figure


def edges_of_the_map(scale) -> torch.Tensor:
    """By rate of the first layer: the first second rate that fails and the last that does not, in the figure's 150 steps."""
    first, rates = torch.tensor([0.05, 1500, 3000, 1e4], dtype=FLOAT), torch.logspace(-0.4, 1, 141, dtype=FLOAT)
    a, b = torch.meshgrid(first, rates, indexing="ij")
    losses = train_many(two_rates, GIVEN, 150, lr_1=a.flatten(), lr_2=b.flatten(), scale=scale)
    lost = losses.isnan().any(0).view(a.shape)
    return torch.stack([torch.stack([rates[row][0], rates[~row][-1]]) for row in lost])


@page.claim(
    r"About {} on the left, {} on the right. The right stretch is straight, from $\eta_1 = {}$ on",
    "The left one: it goes from {} to {}.", "and the edge goes from {} to {}.",
    r"$\eta_1$ is {}, as good as frozen, and yet the edge is not at {}, the formula's value for seed 4, but at {}.",
)
def test_the_two_stretches_of_the_first_figure():
    whole, half = edges_of_the_map(1.0), edges_of_the_map(0.5)
    assert (whole[:, 0] / whole[:, 1] < 1.03).all()  # one edge each
    assert (whole[1:] == whole[1]).all()  # straight
    small = Task(GIVEN.W / 2, GIVEN.V / 2, GIVEN.x, GIVEN.y)
    edges = [[largest_rate(f(g)).item() for f in (frozen_features, saturated_features)] for g in (GIVEN, small)]
    assert half[3].mean().item() == pytest.approx(edges[1][1], rel=0.03)
    assert edges[0][1] == pytest.approx(0.5)
    sizes = [frozen_features(g).norm().item() for g in (small, GIVEN)]
    assert sizes[0] / sizes[1] == pytest.approx(0.6, abs=0.1)  # a little more than half
    left, right = whole[0].mean(), whole[1].mean()
    return left, right, 1500, left, half[0].mean(), right, edges[1][1], 0.05, edges[0][0], left


@page.claim(
    r"At $\eta_2 = 2$ it only falls. At {} it rises from {} to {} first, at 3 to {}, and then falls to less than ${}$ all the same."
)
def test_what_the_loss_does_before_it_falls():
    runs = train_many(two_rates, GIVEN, 150, lr_1=0.05, lr_2=torch.tensor([2.0, 2.5, 3.0], dtype=FLOAT))
    assert (runs[:, 0].diff() < 0).all() and (runs[-1] < 1e-6).all()
    _, middle, high = runs.amax(0)
    return 2.5, runs[0, 1], middle, high, 1e-6


def window(presses, at=(29.5, 0.9)) -> dict:
    """The ranges of the first figure after so many presses of *+*, with the ring at these rates."""
    whole = zip(at, ((0.05, 1e4), (0.05, 10.0)), strict=True)
    x, y = (tuple(z * (end / z) ** 0.5**presses for end in ends) for z, ends in whole)
    return {"x_range": x, "y_range": y}


@functools.cache
def fates(presses) -> torch.Tensor:
    """Which of 60 by 60 runs are lost, (rows, columns)."""
    return Trainability(**window(presses)).values(60, 60).lost


@page.claim(
    r"Put the ring near $\eta_1 = {}$, $\eta_2 = {}$, press",
    "On a map of {} by {} pixels this one crosses a column once on average before the first press and about {} times after the fifth, "
    "each column more than twice.",
)
def test_five_presses_find_no_smooth_piece_of_the_edge():
    crossings = torch.stack([(fates(k).int().diff(dim=0) != 0).sum(0) for k in range(6)]).double()
    assert (crossings.mean(1).diff() > 0).all()
    assert crossings[0].mean() < 1.1 and crossings[5].min() > 2
    tiles = fates(5).int().unfold(0, 15, 15).unfold(1, 15, 15).flatten(0, 1)
    for tile in tiles[((tiles.double().mean((1, 2)) - 0.5).abs() < 0.45)]:
        # a smooth edge would be crossed once in each row, or once in each column
        assert min((tile.diff(dim=k) != 0).sum(k).max() for k in (0, 1)) > 1
    return 29.5, 0.9, *fates(0).shape, crossings[5].mean()


@page.claim("the fates of two runs whose $\\eta_2$ differ by {} agree about as often as by chance.")
def test_on_the_coast_a_neighbor_one_percent_away_says_next_to_nothing():
    """Two runs that know nothing of each other would differ for a share 2 p (1 - p)."""
    lost, (low, high) = fates(5)[30:], window(5)["y_range"]
    p, differ = lost.double().mean(), (lost[4:] != lost[:-4]).double().mean()
    assert 0.3 < p < 0.9 and differ > 0.9 * 2 * p * (1 - p)
    return (high / low) ** (4 / 60) - 1


def test_most_networks_of_the_first_figure_that_do_not_diverge_fit_their_examples():
    found = Trainability(x_range=(0.05, 1e4), y_range=(0.05, 10.0)).values(80, 60)
    assert (found.end[~found.lost] < 0.01).double().mean() > 0.7


# Two stretches that are lines


@page.claim(
    "The first rate that fails in {} steps of training lies above the formula's by less than the spacing of the rates, {}.",
    "stand at $2/n = {}$, the lowest edge there is: all four units became the same feature",
    "ten dots for frozen features, ten for saturated ones, from {} to {}.",
)
def test_the_straight_edges_lie_where_the_formula_says():
    record = recorded("trainability_edges")
    settings, ratio = record.settings, record["measured"] / record["formula"]
    spacing = (settings["fastest"] / settings["slowest"]) ** (1 / (settings["rates"] - 1))
    assert ratio.shape == (5, 2, 2) and ((ratio > 0.999) & (ratio < spacing + 1e-3)).all()
    lowest = [seed for seed in range(5) if record["formula"][seed, 0, 1] < 0.501]
    assert lowest == [2, 4]
    assert [torch.linalg.matrix_rank(saturated_features(task(4, seed))).item() == 1 for seed in range(5)] == [
        seed in lowest for seed in range(5)
    ]
    return settings["steps"], spacing - 1, 2 / 4, record["formula"].min(), record["measured"].max()


@pytest.mark.parametrize("width", [2, 4, 8, 16])
def test_the_edge_of_saturated_features_lies_between_2_over_n_and_2(width):
    edges = torch.stack([largest_rate(saturated_features(task(width, seed))) for seed in range(20)])
    assert (2 / width - 1e-9 <= edges).all() and (edges <= 2 + 1e-9).all()


# The catapult


@page.claim(
    r"Unfreeze the first layer by as little as $\eta_1 = {}$:",
    r"At $\eta_1 = {}$ the loss climbs from {} to {} and is down to {} at step {}.",
    "Loss over {} steps for three rates of the first layer at a rate of {} of the second.",
    "With {} it grows nearly as fast up to {} and then falls. With {} it turns back at {} and falls steeply.",
)
def test_a_run_above_the_frozen_edge_is_thrown_to_where_it_trains():
    runs = train_many(two_rates, GIVEN, 60, lr_1=torch.tensor([0.0, 0.001, 0.05], dtype=FLOAT), lr_2=2.5)
    assert runs[:, 0].isnan().any() and runs[:, 0].nan_to_num().max() > 5e5
    assert ((runs[:5, 1] / runs[:5, 0] - 1).abs() < 0.03).all()  # they begin together
    assert ((runs[:3, 2] / runs[:3, 0] - 1).abs() < 0.07).all()
    assert runs[-1, 2] < 1e-3
    top = runs[:, 1].max()
    return 0.001, 0.001, runs[0, 1], top, runs[-1, 1], 60, 60, 2.5, 0.001, top, 0.05, runs[:, 2].max()


@page.claim(r"each step multiplies the error of $V$ by $1 - \eta_2 \lambda_{\max} = {}$.")
def test_frozen_features_multiply_an_error_of_the_last_layer_by_the_same_factor_each_step():
    H = frozen_features(GIVEN)
    best, steepest = torch.linalg.solve(H.T, GIVEN.y), torch.linalg.eigh(H @ H.T / 4)[1][:, -1]
    errors, V = [], GIVEN.V
    for _ in range(11):
        errors.append(steepest @ (V - best))
        _, V = two_rates(GIVEN.W, V, GIVEN.x, GIVEN.y, lr_1=0.0, lr_2=2.5)
    errors = torch.stack(errors)
    factor = 1 - 2.5 * 2 / largest_rate(H)
    torch.testing.assert_close(errors[1:] / errors[:-1], factor.expand(10), atol=1e-6, rtol=0)
    return factor


@pytest.mark.parametrize("lr_1", [0.001, 0.05])
def test_the_loss_shrinks_from_where_the_features_bear_the_rate(lr_1):
    W, V, borne = GIVEN.W, GIVEN.V, []
    for _ in range(61):
        borne.append(largest_rate((W @ GIVEN.x).tanh()) > 2.5)
        W, V = two_rates(W, V, GIVEN.x, GIVEN.y, lr_1=lr_1, lr_2=2.5)
    first, losses = borne.index(True), train_many(two_rates, GIVEN, 60, lr_1=lr_1, lr_2=2.5)[:, 0]
    assert all(borne[first:]) and (losses[first:].diff() < 0).all() and losses[first] > 1.5 * losses[0]


def test_the_catapult_is_not_a_matter_of_one_seed():
    """A little above the frozen edge a slow first layer saves the run, for each task and width."""
    record = recorded("trainability_catapult")
    assert record.settings["rates"] == [0.0, 0.001] and record["fails"].shape == (5, 2, 2)
    assert (record["fails"] == torch.tensor([1.0, 0.0])).all()


# The coast


@page.claim(
    r"So $\alpha$ is about $\frac15$ there, in the five draws between {} and {}, and $D$ about {}: nearer",
    "On the coast a hundred thousand times the precision still leaves about a tenth of them.",
    "with the range over five draws of {} runs.",
    "falls slowly, from about {} at one tenth to {} at one in a million.",
)
def test_the_coast_keeps_surprises_that_a_line_does_not():
    record = recorded("trainability_surprises")
    eps, coast, frozen = torch.tensor(record.settings["precisions"], dtype=FLOAT), record["coast"], record["frozen"]
    left = coast[:, 5] / coast[:, 0]
    assert ((1 / 20 < left) & (left < 1 / 5)).all() and 1 / 14 < left.median() < 1 / 7
    assert (frozen[:, 1] < frozen[:, 0] / 4).all() and (frozen[:, 2] < 0.003).all() and (frozen[:, 4:] == 0).all()
    x = eps.log() - eps.log().mean()
    alpha = (coast.log() * x).sum(1) / x.square().sum()  # by least squares
    assert alpha.mean() == pytest.approx(0.2, abs=0.04)
    return alpha.min(), alpha.max(), 2 - alpha.mean(), record.settings["runs"], About(coast[:, 0]), coast[:, 5]


def test_around_a_line_the_share_is_proportional_to_the_precision():
    """The edge at 2.15 lies between b and b (1 + ε) for a share ln(1 + ε) / ln 16 of the rates b from 0.5 to 8."""
    record = recorded("trainability_surprises")
    runs = record.settings["runs"] * len(record.seeds)
    for share, eps in zip(record["frozen"].mean(0)[:3], record.settings["precisions"], strict=False):
        expected = math.log1p(eps) / math.log(16)
        assert abs(share - expected) < 3 * (expected / runs) ** 0.5


@page.claim(
    "Half of the runs that diverge on the coast do so within {} steps. Those whose fate hangs on the sixth digit take more than twice as "
    "long, and by step {} the difference has grown more than a thousandfold."
)
def test_the_fate_of_a_surprise_is_decided_late_by_a_difference_that_has_grown():
    record = recorded("trainability_delay")
    typical, apart = record["all"], record["apart"].median(0).values
    assert (record["surprised"] > 2 * typical).all()
    assert apart[1] < 3e-6 and apart[10] > 10 * apart[1] and apart[20] > 1e3 * apart[1]
    return typical, 20


@page.claim(
    "Percent of {} runs that change their fate in float32, a dot for each of five draws: from {} to {} on the coast, none"
)
def test_rounding_decides_runs_on_the_coast_and_none_inland():
    record = recorded("trainability_rounding")
    coast = 100 * record["coast"]
    assert coast.shape == (5,) and (coast > 0).all() and (record["inland"] == 0).all()
    return record.settings["runs"], coast.min(), coast.max()


# The advice


@page.claim(
    "Six tasks with seven rates of the first layer each, from {} to {}, make {} searches",
    "Half of the failing rate trained in all {}, and so it did with {} more or less, and in single precision.",
    "In all but a few of the {} searches the mean loss over the run was lower at half the failing rate",
    "in more than half of them by a factor of 4 or more.", "typically moved the loss hundreds of times as far",
    "At half of the failing rate it lies between {} and {}. Just below the edge it is higher for nearly all rates, in some runs above {}.",
)
def test_half_of_the_first_rate_that_fails_is_safe_and_fast():
    record = recorded("trainability_advice")
    first, searches = record.settings["first"], record["lost"].numel()
    assert (record["lost"] == 0).all()
    below, half = record["mean"].unbind(2)
    assert (below > half).sum() >= searches - 4
    assert (below > 4 * half).double().mean() > 0.5 and (below > 100).any()
    moved = record["moved"].flatten(0, 1).median(0).values
    assert moved[0] > 100 * moved[1]
    return (
        first[0],
        first[-1],
        searches,
        searches,
        record.settings["changes"][3] - 1,
        searches,
        half.min(),
        half.max(),
        100,
    )


# One rate, and the scale of the first weights


@page.claim(
    "It falls: from about {} at a tenth of the usual scale to {} at nine times. With other seeds it falls, too, by a third or more.",
    "At scales from {} to {} the first runs diverge at a rate of {}, and others train at {}.",
)
def test_one_rate_and_the_scale_of_the_first_weights():
    fig = Trainability(one_rate, x="lr", y="scale", x_range=(0.05, 20.0), lr=0.5, seed=2)
    found, (x, y) = fig.values(160, 30), fig.places(160, 30)
    largest = torch.tensor([x[~row].max() for row in found.lost])
    small, great = largest[y < 0.2].median(), largest[y > 8].median()
    middle = (0.2 < y) & (y < 0.5)
    rows = found.lost[middle]
    assert (rows.int().diff(dim=1) != 0).sum(1).min() >= 3  # islands
    for row in found.lost[y > 2]:
        assert x[~row].max() < 1.11 * x[row].min()
    rates = recorded("trainability_scale")["rate"]
    assert (rates[:, 1] < 0.67 * rates[:, 0]).all()
    return small, great, 0.2, 0.5, x[rows.any(0)].min(), x[(~rows).any(0)].max()


@page.claim(
    r"It stays at {}. Large weights saturate the units from the start: at {} of the {} entries of $H$",
    r"with a smallest singular value below ${}$. What $y$ has in the direction they miss is that {}, and",
)
def test_large_first_weights_leave_features_that_do_not_fit():
    given = task(4, 2)
    losses = train_many(one_rate, given, 500, lr=0.5, scale=torch.tensor([1.0, 8.0], dtype=FLOAT))
    assert losses[50::50, 1].tolist() == pytest.approx([0.0627] * 10, abs=1e-4) and losses[150, 0] < 1e-10
    W, V, flat = 8 * given.W, 8 * given.V, []
    for _ in range(150):
        flat.append(((1 - (W @ given.x).tanh() ** 2) < 0.03).sum().item())
        W, V = one_rate(W, V, given.x, given.y, lr=0.5)
    _, sizes, directions = torch.linalg.svd((W @ given.x).tanh())
    assert sizes[3] < 1e-6 < 1 < sizes[2]
    missed = (directions[3] @ given.y) ** 2 / 8
    return losses[150, 1], min(flat), given.W.numel(), 1e-6, missed


# In PyTorch


@page.claim(
    "Loss over {} steps, logarithmic: PyTorch's and the formula's are one line, which rises from {} to {} in the first steps and then falls "
    "to below {}."
)
def test_two_parameter_groups_are_two_rates():
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 1, bias=False)).double()
    with torch.no_grad():
        net[0].weight.copy_(GIVEN.W)
        net[2].weight.copy_(GIVEN.V[None])
    groups = [{"params": net[0].parameters(), "lr": 0.05}, {"params": net[2].parameters(), "lr": 2.5}]
    optimizer, losses = torch.optim.SGD(groups), []
    for _ in range(61):
        loss = (net(GIVEN.x.T)[:, 0] - GIVEN.y).square().mean() / 2
        losses.append(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    ours = train_many(two_rates, GIVEN, 60, lr_1=0.05, lr_2=2.5)[:, 0]
    torch.testing.assert_close(torch.stack(losses), ours, rtol=1e-10, atol=0)
    return len(ours) - 1, ours[0], ours.max(), Below(ours[-1])


test_changed_numbers_are_noticed = page.test_of_numbers()
