"""What the chapter on Rprop says, bound to its records, to its figures and to algebra."""

import math

import pytest
import torch
from claims import About, Below, Page

from course_lib.experiments import Optimizer, recorded, sweep
from course_lib.experiments.replay import replay
from course_lib.experiments.studies import rprop as study
from course_lib.formulas import quadratic, rprop, rprop_torch
from course_lib.formulas.signature import signature

page = Page("optimizers/rprop")
START = (-2.2, 1.2)
GROW, SHRINK = math.log(1.2), math.log(2)


def final(fig, **settings) -> float:
    """The loss at the end of a figure's path."""
    for name, value in settings.items():
        setattr(fig, name, value)
    return fig.losses[-1].item()


@page.claim(
    r"growth, usually {} | a number above 1", r"shrinkage, usually {} | a number in",
    r"Riedmiller and Braun take 0.1, ${}$ and {}; PyTorch takes {}, ${}$ and {}, and so do we.",
    r"$\eta_{\max} = {}$ is no limit for a network's weight.",
    r"the rate grows by $\alpha = {}$ while the sign stays and shrinks by $\beta = {}$ when it turns",
)
def test_the_usual_values():
    ours, theirs = signature(rprop).hyper, torch.optim.Rprop([torch.zeros(1)]).defaults
    assert (ours["lr"], ours["eta_min"], ours["eta_max"]) == (theirs["lr"], *theirs["step_sizes"])
    assert (ours["beta"], ours["alpha"]) == theirs["etas"]
    factors, limits = (ours["alpha"], ours["beta"]), (ours["eta_min"], ours["eta_max"])
    return *factors, *limits, ours["lr"], *limits, limits[1], *factors


# Signs only


@page.claim(
    r"with condition number $\kappa = {}$. Under the map",
    "Both rates begin at {}, far too small.", "While the sign stays the same the rate grows by {} a step;",
    r"Raise $\kappa$ to {}. Gradient descent would need fifty times as many steps.",
    r"Back to $\kappa = {}$. Lower the initial rate $\eta$ a hundredfold, to {}.",
)
def test_where_the_figure_begins(page):
    fig = page.figure(0)
    assert (1000 - 1) / (20 - 1) == pytest.approx(50, rel=0.1)  # gradient descent's steps, 1.15 κ
    return fig.condition_number, fig.lr, 0.2, 50 * fig.condition_number, fig.condition_number, fig.lr / 100


@page.claim("The loss is larger, {} after {}, because it weighs the same distance more.")
def test_the_condition_number_does_not_change_the_path_at_all(page):
    fig = page.figure(0)
    before, path = final(fig), fig.path
    after = final(fig, condition_number=1000.0)
    assert torch.equal(path, fig.path)
    return after, before


@page.claim(
    "From {} the loss still falls to {}, from 1 to {}.",
    r"a rate a hundred times too small is made good in $\ln 100/\ln 1.2 = {}$ steps.",
)
def test_a_bad_guess_costs_little(page):
    fig = page.figure(0)
    return 1e-4, final(fig, lr=1e-4), final(fig, lr=1.0), math.log(100) / GROW


@page.claim(
    "Turn the valley: set the angle to {}°.",
    "The loss ends at {}, almost ten orders of magnitude higher.",
    r"At $\kappa = {}$ it is worse still, {}.",
)
def test_a_turned_valley(page):
    fig = page.figure(0)
    straight, turned = final(fig), final(fig, angle=45.0)
    assert 9 < math.log10(turned / straight) < 10
    return 45, turned, 1000, final(fig, condition_number=1000.0)


# Why it works


def test_any_increasing_function_of_the_loss_has_the_same_path():
    def loss(w):
        return (w[0] - 1) ** 2 + 3 * (w[1] + w[0]) ** 2 + 1

    path = sweep(rprop, loss, START, 60)
    for other in (lambda w: 1000 * loss(w), lambda w: loss(w).log(), lambda w: loss(w).sqrt()):
        torch.testing.assert_close(sweep(rprop, other, START, 25), path[:26])  # later, rounding decides a zero's sign


def test_a_stretched_axis_with_a_stretched_rate_has_the_stretched_path():
    def loss(w):
        return (w[0] - 1) ** 2 + 3 * (w[1] + w[0]) ** 2

    ends = []
    for c in (1.0, 8.0):
        scale, w = torch.tensor([c, 1.0]).double(), torch.tensor([-2.2 * c, 1.2]).double()
        old, eta = torch.zeros(2).double(), torch.tensor([0.01 * c, 0.01]).double()
        for t in range(1, 31):
            g = torch.func.grad(lambda w: loss(w / scale))(w)
            w, old, eta = rprop(w, g, t, old, eta)
        ends.append(w / scale)
    torch.testing.assert_close(*ends)


@page.claim(
    r"steps: {} for the $D = {}$ of the figure, with $\eta = {}$.", "Gradient descent with steps of {} would need {}."
)
def test_it_gets_across_in_logarithmic_time(page):
    fig = page.figure(0)
    across = (fig.path[:, 0] >= 0).nonzero()[0].item()
    assert math.log(1 + 0.2 * 2.2 / 0.01) / GROW == pytest.approx(across, abs=0.2)
    return across, -fig.start[0], fig.lr, fig.lr, 2.2 / 0.01


@page.claim(
    "from 1,000 random starts, {} for each of {} seeds:",
    "With the usual 1.2 and 0.5 a digit costs {} steps, whatever the curvature. Gradient descent reaches this only for a "
    r"condition number of {}. In the last row $\alpha\beta = {}$: it loses a digit each {} steps.",
    "With {} and {}, where αβ is {}, it is {}, with {} and {} it is {}, with {} and {} it is {}. With {} and {}, where αβ is {}, digits "
    "are lost.",
    "It is blind to the scale of the loss and of each axis: {} steps for a digit at any curvature.",
)
def test_the_pace_for_a_digit_needs_alpha_beta_below_one():
    record = recorded("rprop_pace")
    pace = record["lecture"]  # (seeds, pairs of factors)
    assert (pace[:, 0] < pace[:, 1]).all() and (pace[:, 1] < pace[:, 2]).all() and (pace[:, 3] < 0).all()
    of_gradient_descent = -1 / math.log10((5 - 1) / (5 + 1))
    assert of_gradient_descent == pytest.approx(pace[0, 0].item(), abs=0.15)
    first, second, third, last = record.settings["factors"]
    digits = 100 / pace
    return (
        record.settings["starts"], len(record.seeds), pace[:, 0], 5, 1.3 * 0.8, -pace[:, 3],
        *first, math.prod(first), digits[:, 0], *second, digits[:, 1], *third, digits[:, 2], *last, math.prod(last), pace[:, 0],
    )


def test_the_pace_knows_no_curvature():
    paths = [sweep(rprop, lambda w: c * w[0] ** 2 / 2, (0.7,), 300, eta_min=1e-300) for c in (1.0, 4096.0)]
    assert torch.equal(*paths)


# PyTorch's form


@page.claim(
    "Which rule gets closer in {} steps? 2. Move *step* back to {}: which one was ahead?",
    "PyTorch's, by four orders of magnitude: {} against {}.",
    "At step {} it is hard to tell them apart, {} and {}:",
)
def test_on_beale_from_the_figure(page):
    fig = page.figure(1)
    ours, theirs = fig.losses["rprop"], fig.losses["rprop_torch"]
    assert 4 < math.log10(ours[-1] / theirs[-1]) < 5
    return fig.steps, 60, theirs[-1].item(), ours[-1].item(), 60, theirs[60].item(), ours[60].item()


@page.claim(
    "each dot is the median loss at the end of {} descents from random starts",
    "waiting costs {} steps for a digit in place of {}.",
    "the lecture's form ends about {} and {} times lower than PyTorch's",
    "PyTorch's form ends about {} and {} times lower, on Beale's several thousand times.",
)
def test_waiting_pays_where_coordinates_are_coupled():
    record, pace = recorded("rprop_forms"), recorded("rprop_pace")
    gain = (record["pytorch"] / record["lecture"]).log10()  # of the lecture's form; (seeds, surfaces)
    assert (gain[:, :2] > 0).all() and (gain[:, 2:] < 0).all()
    assert 3 < -gain[:, 4].median() < 4
    times = 10 ** gain.abs().median(0).values
    apart = [About(times[k]) for k in (0, 1, 2, 3)]
    return record.settings["starts"], pace["pytorch"][:, 0], pace["lecture"][:, 0], *apart


def test_the_forms_agree_until_the_first_turn():
    ours, theirs = (sweep(rule, quadratic, START, 60, lr=0.01)[:, 0, 1] for rule in (rprop, rprop_torch))
    turn = (ours < 0).nonzero()[0].item()  # the weight is across, so that the next sign has turned
    assert torch.equal(ours[: turn + 1], theirs[: turn + 1])
    assert theirs[turn + 1] == theirs[turn] and ours[turn + 1] != ours[turn]


# On a network


@page.claim(
    "{} random starts, {} steps; the rate of gradient descent is the best of {}.",
    "the gradient of the last layer's weights is between {} and {} times that of the first one's.",
    "where all gradients are below {}, at a loss of {}, and its steps",
    "Rprop ends between {} and {}. (Adam, with a rate of {}, ends between {} and {}.",
    "Gradient descent at the best of four rates comes down to {} and stays on this plateau. Rprop and Adam leave it behind "
    "and end between {} and {}.",
)
def test_with_all_data_it_leaves_gradient_descent_behind():
    record = recorded("rprop_network")
    ratio = record["first"][:, 2] / record["first"][:, 0]
    plateau = record["gradient_descent"].amin((1, 2))
    ours, adam = record["lecture"][:, -1], record["adam"][:, -1]
    assert (ours < plateau / 5).all() and (adam < plateau / 5).all()
    settings = record.settings
    return (
        len(record.seeds), settings["steps"], len(settings["rates"]),
        ratio.min(), About(ratio.max()), Below(record["last"]), plateau,
        ours.min(), ours.max(), settings["adam_rate"], adam.min(), adam.max(),
        plateau, min(ours.min(), adam.min()), max(ours.max(), adam.max()),
    )


@page.claim("the largest weight ends between {} and {}, where the median is about {}:")
def test_single_weights_run_away():
    largest, middle = (recorded("rprop_network")[name] for name in ("largest", "middle"))
    return largest.min(), About(largest.max()), middle.mean()


def test_the_course_s_rprop_in_pytorch_s_form_is_pytorch_s():
    lecture, ours, theirs = map(
        study.fitted_weights, (lambda p: Optimizer(p, rprop), lambda p: Optimizer(p, rprop_torch), torch.optim.Rprop)
    )
    assert torch.equal(ours, theirs)
    assert (lecture - theirs).abs().max() > 1


# Why it fails on mini-batches


@page.claim(
    "Nine have the gradient $+{}$, one has $-{}$. The mean is 0",
    "Where is the weight after {} epochs, in the median of {} random orders?",
    "in every one of the {} orders ({} for each of {} seeds).",
    "Rprop in PyTorch's form is at {} and Rprop in the lecture's form between {} and {}, still accelerating; RMSprop is at {}.",
    "so that $+{}$ nine times and $-{}$ once still add up to about 0.",
    "RMSprop still drifts a little: by less than {} in {} steps.",
)
def test_nine_against_one():
    record = recorded("rprop_nine_against_one")
    epochs, runs = record.settings["epochs"], record.settings["runs"]
    g = study.nine_against_one(0, epochs, runs)
    torch.testing.assert_close(g.unflatten(0, (100, 10)).sum(1), torch.zeros(100, 200).double(), atol=1e-12, rtol=0)
    assert record["gradient_descent"].abs().max() < 1e-9
    assert (record["nearest"][:, 1:3] > 100).all()  # Rprop, in both forms, in every order
    lecture, torchs, rms = (-record[name][:, -1] for name in ("rprop", "rprop_torch", "rmsprop"))
    halves = record["rprop"].diff(dim=1).abs().unflatten(1, (2, 50)).mean(2)
    assert (halves[:, 1] > 5 * halves[:, 0]).all()  # faster and faster
    values = g.max().item(), -g.min().item()
    return (
        *values, epochs, runs, runs * len(record.seeds), runs, len(record.seeds),
        About(torchs), About(lecture.min()), About(lecture.max()), rms, *values, Below(rms), 10 * epochs,
    )


@page.claim(
    "At equal rates the weight moves by {} rates in an epoch.",
    r"the rate changes by the factor $\alpha^8\beta^2 = 1.2^8 \cdot 0.5^2 = {}$: the walk speeds up by {} an epoch.",
    "Here $s$ is {}, and the rate explodes. Below {} the opposite happens",
    r"The rate should shrink by the factor $\sqrt{\alpha\beta} = {}$ a step",
    "If more than {} of the signs repeat, noise makes the rates explode",
)
def test_the_share_of_agreeing_signs_decides():
    step = -study.nine_against_one(0, 1, 1).sign().sum()
    share = SHRINK / (GROW + SHRINK)
    factor = 1.2**8 * 0.5**2
    return -step, factor, factor - 1, 0.8, share, math.sqrt(1.2 * 0.5), share


@pytest.mark.parametrize(("agree", "grows"), [(0.70, False), (0.76, False), (0.82, True), (0.88, True)])
def test_rates_explode_above_the_share_and_die_below(agree, grows):
    for seed in range(3):
        turns = torch.rand(400, 100, generator=study.generator(seed), dtype=torch.float64) > agree
        signs = torch.where(turns, -1.0, 1.0).cumprod(0).double()
        path = replay(rprop, signs, lr=0.01, eta_min=1e-300, eta_max=1e300)
        rates = path.diff(dim=0).abs()  # the size of a step is the rate
        assert (rates[-1].log().mean() > math.log(0.01)) == grows


@page.claim(
    "{} random least-squares problems, each with {} samples, {} weights and noisy targets; {} epochs:",
    "in its {} steps. The smaller the batch, the *more* steps Rprop takes in {} epochs, and the worse it ends: with batches "
    "of {}, after {} steps, between {} and {} of the start are left",
    r"the rates are at $\eta_{\min} = {}$. It is not noisy",
    "Rprop with the full batch falls below a millionth. With batches of {}, {} and {} it comes to a stop, the "
    "higher the smaller the batch, at {} to {} with batches of {}. Plain SGD in batches of {} falls to about {} and stays there.",
)
def test_on_least_squares_the_rates_die():
    record = recorded("rprop_batches")
    x, _, best = study.least_squares_problem(0)
    batches, epochs = record.settings["batches"], record.settings["epochs"]
    left = record["rprop"] / record["rprop"][..., :1]  # (seeds, batches, epochs + 1)
    assert (left[:, 0, -1] < 1e-6).all()
    assert (left[..., -1].diff(dim=1) > 0).all()
    assert (left[:, 1:, 30] < 1.2 * left[:, 1:, -1]).all()  # it has stopped
    sgd = record["sgd"] / record["sgd"][:, :1]
    assert (sgd[:, -1] < left[:, 3, -1]).all()
    end = left[:, 3, -1]
    return (
        len(record.seeds), len(x), len(best), epochs, epochs, epochs, batches[3], epochs * len(x) // batches[3],
        end.min(), end.max(), record["rates"][:, 3, -1], *batches[1:], end.min(), end.max(), batches[3], batches[3], sgd[:, -1].median(),
    )


# What goes wrong


@page.claim("Below ${}$ their product is 0 in float32", "scale a loss by ${}$ and Rprop creeps at its initial rate.")
def test_in_float32_tiny_gradients_never_change_the_rates():
    def scaled(factor, dtype):
        return sweep(rprop, lambda w: factor * (w**2).sum() / 2, START, 30, lr=0.01, dtype=dtype)[:, 0]

    assert torch.equal(scaled(1.0, torch.float64), scaled(2.0**-83, torch.float64))  # about 1e-25
    tiny = scaled(2.0**-83, torch.float32)
    torch.testing.assert_close(tiny.diff(dim=0).abs(), torch.full((30, 2), 0.01), atol=1e-6, rtol=0)
    w = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Rprop([w], lr=0.01)
    for _ in range(5):
        w.grad = torch.tensor([1e-25])
        optimizer.step()
    assert w.item() == pytest.approx(-0.05)  # PyTorch's product has the same limit
    smallest = torch.finfo(torch.float32).smallest_normal * torch.finfo(torch.float32).eps
    return math.sqrt(smallest / 2), 2.0**-83  # what is below half of the smallest number rounds to 0


@page.claim(r"if $\eta_{\min}$ is ${}$, the weights come no closer to the optimum than about that.")
def test_the_smallest_rate_is_the_smallest_distance():
    path = sweep(rprop, quadratic, START, 400, lr=0.01, eta_min=1e-3)[300:, 0].abs()
    assert (path.amax(0) > 4e-4).all() and (path.amax(0) < 2e-3).all()
    return 1e-6


test_changed_numbers_are_noticed = page.test_of_numbers()
