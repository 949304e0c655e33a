"""What the chapter on Rprop says in prose, as assertions: the numbers in its answers, over several seeds where chance has a part."""

import json
import math
from pathlib import Path

import pytest
import torch

from course_lib.experiments import Optimizer, sweep
from course_lib.formulas import beale, gradient_descent, quadratic, ravine, rmsprop, rosenbrock, rprop, rprop_torch

PAGE = Path(__file__).parents[2] / "book" / "optimizers" / "rprop.ipynb"
START = (-2.2, 1.2)


@pytest.fixture(scope="module")
def page():
    """The names that the page defines: its imports, and the cells that only define."""
    names = {}
    for cell in json.loads(PAGE.read_text("utf8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and ("import inspect" in source or "\ndef " in f"\n{source}"):
            exec(source.split("\n\n\nfor ")[0].split("\n\n\nsettings")[0].split("\nrates =")[0], names)
    return names


def final_loss(rule, steps=60, **hyper):
    shape = {
        k: torch.tensor(hyper.get(k, x), dtype=torch.float64) for k, x in (("condition_number", 20.0), ("angle", 0.0))
    }
    return quadratic(
        sweep(rule, quadratic, START, steps, **({"condition_number": 20.0} | hyper))[-1, 0], **shape
    ).item()


# Signs only


def test_the_condition_number_does_not_change_the_path_at_all():
    paths = [sweep(rprop, quadratic, START, 60, lr=0.01, condition_number=kappa) for kappa in (5.0, 20.0, 1000.0)]
    assert torch.equal(paths[0], paths[1]) and torch.equal(paths[1], paths[2])


@pytest.mark.parametrize(
    ("hyper", "loss"),
    [
        ({}, 2.9e-13),
        ({"condition_number": 1000.0}, 8.4e-12),
        ({"lr": 1e-4}, 1.0e-6),
        ({"lr": 1.0}, 2.5e-12),
        ({"angle": 45.0}, 0.0025),
        ({"angle": 45.0, "condition_number": 1000.0}, 0.24),
    ],
)
def test_losses_after_60_steps(hyper, loss):
    assert final_loss(rprop, **({"lr": 0.01} | hyper)) == pytest.approx(loss, rel=0.05)


def test_a_rate_a_hundred_times_too_small_costs_25_steps():
    assert math.log(100) / math.log(1.2) == pytest.approx(25, abs=0.5)
    assert (1000 - 1) / (20 - 1) == pytest.approx(50, rel=0.1)  # gradient descent's steps, 1.15 κ


# Why it works


def test_any_increasing_function_of_the_loss_has_the_same_path():
    def loss(w):
        return (w[0] - 1) ** 2 + 3 * (w[1] + w[0]) ** 2 + 1

    path = sweep(rprop, loss, START, 60)
    for other in (lambda w: 1000 * loss(w), lambda w: loss(w).log(), lambda w: loss(w).sqrt()):
        torch.testing.assert_close(
            sweep(rprop, other, START, 25), path[:26]
        )  # later, rounding decides what a zero's sign is


def test_a_stretched_axis_with_a_stretched_rate_has_the_stretched_path():
    def loss(w):
        return (w[0] - 1) ** 2 + 3 * (w[1] + w[0]) ** 2

    state = [(torch.tensor([0.0, 0.0]).double(), torch.tensor([0.01 * c, 0.01]).double()) for c in (1.0, 8.0)]
    ends = []
    for c, (old, eta) in zip((1.0, 8.0), state, strict=True):
        scale, w = torch.tensor([c, 1.0]).double(), torch.tensor([-2.2 * c, 1.2]).double()
        for t in range(1, 31):
            g = torch.func.grad(lambda w: loss(w / scale))(w)
            w, old, eta = rprop(w, g, t, old, eta)
        ends.append(w / scale)
    torch.testing.assert_close(*ends)


def test_it_gets_across_in_logarithmic_time():
    path = sweep(rprop, quadratic, START, 60, lr=0.01)[:, 0, 0]
    assert (path >= 0).nonzero()[0].item() == 21
    assert math.log(1 + 0.2 * 2.2 / 0.01) / math.log(1.2) == pytest.approx(21, abs=0.2)
    assert (sweep(lambda w, g, t: w - 0.01 * g.sign(), quadratic, START, 230)[:, 0, 0] > -1e-9).nonzero()[
        0
    ].item() == pytest.approx(220, abs=1)


def paces(rule, *settings, seed=0, factor=128.0):
    """For each setting (α, β) the steps for one more digit, averaged over 200 random starts."""
    starts = torch.rand(200, 1, generator=torch.Generator().manual_seed(seed)) + 0.5
    alpha, beta = (torch.tensor(x, dtype=torch.float64).repeat_interleave(200) for x in zip(*settings, strict=True))
    hyper = {"eta_max": 1e9, "eta_min": 1e-300, "alpha": alpha, "beta": beta}
    size = sweep(rule, lambda w: factor * w[0] ** 2 / 2, starts.repeat(len(settings), 1), 320, **hyper)[..., 0].abs()
    return (200 / (size[100:120].amax(0) / size[300:320].amax(0)).log10()).reshape(len(settings), 200).mean(1).tolist()


@pytest.mark.parametrize("seed", range(2))
def test_the_pace_for_a_digit_needs_alpha_beta_below_one(seed):
    usual, eager, lenient, over = paces(rprop, (1.2, 0.5), (1.5, 0.5), (1.2, 0.8), (1.3, 0.8), seed=seed)
    assert usual == pytest.approx(5.8, abs=0.15)
    assert usual < eager < lenient < 30
    assert over == pytest.approx(-117, abs=2)
    assert paces(rprop_torch, (1.2, 0.5), seed=seed) == pytest.approx([9.6], abs=0.2)


def test_the_pace_knows_no_curvature():
    assert paces(rprop, (1.2, 0.5), factor=1.0) == paces(rprop, (1.2, 0.5), factor=4096.0)
    assert -1 / math.log10((5 - 1) / (5 + 1)) == pytest.approx(
        5.8, abs=0.15
    )  # gradient descent at a condition number of 5


# PyTorch's form


def test_on_beale_from_the_figure():
    losses = {
        (rule, steps): beale(sweep(rule, beale, (1.0, 1.5), steps, lr=0.01)[-1, 0]).item()
        for rule in (rprop, rprop_torch)
        for steps in (60, 150)
    }
    assert losses[rprop, 150] == pytest.approx(2.4e-5, rel=0.05)
    assert losses[rprop_torch, 150] == pytest.approx(5.4e-10, rel=0.05)
    assert (losses[rprop, 60], losses[rprop_torch, 60]) == pytest.approx((0.009, 0.007), abs=5e-4)


@pytest.mark.parametrize("seed", range(2))
def test_waiting_pays_where_coordinates_are_coupled(page, seed):
    def better(surface, steps, **shape):
        ours, theirs = (page["median_loss"](rule, surface, steps, seed=seed, **shape) for rule in (rprop, rprop_torch))
        return "lecture" if ours < theirs else "PyTorch"

    assert better(quadratic, 60, condition_number=20.0) == better(ravine, 60) == "lecture"
    assert (
        better(quadratic, 60, condition_number=20.0, angle=45.0)
        == better(rosenbrock, 300)
        == better(beale, 150)
        == "PyTorch"
    )


def test_the_forms_agree_until_the_first_turn():
    ours, theirs = (sweep(rule, quadratic, START, 60, lr=0.01)[:, 0, 1] for rule in (rprop, rprop_torch))
    turn = (ours < 0).nonzero()[0].item()  # the weight is across, so that the next sign has turned
    assert torch.equal(ours[: turn + 1], theirs[: turn + 1])
    assert theirs[turn + 1] == theirs[turn] and ours[turn + 1] != ours[turn]


# On a network


@pytest.mark.parametrize("seed", range(3))
def test_with_all_data_it_leaves_gradient_descent_behind(page, seed):
    fit = page["fit"]
    assert min(fit(lambda p: torch.optim.SGD(p, lr), seed)[0] for lr in (0.1, 0.3)) > 0.4
    assert not fit(lambda p: torch.optim.SGD(p, 1.0), seed, steps=60)[0] < 0.4
    assert fit(lambda p: Optimizer(p, rprop), seed)[0] < 0.05
    assert 0.007 < fit(lambda p: torch.optim.Adam(p, 0.03), seed)[0] < 0.017


@pytest.mark.parametrize("seed", range(5))
def test_gradient_descent_stays_on_a_plateau(page, seed):
    norms = []

    class Recording(torch.optim.SGD):
        def step(self):
            norms.append(
                [p.grad.norm().item() for p in self.param_groups[0]["params"][::2]]
            )  # the weights, layer by layer
            super().step()

    page["fit"](lambda p: Recording(p, 0.3), seed)
    assert 10 < norms[0][2] / norms[0][0] < 115
    assert max(norms[-1]) < 0.01


def test_it_equals_pytorchs_and_lets_single_weights_run_away(page):
    lecture, ours, theirs = (
        page["fit"](rule, 0)[1]
        for rule in (lambda p: Optimizer(p, rprop), lambda p: Optimizer(p, rprop_torch), torch.optim.Rprop)
    )
    assert torch.equal(ours, theirs)
    assert (lecture - theirs).abs().max() > 100
    assert lecture.abs().max() > 1000 and lecture.abs().median() == pytest.approx(0.4, abs=0.05)


# Why it fails on mini-batches


@pytest.mark.parametrize("seed", range(3))
def test_nine_against_one(page, seed):
    g = page["gradients"](seed)
    torch.testing.assert_close(
        g.unflatten(0, (100, 10)).sum(1), torch.zeros(100, 200, dtype=torch.float64), atol=1e-12, rtol=0
    )
    paths = {rule: page["walk"](rule, g) for rule in (gradient_descent, rprop, rprop_torch, rmsprop)}
    assert paths[gradient_descent][::10].abs().max() < 1e-12
    assert (paths[rprop][100] < -0.5).all() and (paths[rprop][1000] < -1000).all()
    assert (paths[rprop_torch][1000] < -30_000).all()
    assert paths[rmsprop][1000].abs().max() < 1
    half = paths[rprop].diff(dim=0).abs().mean(1)
    assert half[500:].mean() > 5 * half[:500].mean()  # faster and faster


def test_the_share_of_agreeing_signs_decides():
    grow, shrink = math.log(1.2), math.log(2)
    assert shrink / (grow + shrink) == pytest.approx(0.79, abs=0.005)
    assert 1.2**8 * 0.5**2 == pytest.approx(1.07, abs=0.006)
    assert math.sqrt(1.2 * 0.5) == pytest.approx(0.77, abs=0.005)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("agree", "grows"), [(0.70, False), (0.76, False), (0.82, True), (0.88, True)])
def test_rates_explode_above_79_percent_and_die_below(seed, agree, grows):
    turns = torch.rand(400, 100, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) > agree
    signs = torch.where(turns, -1.0, 1.0).cumprod(0).double()
    w, old, eta = signs[0] * 0, signs[0] * 0, torch.full_like(signs[0], 0.01)
    for t, g in enumerate(signs, 1):
        w, old, eta = rprop(w, g, t, old, eta, eta_min=1e-300, eta_max=1e300)
    assert (eta.log().mean() > math.log(0.01)) == grows


def test_equal_rates_move_by_eight_in_an_epoch(page):
    step = -page["gradients"](0).sign()[:10].sum(0)
    assert (step == -8).all()


@pytest.mark.parametrize("seed", range(2))
def test_on_least_squares_the_rates_die(seed):
    generator = torch.Generator().manual_seed(seed)
    x, true, noise = (
        torch.randn(5, *shape, generator=generator).double() for shape in ((1000, 10), (10, 1), (1000, 1))
    )
    y = x @ true + noise
    best = torch.linalg.lstsq(x, y).solution
    before = (x @ best).square().mean((1, 2)) / 2
    assert seed > 0 or (before.min() > 1.75 and before.max() < 11)

    def train(rule, batch, **hyper):
        w = torch.zeros_like(best)
        optimizer = Optimizer([w], rule, **hyper)
        for _ in range(40):
            for part in torch.randperm(1000, generator=generator).split(batch):
                w.grad = x[:, part].mT @ (x[:, part] @ w - y[:, part]) / len(part)
                optimizer.step()
        return (x @ (w - best)).square().mean((1, 2)) / 2, optimizer.state[w].get("eta")

    losses, rates = zip(*(train(rprop, batch) for batch in (1000, 200, 50, 10)), strict=True)
    assert losses[0].max() < 1e-3
    medians = torch.stack([loss.median() for loss in losses])
    assert (medians.diff() > 0).all()
    assert all(rate.median() < 2e-6 for rate in rates[1:])
    assert ((losses[3] / before > 0.01) & (losses[3] / before < 0.25)).all()
    assert seed > 0 or (train(gradient_descent, 10, lr=0.05)[0] < losses[3] / 3).all()


# What goes wrong


def test_in_float32_tiny_gradients_never_change_the_rates():
    def scaled(factor, dtype):
        return sweep(rprop, lambda w: factor * (w**2).sum() / 2, START, 30, lr=0.01, dtype=dtype)[:, 0]

    assert torch.equal(scaled(1.0, torch.float64), scaled(2.0**-83, torch.float64))  # about 1e-25
    tiny = scaled(2.0**-83, torch.float32)
    torch.testing.assert_close(tiny.diff(dim=0).abs(), torch.full((30, 2), 0.01), atol=1e-6, rtol=0)
    assert (torch.tensor(9e-24) * torch.tensor(9e-24)).item() == 0.0
    w = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Rprop([w], lr=0.01)
    for _ in range(5):
        w.grad = torch.tensor([1e-25])
        optimizer.step()
    assert w.item() == pytest.approx(-0.05)


def test_the_smallest_rate_is_the_smallest_distance():
    path = sweep(rprop, quadratic, START, 400, lr=0.01, eta_min=1e-3)[300:, 0].abs()
    assert (path.amax(0) > 4e-4).all() and (path.amax(0) < 2e-3).all()
