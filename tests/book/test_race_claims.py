"""What the chapter on the race claims, measured."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.func import grad, vmap

from course_lib.experiments import Optimizer, digits, sweep, train_ensemble
from course_lib.formulas import (
    SURFACES,
    adadelta,
    adagrad,
    adam,
    adamax,
    amsgrad,
    beale,
    bfgs,
    clip_by_value,
    clipped,
    gradient_descent,
    himmelblau,
    lamb,
    lbfgs,
    lion,
    momentum,
    muon,
    nadam,
    nesterov,
    newton,
    quadratic,
    radam,
    ravine,
    rmsprop,
    rosenbrock,
    rprop,
    saddle,
)
from course_lib.formulas.matrices import orthogonal
from course_lib.formulas.signature import signature
from course_lib.widgets import Map, Race
from course_lib.widgets.figures.race import RATES, good_decades

LECTURE = [gradient_descent, momentum, rprop, adagrad, adam]
# As many of the chapter's 1000 steps as change nothing: twice the best rate's, all where none arrives.
BUDGETS = {
    quadratic: [150, 300, 80, 80, 300],
    rosenbrock: [1000, 820, 1000, 1000, 1000],
    beale: [1000, 640, 210, 880, 340],
}
GRID = torch.tensor(RATES, dtype=torch.float64)
GRID_FINE = torch.logspace(-3, -1, 101, dtype=torch.float64)


def until_it_stays(loss, goal=1e-6):
    """Steps until the loss, (steps + 1, …), stays at the goal; infinite if it does not."""
    late = ~(loss <= goal)
    steps = (late.movedim(0, -1) * torch.arange(1, len(late) + 1)).amax(dim=-1).double()
    return steps.where(~late[-1], math.inf)


def losses(rule, surface, budget=1000, start=None, machine=None, **hyper):
    """The loss above the minimum, (steps + 1, runs), from the surface's own start."""
    shape = {k: torch.tensor(hyper[k]) for k in signature(surface, ("w",)).hyper if k in hyper}
    machine = machine or (
        "torch" if signature(rule).takes_loss or budget < 200 else "numba"
    )  # code that is generated once and kept
    path = sweep(
        rule, surface, SURFACES[surface.__name__].start if start is None else start, budget, machine=machine, **hyper
    )
    return vmap(vmap(lambda w: surface(w, **shape)))(path) - (-0.25 if surface is saddle else 0.0)


def arrivals(rule, surface, budget=1000, goal=1e-6, **hyper):
    return until_it_stays(losses(rule, surface, budget, lr=GRID, **hyper), goal)


@pytest.fixture(scope="module")
def tuned():
    """Steps to the goal for each rate: by surface, then by rule."""
    return {
        surface: {rule: arrivals(rule, surface, budget) for rule, budget in zip(LECTURE, budgets, strict=True)}
        for surface, budgets in BUDGETS.items()
    }


def fewest(steps):
    return steps.min().item(), RATES[steps.argmin()]


# The figure's answers


def test_at_default_rates_on_the_quadratic():
    expected = {
        newton: 1,
        bfgs: 3,
        lbfgs: 7,
        rprop: 33,
        gradient_descent: 70,
        momentum: 149,
        rmsprop: math.inf,
        adadelta: math.inf,
        adam: math.inf,
        adagrad: math.inf,
    }
    for rule, steps in expected.items():
        assert until_it_stays(losses(rule, quadratic, 1000 if steps > 7 else 12)).item() == steps
    assert math.hypot(*SURFACES["quadratic"].start) == pytest.approx(2.5, abs=0.01)
    fig = Race([newton], [quadratic])
    assert fig.spec["surfaces"]["quadratic"]["start"] == [-2.2, 1.2] and fig.spec["rates"] == RATES and len(RATES) == 29
    assert (fig.steps, fig.goal, fig.mode, fig.surface) == (1000, 1e-6, "defaults", "quadratic")


def test_a_pass_is_no_arrival():
    loss = losses(rmsprop, quadratic, 300, lr=100.0)[:, 0]
    assert 1e-11 < loss.min() < 1e-9 and 10 < loss.argmin() < 20  # at a distance of 1e-5
    assert loss[loss.argmin() + 200] > 1000


def test_tuning_turns_the_ranking_around(tuned):
    default = {
        s: {r: steps[RATES.index(signature(r).hyper["lr"])].item() for r, steps in rules.items()}
        for s, rules in tuned.items()
    }
    assert default[quadratic] == {
        gradient_descent: 70,
        momentum: 149,
        rprop: 33,
        adagrad: math.inf,
        adam: math.inf,
    }  # of 1000 steps: above
    assert set(default[rosenbrock].values()) == {math.inf}
    assert [r for r, n in default[beale].items() if n < math.inf] == [rprop] and default[beale][rprop] == 205
    best = {s: {r: fewest(steps) for r, steps in rules.items()} for s, rules in tuned.items()}
    assert best[quadratic] == {
        gradient_descent: (38, 0.178),
        momentum: (148, 0.0562),
        rprop: (18, 0.316),
        adagrad: (4, 100.0),
        adam: (149, 0.562),
    }
    assert {r: n for r, (n, _) in best[rosenbrock].items() if n < math.inf} == {momentum: 405, adam: 599}
    assert {r: n for r, (n, _) in best[beale].items()} == {
        gradient_descent: 528,
        momentum: 318,
        rprop: 96,
        adagrad: 438,
        adam: 164,
    }
    assert [min(rules, key=rules.get) for rules in best.values()] == [
        adagrad,
        momentum,
        rprop,
    ]  # three surfaces, three winners
    path = sweep(adagrad, quadratic, SURFACES["quadratic"].start, 1, lr=100.0)[:, 0]
    assert path.diff(dim=0).abs() == pytest.approx(torch.full((1, 2), 100.0), rel=1e-6)


def test_the_good_bands(tuned):
    bands = {s: [good_decades(rules[r]) for r in LECTURE] for s, rules in tuned.items()}
    assert bands == {
        quadratic: [0.5, 2.25, 4.5, 1.75, 3.75],
        rosenbrock: [0, 0.5, 0, 0, 1],
        beale: [0.5, 0.5, 4.5, 0.5, 1.25],
    }
    for surface in (ravine, saddle, himmelblau):
        assert good_decades(arrivals(gradient_descent, surface)) == 0.5
        assert good_decades(arrivals(rprop, surface, 120)) >= 4.5


def test_the_goal_decides():
    steps = {rule: fewest(arrivals(rule, rosenbrock, goal=1e-3))[0] for rule in (momentum, adagrad, adam)}
    assert steps == {momentum: 174, adagrad: 11, adam: 341}


@pytest.mark.parametrize(
    ("surface", "steps"), [(quadratic, 3), (ravine, 7), (saddle, 7), (rosenbrock, 31), (beale, 15), (himmelblau, 7)]
)
def test_bfgs_arrives_everywhere_and_newton_does_not(surface, steps):
    assert until_it_stays(losses(bfgs, surface, steps + 3)).item() == steps
    newtons, path = (
        losses(newton, surface, 60)[:, 0],
        sweep(newton, surface, SURFACES[surface.__name__].start, 60)[-1, 0],
    )
    if surface in (quadratic, rosenbrock):
        assert until_it_stays(newtons).item() == {quadratic: 1, rosenbrock: 5}[surface]
    elif surface is ravine:
        assert not newtons[-1] < 1e6
    else:
        assert newtons[-1] > 0.2 and grad(surface)(path).norm() < 1e-9  # a stationary point, but no minimum


# Why the surface decides


@pytest.mark.parametrize(
    ("rule", "hyper", "feels_curvature", "feels_rotation"),
    [
        (gradient_descent, {"lr": 0.01}, True, False),
        (momentum, {"lr": 0.05}, True, False),
        (rprop, {}, False, True),
        (adagrad, {"lr": 1.0, "eps": 0.0}, False, True),
        (rmsprop, {"lr": 0.1, "eps": 0.0}, False, True),
        (adam, {"lr": 0.1, "eps": 0.0}, False, True),
        (newton, {"lr": 0.5}, False, False),
    ],
)
def test_what_a_rule_does_not_notice(rule, hyper, feels_curvature, feels_rotation):
    def scaled(w):
        return 7 * quadratic(w)

    angle = math.radians(30)
    R = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    start = torch.tensor([-2.2, 1.2], dtype=torch.float64)
    path = sweep(rule, quadratic, start, 30, **hyper)
    curved = sweep(rule, quadratic, start, 30, condition_number=100, **hyper)
    turned = sweep(rule, quadratic, R @ start, 30, angle=30, **hyper) @ R
    for other, feels in (
        (curved, feels_curvature),
        (sweep(rule, scaled, start, 30, **hyper), feels_curvature),
        (turned, feels_rotation),
    ):
        assert ((path - other).abs().max() > 0.1) == feels
        assert feels or (path - other).abs().max() < 1e-12


def test_so_you_can_choose_the_winner():
    expected = {momentum: [171, 184], rprop: [20, 425], adagrad: [5, 457], adam: [165, 183]}
    for rule, both in expected.items():
        for angle, steps in zip((0.0, 45.0), both, strict=True):
            assert arrivals(rule, quadratic, steps + 20, condition_number=100.0, angle=angle).min() == steps


# The whole plane


@pytest.fixture(scope="module")
def plane():
    """By rule: the rates, the angles, and how the runs of the page's map end."""
    found = {}
    for rule in (momentum, rprop):
        fig = Map(
            rule,
            quadratic,
            x="lr",
            y="angle",
            x_range=(1e-3, 100),
            condition_number=100,
            steps=600,
            goal=1e-6,
            lr=0.03,
            angle=0,
        )
        assert fig.y_range == [-90, 90] and fig.start == [-2.2, 1.2]
        found[rule] = *fig.places(60, 19), fig.values(60, 19)
    return found


def test_momentums_map_has_vertical_stripes(plane):
    rates, angles, found = plane[momentum]
    assert ((rates > 0.38) == found.lost).all()
    assert 2 * 1.9 / 0.1 / 100 == pytest.approx(0.38)
    good = found.steps < math.inf
    assert good[:, (0.013 < rates) & (rates < 0.38)].all()
    fewest = found.steps.amin(1)
    assert (fewest.min(), fewest.max()) == (130, 182) and angles[fewest.argmin()].item() == pytest.approx(
        -28.4, abs=0.1
    )


def test_rprops_map_has_horizontal_stripes(plane):
    _, angles, found = plane[rprop]
    assert not found.lost.any()
    share = (found.steps < math.inf).double().mean(1)
    assert (share[(-19.5 < angles) & (angles < 28.5)] == 1).all()
    assert (share[(-48 < angles) & (angles < -37)] == 0).all() and ((-48 < angles) & (angles < -37)).sum() == 2
    assert (share[angles.abs() > 65] == 1).all()
    assert found.steps.min() == 20 and abs(angles[found.steps.amin(1).argmin()]) < 1


def test_the_floor_through_the_start():
    start = torch.tensor([-2.2, 1.2], dtype=torch.float64)
    angle = -math.degrees(math.atan2(1.2, 2.2))
    assert angle == pytest.approx(-28.6, abs=0.05)
    path = sweep(momentum, quadratic, start, 300, lr=0.05, condition_number=100, angle=angle)[:, 0]
    across = path @ torch.tensor([-math.sin(math.radians(angle)), math.cos(math.radians(angle))], dtype=torch.float64)
    assert across.abs().max() < 1e-12
    lowest = [
        GRID_FINE[
            until_it_stays(losses(momentum, quadratic, 600, lr=GRID_FINE, condition_number=100.0, angle=x)).isfinite()
        ].min()
        for x in (0.0, angle + 90)
    ]
    assert lowest[0] > 10 * lowest[1]


# Costs, starts


@pytest.mark.parametrize(("surface", "steps", "points"), [(quadratic, 3, 7), (rosenbrock, 31, 51), (beale, 15, 31)])
def test_points_that_bfgs_looks_at(surface, steps, points):
    seen = set()

    def counted(w):
        seen.add(tuple(x.item() for x in w))
        return surface(w)

    w, B = torch.tensor(SURFACES[surface.__name__].start).double(), torch.eye(2).double()
    for t in range(1, steps + 1):
        w, B = bfgs(w, grad(counted)(w), t, counted, B)
    assert len(seen) == points and surface(w) <= 1e-6


def test_the_start_decides():
    generator, won = torch.Generator().manual_seed(0), {}
    for surface, size in ((beale, 4.5), (himmelblau, 6.0)):
        starts = (size * (2 * torch.rand(40, 2, generator=generator).double() - 1)).repeat_interleave(15, dim=0)
        first = torch.stack(
            [
                until_it_stays(losses(r, surface, 500, starts, lr=GRID[::2].repeat(40))).reshape(40, 15).amin(dim=1)
                for r in LECTURE
            ]
        )
        steps, winner = first.min(dim=0)
        won[surface] = [int(((winner == k) & (steps < math.inf)).sum()) for k in range(5)] + [
            int((steps == math.inf).sum())
        ]
    assert won == {beale: [0, 2, 29, 0, 2, 7], himmelblau: [21, 0, 3, 16, 0, 0]}


# The network


def model():
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


@pytest.fixture(scope="module")
def data():
    return digits(train=1000, val=400)


def test_the_race_on_the_digits(data):
    held_out = replace(data, x_val=data.x_test, y_val=data.y_test)
    grid = torch.tensor([10 ** (k / 2) for k in range(-6, 3)])
    setting = {"model": model, "steps": 200, "batch": 50}
    mean, spread, band = {}, {}, {}
    for rule in (gradient_descent, momentum, rprop, adagrad, rmsprop, adam):
        tuning = train_ensemble(
            rule, data=data, lr=grid.repeat(3), seed=torch.arange(3).repeat_interleave(9), **setting
        )
        loss = tuning.val[-1].reshape(3, -1).mean(dim=0).nan_to_num(math.inf)
        band[rule] = (loss <= 2 * loss.min()).sum().item() / 2
        rates = torch.tensor([signature(rule).hyper["lr"], grid[loss.argmin()].item()])
        curves = train_ensemble(
            rule, data=held_out, lr=rates.repeat_interleave(8), seed=torch.arange(10, 18).repeat(2), **setting
        )
        wrong = 100 * (1 - curves.accuracy[-1]).reshape(2, 8)
        mean[rule], spread[rule] = wrong.mean(dim=1).tolist(), wrong.std(dim=1).tolist()
    default, best = ({r: m[k] for r, m in mean.items()} for k in (0, 1))
    assert min(default, key=default.get) is rmsprop and max(default, key=default.get) is adam
    assert default[rmsprop] == pytest.approx(5.4, abs=0.3) and default[adam] == pytest.approx(12.9, abs=0.3)
    others = [r for r in best if r is not rprop]
    assert min(best, key=best.get) is momentum and best[momentum] == pytest.approx(4.6, abs=0.3)
    assert (
        max(best[r] for r in others) == best[rmsprop] == pytest.approx(6.1, abs=0.3)
        and best[rmsprop] > default[rmsprop]
    )
    assert all(0.3 < spread[r][1] < 1.7 for r in others)
    assert best[rprop] > best[rmsprop] + 3
    assert set(band.values()) <= {1.0, 1.5}
    assert signature(rmsprop).hyper["lr"] == 10 * signature(adam).hyper["lr"]


# Clipping


def test_the_clipped_valley():
    limits = torch.tensor([0.01, 0.1, 1.0, 3.0, 100.0, 200.0], dtype=torch.float64)
    plain = losses(gradient_descent, rosenbrock, 400, machine="torch", lr=0.01)[:, 0]
    assert [f"{x:.2g}" for x in plain[1:3].tolist()] == ["93", "4.7e+04"] and not plain[-1].isfinite()
    assert grad(rosenbrock)(torch.tensor([-1.2, 1.0])).norm() == pytest.approx(233, abs=1)
    ends = losses(clipped(gradient_descent), rosenbrock, 400, machine="torch", lr=0.01, limit=limits)[-1]
    assert ends.isfinite().all()
    assert ends[1:5].tolist() == pytest.approx([3.74, 0.150, 0.182, 12.8], rel=0.01)
    slow = [
        losses(r, rosenbrock, 400, machine="torch", lr=0.002, **h)[-1].item()
        for r, h in ((gradient_descent, {}), (clipped(gradient_descent), {"limit": 1.0}))
    ]
    assert slow == pytest.approx([0.665, 2.98], rel=0.01)


def test_clipping_saves_the_network(data):
    def trained(limit, seed, lr=2.0):
        torch.manual_seed(seed)
        net, shortened = model(), 0
        optimizer = torch.optim.SGD(net.parameters(), lr=lr)
        for _ in range(200):
            k = torch.randint(1000, (50,))
            loss = nn.functional.cross_entropy(net(data.x_train[k]), data.y_train[k])
            optimizer.zero_grad()
            loss.backward()
            shortened += int(nn.utils.clip_grad_norm_(net.parameters(), limit) > limit)
            optimizer.step()
        with torch.no_grad():
            return nn.functional.cross_entropy(net(data.x_val), data.y_val).item(), shortened

    plain, safe, tuned = (
        [trained(*setting, seed) if len(setting) < 2 else trained(setting[0], seed, setting[1]) for seed in range(5)]
        for setting in ((math.inf,), (1.0,), (math.inf, 1.0))
    )
    assert sorted(loss > 2.3 for loss, _ in plain) == [False, True, True, True, True] and min(plain)[0] > 1.8
    assert all(0.12 < loss < 0.25 for loss, _ in safe) and (min(n for _, n in safe), max(n for _, n in safe)) == (
        33,
        52,
    )
    assert all(0.12 < loss < 0.25 for loss, _ in tuned)


def test_by_value_turns_the_direction_and_by_norm_does_not():
    g = torch.tensor([30.0, 1.0])
    assert torch.cosine_similarity(clip_by_value(g, 1.0), g, dim=0) < 0.75
    w = torch.zeros(2)
    moved = w - clipped(gradient_descent)(w, g, 1, lr=1.0, limit=1.0)
    assert torch.cosine_similarity(moved, g, dim=0) == pytest.approx(1.0)


# Beyond the lecture


def test_no_variant_beats_its_ancestor_everywhere(tuned):
    def arrived(rule, surface, budget):
        own = {"decay": 0.0} if rule in (lion, lamb) else {}
        return fewest(arrivals(rule, surface, budget, **own))[0]

    assert [fewest(tuned[s][r])[0] for r in (momentum, adam) for s in BUDGETS] == [148, 405, 318, 149, 599, 164]
    on_the_quadratic = {r: arrived(r, quadratic, 300) for r in (nesterov, amsgrad, adamax, nadam, radam, lamb, lion)}
    assert on_the_quadratic == {nesterov: 70, amsgrad: 145, adamax: 133, nadam: 48, radam: 129, lamb: 111, lion: 300}
    assert all(arrived(r, rosenbrock, 600) == math.inf for r in on_the_quadratic)


def test_only_lamb_feels_where_the_origin_is():
    start, shift = torch.tensor([-2.2, 1.2], dtype=torch.float64), torch.tensor([3.0, 1.0], dtype=torch.float64)
    for rule in (momentum, rprop, adagrad, adam, lion, lamb):
        own = {"decay": 0.0} if rule in (lion, lamb) else {}
        here = sweep(rule, quadratic, start, 50, lr=0.05, **own)
        there = sweep(rule, lambda w: quadratic(w - shift), start + shift, 50, lr=0.05, **own) - shift
        assert ((here - there).abs().max() > 1) == (rule is lamb)


# Muon


def test_muon_notices_no_rotation():
    M = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    Q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
    torch.testing.assert_close(orthogonal(Q @ M), Q @ orthogonal(M), rtol=1e-9, atol=1e-12)


def test_muon_on_the_digits(data):
    def trained(with_muon, seed):
        torch.manual_seed(seed)
        net = model()
        matrices, others = [p for p in net.parameters() if p.dim() == 2], [p for p in net.parameters() if p.dim() < 2]
        optimizers = (
            [Optimizer(matrices, muon, lr=0.03, decay=0.0), Optimizer(others, adam, lr=0.03)]
            if with_muon
            else [Optimizer(matrices + others, adam, lr=0.03)]
        )
        for _ in range(200):
            k = torch.randint(1000, (50,))
            net.zero_grad()
            nn.functional.cross_entropy(net(data.x_train[k]), data.y_train[k]).backward()
            for optimizer in optimizers:
                optimizer.step()
        with torch.no_grad():
            return nn.functional.cross_entropy(net(data.x_val), data.y_val).item()

    assert sum(trained(True, seed) < trained(False, seed) for seed in range(4)) == 3
