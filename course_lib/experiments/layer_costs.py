"""What three networks are made of, layer by layer, from the input up: parameters, and multiplications of a forward pass.

Both are counted from the shapes, for one example. Padding, pooling and activations cost no parameter and hardly any time.
"""

from typing import NamedTuple


class Layer(NamedTuple):
    """A layer or a block: its name, its parameters, its multiplications for one example."""

    name: str
    parameters: int
    multiplications: int


def convolution(name: str, fan_in: int, maps: int, kernel: int, size: int, bias: bool = True) -> Layer:
    """A convolution with `fan_in` input maps for each of its `maps`, which have size x size pixels."""
    weights = maps * fan_in * kernel**2
    return Layer(name, weights + maps * bias, weights * size**2)


def linear(name: str, fan_in: int, fan_out: int) -> Layer:
    """A fully connected layer with biases."""
    return Layer(name, (fan_in + 1) * fan_out, fan_in * fan_out)


def alexnet() -> list[Layer]:
    """AlexNet with its two columns, which meet in conv3 and in the fully connected layers. Krizhevsky et al. (2012)."""
    return [
        convolution("conv1", 3, 96, 11, 55),
        convolution("conv2", 48, 256, 5, 27),
        convolution("conv3", 256, 384, 3, 13),
        convolution("conv4", 192, 384, 3, 13),
        convolution("conv5", 192, 256, 3, 13),
        linear("fc6", 256 * 6 * 6, 4096),
        linear("fc7", 4096, 4096),
        linear("fc8", 4096, 1000),
    ]


def resnet50() -> list[Layer]:
    """ResNet-50, a layer for each of its 16 blocks; equals torchvision.models.resnet50 in its parameters. He et al. (2016)."""
    stem = convolution("conv1", 3, 64, 7, 112, bias=False)
    layers, fan_in, size = [stem._replace(parameters=stem.parameters + 2 * 64)], 64, 56
    for stage, (width, count) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True), 2):
        for k in range(count):
            out = size // 2 if k == 0 and stage > 2 else size
            parts = [
                convolution("", fan_in, width, 1, size, bias=False),
                convolution("", width, width, 3, out, bias=False),
                convolution("", width, 4 * width, 1, out, bias=False),
            ] + [convolution("", fan_in, 4 * width, 1, out, bias=False)] * (k == 0)
            normalized = 2 * (width + width + 4 * width + 4 * width * (k == 0))  # scale and shift of each map
            parameters = sum(p.parameters for p in parts) + normalized
            layers.append(Layer(f"conv{stage}_{k + 1}", parameters, sum(p.multiplications for p in parts)))
            fan_in, size = 4 * width, out
    return [*layers, linear("fc", 2048, 1000)]


def gpt2(tokens: int = 1024, width: int = 768, blocks: int = 12, words: int = 50257) -> list[Layer]:
    """GPT-2 small. The output shares its weights with the embedding, whose gradient is therefore complete last of all.

    Equals transformers' GPT2LMHeadModel in its parameters. Radford et al. (2019).
    """
    weights = 12 * width**2  # of attention 4, of the two linear layers 8
    block = weights + 13 * width  # biases 9, scale and shift of two normalizations 4
    each = tokens * weights + 2 * tokens**2 * width
    return [
        Layer("embedding", (words + tokens) * width, 0),
        *(Layer(f"block{k}", block, each) for k in range(1, blocks + 1)),
        Layer("output", 2 * width, tokens * words * width),
    ]


NETWORKS = {"AlexNet": alexnet(), "ResNet-50": resnet50(), "GPT-2 small": gpt2()}
EXAMPLES = {"AlexNet": "images", "ResNet-50": "images", "GPT-2 small": "texts"}


def parameters(network: str) -> int:
    """All parameters of one of the NETWORKS. Raises ValueError for another name."""
    if network not in NETWORKS:
        raise ValueError(f"There is no network `{network}`. There are: {', '.join(NETWORKS)}.")
    return sum(layer.parameters for layer in NETWORKS[network])
