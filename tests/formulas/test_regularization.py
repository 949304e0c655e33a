"""The ridge's formulas against autograd, against linear algebra, and against the place where real descents end."""

import math

import pytest
import torch
from torch.func import grad, jacrev

from course_lib.backends import javascript
from course_lib.backends.trace import trace
from course_lib.experiments import sweep
from course_lib.formulas import momentum_l2, quadratic, regularization, sgdw

FLOAT = torch.float64
BOWLS = [(1.7, 0.9, 10.0, -30.0), (-0.4, 2.0, 1.0, 17.0), (0.3, -1.1, 250.0, 80.0), (1.0, 0.0, 5.0, 0.0)]
DECAYS = (0.0, 1e-3, 0.7, 10.0, 1e4)


def numbers(*values):
    return [torch.tensor(float(v), dtype=FLOAT) for v in values]


def named(x, y, condition_number, angle):
    return {"x": x, "y": y, "condition_number": condition_number, "angle": angle}


def hessian(bowl):
    return jacrev(grad(lambda w: regularization.bowl(w, **named(*bowl))))(torch.zeros(2, dtype=FLOAT))


@pytest.mark.parametrize("bowl", BOWLS)
def test_the_bowl_has_its_minimum_and_its_curvatures_where_it_says(bowl):
    x, y, condition_number, angle = bowl
    minimum = torch.tensor([x, y], dtype=FLOAT)
    assert grad(lambda w: regularization.bowl(w, **named(*bowl)))(minimum).abs().max() < 1e-15
    assert torch.linalg.eigvalsh(hessian(bowl)).tolist() == pytest.approx([1.0, condition_number])
    axes = regularization.eigenvectors(*numbers(angle))
    torch.testing.assert_close(
        axes @ hessian(bowl) @ axes.T,
        torch.diag(torch.tensor([1.0, condition_number], dtype=FLOAT)),
        rtol=0,
        atol=1e-12,
    )
    w = torch.tensor([0.4, -0.2], dtype=FLOAT)
    torch.testing.assert_close(
        regularization.bowl(w + minimum, **named(*bowl)),
        quadratic(w, condition_number=condition_number, angle=angle),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_the_gradient_of_the_penalty_is_decay_times_w(shape):
    w = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
    torch.testing.assert_close(grad(regularization.l2_penalty)(w, 0.3), 0.3 * w, rtol=1e-15, atol=0)


@pytest.mark.parametrize("bowl", BOWLS)
@pytest.mark.parametrize("decay", DECAYS)
def test_the_minimum_solves_the_regularized_equations(bowl, decay):
    found = regularization.ridge_minimum(*numbers(*bowl, decay))
    H, minimum = hessian(bowl), torch.tensor(bowl[:2], dtype=FLOAT)
    torch.testing.assert_close(
        found, torch.linalg.solve(H + decay * torch.eye(2, dtype=FLOAT), H @ minimum), rtol=1e-11, atol=1e-13
    )
    slope = grad(lambda w: regularization.bowl(w, **named(*bowl)) + regularization.l2_penalty(w, decay))(found)
    assert slope.abs().max() < 1e-11 * max(1.0, decay)


@pytest.mark.parametrize("bowl", BOWLS)
def test_the_ridge_trace_goes_from_the_datas_minimum_to_zero_and_only_shrinks(bowl):
    decays = torch.logspace(-8, 8, 200, dtype=FLOAT)
    trace_ = torch.stack([regularization.ridge_minimum(*numbers(*bowl), decay) for decay in decays])
    torch.testing.assert_close(trace_[0], torch.tensor(bowl[:2], dtype=FLOAT), rtol=0, atol=1e-7)
    assert trace_[-1].norm() < 1e-5
    assert (trace_.norm(dim=1).diff() < 0).all()


@pytest.mark.parametrize("curvature", [1e-3, 1.0, 40.0])
def test_the_share_that_is_left(curvature):
    h = torch.tensor(curvature, dtype=FLOAT)
    assert regularization.shrinkage(h, 0.0).item() == 1.0
    assert regularization.shrinkage(h, h).item() == 0.5
    assert regularization.shrinkage(h, 99 * h).item() == pytest.approx(0.01)


@pytest.mark.parametrize("bowl", BOWLS)
@pytest.mark.parametrize("loss", [0.0, 0.3, 20.0])
def test_every_point_of_a_level_curve_has_its_loss(bowl, loss):
    for phase in torch.linspace(0, 2 * math.pi, 17, dtype=FLOAT):
        point = regularization.level_curve(phase, *numbers(*bowl, loss))
        assert regularization.bowl(point, **named(*bowl)).item() == pytest.approx(loss, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("bowl", BOWLS[:2])
@pytest.mark.parametrize("rule", [momentum_l2, sgdw])
def test_both_ways_to_decay_end_at_the_ridge_minimum(bowl, rule):
    lr = 1 / bowl[2]
    end = sweep(rule, regularization.bowl, (-2.0, 1.0), 250, lr=lr, momentum=0.5, decay=0.4, **named(*bowl))[-1, 0]
    torch.testing.assert_close(end, regularization.ridge_minimum(*numbers(*bowl, 0.4)), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "formula, inputs",
    [
        (regularization.ridge_minimum, ("x", "y", "condition_number", "angle", "decay")),
        (regularization.level_curve, ("phase", "x", "y", "condition_number", "angle", "loss")),
        (regularization.shrinkage, ("curvature", "decay")),
        (regularization.eigenvectors, ("angle",)),
    ],
)
def test_a_figure_can_compute_them(formula, inputs):
    program = trace(lambda x: {"result": formula(**x)}, dict.fromkeys(inputs, ()), name=formula.__name__)
    values = {name: 0.3 + 0.2 * k for k, name in enumerate(inputs)}
    expected = formula(**{k: torch.tensor(v, dtype=FLOAT) for k, v in values.items()})
    assert program(**values)["result"].tolist() == pytest.approx(expected.flatten().tolist(), rel=1e-13)
    assert javascript.function(formula.__name__, program).startswith("//")
