"""What the chapter on weight decay says, bound to its records, to its figures and to algebra."""

import math

import pytest
import torch
from claims import About, Below, Page
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.experiments import Optimizer, digits, recorded, sweep
from course_lib.experiments.product_network import fitted_weights
from course_lib.experiments.studies import weight_decay as study
from course_lib.formulas import adam_l2, adamw, gradient_descent, momentum_l2, sgdw
from course_lib.formulas.regularization import bowl, ridge_minimum, shrinkage

page = Page("basics/weight_decay")
START, MINIMUM = (1.4, -1.8), (1.5, 0.8)
FLOAT = torch.float64


def ridge(decay, condition_number=10.0, angle=-30.0):
    return ridge_minimum(*(torch.tensor(x, dtype=FLOAT) for x in (*MINIMUM, condition_number, angle, decay)))


def bowl_path(rule, steps=40, **hyper):
    return sweep(rule, bowl, START, steps, **hyper)[:, 0]


# Where the minimum goes


@page.claim(
    r"with its minimum at $\theta^*$, {} times as curved across its valley as along it.",
    "Half is gone where $\\lambda$ equals the curvature: at {} along, at {} across.",
    r"The norm only falls, but $y$ rises from {} to {} at $\lambda = {}$ and is back at {} at $\lambda = {}$.",
    "Put $\\lambda$ back to 1. Turn *angle* to {}, so that $\\theta^*$ lies in the valley's direction, then to {}.",
    "In the valley's direction {} of the norm is left, across it {};",
)
def test_decay_takes_where_the_loss_cares_least():
    fig = page.figure(0)
    norm = math.hypot(*fig.minimum)
    assert fig.decay == 1 and fig.shares == pytest.approx((1 / 2, 10 / 11))
    assert shrinkage(10.0, 10.0) == 1 / 2 and list(MINIMUM) == fig.minimum and fig.angle == -30
    decays = torch.logspace(-2, 2, 401, dtype=FLOAT)
    trace = torch.stack([ridge(x.item()) for x in decays])
    assert (trace.norm(dim=1).diff() < 0).all()
    highest = trace[:, 1].argmax()
    back = decays[(trace[:, 1] < 0.8) & (decays > 1)][0]
    shares = []
    for angle in (28, -62):
        fig.angle = angle
        shares.append(fig.solution.norm().item() / norm)
    others = [ridge(1.0, angle=float(a)).norm().item() / norm for a in range(-90, 91, 2)]
    assert 0.5 - 1e-9 < min(others) and max(others) < 10 / 11 + 1e-9  # no other angle gives less or more
    return (
        fig.condition_number,
        1,
        fig.condition_number,
        fig.minimum[1],
        trace[highest, 1],
        decays[highest],
        fig.minimum[1],
        back,
        28,
        -62,
        *shares,
    )


@pytest.mark.parametrize(
    "settings", [{"angle": 28.07}, {"angle": -61.93}, {"condition_number": 1.0, "angle": 40.0}], ids=str
)
def test_the_trace_is_straight_along_an_eigenvector(settings):
    directions = torch.stack([ridge(x, **settings) / ridge(x, **settings).norm() for x in (0.01, 1.0, 50.0)])
    assert directions.diff(dim=0).abs().max() < 1e-3


@page.claim(
    r"The decoupled one: after {} steps it is {} from $\theta_\lambda$, L2 is {} away.",
    r"Go to $\lambda = {}$, the left end of the slider.",
    "Hardly: they are at most {} apart.",
)
def test_the_two_paths_of_the_answer():
    fig = page.figure(0)
    assert list(START) == fig.start and (fig.lr, fig.momentum) == (0.1, 0.9)
    still = [bowl_path(rule, lr=0.1, momentum=0.0, decay=1.0) for rule in (momentum_l2, sgdw)]
    assert (still[0] - still[1]).abs().max() < 1e-15
    weak = [bowl_path(rule, lr=0.1, momentum=0.9, decay=0.01) for rule in (momentum_l2, sgdw)]
    apart = (weak[0] - weak[1]).norm(dim=1).max()
    return fig.steps, fig.distances["decoupled"], fig.distances["L2"], fig.spec["decays"][0], apart


# Why it works


@pytest.mark.parametrize("seed", range(3))
def test_the_variance_of_least_squares_and_what_decay_leaves_of_it(seed):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(50, 4, generator=generator, dtype=FLOAT) * torch.tensor([2.0, 1.0, 0.3, 0.1], dtype=FLOAT)
    true, sigma, decay = torch.tensor([1.0, -1.0, 0.5, 2.0], dtype=FLOAT), 0.7, 0.05
    H = X.T @ X / 50
    h, q = torch.linalg.eigh(H)
    y = (X @ true)[:, None] + sigma * torch.randn(50, 20_000, generator=generator, dtype=FLOAT)
    for strength in (0.0, decay):
        fitted = q.T @ torch.linalg.solve(H + strength * torch.eye(4, dtype=FLOAT), X.T @ y / 50)
        variance = shrinkage(h, strength) ** 2 * sigma**2 / (50 * h)
        torch.testing.assert_close(fitted.var(dim=1), variance, rtol=0.06, atol=0)
        bias = -strength / (h + strength) * (q.T @ true)
        torch.testing.assert_close(fitted.mean(dim=1) - q.T @ true, bias, rtol=0, atol=0.05)


def test_the_best_decay_for_one_direction():
    decays = torch.logspace(-4, 2, 6001, dtype=FLOAT)
    for h, variance, true in ((1.0, 0.3, 0.8), (0.05, 0.01, 1.5), (7.0, 2.0, 0.4)):  # variance: σ²/N
        error = variance * h / (h + decays) ** 2 + (decays * true / (h + decays)) ** 2
        assert decays[error.argmin()].item() == pytest.approx(variance / true**2, rel=0.003)


# What momentum changes


@pytest.mark.parametrize("loss", [bowl, lambda w: (w**4).sum() / 4 + w.sin().prod()])
def test_decoupled_decay_is_l2_with_less_momentum_on_any_loss(loss):
    lr, m, decay = 0.05, 0.9, 1.0
    path = sweep(sgdw, loss, START, 60, lr=lr, momentum=m, decay=decay)[:, 0]
    m2 = m * (1 - lr * decay)
    lr2 = lr * (1 - m) / (1 - m2)
    delta = m * lr * decay * path[0] / (lr2 * m2)
    same = study.l2_path(loss, path[0], delta, 60, lr=lr2, momentum=m2, decay=decay)
    torch.testing.assert_close(same, path, rtol=0, atol=1e-13)


@page.claim(
    r"A common setting is $\lambda = {}$ with PyTorch's rate {} and $m = {}$. This is $\eta = {}$ here, so "
    r"$\eta\lambda = {}$ and $m' = {}$.",
    r"So the two forms that nobody can tell apart at $\eta\lambda = {}$ differ by a factor of $\frac{1 + m}{1 - m} = {}$",
)
def test_at_a_common_setting_nobody_can_tell_the_two_apart():
    l2, apart = (bowl_path(rule, steps=200, lr=1.0, momentum=0.9, decay=0.0005) for rule in (momentum_l2, sgdw))
    assert (l2 - apart).norm(dim=1).max() < 0.002 * l2.norm(dim=1).max()
    return 0.0005, 0.1, 0.9, 0.1 / (1 - 0.9), 0.0005, 0.9 * (1 - 0.0005), 0.0005, (1 + 0.9) / (1 - 0.9)


@pytest.mark.parametrize("seed", range(3))
def test_in_adam_with_l2_a_weight_with_large_gradients_hardly_decays(seed):
    """Gradients of pure noise, 1, 10 or 100 large: what 400 steps of decay leave of a weight of 1."""
    noise, left = torch.randn(400, 1000, generator=torch.Generator().manual_seed(seed), dtype=FLOAT), {}
    for rule in (adam_l2, adamw):
        for size in (1.0, 10.0, 100.0):
            w, state = torch.ones(1000, dtype=FLOAT), (0.0, 0.0)
            for t, g in enumerate(size * noise, start=1):
                w, *state = rule(w, g, t, *state, lr=0.001, decay=1.0)
            left[rule, size] = w.mean().item()
    assert [left[adamw, size] for size in (1.0, 10.0, 100.0)] == pytest.approx([0.999**400] * 3, abs=0.005)
    assert left[adam_l2, 1.0] < 0.8 and left[adam_l2, 10.0] > 0.94 and left[adam_l2, 100.0] > 0.98


def test_without_noise_adamw_ends_in_a_box():
    starts = 3 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
    decays = torch.tensor([0.5, 1.0, 2.0], dtype=FLOAT)
    settings = {"lr": 0.01, "decay": decays.repeat_interleave(50), "beta2": 0.9}
    ends = sweep(adamw, bowl, starts.repeat(3, 1), 1500, keep="end", **settings).abs().view(3, 50, 2)
    assert (ends <= (1 / decays + 1e-3)[:, None, None]).all()
    assert (ends[1:] > (1 / decays[1:] - 1e-3)[:, None, None]).all()  # θ* lies outside of these: they end in the corner


@page.claim(r"with its minimum at $({}, {})$ (and $\beta_2 = {}$, to arrive sooner):")
def test_the_figure_of_both_decays_in_adam(page):
    fig = page.figure(1)
    assert (tuple(fig.start), fig.lr, fig.decay, fig.steps) == (START, 0.05, 1, 250)
    assert fig.spec["domain"] == [[-0.5, 3.5], [-2, 2]]
    return *MINIMUM, fig.beta2


@page.claim(
    r"Lower $\lambda$ to {}: what does",
    r"Adam with L2 at $\theta_\lambda = ({}, {})$, where momentum ends, too; AdamW at $(1, 1)$.",
    r"At $\lambda = {}$ it does nothing: "
    r"AdamW ends at $({}, {})$, all but at $\theta^*$, Adam with L2 at $({}, {})$.",
)
def test_in_adam_the_two_do_not_end_at_the_same_place():
    fig = page.figure(1)
    strong = {name: path[-1] for name, path in fig.path.items()}
    torch.testing.assert_close(strong["adam_l2"], ridge(1.0), rtol=0, atol=4e-3)
    torch.testing.assert_close(strong["adamw"], torch.ones(2, dtype=FLOAT), rtol=0, atol=1e-3)
    fig.decay = 0.5
    weak = {name: path[-1] for name, path in fig.path.items()}
    torch.testing.assert_close(weak["adamw"], torch.tensor(MINIMUM, dtype=FLOAT), rtol=0, atol=0.02)
    torch.testing.assert_close(weak["adam_l2"], ridge(0.5), rtol=0, atol=4e-3)
    return 0.5, *ridge(1.0), 0.5, *weak["adamw"], *weak["adam_l2"]


# A step decays by ηλ


@page.claim(
    r"SGD with η = 1 and λ = {} is at a half after {} steps, with a tenth of the rate after ten times as many, AdamW with its "
    "defaults after {}.",
    "PyTorch's `SGD` with `lr=0.1` and `momentum=0.9`",
)
def test_half_lives():
    half = [math.log(0.5) / math.log1p(-share) for share in (0.0005, 0.00005, 0.00001)]
    assert half[1] / half[0] == pytest.approx(10, rel=1e-3)
    return 0.0005, half[0], half[2]


@page.claim(
    "With AdamW's defaults, {} steps take no more than {} from a weight.",
    "to matter (in the experiment below it is {})",
    "| the default | {} in `SGD` and `Adam`, {} in `AdamW`; all parameters alike |",
)
def test_a_short_run_does_not_feel_a_small_decay():
    adamw_s, sgd_s, adam_s = (
        kind([torch.zeros(1)]).defaults for kind in (torch.optim.AdamW, torch.optim.SGD, torch.optim.Adam)
    )
    left = (1 - adamw_s["lr"] * adamw_s["weight_decay"]) ** 10_000
    assert sgd_s["weight_decay"] == adam_s["weight_decay"]
    steps = recorded("weight_decay_digits").settings["steps"]
    return 10_000, Below(1 - left), 1.0 * steps * 0.003, sgd_s["weight_decay"], adamw_s["weight_decay"]


def test_pytorchs_buffer_multiplies_the_decay_too():
    w = torch.ones(1, dtype=FLOAT, requires_grad=True)
    optimizer, sizes = torch.optim.SGD([w], lr=1e-4, momentum=0.9, weight_decay=0.5), []
    for _ in range(300):
        w.grad = torch.zeros_like(w)
        before = w.item()
        optimizer.step()
        sizes.append(1 - w.item() / before)
    assert sizes[-1] == pytest.approx(1e-4 / (1 - 0.9) * 0.5, rel=0.01)


@page.claim(
    "This is the length of the parameters after {} steps on the bowl:",
    "The length of the parameters after {} steps over the rate from {} to {}, logarithmic. With a decay of {} times the rate it is "
    "{} at every rate. With a fixed share of {} a step it rises from {} to {}.",
)
def test_a_schedule_moves_the_minimum_only_if_the_decay_has_no_rate():
    def fixed_share(w, g, t, *, lr=0.1, share=0.05):
        return w - lr * g - share * w

    rates = torch.logspace(-2, -0.9, 45, dtype=FLOAT)
    ends, moved = (
        sweep(rule, bowl, START, 600, keep="end", lr=rates, **own)
        for rule, own in ((sgdw, {"decay": 0.5}), (fixed_share, {"share": 0.05}))
    )
    torch.testing.assert_close(ends, ridge(0.5).expand(45, 2), rtol=0, atol=0.005)
    torch.testing.assert_close(moved, torch.stack([ridge(0.05 / lr) for lr in rates.tolist()]), rtol=0, atol=0.005)
    lengths = moved.norm(dim=1)
    assert (lengths.diff() > 0).all()
    return 600, 600, rates[0], rates[-1], 0.5, ends.norm(dim=1)[0], 0.05, lengths[0], lengths[-1]


# All rates and all decays


def border(rule, decay, h=10.0, m=0.9):
    """The rate from which on the run diverges, by the chapter's formula."""
    return 2 * (1 + m) / ((1 - m) * (h + decay) if rule is momentum_l2 else (1 - m) * h + (1 + m) * decay)


@page.claim(
    "on the same bowl with $m = {}$: each pixel is a run of {} steps",
    "how far apart are they at $\\lambda = {}$?",
    "On the left {} steps are too few to arrive",
)
def test_the_settings_of_the_maps(page):
    for fig in (page.figure(2), page.figure(3)):
        assert tuple(fig.start) == START and (fig.lr, fig.decay) == (0.1, 1) and fig.steps == 300
        assert list(fig.x_range) == [0.001, 10] and list(fig.y_range) == [0.01, 100]
    return fig.momentum, fig.steps, fig.y_range[1], fig.steps


@page.claim("From $\\eta = {}$ up to the border the two losses differ by less than {}.")
def test_the_stripes_and_the_borders_of_the_maps():
    ends, apart = {}, []
    for k, rule in ((2, momentum_l2), (3, sgdw)):
        fig = page.figure(k)
        (rates, decays), ends[rule] = fig.places(60, 18), fig.values(60, 18)
        for row, decay in enumerate(decays.tolist()):
            theory, cell, lost = border(rule, decay), rates[1] / rates[0], ends[rule].lost[row]
            assert lost[rates > theory * cell].all() and not lost[rates < theory].any()
    for row, decay in enumerate(decays.tolist()):
        kept = (rates > 0.1) & (rates < 0.9 * border(sgdw, decay))
        for outcome in ends.values():
            apart += (outcome.above[row, kept] / bowl(ridge(decay)).float() - 1).abs().tolist()
    return 0.1, Below(apart)


@page.claim(
    r"At $\lambda = {}$ L2 ends at $\eta = {}$ and decoupled decay at {}, hardly to be told apart. At $\lambda = {}$ L2 bears {} "
    r"and decoupled decay {}, at $\lambda = {}$ it is {} against {}.",
    "just right of its border at $\\lambda = {}$ and look at the path",
    "The largest $h$ decides, here {}.",
    r"so L2 bears $\eta\lambda$ up to {}.",
)
def test_the_borders_named_on_the_page():
    values = [(decay, border(momentum_l2, decay), border(sgdw, decay)) for decay in (0.01, 10.0, 100.0)]
    limits = [1e6 * border(rule, 1e6) for rule in (momentum_l2, sgdw)]
    assert limits[1] == pytest.approx(2, rel=1e-3)
    return *(x for row in values for x in row), 10, 10, limits[0]


def test_the_bright_streak_passes_the_minimum_of_the_data():
    decays, rates = torch.tensor([0.03, 0.1, 0.3], dtype=FLOAT), torch.logspace(-3, -1, 201, dtype=FLOAT)
    grid = {"lr": rates.repeat(3), "decay": decays.repeat_interleave(201)}
    for rule in (momentum_l2, sgdw):
        ends = torch.vmap(bowl)(sweep(rule, bowl, START, 300, keep="end", **grid)).view(3, 201)
        low, best = ends.min(dim=1)
        assert (low < ends[:, -1] / 3).all() and (0.004 < rates[best]).all() and (rates[best] < 0.02).all()
        later = sweep(rule, bowl, START, 1500, keep="end", lr=rates[best], decay=decays)
        torch.testing.assert_close(later, torch.stack([ridge(x) for x in decays.tolist()]), rtol=0, atol=0.01)


def test_right_of_its_border_the_decoupled_rule_swings_across_the_valley():
    still, swinging = (
        sweep(rule, bowl, START, 200, lr=0.195, decay=10.0)[:, 0] - ridge(10.0) for rule in (momentum_l2, sgdw)
    )
    along = torch.tensor([math.cos(math.radians(-30)), math.sin(math.radians(-30))], dtype=FLOAT)
    assert swinging[-1].norm() > 2 * swinging[-100].norm() and still[-1].norm() < 0.01
    assert (swinging[-1] @ along).abs() < 0.01 * swinging[-1].norm()
    assert ((swinging[-50:] * swinging[-51:-1]).sum(1) < 0).all()  # from side to side


# A hundred digits


def digit_outcomes(name):
    """Of the networks on a hundred digits, by strength: with clean labels, and with 20 wrong ones. Each (seeds,)"""
    record = recorded("weight_decay_digits")
    return [dict(zip(record.settings["strengths"], record[name][:, k].unbind(1), strict=True)) for k in (0, 1)]


@page.claim(
    "A network of {} weights learns {} digits by heart: its loss on them falls to {}, and its loss",
    "Now a real network, {} inputs, {} hidden units, {} classes, and {} handwritten digits to learn from.",
    "for {} steps over all {}, with $\\eta = 1$ and $m = {}$.",
    "rises from {} without decay to more than 1 at {}.",
)
def test_the_network_and_its_training():
    weights, settings = study.initial_weights(0, 1), recorded("weight_decay_digits").settings
    count, (training, _) = sum(w.numel() for w in weights), digit_outcomes("training")
    x, y, *_ = study.hundred_digits(0)
    curve = recorded("weight_decay_digits")["curve"][:, 0, 0]
    assert (training[0.003] > 10 * training[0]).all()  # tenfold and more
    assert (curve[:, -1] > curve.amin(1)).all() and (curve[:, 0] > 1.5 * curve[:, -1]).all()  # after a while, it rises
    low = training[0].mean().item()
    assert (training[0.1] > 1).all()
    return count, len(x), low, 64, 32, y.shape[1], len(x), settings["steps"], len(x), 0.9, low, 0.1


@page.claim(
    "is lower at $\\lambda = 0.003$ in {} of the {} runs, by up to {}, by a fifth on average; in the eighth, the best without "
    r"decay, it is {} higher; from $\lambda = {}$ on it is higher than without decay",
    r"{} to {} without decay, {} to {} at $\lambda = {}$",
    "With clean labels {} to {} without decay, and hardly more with it. With {} wrong labels {} to {} without decay, {} to {} at "
    "a decay of {}.",
)
def test_decay_lowers_the_validation_loss_by_a_fifth_and_hardly_moves_accuracy():
    (loss, _), (right, wrong) = digit_outcomes("validation"), digit_outcomes("right")
    lower = loss[0.003] < loss[0]
    assert (loss[0].argmin() == (~lower).double().argmax()) and (loss[0.03] > loss[0]).all()
    assert (loss[0.1] > loss[0.03]).all()
    assert 1 - (loss[0.003].mean() / loss[0].mean()).item() == pytest.approx(0.2, abs=0.03)  # a fifth
    assert (right[0.003].mean() - right[0].mean()).abs() < 0.02 < wrong[0.03].mean() - wrong[0].mean()
    rises = (loss[0.003] - loss[0]).max()
    clean = right[0].min(), right[0].max()
    return (
        lower.sum(),
        len(lower),
        1 - (loss[0.003] / loss[0]).min(),
        rises,
        0.03,
        *clean,
        right[0.003].min(),
        right[0.003].max(),
        0.003,
        *clean,
        20,
        wrong[0].min(),
        wrong[0].max(),
        wrong[0.03].min(),
        wrong[0.03].max(),
        0.03,
    )


@page.claim(
    "falls from {} to {} at $\\lambda = 0.003$, to {} at 0.1 |",
    "the outputs move by {}, then {}, then {} |",
    "the norm of the parameters falls from {} to {}, and how far the outputs move from {} to {}.",
    "are nudged by noise of {}:",
)
def test_the_norm_falls_and_the_outputs_move_less():
    (norm, _), (moved, _) = digit_outcomes("norm"), digit_outcomes("moved")
    record = recorded("weight_decay_digits")
    assert (record["norm"].diff(dim=-1) < 0).all() and (record["moved"].diff(dim=-1) < 0).all()
    return (
        norm[0],
        norm[0.003],
        norm[0.1],
        moved[0],
        moved[0.003],
        moved[0.1],
        norm[0],
        norm[0.1],
        moved[0],
        moved[0.1],
        record.settings["nudge"],
    )


@page.claim(
    "Now {} of the {} labels are random lies.",
    r"In {} of the {} runs the loss is lowest at $\lambda = {}$, about {} of what it is without decay.",
    "No: it is highest at {} in most, and goes from about {} to about {}, up in each of the eight.",
    "it is lowest at {} to {}, with {} wrong ones at {}: there between {} and {}, without decay between {} and {}.",
)
def test_with_wrong_labels_the_best_decay_is_larger_and_accuracy_moves():
    (clean, loss), (_, right) = digit_outcomes("validation"), digit_outcomes("right")
    strengths = list(loss)
    lowest = torch.stack([*loss.values()]).argmin(0)
    assert ((torch.stack([*right.values()]).argmax(0) == strengths.index(0.03)).sum() > 4).item()
    assert (right[0.03] > right[0]).all()
    best = {strengths[k] for k in torch.stack([*clean.values()]).argmin(0)}
    labels = (study.hundred_digits(0, 20)[1] != study.hundred_digits(0)[1]).any(1)
    return (
        labels.sum(),
        len(labels),
        (lowest == strengths.index(0.01)).sum(),
        len(lowest),
        0.01,
        (loss[0.01] / loss[0]).median().item(),
        0.03,
        About(right[0]),
        About(right[0.03]),
        min(best),
        max(best),
        20,
        0.01,
        loss[0.01].min(),
        loss[0.01].max(),
        loss[0].min(),
        loss[0].max(),
    )


@page.claim(
    "in {} of the eight runs it ends below the best moment of the run without it.",
    "The best moment, between the steps {} and {}, is below the end with $\\lambda = {}$ in {} of the eight runs",
    "falls until about step {} and then rises to between {} and {}; with a decay of {} it stays between {} and {}.",
)
def test_stopping_early_loses_on_clean_labels_and_is_even_on_wrong_ones():
    record = recorded("weight_decay_digits")
    curve, strengths, every = record["curve"], record.settings["strengths"], record.settings["every"]
    clean, noisy = curve[:, 0], curve[:, 1]
    decayed = clean[:, strengths.index(0.003), -1] < clean[:, 0].amin(1)
    end = noisy[:, strengths.index(0.01), -1]
    stopped = noisy[:, 0].amin(1) < end
    moment = every * (noisy[:, 0].argmin(1) + 1)
    rise = noisy[:, 0, -1]
    return (
        decayed.sum(),
        moment.min(),
        moment.max(),
        0.01,
        stopped.sum(),
        moment.median().item(),
        rise.min(),
        rise.max(),
        0.01,
        end.min(),
        end.max(),
    )


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_stopping_early_leaves_a_share_along_each_eigenvector(steps):
    lr, h = 0.1, torch.tensor([1.0, 10.0], dtype=FLOAT)
    at = {"x": 1.0, "y": 1.0, "condition_number": 10.0, "angle": 0.0}
    path = sweep(gradient_descent, bowl, (0.0, 0.0), steps, lr=lr * 0.5, **at)[-1, 0]
    torch.testing.assert_close(path, 1 - (1 - lr * 0.5 * h) ** steps, rtol=1e-12, atol=1e-12)


def test_stopping_early_is_a_decay_of_one_over_rate_and_steps():
    """The shares of both, for flat and steep directions: never more than a third apart, and equal at the flat end."""
    lr, t = 0.1, 1000
    h = torch.logspace(-3, 2, 101, dtype=FLOAT) / (lr * t)
    ratio = (1 - (1 - lr * h) ** t) / shrinkage(h, 1 / (lr * t))
    assert 1 <= ratio.min() and ratio.max() < 4 / 3 and ratio[0] == pytest.approx(1, abs=1e-3)


# Weights, and not biases


@page.claim(
    r"At every useful strength, up to $\lambda = {}$, by less than {} in any run, where the decay itself is worth {} on average:",
    "whether the decay goes through the average: less than {}.)",
    "Only at {}, where the network is crippled anyway, sparing the biases is better in each of the eight runs, by {} to {}.",
    "it stays at 0 up to a decay of {}. At {} sparing the biases lowers the loss by {} to {}, L2 by about {}.",
)
def test_on_digits_neither_biases_nor_the_form_matter_at_useful_strengths():
    record, strengths = recorded("weight_decay_forms"), recorded("weight_decay_forms").settings["strengths"]
    useful = strengths.index(0.01) + 1
    loss, spared, l2 = (record[name] for name in ("decoupled", "spared", "l2"))
    torch.testing.assert_close(loss, recorded("weight_decay_digits")["validation"][:, 0], rtol=1e-3, atol=0)
    worth = (loss[:, 0] - loss[:, strengths.index(0.003)]).mean().item()
    assert (spared[:, -1] < 0).all()
    gain = (-spared[:, -1]).min(), (-spared[:, -1]).max()
    return (
        0.01,
        Below(spared[:, :useful].abs()),
        worth,
        Below(l2[:, :useful].abs()),
        strengths[-1],
        *gain,
        0.01,
        strengths[-1],
        *gain,
        About((-l2[:, -1]).median()),
    )


@page.claim(
    "between {} and {} in five draws of {} digits.",
    r"At $\lambda = {}$ that is lost among the errors of the rest",
    "At a decay of 0.1: {} to {} whether the bias decays or not. At a decay of 1: {} to {} where the bias decays, {} to {} where "
    "it is spared.",
)
def test_the_bias_of_a_linear_model_shrinks_as_the_formula_says():
    record = recorded("weight_decay_bias")
    mean, bias, error = record["mean"], record["bias"], record["error"]  # (seeds, strengths, decayed or spared)
    shares = shrinkage(1.0, torch.tensor(record.settings["strengths"], dtype=FLOAT))
    torch.testing.assert_close(bias[:, :, 0], mean[:, None] * shares, rtol=1e-3, atol=0)
    torch.testing.assert_close(bias[:, :, 1], mean[:, None].expand(5, 2), rtol=1e-3, atol=0)
    difference = (error[:, 0, 0] - error[:, 0, 1]).sign()
    assert difference.min() < 0 < difference.max() and (error[:, 1, 0] > 1.4 * error[:, 1, 1]).all()
    weak, (decayed, spared) = error[:, 0], error[:, 1].T
    limits = (x for values in (weak, decayed, spared) for x in (values.min(), values.max()))
    return mean.min(), mean.max(), 100, record.settings["strengths"][0], *limits


# What goes wrong


def test_a_word_that_does_not_occur_is_forgotten():
    words = nn.Embedding(3, 1)
    nn.init.ones_(words.weight)
    optimizer = torch.optim.SGD(words.parameters(), lr=0.1, weight_decay=0.01)
    for _ in range(1000):
        optimizer.zero_grad()
        words(torch.tensor([0])).sum().backward()
        optimizer.step()
    assert words.weight[2].item() == pytest.approx(0.999**1000, rel=1e-3) == pytest.approx(0.368, abs=5e-4)


def test_only_a_parameter_without_a_gradient_is_left_alone():
    zero, none = (torch.ones(1, requires_grad=True) for _ in range(2))
    zero.grad = torch.zeros(1)
    torch.optim.SGD([zero, none], lr=0.1, weight_decay=0.01).step()
    assert zero.item() == pytest.approx(0.999) and none.item() == 1


@page.claim(
    "A loss that is a sum over {} examples has {} times the curvature of their mean, so the same $\\lambda$ is {} times"
)
def test_a_sum_over_the_batch_divides_the_decay_by_its_size():
    for examples in (8, 128):
        generator = torch.Generator().manual_seed(0)
        X, y = (torch.randn(shape, generator=generator, dtype=FLOAT) for shape in ((examples, 4), (examples,)))
        eye = torch.eye(4, dtype=FLOAT)
        of_sum = torch.linalg.solve(X.T @ X + 0.3 * eye, X.T @ y)
        of_mean = torch.linalg.solve(X.T @ X / examples + 0.3 / examples * eye, X.T @ y / examples)
        torch.testing.assert_close(of_sum, of_mean, rtol=1e-12, atol=0)
    return 128, 128, 128


@page.claim(r"So multiply the weights $W$ before it by {}, and the network computes the same.")
def test_before_a_batch_norm_the_size_of_the_weights_has_no_effect_but_on_the_gradient():
    for seed in range(3):
        split, model = digits(100, 600, seed=seed), study.normalized_network(seed)
        W, seen = model[0].weight, []
        for _ in range(2):
            loss = cross_entropy(model(split.x_train), split.y_train)
            (slope,) = torch.autograd.grad(loss, W)
            seen.append((loss.item(), slope.norm().item()))
            assert ((W * slope).sum() / W.norm()).abs() < 1e-4 * slope.norm()  # the gradient is at right angles to W
            after = W - 0.1 * slope
            turned = torch.cosine_similarity(W.flatten().double(), after.flatten().double(), dim=0).acos().item()
            assert turned == pytest.approx(0.1 * slope.norm().item() / W.norm().item(), rel=0.02)  # η‖∇J‖/‖W‖
            W.data *= 10
        (loss, size), (same, small) = seen
        assert same == pytest.approx(loss, abs=1e-4) and size / small == pytest.approx(10, rel=0.01)
    return 10


@page.claim(
    r"$\lambda = {}$ for {} steps at $\eta = {}$, makes it {} times shorter and the effective rate about {} times as large",
    "without decay of the layer before the norm {} to {}, with a decay of {} from {} to {}.",
)
def test_decay_before_a_batch_norm_is_a_larger_rate_and_no_gain_here():
    record = recorded("weight_decay_before_norm")
    settings, (without, with_decay) = record.settings, record["validation"].T
    shorter = record["norm"][:, 0] / record["norm"][:, 1]
    assert (with_decay > without).all()
    strength = settings["strengths"][1]
    return (
        strength,
        settings["steps"],
        settings["lr"],
        shorter,
        shorter**2,
        without.min(),
        without.max(),
        strength,
        with_decay.min(),
        with_decay.max(),
    )


# In PyTorch


def test_the_spellings_in_pytorch():
    own, steps = {"lr": 0.2, "momentum": 0.9, "decay": 0.02}, 60
    sgd = {"lr": 0.02, "momentum": 0.9}

    def fit(make, **settings):
        return fitted_weights(make, steps=steps, **settings)

    l2, apart = (fit(lambda p, rule=rule: Optimizer(p, rule, **own)) for rule in (momentum_l2, sgdw))
    assert (l2 - fit(lambda p: torch.optim.SGD(p, weight_decay=0.02, **sgd))).abs().max() < 1e-12
    assert (apart - fit(lambda p: torch.optim.SGD(p, **sgd), shrink=0.2 * 0.02)).abs().max() < 1e-12
    assert (l2 - apart).abs().max() > 1e-4
    still = [fit(lambda p, rule=rule: Optimizer(p, rule, **own | {"momentum": 0.0})) for rule in (momentum_l2, sgdw)]
    assert (still[0] - still[1]).abs().max() < 1e-12


test_changed_numbers_are_noticed = page.test_of_numbers()
