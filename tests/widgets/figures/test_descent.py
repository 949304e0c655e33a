"""Descent with a kernel: sliders are attributes, `path` is what `sweep` computes, and mistakes are named."""

import pytest
import torch

from course_lib.experiments import sweep
from course_lib.formulas import gradient_descent, himmelblau, momentum, quadratic, rosenbrock
from course_lib.formulas.signature import Rate
from course_lib.formulas.surfaces import SURFACES
from course_lib.widgets import Descent


def mine(w, g, t, v=0.0, *, lr=0.1, beta=0.9):
    v = beta * v + g
    return w - lr * v, v


def names(fig):
    return [control["name"] for control in fig.spec["controls"]]


def rule_with(name):
    """A rule with a hyperparameter of this name."""
    space = {}
    exec(f"def rule(w, g, t, *, {name}=0.1):\n    return w - {name} * g", space)
    return space["rule"]


def test_sliders_come_from_the_signature():
    fig = Descent(momentum, lr=0.05)
    assert names(fig) == ["lr", "momentum"]
    assert fig.hyper == {"lr": 0.05, "momentum": 0.9, "condition_number": 10.0, "angle": 0.0}
    assert names(Descent(momentum, quadratic, angle=30)) == [
        "lr",
        "momentum",
        "angle",
    ]  # a surface's are those that one names
    assert names(Descent([gradient_descent, mine])) == ["lr", "beta"]  # rules share a slider by its name
    assert names(Descent(momentum, himmelblau)) == ["lr", "momentum"]


def test_a_readers_own_rule():
    fig = Descent(mine)
    assert (fig.lr, fig.beta) == (0.1, 0.9)
    assert fig.spec["title"] == "mine on quadratic"
    assert torch.equal(fig.path, sweep(mine, quadratic, SURFACES["quadratic"].start, 100)[:, 0])


def test_a_readers_own_surface():
    def bowl(w, *, depth=2.0):
        return depth * (w**2).sum()

    fig = Descent(gradient_descent, bowl, depth=3.0, lr=0.01)
    assert names(fig) == ["lr", "depth"]
    assert fig.spec["domain"] == [[-2.0, 2.0], [-2.0, 2.0]]
    assert fig.spec["minimum_known"] is False
    assert torch.equal(fig.path, sweep(gradient_descent, bowl, [-1.5, 1.0], 100, depth=3.0, lr=0.01)[:, 0])


def test_hyperparameters_can_be_read_set_and_observed():
    fig, seen = Descent(momentum), []
    fig.observe(lambda change: seen.append((change["name"], change["old"], change["new"])), ["lr", "start"])
    fig.lr, fig.start, fig.steps = 0.02, (1, 1), 7
    assert seen == [("lr", 0.1, 0.02), ("start", [-2.2, 1.2], [1.0, 1.0])]
    assert torch.equal(fig.path, sweep(momentum, quadratic, [1.0, 1.0], 7, lr=0.02)[:, 0])
    assert fig.page_state()["lr"] == 0.02


def test_a_figures_sliders_are_its_own():
    one, two = Descent(momentum), Descent(gradient_descent)
    one.lr = 0.3
    assert two.lr == 0.1
    assert not hasattr(two, "momentum") and not hasattr(Descent, "lr")


def test_several_rules_have_a_path_each():
    fig = Descent([gradient_descent, momentum], rosenbrock, lr=0.001, steps=50)
    assert list(fig.path) == ["gradient_descent", "momentum"]
    for rule in (gradient_descent, momentum):
        assert torch.equal(fig.path[rule.__name__], sweep(rule, rosenbrock, [-1.2, 1.0], 50, lr=0.001)[:, 0])


@pytest.mark.parametrize("points", [[[2, 1], [1, 1]], torch.tensor([[2.0, 1.0], [1.0, 1.0]])], ids=["list", "tensor"])
def test_a_recorded_path_stands_beside_the_rules(points):
    fig = Descent(momentum)
    own = fig.path
    fig.path = points
    assert fig.recorded == [[2.0, 1.0], [1.0, 1.0]]
    assert torch.equal(fig.path, own)
    fig.path = None
    assert fig.recorded == []


def test_a_recorded_path_ends_where_it_overflows():
    fig = Descent(momentum)
    fig.path = [[1, 2], [float("inf"), 3], [1, 1]]
    assert fig.recorded == [[1.0, 2.0]]


@pytest.mark.parametrize("points", [[1, 2], [[1, 2, 3]], torch.zeros(2, 2, 2), []])
def test_what_is_no_path_is_named(points):
    with pytest.raises(ValueError, match=r"^A path has the shape \(points, 2\), got \("):
        Descent(momentum).path = points


LR = r"momentum's lr must be at least 0 and finite, got {}\."


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", -1.0, LR.format(-1.0)),
        ("lr", float("nan"), LR.format("nan")),
        ("lr", float("inf"), LR.format("inf")),
        ("momentum", 1.0, r"momentum's momentum must be at least 0 and below 1, got 1\.0\."),
        ("condition_number", 0.5, r"quadratic's condition_number must be at least 1 and finite, got 0\.5\."),
        ("start", [1, 2, 3], r"start must be two finite numbers, got \[1, 2, 3\]\."),
        ("start", [1.0, float("nan")], r"start must be two finite numbers, got \[1\.0, nan\]\."),
        ("start", [1.0, "left"], r"start must be two finite numbers, got \[1\.0, 'left'\]\."),
        ("steps", 0, r"steps must be a whole number from 1 to 10000, got 0\."),
        ("steps", 10_001, r"steps must be a whole number from 1 to 10000, got 10001\."),
    ],
)
def test_a_value_outside_its_limits_is_named_at_once_and_later(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Descent(momentum, **{name: value})
    fig = Descent(momentum)
    before = getattr(fig, name)
    with pytest.raises(ValueError, match=f"^{message}$"):
        setattr(fig, name, value)
    assert getattr(fig, name) == before


def test_a_limit_that_two_rules_share_holds_for_both():
    def free(w, g, t, *, pace=0.1):
        return w - pace * g

    def bound(w, g, t, *, pace: Rate = 0.1):
        return w - pace * g

    fig = Descent([free, bound])
    with pytest.raises(ValueError, match="^bound's pace must be at least 0"):
        fig.pace = -0.1


def test_an_unknown_hyperparameter_is_named():
    with pytest.raises(
        TypeError,
        match=r"^Unknown hyperparameter `rate`: momentum has \(lr, momentum\) and quadratic has \(condition_number, angle\)\.$",
    ):
        Descent(momentum, rate=0.1)


@pytest.mark.parametrize(
    "name",
    [
        "layout",
        "keys",
        "step",
        "start",
        "steps",
        "path",
        "code",
        "spec",
        "figure",
        "comm",
        "open",
        "observe",
        "surface",
        "domain",
        "hyper",
    ],
)
def test_a_hyperparameter_named_like_a_part_of_the_figure_is_named(name):
    with pytest.raises(
        TypeError, match=f"^A hyperparameter of a figure can't be called `{name}`: .* Rename it, as in `my_{name}`.$"
    ):
        Descent(rule_with(name))


def test_a_hyperparameter_of_both_rule_and_surface_is_named():
    with pytest.raises(TypeError, match="^rule and quadratic both have a hyperparameter `angle`: rename one of them.$"):
        Descent(rule_with("angle"))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "Descent needs at least one rule, got an empty list."),
        ([momentum, momentum], "Two rules have the same name: momentum, momentum. Give each its own."),
    ],
)
def test_a_list_of_rules_that_can_not_be_drawn_is_named(rules, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Descent(rules)


def test_what_is_no_rule_is_named():
    with pytest.raises(TypeError, match="^A rule is a function like `def rule"):
        Descent(0.1)
    with pytest.raises(ValueError, match="choose between values with torch.where"):
        Descent(lambda w, g, t, *, lr=0.1: w - lr * float(g[0]) * g)


def test_a_surface_that_gives_no_number_is_named():
    with pytest.raises(ValueError, match=r"must return one number \(a tensor of shape \(\)\), got \(2,\)"):
        Descent(momentum, lambda w: w**2)
    with pytest.raises(ValueError, match="does not take a point of 2 coordinates"):
        Descent(momentum, lambda w: w[0] + w[1] + w[2])


@pytest.mark.parametrize("domain", [((1, -1), (0, 1)), ((0, 0), (0, 1))])
def test_a_domain_without_an_inside_is_named(domain):
    with pytest.raises(ValueError, match=r"^domain must be \(\(x low, x high\), \(y low, y high\)\), got "):
        Descent(momentum, domain=domain)


def test_the_text_alternative_states_the_result():
    fig = Descent([gradient_descent, momentum], lr=0.19, condition_number=10, steps=50)
    first, second = (quadratic(path[-1]).item() for path in fig.path.values())
    assert fig.alt == (
        "gradient descent and momentum on quadratic, from (-2.2, 1.2), learning rate 0.19, momentum 0.9, condition number 10. "
        f"With gradient descent the loss goes from 9.62 to {first:.3g} in 50 steps. "
        f"With momentum the loss goes from 9.62 to {second:.3g} in 50 steps."
    )
    fig.lr = 0.3
    assert "With gradient descent the loss diverges from 9.62 in 50 steps." in fig.alt
    assert "nan" not in Descent(momentum, lr=1e200).alt
