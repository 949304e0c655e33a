"""What the chapter on Adadelta and RMSprop says, bound to its records, to its figures and to algebra."""

import math

import pytest
import torch
from claims import About, Above, Below, Page
from torch.func import grad

from course_lib.experiments import Optimizer, recorded, sweep
from course_lib.experiments.replay import replay
from course_lib.experiments.studies import adadelta_rmsprop as study
from course_lib.experiments.studies.adagrad import fit_product
from course_lib.formulas import adadelta, adagrad, quadratic, rmsprop, rmsprop_torch, rosenbrock
from course_lib.formulas.signature import signature

page = Page("optimizers/adadelta_rmsprop")
DOUBLE = torch.float64
RMS_EPS, ADA_EPS = (signature(rule).hyper["eps"] for rule in (rmsprop, adadelta))


# What the figures begin with: cheap, so that a changed setting is noticed at once


@page.claim(r"Raise $\eta$ to {}. Does a five times longer step")
def test_the_first_figure(page):
    fig = page.figure(0)
    assert fig.start == [-2.0, -1.0] and fig.steps == 300 and fig.spec["domain"] == [[-2.5, 2], [-1.5, 3]]
    return 5 * fig.lr


@page.claim(
    "RMSprop on a valley of condition number {}, without any noise.",
    r"Halve $\eta$ to {}. What happens to the loss at the end?",
    r"Raise $\kappa$ to {}, at $\eta = {}$.",
)
def test_the_second_figure(page):
    fig = page.figure(1)
    assert fig.steps == 400 and fig.start == [-2.2, 1.2]
    return fig.condition_number, fig.lr / 2, 100, fig.lr


@page.claim(r"Raise $\epsilon$ to ${}$: it only keeps a division defined", r"Raise $\epsilon$ to ${}$. ")
def test_the_third_figure(page):
    fig = page.figure(2)
    assert fig.condition_number == 20 and fig.steps == 300 and fig.eps == ADA_EPS
    return 1e-4, 1e-2


def test_the_last_figure_s_rule_is_at_first_rmsprop():
    fig = page.figure(3)
    assert fig.steps == 400 and fig.lr == 0.2 and fig.condition_number == 20 and fig.half == 50
    fig.half, fig.steps = 1e12, 50
    torch.testing.assert_close(fig.path["fading"], fig.path["rmsprop"], atol=1e-9, rtol=0)


@page.claim("RMSprop with a schedule built in: the rate is halved after `half` steps")
def test_the_last_figure(page):
    fig = page.figure(3)
    assert (fig.steps, fig.lr, fig.condition_number, fig.half) == (400, 0.2, 20, 50)


@page.claim(
    "At {} it still swings by {} at the end;",
    "At {} the run is within {} of the minimum. At {} the steps have run out {} before it, at {} it is {}.",
)
def test_how_fast_the_last_figure_s_rate_may_fall():
    fig, ends = page.figure(3), {}
    for fig.half in (50.0, 20.0, 10.0, 5.0, 2.0, 1.5, 1.0):
        ends[fig.half] = fig.path["fading"][-1].abs()
    swings = torch.stack([end.max() for half, end in ends.items() if half > 1.5])
    assert (swings.diff() < 0).all()
    return 50, ends[50.0].max(), 2, Below(ends[2.0]), 1.5, ends[1.5][0], 1, ends[1.0][0]


# The updates


@page.claim(
    r"the weight of the past, {} | a number in",
    r"${}$ in RMSprop, ${}$ in Adadelta | a small number",
    r"The slide and Hinton's lecture have {}; PyTorch has {}.",
    r"and the first step {} times: ${}\,\eta$.",
    "multiplies the step by `lr`, with the default 1. Some libraries have had {} there",
    r"$\eta = {}$, `alpha=0.99`, `eps=1e-8` outside the root",
    r"PyTorch's default for RMSprop is $\gamma = {}$, a window of {} steps.",
    "`torch.optim.Adadelta(params, rho=0.9, eps=1e-6)` with `lr=1.0`",
)
def test_the_defaults():
    torchs = torch.optim.RMSprop([torch.zeros(1)]).defaults
    zeilers = torch.optim.Adadelta([torch.zeros(1)]).defaults
    gamma = signature(rmsprop).hyper["gamma"]
    assert torchs["eps"] == RMS_EPS and zeilers["eps"] == ADA_EPS and zeilers["rho"] == gamma and zeilers["lr"] == 1
    first = [1 / math.sqrt(1 - x) for x in (gamma, torchs["alpha"])]
    return (
        gamma,
        RMS_EPS,
        ADA_EPS,
        gamma,
        torchs["alpha"],
        first[1] / first[0],
        first[1],
        0.001,
        torchs["lr"],
        torchs["alpha"],
        1 / (1 - torchs["alpha"]),
    )


def test_read_literally_the_slide_begins_with_gradient_descent():
    gamma, eps = 0.9, 1e-6
    for size in (1e-2, 1.0, 100.0):
        v = (1 - gamma) * size**2
        ratio = size**2 / (v + eps)
        squared = eps * ratio / (1 - (1 - gamma) * ratio)  # solves Δ² = ((1 − γ) Δ² + ε) g² / (v + ε)
        assert math.sqrt(squared) == pytest.approx(size, rel=1e-5)


# The window


@page.claim(
    r"for $\gamma = {}$ that is a window of {} steps, with {} of the weight.",
    "a gradient of {} steps ago still has an eighth of the weight of the present one.",
    r"${}\,\eta$ for $\gamma = {}$, ${}\,\eta$ for PyTorch's {}. No later one is longer.",
    r"After a gradient {} times as large as the others, the average needs some {} steps with $\gamma = {}$ until half",
)
def test_weights_of_the_window():
    assert 0.9**20 == pytest.approx(1 / 8, abs=0.005)
    old, new, steps = (1 - 0.9) * 1000.0**2, 0.0, 0
    while old > new:
        old, new, steps = 0.9 * old, 0.9 * new + 0.1, steps + 1
    first = [1 / math.sqrt(1 - gamma) for gamma in (0.9, 0.99)]
    return 0.9, 10, 1 - 0.9**10, 20, first[0], 0.9, first[1], 0.99, 1000, About(steps + 2), 0.9


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("gamma", [0.9, 0.99])
def test_the_first_step_is_the_longest(seed, gamma):
    size, side = torch.randn(2, 100, 1000, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    length = replay(rmsprop, side * 10**size, lr=1.0, gamma=gamma, eps=0.0).diff(dim=0).abs()
    assert length.max() <= (1 - gamma) ** -0.5 + 1e-9
    torch.testing.assert_close(length[0], torch.full_like(length[0], (1 - gamma) ** -0.5))


@page.claim(r"in {} steps it ends at a loss of {} with $\eta = {}$, and at {} with $\eta = 1$.")
def test_adagrad_does_not_forget_the_wall():
    ends = sweep(adagrad, rosenbrock, (-2.0, -1.0), 300, lr=torch.tensor([0.3, 1.0]), keep="end")
    return 300, rosenbrock(ends[0]), 0.3, rosenbrock(ends[1])


@page.claim(
    "$v$ rises to almost six million and falls again: at step {} that of $x$ is {}. The steps are as long on the floor as on the "
    "wall, and the run ends at a loss of {}.",
    "Hardly: it ends at {}.",
    r"No, the loss is {}. The run jumps from wall to wall: its last {} steps are ${} = \sqrt2\,\eta$ long",
)
def test_rmsprop_forgets_the_wall():
    fig = page.figure(0)
    path, loss = fig.path, fig.losses[-1].item()
    slopes = torch.vmap(grad(rosenbrock))(path[:200])
    v = torch.zeros(2, dtype=DOUBLE)
    vs = torch.stack([v := 0.9 * v + 0.1 * g**2 for g in slopes])
    assert 5.5e6 < vs.max() < 6e6
    fig.start = [-1.0, 1.0]
    easier = fig.losses[-1].item()
    fig.start, fig.lr = [-2.0, -1.0], 0.1
    jump = fig.path.diff(dim=0)[-50:].norm(dim=1).mean().item()
    assert jump == pytest.approx(math.sqrt(2) * fig.lr, abs=0.003)
    return 200, v[0], loss, easier, fig.losses[-1].item(), 50, jump


@page.claim(
    "Each of {} runs, for each of {} seeds, has the loss",
    r"Adagrad has $\eta = {}$ here, RMSprop {}:",
    "RMSprop needs {} steps, however old it is. Adagrad needs {} after {} steps and {} after {}.",
    "Adagrad rises from {} to {}. RMSprop stays at {} and Adadelta between {} and {}.",
    "Adagrad's falls from {} after {} steps to {} after {}. RMSprop's stays at {}. Adadelta's rises to {} and stays there.",
)
def test_who_follows_a_minimum_that_moves():
    record, lr = recorded("rmsprop_follow"), study.FOLLOWERS
    times = record.settings["times"]
    at = {t: record["adagrad"][:, k] for k, t in enumerate(times)}
    rms, ada = record["rmsprop"], record["adadelta"]
    assert ((rms - 17).abs() <= 1).all()
    falls, stays, rises = (record[f"{name}_variance"] for name in lr)  # (seeds, times)
    assert ((stays[:, 1:] / (lr["rmsprop"]["lr"] / 2) - 1).abs() < 0.12).all()
    assert (falls[:, -1] < stays[:, -1] / 8).all() and ((rises[:, 3:] / rises[:, -1:] - 1).abs() < 0.2).all()
    first, last = times[0], times[-1]
    return (
        record.settings["runs"],
        len(record.seeds),
        lr["adagrad"]["lr"],
        lr["rmsprop"]["lr"],
        rms[:, 1:].median(),
        at[100],
        100,
        at[last],
        last,
        at[first],
        at[last],
        rms[:, 1:].median(),
        ada.min(),
        ada.max(),
        About(falls[:, 0].median()),
        first,
        falls[:, -1].median(),
        last,
        stays[:, -1].median(),
        rises[:, -1].median(),
    )


# It never comes to rest


@page.claim(
    "The loss falls far below ${}$ at first.",
    "It falls below ${}$, rises again by itself from about step {} on, and stays at {} for good.",
    "It is {} at the end, a quarter.",
    "No: it is {} on either side in both coordinates, as before.",
    "costs more on a steeper wall: the loss is {}.",
    r"the loss stays at $(1 + \kappa)\,\eta^2/8$: {} in the figure.",
)
def test_the_loss_at_which_rmsprop_swings():
    fig, ends = page.figure(1), []
    falling = fig.losses
    for fig.lr, fig.condition_number in ((0.2, 20.0), (0.1, 20.0), (0.2, 100.0)):
        end = fig.path[-1].abs()
        torch.testing.assert_close(end, torch.full_like(end, fig.lr / 2), rtol=0.01, atol=0)
        ends.append(fig.losses[-1].item())
        assert ends[-1] == pytest.approx((1 + fig.condition_number) * fig.lr**2 / 8, rel=0.02)
    lowest = falling.argmin().item()
    assert falling[lowest] < 1e-15 and 36 <= lowest <= 40
    return 1e-10, 1e-15, About(lowest), ends[0], ends[1], fig.lr / 2, ends[2], 21 * 0.2**2 / 8


@page.claim(r"with $\epsilon = {}$ and $\lambda = 1$ below $\eta = {}$.")
def test_only_eps_stops_the_swing():
    lr, eps = torch.tensor([1e-3, 0.1, 1e-4, 1e-3], dtype=DOUBLE), torch.tensor([1e-8, 1e-3, 1e-8, 1e-6], dtype=DOUBLE)
    x, v = 100 * lr, torch.zeros(4, dtype=DOUBLE)
    for t in range(1, 2501):
        x, v = rmsprop(x, x, t, v, lr=lr, eps=eps)  # on x²/2
    radius = (lr**2 / 4 - eps).clamp(min=0).sqrt()
    torch.testing.assert_close(x.abs(), radius, rtol=1e-3, atol=1e-9)
    assert (x.abs() < 1e-9).tolist() == (lr < 2 * eps.sqrt()).tolist() == [False, False, True, True]
    return RMS_EPS, 2 * math.sqrt(RMS_EPS)


@page.claim(
    "Loss over {} steps, logarithmic. With a constant rate it ends at {}. With the rate falling like one over the root of t it ends "
    "more than a {} times lower, with a rate that falls linearly to zero below 10 to the {}."
)
def test_a_schedule_brings_it_to_rest():
    schedules = lambda t: 1.0, lambda t: (1 + t) ** -0.5, lambda t: 1 - t / 400
    losses = [study.scheduled_losses(factor) for factor in schedules]
    constant, root, linear = (x[-1] for x in losses)
    assert root < constant / 100 and linear < 1e-12
    return len(losses[0]), About(constant), 100, -12


# The argument of the units


@page.claim(
    r"\approx \sqrt{\frac{\epsilon}{1 - \gamma}} = {} $$ for $\epsilon = {}$.",
    "The first steps are {} long, and the minimum is {} away.",
    "After {} steps. A slow start is the price",
    "After {} steps the loss is still {}.",
    "The run is halfway after {} steps. The loss falls below ${}$ at step {} and then *rises*, to {} at step {}: along $y$, with the "
    "curvature {}, Adadelta",
    "ends at a loss of about {}, a third of the {} at which it started.",
)
def test_eps_is_the_learning_rate_of_adadelta():
    fig, halfway, losses = page.figure(2), [], []
    first = (fig.path[1] - fig.path[0]).abs()[0].item()
    assert first == pytest.approx(math.sqrt(fig.eps / 0.1), rel=0.02)
    for fig.eps in (1e-6, 1e-4, 1e-2):
        halfway.append(int((fig.path[:, 0] < fig.start[0] / 2).long().cumprod(0).sum()))
        losses.append(fig.losses)
    assert losses[1][150] < 1e-8 and halfway[2] < 6
    return (
        math.sqrt(ADA_EPS / 0.1),
        ADA_EPS,
        About(first),
        math.hypot(*fig.start),
        halfway[0],
        fig.steps,
        losses[0][-1],
        halfway[1],
        1e-8,
        150,
        losses[1][-1],
        fig.steps,
        fig.condition_number,
        About(losses[2][-1]),
        losses[2][0],
    )


@page.claim(
    r"the squared step does not grow by $\epsilon$ a step but by $\epsilon\,(1 - {}/\lambda^2)$. For a curvature above {} this,"
)
def test_around_a_minimum_the_squared_step_grows_for_a_curvature_above_two():
    curvature = torch.tensor([1.0, 1.5, 1.9, 2.1, 3.0, 5.0, 20.0], dtype=DOUBLE)
    for eps in (1e-4, 1e-3):
        x, squares = torch.full_like(curvature, 1.2), []
        v = u = torch.zeros_like(x)
        for t in range(1, 3001):
            before, (x, v, u) = x, adadelta(x, curvature * x, t, v, u, eps=eps)
            squares.append((x - before) ** 2)
        growth = (squares[-1] - squares[-1001]) / 1000 / eps
        torch.testing.assert_close(growth, (1 - 4 / curvature**2).clamp(min=0), atol=0.005, rtol=0)
        assert (x[:3].abs() < 1e-9).all()  # it comes to rest
    return 4, 2


@page.claim(
    r"to move by 1 takes {} steps with $\epsilon = {}$.",
    r"Adadelta takes steps of about ${}\sqrt\epsilon$, for ever. With $\epsilon = {}$, the value of the paper and of PyTorch, that is a "
    "fixed rate of {}, chosen",
    "over {} steps, both logarithmic, with the range over {} seeds. Both begin at {}. On a slope the steps grow, to {}; under noise they "
    "settle between {} and {}.",
    "this $\\epsilon$ has the units m²",
)
def test_the_hidden_rate_grows_on_a_slope_and_settles_under_noise():
    record = recorded("adadelta_hidden_rate")
    times, slope, noise = record.settings["times"], record["slope"], record["noise"]
    growth = (record["slope_u"][0, -1] - record["slope_u"][0, -2]) / (times[-1] - times[-2])
    assert growth.item() == pytest.approx(0.1, rel=1e-3)  # (1 − γ) ε a step
    assert ((record["noise_u"][:, -2:] - 7).abs() < 0.1).all()
    away = replay(adadelta, torch.ones(300, 1, dtype=DOUBLE))[:, 0]
    settled = noise[:, -1]
    rate = settled.median() * math.sqrt(ADA_EPS)
    return (
        int((away > -1).sum()),
        ADA_EPS,
        settled.median(),
        ADA_EPS,
        rate,
        times[-1],
        len(record.seeds),
        slope[0, 0],
        slope[0, -1],
        settled.min(),
        settled.max(),
    )


def test_under_noise_g_squared_over_v_stays_below_one():
    g = torch.randn(1000, 5000, generator=torch.Generator().manual_seed(0))
    v, ratios = torch.zeros(5000), []
    for one in g:
        v = 0.9 * v + 0.1 * one**2
        ratios.append((one**2 / v).mean())
    assert torch.stack(ratios[500:]).mean() < 1


def test_on_a_long_slope_the_step_grows_like_a_root():
    w = replay(adadelta, torch.ones(10_000, 1, dtype=DOUBLE))[:, 0]
    step = (w[-2] - w[-1]).item()
    assert step == pytest.approx(math.sqrt(0.1 * ADA_EPS * 10_000), rel=0.01)


@page.claim(
    r"$\sqrt\epsilon$ stays {} and is now a micrometer.",
    "From a start at 1 the run is halfway at step {} and comes to rest. From {} the first step is already too long, and the run is thrown "
    "out to more than {} times its start. From {} it has hardly moved after {} steps.",
    "The distance from the minimum in units of the start, over {} steps",
)
def test_the_units_do_not_hold_for_eps():
    units = torch.tensor([1e-3, 1.0, 1e3], dtype=DOUBLE)
    path = sweep(adadelta, study.bowl, units[:, None], 3000, unit=units)[..., 0] / units  # (steps + 1, units)
    small, one, large = path.T
    halfway = int((one > 0.5).long().cumprod(0).sum())
    assert small[1] < 0.5 and large[-1] > 0.99 and one[-1].abs() < 1e-9
    return math.sqrt(ADA_EPS), halfway, 1e-3, Above(small[-10:].abs()), 1000, 3000, 3000


# On a network, tuned


def best(name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The errors (seeds,) at a contender's best setting, its settings with the best first, and the mean errors of all."""
    mean = recorded("rmsprop_tuned")[name].mean(0)
    order = mean.argsort()
    assert 0 < order[0] < 7, "the best setting lies inside the grid"
    return recorded("rmsprop_tuned")[name][:, order[0]], study.grid(tuple(name.rsplit("_", 1)))[order], mean


@page.claim(
    "A small network learns $x_1 x_2$ from noisy examples, {} a step, for {} steps. {} seeds (examples and first weights), {} settings",
    "the error on {} clean examples",
    "It divides RMSprop's error by {} to {}, and its best rate is then {} to {} times as large:",
    "even gradient descent ends lower on average than any rule without it, at {}, and Adagrad and RMSprop end at {} both.",
    "is ahead of both rules of this page on average, with {} against {} and {}.",
    "At a constant rate gradient descent, RMSprop and Adadelta end at about {}, Adagrad at {}. With the linear schedule gradient descent "
    "ends at about {}, Adagrad and RMSprop at about {}.",
)
def test_a_schedule_does_more_than_the_choice_of_the_rule():
    record = recorded("rmsprop_tuned")
    error = {name: best(name)[0] for name in record.outcomes}
    mean = {name: x.mean().item() for name, x in error.items()}
    constant = {n: x for n, x in mean.items() if n.endswith("constant")}
    falling = {n: x for n, x in mean.items() if n.endswith("linear")}
    assert max(falling.values()) < min(constant.values())
    for rule in ("gradient_descent", "adagrad", "rmsprop"):
        assert (error[f"{rule}_linear"] < error[f"{rule}_constant"]).all()
    gain = error["rmsprop_constant"] / error["rmsprop_linear"]
    at_rest, moving = best("rmsprop_linear")[1][0], best("rmsprop_constant")[1][:2]
    times = at_rest / moving
    others = torch.tensor([mean["gradient_descent_constant"], mean["rmsprop_constant"], mean["adadelta_constant"]])
    assert falling["adagrad_linear"] == pytest.approx(falling["rmsprop_linear"], rel=0.1)
    linear, low = mean["gradient_descent_linear"], falling["adagrad_linear"]
    return (
        16,
        record.settings["steps"],
        len(record.seeds),
        len(best("rmsprop_linear")[1]),
        2000,
        gain.min(),
        gain.max(),
        times.min(),
        times.max(),
        linear,
        low,
        mean["adagrad_constant"],
        mean["rmsprop_constant"],
        mean["adadelta_constant"],
        others.mean(),
        mean["adagrad_constant"],
        linear,
        low,
    )


@page.claim(
    r"Its two best settings are $\epsilon = {}$ and ${}$; a {} times smaller or larger than the best one",
    r"Translate $\epsilon$ into a length, ${}\sqrt\epsilon$, and draw",
    "The lengths of Adadelta's two best settings are {} and {}, RMSprop's two best rates {} and {}.",
    "Both lines have their lowest point between {} and {} and rise on both sides of it.",
)
def test_the_best_eps_of_adadelta_is_the_best_rate_of_rmsprop():
    _, eps, mean = best("adadelta_constant")
    _, rates, _ = best("rmsprop_constant")
    k = mean.argmin().item()
    assert min(mean[k - 2], mean[k + 2]) > 3 * mean[k]
    lengths = 2.6 * eps[:2].sqrt()
    low = [recorded("rmsprop_tuned")[f"{name}_constant"].median(0).values.argmin() for name in ("rmsprop", "adadelta")]
    places = study.grid(("rmsprop", "constant"))[low[0]], 2.6 * study.grid(("adadelta", "constant"))[low[1]].sqrt()
    assert all(0.003 < place < 0.01 for place in places)
    return *eps[:2], 100, 2.6, *lengths, *sorted(rates[:2].tolist(), reverse=True), 0.003, 0.01


# What goes wrong, and PyTorch


@page.claim(
    r"silences gradients below $\sqrt\epsilon = {}$ in the one and below ${}$ in the other.",
    r"A network of {} weights, {} steps of RMSprop with $\eta = {}$; the largest weights are between {} and {}.",
    "the worst weight is off by {} to {}, at ${}$ by {} to {}.",
    "at the default the difference becomes at least {} times smaller.",
    "With the same ε under the root it grows from {} to {} at the default to {} to {} at a ten-thousandth; with the square of ε it is "
    "at most about a fifth",
)
def test_how_far_eps_inside_and_outside_part():
    record = recorded("rmsprop_eps")
    same, square, largest = (record[name] for name in ("same", "square", "largest"))  # (seeds, ε)
    assert record.settings["eps"][0] == RMS_EPS and (square < 0.21 * same).all()
    default, large = same[:, 0], same[:, -1]
    weights, losses, *_ = fit_product(lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9))
    ends = default.min(), default.max(), large.min(), large.max()
    return (
        math.sqrt(RMS_EPS),
        RMS_EPS,
        len(weights),
        len(losses),
        record.settings["lr"],
        largest.min(),
        largest.max(),
        *ends[:2],
        record.settings["eps"][-1],
        *ends[2:],
        Above(default / square[:, 0]),
        About(ends[0]),
        About(ends[1]),
        *ends[2:],
    )


@pytest.mark.parametrize(
    ("kind", "options", "rule", "hyper"),
    [(torch.optim.RMSprop, {"alpha": 0.9}, rmsprop_torch, {"gamma": 0.9}), (torch.optim.Adadelta, {}, adadelta, {})],
    ids=["rmsprop", "adadelta"],
)
def test_the_network_equals_pytorch(kind, options, rule, hyper):
    torchs, *_ = fit_product(lambda p: kind(p, **options))
    ours, *_ = fit_product(lambda p: Optimizer(p, rule, **hyper))
    torch.testing.assert_close(ours, torchs, atol=1e-12, rtol=0)


def test_the_quadratic_of_the_schedules_is_the_figure_s():
    w = torch.tensor([-2.2, 1.2], dtype=DOUBLE)
    at = {"condition_number": torch.tensor(20.0, dtype=DOUBLE), "angle": torch.tensor(0.0, dtype=DOUBLE)}
    assert study.scheduled_losses(lambda t: 1.0, steps=1)[0] == pytest.approx(quadratic(w, **at).item())


test_changed_numbers_are_noticed = page.test_of_numbers()
