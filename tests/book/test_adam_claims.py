"""What the chapter on Adam says in prose, as assertions: the numbers in its answers, over several seeds where chance has a part."""

import math

import pytest
import torch
from torch import nn
from torch.func import vmap

from course_lib.exercises.adam import check
from course_lib.experiments import sweep
from course_lib.formulas import adam, amsgrad, beale, momentum, quadratic, ravine, rosenbrock
from course_lib.formulas.surfaces import Surface
from course_lib.widgets import Map

START = (-2.2, 1.2)
FLOAT = torch.float64


def measured(w, *, unit=1.0, condition_number=10.0, angle=0.0):
    return unit * quadratic(w, condition_number=condition_number, angle=angle)


def uncorrected(w, g, t, m=0.0, v=0.0, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (v.sqrt() + eps), m, v


def factor(t, beta1=0.9, beta2=0.999):
    """How many times as long a step without corrections is."""
    return (1 - beta1**t) / math.sqrt(1 - beta2**t)


def worst(beta1, beta2):
    """The chapter's bound c: the longest step there can be, in units of the rate."""
    return (1 - beta1) / math.sqrt(1 - beta2) / math.sqrt(1 - beta1**2 / beta2)


# The same path in any unit


@pytest.mark.parametrize("start", [(-2.2, 1.2), (0.3, -1.0), (1.5, 0.01), (-0.5, -0.5)])
def test_the_first_step_goes_along_a_diagonal_and_is_as_long_as_the_rate(start):
    first = sweep(adam, measured, start, 1, lr=0.1)[1, 0] - torch.tensor(start, dtype=FLOAT)
    torch.testing.assert_close(first, -0.1 * torch.tensor(start, dtype=FLOAT).sign(), atol=1e-6, rtol=0)


def test_adam_does_not_see_the_unit_of_the_loss_and_momentum_does():
    unit = torch.tensor([1.0, 100.0, 0.01], dtype=FLOAT)
    paths = sweep(adam, measured, START, 60, lr=0.1, unit=unit)
    assert (paths - paths[:, :1]).abs().max() < 1e-6
    plain = sweep(momentum, measured, START, 60, lr=0.1, unit=unit)
    assert plain[-1, 1].abs().max() > 1e10
    assert (plain[-1, 2, 0] - START[0]).abs() < 0.12


def test_adam_does_not_see_the_condition_number_until_the_valley_is_turned():
    ends = sweep(adam, measured, START, 60, lr=0.1, condition_number=torch.tensor([1.0, 10.0, 1000.0], dtype=FLOAT))[-1]
    assert (ends - ends[0]).abs().max() < 1e-8
    turned = sweep(
        adam, measured, START, 60, lr=0.1, condition_number=1000, angle=torch.tensor([0.0, 45.0], dtype=FLOAT)
    )[-1]
    losses = [quadratic(w, condition_number=1000.0, angle=a).item() for w, a in zip(turned, (0.0, 45.0), strict=True)]
    assert losses == pytest.approx([0.35, 5.0], rel=0.02)


def test_momentum_diverges_from_condition_number_380_on():
    ends = sweep(momentum, measured, START, 800, lr=0.1, condition_number=torch.tensor([375.0, 385.0], dtype=FLOAT))[
        -1
    ].abs()
    assert ends[0, 1] < 0.1 and ends[1, 1] > 10


def test_what_the_watched_run_shows():
    path = sweep(adam, quadratic, START, 80, lr=0.1)[:, 0]
    steps = path.diff(dim=0) / 0.1
    torch.testing.assert_close(steps[0], torch.tensor([1.0, -1.0], dtype=FLOAT), atol=1e-6, rtol=0)
    assert (steps.abs().argmax(0) == 0).all()
    assert path[:, 1].lt(0).nonzero()[0].item() == 14
    assert steps[:, 1].gt(0).nonzero()[0].item() + 1 == 24
    plain = sweep(adam, quadratic, START, 80, lr=0.1, beta1=0.0)[:, 0]
    assert (plain[:, 1] > 0).all() and (plain[:, 0] < 0).all()  # nothing swings


# How long a step is


def lengths(histories, **betas):
    """The steps of Adam in units of its rate, (steps, histories), for gradients of that shape."""
    m = v = torch.zeros(histories.shape[1], dtype=FLOAT)
    steps = []
    for t, g in enumerate(histories, 1):
        step, m, v = adam(torch.zeros_like(m), g, t, m, v, lr=1.0, **betas)
        steps.append(step.abs())
    return torch.stack(steps)


def test_the_longest_steps_of_the_table():
    late = torch.arange(10_100, dtype=FLOAT) - 10_000
    histories = [
        5 + 0 * late,
        (-1.0) ** (late % 2),
        (late == 0).to(FLOAT),
        (late >= 0).to(FLOAT),
        (late >= 0) * 1.11**late,
    ]
    longest = lengths(torch.stack(histories, 1))[10_000:].amax(0)
    assert longest.tolist() == pytest.approx([1.0, 0.05, 3.16, 6.57, 7.27], abs=0.005)


@pytest.mark.parametrize("seed", range(3))
def test_steps_on_noise_are_a_quarter_of_the_rate_and_no_step_passes_the_bound(seed):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(700, 400, generator=generator, dtype=FLOAT)
    assert (
        lengths(noise)[400:].square().mean().sqrt().item()
        == pytest.approx(math.sqrt(0.1 / 1.9), rel=0.05)
        == pytest.approx(0.23, abs=0.01)
    )
    bursts = noise * torch.exp(torch.randn(700, 400, generator=generator, dtype=FLOAT).cumsum(0) / 3)
    assert 1 < lengths(bursts).max() < worst(0.9, 0.999)


def test_the_bound_and_its_values():
    assert [worst(0.9, b) for b in (0.999, 0.99, 0.95)] == pytest.approx([7.27, 2.35, 1.16], abs=0.005)
    corrected = [
        math.sqrt((1 - 0.999**t) / 0.001 * sum((0.81 / 0.999) ** k for k in range(t))) * 0.1 / (1 - 0.9**t)
        for t in range(1, 400)
    ]
    assert max(corrected) <= worst(0.9, 0.999) * (1 + 1e-9)  # the corrections do not lift it


# The correction


def test_the_table_of_factors():
    times = (1, 12, 100, 1000, 4000)
    assert [factor(t) for t in times] == pytest.approx([3.16, 6.57, 3.24, 1.26, 1.01], abs=0.005)
    assert [factor(t) / factor(1) for t in times] == pytest.approx([1.0, 2.08, 1.02, 0.40, 0.32], abs=0.005)
    assert max(range(1, 5000), key=factor) == 12
    assert next(t for t in range(13, 5000) if factor(t) < 1.1) == 1751
    assert factor(12, beta2=0.99) == pytest.approx(2.13, abs=0.005) and factor(1, beta2=0.99) == pytest.approx(1)


def test_without_corrections_it_is_adam_with_another_schedule():
    m = v = a = b = torch.zeros(3, dtype=FLOAT)
    state = m, v
    for t in range(1, 60):
        g = torch.randn(3, generator=torch.Generator().manual_seed(t), dtype=FLOAT)
        a, m, v = uncorrected(a, g, t, m, v, lr=0.01, eps=0.0)
        b, *state = adam(b, g, t, *state, lr=0.01 * factor(t), eps=0.0)
        torch.testing.assert_close(a, b, atol=1e-13, rtol=1e-12)


def test_the_two_paths_of_the_figure():
    paths = {rule: sweep(rule, quadratic, START, 60, lr=0.05)[:, 0] for rule in (adam, uncorrected)}
    assert [quadratic(paths[rule][t]).item() for rule in paths for t in (20, 60)] == pytest.approx(
        [1.16, 0.0066, 0.54, 0.010], rel=0.05
    )
    assert paths[uncorrected].amin(0)[1] == pytest.approx(-0.62, abs=0.01) and paths[uncorrected].amax(0)[
        0
    ] == pytest.approx(0.84, abs=0.01)
    assert paths[adam].amin(0)[1] == pytest.approx(-0.12, abs=0.01) and paths[adam][:, 0].max() < 0.04


INPUTS = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)).double() * 4 - 2


def hidden(w):
    return torch.tanh(INPUTS @ w[:32].view(2, 16) + w[32:48])


def network(w):
    return (hidden(w) @ w[48:64] + w[64] - INPUTS.prod(dim=1)).square().mean()


def test_the_correction_makes_the_rate_independent_of_beta2():
    starts = torch.cat(
        [0.3 * torch.randn(5, 65, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    ).double()
    rates = torch.tensor([0.001, 0.003, 0.01, 0.03, 0.1, 0.3])
    hyper = {"lr": rates.repeat_interleave(15).repeat(2), "beta2": torch.tensor([0.999, 0.9999]).repeat_interleave(90)}
    ends = {rule: sweep(rule, network, starts.repeat(12, 1), 200, **hyper)[-1] for rule in (adam, uncorrected)}
    loss = {
        rule: vmap(network)(end).view(2, 6, 3, 5).median(3).values for rule, end in ends.items()
    }  # (beta2, rate, seed)
    assert (loss[adam][0, :4] / loss[adam][1, :4] - 1).abs().max() < 0.1
    assert loss[uncorrected].argmin(1).tolist() == [[3] * 3, [2] * 3]
    assert (loss[uncorrected][0, 5] > 20 * loss[adam][0, 5]).all()
    ratio = loss[uncorrected].amin((0, 1)) / loss[adam].amin((0, 1))
    assert (1 / 3 < ratio).all() and (ratio < 3).all()
    saturated = {
        rule: (vmap(hidden)(end.view(2, 6, 15, 65)[0, 5]).abs() > 0.99).double().mean() for rule, end in ends.items()
    }
    assert saturated[uncorrected] > 0.5 > saturated[adam]


# Adam or momentum?

RATES = torch.logspace(-3, 1, 41, dtype=FLOAT)
SETTINGS = torch.cartesian_prod(RATES, torch.tensor([0.5, 0.7, 0.8, 0.9], dtype=FLOAT))
COSTLY = SETTINGS[(SETTINGS[:, 0] > 0.02) & (SETTINGS[:, 1] > 0.75)]  # the network's good settings are all among these
ARENA = {
    "10": (quadratic, {"condition_number": 10}),
    "1000": (quadratic, {"condition_number": 1000}),
    "100 turned": (quadratic, {"condition_number": 100, "angle": 45}),
    "1000 turned": (quadratic, {"condition_number": 1000, "angle": 45}),
    "ravine": (ravine, {}),
    "beale": (beale, {}),
    "rosenbrock": (rosenbrock, {}),
    "network": (network, {}),
}


def tune(rule, memory, surface, starts, settings=SETTINGS, **shape):
    """For each of the seeds: the best ratio of losses, its rate, the span of good rates."""
    lr, beta = settings.repeat_interleave(len(starts), dim=0).T
    path = sweep(rule, surface, starts.repeat(len(settings), 1), 100, lr=lr, **{memory: beta}, **shape)
    loss = vmap(vmap(lambda w: surface(w, **shape)))(path[[0, *range(-11, 0)]])
    ratio = (loss[1:].amax(0) / loss[0]).nan_to_num(math.inf).view(len(settings), -1, 3).median(2).values
    memories = len(settings[:, 1].unique())
    spans = 10 ** ((ratio.view(-1, memories, ratio.shape[1]) < 1e-2).sum(0).amax(0) / 10)
    return ratio.amin(0), settings[ratio.argmin(0), 0], spans


def near(surface, seed):
    generator = torch.Generator().manual_seed(seed)
    if surface is network:
        return 0.3 * torch.randn(3, 65, generator=generator).double()
    return 0.2 * torch.randn(3, 2, generator=generator).double() + torch.tensor(Surface.of(surface).start)


@pytest.fixture(scope="module")
def contest():
    """On each surface, for momentum and for Adam: three tensors, (seeds,) each."""
    found = {}
    for name, (surface, shape) in ARENA.items():
        starts = torch.cat([near(surface, seed) for seed in range(3)])
        settings = COSTLY if surface is network else SETTINGS
        found[name] = [
            tune(rule, memory, surface, starts, settings, **shape)
            for rule, memory in ((momentum, "momentum"), (adam, "beta1"))
        ]
    return found


def test_the_number_of_settings_and_runs():
    assert len(SETTINGS) == 164 and 164 * len(ARENA) * 2 == 2624 and 2624 * 3 == 7872


def test_adam_wins_along_the_axes(contest):
    assert all((contest[name][1][0] < 1e-27).all() for name in ("10", "1000"))
    assert (contest["10"][0][0] < 1e-27).all() and (contest["1000"][0][0] > 1e-4).all()


def test_momentum_wins_in_turned_valleys(contest):
    ratio = {name: contest[name][1][0] / contest[name][0][0] for name in ("100 turned", "1000 turned")}
    assert (ratio["100 turned"] > 7).all()
    assert ratio["1000 turned"].tolist() == pytest.approx([5, 5, 5], rel=0.1)
    assert (contest["1000 turned"][1][0] > 1e20 * contest["1000"][1][0]).all()
    assert (contest["1000 turned"][0][1] / contest["1000"][0][1] > 0.75).all()


def test_adam_wins_where_slopes_differ(contest):
    assert (contest["beale"][1][0] < contest["beale"][0][0] / 10).all()
    assert (contest["ravine"][1][0] < contest["ravine"][0][0]).all()


@pytest.mark.parametrize("name", ["rosenbrock", "network"])
def test_where_the_winner_depends_on_the_seed(contest, name):
    adams = contest[name][1][0] < contest[name][0][0]
    assert adams.any() and not adams.all()


def test_adam_forgives_a_wrong_rate_more_often(contest):
    spans = {name: (found[1][2] / found[0][2]) for name, found in contest.items()}
    assert all((span > 1.2).all() for name, span in spans.items() if name != "rosenbrock")
    assert spans["1000"].min() > 15 and spans["1000"][0] == pytest.approx(16, abs=1)
    best = [found[1][1][0].item() for found in contest.values()]
    assert min(best) == pytest.approx(0.126, abs=0.01) and max(best) == pytest.approx(3.98, abs=0.05)


# What a wrong rate looks like


def map_of(rule, memory, low, high, **hyper):
    """The rates and memories of a map of 600 steps on Rosenbrock's valley, and how its runs end."""
    fig = Map(rule, rosenbrock, x="lr", y=memory, steps=600, x_range=(low, high), y_range=(0, 0.99), **hyper)
    return *fig.places(80, 20), fig.values(80, 20)


def test_no_run_diverges_and_wrong_rates_end_close():
    rates, _, found = map_of(adam, "beta1", 0.01, 4)
    assert not found.lost.any()
    assert 0.7 < (found.steps == math.inf).double().mean() < 0.85
    assert map_of(momentum, "momentum", 0.001, 0.3)[2].lost.double().mean().item() == pytest.approx(0.40, abs=0.01)


def test_the_range_of_good_rates():
    rates, memories, found = map_of(adam, "beta1", 0.01, 4)
    good = found.steps < math.inf
    near = (memories - 0.9).abs().argsort()[:2]
    low, high = (torch.where(good, rates, x) for x in (math.inf, 0.0))
    for row in near:
        assert low[row].min().item() == pytest.approx(0.14, rel=0.1) and high[row].max() > 2
        assert good[row, (0.16 < rates) & (rates < 0.8)].all()
        assert 10 ** (good[row].sum() * math.log10(400) / 80).item() == pytest.approx(14, rel=0.05)
    assert good.sum(1).max() == good[near].sum(1).max() and (good[memories < 0.75].sum(1) <= 1).all()
    _, m, found = map_of(momentum, "momentum", 0.001, 0.3)
    spans = 10 ** ((found.steps < math.inf)[(m - 0.9).abs().argsort()[:2]].sum(1) * math.log10(300) / 80)
    assert 2.8 < spans.min() and spans.max() < 3.7  # at 0.888 and at 0.911


def test_the_memory_of_the_wall_holds_it_back():
    def rise(x):  # of the length along y = x²
        return x / 2 * math.hypot(1, 2 * x) + math.asinh(2 * x) / 4

    assert rise(1.0) + rise(1.2) == pytest.approx(3.4, abs=0.05)
    assert torch.func.grad(rosenbrock)(torch.tensor([-1.2, 1.0])).norm() == pytest.approx(233, abs=1)
    for beta2, border in ((0.99, 0.04), (0.95, 0.0)):
        rates, memories, found = map_of(adam, "beta1", 0.01, 4, beta2=beta2)
        good = (found.steps < math.inf)[(memories - 0.9).abs().argsort()[:2]]
        assert all(abs(rates[row].min() - border) < 0.0045 or border == 0 and rates[row].min() < 0.011 for row in good)
        spans = 10 ** (good.sum(1) * math.log10(400) / 80)
        assert 3.2 < spans.min() and spans.max() < 6.3


# What goes wrong


def test_a_large_epsilon_makes_adam_momentum():
    ends = {
        unit: vmap(quadratic)(sweep(adam, measured, START, 60, lr=0.1, unit=unit, eps=torch.tensor([1e-8, 1e-3]))[-1])
        for unit in (1.0, 1e-4, 1e-8)
    }
    assert torch.cat([*ends.values()]).tolist() == pytest.approx(
        [0.0035, 0.0034, 0.0035, 0.8391, 0.0024, 9.6111], abs=6e-5
    )
    slow = sweep(adam, measured, START, 60, lr=0.1, unit=1e-10, eps=1e-3)
    uncorrected_for_one_step = sweep(momentum, measured, START, 60, lr=0.1 / 1e-3, unit=1e-10)
    assert (slow - slow[0]).abs().max() < 1e-4 and (uncorrected_for_one_step - slow).abs().max() < 1e-5


def test_adam_at_rest_does_not_rest_unless_epsilon_is_large():
    settings = {"beta2": torch.tensor([0.99, 0.99, 0.9, 0.9]), "eps": torch.tensor([1e-8, 0.03, 0.02, 0.03])}
    losses = vmap(vmap(quadratic))(sweep(adam, quadratic, START, 1300, lr=0.1, **settings))
    loss = losses[:1001, 0]
    assert loss[400:950].max() < 1e-16  # below the plot
    assert loss.argmin() == 931 and loss.min() < 1e-40
    assert loss[932:].argmax() + 932 == 996 and loss[996].item() == pytest.approx(0.005, abs=5e-4)
    assert 2 * 1.9 / 0.1 == pytest.approx(38) and 0.1 * 10 / 38 == pytest.approx(0.026, abs=5e-4)
    below, above = losses[1100:, 2], losses[1100:, [1, 3]]
    assert below.max() > 1e-7 and above.max() < 1e-40


def memories(steps):
    """Both memories, (rows, columns), and the loss at the end: the map of the page."""
    fig = Map(
        adam, quadratic, x="beta2", y="beta1", steps=steps, lr=0.1, x_range=(0, 0.9999), y_range=(0, 0.99), view="loss"
    )
    beta2, beta1 = torch.meshgrid(*fig.places(100, 20), indexing="xy")
    ends = sweep(
        adam,
        quadratic,
        START,
        steps,
        machine="numba",
        keep="end",
        dtype=torch.float32,
        lr=0.1,
        beta1=beta1.flatten(),
        beta2=beta2.flatten(),
    )
    return beta2, beta1, vmap(quadratic)(ends).view(20, 100)


def test_the_map_shows_these_losses():
    fig = Map(
        adam, quadratic, x="beta2", y="beta1", steps=200, lr=0.1, x_range=(0, 0.9999), y_range=(0, 0.99), view="loss"
    )
    beta2, _, loss = memories(200)
    torch.testing.assert_close(
        fig.values(100, 20).above[beta2 > 0.99], loss[beta2 > 0.99], rtol=0.02, atol=1e-5
    )  # elsewhere rounding grows


def test_rest_is_patience():
    borders = []
    for steps in (1000, 2000):
        beta2, beta1, loss = memories(steps)
        rows = (0.7 < beta1[:, 0]) & (beta1[:, 0] < 0.95)
        borders.append(torch.where(loss > 1e-6, beta2, 0).amax(1)[rows])
    assert borders[0].tolist() == pytest.approx([0.991] * len(borders[0]), abs=0.0025)
    assert borders[1].tolist() == pytest.approx([0.995] * len(borders[1]), abs=0.003)


def test_the_first_return_comes_later_for_a_longer_memory():
    beta2, steps = torch.tensor([0.99, 0.995, 0.998, 0.999]), (992, 1844, 4140, 7555)
    losses = vmap(vmap(quadratic))(sweep(adam, quadratic, START, 8000, machine="numba", lr=0.1, beta2=beta2))[500:]
    assert (losses[:200].amax(0) < 1e-6).all()
    assert ((losses > 1e-6).int().argmax(0) + 500).tolist() == pytest.approx(steps, abs=5)
    assert all(7.5 < (1 - b) * t < 10 for b, t in zip(beta2.tolist(), steps, strict=True))


def test_the_curve_where_the_bound_ends():
    beta2, beta1, loss = memories(1000)
    left = beta2 < beta1**2
    assert (loss > 0.01)[left].double().mean().item() == pytest.approx(0.5, abs=0.05)
    assert (loss > 0.01)[~left].double().mean() < 0.01


def test_reddis_example():
    beta2 = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999], dtype=FLOAT)
    ends = {}
    for rule, count in ((adam, 2), (amsgrad, 3)):
        w, *state = torch.zeros(1 + count, len(beta2)).double()
        for t in range(1, 3001):
            g = torch.full_like(w, 3.0 if t % 3 == 1 else -1.0)
            w, *state = rule(w, g, t, *state, lr=t**-0.5, beta1=0.0, beta2=beta2)
            w = w.clamp(-1, 1)
        ends[rule] = w
    assert (ends[adam][:2] == 1).all() and (ends[adam][2:] < -0.97).all() and (ends[amsgrad] < -0.97).all()
    steps = lengths(torch.tensor([3.0, -1.0, -1.0], dtype=FLOAT).repeat(20)[:, None], beta1=0.0, beta2=0.1)[-3:, 0]
    assert steps.tolist() == pytest.approx([1.05, 0.76, 0.97], abs=0.005)


def test_half_precision():
    w = torch.ones(3, dtype=torch.float16, requires_grad=True)
    w.grad = torch.tensor([0.0, 0.001, 1.0], dtype=torch.float16)
    torch.optim.Adam([w], lr=0.001).step()
    assert w[0].isnan() and w[1].isinf() and w[2].item() == pytest.approx(0.999, abs=1e-3)
    assert torch.tensor(1e-8, dtype=torch.float16) == 0 and torch.tensor(0.001 * 0.005**2, dtype=torch.float16) == 0
    assert torch.tensor(6e-8, dtype=torch.float16) > 0


def test_sizes_of_weights_and_of_the_state():
    bound = nn.Linear(256, 64).weight.abs().max().item()
    assert 0.06 < bound <= 1 / 16
    layer = nn.Linear(10, 10)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 10)).sum().backward()
    optimizer.step()
    assert sum(x.numel() for s in optimizer.state.values() for x in s.values() if x.dim()) == 2 * 110


def test_the_exercise_knows_as_many_mistakes_as_the_pages_say():
    assert len(check.mistakes) == 24
