"""Trainability with a kernel: its values are train_many's, its ranges make sense, and what can't be mapped is named."""

import math
import re

import pytest
import torch

from course_lib.experiments.trainability import LARGEST, task, train_many
from course_lib.formulas.trainability import one_rate, two_rates
from course_lib.widgets import Trainability


def own_rate(W, V, x, y, *, rate=0.1, decay=0.01):
    return W - rate * decay * W, V - rate * decay * V


def test_values_are_runs_of_train_many_in_single_precision():
    fig = Trainability(width=3, seed=2, steps=25, scale=0.8)
    found, (x, y) = fig.values(7, 5), fig.places(7, 5)
    assert found.lost.shape == (5, 7) and 0 < found.lost.double().mean() < 1
    for row in range(5):
        for column in range(0, 7, 2):
            losses = train_many(
                two_rates, task(3, 2), 25, dtype=torch.float32, lr_1=x[column].item(), lr_2=y[row].item(), scale=0.8
            )[:, 0]
            lost = bool(losses.isnan().any())
            assert found.lost[row, column] == lost
            assert found.when[row, column] == (losses.isnan().int().argmax() if lost else math.inf)
            if (
                not lost and found.end[row, column] < 1
            ):  # the others are chaotic: beside other runs they round otherwise
                torch.testing.assert_close(found.end[row, column], losses[-1], rtol=1e-2, atol=1e-6)
                torch.testing.assert_close(found.mean[row, column], (losses / losses[0]).mean(), rtol=1e-2, atol=1e-6)
            assert not lost or (found.end[row, column], found.mean[row, column]) == (math.inf, math.inf)


def test_what_it_shows_is_what_it_is_told():
    fig = Trainability(one_rate, x="scale", y="lr", x_range=(0.5, 2.0), y_range=(0.1, 1.0), width=5, seed=7, steps=30)
    x, y = fig.places(2, 3)
    assert x.tolist() == pytest.approx([0.5 * 4**0.25, 0.5 * 4**0.75]) and y.tolist() == pytest.approx(
        [0.1 * 10 ** (k / 6) for k in (1, 3, 5)]
    )
    assert torch.equal(fig.task.W, task(5, 7).W) and fig.hyper == {"scale": 1.0, "lr": 1.0}
    before = fig.values(4, 4)
    fig.x_range, fig.steps = [1.0, 2.0], 20
    assert not torch.equal(before.end, fig.values(4, 4).end)
    assert torch.equal(
        fig.values(4, 4).end,
        Trainability(one_rate, x="scale", y="lr", x_range=(1.0, 2.0), y_range=(0.1, 1.0), width=5, seed=7, steps=20)
        .values(4, 4)
        .end,
    )


def test_a_map_of_nothing_but_one_kind():
    calm = Trainability(x_range=(0.05, 0.1), y_range=(0.05, 0.1), steps=5).values(3, 2)
    assert not calm.lost.any() and (calm.when == math.inf).all() and (calm.mean <= 1).all()
    wild = Trainability(x_range=(400, 500), y_range=(400, 500), steps=20).values(3, 2)
    assert wild.lost.all() and (wild.when < 20).all() and (wild.mean == math.inf).all()


def test_axes_begin_at_the_annotated_ranges_and_sliders_are_for_the_rest():
    fig = Trainability()
    assert (fig.x_range, fig.y_range) == ([0.05, 500.0], [0.05, 500.0])
    assert [c["name"] for c in fig.spec["controls"]] == ["scale", "steps"]
    assert [c["name"] for c in Trainability(x="lr_2", y="scale").spec["controls"]] == ["lr_1", "steps"]
    assert fig.spec["initial"] == {
        "scale": 1.0,
        "lr_1": 1.0,
        "lr_2": 0.3,
        "steps": 150,
        "x_range": [0.05, 500.0],
        "y_range": [0.05, 500.0],
    }
    assert fig.spec["bound"] == LARGEST and fig.spec["hyper"] == ["scale", "lr_1", "lr_2"]


def test_few_steps_widen_their_slider():
    assert Trainability(steps=3).spec["controls"][-1]["range"]["low"] == 3


def test_a_step_of_ones_own():
    fig = Trainability(own_rate, x="rate", y="decay", width=2, steps=10)
    assert fig.spec["title"] == "own rate, 2 hidden units"
    found, (x, y) = fig.values(3, 2), fig.places(3, 2)
    losses = train_many(own_rate, fig.task, 10, dtype=torch.float32, rate=x.repeat(2), decay=y.repeat_interleave(3))
    torch.testing.assert_close(found.end.flatten(), losses[-1])


def test_the_text_alternative_counts():
    fig = Trainability(steps=30)
    found = fig.values(32, 24)
    assert fig.alt == (
        "Map of trainability, two rates, 4 hidden units, over rate of layer 1 from 0.05 to 500 and rate of layer 2 from 0.05 to 500. "
        f"Of 768 networks trained for 30 steps {found.lost.double().mean():.0%} diverge and {(found.end < 0.01).double().mean():.0%} reach a loss below 0.01."
    )


def test_the_state_of_a_page_is_numbers_and_texts():
    state = Trainability().page_state()
    assert state["figure"] == "trainability" and state["lr_1"] == 1.0 and state["x_range"] == [0.05, 500.0]
    assert state["code"].startswith("// two_rates\nexport function train(hyper, steps, bound) {") and state[
        "shader"
    ].startswith("#version 300 es\n// two_rates")


def odd_name(W, V, x, y, *, steps=1.0, lr=0.1):
    return W, V


def of_the_plane(w, g, t, *, lr=0.1):
    return w - lr * g


def cumulative(W, V, x, y, *, lr=0.1, beta=0.5):
    return W.cumsum(0) * lr * beta, V


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Trainability(x="lr"), ValueError, "two_rates has no `lr` for an axis. It has scale, lr_1, lr_2."),
        (lambda: Trainability(y="lr_1"), ValueError, "Both axes of two_rates are `lr_1`: a map needs two."),
        (
            lambda: Trainability(lr_3=1.0),
            TypeError,
            "Unknown hyperparameter `lr_3`: two_rates has (scale, lr_1, lr_2).",
        ),
        (lambda: Trainability(lr_1=-1), ValueError, "two_rates's lr_1 must be at least 0 and finite, got -1.0."),
        (lambda: Trainability(scale=math.nan), ValueError, "two_rates's scale must be at least 0 and finite, got nan."),
        (lambda: Trainability(steps=0), ValueError, "steps must be a whole number from 1 to 500, got 0."),
        (lambda: Trainability(steps=501), ValueError, "steps must be a whole number from 1 to 500, got 501."),
        (lambda: Trainability(width=17), ValueError, "width must be a whole number from 1 to 16, got 17."),
        (
            lambda: Trainability(x_range=(1.0, 0.1)),
            ValueError,
            "The range of lr_1 is inverted: it must be (low, high) with low < high, got (1, 0.1).",
        ),
        (
            lambda: Trainability(y_range=(0.0, 1.0)),
            ValueError,
            "The range of lr_2 must lie between 1e-12 and 1000000, got (0, 1).",
        ),
        (
            lambda: Trainability(odd_name, x="lr", y="scale"),
            TypeError,
            "A hyperparameter of a figure can't be called `steps`: the figure has a `steps` of its own. Rename it, as in `my_steps`.",
        ),
        (lambda: Trainability(of_the_plane), TypeError, "of_the_plane takes 3 of the arguments (W, V, x, y)."),
        (
            lambda: Trainability(cumulative, x="lr", y="beta"),
            ValueError,
            "The operator aten.cumsum.default has no form as a nest of loops.",
        ),
    ],
)
def test_what_cannot_be_mapped_is_named(make, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        make()


def test_a_value_outside_its_limits_is_named_later_too():
    fig = Trainability()
    for name, value, message in [
        ("lr_1", -1.0, "two_rates's lr_1 must be at least 0"),
        ("steps", 501, "steps must be a whole number"),
        ("x_range", [2.0, 1.0], "The range of lr_1 is inverted"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            setattr(fig, name, value)
    assert (fig.lr_1, fig.steps, fig.x_range) == (1.0, 150, [0.05, 500.0])
