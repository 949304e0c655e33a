"""What known networks cost, counted without computing anything: operations, bytes, weights, and what backward keeps."""

import functools
from dataclasses import dataclass

import torch
from torch import nn

from course_lib.formulas.roofline import (
    FLOAT32,
    convolution_bytes,
    convolution_operations,
    peak_rate,
    product_bytes,
    product_operations,
)

IMAGE = (3, 224, 224)
IMAGENET = 1_281_167  # images to train on
STAGES = {"ResNet-50": (3, 4, 6, 3), "ResNet-101": (3, 4, 23, 3), "ResNet-152": (3, 8, 36, 3)}
EXPANSION = 4


@dataclass(frozen=True)
class Card:
    """A GPU by its data sheet: `memory` in bytes, `clock` (boost) in ticks a second, `bandwidth` in bytes a second."""

    year: int
    memory: float
    cores: int
    clock: float
    bandwidth: float

    @property
    def peak(self) -> float:
        """Operations a second in float32, without tensor cores."""
        return peak_rate(self.cores, self.clock)


GIB = 2**30
CARDS = {
    "GeForce GTX 670": Card(2012, 2 * GIB, 1344, 0.980e9, 192.2e9),
    "TITAN": Card(2013, 6 * GIB, 2688, 0.876e9, 288.4e9),
    "TITAN X": Card(2015, 12 * GIB, 3072, 1.075e9, 336.5e9),
    "Tesla K40": Card(2013, 12 * GIB, 2880, 0.875e9, 288e9),
    "Tesla K80, one of two": Card(2014, 12 * GIB, 2496, 0.875e9, 240e9),
    "Tesla P100": Card(2016, 16 * GIB, 3584, 1.480e9, 732e9),
    "Tesla V100": Card(2017, 32 * GIB, 5120, 1.530e9, 900e9),
    "H100": Card(2022, 80 * GIB, 16896, 1.980e9, 3350e9),
}


class Bottleneck(nn.Module):
    """A block of ResNet: 1x1, 3x3 and 1x1 convolutions beside a shortcut, each with batch normalization."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = EXPANSION * width
        self.body = nn.Sequential(
            *normalized(inputs, width, 1), nn.ReLU(inplace=True),
            *normalized(width, width, 3, stride), nn.ReLU(inplace=True),
            *normalized(width, outputs, 1),
        )  # fmt: skip
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(*normalized(inputs, outputs, 1, stride))

    def forward(self, x):
        """From (batch, inputs, h, w) to (batch, 4 width, h / stride, w / stride)."""
        return torch.relu_(self.body(x) + self.shortcut(x))


def normalized(inputs: int, outputs: int, kernel: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    """A convolution that keeps the size, but for its stride, and its batch normalization."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)


def resnet(stages: tuple[int, ...], classes: int = 1000) -> nn.Module:
    """A ResNet of bottlenecks, with so many in each stage; the stride stands in the 3x3 convolution, as PyTorch has it.

    Source: He et al. (2015), table 1.
    """
    layers = [*normalized(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for k, count in enumerate(stages):
        for block in range(count):
            layers.append(Bottleneck(inputs, 64 * 2**k, 2 if k and not block else 1))
            inputs = EXPANSION * 64 * 2**k
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


@dataclass(frozen=True)
class Costs:
    """What a network costs for one sample in float32.

    `operations` and `moved` (bytes) of the forward pass, by convolution and fully connected layer; `parameters`, a count;
    `activations`, the bytes that the forward pass keeps for the backward pass.
    """

    operations: list[float]
    moved: list[float]
    parameters: int
    activations: int

    @property
    def forward(self) -> float:
        """Operations of the whole forward pass."""
        return sum(self.operations)


def count(network: nn.Module, shape: tuple[int, ...] = IMAGE, batch: int = 1) -> Costs:
    """The costs of a network for a batch of inputs of this shape, by its layers' own numbers. A network on the device `meta` costs no time.

    `activations` are the distinct tensors that autograd keeps, weights not counted.
    """
    operations, moved, kept = [], [], {}
    weights = {p.untyped_storage()._cdata for p in network.parameters()}

    def layer(module, inputs, output):
        a, b = costs_of(module, inputs[0].shape, output.shape)
        operations.append(a)
        moved.append(b)

    def keep(x):
        kept[x.untyped_storage()._cdata] = x.untyped_storage()  # held, so that its number is not given to another one
        return x

    counted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [m.register_forward_hook(layer) for m in counted]
    device = next(network.parameters()).device
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            result = network(torch.zeros(batch, *shape, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    del result
    activations = sum(x.nbytes() for number, x in kept.items() if number not in weights)
    return Costs(operations, moved, sum(p.numel() for p in network.parameters()), activations)


def costs_of(module: nn.Module, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[float, float]:
    """Operations and bytes of a convolution or a fully connected layer from one shape to another."""
    if isinstance(module, nn.Linear):
        sizes = before[0], module.in_features, module.out_features
        return product_operations(*sizes), product_bytes(*sizes)
    sizes = before[0], module.in_channels, module.out_channels, module.kernel_size[0], *after[2:]
    groups = {"groups": module.groups}
    stride = (
        module.stride[0] if module.kernel_size[0] >= module.stride[0] else 1
    )  # pixels that no filter sees are not read
    return convolution_operations(*sizes, **groups), convolution_bytes(*sizes, **groups, stride=stride, each=FLOAT32)


@functools.cache
def known(name: str) -> Costs:
    """The costs of a network of STAGES for one image of ImageNet. Raises ValueError for another name."""
    if name not in STAGES:
        raise ValueError(f"There is no network `{name}`. There are: {', '.join(STAGES)}.")
    with torch.device("meta"):
        return count(resnet(STAGES[name]))
