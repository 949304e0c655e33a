"""SecantEllipse with a kernel: its matrices become the inverse Hessian, and settings outside the limits are named."""

import pytest
import torch

from course_lib.formulas import quadratic, rosenbrock
from course_lib.formulas.secant import inverse_hessian
from course_lib.widgets import SecantEllipse


@pytest.mark.parametrize("xi", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("angle", [0.0, -30.0])
def test_on_a_quadratic_b_is_the_inverse_hessian_after_two_steps(xi, angle):
    fig = SecantEllipse(quadratic, condition_number=20, angle=angle, start=(-1.8, 0.9), xi=xi)
    assert torch.equal(fig.B[0], torch.eye(2, dtype=torch.float64))
    assert fig.errors[0] > 0.9 and fig.errors[1] > 1e-4 and fig.errors[2:].max() < 1e-9
    assert fig.path[2].norm() < 1e-9
    H = torch.linalg.inv(fig.B[2])
    torch.testing.assert_close(
        torch.linalg.eigvalsh(H), torch.tensor([1.0, 20.0], dtype=torch.float64), rtol=1e-6, atol=0
    )


def test_on_rosenbrock_b_approaches_the_inverse_hessian():
    for search, steps in (("exact", 23), ("Wolfe", 37)):
        fig = SecantEllipse(rosenbrock, search=search, steps=steps)
        assert (fig.path[-1] - 1).norm() < 1e-7 and fig.errors[-1] < 1e-2
        torch.testing.assert_close(
            fig.B[-1], inverse_hessian(rosenbrock, torch.ones(2, dtype=torch.float64)), rtol=0.02, atol=1e-4
        )


def test_a_change_later_is_followed():
    fig = SecantEllipse(quadratic, condition_number=20, angle=-30)
    before = fig.path
    fig.search, fig.start = "Wolfe", [1.0, 1.0]
    assert not torch.equal(fig.path, before) and fig.path[0].tolist() == [1.0, 1.0]
    fig.condition_number = 50.0
    torch.testing.assert_close(
        torch.linalg.eigvalsh(fig.B[-1])[0], torch.tensor(0.02, dtype=torch.float64), rtol=1e-3, atol=0
    )


def test_the_text_alternative_states_the_result():
    fig = SecantEllipse(quadratic, condition_number=20, angle=-30, start=(-1.8, 0.9))
    assert fig.alt == (
        "The Broyden family on quadratic, ξ = 1, exact search, from (-1.8, 0.9). At step 1 of 6 B has the eigenvalues 0.0506 and 1.62, "
        "the inverse Hessian 0.05 and 1. The relative error of B is 0.616, the loss 1.76."
    )
    bent = SecantEllipse(rosenbrock)
    assert "the inverse Hessian -4.06 and 0.000954. One of them is negative, so H⁻¹ has no ellipse here." in bent.alt


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("search", "armijo", "search must be one of exact, Wolfe, got 'armijo'."),
        ("xi", 1.5, "broyden_exact's xi must be at least 0 and below 1, got 1.5."),
        ("condition_number", 0.5, "quadratic's condition_number must be at least 1 and finite, got 0.5."),
        ("start", [1.0], r"start must be two finite numbers, got \[1.0\]."),
        ("steps", 0, "steps must be a whole number from 1 to 10000, got 0."),
    ],
)
def test_a_setting_outside_its_limits_is_named_at_once_and_later(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        SecantEllipse(quadratic, **{name: value})
    fig = SecantEllipse(quadratic, condition_number=10)
    with pytest.raises(ValueError, match=f"^{message}$"):
        setattr(fig, name, value)
