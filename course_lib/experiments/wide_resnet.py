"""Wide residual networks, WRN-depth-width, of preactivated blocks: the network of slide 42."""

import re

import torch
from torch import nn
from torch.nn.functional import relu

from course_lib.experiments.initialize import initialize


class Block(nn.Module):
    """x + two convolutions, each behind batch normalization and ReLU: (B, fan_in, H, W) -> (B, fan_out, H / stride, W / stride).

    Where the number of channels or the size changes, x goes through a convolution of 1 x 1 pixels. Source: He et al.,
    "Identity mappings in deep residual networks" (2016); Zagoruyko and Komodakis (2016).
    """

    def __init__(self, channels: int, wider: int, stride: int, dropout: float = 0.0):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(wider)
        self.conv1 = nn.Conv2d(channels, wider, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(wider, wider, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)
        same = channels == wider and stride == 1
        self.shortcut = None if same else nn.Conv2d(channels, wider, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output; a shortcut that is a convolution takes the activated x."""
        activated = relu(self.norm1(x))
        z = self.conv1(activated)
        z = self.conv2(self.dropout(relu(self.norm2(z))))
        return z + (x if self.shortcut is None else self.shortcut(activated))


class WideResNet(nn.Sequential):
    """Logits (B, classes) of images (B, channels, H, W), H and W from 4: `WideResNet(28, 10)` has 36.5 million parameters.

    Three groups of (depth - 4) / 6 blocks with 16, 32 and 64 times `width` channels; the second and the third halve the image.
    `dropout` is the probability inside a block. Convolutions begin by Kaiming's normal initialization, drawn from `seed`.
    Raises ValueError for a depth that is not 6 n + 4. Source: Zagoruyko and Komodakis (2016); slide 42.
    """

    def __init__(
        self,
        depth: int = 28,
        width: int = 10,
        *,
        classes: int = 10,
        channels: int = 3,
        dropout: float = 0.0,
        seed: int = 0,
    ):
        if depth < 10 or (depth - 4) % 6 or width < 1:
            raise ValueError(
                f"A WRN's depth must be 10, 16, 22, 28, … and its width a whole number from 1, got {depth}-{width}."
            )
        last, layers = 16, [nn.Conv2d(channels, 16, 3, padding=1, bias=False)]
        for group, wide in enumerate((16 * width, 32 * width, 64 * width)):
            for k in range((depth - 4) // 6):
                layers.append(Block(last, wide, stride=2 if group and not k else 1, dropout=dropout))
                last = wide
        layers += [nn.BatchNorm2d(last), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes)]
        super().__init__(*layers)
        initialize(self, "kaiming_normal", seed=seed)


def wide_resnet(name: str, **settings) -> WideResNet:
    """By its name in papers: `wide_resnet("wrn-28-10", classes=100)`. Raises ValueError for another name."""
    found = re.fullmatch(r"wrn-(\d+)-(\d+)", name)
    if found is None:
        raise ValueError(f"A wide residual network is wrn-depth-width, as wrn-28-10, got {name!r}.")
    return WideResNet(*map(int, found.groups()), **settings)
