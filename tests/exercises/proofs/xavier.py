"""Xavier's initialization: right answers in other styles, and changes of the solution that change nothing."""

import math
from functools import reduce

import numpy
import torch
from torch import nn


def by_the_variance(u, *, gain=1.0):
    outputs, inputs, *kernel = u.shape
    variance = 2 / ((inputs + outputs) * math.prod(kernel))
    bound = gain * (3 * variance) ** 0.5
    return 2 * bound * u - bound


def by_size_and_elements(u, *, gain=1.0):
    positions = u[0, 0].numel()
    return gain * math.sqrt(6 / (positions * (u.size(0) + u.size(1)))) * (u - (1 - u))


def by_torch_init(u, *, gain=1.0):
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(u)
    return torch.lerp(torch.full_like(u, -1), torch.ones_like(u), u) * (gain * (6 / (fan_in + fan_out)) ** 0.5)


def in_a_loop(u, *, gain=1.0):
    fan_out, fan_in = u.shape[:2]
    for positions in u.shape[2:]:
        fan_in *= positions
        fan_out *= positions
    a = gain * math.sqrt(6) / math.sqrt(fan_in + fan_out)
    return -a + 2 * a * u


def in_place_on_a_clone(u, *, gain=1.0):
    kernel = torch.Size(u.shape[2:]).numel()
    weights = u.clone()
    weights.mul_(2).sub_(1)
    weights *= gain * math.sqrt(6 / kernel / (u.shape[0] + u.shape[1]))
    return weights


def with_a_helper(draws, *, gain=1.0):
    def fans(shape):
        positions = reduce(lambda a, b: a * b, shape[2:], 1)
        return shape[1] * positions, shape[0] * positions

    return (2 * draws - 1) * gain * numpy.sqrt(6 / sum(fans(draws.shape)))


def through_numpy(u, *, gain=1.0):
    numbers = u.numpy()
    fans = sum(numbers.shape[:2]) * numpy.prod(numbers.shape[2:])
    bound = gain * numpy.sqrt(6.0 / fans)
    return torch.from_numpy(numpy.interp(numbers, [0.0, 1.0], [-bound, bound])).to(u.dtype)


def in_float64_inside(u, *, gain=1.0):
    fans = u.shape[0] + u.shape[1]
    for size in u.shape[2:]:
        fans = fans * size
    bound = gain * torch.tensor(6 / fans, dtype=torch.float64).sqrt()
    return (bound * (2 * u.double() - 1)).to(u.dtype)


@torch.inference_mode()
def without_autograd(u, *, gain=1.0):
    bound = gain * math.sqrt(6 / (u.flatten(2).shape[2] if u.dim() > 2 else 1) / sum(u.shape[:2]))
    return torch.where(u < 0.5, -(1 - 2 * u), 2 * u - 1) * bound


class Uniform:
    """A distribution that maps draws."""

    def __init__(self, bound):
        self.low, self.high = -bound, bound

    def __call__(self, u):
        return self.low + (self.high - self.low) * u


def a_distribution(u, *, gain=1.0):
    outputs, inputs, *kernel = u.size()
    return Uniform(gain * math.sqrt(6 / ((inputs + outputs) * math.prod(kernel))))(u)


def element_by_element(u, *, gain=1.0):
    bound = gain * math.sqrt(6 / (u.numel() / u.shape[0] + u.numel() / u.shape[1]))
    return torch.tensor([bound * (2 * x - 1) for x in u.flatten().tolist()], dtype=u.dtype).reshape(u.shape)


STYLES = [
    by_the_variance,
    by_size_and_elements,
    by_torch_init,
    in_a_loop,
    in_place_on_a_clone,
    with_a_helper,
    through_numpy,
    in_float64_inside,
    without_autograd,
    a_distribution,
    element_by_element,
]


def two_kernel_sides_at_most(u, *, gain=1.0):
    kernel = u.shape[2] * (u.shape[3] if u.dim() > 3 else 1) if u.dim() > 2 else 1
    return gain * math.sqrt(6 / (kernel * sum(u.shape[:2]))) * (2 * u - 1)


def dimensions_of_one_left_out(u, *, gain=1.0):
    outputs, inputs, *kernel = u.squeeze().shape if u.squeeze().dim() > 1 else u.shape
    return gain * math.sqrt(6 / ((inputs + outputs) * math.prod(kernel))) * (2 * u - 1)


def gain_never_below_one(u, *, gain=1.0):
    outputs, inputs, *kernel = u.shape
    return max(gain, 1.0) * math.sqrt(6 / ((inputs + outputs) * math.prod(kernel))) * (2 * u - 1)


WRONG = [two_kernel_sides_at_most, dimensions_of_one_left_out, gain_never_below_one]

EQUIVALENT = {
    "1: u -> -u": "it is asked for its shape alone",
    "1: u -> abs(u)": "it is asked for its shape alone",
    "3: u -> abs(u)": "draws are never negative",
}
