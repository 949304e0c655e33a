"""What the chapter on trainability says, over several seeds."""

import math

import pytest
import torch
from torch import nn

from course_lib.experiments.trainability import Task, task, train_many
from course_lib.formulas.trainability import one_rate, two_rates
from course_lib.widgets import Trainability

SEEDS = range(5)
FLOAT = torch.float64


def largest_rate(features):
    return 2 / torch.linalg.eigvalsh(features @ features.T / features.shape[1])[-1]


def fails(losses):
    return losses.isnan().any(0) | (losses[-1] > losses[0])


def saturated(given):
    """The features after a huge first step."""
    W, _ = two_rates(given.W, given.V, given.x, given.y, lr_1=1e6)
    return (W @ given.x).sign()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("width", [4, 8])
def test_the_straight_edges_lie_where_the_formula_says(width, seed):
    """A rate 3% below the formula's trains and one 3% above it fails; so do its two neighbors among the rates that the page tries."""
    given, tried = task(width, seed), torch.logspace(-2, 1.5, 300, dtype=FLOAT)
    assert (tried[1] / tried[0]).item() == pytest.approx(1.027, abs=5e-4)
    edges = [largest_rate((given.W @ given.x).tanh()), largest_rate(saturated(given))]
    rates = [torch.stack([0.97 * edge, 1.03 * edge, tried[tried < edge][-1], tried[tried > edge][0]]) for edge in edges]
    lost = fails(
        train_many(
            two_rates,
            given,
            200,
            lr_1=torch.tensor([0.0, 1e6], dtype=FLOAT).repeat_interleave(4),
            lr_2=torch.cat(rates),
        )
    )
    assert lost.tolist() == [False, True] * 4


@pytest.mark.parametrize("width", [2, 4, 8, 16])
def test_the_edge_of_saturated_features_lies_between_2_over_n_and_2(width):
    for seed in range(20):
        assert 2 / width - 1e-9 <= largest_rate(saturated(task(width, seed))) <= 2 + 1e-9


def test_two_of_the_printed_seeds_have_the_lowest_edge():
    assert [round(largest_rate(saturated(task(4, seed))).item(), 3) for seed in SEEDS] == [
        0.667,
        0.667,
        0.5,
        0.602,
        0.5,
    ]
    assert [torch.linalg.matrix_rank(saturated(task(4, seed))).item() for seed in SEEDS] == [
        2,
        2,
        1,
        2,
        1,
    ]  # 1: the units are one feature
    assert largest_rate((task(4, 4).W @ task(4, 4).x).tanh()).item() == pytest.approx(2.15, abs=0.005)


def test_a_run_above_the_frozen_edge_is_thrown_to_where_it_trains():
    runs = train_many(two_rates, task(4, 4), 60, lr_1=torch.tensor([0.0, 0.001, 0.05], dtype=FLOAT), lr_2=2.5)
    assert runs[:, 0].isnan().any() and runs[:, 0].nan_to_num().max() > 5e5
    assert ((runs[:5, 1] / runs[:5, 0] - 1).abs() < 0.03).all() and (
        (runs[:3, 2] / runs[:3, 0] - 1).abs() < 0.07
    ).all()  # they begin together
    assert runs[0, 1] == pytest.approx(1.5, abs=0.05)
    assert runs[:, 1].max() == pytest.approx(75, abs=1) and runs[-1, 1] == pytest.approx(0.01, abs=0.001)
    assert runs[:, 2].max() == pytest.approx(3.4, abs=0.05) and runs[-1, 2] < 1e-3
    runs = train_many(two_rates, task(4, 4), 150, lr_1=0.05, lr_2=torch.tensor([2.0, 2.5, 3.0], dtype=FLOAT))
    assert runs.amax(0).tolist() == pytest.approx([1.5, 3.4, 10.7], abs=0.05) and (runs[-1] < 1e-6).all()


def test_frozen_features_multiply_an_error_of_the_last_layer_by_the_same_factor_each_step():
    given = task(4, 4)
    H = (given.W @ given.x).tanh()
    best, steepest = torch.linalg.solve(H.T, given.y), torch.linalg.eigh(H @ H.T / 4)[1][:, -1]
    errors, V = [], given.V
    for _ in range(11):
        errors.append(steepest @ (V - best))
        _, V = two_rates(given.W, V, given.x, given.y, lr_1=0.0, lr_2=2.5)
    errors = torch.stack(errors)
    torch.testing.assert_close(errors[1:] / errors[:-1], torch.full((10,), -1.33, dtype=FLOAT), atol=0.005, rtol=0)


@pytest.mark.parametrize("lr_1", [0.001, 0.05])
def test_the_loss_shrinks_from_where_the_features_bear_the_rate(lr_1):
    given = task(4, 4)
    W, V, borne = given.W, given.V, []
    for _ in range(61):
        borne.append(largest_rate((W @ given.x).tanh()) > 2.5)
        W, V = two_rates(W, V, given.x, given.y, lr_1=lr_1, lr_2=2.5)
    first, losses = borne.index(True), train_many(two_rates, given, 60, lr_1=lr_1, lr_2=2.5)[:, 0]
    assert all(borne[first:]) and (losses[first:].diff() < 0).all() and losses[first] > 1.5 * losses[0]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("width", [4, 8])
def test_the_catapult_is_not_a_matter_of_one_seed(width, seed):
    """A little above the frozen edge a slow first layer saves the run."""
    given = task(width, seed)
    edge = largest_rate((given.W @ given.x).tanh())
    runs = train_many(two_rates, given, 600, lr_1=torch.tensor([0.0, 0.001]).double(), lr_2=1.15 * edge)
    assert fails(runs).tolist() == [True, False]


COAST, FROZEN, INLAND = ((5.0, 100.0), (0.3, 2.0)), ((1e-9, 1e-8), (0.5, 8.0)), ((0.1, 1.0), (0.1, 0.5))
EPS = torch.tensor([1e-1, 1e-2, 1e-3, 1e-6], dtype=FLOAT)


def places(box, runs, seed):
    u = torch.rand(2, runs, generator=torch.Generator().manual_seed(seed), dtype=FLOAT)
    return [low * (high / low) ** z for (low, high), z in zip(box, u, strict=True)]


def changed_rates(box, given, runs=800, seed=0):
    """The losses of shape (steps + 1, 1 + len(EPS), runs): at random rates, and with the second one changed by each of EPS."""
    a, b = places(box, runs, seed)
    losses = train_many(
        two_rates, given, 150, lr_1=a.repeat(1 + len(EPS)), lr_2=torch.cat([b, *(b * (1 + e) for e in EPS)])
    )
    return losses.view(151, 1 + len(EPS), runs)


def surprises(losses):
    """The share of runs whose fate changes, for each of EPS."""
    base, *others = losses.isnan().any(0)
    return [(other != base).double().mean().item() for other in others]


@pytest.fixture(scope="module")
def coast():
    """Three draws of the page's coast; the first is the one that it prints."""
    return torch.cat([changed_rates(COAST, task(4, 4), seed=seed) for seed in range(3)], dim=2)


@pytest.mark.parametrize(("width", "seed"), [(4, 2), (8, 4)])
def test_the_coast_keeps_surprises_that_a_line_does_not(width, seed):
    coast, frozen = (surprises(changed_rates(box, task(width, seed))) for box in (COAST, FROZEN))
    assert frozen[1] < frozen[0] / 4 and frozen[2] < 0.003 and frozen[3] == 0
    assert coast[3] > 0 and coast[2] > coast[0] / 6


def test_the_page_draws_a_coast_that_keeps_about_a_tenth_of_its_surprises(coast):
    shares, first = surprises(coast), surprises(coast[:, :, :800])
    assert 1 / 15 < shares[3] / shares[0] < 1 / 7
    assert first[0] == pytest.approx(0.06, abs=0.005) and 0.001 < first[3] < 0.01


def test_around_a_line_the_share_is_proportional_to_the_precision():
    """The edge at 2.15 lies between b and b (1 + ε) for a share ln(1 + ε) / ln 16 of the rates b from 0.5 to 8."""
    shares = surprises(changed_rates(FROZEN, task(4, 4), runs=3000))
    for share, eps in zip(shares[:3], EPS.tolist(), strict=False):
        expected = math.log1p(eps) / math.log(16)
        assert abs(share - expected) < 3 * (expected / 3000) ** 0.5
        assert expected == pytest.approx(0.35 * eps, rel=0.05)  # the dashed line of the figure
    assert shares[2] < 0.002 and shares[3] == 0


def test_the_fate_of_a_surprise_is_decided_late_by_a_difference_that_has_grown(coast):
    lost, when = coast.isnan().any(0), coast.isnan().int().argmax(0)
    surprised = lost[0] != lost[4]  # by the sixth digit
    assert surprised.sum() >= 10
    assert when[lost].median() == 12 and torch.where(lost[0], when[0], when[4])[surprised].median() > 24
    apart = (
        ((coast[:, 0] - coast[:, 4]).abs() / (coast[:, 0] + coast[:, 4]))[:, surprised].nan_to_num(1.0).median(1).values
    )
    assert apart[1] < 3e-6 and apart[10] > 10 * apart[1] and apart[20] > 1e3 * apart[1]


def test_rounding_decides_runs_on_the_coast_and_none_inland():
    given = task(4, 4)
    changed = []
    for box in (COAST, INLAND):
        a, b = places(box, 3000, 1)
        fates = [
            train_many(two_rates, given, 150, lr_1=a, lr_2=b, dtype=kind).isnan().any(0)
            for kind in (torch.float64, torch.float32)
        ]
        changed.append((fates[0] != fates[1]).double().mean())
    assert changed[0] > 0.001 and changed[1] == 0


# The advice


@pytest.fixture(scope="module")
def advice():
    """For six tasks and seven rates of the first layer: the runs at the last second rate before the first that fails, and at half of that one.

    Raised by 4.7% at a time. Two tensors of losses, (151, 42, changes), in double and in single precision for each; the first change is none.
    """
    first = torch.tensor([0.05, 1, 5, 15, 30, 100, 1000], dtype=FLOAT)
    tried, changes = torch.logspace(-0.4, 1, 71, dtype=FLOAT), torch.tensor([1.0, 1 + 1e-6, 0.9, 1.1], dtype=FLOAT)
    found = []
    for seed in range(6):
        a, b = torch.meshgrid(first, tried, indexing="ij")
        lost = (
            train_many(two_rates, task(4, seed), 150, lr_1=a.flatten(), lr_2=b.flatten()).isnan().any(0).view(a.shape)
        )
        k = lost.int().argmax(1)
        assert lost.any(1).all() and (k > 0).all()
        rates = torch.stack([tried[k - 1], tried[k] / 2])[:, :, None] * changes
        runs = {"lr_1": first[:, None].expand(rates.shape).flatten(), "lr_2": rates.flatten()}
        kinds = [
            train_many(two_rates, task(4, seed), 150, dtype=kind, **runs).to(FLOAT) for kind in (FLOAT, torch.float32)
        ]
        found.append(torch.stack([losses.view(151, *rates.shape) for losses in kinds]))
    double, single = torch.cat(found, dim=3)
    return (double[:, 0], single[:, 0]), (double[:, 1], single[:, 1])


def test_half_of_the_first_rate_that_fails_trains(advice):
    for losses in advice[1]:
        assert losses.shape == (151, 42, 4) and not losses.isnan().any()
        assert (losses[-1] < losses[0]).all()


def test_a_rate_just_below_the_edge_is_not_the_fastest(advice):
    below, half = ((losses / losses[0])[:, :, 0].mean(0) for losses, _ in advice)
    assert abs((below > half).sum() - 40) <= 1  # so near to the edge the rounding of another machine may move one
    assert (below / half).median().item() == pytest.approx(4, abs=0.5)


def test_just_below_the_edge_the_sixth_digit_counts(advice):
    moved = [
        ((losses[:, :, 1] - losses[:, :, 0]).abs().nan_to_num(math.inf).amax(0) / losses[0, :, 0]).median()
        for losses, _ in advice
    ]
    assert moved[0] > 300 * moved[1]


def window(presses, at=(29.5, 0.9)):
    """The ranges of the first figure after so many presses of *+*, with the ring at these rates."""
    x, y = (
        tuple(z * (end / z) ** 0.5**presses for end in ends)
        for z, ends in zip(at, ((0.05, 1e4), (0.05, 10.0)), strict=True)
    )
    return {"x_range": x, "y_range": y}


def test_five_presses_find_no_smooth_piece_of_the_edge():
    fig, crossings = Trainability(), []
    for presses in range(6):
        fig.x_range, fig.y_range = window(presses).values()
        lost = fig.values(60, 60).lost.int()
        crossings.append((lost.diff(dim=0) != 0).sum(0))
    assert (torch.stack(crossings).double().mean(1).diff() > 0).all()
    assert crossings[0].double().mean() < 1.1 and crossings[5].min() >= 5 and crossings[5].double().mean() > 15
    for tile in lost.unfold(0, 15, 15).unfold(1, 15, 15).flatten(0, 1):
        if (
            0.05 < tile.double().mean() < 0.95
        ):  # a smooth edge would be crossed once in each row, or once in each column
            assert min((tile.diff(dim=k) != 0).sum(k).max() for k in (0, 1)) > 1


def test_on_the_coast_a_neighbor_one_percent_away_says_next_to_nothing():
    """Two runs that know nothing of each other would differ for a share 2 p (1 - p)."""
    fig = Trainability(**window(5))
    lost = fig.values(60, 60).lost[30:]
    assert (fig.y_range[1] / fig.y_range[0]) ** (4 / 60) == pytest.approx(1.011, abs=0.001)
    p, differ = lost.double().mean(), (lost[4:] != lost[:-4]).double().mean()
    assert 0.3 < p < 0.9 and differ > 0.9 * 2 * p * (1 - p)


def test_one_rate_and_the_scale_of_the_first_weights():
    fig = Trainability(one_rate, x="lr", y="scale", x_range=(0.05, 20.0), lr=0.5, seed=2)
    found, (x, y) = fig.values(160, 30), fig.places(160, 30)
    largest = torch.tensor([x[~row].max() for row in found.lost])
    assert largest[y < 0.5].min() > 1.7 and largest[y > 8].max() < 0.95
    rows = found.lost[(0.2 < y) & (y < 0.5)]
    assert x[rows.any(0)].min() < 1.15 and x[(~rows).any(0)].max() > 1.85
    assert (rows.int().diff(dim=1) != 0).sum(1).min() >= 3  # islands
    for row in found.lost[y > 2]:
        assert x[~row].max() < 1.11 * x[row].min()


@pytest.mark.parametrize("seed", range(6))
def test_large_first_weights_bear_a_smaller_rate(seed):
    rates = torch.logspace(-1, 1, 101, dtype=FLOAT)
    losses = train_many(
        one_rate,
        task(4, seed),
        150,
        lr=rates.repeat(2),
        scale=torch.tensor([0.1, 9.0], dtype=FLOAT).repeat_interleave(101),
    )
    small, large = (rates[lost][0] for lost in losses.isnan().any(0).view(2, 101))
    assert large < 0.65 * small


def test_large_first_weights_leave_features_that_do_not_fit():
    given = task(4, 2)
    losses = train_many(one_rate, given, 500, lr=0.5, scale=torch.tensor([1.0, 8.0], dtype=FLOAT))
    assert losses[50::50, 1].tolist() == pytest.approx([0.0627] * 10, abs=1e-4) and losses[150, 0] < 1e-10
    W, V = 8 * given.W, 8 * given.V
    for _ in range(150):
        slopes = 1 - (W @ given.x).tanh() ** 2
        assert (slopes < 0.03).sum() >= 14
        W, V = one_rate(W, V, given.x, given.y, lr=0.5)
    H = (W @ given.x).tanh()
    _, sizes, directions = torch.linalg.svd(H)
    assert sizes[3] < 1e-6 < 1 < sizes[2]
    assert ((directions[3] @ given.y) ** 2 / 8).item() == pytest.approx(
        0.063, abs=0.001
    )  # the part of y along the missing direction


def edges_of_the_map(scale):
    """By rate of the first layer: the first second rate that fails and the last that does not, in the figure's 150 steps."""
    first, rates = torch.tensor([0.05, 1500, 3000, 1e4], dtype=FLOAT), torch.logspace(-0.4, 1, 141, dtype=FLOAT)
    a, b = torch.meshgrid(first, rates, indexing="ij")
    lost = (
        train_many(two_rates, task(4, 4), 150, lr_1=a.flatten(), lr_2=b.flatten(), scale=scale)
        .isnan()
        .any(0)
        .view(a.shape)
    )
    return torch.stack([torch.stack([rates[row][0], rates[~row][-1]]) for row in lost])


def test_the_two_stretches_of_the_first_figure():
    whole, half = edges_of_the_map(1.0), edges_of_the_map(0.5)
    assert (whole[:, 0] / whole[:, 1] < 1.03).all()  # one edge each
    assert whole[0].mean().item() == pytest.approx(3.2, abs=0.05) and half[0].mean().item() == pytest.approx(
        8.3, abs=0.15
    )
    assert (whole[1:] == whole[1]).all() and whole[1].mean().item() == pytest.approx(0.5, abs=0.03)  # straight
    assert half[3].mean().item() == pytest.approx(0.667, abs=0.03)
    fig = Trainability()
    small = Task(fig.task.W / 2, fig.task.V / 2, fig.task.x, fig.task.y)
    edges = [[largest_rate((g.W @ g.x).tanh()).item(), largest_rate(saturated(g)).item()] for g in (fig.task, small)]
    assert [round(edge, 3) for pair in edges for edge in pair] == [2.15, 0.5, 4.964, 0.667]
    sizes = [(g.W @ g.x).tanh().norm().item() for g in (small, fig.task)]
    assert sizes[0] / sizes[1] == pytest.approx(0.6, abs=0.1)


def test_most_networks_of_the_first_figure_that_do_not_diverge_fit_their_examples():
    found = Trainability(x_range=(0.05, 1e4), y_range=(0.05, 10.0)).values(80, 60)
    assert (found.end[~found.lost] < 0.01).double().mean() > 0.7


def test_two_parameter_groups_are_two_rates():
    given = task(4, 4)
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 1, bias=False)).double()
    with torch.no_grad():
        net[0].weight.copy_(given.W)
        net[2].weight.copy_(given.V[None])
    optimizer = torch.optim.SGD(
        [{"params": net[0].parameters(), "lr": 0.05}, {"params": net[2].parameters(), "lr": 2.5}]
    )
    losses = []
    for _ in range(61):
        loss = (net(given.x.T)[:, 0] - given.y).square().mean() / 2
        losses.append(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(
        torch.stack(losses), train_many(two_rates, given, 60, lr_1=0.05, lr_2=2.5)[:, 0], rtol=1e-10, atol=0
    )
