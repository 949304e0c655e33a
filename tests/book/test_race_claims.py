"""What the chapter on the race says, bound to its records, to its figures and to algebra."""

import math

import pytest
import torch
from claims import About, Above, Below, Page
from torch.func import grad

from course_lib.experiments import recorded, sweep
from course_lib.experiments.arrivals import RATES, arrivals, good_decades
from course_lib.experiments.studies import race as study
from course_lib.formulas import (
    RULES,
    SURFACES,
    adagrad,
    adam,
    bfgs,
    clip_by_value,
    clipped,
    gradient_descent,
    momentum,
    newton,
    quadratic,
    rmsprop,
    rosenbrock,
    rprop,
)
from course_lib.formulas.signature import signature
from course_lib.formulas.surfaces import turned

page = Page("optimizers/race")
START = torch.tensor([-2.2, 1.2], dtype=torch.float64)
FINE = torch.logspace(-3, -1, 101, dtype=torch.float64)


def steps_of(surface: str, rule: str) -> torch.Tensor:
    """A rule's steps to the goal on a surface, for each of RATES."""
    record = recorded("race_arrivals")
    names, rules = record.settings["surfaces"], record.settings["rules"]
    return record["steps"][0, names.index(surface), rules.index(rule)]


def best(surface: str, rule: str) -> tuple[float, float]:
    """The fewest steps, and the rate that needs them."""
    steps = steps_of(surface, rule)
    return steps.min().item(), RATES[steps.argmin()]


def at_default(surface: str, rule: str) -> float:
    """The steps at the rate that stands in the rule's signature."""
    return study.default_and_best(surface, (rule,))[rule][0]


@page.claim(
    "each pixel is a run of {} steps in the same valley of condition number {}, from the same start and with the same goal of ${}$.",
    r"Gradient descent on Rosenbrock's valley at $\eta = {}$, plain and clipped.",
)
def test_the_settings_of_the_maps_and_of_the_clipped_valley(page):
    """They come first: a change in a figure's settings is noticed at once."""
    first, second, fig = (page.figure(k) for k in (1, 2, 3))
    for one in (first, second):
        assert (one.steps, one.condition_number, one.goal) == (600, 100, 1e-6) and one.x_range == [1e-3, 100]
        assert (one.lr, one.angle) == (0.03, 0)
    assert (fig.limit, fig.steps) == (1.0, 400)
    return first.steps, first.condition_number, first.goal, fig.lr


@page.claim(
    "Then drag the goal to ${}$: who is first of them now?",
    "condition number {}, {} or a million, they take the same path.",
    r"Over {} steps on the quadratic, paths that the table calls the same differ by less than ${}$, the others by more than {}.",
    "from batches of {}. There is no known minimum",
    "over the eight **other** seeds, {} to {}.",
    "the loss after {} steps on {} digits",
    "Adagrad's {} above is such a case.",
    "PyTorch divides by $n + {}$, so its gradients are shorter by the factor $n/(n + {})$.",
)
def test_what_is_set():
    settings = recorded("race_on_digits").settings
    seeds = recorded("race_on_digits").seeds[3:]
    rate = best("quadratic", "adagrad")[1]
    assert len(seeds) == 8
    return (
        1e-3, 10, 100, 30, 1e-12, 0.1, settings["batch"], seeds[0], seeds[-1], settings["steps"], len(study.data().x_train), rate, 1e-6, 1e-6,
    )


# The rules of the race, and the figure's answers


@page.claim(
    "the minimum is known | | goal | how low is low enough | ${}$, a slider | | budget | how many steps a rule may take | {}, a slider |",
    "the best of {} rates from ${}$ to ${}$, four a decade",
    "RMSprop at a rate of {} passes a quadratic's minimum at a distance of ${}$, and is far away again {} steps later.",
)
def test_the_rules():
    fig = page.figure(0)
    path = sweep(rmsprop, quadratic, START, 300, lr=100.0)[:, 0]
    nearest = int(path.norm(dim=1)[:100].argmin())
    assert path[nearest + 200].norm() > 10
    assert fig.spec["rates"] == RATES
    return fig.goal, fig.steps, len(RATES), min(RATES), max(RATES), 100, path[nearest].norm(), 200


@page.claim(
    "which ones do not arrive in {} steps?",
    "Rprop, after {} steps; gradient descent needs {} and momentum {}. RMSprop, Adadelta, Adam and Adagrad do not arrive.",
    "the start is {} from the minimum, and Adam's default of {} is a length, so in {} steps each coordinate moves by 1 at most.",
    "swing across the floor for good, at a loss of {} and {}.",
)
def test_at_default_rates_on_the_quadratic():
    fig = page.figure(0)
    assert (fig.surface, fig.mode) == ("quadratic", "defaults")
    budget, goal = (recorded("race_arrivals").settings[k] for k in ("steps", "goal"))
    assert (fig.steps, fig.goal) == (budget, goal)
    runs = {r: at_default("quadratic", r) for r in study.FIRST_ORDER}
    assert {r for r, n in runs.items() if n == math.inf} == {"rmsprop", "adadelta", "adam", "adagrad"}
    lr, ends = signature(adam).hyper["lr"], {}
    for name in ("adam", "adagrad"):
        path = sweep(RULES[name], quadratic, START, 1000, machine="numba")[:, 0]
        rate = signature(RULES[name]).hyper["lr"]
        assert (path.norm(dim=1).diff() < 0).all() and path.diff(dim=0).abs().max() < 1.001 * rate
    for name in ("rmsprop", "adadelta"):
        path = sweep(RULES[name], quadratic, START, 1000, machine="numba")[:, 0]
        assert (path[-100:, 1] * path[-101:-1, 1] < 0).all()  # from wall to wall
        ends[name] = quadratic(path[-1])
    arrived = (runs[r] for r in ("rprop", "gradient_descent", "momentum"))
    return fig.steps, *arrived, START.norm(), lr, fig.steps, ends["rmsprop"], ends["adadelta"]


@page.claim(
    "from the last place to {} steps, at $\\eta = {}$, an absurd rate. Its first step jumps {} away",
    "Adam arrives, too, after {} steps. Gradient descent halves its steps, from {} to {}.",
)
def test_who_gains_most_by_tuning():
    first = sweep(adagrad, quadratic, START, 1, lr=100.0)[:, 0].diff(dim=0).abs()
    assert first[0].tolist() == pytest.approx([100.0, 100.0], rel=1e-6)
    descent = best("quadratic", "gradient_descent")[0]
    return (
        *best("quadratic", "adagrad"), first.max(), best("quadratic", "adam")[0], at_default("quadratic", "gradient_descent"), descent,
    )


@page.claim(
    "Momentum ({} steps) and Adam ({}). With the goal at ${}$ it is Adagrad, after {} steps:", "it does not reach ${}$."
)
def test_the_goal_decides():
    record = recorded("race_arrivals")
    early = dict(zip(record.settings["rules"], record["early"][0].amin(1).tolist(), strict=True))
    assert min(early, key=early.get) == "adagrad" and best("rosenbrock", "adagrad")[0] == math.inf
    assert {r for r in study.FIRST_ORDER if best("rosenbrock", r)[0] < math.inf} == {"momentum", "adam"}
    return best("rosenbrock", "momentum")[0], best("rosenbrock", "adam")[0], 1e-3, early["adagrad"], 1e-6


def arrival(rule, surface: str, steps: int) -> float:
    """When a rule without a rate worth a scan arrives."""
    return arrivals(rule, SURFACES[surface].formula, steps, lr=None, machine="torch").item()


@page.claim(
    "Newton needs {} step on the quadratic and {} on Rosenbrock's valley. Try it on the other four.",
    "BFGS, which knows no curvature but that of its own steps, arrives on all six, after {} to {}.",
)
def test_bfgs_arrives_everywhere_and_newton_does_not():
    bfgs_steps = {name: arrival(bfgs, name, 34) for name in SURFACES}
    newton_steps = {name: arrival(newton, name, 60) for name in SURFACES}
    assert {name for name, n in newton_steps.items() if n < math.inf} == {"quadratic", "rosenbrock"}
    for name in ("saddle", "beale", "himmelblau"):
        end = sweep(newton, SURFACES[name].formula, SURFACES[name].start, 60)[-1, 0]
        assert grad(SURFACES[name].formula)(end).norm() < 1e-9  # a stationary point, but no minimum
    assert not sweep(newton, SURFACES["ravine"].formula, SURFACES["ravine"].start, 60)[-1, 0].norm() < 1e6
    return newton_steps["quadratic"], newton_steps["rosenbrock"], min(bfgs_steps.values()), max(bfgs_steps.values())


def good_band(rule: str, surface: str) -> float:
    """In decades, with the figure's budget."""
    return good_decades(steps_of(surface, rule))


@page.claim("Rprop's is {} decades and more on five of the six: the rate is only where it begins.", "half a decade at most, and none on four")
def test_the_good_bands():
    others = [x for x in SURFACES if x != "rosenbrock"]
    for rule in set(study.FIRST_ORDER) - {"rprop"}:
        assert all(good_band(rule, x) < good_band("rprop", x) for x in others)
    assert [good_band("gradient_descent", x) for x in others] == [0.5] * 5
    for rule, most in (("rmsprop", 0.25), ("adadelta", 0.5)):
        bands = [good_band(rule, x) for x in SURFACES]
        assert max(bands) == most and bands.count(0) == 4
    assert good_band("rprop", "rosenbrock") == good_band("gradient_descent", "rosenbrock") == 0
    return min(good_band("rprop", x) for x in others)


@page.claim(
    "On the quadratic Rprop is first at defaults with {} steps and Adagrad, which never arrives there, is first when tuned, "
    "with {}. On Rosenbrock's valley nobody arrives at defaults; tuned, momentum needs {} and Adam {}. On Beale's surface "
    "Rprop is first both times, with {} and {} steps.",
    "Here each rule had {} tries with one number.",
)
def test_tuning_turns_the_ranking_around():
    table = {name: study.default_and_best(name) for name in ("quadratic", "rosenbrock", "beale")}
    first = {name: [min(rows, key=lambda r: rows[r][k]) for k in (0, 1)] for name, rows in table.items()}
    assert first["quadratic"] == ["rprop", "adagrad"] and first["beale"] == ["rprop", "rprop"]
    assert {rows[0] for rows in table["rosenbrock"].values()} == {math.inf} and first["rosenbrock"][1] == "momentum"
    assert [r for r, (usual, _) in table["beale"].items() if usual < math.inf] == ["rprop"]
    rosenbrock = table["rosenbrock"]
    return (
        table["quadratic"]["rprop"][0], table["quadratic"]["adagrad"][1], rosenbrock["momentum"][1], rosenbrock["adam"][1],
        *table["beale"]["rprop"], len(RATES),
    )


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
    path = sweep(rule, quadratic, START, 30, **hyper)
    curved = sweep(rule, quadratic, START, 30, condition_number=100, **hyper)
    scaled = sweep(rule, lambda w: 7 * quadratic(w), START, 30, **hyper)
    there = turned(sweep(rule, quadratic, turned(START, 30), 30, angle=30, **hyper), -30)
    for other, feels in ((curved, feels_curvature), (scaled, feels_curvature), (there, feels_rotation)):
        far = (path - other).abs().max()
        assert far > 0.1 if feels else far < 1e-12


@page.claim(
    "A valley of condition number {}, turned by every fifth",
    "Along the axes Adagrad needs {} steps and Rprop {}, momentum {}. Turned by {}° it is {}, {} and {}.",
    "Momentum and Adam stay between {} and {} at every angle. Adagrad needs {} at -{}°, 0° and {}° and over {} between; Rprop is "
    "below {} near these angles, and has gaps where it does not arrive. Gradient descent needs {} to {}.",
)
def test_so_you_can_choose_the_winner():
    record = recorded("race_valley")
    angles = record.settings["angles"]
    fewest = dict(zip(study.LECTURE, record["fewest"][0], strict=True))
    along, across = angles.index(0), angles.index(45)
    steady = torch.cat([fewest["momentum"], fewest["adam"]])
    descent, ends = fewest["gradient_descent"], [angles.index(x) for x in (-90, 0, 90)]
    assert fewest["rprop"].isinf().any() and fewest["adagrad"][ends].tolist() == [5.0] * 3
    rows = [[fewest[r][k] for r in ("adagrad", "rprop", "momentum")] for k in (along, across)]
    return (
        record.settings["condition_number"], *rows[0], 45, *rows[1], steady.min(), steady.max(),
        fewest["adagrad"][along], 90, 90, Above(fewest["adagrad"].max()), Below(fewest["rprop"][ends]),
        descent.min(), descent.max(),
    )


# The whole plane


def test_momentums_map_has_vertical_stripes_and_rprops_horizontal_ones():
    first, second = page.figure(1), page.figure(2)
    rates, angles = first.places(60, 19)
    found = first.values(60, 19)
    assert first.y_range == [-90, 90] and first.start == [-2.2, 1.2]
    assert ((rates > 0.38) == found.lost).all()
    assert (found.steps < math.inf)[:, (0.013 < rates) & (rates < 0.38)].all()
    other = second.values(60, 19)
    assert not other.lost.any()
    share = (other.steps < math.inf).double().mean(1)
    assert (share[(-19.5 < angles) & (angles < 28.5)] == 1).all() and (share[angles.abs() > 65] == 1).all()
    assert (share[(-48 < angles) & (angles < -37)] == 0).all()


@page.claim(
    "in decades of $\\eta$, at 0°? And at −{}°?",
    "Momentum is fastest near −{}°. The start lies at $(-{}, {})$.",
    r"At $\eta = {}$, a straight line. It is $\frac{2(1 + m)}{(1 - m)\,\lambda_{\max}}$ with $m = {}$ and $\lambda_{\max} = {}$",
    "From {} on all rates below it arrive at every angle, the best one after some {} to {} steps.",
    "All five decades that are drawn, with {} steps or more. At −{}° it is all but empty. Between −{}° and {}° Rprop forgives every "
    "rate, between −{}° and −{}° next to none.",
    r"as $\tan {}° = {}/{}$.", "At {}° the start lies straight across the valley",
)
def test_the_whole_plane():
    first, second = page.figure(1), page.figure(2)
    floor = math.degrees(math.atan2(1.2, 2.2))
    found = first.values(60, 19).steps.amin(1)
    edge = 2 * 1.9 / (0.1 * 100)
    path = sweep(momentum, quadratic, START, 300, lr=0.05, condition_number=100, angle=-floor)[:, 0]
    assert turned(path, floor)[:, 1].abs().max() < 1e-12  # the valley's floor passes through the start
    valley = {"condition_number": 100.0, "lr": FINE}
    lowest = [FINE[arrivals(momentum, quadratic, 600, angle=a, **valley).isfinite()].min() for a in (0.0, 90 - floor)]
    assert lowest[0] > 10 * lowest[1]
    angles = torch.tensor([*range(-90, 90, 5), -floor], dtype=torch.float64)
    a, lr = torch.meshgrid(angles, torch.logspace(-2, -0.42, 40, dtype=torch.float64), indexing="ij")
    turning = {"condition_number": 100.0, "lr": lr.flatten(), "angle": a.flatten()}
    fewest = arrivals(momentum, quadratic, 600, **turning).view(a.shape).amin(1)
    assert fewest[-1] == fewest.min() and (fewest[(angles + floor).abs() > 3] > fewest[-1]).all()
    return (
        40, floor, -START[0], START[1], edge, 0.9, 100, 0.013, About(found.min()), About(found.max()),
        second.values(60, 19).steps.min(), 40, 19, 28, 47, 38, floor, START[1], -START[0], 90 - floor,
    )


# Costs, starts


@page.claim(
    "On Rosenbrock's valley its {} steps look at {} points. Tuned momentum needs {} gradients, and its tuning cost {} runs.",
    "A network of a million weights would need ${}$ numbers for $B$.",
)
def test_points_that_bfgs_looks_at():
    steps = int(arrival(bfgs, "rosenbrock", 34))
    return steps, study.points_seen(rosenbrock, steps), best("rosenbrock", "momentum")[0], len(RATES), (10**6) ** 2


@page.claim(
    "Each rule begins at the same {} random points of a surface's square, {} times over, has {} rates and {} steps;",
    "On Beale's surface Rprop wins between {} and {} of the {} starts, and no other rule more than {}. On Himmelblau's gradient "
    "descent wins {} to {}, Adagrad {} to {}, Rprop at most {}.",
    "How many of {} random starts each rule wins, a dot for each of {} draws. On Beale's surface Rprop wins {} to {} and no other rule "
    "more than {}. On Himmelblau's gradient descent wins {} to {}, Adagrad {} to {} and Rprop {} to {}.",
)
def test_the_start_decides():
    record = recorded("race_starts")
    starts, draws = record.settings["starts"], len(record.seeds)
    beale, himmelblau = (dict(zip(study.LECTURE, record["wins"][:, k].T, strict=True)) for k in (0, 1))
    others = torch.stack([x for r, x in beale.items() if r != "rprop"]).max()
    ends = [(x.min(), x.max()) for x in (beale["rprop"], himmelblau["gradient_descent"], himmelblau["adagrad"])]
    most, last = himmelblau["rprop"].max(), (himmelblau["rprop"].min(), himmelblau["rprop"].max())
    return (
        starts, draws, len(RATES[::2]), record.settings["steps"], *ends[0], starts, others, *ends[1], *ends[2], most,
        starts, draws, *ends[0], others, *ends[1], *ends[2], *last,
    )


# The network


@page.claim(
    "{} steps for each run, and the same {} rates for each rule, half a decade apart",
    "RMSprop is first with {} errors on average, Adam last with {}.",
    "From gradient descent's {} to RMSprop's {}, with a standard deviation of {} to {} between seeds.",
    "too few to tell {} from {}.",
    "**Rprop is out,** with {}:",
    "Here the good bands are alike, {} to {} decades for every rule.",
    "a dot for each of {} seeds. At defaults RMSprop is near {}, all others between {} and {}.",
)
def test_the_race_on_the_digits():
    record, rules = recorded("race_on_digits"), study.tuned_on_digits()
    usual = {name: rule.errors(rule.default).mean() for name, rule in rules.items()}
    tuned = {name: rule.errors(rule.tuned) for name, rule in rules.items()}
    means = {name: x.mean() for name, x in tuned.items() if name != "rprop"}
    deviations = torch.stack([x.std() for name, x in tuned.items() if name != "rprop"])
    assert min(usual, key=usual.get) == "rmsprop" and max(usual, key=usual.get) == "adam"
    assert min(means, key=means.get) == "gradient_descent" and max(means, key=means.get) == "rmsprop"
    assert means["rmsprop"] > usual["rmsprop"] and tuned["rprop"].mean() > means["rmsprop"] + 3
    bands = [rule.band for rule in rules.values()]
    rms, settings = rules["rmsprop"], record.settings
    others = torch.cat([rule.errors(rule.default) for name, rule in rules.items() if name != "rmsprop"])
    percent = [x / 100 for x in (usual["rmsprop"], usual["adam"], means["gradient_descent"], means["rmsprop"])]
    return (
        settings["steps"], len(settings["rates"]), *percent, deviations.min(), deviations.max(), rms.default, rms.tuned,
        tuned["rprop"].mean() / 100, min(bands), max(bands), len(others) // 5, About(usual["rmsprop"] / 100),
        others.min() / 100, others.max() / 100,
    )


# Clipping


@page.claim(
    r"The loss of a network that has learned nothing is $\ln 10 = {}$",
    "Without clipping {} of {} networks end above {}, so they know nothing:",
    "With a limit of {} every run ends between {} and {}, though only {} to {} of its {} gradients were shortened.",
    "At a rate of 2 nine of ten plain runs end above {}, the loss of a guess. The clipped runs end between {} and {}, as low as those at",
)
def test_clipping_saves_the_network():
    record = recorded("race_clipping")
    lost, clipped, shortened = record["plain"][record["plain"] > 2.3], record["clipped"], record["shortened"]
    assert (record["tuned"] < 0.3).all() and (record["plain"] > 1).all()
    ends = clipped.min(), clipped.max()
    return (
        math.log(10), len(lost), len(record.seeds), Above(lost), record.settings["limit"], *ends, shortened.min(), shortened.max(), 200,
        Above(lost), *ends,
    )


@page.claim(
    "The gradient at the start has the norm {}.",
    r"Then lower $\eta$ to {}:",
    "Plain, the loss is {} after one step, {} after two, then it is gone. Every limit from {} to {} keeps it finite. At 1 the run "
    "ends at a loss of {}, at 3 at {}. At {} it bounces between the walls at {}; at {}, with steps of at most {}, it has crept down to "
    r"{}. With $\eta = {}$ the plain run does not need the insurance and ends at {}; the clipped one, at {}, pays for it with every step.",
)
def test_the_clipped_valley():
    fig = page.figure(3)

    def end(limit: float) -> float:
        fig.limit = limit
        _, shortened = fig.losses.values()
        return shortened[-1].item()

    plain = fig.losses["gradient_descent"]
    assert not plain[-1].isfinite()
    size = grad(rosenbrock)(torch.tensor([-1.2, 1.0], dtype=torch.float64)).norm()
    ends = {limit: end(limit) for limit in (0.01, 0.1, 1.0, 3.0, 100.0, 200.0)}
    assert all(map(math.isfinite, ends.values()))
    rate, fig.lr = fig.lr, 0.002
    slow = fig.losses["gradient_descent"][-1].item(), end(1.0)
    return (
        size, 0.002, plain[1].item(), About(plain[2].item()), 0.01, 200, ends[1.0], ends[3.0], 100, About(ends[100.0]), 0.1,
        0.1 * rate, ends[0.1], 0.002, *slow,
    )


def test_by_value_turns_the_direction_and_by_norm_does_not():
    g = torch.tensor([30.0, 1.0])
    assert torch.cosine_similarity(clip_by_value(g, 1.0), g, dim=0) < 0.75
    w = torch.zeros(2)
    moved = w - clipped(gradient_descent)(w, g, 1, lr=1.0, limit=1.0)
    assert torch.cosine_similarity(moved, g, dim=0) == pytest.approx(1.0)


test_changed_numbers_are_noticed = page.test_of_numbers()
