"""What the chapter on momentum says, bound to its records, to its figures and to algebra."""

import math

import pytest
import torch
from claims import About, Above, Below, Page
from torch.func import grad, jacrev, vmap

from course_lib.experiments import Optimizer, recorded, sweep
from course_lib.experiments.product_network import fitted_weights
from course_lib.formulas import SURFACES, gradient_descent, himmelblau, momentum, nesterov, quadratic, rosenbrock, sgd
from course_lib.formulas.convergence import best_momentum, critical_rates, least_error, stability_edge
from course_lib.formulas.signature import signature

page = Page("basics/momentum")
FLOAT = torch.float64


def final(fig, rule=None, **settings) -> float:
    """The loss at the end of a figure's path, or of one of its paths."""
    for name, value in settings.items():
        setattr(fig, name, value)
    losses = fig.losses
    return (losses if rule is None else losses[rule])[-1].item()


@page.claim(
    "The surface below is a quadratic, {} times as curved across as along: its condition number is $\\kappa = {}$. Both rules start "
    "at the ring and take {} steps",
    "Both rules use $\\eta = {}$, in the long run the best learning rate for gradient descent. With $m = {}$, which one is closer to "
    "the minimum after {} steps?",
    "With $\\eta = {}$ and $m = {}$ the ball gets around the bend, but not to the end in {} steps.",
    "Each pixel below is a run of {} steps from the same start. Its color says after how many steps the loss stays below {}; runs that "
    "diverge, and those that need more than {} steps",
)
def test_the_settings_of_the_figures(page):
    """All that is cheap to read off a figure, and what the tests below take for granted."""
    valley, rates, rosen, patience, basins, look_ahead, own = map(page.figure, range(7))
    assert valley.lr == pytest.approx(2 / (1 + valley.condition_number), rel=5e-3)
    assert (rates.condition_number, rates.lr, rates.momentum) == (10, 0.05, 0.5)
    assert (patience.lr, patience.momentum) == (rosen.lr, rosen.momentum) and patience.start == [-1.2, 1.0]
    assert list(patience.x_range) == [0.001, 0.3] and list(patience.y_range) == [0, 0.99]
    assert recorded("momentum_borders").settings["steps"][0] == patience.steps
    assert (basins.start, basins.lr, basins.momentum, basins.steps) == ([5, 5], 0.005, 0, 300)
    assert (look_ahead.lr, look_ahead.momentum, look_ahead.condition_number) == (0.03, 0.9, 20)
    assert own.condition_number == 20 and look_ahead.steps == 60
    return (
        valley.condition_number, valley.condition_number, valley.steps, valley.lr, valley.momentum, valley.steps,
        rosen.lr, rosen.momentum, rosen.steps, patience.steps, patience.goal, patience.steps,
    )


# The update


@page.claim(
    "| the momentum, usually {} | a number in",
    "Its memory is about $1/(1 - m)$ steps long: {} for $m = {}$.",
    "Here $b = \\Delta/(1 - m)$ is ten gradients long for $m = {}$.",
    "typed into `torch.optim.SGD` with `momentum=0.9`, makes steps ten times too long. And in PyTorch's form a change of "
    "$m$ from {} to {} also multiplies the steps by ten;",
    "With $m = {}$ the run begins with a step ten times as long.",
    "its weights add up to $1 - m^t$ only: {} after the first step with $m = {}$, {} after ten.",
)
def test_the_sizes_of_steps():
    usual = signature(momentum).hyper["momentum"]
    for m in (0.9, 0.99):
        lengths = constant_gradient(lambda w, m=m: Optimizer(w, momentum, lr=1.0, momentum=m), 2000)
        assert lengths == pytest.approx([1 - m**t for t in range(1, 2001)])
        longer = constant_gradient(lambda w, m=m: torch.optim.SGD(w, lr=1.0, momentum=m), 2000)[-1]
        assert longer == pytest.approx(1 / (1 - m))  # ten gradients, and a hundred
    return usual, 1 / (1 - usual), usual, usual, 0.9, 0.99, usual, 1 - usual, usual, 1 - usual**10


def constant_gradient(make_optimizer, steps):
    """The lengths of the steps under a gradient of 1."""
    w, lengths = torch.zeros(1, dtype=FLOAT, requires_grad=True), []
    optimizer = make_optimizer([w])
    for _ in range(steps):
        before, w.grad = w.item(), torch.ones_like(w)
        optimizer.step()
        lengths.append(before - w.item())
    return lengths


def test_the_other_spelling_takes_the_same_path_at_a_converted_rate():
    ours = constant_gradient(lambda w: Optimizer(w, momentum, lr=1.0, momentum=0.9), 50)
    assert constant_gradient(lambda w: torch.optim.SGD(w, lr=1.0 * (1 - 0.9), momentum=0.9), 50) == pytest.approx(ours)
    weights = fitted_weights(lambda p: Optimizer(p, momentum, lr=0.2, momentum=0.9), steps=60)
    theirs = fitted_weights(lambda p: torch.optim.SGD(p, lr=0.2 * (1 - 0.9), momentum=0.9), steps=60)
    assert (weights - theirs).abs().max() < 1e-12


def test_dampening_takes_a_first_step_ten_times_as_long():
    w = torch.zeros(1, dtype=FLOAT, requires_grad=True)
    w.grad = torch.ones_like(w)
    torch.optim.SGD([w], lr=0.1, momentum=0.9, dampening=0.9).step()
    ours, _ = momentum(torch.zeros(1, dtype=FLOAT), torch.ones(1, dtype=FLOAT), 1, 0.0, lr=0.1, momentum=0.9)
    assert w.item() / ours.item() == pytest.approx(10)


# In the valley


@page.claim("Gradient descent, by a factor of {}: a loss of {} against {}.")
def test_momentum_is_not_faster_at_the_same_rate():
    losses = page.figure(0).losses
    plain, average = (losses[rule][-1].item() for rule in ("gradient_descent", "momentum"))
    return average / plain, plain, average


@page.claim(
    r"every $\eta$ above $2/\lambda_{\max} = {}$ does that.",
    "Now raise $\\eta$ to {}. What happens to each?",
    "Keep $\\eta = {}$ and lower $m$ to {}. Then go the other way, to $m = {}$.",
    "With $m = {}$ the loss falls to {}, five million times lower than the best that gradient descent can do. With $m = {}$ it is "
    "{}, {} of what it was at the start",
)
def test_stability_buys_a_larger_rate():
    fig = page.figure(0)
    begin = fig.losses["momentum"][0].item()
    assert final(fig, "gradient_descent", lr=0.224) > 1e6 and fig.losses["momentum"][-1] < 0.01
    small, large = final(fig, "momentum", momentum=0.4), final(fig, "momentum", momentum=0.99)
    rates = torch.linspace(0.05, 0.1, 201, dtype=FLOAT)
    ends = sweep(gradient_descent, quadratic, fig.start, fig.steps, keep="end", lr=rates, condition_number=20)
    kappa = torch.tensor(20.0, dtype=FLOAT)
    best = vmap(lambda w: quadratic(w, condition_number=kappa))(ends).min().item()
    assert best / small == pytest.approx(5e6, rel=0.1)
    edge = sweep(
        gradient_descent, quadratic, fig.start, 1000, keep="end", lr=torch.tensor([0.099, 0.101]), condition_number=20
    )
    assert edge[0].norm() < 1e-4 and edge[1].norm() > 1e3
    return 2 / kappa, 0.224, 0.224, 0.4, 0.99, 0.4, small, 0.99, large, large / begin


# Why it works


@page.claim("from {} steps at {} to {} at {}, momentum half as steeply from {} to {}.")
def test_steps_for_one_more_digit():
    """The table of the page, against runs from the flat end of the valley."""
    for kappa, plain, best in ((10, 11, 3), (100, 115, 11), (1000, 1151, 36), (10_000, 11_513, 115)):
        rates = (kappa - 1) / (kappa + 1), (kappa**0.5 - 1) / (kappa**0.5 + 1)
        assert [-1 / math.log10(rate) for rate in rates] == pytest.approx([plain, best], abs=0.6)
    lr, m = (x.item() for x in best_momentum(torch.tensor(100.0, dtype=FLOAT)))
    for rule, hyper, steps in ((gradient_descent, {"lr": 2 / 101}, 115), (momentum, {"lr": lr, "momentum": m}, 11)):
        size = sweep(rule, quadratic, (1.0, 1.0), 20 * steps, condition_number=100, **hyper)[:, 0].norm(dim=1)
        digits = math.log10(size[10 * steps] / size[20 * steps])
        assert digits == pytest.approx(10, rel=0.08)  # at critical damping t ρ^t: a little less than ρ^t for long
    return 11, 10, 11_513, 10_000, 3, 115


@page.claim(
    "What is left after {} steps, with $\\kappa = {}$:",
    "Gradient descent leaves {} at both ends, momentum {}, the bound {}.",
    "Error left after {} steps over the curvature from 1 to {}, logarithmic. Gradient descent is a wide trough: {} at both ends. "
    "Momentum ends between {} at the left and {} at the right. The lower bound swings evenly, up to {}.",
)
def test_no_rule_of_gradients_beats_the_root_of_kappa():
    kappa, steps = torch.tensor(20.0, dtype=FLOAT), 20
    curvature = torch.linspace(1, 20, 20_001, dtype=FLOAT)
    (lr, m), x = best_momentum(kappa), torch.ones_like(curvature)
    y, delta = x, 0.0
    for t in range(1, steps + 1):
        x = gradient_descent(x, curvature * x, t, lr=2 / 21)
        y, delta = momentum(y, curvature * y, t, delta, lr=lr, momentum=m)
    least, rate = least_error(curvature, kappa, steps), m.sqrt()
    height = least.abs().max()
    torch.testing.assert_close(height, 2 * rate**steps / (1 + rate ** (2 * steps)))
    assert height > rate**steps and y.abs().max() < 40 * rate**steps  # a factor of the order of t, and no other rate
    torch.testing.assert_close(torch.stack([x[0], x[-1], y[-1]]).abs(), torch.stack([x, x, y]).abs().amax(1))
    ends = x.abs().max(), y[0].abs(), y.abs().max(), height
    return steps, kappa, ends[0], ends[2], height, steps, kappa, *ends


def test_chebyshevs_polynomial_is_the_least():
    """It is 1 at 0, meets its bounds t + 1 times with changing sign, and other rates of descent step by step leave more."""
    kappa, steps = torch.tensor(20.0, dtype=FLOAT), 6
    curvature = torch.linspace(1, 20, 4001, dtype=FLOAT)
    least = least_error(curvature, kappa, steps)
    height = least.abs().max()
    assert least_error(torch.zeros(1, dtype=FLOAT), kappa, steps).item() == pytest.approx(1)
    at_bound = least[least.abs() > height * (1 - 1e-5)].sign()
    assert 1 + (at_bound.diff() != 0).sum() == steps + 1
    best = 21 / 2 + 19 / 2 * torch.cos(math.pi * (torch.arange(steps, dtype=FLOAT) + 0.5) / steps)  # its zeros: rates 1/zero
    made = (1 - curvature[:, None] / best).prod(1)
    torch.testing.assert_close(made, least)
    source = torch.Generator().manual_seed(0)
    for scale in (0.01, 0.1, 0.5):
        zeros = best * (scale * torch.randn(200, steps, generator=source, dtype=FLOAT)).exp()
        others = (1 - curvature[:, None, None] / zeros).prod(2).abs().amax(0)
        assert (others > height).all()


@page.claim(
    "where does the crossing go when you raise $\\kappa$ to {}?",
    "Fix $m = {}$ and $\\kappa = {}$. By how much",
    "now each pixel is a real run of {} steps.",
    "From $\\kappa = {}$ to {} it goes from ({}, {}) to ({}, {}): a narrower valley",
    r"By a factor of {}: each $\eta$ from {} to {} gives $\rho = \sqrt{0.9} = {}$.",
    "This is why $m = {}$ is a good default",
    "so theory and measurement part where {} steps are not long:",
)
def test_the_map_of_rates():
    fig = page.figure(1)
    kappa, m = torch.tensor(fig.condition_number, dtype=FLOAT), torch.tensor(0.9, dtype=FLOAT)
    best = [x.item() for k in (kappa, torch.tensor(1000.0, dtype=FLOAT)) for x in best_momentum(k)]
    low, high = critical_rates(m, torch.ones_like(m))[0], critical_rates(m, kappa)[1]
    steps, usual = fig.spec["steps"], signature(momentum).hyper["momentum"]
    return 1000, usual, kappa, steps, kappa, 1000, *best, high / low, low, high, m.sqrt(), usual, steps


def test_theory_and_measurement_part_where_little_has_happened():
    fig, apart = page.figure(1), {}
    for lr in (0.002, 0.02, 0.2, 2.0):
        for m in (0.0, 0.5, 0.9):
            fig.lr, fig.momentum = lr, m
            if fig.predicted_rate < 1:
                apart[lr, m] = abs(fig.measured_rate - fig.predicted_rate)
    assert len(apart) > 8 and max(apart.values()) < 0.01  # almost nowhere
    for lr, m in ((0.001, 0.5), (0.001, 0.97)):  # at the left edge, and above it
        fig.lr, fig.momentum = lr, m
        assert abs(fig.measured_rate - fig.predicted_rate) > (1 - fig.predicted_rate) / 2


# What the average does to noise


@page.claim(
    "with $\\kappa = {}$ and both rules at $\\eta = {}$, from {} random starts for each of five seeds",
    "Gradient descent turns back in each step, by {}° to {}° on average. Momentum turns by {}° to {}°:",
    "over {} steps, five seeds that lie close together. Gradient descent turns by more than {} degrees in each step. Momentum "
    "hardly turns, but for waves of up to about {} degrees",
)
def test_momentum_prevents_sudden_turns():
    record = recorded("momentum_turns")
    plain, average = record["gradient_descent"], record["momentum"]
    settings, means = record.settings, [x.mean(1) for x in (plain, average)]
    assert (average.median(1).values < 10).all()
    return (
        settings["condition_number"], settings["lr"], settings["starts"],
        means[0].min(), means[0].max(), means[1].min(), means[1].max(),
        settings["steps"] - 1, Above(plain), About(average.amax(1)),
    )


@page.claim(
    r"For $m = {}$ that is $\sigma^2/{}$: the direction of each step is as reliable as that of a batch {} times as large.",
    "Measured with {} runs for each seed",
    "after {} steps with $\\eta = {}$:",
    "along the dotted formula from 1 at a momentum of 0 to {} at {}. In the parameter it is {} at each momentum.",
)
def test_the_average_divides_the_variance_of_noise_and_the_parameter_keeps_it():
    record = recorded("momentum_noise")
    m = torch.tensor(record.settings["momenta"], dtype=FLOAT)
    formula = (1 - m) / (1 + m)
    torch.testing.assert_close(record["delta"], formula.expand(5, -1), rtol=0.04, atol=0)
    plain = record["theta"][:, :1]  # that of gradient descent
    torch.testing.assert_close(record["theta"], plain.expand_as(record["theta"]), rtol=0.04, atol=0)
    times, settings = (1 + 0.9) / (1 - 0.9), record.settings
    at_usual = record["delta"][:, settings["momenta"].index(0.9)]
    assert not m[0] and formula[0] == 1
    return 0.9, times, times, settings["runs"], settings["steps"], settings["lr"], at_usual, 0.9, plain.median().item()


# On a surface that is no quadratic


def curvatures():
    """The eigenvalues of the Hessian at the minimum of Rosenbrock's surface, μ and L."""
    return torch.linalg.eigvalsh(jacrev(grad(rosenbrock))(torch.ones(2, dtype=FLOAT)))


@page.claim(
    "its condition number at the minimum is {}.",
    "What helps more: twice the learning rate, or twice the memory ($m = {}$)?",
    "At the start of your search the run ends with a loss of {}. With $m = {}$ it is {}: in the lecture's form",
    "With $\\eta = {}$ it is {}, and it goes on: {} at $\\eta = {}$.",
)
def test_on_rosenbrock():
    fig = page.figure(2)
    mu, L = curvatures()
    first, memory = final(fig), final(fig, momentum=0.95)
    fast, faster = (final(fig, momentum=0.9, lr=lr) for lr in (0.008, 0.03))
    where = page.figure(2)
    assert 1 / (1 - 0.95) == pytest.approx(2 / (1 - where.momentum))  # twice the memory
    return About(L / mu), 0.95, first, 0.95, memory, 2 * where.lr, fast, faster, 0.03


@page.claim(r"for the largest curvature at the minimum, $\frac{2 \cdot 1.9}{0.1 \cdot 1002} = {}$.")
def test_rosenbrock_diverges_near_the_edge_of_theory():
    edge = stability_edge(torch.tensor(0.9, dtype=FLOAT), curvatures()[1])
    assert curvatures()[1].item() == pytest.approx(1002, abs=1)
    paths = sweep(momentum, rosenbrock, (-1.2, 1.0), 300, lr=torch.tensor([0.034, 0.038]))
    assert paths[-1].isfinite().all(1).tolist() == [True, False]
    return edge


def borders(name, momentum, steps=600):
    """An outcome of the runs on Rosenbrock's surface, for a momentum or for those between two: (starts,) or (starts, momenta)."""
    record = recorded("momentum_borders")
    momenta, row = torch.tensor(record.settings["momenta"]), record.settings["steps"].index(steps)
    if isinstance(momentum, tuple):
        low, high = momentum
        return record[name][:, row, (momenta >= low) & (momenta <= high)]
    return record[name][:, row, record.settings["momenta"].index(momentum)]


@page.claim(
    "From $m = {}$ to ${}$ the left border stands at $\\eta = {}$, within a seventh, and at {} with {} steps.",
    r"Near the minimum $\mu = {}$ and $L = {}$, so theory recommends $\eta^\star = {}$ and $m^\star = {}$.",
    "It diverges, at step {}.",
)
def test_two_borders_are_patience():
    between = (0.7, 0.94)
    lowest, patient = borders("lowest", between), borders("lowest", between, 1000)
    for rates, center in ((lowest, 0.01), (patient, 0.006)):
        assert ((rates / center).log().abs() < math.log(8 / 7)).all()
    assert (borders("highest", between, 1000) < 1.13 * borders("highest", between)).all()  # two rates of the scan
    assert (borders("factor", 0.985, 1000) > 5 * borders("factor", 0.985)).all()  # at the top
    mu, L = curvatures()
    lr, m = best_momentum(L / mu)
    path = sweep(momentum, rosenbrock, (-1.2, 1.0), 60, lr=0.05, momentum=0.92)[:, 0]
    lost = ((path.abs() > 300) | ~path.isfinite()).any(1).int().argmax()
    settings = *between, lowest.median().item(), 0.006, 1000
    return *settings, mu, L, 1 / (mu * L).sqrt(), m, lost


@page.claim(
    r"holds from $m = {}$ to ${}$: the largest rate that arrives lies within a tenth of it. From there on it falls behind, to between "
    "{} and {} of theory at $m = {}$ and to between {} and {} at $m = {}$."
)
def test_the_third_border_is_theory_up_to_a_momentum_of_83_percent():
    record = recorded("momentum_borders")
    m = torch.tensor(record.settings["momenta"], dtype=FLOAT)
    share = record["highest"][:, 0] / stability_edge(m, curvatures()[1])
    near = (m >= 0.7) & (m <= 0.83)
    assert near.sum() == 5 and ((share[:, near] - 1).abs() < 0.1).all()
    late, later = (share[:, record.settings["momenta"].index(x)] for x in (0.93, 0.978))
    return 0.7, 0.83, late.min(), late.max(), 0.93, later.min(), later.max(), 0.978


@page.claim(
    "Without momentum no rate arrives in {} steps, nor at $m = {}$. At $m = {}$ the good rates span a factor of {} to {}, at {} one of "
    "{} to {}, at {} one of {} to {}. The fewest steps fall from about {} over about {} to about {}.",
    r"From 24 to 0.001 that takes $\ln 24200/\ln\frac1m$ steps: {} at $m = {}$, {} at {}. The best runs there need {} to {} and {} to {}, a "
    "little less",
    "They fall from about {} at {} to between {} and {} at {}, then rise along the dotted law to about {} at {}.",
)
def test_momentum_widens_the_range_of_good_rates_and_then_costs_steps():
    assert (borders("fewest", (0.0, 0.5)) == math.inf).all()
    assert rosenbrock(torch.tensor([-1.2, 1.0])).item() == pytest.approx(24.2)
    named = 0.72, 0.86, 0.94
    spans, fewest = ([borders(name, m) for m in named] for name in ("factor", "fewest"))
    law = {m: math.log(24_200) / -math.log(m) for m in (0.93, 0.94, 0.95, 0.965, 0.978)}
    for m, steps in law.items():
        assert ((borders("fewest", m) / steps - 1).abs() < 0.3).all()
    first, second = borders("fewest", 0.965), borders("fewest", 0.978)
    assert (first < law[0.965]).all() and (second < law[0.978]).all()
    lucky = borders("fewest", 0.9)
    return (
        600, 0.5, *(x for m, span in zip(named, spans, strict=True) for x in (m, span.min(), span.max())), *map(About, fewest),
        law[0.965], 0.965, law[0.978], 0.978, first.min(), first.max(), second.min(), second.max(),
        About(borders("fewest", 0.7)), 0.7, lucky.min(), lucky.max(), 0.9, About(second), 0.978,
    )


@page.claim(
    "Zoom in on one, at $\\eta = {}$ and $m = {}$. Would you use this setting?",
    "is caught in {} steps. With a rate {} lower it takes {}, with one {} higher {}. And from four starts about {} away from the ring one "
    "run diverges, and the others take {} to {}.",
)
def test_the_fastest_streaks_are_luck():
    record = recorded("momentum_streak")
    by_share = dict(zip(record.settings["shares"], record["steps"].T, strict=True))
    ring = {share: steps[0] for share, steps in by_share.items()}
    others = by_share[1.0][1:]
    arrive = others[others.isfinite()]
    assert len(others) == 4 and len(arrive) == 3
    settings = record.settings["lr"], record.settings["momentum"]
    return *settings, ring[1.0], 0.02, ring[0.98], 0.03, ring[1.03], 0.01, arrive.min(), arrive.max()


# A network


@page.claim(
    "Here is one of {} tanh units on {} digits. How many steps does it need to a training loss of {}, at each rate, with the whole "
    "data in each step, and in batches of {}?",
    "At {} and {} both need the same steps, within {}. Gradient descent is best at {}, with {} to {} steps, and from {} on it does not "
    "arrive. Momentum does, up to {}, and needs only {} to {} steps there. In batches of {} it gains nothing: both are best at {}, "
    "with {} to {} steps, and arrive at no larger rate.",
    "Steps to a training loss of {} over the learning rate, whole data in each step, both axes logarithmic, five seeds. Both rules "
    "lie on one line from about {} at {} to about {} at {}, where gradient descent ends. Momentum goes on down to {} to {} at {}.",
    "The same in batches of {}: both rules need {} to {} steps at {} and {} to {} at {}, one as many as the other",
)
def test_momentum_helps_a_network_where_noise_does_not_set_the_rate():
    record = recorded("momentum_network")
    settings, (small, full) = record.settings, record["steps"].unbind(1)
    low, high, best, *_, last, _ = settings["rates"]
    plain, average = full.unbind(1)  # (seeds, rates)
    apart = (average / plain - 1)[:, :2]
    assert plain[:, 3:].isinf().all() and average[:, -1].isinf().all() and average[:, 3:-1].isfinite().all()
    assert (plain.argmin(1) == 2).all() and (average.argmin(1) == 5).all() and (average[:, 2] / plain[:, 2] > 0.8).all()
    assert small[:, :, 2:].isinf().all() and (small[:, :, 1] <= small[:, :, 0]).all()
    tenths, few, fast = small[:, :, 0], small[:, :, 1], average[:, 5]
    assert abs((few[:, 1] / few[:, 0]).log().mean()) < 0.06  # as many, on average
    middle = [About(full[:, :, k].flatten().nan_to_num(posinf=280.0).median()) for k in (0, 2)]
    few = few.min(), few.max(), high
    return (
        32, 1000, settings["goal"], settings["batches"][0],
        low, high, apart[apart.isfinite()].abs().max(), best, plain[:, 2].min(), plain[:, 2].max(), settings["rates"][3],
        last, fast.min(), fast.max(), settings["batches"][0], high, *few[:2],
        settings["goal"], middle[0], low, middle[1], best, fast.min(), fast.max(), last,
        settings["batches"][0], tenths.min(), tenths.max(), low, *few,
    )


# Where the ball comes to rest


@page.claim(
    "In which minimum does its run end at $m = 0$, at {} and at {}?",
    "In $(3, 2)$, the closest one; in $({}, {})$; and in $({}, {})$, on the other side.",
)
def test_the_run_at_the_ring_of_the_basins():
    fig = page.figure(4)
    m = torch.tensor([0.0, 0.9, 0.95], dtype=FLOAT)
    ends = sweep(momentum, himmelblau, fig.start, 400, keep="end", lr=fig.lr, momentum=m)
    minima = torch.tensor(SURFACES["himmelblau"].minima(), dtype=FLOAT)
    nearest = minima[torch.cdist(ends, minima).argmin(1)]
    torch.testing.assert_close(ends, nearest, atol=0.06, rtol=0)
    assert nearest[0].tolist() == [3, 2] == minima[(minima - 5).norm(dim=1).argmin()].tolist()
    return 0.9, 0.95, *nearest[1], *nearest[2]


@page.claim(
    "Compared with $m = 0$, {} of all starts end in another minimum at $m = {}$, and {} at {}.",
    "Of the starts with a loss above {}, {} change sides at $m = {}$ and {} at {}; of those below it, less than {} and about {}. And none "
    "of those below {} does, even at $m = {}$.",
    "Counted for {} random starts, and that for each of five seeds",
    "Below {} it is 0 at each momentum, and below {} at most {}. Above, it rises: at a momentum of {} to more than {} for the highest "
    "starts; at {} it is highest at {}, at {} at {}, and then falls again.",
    "above the highest pass about {} end elsewhere than a start {} away at $m = 0$, {} to {} at {}, {} to {} at {}.",
)
def test_borders_fold_at_the_rim():
    record = recorded("momentum_basins")
    settings, by_loss = record.settings, record["by_loss"]
    (_, first, second, _), (_, above, higher, _) = record["elsewhere"].T, record["above"].T
    _, below, lower, _ = record["below"].T
    assert (by_loss[:, :, 0] == 0).all() and (by_loss[:, 1:3, 5:].diff(dim=1)[:, :, 0] > 0).all()
    of_all = (record["elsewhere"][:, 1:3] - record["below"][:, 1:3]) / record["elsewhere"][:, 1:3]
    assert (of_all > 0.9).all()  # nearly all lie outside
    peaks = by_loss.amax(2)
    assert (by_loss[:, 2:, -1] < peaks[:, 2:]).all()
    parted = record["parted"].T
    return (
        first, 0.9, second, 0.95,
        settings["edges"][5], above, 0.9, higher, 0.95, Below(below), About(lower), settings["edges"][1], 0.98, settings["starts"],
        settings["edges"][1], settings["edges"][5], Below(by_loss[:, :, :5]), 0.9, Above(by_loss[:, 1, -1]),
        0.95, peaks[:, 2], 0.98, peaks[:, 3],
        About(parted[0]), settings["apart"], parted[1].min(), parted[1].max(), 0.9, parted[3].min(), parted[3].max(), 0.98,
    )


def test_without_momentum_each_minimum_has_one_region():
    fig = page.figure(4)
    minimum = fig.values(60, 60).minimum
    assert sorted(minimum.unique().tolist()) == [0, 1, 2, 3]
    for k in range(4):
        region = (minimum == k).float()[None, None]
        reached = torch.zeros_like(region).flatten()
        reached[region.flatten().argmax()] = 1
        reached = reached.view_as(region)
        for _ in range(200):  # flood the region from one of its pixels
            reached = torch.nn.functional.max_pool2d(reached, 3, stride=1, padding=1) * region
        assert reached.equal(region)


@pytest.mark.parametrize("m", [0.5, 0.9, 0.98])
def test_the_energy_of_the_ball_only_falls(m):
    lr, slope = 0.0005, vmap(grad(himmelblau))
    w = 4 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
    delta, energy = torch.zeros_like(w), [vmap(himmelblau)(w)]
    for t in range(1, 601):
        w, delta = momentum(w, slope(w), t, delta, lr=lr, momentum=m)
        energy.append(vmap(himmelblau)(w) + lr * m / (1 - m) * delta.square().sum(1) / 2)
    energy = torch.stack(energy)
    assert (energy.diff(dim=0) <= 1e-15 * energy[0]).all() and (energy[-1] < 0.9 * energy[0]).all()


@page.claim("Between the minima lie four saddle points, the highest at {} and the lowest at {}.")
def test_the_passes():
    w = torch.cartesian_prod(*[torch.linspace(-4.5, 4.5, 19, dtype=FLOAT)] * 2)
    slope, bend = vmap(grad(himmelblau)), vmap(jacrev(grad(himmelblau)))
    for _ in range(30):
        w = w - torch.linalg.solve(bend(w), slope(w))
    w = w[slope(w).norm(dim=1) < 1e-9]
    signs = torch.linalg.eigvalsh(bend(w)).sign()
    heights = sorted({round(x, 1) for x in vmap(himmelblau)(w[(signs[:, 0] < 0) & (signs[:, 1] > 0)]).tolist()})
    assert len(heights) == 4 and {13.3, 67.7, 104, 178.3} <= set(recorded("momentum_basins").settings["edges"])
    assert heights == [13.3, 67.7, 104.0, 178.3]
    return heights[-1], heights[0]


# What goes wrong, and Nesterov


def test_the_best_setting_can_cycle_on_a_convex_function():
    def kinked(w):  # curvature 25, then 1, then 25 again: Lessard, Recht and Packard (2016), section 4.6
        x = w[0]
        middle, right = x**2 / 2 + 24 * x - 12, 25 * x**2 / 2 - 24 * x + 36
        return torch.where(x < 1, 25 * x**2 / 2, torch.where(x < 2, middle, right))

    lr, m = (x.item() for x in best_momentum(torch.tensor(25.0, dtype=FLOAT)))
    path = sweep(momentum, kinked, (3.3,), 2000, lr=torch.tensor([lr, 0.9 * lr]), momentum=m)[:, :, 0]
    torch.testing.assert_close(path[-3:, 0], path[-6:-3, 0], atol=1e-9, rtol=0)
    assert path[-3:, 0].diff().abs().min() > 1
    assert path[-1, 1].abs() < 1e-9
    slopes = vmap(grad(kinked))(torch.linspace(-5, 5, 1001, dtype=FLOAT)[:, None])
    assert (slopes.diff(dim=0) > 0).all()  # convex


@page.claim(
    "Nesterov's: after {} steps its loss is {}, against {}. You see it first across the valley, where it has come to rest (${}$) while "
    "the other still swings by {}."
)
def test_nesterov_is_at_rest_across_the_valley_first():
    fig = page.figure(5)
    across = {rule: path[-1, 1].abs() for rule, path in fig.path.items()}
    return fig.steps, final(fig, "nesterov"), final(fig, "sgd"), across["nesterov"], across["sgd"]


@pytest.mark.parametrize("curvature", [1.0, 5.0, 20.0])
def test_the_look_ahead_adds_friction_that_grows_with_the_curvature(curvature):
    """A step is linear in (w, b): its roots have the product m with momentum, and m (1 - ηλ) with the look-ahead."""
    lr, m = 0.03, 0.9
    for rule, product in ((sgd, m), (nesterov, m * (1 - lr * curvature))):

        def step(z, rule=rule):
            return torch.cat(rule(z[:1], curvature * z[:1], 2, z[1:], lr=lr, momentum=m))

        assert torch.linalg.det(jacrev(step)(torch.zeros(2, dtype=FLOAT))).item() == pytest.approx(product)


test_changed_numbers_are_noticed = page.test_of_numbers()
