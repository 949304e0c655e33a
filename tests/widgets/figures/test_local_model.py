"""LocalModel with a kernel: its numbers are those of linear algebra, its steps walk as the rule does, and settings outside the limits are named."""

import math
import re

import pytest
import torch
from torch.func import grad

from course_lib.experiments import sweep
from course_lib.formulas import newton, quadratic, rosenbrock, saddle
from course_lib.formulas.local_model import curvatures, principal_axis
from course_lib.formulas.second_order import hessian, quadratic_model
from course_lib.widgets import LocalModel
from course_lib.widgets.figures.local_model_examples import EXAMPLES

POINTS = [
    ("quadratic", (2.0, 0.6), {}),
    ("saddle", (-1.2, 0.4), {"damping": 0.2}),
    ("saddle", (0.5, 1.3), {"lr": 0.5}),
    ("himmelblau", (0.0, -0.5), {"damping": 3.0, "gradient_lr": 0.02}),
    ("himmelblau", (3.3, 2.2), {}),
    ("rosenbrock", (-1.2, 1.0), {"damping": 100.0, "lr": 1.5}),
    ("rosenbrock", (2.0, -3.0), {"direction": "gradient"}),
]
MATRICES = [
    [[2.0, 1.0], [1.0, -3.0]],
    [[2.0, -1e-3], [-1e-3, 900.0]],
    [[1.0, 0.0], [0.0, 5.0]],
    [[5.0, 0.0], [0.0, 1.0]],
    [[-1.0, 4.0], [4.0, -1.0]],
]


def double(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("rows", MATRICES)
def test_eigenvalues_and_axis_are_those_of_linear_algebra(rows):
    values, vectors = torch.linalg.eigh(double(rows))
    torch.testing.assert_close(curvatures(double(rows)), values)
    assert (principal_axis(double(rows)) @ vectors[:, 1]).abs().item() == pytest.approx(1)


def test_a_multiple_of_the_identity_has_the_x_axis_and_a_rounding_error_is_zero():
    assert principal_axis(3 * torch.eye(2, dtype=torch.float64)).tolist() == [1, 0]
    assert curvatures(double([[1.0, 1.0], [1.0, 1.0 + 1e-14]])).tolist() == pytest.approx([0, 2])
    assert curvatures(double([[1.0, 1.0], [1.0, 1.0 + 1e-14]]))[0] == 0


@pytest.mark.parametrize("name, w, settings", POINTS)
def test_the_steps_and_the_ratio_are_what_their_formulas_say(name, w, settings):
    fig, f, w = LocalModel(name, w=w, **settings), EXAMPLES[name].formula, double(w)
    g, H = grad(f)(w), hessian(f, w)
    torch.testing.assert_close(
        fig.newton_step, -fig.lr * torch.linalg.solve(H + fig.damping * torch.eye(2).double(), g)
    )
    torch.testing.assert_close(fig.gradient_step, -fig.gradient_lr * g)
    assert grad(lambda delta: quadratic_model(f, w, delta))(fig.stationary - w).abs().max() < 1e-9 * g.norm()
    assert fig.curvatures == pytest.approx(torch.linalg.eigvalsh(H).tolist())
    assert fig.damped_curvatures == pytest.approx([x + fig.damping for x in fig.curvatures])
    step = fig.newton_step if fig.direction == "newton" else fig.gradient_step
    model = f(w) + g @ step + step @ H @ step / 2
    assert (fig.loss, fig.promised, fig.reached) == pytest.approx(
        (f(w).item(), model.item(), f(w + step).item()), abs=1e-12
    )
    assert fig.ratio == pytest.approx((fig.loss - fig.reached) / (fig.loss - fig.promised))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_walk_of_newtons_steps_is_the_rules_path(name):
    fig = LocalModel(name)
    path = sweep(newton, EXAMPLES[name].formula, fig.w, 4)[:, 0]
    for _ in range(4):
        fig.take("newton")
    torch.testing.assert_close(double([*fig.trail, fig.w]), path)
    for _ in range(9):
        fig.back()
    assert (fig.w, fig.trail) == (list(EXAMPLES[name].w), [])


def test_on_a_quadratic_the_model_keeps_its_promise_from_everywhere():
    fig = LocalModel("quadratic")
    for w in ([2.0, 0.6], [-1.7, 2.2], [0.1, -2.4]):
        for direction in ("newton", "gradient"):
            fig.w, fig.direction = w, direction
            assert fig.ratio == pytest.approx(1)
        fig.take("newton")
        assert math.hypot(*fig.w) < 1e-12


@pytest.mark.parametrize(
    "name, w, kind",
    [
        ("himmelblau", (0.0, -0.5), "maximum"),
        ("himmelblau", (3.0, 0.2), "saddle"),
        ("himmelblau", (3.3, 2.2), "minimum"),
        ("saddle", (-1.5, 0.3), "saddle"),
    ],
)
def test_the_stationary_point_is_named(name, w, kind):
    assert LocalModel(name, w=w).kind == kind


def test_damping_makes_a_saddle_a_minimum_by_way_of_a_singular_matrix():
    fig = LocalModel("saddle", w=(-1.2, 0.0))
    kinds = []
    for fig.damping in (0.0, 0.9, 1.0, 1.1):
        kinds.append(fig.damped_kind)
    assert kinds == ["saddle", "saddle", "singular", "minimum"]
    fig.damping = 1.0
    assert fig.newton_step is None and fig.stationary is not None
    assert [x for x in (fig.promised, fig.reached, fig.ratio) if not math.isnan(x)] == []
    with pytest.raises(
        ValueError,
        match=re.escape(
            "H + μI is singular at w = [-1.2, 0.0], so Newton's step does not exist. Change damping, or move w."
        ),
    ):
        fig.take()
    fig.take("gradient")
    assert fig.w == pytest.approx([-0.84, 0.0])


def test_at_a_minimum_there_is_nothing_to_promise():
    fig = LocalModel("himmelblau", w=(3.0, 2.0))
    assert math.isnan(fig.ratio) and fig.newton_step.abs().max() == 0


def test_another_surface_begins_another_walk():
    fig = LocalModel()
    fig.take()
    assert fig.trail == [[-1.2, 1.0]]
    fig.surface = "saddle"
    assert fig.trail == []
    assert fig.loss == saddle(double(fig.w)).item()


def test_the_text_alternative_states_the_result():
    fig = LocalModel("himmelblau", w=(3.3, 2.2))
    assert fig.alt == (
        "Contours of the loss Himmelblau and of its quadratic model at (3.3, 2.2), where the loss is 5.67. The model has the curvatures 37.2 and 106 "
        "and a minimum at (3.04, 2.01). Newton's step ends at (3.04, 2.01): the model promises 0.4, the loss there is 0.0611, 1.06 of the promised change. "
        "The gradient step ends at (2.88, 2): the model promises 1.6, the loss there is 0.495, 1.27 of the promised change."
    )
    fig = LocalModel("saddle", w=(-1.2, 0.0), damping=1.0)
    assert (
        "a saddle at (0, 0). Damping 1 makes the curvatures 0 and 2. H + μI is singular, so Newton's step does not exist. The gradient step"
        in fig.alt
    )


def test_a_loss_of_the_readers_own_stands_alone():
    fig = LocalModel(lambda w: quadratic(w, condition_number=100), w=(1.0, 1.0))
    assert fig.curvatures == pytest.approx((1.0, 100.0))
    assert [one["name"] for one in fig.spec["surfaces"]] == ["mine"]
    assert LocalModel(rosenbrock).gradient_lr == EXAMPLES["rosenbrock"].gradient_lr


def test_a_loss_that_changed_is_traced_again():
    factor = 2.0

    def bowl(w):
        return factor * (w**2).sum()

    first = LocalModel(bowl).code
    factor = 3.0
    assert LocalModel(bowl).code != first


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("damping", -1.0, "damping must be at least 0 and below 1e+06, got -1.0."),
        ("lr", math.nan, "lr must be at least 0 and below 1e+06, got nan."),
        ("gradient_lr", math.inf, "gradient_lr must be at least 0 and below 1e+06, got inf."),
        ("w", [1.0], "w must be two finite numbers, got [1.0]."),
        ("w", [math.nan, 0.0], "w must be two finite numbers, got [nan, 0.0]."),
        ("direction", "down", "direction must be one of newton, gradient, got 'down'."),
    ],
)
def test_a_setting_outside_its_limits_is_named_at_once_and_later(name, value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        LocalModel(**{name: value})
    fig = LocalModel()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        setattr(fig, name, value)


def test_an_unknown_surface_is_named():
    with pytest.raises(
        TypeError,
        match=re.escape(
            "Unknown surface 'bumps'. There are quadratic, saddle, himmelblau, rosenbrock, or give a function of w."
        ),
    ):
        LocalModel("bumps")
    with pytest.raises(
        ValueError, match=re.escape("surface must be one of quadratic, saddle, himmelblau, rosenbrock, got 'bumps'.")
    ):
        LocalModel().surface = "bumps"
    with pytest.raises(
        TypeError,
        match=re.escape(
            "mine returned a result of the shape (2,) for w of shape (2,). A loss is a scalar tensor, of shape ()."
        ),
    ):
        LocalModel(lambda w: w**2)
    with pytest.raises(ValueError, match=re.escape("direction must be 'newton' or 'gradient', got 'up'.")):
        LocalModel().take("up")
