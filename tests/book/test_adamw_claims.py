"""What the chapter on AdamW says in prose, as assertions: the numbers in its answers, over several seeds where chance has a part."""

import functools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from course_lib.exercises.adamw import check
from course_lib.experiments import Optimizer, decay_map, sweep
from course_lib.experiments.ensemble import batches, network
from course_lib.formulas import adam_l2, adamw

DOUBLE = torch.float64
RECORDED = decay_map.recorded()["maps"]


# What the root of v does


def flat(w):
    return 1e-6 * (w**2).sum()


def shaken(g, t, noise):
    return g + torch.stack([noise, noise / 20]) * torch.cos(math.pi * t * torch.ones_like(g))


def decoupled(w, g, t, m=0.0, v=0.0, *, lr=0.02, decay=0.5, noise=4.0):
    return adamw(w, shaken(g, t, noise), t, m, v, lr=lr, decay=decay)


def with_l2(w, g, t, m=0.0, v=0.0, felt=0.0, *, lr=0.02, decay=0.5, noise=4.0):
    w, m, v = adam_l2(w, shaken(g, t, noise), t, m, v, lr=lr, decay=decay)
    return w, m, v, decay / ((v / (1 - 0.999**t)).sqrt() + 1e-8)


def left(rule, steps=100, **hyper):
    return sweep(rule, flat, (2.0, 1.5), steps, **hyper)[-1, 0].tolist()


def test_adamw_shrinks_both_coordinates_alike_whatever_the_noise():
    assert 0.99**100 == pytest.approx(0.37, abs=0.005)
    for noise in (4.0, 20.0):
        x, y = left(decoupled, noise=noise)
        assert (x, y) == pytest.approx((0.75, 0.56), abs=0.005)
        assert x / 2 == pytest.approx(y / 1.5, rel=0.01)


def test_adam_with_l2_shrinks_the_coordinate_with_small_gradients():
    assert left(with_l2) == pytest.approx((1.59, 0.17), abs=0.005)
    assert left(with_l2, noise=20.0)[0] == pytest.approx(1.94, abs=0.005)


@pytest.mark.parametrize(
    ("noise", "steps", "felt"), [(4.0, 10, (0.12, 0.7)), (4.0, 100, (0.12, 1.1)), (20.0, 100, (0.025, None))]
)
def test_the_decay_that_is_felt(noise, steps, felt):
    w, state = torch.tensor([2.0, 1.5], dtype=DOUBLE), [torch.zeros(2, dtype=DOUBLE)] * 3
    for t in range(1, steps + 1):
        w, *state = with_l2(w, 2e-6 * w, t, *state, noise=torch.tensor(noise, dtype=DOUBLE))
    for measured, said in zip(state[2].tolist(), felt):
        assert said is None or measured == pytest.approx(said, rel=0.04)


def test_without_gradients_lambda_has_no_effect():
    one, other = left(with_l2, noise=0.04), left(with_l2, noise=0.04, decay=1.0)
    assert one == pytest.approx(other, rel=3e-3) and one[0] == pytest.approx(0.45, abs=0.005)
    assert left(with_l2, 200, noise=0.04)[0] < 0.05
    first = sweep(with_l2, lambda w: 0 * w.sum(), (2.0, 1.5), 1, noise=0.0, decay=torch.tensor([1e-3, 10.0]))[
        :, :, 0
    ].diff(dim=0)
    torch.testing.assert_close(first[0], torch.full((2,), -0.02, dtype=DOUBLE), rtol=1e-4, atol=0)


# On a real network


@functools.cache
def trained(rule, model=decay_map.plain, seed=0, scale=1.0, steps=400, **hyper):
    data, net = decay_map.task(), network(model, seed)
    optimizer, drawn, turns = Optimizer(net.parameters(), rule, **hyper), batches(500, 100, seed), []
    for _ in range(steps):
        old = [p.detach().clone() for p in net.parameters()]
        k = next(drawn)
        loss = scale * cross_entropy(net(data.x_train[k]), data.y_train[k])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        turns.append(
            [
                torch.rad2deg((a / a.norm() - b / b.norm()).norm())
                for a, b in zip(old, (p.detach() for p in net.parameters()))
            ]
        )
    return net, optimizer, torch.tensor(turns[-200:]).mean(dim=0)


def test_the_task():
    data = decay_map.task()
    right = decay_map.digits(500, 700)
    assert (
        len(data.y_train) == 500
        and len(data.y_val) == 700
        and torch.equal(data.x_train, right.x_train)
        and torch.equal(data.y_val, right.y_val)
    )
    assert 125 <= (data.y_train != right.y_train).sum() <= 150  # a random label may be the right one
    assert (data.x_train.amax(dim=0) == 0).sum() == 5


@pytest.mark.parametrize("seed", range(2))
def test_weights_feel_decays_that_differ_a_hundredfold(seed):
    lit = decay_map.task().x_train.amax(dim=0) > 0
    net, optimizer, _ = trained(adam_l2, seed=seed, lr=0.01, decay=0.005)
    twin, _, _ = trained(adamw, seed=seed, lr=0.01, decay=0.3)
    w, other = net[0].weight.detach(), twin[0].weight.detach()
    root = (optimizer.state[net[0].weight]["v"] / (1 - 0.999**400)).sqrt()
    fifths = (0.005 / root[:, lit]).flatten().argsort().chunk(5)
    felt = [(0.005 / root[:, lit]).flatten()[k].median().item() for k in fifths]
    rms, rms_adamw = ([x[:, lit].flatten()[k].square().mean().sqrt() for k in fifths] for x in (w, other))
    assert felt[0] == pytest.approx(0.3, abs=0.03) and 40 < felt[-1] < 80
    assert rms[-1] < rms[0] / 10
    assert rms_adamw[-1] > 1.3 * rms_adamw[0]
    assert w[:, ~lit].abs().max() < 1e-6
    begin = network(decay_map.plain, seed)[0].weight.detach()
    torch.testing.assert_close(other[:, ~lit] / begin[:, ~lit], torch.full((32, 5), 0.3), atol=0.005, rtol=0)
    assert root[:, lit].median() < 0.016
    if seed == 0:
        medians = [root[:, lit].flatten()[k].median().item() for k in fifths]
        assert medians[0] == pytest.approx(0.016, abs=0.001) and medians[-1] == pytest.approx(0.0001, abs=5e-5)


def in_double(rule, scale, decay):
    """The parameters after 60 steps on the loss times `scale`, with an ε too small to matter."""
    data, net = decay_map.task(), network(decay_map.plain, 0, DOUBLE)
    optimizer, drawn = Optimizer(net.parameters(), rule, lr=0.01, decay=decay, eps=1e-30), batches(500, 100, 0)
    for _ in range(60):
        k = next(drawn)
        optimizer.zero_grad()
        (scale * cross_entropy(net(data.x_train[k].double()), data.y_train[k])).backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_only_the_l2_form_feels_the_scale_of_the_loss():
    torch.testing.assert_close(in_double(adamw, 100.0, 0.3), in_double(adamw, 1.0, 0.3), rtol=1e-6, atol=1e-8)
    scaled = in_double(adam_l2, 100.0, 0.5)
    torch.testing.assert_close(scaled, in_double(adam_l2, 1.0, 0.5 / 100), rtol=1e-6, atol=1e-8)
    assert (scaled - in_double(adam_l2, 1.0, 0.5)).norm() > 0.3 * scaled.norm()


# The maps


def cell(name, lr, decay, key="val"):
    found = RECORDED[name]
    i = min(range(len(found["rates"])), key=lambda k: abs(math.log(found["rates"][k] / lr)))
    j = min(range(16), key=lambda k: abs(math.log(found["decays"][i][k] / decay)))
    assert found["rates"][i] == pytest.approx(lr, rel=0.01) and found["decays"][i][j] == pytest.approx(decay, rel=0.01)
    return found[key][i][j][-1]


def test_how_it_was_recorded():
    made = decay_map.recorded()["made"]
    assert (made["seeds"], made["batch"], made["replaced"], RECORDED["adamw"]["steps"][-1]) == (6, 100, 0.3, 800)
    assert sum(len(row) * 6 for found in RECORDED.values() for row in found["decays"]) == 4608
    assert all((len(found["rates"]), len(found["decays"][0])) == (8, 16) for found in RECORDED.values())
    assert {len(cell) for found in RECORDED.values() for row in found["ends"] for cell in row} == {6}


@pytest.mark.parametrize(
    ("name", "slope", "spread", "theory"),
    [
        ("adamw", -0.99, 0.10, -1),
        ("adam_l2", -2.02, 0.16, -2),
        ("sgdw", -0.99, 0.08, -1),
        ("momentum_l2", -1.03, 0.09, -1),
        ("plain_adamw", -0.04, 0.14, 0),
        ("plain_adam_l2", 0.06, 0.15, 0),
    ],
)
def test_slopes_of_the_valleys(name, slope, spread, theory):
    measured = decay_map.slope(RECORDED[name])
    assert [round(x, 2) for x in measured] == [slope, spread]
    assert abs(measured[0] - theory) < measured[1]
    for seed in range(6):  # every single start tells the three slopes apart
        single = decay_map.valley(RECORDED[name], seed)
        pairs = [(math.log10(lr), math.log10(x)) for lr, x in zip(RECORDED[name]["rates"], single) if x is not None]
        x, y = torch.tensor(pairs, dtype=DOUBLE).T
        assert ((x - x.mean()) * y).sum() / (x - x.mean()).square().sum() == pytest.approx(theory, abs=0.5)


@pytest.mark.parametrize(
    ("name", "lr", "decay", "loss"),
    [
        ("adamw", 0.01, 2.154, 0.854),
        ("adamw", 0.1, 2.154, 1.14),
        ("adamw", 0.1, 0.0001, 1.00),
        ("adamw", 0.1, 0.2154, 0.817),
        ("adam_l2", 0.01, 0.2154, 0.752),
        ("adam_l2", 0.1, 0.2154, 1.55),
        ("adam_l2", 0.1, 0.002154, 0.785),
        ("plain_adamw", 0.01, 0.01, 0.95),
        ("plain_adamw", 0.01, 0.0001, 1.00),
    ],
)
def test_losses_that_the_answers_name(name, lr, decay, loss):
    assert cell(name, lr, decay) == pytest.approx(loss, abs=0.006)


def test_where_the_valleys_lie():
    products = [lr * best for lr, best in zip(RECORDED["adamw"]["rates"], decay_map.valley(RECORDED["adamw"]))]
    assert all(0.013 < x < 0.032 for x in products)
    for name, decay, spread in (("plain_adamw", 0.3, 1.9), ("plain_adam_l2", 0.0045, 2.1)):
        valley = decay_map.valley(RECORDED[name])
        assert valley[:2] == [None, None]
        assert all(decay / spread < x < decay * spread for x in valley if x is not None)
        ends = RECORDED[name]["val"][0]
        assert min(cell[-1] for cell in ends) > 0.99 * ends[0][-1]  # at small rates no decay is needed
    assert min(c[-1] for c in RECORDED["plain_adamw"]["val"][3]) == pytest.approx(0.65, abs=0.01)


def test_the_valley_of_the_l2_form_is_a_little_lower():
    floors = {name: round(decay_map.floor(found), 2) for name, found in RECORDED.items()}
    assert [floors[k] for k in ("adamw", "adam_l2", "plain_adamw", "plain_adam_l2")] == [0.84, 0.79, 0.69, 0.68]


def test_one_setting_diverged_and_its_decay_per_step_is_above_2():
    gone = [
        (name, lr * decay)
        for name, found in RECORDED.items()
        for lr, decays, row in zip(found["rates"], found["decays"], found["val"])
        for decay, c in zip(decays, row)
        if c[-1] is None
    ]
    assert [name for name, _ in gone] == ["plain_adamw"] and gone[0][1] > 2
    assert max(
        lr * row[-1] for found in RECORDED.values() for lr, row in zip(found["rates"], found["decays"])
    ) == pytest.approx(gone[0][1])


def test_the_coarse_map_of_the_page_shows_the_same_valleys():
    """Three of the recorded seeds, at the settings of the page's own map."""
    best = {
        name: torch.tensor(RECORDED[name]["ends"], dtype=DOUBLE)[::3, ::3, :3].mean(dim=-1).argmin(dim=1).tolist()
        for name in ("adamw", "adam_l2")
    }
    assert best == {"adamw": [3, 3, 3], "adam_l2": [3, 2, 1]}


# Why they lean


def test_what_normalization_does_to_loss_and_gradient():
    data, net = decay_map.task(), network(decay_map.Normalized, 0, torch.float64)

    def loss_and_slopes():
        loss = cross_entropy(net(data.x_train.double()), data.y_train)
        return loss.detach(), torch.autograd.grad(loss, list(net.parameters()))

    loss, slopes = loss_and_slopes()
    for w, g in zip(net.parameters(), slopes):
        assert (
            w * g
        ).sum().abs() < 1e-4 * w.norm() * g.norm()  # perpendicular, up to the small constant inside layer_norm
    with torch.no_grad():
        for w in net.parameters():
            w.mul_(3)
    again, smaller = loss_and_slopes()
    torch.testing.assert_close(again, loss, rtol=1e-3, atol=0)
    for g, h in zip(slopes, smaller):
        torch.testing.assert_close(h.norm(), g.norm() / 3, rtol=0.01, atol=0)


def test_the_norm_grows_with_the_rate_along_the_valley_of_adamw():
    norms = [cell("adamw", lr, 0.02154 / lr, "norm") for lr in (0.001, 0.01, 0.1)]
    assert [b / a for a, b in zip(norms, norms[1:])] == pytest.approx([10, 10], rel=0.1)
    l2 = [cell("adam_l2", lr, 2.154e-5 / lr**2, "norm") for lr in (0.001, 0.01, 0.1)]
    assert [b / a for a, b in zip(l2, l2[1:])] == pytest.approx([10, 10], rel=0.1)


@pytest.mark.parametrize(("rule", "power", "product"), [(adamw, 1, 0.1), (adam_l2, 2, 1e-4)], ids=["adamw", "adam_l2"])
def test_the_angle_of_a_step_is_the_same_along_the_valley(rule, power, product):
    turns = torch.stack(
        [
            trained(rule, decay_map.Normalized, steps=400, lr=lr, decay=product / lr**power)[2]
            for lr in (0.001, 0.01, 0.1)
        ]
    )
    assert (turns.amax(dim=0) / turns.amin(dim=0) < 1.5).all()  # over a hundredfold of the rate
    predicted = math.degrees(math.sqrt(2 * 0.1 * 0.1 / 1.9))
    assert predicted == pytest.approx(5.9, abs=0.05)
    if rule is adamw:
        assert ((turns / predicted - 1).abs() < 0.35).all()


# What goes wrong


def test_schedules_schedule_the_decay():
    t = torch.arange(10_000, dtype=DOUBLE)
    cosine, warmup = 0.5 * (1 + torch.cos(math.pi * t / 10_000)), (t / 1000).clamp(max=1)
    logs = [torch.log(1 - 1e-4 * factor).sum().item() for factor in (torch.ones_like(t), cosine)]
    assert logs[1] == pytest.approx(logs[0] / 2, rel=1e-3)
    assert (1 - 0.001 * 0.01) ** 1000 == pytest.approx(0.99, abs=1e-3)  # the default takes a percent in 1,000 steps
    assert warmup[-1] == 1


def test_defaults_of_pytorch():
    parameter = [torch.zeros(1, requires_grad=True)]
    found = torch.optim.AdamW(parameter).defaults
    assert (found["lr"], found["weight_decay"], torch.optim.Adam(parameter).defaults["weight_decay"]) == (
        0.001,
        0.01,
        0,
    )
    assert 1 / (found["lr"] * found["weight_decay"]) == pytest.approx(100_000)


def test_the_update_as_a_running_average_of_steps():
    w, g, m, v = (torch.randn(4, generator=torch.Generator().manual_seed(k), dtype=DOUBLE) for k in range(4))
    lr, decay = 0.3, 0.2
    step = (adamw(w, g, 5, m, v**2, lr=1.0, decay=0.0)[0] - w) / decay
    new, _, _ = adamw(w, g, 5, m, v**2, lr=lr, decay=decay)
    torch.testing.assert_close(new, (1 - lr * decay) * w + lr * decay * step)


# The exercise


def test_the_exercise_knows_as_many_mistakes_as_the_page_says():
    assert len(check.mistakes) == 17


@pytest.mark.parametrize(
    ("rule", "decay", "end"), [(adam_l2, 1.0, (0.5, 0.99)), (adamw, 1.0, (0.7, 0.7)), (adamw, 10.0, (0.1, 0.1))]
)
def test_where_the_two_rules_end_on_a_bowl(rule, decay, end):
    def bowl(w):
        return ((w[0] - 1) ** 2 + 100 * (w[1] - 1) ** 2) / 2

    assert sweep(rule, bowl, (-1.0, -0.5), 400, lr=0.05, decay=decay)[-1, 0].tolist() == pytest.approx(end, abs=0.03)
