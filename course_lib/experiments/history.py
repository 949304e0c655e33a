"""What a training did, measured while it goes: losses, accuracies, the norm of each layer's gradient."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import get_total_norm

MEASURED_AT_ONCE = 1000  # examples


@dataclass
class History:
    """What training did, a list each, with one entry at each of `steps`, which counts the steps taken so far.

    `train_loss` and `train_accuracy` are means over the batches since the entry before, as the network saw them: augmented, with
    dropout, its weights changing. `val_loss` and `val_accuracy` are those of all validation examples, NaN if there are none.
    `rate` is the last step's, of the first parameter group. `gradient_norm` has a list for each layer by its name: the norm of
    the last step's gradient of all of the layer's parameters, before clipping.
    """

    steps: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    gradient_norm: dict[str, list[float]] = field(default_factory=dict)

    def add(self, steps: int, train, val, rate: float, norms: dict[str, float]) -> None:
        """Add an entry; `train` and `val` are pairs of loss and accuracy."""
        names = "steps", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "rate"
        for name, value in zip(names, (steps, *train, *val, rate), strict=True):
            getattr(self, name).append(value)
        for name, norm in norms.items():
            self.gradient_norm.setdefault(name, []).append(norm)


@torch.no_grad()
def measure(
    network: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: Callable = cross_entropy
) -> tuple[float, float]:
    """The mean loss over examples x (N, …) of classes y (N,), and the share that is named rightly; NaN for no examples.

    The network is in evaluation mode meanwhile, and each of its modules in its own mode again afterward.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    seen = Seen(y.device)
    for now in torch.arange(len(x), device=x.device).split(MEASURED_AT_ONCE):
        z = network(x[now])
        seen.add(loss(z, y[now]).item(), z, y[now])
    for module, training in modes:
        module.training = training
    return seen.means()


def gradient_norms(network: nn.Module) -> dict[str, float]:
    """By the names of the modules that have parameters of their own: the Euclidean norm of these parameters' gradients."""
    norms = {}
    for name, module in network.named_modules():
        own = [p.grad for p in module.parameters(recurse=False) if p.grad is not None]
        if own:
            norms[name or type(module).__name__] = get_total_norm(own).item()
    return norms


class Seen:
    """Mean loss and accuracy over batches; the device is asked only at the end."""

    def __init__(self, device: torch.device):
        self.device = device
        self._begin()

    def _begin(self) -> None:
        self.loss, self.count, self.right = 0.0, 0, torch.zeros((), dtype=torch.long, device=self.device)

    def add(self, loss: float, z: torch.Tensor, y: torch.Tensor) -> None:
        """Count a batch of logits z and classes y in, whose mean loss this was."""
        self.loss, self.count = self.loss + loss * len(y), self.count + len(y)
        self.right += (z.detach().argmax(1) == y).sum()

    def means(self) -> tuple[float, float]:
        """Loss and accuracy since the last call, NaN for no examples; counting begins anew."""
        loss, right, count = self.loss, self.right.item(), self.count
        self._begin()
        return (loss / count, right / count) if count else (float("nan"), float("nan"))
