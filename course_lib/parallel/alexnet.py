"""AlexNet in two columns, one a rank: they see each other's maps at the third layer and at the top (slides 56-58)."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import nn

from course_lib.parallel.model_parallel import ColumnLinear, SplitConv2d, gather_from_ranks, own_part

FILTERS, HIDDEN, SIDE = (96, 256, 384, 384, 256), (4096, 4096), 227


def alexnet(
    classes: int = 1000,
    *,
    filters: Sequence[int] = FILTERS,
    hidden: Sequence[int] = HIDDEN,
    side: int = SIDE,
    first: tuple[int, int] = (11, 4),
) -> nn.Sequential:
    """AlexNet as one process holds it: images (B, 3, side, side) to (B, classes); layers 2, 4 and 5 in two groups of maps.

    `first` is the kernel's size and the stride of layer 1. The paper writes 224 x 224 images and 55 x 55 maps after layer 1; that is 227, or
    224 with a border of zeros. Its response normalization and dropout, which have no weights, are left out.
    Source: Krizhevsky et al. (2012), section 3.5 and figure 2; slides 56-58.
    """
    a, b, c, d, e = filters
    layers = [
        nn.Conv2d(3, a, first[0], stride=first[1]), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(a, b, 5, padding=2, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(b, c, 3, padding=1), nn.ReLU(),
        nn.Conv2d(c, d, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(d, e, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Flatten(),
    ]  # fmt: skip
    maps = (side - first[0]) // first[1] + 1
    for _ in range(3):
        maps = (maps - 3) // 2 + 1
    inputs = e * maps * maps
    for outputs in hidden:
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


class Gather(nn.Module):
    """All ranks' maps or features, side by side along dimension 1: where the columns cross."""

    def __init__(self, group=None):
        super().__init__()
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return gather_from_ranks(x, 1, self.group)


def own_groups(layer: nn.Conv2d, group=None) -> nn.Conv2d:
    """This rank's groups of a grouped convolution, which see this rank's maps alone: nothing is sent.

    Raises ValueError where the ranks do not divide the groups.
    """
    n = dist.get_world_size(group)
    if layer.groups % n:
        raise ValueError(f"A convolution in {layer.groups} groups can't be shared by {n} ranks: take a divisor.")
    own = nn.Conv2d(
        layer.in_channels // n, layer.out_channels // n, layer.kernel_size, layer.stride, layer.padding, layer.dilation,
        layer.groups // n, layer.bias is not None, device="meta",
    )  # fmt: skip
    parts = {name: own_part(p.detach(), 0, group) for name, p in layer.named_parameters()}
    own.load_state_dict(parts, assign=True)
    return own.requires_grad_()


def columns(network: nn.Sequential, group=None) -> nn.Sequential:
    """This rank's column of a network: the columns cross in front of each layer that has one group, and at the end.

    All ranks pass the same network. Equals it, forward and backward. Raises ValueError where the ranks do not divide a layer.
    """
    column, whole = [], True  # whether what comes in is on every rank: the image is
    for layer in network:
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            layer = own_groups(layer, group)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            column += [] if whole else [Gather(group)]
            kind = SplitConv2d if isinstance(layer, nn.Conv2d) else ColumnLinear
            layer, whole = kind.of(layer, group, gather=False), False
        column.append(layer)
    return nn.Sequential(*column, Gather(group))


def layer_sizes(network: nn.Sequential, side: int = SIDE) -> list[dict]:
    """What each layer with weights holds, for one image: `layer`, `parameters`, `inputs`, `outputs`, and whether columns cross before it.

    Counted on the meta device: no memory, no arithmetic.
    """
    x, rows = torch.empty(1, 3, side, side, device="meta"), []
    for layer in network.to("meta"):
        y = layer(x)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            count = sum(p.numel() for p in layer.parameters())
            crosses = bool(rows) and getattr(layer, "groups", 1) == 1
            name = f"{'conv' if isinstance(layer, nn.Conv2d) else 'fc'}{len(rows) + 1}"
            rows.append(
                {"layer": name, "parameters": count, "inputs": x.numel(), "outputs": y.numel(), "crosses": crosses}
            )
        x = y
    return rows
