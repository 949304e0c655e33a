"""The weights of a module begin: what its layers' fans and its activation's gain are, and any initialization by name."""

import inspect
import math
from collections.abc import Sequence

import torch
from torch import nn

from course_lib.experiments.settings import check_names
from course_lib.formulas.initialization import INITIALIZATIONS, LEAKY, leaky_gain
from course_lib.formulas.signature import signature

GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


def fans(weight: torch.Tensor | Sequence[int], *, transposed: bool = False) -> tuple[int, int]:
    """How many inputs a layer's output adds up, and how many outputs an input reaches: (fan_in, fan_out).

    `weight`, or its shape, is (out, in) of nn.Linear or (out, in, *kernel) of a convolution; a transposed convolution's is
    (in, out, *kernel), and must be told, as it looks the same. Each position of the kernel counts, and a stride is not seen.
    Raises ValueError for a shape of fewer than two dimensions and for one that is empty.
    Equals torch.nn.init's fans where `transposed` is False; PyTorch exchanges the two of a transposed convolution.
    """
    shape = tuple(weight.shape if isinstance(weight, torch.Tensor) else weight)
    if len(shape) < 2:
        raise ValueError(
            f"A weight of the shape {shape} has no inputs and outputs: it must be (out, in), or (out, in, *kernel) of a "
            "convolution. Biases and the scales of a normalization begin at constants."
        )
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
        raise ValueError(f"Each dimension of a weight must be a whole number from 1, got the shape {shape}.")
    outputs, inputs, *kernel = shape
    fan_in, fan_out = inputs * math.prod(kernel), outputs * math.prod(kernel)
    return (fan_out, fan_in) if transposed else (fan_in, fan_out)


def gain(activation: str, slope: float = LEAKY) -> float:
    """By how much a layer's weights must be larger to make good what the activation takes from the signal.

    `slope` is that of "leaky_relu" left of 0. Exact for "linear", "relu" and "leaky_relu"; that of "tanh" and of "selu" are
    rules of thumb, and that of "sigmoid" is none at all. Raises ValueError for another name.
    Equals torch.nn.init.calculate_gain.
    """
    if activation == "leaky_relu":
        return leaky_gain(slope)
    if activation not in GAINS:
        raise ValueError(f"activation must be one of {', '.join((*GAINS, 'leaky_relu'))}, got {activation!r}.")
    return GAINS[activation]


@torch.no_grad()
def initialize(module: nn.Module, name: str, *, seed: int = 0, **settings) -> nn.Module:
    """Draw the weights of every linear layer and convolution in `module` anew, by the initialization of this name, and
    set their biases to 0. Returns the module. Other parameters, such as a normalization's, stay as they are.

    `settings` are the initialization's, such as gain. Raises ValueError for an unknown name and for a module without such
    a layer, TypeError for an unknown setting. In PyTorch: `module.apply(function)`, with a function that asks for the type.
    """
    if name not in INITIALIZATIONS:
        raise ValueError(f"There is no initialization {name!r}. There are: {', '.join(INITIALIZATIONS)}.")
    formula, layers = INITIALIZATIONS[name], [m for m in module.modules() if isinstance(m, LAYERS)]
    if not layers:
        raise ValueError(f"{type(module).__name__} has no linear layer and no convolution to initialize.")
    (draws, *_), generator = inspect.signature(formula).parameters, torch.Generator().manual_seed(seed)
    check_names([signature(formula, inputs=(draws, "fan_in", "fan_out"))], settings)
    for layer in layers:
        weight, draw = layer.weight, {"z": torch.randn, "u": torch.rand}[draws]
        drawn = draw(weight.shape, generator=generator, dtype=weight.dtype).to(weight.device)
        weight.copy_(formula(drawn, *fans(weight, transposed=isinstance(layer, TRANSPOSED)), **settings))
        if layer.bias is not None:
            layer.bias.zero_()
    return module
