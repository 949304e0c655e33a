"""Map with a kernel: its values are sweep's, its ranges make sense, and what can't be mapped is named."""

import math
import re

import pytest
import torch

from course_lib.experiments import sweep
from course_lib.experiments.arrivals import ends
from course_lib.formulas import adam, gradient_descent, himmelblau, momentum, quadratic, rosenbrock, steepest_descent
from course_lib.formulas.ends import DIVERGED
from course_lib.formulas.signature import Decay, Range, Rate
from course_lib.widgets import Map


def test_values_are_runs_of_sweep_in_single_precision():
    fig = Map(momentum, himmelblau, x="w0", y="lr", steps=50, momentum=0.8)
    found, (x, y) = fig.values(6, 5), fig.places(6, 5)
    assert found.steps.shape == (5, 6)
    for row, column in ((0, 0), (2, 3), (4, 5), (4, 0)):
        path = sweep(
            momentum, himmelblau, [x[column].item(), -0.5], 50, dtype=torch.float32, lr=y[row].item(), momentum=0.8
        )[:, 0]
        above = torch.stack([himmelblau(w) for w in path])
        lost = bool(~(path.abs() <= 60_000).all()) or ends(above, fig.goal)[0] == DIVERGED
        assert found.lost[row, column] == lost
        late = [k + 1 for k, z in enumerate(above.tolist()) if z > fig.goal]
        assert found.steps[row, column] == (math.inf if lost or late[-1:] == [51] else late[-1])
        assert found.above[row, column] == (math.inf if lost else above[-1])
        minima = torch.tensor([[3.0, 2.0], [-2.805118, 3.131313], [-3.779310, -3.283186], [3.584428, -1.848127]])
        assert found.minimum[row, column] == (-1 if lost else (minima - path[-1]).norm(dim=1).argmin())


def test_many_runs_are_computed_in_parts(monkeypatch):
    fig = Map(gradient_descent, quadratic, x="w0", y="lr", steps=20)
    whole = fig.values(16, 12)
    monkeypatch.setattr("course_lib.widgets.figures.maps.map.AT_ONCE", 700)
    parts = fig.values(16, 12)
    names = ("steps", "above", "minimum", "lost")
    assert [name for name in names if not torch.equal(getattr(whole, name), getattr(parts, name))] == []


def test_a_minimum_that_moves_with_a_hyperparameter_on_an_axis():
    fig = Map(gradient_descent, rosenbrock, x="a", y="lr", x_range=(0.5, 1.5), y_range=(1e-4, 2e-3), steps=1)
    assert (fig.values(4, 3).minimum == 0).all()
    assert fig.lowest == 0.0


@pytest.mark.parametrize(
    ("name", "bounds", "expected"),
    [
        ("lr", (1e-4, 1.0), [10**-3.5, 10**-2.5, 10**-1.5, 10**-0.5]),
        ("beta1", (0.0, 0.9999), [1 - 10**-0.5, 1 - 10**-1.5, 1 - 10**-2.5, 1 - 10**-3.5]),
        ("w0", (-2.0, 2.0), [-1.5, -0.5, 0.5, 1.5]),
    ],
)
def test_places_are_even_on_the_axis_scale(name, bounds, expected):
    fig = Map(adam, rosenbrock, x=name, y="eps", x_range=bounds)
    assert fig.places(4, 2)[0].tolist() == pytest.approx(expected)


def test_axes_begin_at_the_annotated_ranges():
    def own(w, g, t, *, rate: Rate = 0.1, keep: Decay = 0.5, shift=0.0, edge: Range = 2.0):
        return w - rate * g * keep + shift * 0 * edge

    assert (Map(own, quadratic, x="rate", y="keep").x_range, Map(own, quadratic, x="rate", y="keep").y_range) == (
        [1e-4, 1.0],
        [0.0, 0.999],
    )
    assert Map(own, quadratic, x="rate", y="shift").y_range == [-1.0, 1.0]
    assert Map(own, quadratic, x="w1", y="w0").x_range == [-1.6, 1.6]


def test_sliders_are_for_what_is_on_no_axis():
    names = lambda fig: [c["name"] for c in fig.spec["controls"]]
    assert names(Map(adam, rosenbrock, y="beta1")) == ["beta2", "steps", "goal"]
    assert names(Map(adam, rosenbrock, y="beta1", b=10.0, eps=1e-6)) == ["beta2", "eps", "b", "steps", "goal"]
    assert names(Map(momentum, himmelblau, x="w0", y="w1")) == ["lr", "momentum", "steps", "goal"]


def test_a_rule_and_a_surface_of_ones_own():
    def own(w, g, t, v=0.0, *, lr=0.05, beta=0.5):
        v = beta * v + g
        return w - lr * v, v

    def dish(w, *, tilt=0.5):
        return (w**2).sum() + tilt * w[0]

    fig = Map(own, dish, y="tilt", goal=0.5)
    assert fig.spec["views"] == ["steps", "loss"] and fig.lowest == 0.0
    assert fig.values(5, 4).minimum.unique().tolist() == [-1]
    assert "run" in fig.code and "minima" not in fig.code


def test_the_text_alternative_counts():
    fig = Map(momentum, himmelblau, x="w0", y="w1", lr=0.02, view="minimum", steps=150)
    found = fig.values(40, 30)
    assert fig.alt.startswith(
        "Map of momentum on Himmelblau over start x from -6 to 6 and start y from -6 to 6. Of 1,200 runs of 150 steps "
    )
    assert (
        f"{(found.steps < math.inf).double().mean():.0%} come to stay within 0.001 of the minimum, "
        f"{(found.steps.isinf() & ~found.lost).double().mean():.0%} have not settled and {found.lost.double().mean():.0%} diverge."
        in fig.alt
    )
    assert f"The fewest steps, {found.steps.min():.0f}, need start x " in fig.alt
    assert "The 4 minima attract 2" in fig.alt
    fig.steps = 1
    assert "The fewest" not in Map(momentum, himmelblau, x="w0", y="w1", lr=1e-4, steps=1, goal=1e-6).alt


RANGES = [
    ((1.0, 0.1), "The range of lr is inverted: it must be (low, high) with low < high, got (1, 0.1)."),
    ((0.1, 0.1), "The range of lr is empty: it must be (low, high) with low < high, got (0.1, 0.1)."),
    ((0.0, 1.0), "The range of lr must lie between 1e-12 and 1000000, got (0, 1)."),
    ((math.nan, 1.0), "The range of lr must be finite, got (nan, 1)."),
    ((1.0, 2.0, 3.0), "The range of lr must be (low, high), got (1.0, 2.0, 3.0)."),
    ("ab", "The range of lr must be (low, high), got 'ab'."),
]


@pytest.mark.parametrize(("bounds", "message"), RANGES)
def test_a_range_that_is_none_is_named_at_once_and_later(bounds, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Map(adam, rosenbrock, y="beta1", x_range=bounds)
    if isinstance(bounds, tuple):
        fig = Map(adam, rosenbrock, y="beta1")
        with pytest.raises(ValueError, match=re.escape(message.split(", got")[0])):
            fig.x_range = list(bounds)


def test_a_decay_stays_below_one():
    with pytest.raises(
        ValueError, match=re.escape("The range of beta1 must lie between 0 and 0.999999, got (0.5, 1).")
    ):
        Map(adam, rosenbrock, y="beta1", y_range=(0.5, 1.0))


def odd_name(w, g, t, *, lr=0.1, view=1.0):
    return w - lr * g * view


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda: Map(adam, rosenbrock, y="gamma"),
            ValueError,
            "adam on rosenbrock has no `gamma` for an axis. It has lr, beta1, beta2, eps, a, b, w0, w1.",
        ),
        (
            lambda: Map(adam, rosenbrock, y="lr"),
            ValueError,
            "Both axes of adam on rosenbrock are `lr`: a map needs two.",
        ),
        (
            lambda: Map(adam, rosenbrock, y="beta1", gamma=1),
            TypeError,
            "Unknown hyperparameter `gamma`: adam has (lr, beta1, beta2, eps) and rosenbrock has (a, b).",
        ),
        (
            lambda: Map(adam, rosenbrock, y="beta1", lr=-1),
            ValueError,
            "adam's lr must be at least 0 and finite, got -1.0.",
        ),
        (
            lambda: Map(adam, rosenbrock, y="beta1", start=(1, math.nan)),
            ValueError,
            "start must be two finite numbers, got [1, nan].",
        ),
        (
            lambda: Map(adam, rosenbrock, y="beta1", steps=0),
            ValueError,
            "steps must be a whole number from 1 to 2010, got 0.",
        ),
        (
            lambda: Map(adam, rosenbrock, y="beta1", goal=1e-9),
            ValueError,
            "goal must lie between 1e-06 and 1, what single precision can tell, got 1e-09.",
        ),
        (
            lambda: Map(adam, rosenbrock, y="beta1", view="minimum"),
            ValueError,
            "view must be 'steps' or 'loss' on rosenbrock, which has one minimum or none that is known, got 'minimum'.",
        ),
        (
            lambda: Map(adam, rosenbrock, y="beta1", view="speed"),
            ValueError,
            "view must be one of steps, loss, minimum, got 'speed'.",
        ),
        (
            lambda: Map(steepest_descent, rosenbrock, x="w0", y="w1"),
            ValueError,
            "a shader of more than 600 takes minutes to compile. Take a rule without a line search.",
        ),
        (
            lambda: Map(odd_name, quadratic, y="w0"),
            TypeError,
            "A hyperparameter of a figure can't be called `view`: the figure has a `view` of its own. Rename it, as in `my_view`.",
        ),
    ],
)
def test_what_cannot_be_mapped_is_named(make, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        make()


def test_a_setting_outside_its_limits_is_named_later_too():
    fig = Map(adam, rosenbrock, y="beta1")
    with pytest.raises(ValueError, match="adam's beta2 must be at least 0 and below 1, got 1.0."):
        fig.beta2 = 1.0
    with pytest.raises(ValueError, match="steps must be a whole number"):
        fig.steps = 5000
    assert fig.hyper == {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "a": 1.0, "b": 100.0}
