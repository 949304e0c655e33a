"""Kaiming's initialization: right answers in other styles, and changes of the solution that change nothing."""

import math

import numpy
import torch
from torch import nn


def by_the_variance(z, *, slope=0.0):
    outputs, inputs, *kernel = z.shape
    variance = 2 / (1 + slope * slope) / inputs / math.prod(kernel)
    return variance**0.5 * z


def by_the_rows_of_a_matrix(z, *, slope=0.0):
    fan_in = z.flatten(1).shape[1]
    return z / math.sqrt(fan_in * (1 + slope**2) / 2)


def by_torch_init(z, *, slope=0.0):
    fan_in, _ = nn.init._calculate_fan_in_and_fan_out(z)
    return z * nn.init.calculate_gain("leaky_relu", slope) / fan_in**0.5


def in_a_loop(z, *, slope=0.0):
    fan_in = 1
    for size in z.shape[1:]:
        fan_in *= size
    return math.sqrt(2) * z / (math.sqrt(1 + slope**2) * math.sqrt(fan_in))


def in_place_on_a_clone(z, *, slope=0.0):
    weights = z.clone()
    weights *= math.sqrt(2 / (1 + slope**2))
    weights /= math.sqrt(z[0].numel())
    return weights


def with_a_helper(draws, *, slope=0.0):
    def gain():
        return math.sqrt(2 / (1 + slope**2))

    return gain() / numpy.sqrt(numpy.prod(draws.shape[1:])) * draws


def through_numpy(z, *, slope=0.0):
    numbers = z.numpy()
    scaled = numbers * numpy.sqrt(2.0 / ((1 + slope**2) * numbers[0].size))
    return torch.as_tensor(scaled, dtype=z.dtype)


def in_float64_inside(z, *, slope=0.0):
    kept = torch.tensor([1.0, slope], dtype=torch.float64).square().mean()
    return (z.double() * (1 / (kept * z[0].numel())).sqrt()).to(z.dtype)


@torch.inference_mode()
def without_autograd(z, *, slope=0.0):
    inputs, *kernel = z.shape[1:]
    return torch.mul(z, (2.0 / (1 + slope**2) / (inputs * math.prod(kernel))) ** 0.5)


class Scaled:
    """Draws of another deviation."""

    def __init__(self, deviation):
        self.deviation = deviation

    def __call__(self, z):
        return torch.stack([row * self.deviation for row in z])


def row_by_row(z, *, slope=0.0):
    return Scaled(math.sqrt(2 / ((1 + slope**2) * math.prod(z.shape[1:]))))(z)


def element_by_element(z, *, slope=0.0):
    deviation = math.hypot(1, slope) ** -1 * (2 * z.shape[0] / z.numel()) ** 0.5
    return torch.tensor([deviation * x for x in z.flatten().tolist()], dtype=z.dtype).view_as(z)


STYLES = [
    by_the_variance,
    by_the_rows_of_a_matrix,
    by_torch_init,
    in_a_loop,
    in_place_on_a_clone,
    with_a_helper,
    through_numpy,
    in_float64_inside,
    without_autograd,
    row_by_row,
    element_by_element,
]


def two_kernel_sides_at_most(z, *, slope=0.0):
    kernel = z.shape[2] * (z.shape[3] if z.dim() > 3 else 1) if z.dim() > 2 else 1
    return z * math.sqrt(2 / ((1 + slope**2) * kernel * z.shape[1]))


def slope_of_its_size(z, *, slope=0.0):
    return z * math.sqrt(2 / ((1 + slope * max(slope, 0)) * math.prod(z.shape[1:])))


def slope_below_one(z, *, slope=0.0):
    return z * math.sqrt(2 / ((1 + min(slope, 1.0) ** 2) * math.prod(z.shape[1:])))


def dimensions_of_one_left_out(z, *, slope=0.0):
    shape = z.squeeze().shape if z.squeeze().dim() > 1 else z.shape
    return z * math.sqrt(2 / ((1 + slope**2) * math.prod(shape[1:])))


WRONG = [two_kernel_sides_at_most, slope_of_its_size, slope_below_one, dimensions_of_one_left_out]

EQUIVALENT = {"1: z -> -z": "it is asked for its shape alone", "1: z -> abs(z)": "it is asked for its shape alone"}
