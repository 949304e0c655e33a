"""What the chapter on Adagrad says, bound to its records, to its figures and to algebra."""

import math

import pytest
import torch
from claims import About, Above, Below, Page
from torch.func import grad

from course_lib.experiments import recorded, sweep
from course_lib.experiments.studies import adagrad as study
from course_lib.formulas import adagrad, adagrad_torch, gradient_descent, quadratic, rosenbrock
from course_lib.formulas.signature import signature

page = Page("optimizers/adagrad")
START = (-2.2, 1.2)
DOUBLE = torch.float64


# What the figures begin with: cheap, so that a changed setting is noticed at once


@page.claim(r"the condition number $\kappa = {}$: along $y$ it is", r"After {} steps the run is at $x =")
def test_the_first_figure(page):
    fig = page.figure(0)
    assert fig.lr == 0.5 and fig.angle == 0
    return fig.condition_number, fig.steps


@page.claim("1.2 in the same {} steps: in the last 200")
def test_the_second_figure(page):
    fig = page.figure(1)
    assert fig.lr == 0.3 and fig.start == [-2.0, -1.0] and fig.spec["domain"] == [[-2.5, 2], [-1.5, 3]]
    return fig.steps


# The update


@page.claim(
    r"keeps the division defined, ${}$ | a small number",
    "`torch.optim.Adagrad(params, lr=eta)`; its default {} is small",
    r"PyTorch's default $\eta = {}$ needs {} steps to move a weight by 1, and {} to move it by {}.",
)
def test_the_defaults_and_how_far_they_go():
    theirs = torch.optim.Adagrad([torch.zeros(1)]).defaults
    assert signature(adagrad).hyper["eps"] == theirs["eps"]
    reached = theirs["lr"] * torch.arange(1, 260_001, dtype=DOUBLE).pow(-0.5).cumsum(0)
    steps = [int((reached < far).sum()) + 1 for far in (1, 10)]
    return theirs["eps"], theirs["lr"], theirs["lr"], *steps, 10


@pytest.mark.parametrize("seed", range(3))
def test_the_first_step_is_a_sign_and_no_step_is_longer_than_the_rate(seed):
    source = study.generator(seed)
    w = start = torch.zeros(1000, dtype=DOUBLE)
    G = torch.zeros_like(w)
    for t in range(1, 101):
        size, side = torch.randn(2, 1000, generator=source, dtype=DOUBLE)
        g = side * 10 * 10**size
        before, (w, G) = w, adagrad(w, g, t, G, lr=0.3, eps=0.0)
        assert (w - before).abs().max() <= 0.3 + 1e-12
        if t == 1:
            torch.testing.assert_close(w - start, -0.3 * g.sign(), atol=1e-12, rtol=0)


@page.claim("Multiply the loss by {} and nothing changes but the part of")
def test_a_scaled_loss_changes_nothing():
    def scaled(w, *, scale=1.0):
        return scale * quadratic(w, condition_number=20.0, angle=30.0)

    paths = [sweep(adagrad, scaled, START, 60, lr=0.5, scale=scale) for scale in (1.0, 1e3)]
    torch.testing.assert_close(*paths, atol=1e-9, rtol=0)
    return 1000


# In the valley


@page.claim(
    r"the condition number $\kappa = {}$: along $y$ it is {} times as curved as along $x$.",
    r"Raise $\kappa$ from {} to {}. What becomes of the path?",
    r"After {} steps the run is at $x = {}$ for $\kappa = {}$ and for $\kappa = {}$, and the loss is ${}$ for both. "
    "The gradients along $y$ are {} times larger, $G$ of $y$ is {} times larger, its root again {} times: it cancels.",
)
def test_the_path_does_not_know_the_condition_number():
    fig = page.figure(0)
    low, high = fig.condition_number, 1000
    path, loss = fig.path, fig.losses[-1].item()
    fig.condition_number = float(high)
    torch.testing.assert_close(path, fig.path, atol=1e-9, rtol=0)
    assert fig.losses[-1].item() == pytest.approx(loss, rel=0.01)
    times = high / low
    return low, low, low, high, fig.steps, path[-1, 0], low, high, loss, times, times**2, times


@page.claim(
    r"Go back to $\kappa = {}$ and turn the valley by {} degrees.",
    "The loss at the end is {}, a {} times higher.",
    r"At {} degrees, raise $\kappa$ to {} again.",
    "The loss at the end is {}, and the run has all but stopped near where it met the floor: $({}, {})$ after {} steps, $({}, {})$ after {}.",
)
def test_a_rotation_matters():
    fig = page.figure(0)
    low, before = fig.condition_number, fig.losses[-1].item()
    fig.angle = 45.0
    turned = fig.losses[-1].item()
    assert 1e6 < turned / before < 2e6
    fig.condition_number = 1000.0
    path, loss = fig.path, fig.losses[-1].item()
    return low, 45, turned, 1e6, 45, 1000, loss, *path[20], 20, *path[-1], fig.steps


@page.claim(
    r"each rule has the best of {} learning rates. The start is random, $\kappa$ is {}; the third line is the cure",
    "At {} degrees its loss is already between ${}$ and ${}$, and somewhere between {} and {} degrees the gift is gone",
    "from each start its loss is below ${}$ at every angle.",
    "Loss after {} steps over the angle of the valley from {} to {} degrees, logarithmic, with the range over {} starts.",
    "leaps up by ten orders of magnitude within {} degrees and is above gradient descent's from {} degrees on.",
)
def test_a_turned_valley_takes_the_advantage_away():
    record = recorded("adagrad_angles")
    angles = torch.tensor(record.settings["angles"], dtype=DOUBLE)
    plain, ours, full = (record[name] for name in ("gradient_descent", "adagrad", "full"))  # (seeds, angles)
    assert (plain == plain[:, :1]).all() and (ours[:, 0] <= 1e-15).all() and (full <= 1e-15).all()
    behind = ours > plain
    assert (behind.int().diff(dim=1) >= 0).all(), "once behind, it stays behind"
    last, first = angles[(~behind).sum(1) - 1], angles[(~behind).sum(1)]
    six = ours[:, angles == 6]
    assert six.median() > 1e10 * 1e-16
    return (
        record.settings["rates"], record.settings["condition_number"], 6, six.min(), six.max(), last.min(), first.max(),
        Below(full), record.settings["steps"], angles[0], angles[-1], len(record.seeds), 6, first.max(),
    )


# Why it works


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_holds_and_costs_a_root_of_two(seed):
    targets = torch.randn(500, generator=study.generator(seed), dtype=DOUBLE)
    best = targets.median()  # of the losses |w - target|, whose sum is convex
    for lr in (0.3, 1.0, 3.0):
        w, G, path, slopes = torch.tensor(3.0, dtype=DOUBLE), torch.tensor(0.0, dtype=DOUBLE), [], []
        for t, target in enumerate(targets, 1):
            path.append(w)
            slopes.append((w - target).sign())
            w, G = adagrad(w, slopes[-1], t, G, lr=lr)
        path, squares = torch.stack(path), torch.stack(slopes).square()
        excess = (path - targets).abs().sum() - (best - targets).abs().sum()
        D = (path - best).abs().max()
        assert (squares / squares.cumsum(0).sqrt()).sum() <= 2 * G.sqrt()
        assert excess <= (D**2 / (2 * lr) + lr) * G.sqrt()
    rates = D * torch.linspace(0.1, 3, 10_000)
    assert (D**2 / (2 * rates) + rates).min().item() == pytest.approx(math.sqrt(2) * D.item(), rel=1e-6)  # at D/√2


@page.claim(
    r"Two thousand runs for each of {} seeds, with noisy gradients, $\sigma = 1$, $\eta = {}$:",
    "The variance of the runs after {} to {} steps, both axes logarithmic, with the range over {} seeds. It falls from {} to {} "
    "along a straight line, the predicted one; at step {} it is still a fifth above it.",
)
def test_under_noise_the_variance_falls_like_a_root():
    record = recorded("adagrad_noise")
    times, variance = torch.tensor(record.settings["times"], dtype=DOUBLE), record["variance"]
    over = variance / (record.settings["lr"] / (2 * times.sqrt()))
    assert ((over[:, times >= 100] - 1).abs() < 0.1).all() and over[:, 0].median().item() == pytest.approx(
        1.2, abs=0.05
    )
    assert record.settings["runs"] == 2000
    ends = About(variance[:, 0]), variance[:, -1].median()
    return len(record.seeds), record.settings["lr"], times[0], times[-1], len(record.seeds), *ends, times[0]


@page.claim(
    "After {} steps Adagrad needs {} steps to cover half the way; after {} steps it needs {}, and after $t$ steps about",
    "from {} after {} steps to {} after {}, along the line of the formula.",
)
def test_an_old_run_follows_slowly():
    record = recorded("adagrad_noise")
    times, wait = torch.tensor(record.settings["times"], dtype=DOUBLE), record["wait"]
    predicted = math.log(2) * times.sqrt() / record.settings["lr"]
    assert ((wait - predicted).abs() <= 2.2).all()
    at = {int(t): wait[:, k] for k, t in enumerate(times)}
    return 100, at[100], 10_000, at[10_000], at[10], 10, at[10_000], 10_000


def test_under_noise_the_rate_falls_like_a_root():
    w, G = torch.zeros(4000), torch.zeros(4000)
    for t in range(1, 1001):
        w, G = adagrad(w, w + torch.randn(4000, generator=study.generator(t)), t, G, lr=0.5)
        if t in (100, 1000):
            assert (0.5 / G.sqrt()).mean().item() == pytest.approx(0.5 / t**0.5, rel=0.03)


# Rare features


def at_best(record, power: int) -> tuple[dict, dict]:
    """Each rule's excess loss at its best rate, (seeds,), and its rates, the best first."""
    rates = 2.0 ** torch.tensor(record.settings["log2_rates"], dtype=DOUBLE)
    order = {name: loss[:, power].mean(0).argsort() for name, loss in record.outcomes.items()}
    assert all(0 < k[0] < len(rates) - 1 for k in order.values()), "each best rate lies inside the grid"
    return {n: record[n][:, power, k[0]] for n, k in order.items()}, {n: rates[k] for n, k in order.items()}


@page.claim(
    "A document is a vector of {} zeros and ones",
    "is in a document with probability ${}\\,k^{-{}}$: the first in every second one, the last in one of {}.",
    "Each step sees 8 documents. Four rules compete, on {} problems, with {} learning rates each:",
    "with {} to {} of the excess loss of gradient descent, {} to {} of that of `fading`, and {} to {} of that of `one_for_all`.",
    "both logarithmic, with the range over {} problems. Each rule has a best rate. "
    "Adagrad's lowest loss is about {} of that of the other three.",
)
def test_adagrad_wins_on_rare_words_against_tuned_rivals():
    record = recorded("adagrad_rare_words")
    words, power, problems = record.settings["words"], record.settings["powers"][0], len(record.seeds)
    loss, _ = at_best(record, 0)
    rivals = [loss[name] for name in ("gradient_descent", "fading", "one_for_all")]
    assert all((loss["adagrad"] < rival).all() and loss["adagrad"].std() < rival.std() for rival in rivals)
    assert all(0.4 < loss["adagrad"].mean() / rival.mean() < 0.6 for rival in rivals)
    ratios = [f(loss["adagrad"] / rival).item() for rival in rivals for f in (torch.min, torch.max)]
    return (
        words, 0.5, power, About(1 / (0.5 * words**-power)), problems, len(record.settings["log2_rates"]),
        *ratios, problems, 0.5,
    )


@page.claim(
    "the simple `fading` is better than both on average: {} against {} and {}.",
    r"`fading` wants $\eta = {}$ to {} where words are rare, and {} where none is",
    "Adagrad wants {} to 1 in both cases, and that is its first step",
)
def test_it_has_no_advantage_where_all_words_are_equally_frequent():
    record = recorded("adagrad_rare_words")
    loss, rates = at_best(record, 1)
    mean = {name: x.mean().item() for name, x in loss.items()}
    assert mean["adagrad"] == pytest.approx(mean["one_for_all"], rel=0.1)
    assert mean["fading"] < 0.8 * mean["one_for_all"]
    _, rare = at_best(record, 0)
    assert {*rare["adagrad"][:2].tolist()} == {*rates["adagrad"][:2].tolist()} == {0.5, 1.0}
    least, most = sorted(rare["fading"][:2].tolist())
    assert record.settings["powers"][1] == 0.0
    return mean["fading"], mean["one_for_all"], mean["adagrad"], least, most, rates["fading"][0], 0.5


# What goes wrong


@page.claim(
    "The first gradient is about {} long; on the floor it is a thousandth of that.",
    "The run meets the floor after some {} steps, at about $({}, {})$, with a loss of {}. The other {} steps take it from there to {}.",
    "From $(-1, 1)$ the loss goes from {} to {} in the same {} steps: in the last {} of them a step is {} long, against {}, {} times as long.",
)
def test_the_first_gradient_stays_for_good():
    fig = page.figure(1)
    wall, losses = fig.path, fig.losses
    fig.start = [-1.0, 1.0]
    floor = fig.path
    slopes = [grad(rosenbrock)(path[0]).norm().item() for path in (wall, floor)]
    assert slopes[1] == pytest.approx(slopes[0] / 1000, rel=0.05)
    met = 50
    assert (wall[met, 1] - wall[met, 0] ** 2).abs() < 0.1 and (wall[0, 1] - wall[0, 0] ** 2).abs() > 4
    G = grad(lambda w: torch.vmap(rosenbrock)(w).sum())(wall).square().cumsum(0)
    assert (G[10] > 0.9 * G[-1]).all()  # it leaps up, and is flat from then on
    steps = [path.diff(dim=0)[100:].norm(dim=1).mean().item() for path in (floor, wall)]
    return (
        About(slopes[0]), met, *wall[met], losses[met], fig.steps - met, losses[-1], fig.losses[0], fig.losses[-1],
        fig.steps, fig.steps - 100, *steps, steps[0] / steps[1],
    )


@page.claim(
    "in the one at the end of this page the first gradient is between {} and {} times as long as those after a {} steps.",
    r"A parabola does not mind; a network with $\eta = {}$ does.",
)
def test_the_first_gradient_of_the_network_is_long_and_a_huge_rate_does_harm():
    record = recorded("adagrad_network")
    longest = record["longest"]
    assert (record["loss_at_large"] > 1000 * record["loss"]).all()
    return longest.min(), longest.max(), 100, record.settings["large"]


@page.claim(
    "This is the rate times the curvature after {} steps:",
    r"over η from {} to {}, for the flat and for the steep coordinate. At {} the products are {} and {}; they rise above 1 and come back to it: "
    "at {} they are {} and {}, at {} {} and {}.",
)
def test_an_overshoot_brings_newtons_rate():
    curvature, products = torch.tensor([1.0, 50.0], dtype=DOUBLE), {}
    for lr in (0.5, 20.0, 100.0):
        path = sweep(adagrad, quadratic, START, 60, lr=lr, condition_number=50.0)[:-1, 0]
        products[lr] = lr / (path * curvature).square().sum(0).sqrt() * curvature
    return 60, 10**-0.5, 100, *(x for lr, both in products.items() for x in (lr, *both))


def test_without_eps_an_absent_word_gives_nan():
    w = g = G = torch.zeros(1, dtype=DOUBLE)
    assert adagrad(w, g, 1, G, lr=1.0, eps=0.0)[0].isnan().all()
    assert adagrad(w, g, 1, G, lr=1.0)[0] == 0


def first_step(rule, size: float) -> float:
    g = torch.tensor([size], dtype=DOUBLE)
    return -rule(torch.zeros_like(g), g, 1, torch.zeros_like(g), lr=1.0)[0].item()


@page.claim(
    r"With ${}$ the one border is ${}$, the other ${}$. With a gradient of ${}$ the slide's first step is ${}\,\eta$, "
    r"PyTorch's ${}\,\eta$:",
    "Below you see what ${}$ in the wrong place does to a network.",
    "the slide's falls below a gradient of {}, PyTorch's below {}.",
)
def test_which_gradients_eps_silences():
    eps = signature(adagrad).hyper["eps"]
    assert first_step(adagrad, 1e-3) > 0.99 and first_step(adagrad_torch, 1e-5) > 0.99
    assert first_step(adagrad, math.sqrt(eps)) == pytest.approx(math.sqrt(0.5))
    assert first_step(adagrad_torch, eps) == pytest.approx(0.5)
    steps = first_step(adagrad, 1e-7), first_step(adagrad_torch, 1e-7)
    return eps, math.sqrt(eps), eps, 1e-7, *steps, eps, math.sqrt(eps), eps


# In PyTorch


@page.claim(
    "The slide's rule is {} off after {} steps, and not by rounding: one of the {} weights has a first gradient of ${}$.",
    "From four other starts, whose smallest first gradient is above ${}$, it is less than {}.",
)
def test_the_network_equals_pytorch_and_the_slide_is_another_rule():
    record = recorded("adagrad_network")
    pytorch, slide, squared = record["off"].T
    assert (pytorch < 1e-12).all() and (squared < 1e-4).all() and (squared < slide / 1000).all()
    smallest = record["smallest"]
    assert math.sqrt(smallest[0] ** 2 + 1e-10) / smallest[0] == pytest.approx(15, abs=0.5)  # "a fifteenth"
    weights, losses, _, _ = study.fit_product(lambda p: torch.optim.Adagrad(p, lr=0.1))
    return slide[0].item(), len(losses), len(weights), smallest[0], Above(smallest[1:]), Below(slide[1:])


@page.claim(
    "A table of {} vectors, {} of which are pulled towards 1 in each step (what differs by less than ${}$, by rounding,",
    "over {} steps, logarithmic, with the range over {} seeds. Adagrad and SGD with momentum stay at the floor of the plot, a trillionth. "
    "SparseAdam is {} away from Adam after {} steps and {} to {} after {}.",
)
def test_sparse_gradients_are_no_approximation_for_adagrad_and_another_algorithm_for_adam():
    record = recorded("adagrad_sparse")
    adagrads, momentums, adams = record["apart"].unbind(1)  # (seeds, times)
    assert (adagrads == 1e-12).all() and (momentums == 1e-12).all() and (adams.diff(dim=1) > -0.1).all()
    for optimizer, hyper in ((torch.optim.Adagrad, {}), (torch.optim.SGD, {"momentum": 0.9})):
        tables = [study.train_table(optimizer, sparse, steps=30, **hyper) for sparse in (True, False)]
        torch.testing.assert_close(*tables, atol=1e-12, rtol=0)
    steps, every = record.settings["steps"], record.settings["every"]
    last = adams[:, -1]
    return (
        1000, 16, record.settings["least"], steps, len(record.seeds), adams[:, 0], every, last.min(), last.max(), steps,
    )


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_momentum_on_sparse_gradients_keeps_all_rows_that_it_has_seen():
    table = torch.nn.Embedding(10, 2, sparse=True)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1, momentum=0.9)
    for word in (3, 5, 5):
        optimizer.zero_grad()
        table(torch.tensor([word])).sum().backward()
        optimizer.step()
    (kept,) = (state["momentum_buffer"] for state in optimizer.state.values())
    assert {*kept.coalesce().indices()[0].tolist()} == {3, 5}


@page.claim("| a gentler first step | `initial_accumulator_value=0.1`")
def test_what_pytorch_offers_beside_it():
    defaults = torch.optim.Adagrad([torch.zeros(1)]).defaults
    assert {"initial_accumulator_value", "lr_decay"} <= set(defaults)


@page.claim("What if the root were another power?")
def test_the_last_figure(page):
    fig = page.figure(2)
    assert (fig.steps, fig.lr, fig.power) == (300, 0.3, 0.4)


@page.claim(
    "The loss ends at {} with {}, at {} with {} and at {} with {}. At {} the run diverges: below {} a large gradient makes a large",
)
def test_how_low_the_power_may_be():
    fig, ends = page.figure(2), {}
    for fig.power in (0.5, 0.4, 0.35, 0.3):
        ends[fig.power] = fig.losses[-1].item()
    assert ends[0.3] > 1e100
    return ends[0.5], 0.5, ends[0.4], 0.4, ends[0.35], 0.35, 0.3, 0.5


@page.claim("With `power` = 0 the rule below is gradient descent, with {} it is Adagrad.")
def test_the_power_rule_of_the_page_begins_at_gradient_descent():
    fig = page.figure(2)
    fig.steps, fig.lr = 20, 0.001
    for power, rule in ((0.0, gradient_descent), (0.5, adagrad)):
        fig.power = power
        other = sweep(rule, rosenbrock, fig.start, fig.steps, lr=fig.lr)[:, 0]
        torch.testing.assert_close(fig.path, other, atol=1e-12, rtol=0)
    return 0.5


test_changed_numbers_are_noticed = page.test_of_numbers()
