"""Each cause of a NaN, provoked: training stops in the step where it shows, and names it."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss, nll_loss, one_hot

from course_lib.experiments import digits, train

SGD = partial(torch.optim.SGD, lr=0.1)


class Of(nn.Module):
    """A linear layer, and a function of its outputs."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.function = nn.Linear(64, 10), function

    def forward(self, x):
        return self.function(self.linear(x))


def stopped(network=None, data=None, make=SGD, **settings) -> str:
    network = network or Of(lambda z: z)
    with pytest.raises(FloatingPointError) as error:
        settings = {"steps": 60, "batch": 16, "progress": False} | settings
        train(network, data or digits(64, 20), make(network.parameters()), **settings)
    return str(error.value)


def test_an_input_that_is_not_finite():
    data = digits(64, 20)
    data.x_train[13, 5] = torch.nan
    said = stopped(data=data)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0)).tolist()
    assert f"stopped in step {order.index(13) // 16 + 1}: the loss is nan" in said
    assert "the input: 1 of the batch's 16 examples are not finite, the first is training example 13." in said


def test_augmentation_that_makes_it():
    said = stopped(augment=lambda x, generator: x / x.amin(1, keepdim=True))
    assert "augmentation made values that are not finite of training example" in said


def test_weights_that_began_so():
    network = Of(lambda z: z)
    network.linear.bias.data[3] = torch.inf
    assert "`linear.bias` had such values before training began" in stopped(network)


def squares(z, y):
    return mse_loss(z, one_hot(y, 10).float())


def test_a_rate_that_is_too_large():
    """Squared errors, whose step multiplies them: up and up, until float32 ends."""
    said = stopped(nn.Linear(64, 10), make=partial(torch.optim.SGD, lr=30.0), loss=squares)
    assert "the rate 30 is too large: the gradient's norm rose from" in said
    step = int(said.split("stopped in step ")[1].split(":")[0])
    assert f"in step {step - 1}. Lower it" in said and 5 < step < 60


def test_a_rate_that_is_too_large_at_once():
    said = stopped(nn.Linear(64, 10), make=partial(torch.optim.SGD, lr=1e30), loss=squares)
    assert "step 2" in said and "the rate 1e+30 is too large: the norm of the weights rose from" in said


def test_overflow_in_half_precision():
    """Logits above 65,504, which float32 holds with ease."""
    said = stopped(Of(lambda z: 1e3 * (1e3 * z)), make=partial(torch.optim.SGD, lr=0.0), mixed_precision=torch.float16)
    assert "overflow in half precision" in said and "Float16 ends at 6.55e+04" in said


def test_a_gradient_that_overflows_at_every_scale():
    """The loss is finite, its gradient isn't in float16: the scale sinks from 65,536 until it scales no more."""

    class Steep(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            return z.clone()

        @staticmethod
        def backward(ctx, g):
            return 1e8 * g

    said = stopped(Of(Steep.apply), make=partial(torch.optim.SGD, lr=0.0), mixed_precision=torch.float16)
    assert "stopped in step 18" in said and "overflow in half precision" in said


def test_the_log_of_0():
    """The log of a softmax that is 0 to rounding."""
    said = stopped(Of(lambda z: torch.log(torch.softmax(1e4 * z, 1))), loss=nll_loss)
    assert "step 1:" in said and "`log` of numbers from 0 to 1: log of 0 or less" in said


def test_a_division_by_0():
    said = stopped(Of(lambda z: z / (0 * z)))
    assert "a division by 0" in said


def test_a_gradient_that_is_not_finite_where_the_loss_is():
    said = stopped(Of(lambda z: torch.sqrt(0 * z)))
    assert "the loss is 2" in said and "the gradient of `sqrt` is not finite where its value is" in said


def test_a_rule_that_divides_0_by_0():
    """Adam without ε, where a pixel is always 0: its weights' gradients are 0, and so are their averages."""
    said = stopped(make=partial(torch.optim.Adam, lr=1e-3, eps=0.0))
    assert "step 2" in said and "made `linear.weight` of finite gradients: a division of 0 by 0, as with eps=0" in said


def test_the_last_checkpoint_is_named(tmp_path):
    path = tmp_path / "x.pt"
    said = stopped(nn.Linear(64, 10), make=partial(torch.optim.SGD, lr=30.0), loss=squares, checkpoint=path, every=2)
    assert f"A checkpoint from before is in {path}" in said and path.exists()
    first = stopped(Of(lambda z: torch.log(-z * z)), checkpoint=tmp_path / "none.pt")
    assert "checkpoint" not in first
