"""Exercise: histograms of a network's layers before any training. How were its weights drawn?"""

import math

import torch

from course_lib.exercises.diagnosis import Diagnosis, Observation, Suspect
from course_lib.experiments.studies.layers import Layers, measure, no_root_of_three
from course_lib.formulas.initialization import kaiming_normal, pytorch_default, xavier_normal

planted = no_root_of_three  # a name that gives nothing away, for the notebook


def plant(draw, **setting):
    return lambda seed: measure(draw, seed, **setting)


def factors(squares: torch.Tensor) -> torch.Tensor:
    """By how much each layer multiplies the mean square of the one below, from the second layer on."""
    return squares[1:] / squares[:-1]


def typical(squares: torch.Tensor) -> float:
    """The geometric mean of these factors over the inner layers."""
    return factors(squares)[1:].log().mean().exp().item()


def steady(squares: torch.Tensor) -> bool:
    """Whether no inner layer's factor is further than a half from the typical one."""
    return bool(((factors(squares)[1:] / typical(squares)).log().abs() < math.log(1.8)).all())


XAVIER = Suspect(
    "Xavier: N(0, 2/(fan_in + fan_out)).",
    plant(lambda z, u, n, m: xavier_normal(z, n, m)),
    "Xavier leaves out what ReLU takes: a half of the mean square in each layer. Here it is a third. And some of its normal weights would lie "
    "far beyond 0.2; here none lies beyond 0.18. Print `net.largest`.",
    lambda net: typical(net.signal) < 0.42,
)
DEVIATION = Suspect(
    "Kaiming, with the variance 2/fan_in taken for the standard deviation.",
    plant(lambda z, u, n, m: 2 / n * z),
    "Then each layer of 128 would multiply the mean square by 1/64. After ten layers less than 10⁻¹⁵ of it would be left. Here it is "
    "4 · 10⁻⁵.",
    lambda net: typical(net.signal) > 0.1,
)
ROOT = Suspect("Kaiming uniform, with the bound √(2/fan_in).", plant(no_root_of_three))
FAN_OUT = Suspect(
    "Kaiming, with fan_out in the place of fan_in.",
    plant(lambda z, u, n, m: kaiming_normal(z, m, n)),
    "In all layers but the first the two are the same, 128. So only the first layer would differ, and all others would keep the signal. Here "
    "each of them loses some.",
    lambda net: typical(net.signal) < 0.6,
)
DEFAULT = Suspect(
    "PyTorch's default, with its biases.",
    plant(lambda z, u, n, m: pytorch_default(u, n, m), biases=True),
    "Then the biases would hold the signal up: from the fourth layer on its mean square would stay where it is. Here it goes on falling.",
    lambda net: steady(net.signal) and typical(net.signal) < 0.5,
)
SMALL = Suspect(
    "N(0, σ²) with σ = 0.01 in every layer.",
    plant(lambda z, u, n, m: 0.01 * z),
    "Then each layer of 128 would leave 128 · 0.0001 / 2, less than a hundredth, of the mean square. And no weight would lie beyond 0.06.",
    lambda net: net.largest.min() > 0.1,
)

check = Diagnosis(
    "which_initialization",
    [SMALL, XAVIER, DEVIATION, FAN_OUT, ROOT, DEFAULT],
    [
        Observation(
            "In the last layer the signal's mean square is less than a hundredth of that in the first.",
            lambda net: net.signal[-1] < 0.01 * net.signal[0],
            (SMALL, XAVIER, DEVIATION),
        ),
        Observation(
            "From the third layer on, each layer multiplies the signal's mean square by about the same factor.",
            lambda net: steady(net.signal),
            (SMALL, XAVIER, DEVIATION, FAN_OUT),
        ),
        Observation(
            "In each layer between 35% and 65% of the activations are exactly 0.",
            lambda net: bool(((net.zero > 0.35) & (net.zero < 0.65)).all()),
            (SMALL, XAVIER, DEVIATION, FAN_OUT, DEFAULT),
        ),
        Observation(
            "The signal's mean square falls to about a third in each layer.",
            lambda net: 0.28 < typical(net.signal) < 0.4,
        ),
        Observation(
            "From the last layer down to the first the gradient's mean square falls to less than a hundredth.",
            lambda net: net.gradient[0] < 0.01 * net.gradient[-1],
            (SMALL, XAVIER, DEVIATION, DEFAULT),
        ),
    ],
    read=Layers.read,
)
