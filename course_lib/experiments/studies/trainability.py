"""What the chapter on trainability measures: where the straight edges lie, how ragged the coast is, and how far to stay away."""

import torch

from course_lib.experiments.records import experiment
from course_lib.experiments.trainability import Task, task, train_many
from course_lib.formulas.trainability import largest_rate, one_rate, two_rates

# Ranges of the two rates on the map of the first figure, whose task has the seed 4
COAST, FROZEN, INLAND = ((5.0, 100.0), (0.3, 2.0)), ((1e-9, 1e-8), (0.5, 8.0)), ((0.1, 1.0), (0.1, 0.5))
PRECISIONS = tuple(10.0**-k for k in range(1, 7))


def frozen_features(given: Task) -> torch.Tensor:
    """The features before training, (units, examples)."""
    return (given.W @ given.x).tanh()


def saturated_features(given: Task) -> torch.Tensor:
    """The features after a huge first step, all of them 1 or -1."""
    W, _ = two_rates(given.W, given.V, given.x, given.y, lr_1=1e6)
    return (W @ given.x).sign()


def fails(losses: torch.Tensor) -> torch.Tensor:
    """Which runs diverge or end above the loss that they begin with."""
    return losses.isnan().any(0) | (losses[-1] > losses[0])


@experiment(seeds=5)
def trainability_edges(seed, *, widths=(4, 8), steps=200, rates=300, slowest=0.01, fastest=10**1.5):
    """The largest rate of the last layer by the `formula`, and the first one that fails, `measured`.

    Both have a row for each width, and in it the features frozen and the features saturated.
    """
    tried = torch.logspace(*torch.tensor([slowest, fastest]).double().log10().tolist(), rates, dtype=torch.float64)
    lr_1 = torch.tensor([0.0, 1e6], dtype=torch.float64).repeat_interleave(rates)
    formula, measured = [], []
    for width in widths:
        given = task(width, seed)
        lost = fails(train_many(two_rates, given, steps, lr_1=lr_1, lr_2=tried.repeat(2))).view(2, rates)
        formula.append([largest_rate(frozen_features(given)), largest_rate(saturated_features(given))])
        measured.append(tried[lost.int().argmax(1)].tolist())
    return {"formula": formula, "measured": measured}


@experiment(seeds=5)
def trainability_catapult(seed, *, widths=(4, 8), rates=(0.0, 0.001), above=1.15, steps=600):
    """Whether a run fails at `above` times the frozen edge, for each width and each rate of the first layer: 1 or 0."""
    rows = []
    for width in widths:
        given = task(width, seed)
        edge = largest_rate(frozen_features(given))
        losses = train_many(two_rates, given, steps, lr_1=torch.tensor(rates).double(), lr_2=above * edge)
        rows.append(fails(losses).double().tolist())
    return {"fails": rows}


def places(box, runs: int, seed: int) -> list[torch.Tensor]:
    """Random rates of both layers from a part of the map, evenly on its logarithmic axes."""
    u = torch.rand(2, runs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return [low * (high / low) ** z for (low, high), z in zip(box, u, strict=True)]


def changed_runs(box, seed: int, precisions, runs: int, steps: int) -> torch.Tensor:
    """Losses, (steps + 1, 1 + precisions, runs): at random places, and with the second rate larger by each precision."""
    a, b = places(box, runs, seed)
    moved = torch.cat([b, *(b * (1 + e) for e in precisions)])
    losses = train_many(two_rates, task(4, 4), steps, lr_1=a.repeat(1 + len(precisions)), lr_2=moved)
    return losses.view(steps + 1, -1, runs)


@experiment(seeds=5, share={"precisions": (0.1,)})
def trainability_surprises(seed, *, precisions=PRECISIONS, runs=2000, steps=150):
    """The share of runs that change their fate when the second rate changes by each precision: on the coast, at the frozen edge.

    Random places on the map of the first figure, drawn by the seed.
    """
    shares = {}
    for name, box in (("coast", COAST), ("frozen", FROZEN)):
        base, *others = changed_runs(box, seed, precisions, runs, steps).isnan().any(0)
        shares[name] = [(other != base).double().mean() for other in others]
    return shares


@experiment(seeds=5)
def trainability_delay(seed, *, precision=1e-6, runs=2000, steps=150):
    """When fates on the coast are decided. The median step at which a run diverges, of all that do (`all`), and of those whose
    fate hangs on the precision of the second rate (`surprised`); and how far the losses of such a pair are apart (`apart`), as a
    part of their sum, at each of the first steps: the median over the pairs.
    """
    losses = changed_runs(COAST, seed, (precision,), runs, steps)
    lost, when = losses.isnan().any(0), losses.isnan().int().argmax(0).double()
    surprised = lost[0] != lost[1]
    apart = ((losses[:, 0] - losses[:, 1]).abs() / (losses[:, 0] + losses[:, 1]))[:21, surprised].nan_to_num(1.0)
    decided = torch.where(lost[0], when[0], when[1])[surprised]
    return {"all": when[lost].median(), "surprised": decided.median(), "apart": apart.median(1).values}


@experiment(seeds=5)
def trainability_rounding(seed, *, runs=2000, steps=150):
    """The share of runs that change their fate in float32: on the coast and inland, at random places drawn by the seed."""
    shares = {}
    for name, box in (("coast", COAST), ("inland", INLAND)):
        a, b = places(box, runs, seed)
        double, single = (
            train_many(two_rates, task(4, 4), steps, lr_1=a, lr_2=b, dtype=kind).isnan().any(0)
            for kind in (torch.float64, torch.float32)
        )
        shares[name] = (double != single).double().mean()
    return shares


@experiment(seeds=6, share={"first": (0.05,)})
def trainability_advice(seed, *, first=(0.05, 1, 5, 15, 30, 100, 1000), changes=(1.0, 1 + 1e-6, 0.9, 1.1), steps=150):
    """For each rate of the first layer: the runs just below the first second rate that fails, and at half of that one.

    `lost` is how many of the runs at half that rate diverge or end above their start, with all changes of the rate, in double
    and in single precision. `mean` is the mean loss of a run, and `moved` how far the loss moves at most when the rate changes in
    the sixth digit, both in parts of the first loss: below the edge, and at half the failing rate.
    """
    tried, given = torch.logspace(-0.4, 1, 71, dtype=torch.float64), task(4, seed)
    a, b = torch.meshgrid(torch.tensor(first, dtype=torch.float64), tried, indexing="ij")
    failing = train_many(two_rates, given, steps, lr_1=a.flatten(), lr_2=b.flatten()).isnan().any(0).view(a.shape)
    k = failing.int().argmax(1)
    rates = torch.stack([tried[k - 1], tried[k] / 2])[:, :, None] * torch.tensor(changes, dtype=torch.float64)
    settings = {"lr_1": a[:, :1].expand(rates.shape).flatten(), "lr_2": rates.flatten()}
    double, single = (
        train_many(two_rates, given, steps, dtype=kind, **settings)
        .double()
        .view(-1, *rates.shape)  # (steps + 1, 2, first, changes)
        for kind in (torch.float64, torch.float32)
    )
    parts = double / double[:1]
    moved = (parts[..., 1] - parts[..., 0]).abs().nan_to_num(torch.inf).amax(0)
    lost = sum(fails(losses[:, 1]).sum(-1) for losses in (double, single))
    mean = parts[..., 0].mean(0)
    return {"lost": lost, "mean": mean.T, "moved": moved.T}


@experiment(seeds=6)
def trainability_scale(seed, *, scales=(0.1, 9.0), steps=150):
    """With one rate for both layers: the first rate at which a run diverges, for each scale of the first weights."""
    rates = torch.logspace(-1, 1, 101, dtype=torch.float64)
    scale = torch.tensor(scales, dtype=torch.float64).repeat_interleave(len(rates))
    lost = train_many(one_rate, task(4, seed), steps, lr=rates.repeat(len(scales)), scale=scale).isnan().any(0)
    return {"rate": rates[lost.view(len(scales), -1).int().argmax(1)]}
