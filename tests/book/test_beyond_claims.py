"""What the chapter on rules beyond the lecture says, bound to its record, to its figure and to algebra."""

import functools
import math

import torch
from claims import About, Below, Page
from torch.func import vmap
from torch.linalg import svdvals

from course_lib.experiments import recorded, sweep
from course_lib.experiments.arrivals import RATES, arrivals
from course_lib.formulas import RULES, SURFACES, lion, quadratic
from course_lib.formulas.matrices import orthogonal
from course_lib.formulas.signature import signature

page = Page("optimizers/beyond")
START = torch.tensor([-2.2, 1.2], dtype=torch.float64)
ANCESTORS = {"nesterov": "momentum", **dict.fromkeys(("amsgrad", "adamax", "nadam", "radam"), "adam")}


def without_decay(name: str) -> dict[str, float]:
    return {"decay": 0.0} if "decay" in signature(RULES[name]).hyper else {}


@functools.cache
def fewest(surface: str) -> dict[str, float]:
    """The fewest steps of each rule of the figure to its goal, within its budget."""
    fig = page.figure(0)
    assert (fig.surface, fig.mode, fig.start) == ("quadratic", "tuned", START.tolist()) and fig.spec["rates"] == RATES
    run = functools.partial(arrivals, surface=SURFACES[surface].formula, steps=fig.steps, goal=fig.goal)
    return {name: run(RULES[name], **without_decay(name)).min().item() for name in fig.chosen}


@page.claim(
    "each at the best of {} rates",
    "Nesterov with {} steps and NAdam with {}, where momentum needs {} and Adam {}.",
    "RAdam ({}), Adamax ({}) and AMSGrad ({}) gain less.",
)
def test_who_gains_on_the_quadratic():
    steps = fewest("quadratic")
    gains = {rule: steps[rule] / steps[of] for rule, of in ANCESTORS.items()}
    assert all(gain < 1 for gain in gains.values())
    assert {rule for rule, gain in gains.items() if gain < 0.5} == {"nesterov", "nadam"}
    assert all(gain > 0.85 for rule, gain in gains.items() if rule not in ("nesterov", "nadam"))
    assert steps["lion"] == max(steps.values()) == page.figure(0).steps
    names = ("nesterov", "nadam", "momentum", "adam", "radam", "adamax", "amsgrad")
    return len(RATES), *(steps[name] for name in names)


@page.claim(
    r"Press its cells at $\eta = {}$ and ${}$", r"at $\eta = {}$ up to a loss of {}, at {} up to {}, a hundredth."
)
def test_lion_swings_for_good():
    rates = torch.tensor([0.1, 0.01], dtype=torch.float64)
    path = sweep(lion, quadratic, START, 1000, lr=rates, decay=0.0)
    steps, late = path.diff(dim=0).abs(), vmap(vmap(quadratic))(path)[900:].amax(0)
    torch.testing.assert_close(steps, rates[:, None].expand_as(steps), rtol=1e-9, atol=0)
    assert late[0] / late[1] > 99
    return *rates, rates[0], late[0], rates[1], late[1]


@page.claim("AMSGrad alone, after {} steps, and both ancestors are there sooner, after {} and {}.")
def test_who_arrives_in_rosenbrocks_valley():
    steps = fewest("rosenbrock")
    assert {rule for rule, n in steps.items() if n < math.inf} == {"momentum", "adam", "amsgrad"}
    assert steps["amsgrad"] > max(steps["momentum"], steps["adam"])
    return steps["amsgrad"], steps["momentum"], steps["adam"]


def test_only_lamb_feels_where_the_origin_is():
    shift = torch.tensor([3.0, 1.0], dtype=torch.float64)
    for name in ("momentum", "nesterov", "adam", "amsgrad", "adamax", "nadam", "radam", "lion", "lamb"):
        hyper = {"lr": 0.05, **without_decay(name)}
        here = sweep(RULES[name], quadratic, START, 50, **hyper)
        there = sweep(RULES[name], lambda w: quadratic(w - shift), START + shift, 50, **hyper) - shift
        assert ((here - there).abs().max() > 1) == (name == "lamb")


# Muon


@page.claim(
    "Five random matrices of {} rows whose columns shrink to a hundredth",
    "The first {} singular values, from {} down to {}, become {} to {}.",
    "Those of M fall from {} to below {}. Those of Muon's step lie between {} and {} up to rank {};",
)
def test_the_singular_values_of_a_step():
    torch.manual_seed(0)
    M = torch.randn(5, 30, 30) * torch.logspace(0, -2, 30)
    before = svdvals(M / M.norm(dim=(1, 2), keepdim=True))
    after = svdvals(torch.stack([orthogonal(one) for one in M]))
    least, most, kept = after[:, :28].min(), after[:, :28].max(), before[:, :28].median(0).values
    assert (after[:, 28:].median(0).values < 0.6).all() and (before[:, 28:].median(0).values < 1 / 500).all()
    return 30, 28, About(kept[0]), kept[-1], least, most, About(kept[0]), Below(before[:, -1]), least, most, 28


def test_muon_notices_no_rotation():
    M = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    Q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
    torch.testing.assert_close(orthogonal(Q @ M), Q @ orthogonal(M), rtol=1e-9, atol=1e-12)


@page.claim(
    "Muon is ahead in {} of the {} runs: a draw, but for the one run in which Adam alone ends at {}.",
    "With Muon for the matrices they lie between {} and {}, with Adam for all between {} and {} but for one at {}.",
)
def test_muon_on_the_digits():
    record = recorded("race_muon")
    with_muon, adam_alone = record["muon"], record["adam"].sort().values
    ahead, worst = (with_muon < record["adam"]).sum(), adam_alone[-1]
    return ahead, len(record.seeds), worst, with_muon.min(), with_muon.max(), adam_alone[0], adam_alone[-2], worst


test_changed_numbers_are_noticed = page.test_of_numbers()
