"""Race with a kernel: its standings and its map against loops in plain PyTorch; what can't be raced is named."""

import base64
import math
import zlib

import pytest
import torch

from course_lib.experiments.arrivals import RATES, good_decades
from course_lib.formulas import (
    RULES,
    SECOND_ORDER,
    SURFACES,
    adam,
    bfgs,
    gradient_descent,
    lion,
    momentum,
    newton,
    quadratic,
    rprop,
    saddle,
)
from course_lib.formulas.signature import signature
from course_lib.widgets import Race
from course_lib.widgets.figures.race import GROUPS, best


def plain(rule, surface, start, steps, goal, floor, **hyper):
    """(steps until the loss stays at the goal, loss above the minimum at the end), step by step."""
    w, state, above = torch.tensor(start, dtype=torch.float64), None, []
    state = tuple(signature(rule).initial(w, signature(rule).hyper | hyper).values())
    for t in range(1, steps + 2):
        w = w.detach().requires_grad_()
        loss = surface(w)
        above.append(loss.item() - floor)
        (g,) = torch.autograd.grad(loss, w)
        new = rule(w.detach(), g, t, *state, **hyper)
        w, *state = new if isinstance(new, tuple) else (new,)
    late = [k for k, z in enumerate(above) if not z <= goal]
    return (late[-1] + 1 if late else 0), above


@pytest.mark.parametrize("mode", ["defaults", "tuned"])
def test_standings_are_those_of_a_plain_loop(mode):
    fig = Race([gradient_descent, momentum, adam, rprop], [quadratic], mode=mode, steps=120, goal=1e-4)
    found = fig.standings
    assert [x.steps for x in found] == sorted(x.steps for x in found)
    for x in found:
        steps, above = plain(RULES[x.rule], quadratic, fig.start, 120, 1e-4, 0.0, lr=x.lr)
        assert x.above == pytest.approx(above[-1], rel=1e-9)
        assert x.steps == (steps if steps <= 120 else math.inf)


def test_the_map_says_where_a_rule_arrives_and_where_it_diverges():
    fig = Race([gradient_descent, newton], [quadratic], steps=200)
    steps = fig.map["gradient_descent"]
    assert steps.shape == (len(RATES),) and fig.map["newton"].tolist() == [1.0]
    for lr, n in zip(RATES, steps.tolist(), strict=True):
        want, above = plain(gradient_descent, quadratic, fig.start, 200, 1e-6, 0.0, lr=lr)
        assert (n == want) if want <= 200 else math.isnan(n) if lr > 0.2 else math.isinf(n)
    k = best(steps, torch.ones(len(RATES)))
    assert RATES[k] == 0.178 and good_decades(steps) == sum(x <= 2 * steps[k] for x in steps.tolist()) / 4


def test_the_best_of_runs_that_do_not_arrive_is_the_lowest():
    inf, nan = math.inf, math.nan
    assert best(torch.tensor([inf, inf, nan]), torch.tensor([0.3, 0.2, 0.1])) == 1
    assert best(torch.tensor([nan, 7.0, 5.0]), torch.tensor([nan, 0.0, 0.0])) == 2
    assert best(torch.tensor([nan, nan]), torch.tensor([inf, nan])) == 0
    assert good_decades(torch.tensor([inf, nan])) == 0 and good_decades(torch.tensor([nan, 3.0, 6.0, 7.0])) == 0.5


def test_a_run_that_passes_the_goal_and_leaves_has_not_arrived():
    def leaves(w, g, t, *, lr=0.1):
        return w - lr * g * (t < 60) + 0.01 * (t > 80)

    fig = Race([leaves, gradient_descent], [quadratic], steps=200)
    assert [(x.rule, x.steps < math.inf) for x in fig.standings] == [("gradient_descent", True), ("leaves", False)]


def test_every_rule_and_every_surface_can_be_raced():
    fig = Race()
    assert set(fig.chosen) == {
        r.__name__ for title, group in GROUPS.items() if title != "beyond the lecture" for r in group
    }
    assert [*fig.spec["surfaces"]] == [*SURFACES]
    assert {name for group in fig.spec["groups"] for name in group["rules"]} == {
        r.__name__ for group in GROUPS.values() for r in group
    }
    assert set(fig.spec["rules"]) <= set(RULES) | set(SECOND_ORDER)
    assert {name for name, rule in fig.spec["rules"].items() if rule["lr"] is None} == {"newton", "bfgs", "lbfgs"}
    assert fig.spec["rules"]["lion"]["hyper"]["decay"] == 0.0
    code = zlib.decompress(base64.b64decode(fig.code)).decode()
    assert code.count("export function r") == 16 * 6 and len(fig.code) < 170_000  # what it adds to a page


def test_a_rule_and_a_surface_of_your_own():
    def half(w, g, t, *, lr=0.5):
        return w - lr * g / 2

    def bowl(w):
        return (w**2).sum()

    fig = Race([half, lion, bfgs], [bowl, saddle], steps=50)
    assert [group["title"] for group in fig.spec["groups"]] == ["second order", "beyond the lecture", "your own"]
    assert fig.chosen == ["bfgs", "half"] and fig.surface == "bowl"
    assert {x.rule: x.steps for x in fig.standings}["half"] == 11
    fig.surface, fig.start = "saddle", [-1.5, 0.01]
    assert {x.rule: x.steps < math.inf for x in fig.standings} == {"bfgs": True, "half": True}


def test_the_text_alternative_says_who_arrives_when():
    fig = Race([gradient_descent, momentum, adam], [quadratic], steps=150)
    assert fig.alt == (
        "Race of 3 rules on quadratic from (-2.2, 1.2), each at its default rate, to a loss 1e-06 above the minimum, and the map of all rates and rules. "
        "Gradient descent at 0.1 needs 70 steps. Momentum at 0.1 needs 149 steps. Adam at 0.001 has not settled, 7.7 above after 150 steps."
    )
    fig.start = [2.0, 1.0]
    assert "from (2, 1)" in fig.alt


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surface": "plain"}, "surface must be one of quadratic, got 'plain'."),
        ({"chosen": ["adam", "x"]}, "chosen must be names of the rules gradient_descent, got adam, x."),
        ({"start": [0.0, math.nan]}, "start must be two finite numbers"),
        ({"steps": 5000}, "steps must be a whole number from 10 to 2010, got 5000."),
        ({"goal": 0.0}, "goal must lie between 1e-12 and 1, got 0."),
    ],
)
def test_what_cannot_be_raced_is_named(change, message):
    fig = Race([gradient_descent], [quadratic])
    with pytest.raises(ValueError, match=message):
        fig.set_trait(*next(iter(change.items())))


def test_what_cannot_be_made_is_named():
    with pytest.raises(ValueError, match="^Race needs at least one rule"):
        Race([], [quadratic])
    with pytest.raises(ValueError, match="^Two rules have the same name: adam, adam"):
        Race([adam, adam], [quadratic])
