"""What the chapter on trainability says, over several seeds."""

import pytest
import torch

from course_lib.experiments.trainability import Task, task, train_many
from course_lib.formulas.trainability import one_rate, two_rates
from course_lib.widgets import Trainability

SEEDS = range(5)


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
    given = task(width, seed)
    for lr_1, features in ((0.0, (given.W @ given.x).tanh()), (1e6, saturated(given))):
        edge = largest_rate(features)
        assert fails(train_many(two_rates, given, 200, lr_1=lr_1, lr_2=edge * torch.tensor([0.97, 1.03]).double())).tolist() == [False, True]


@pytest.mark.parametrize("width", [2, 4, 8, 16])
def test_the_edge_of_saturated_features_lies_between_2_over_n_and_2(width):
    for seed in range(20):
        assert 2 / width - 1e-9 <= largest_rate(saturated(task(width, seed))) <= 2 + 1e-9


def test_two_of_the_printed_seeds_have_the_lowest_edge():
    assert [round(largest_rate(saturated(task(4, seed))).item(), 3) for seed in SEEDS] == [0.667, 0.667, 0.5, 0.602, 0.5]
    assert largest_rate((task(4, 4).W @ task(4, 4).x).tanh()).item() == pytest.approx(2.15, abs=0.005)


def test_a_run_above_the_frozen_edge_is_thrown_to_where_it_trains():
    runs = train_many(two_rates, task(4, 4), 400, lr_1=torch.tensor([0.0, 0.001, 0.05]).double(), lr_2=2.5)
    assert runs[:, 0].isnan().any()
    assert runs[:, 1].max() == pytest.approx(75, abs=1) and runs[-1, 1] < 2e-4
    assert runs[0, 1] == pytest.approx(1.5, abs=0.05)
    assert runs[:, 2].max() == pytest.approx(3.4, abs=0.05) and runs[-1, 2] < 1e-12
    assert train_many(two_rates, task(4, 4), 150, lr_1=0.05, lr_2=3.0).max() == pytest.approx(10.7, abs=0.05)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("width", [4, 8])
def test_the_catapult_is_not_a_matter_of_one_seed(width, seed):
    """A little above the frozen edge a slow first layer saves the run."""
    given = task(width, seed)
    edge = largest_rate((given.W @ given.x).tanh())
    runs = train_many(two_rates, given, 600, lr_1=torch.tensor([0.0, 0.001]).double(), lr_2=1.15 * edge)
    assert fails(runs).tolist() == [True, False]


COAST, FROZEN, INLAND = ((5.0, 100.0), (0.3, 2.0)), ((1e-9, 1e-8), (0.5, 8.0)), ((0.1, 1.0), (0.1, 0.5))
EPS = torch.tensor([1e-1, 1e-2, 1e-3, 1e-6]).double()


def places(box, runs, seed):
    u = torch.rand(2, runs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return [low * (high / low) ** z for (low, high), z in zip(box, u, strict=True)]


def surprises(box, given, runs=800, seed=0):
    """The share of runs whose fate changes with a relative change of the second rate, for each of EPS."""
    a, b = places(box, runs, seed)
    losses = train_many(two_rates, given, 150, lr_1=a.repeat(1 + len(EPS)), lr_2=torch.cat([b, *(b * (1 + e) for e in EPS)]))
    base, *others = losses.isnan().any(0).chunk(1 + len(EPS))
    return [(other != base).double().mean().item() for other in others]


@pytest.mark.parametrize(("width", "seed"), [(4, 4), (4, 2), (8, 4)])
def test_the_coast_keeps_surprises_that_a_line_does_not(width, seed):
    coast, frozen = (surprises(box, task(width, seed)) for box in (COAST, FROZEN))
    assert frozen[1] < frozen[0] / 4 and frozen[2] < 0.003 and frozen[3] == 0
    assert coast[3] > 0 and coast[2] > coast[0] / 6


def test_the_page_prints_a_coast_that_keeps_a_tenth_of_its_surprises():
    coast = surprises(COAST, task(4, 4))
    assert coast[3] > coast[0] / 10


def test_rounding_decides_runs_on_the_coast_and_none_inland():
    given = task(4, 4)
    changed = []
    for box in (COAST, INLAND):
        a, b = places(box, 3000, 1)
        fates = [train_many(two_rates, given, 150, lr_1=a, lr_2=b, dtype=kind).isnan().any(0) for kind in (torch.float64, torch.float32)]
        changed.append((fates[0] != fates[1]).double().mean())
    assert changed[0] > 0.001 and changed[1] == 0


def test_one_rate_and_the_scale_of_the_first_weights():
    fig = Trainability(one_rate, x="lr", y="scale", x_range=(0.05, 20.0), lr=0.5, seed=2)
    found, (x, y) = fig.values(160, 30), fig.places(160, 30)
    largest = torch.tensor([x[~row].max() for row in found.lost])
    assert largest[y < 0.5].min() > 1.7 and largest[y > 8].max() < 0.95
    rows = found.lost[(0.2 < y) & (y < 0.5)]
    assert x[rows.any(0)].min() < 1.15 and x[(~rows).any(0)].max() > 1.85
    stuck = train_many(one_rate, fig.task, 150, lr=0.5, scale=8.0)[-1]
    assert stuck.item() == pytest.approx(0.063, abs=0.001)


def test_the_map_of_the_first_figure():
    fig = Trainability(x_range=(0.05, 1e4), y_range=(0.05, 10.0))
    found, (x, y) = fig.values(40, 60), fig.places(40, 60)
    left, right = (y[~found.lost[:, k]].max().item() for k in (0, -1))
    assert left == pytest.approx(3, rel=0.15) and right == pytest.approx(0.5, rel=0.1)
    half = Task(fig.task.W / 2, fig.task.V / 2, fig.task.x, fig.task.y)
    edges = [[largest_rate((g.W @ g.x).tanh()).item(), largest_rate(saturated(g)).item()] for g in (fig.task, half)]
    assert [round(edge, 3) for pair in edges for edge in pair] == [2.15, 0.5, 4.964, 0.667]
