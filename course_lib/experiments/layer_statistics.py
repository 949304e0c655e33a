"""Activations and gradients of a network, layer by layer: what its signals look like on the way up and back."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

FLAT = 0.01  # of the steepest slope: an entry with less is saturated


@dataclass(frozen=True)
class Summary:
    """A tensor in five numbers: its Euclidean norm, the mean and deviation of its entries, the share of zeros, its size."""

    norm: float
    mean: float
    std: float
    zeros: float
    entries: int

    @classmethod
    def of(cls, values: torch.Tensor) -> "Summary":
        """The summary of a tensor of real numbers, with the deviation divided by n. NaN where it holds NaN."""
        x = values.detach().double()
        norm, mean, std = x.norm().item(), x.mean().item(), x.std(correction=0).item()
        return cls(norm, mean, std, (x == 0).double().mean().item(), x.numel())


@dataclass
class LayerCall:
    """One tensor that a layer returned: its activation, the gradient of the loss in it, and the share that is saturated.

    `call` counts the layer's calls from 0, as a layer may be used again; `output` the tensors that one call returned.
    `gradient` is None until the backward pass, and stays so where no gradient comes by, as below a frozen layer.
    `saturated` is the share of entries at which a sigmoid or a tanh is flat, of a ReLU that of its zeros; else None.
    """

    layer: str
    kind: str
    call: int
    output: int
    activation: Summary
    saturated: float | None
    gradient: Summary | None = None


@dataclass(frozen=True)
class ParameterSize:
    """The norm of a parameter, that of its gradient (None without one), and gradient over parameter."""

    norm: float
    gradient: float | None
    ratio: float | None


@contextmanager
def layer_statistics(model: nn.Module, layers: Iterable[str] | None = None) -> Iterator[list[LayerCall]]:
    """Within the block, each forward pass of the model adds a LayerCall for each tensor of each layer, in their order.

        with layer_statistics(net) as calls:
            loss(net(x), y).backward()
        calls[0].activation.std, calls[0].gradient.norm

    `layers` are names as in model.named_modules(); left out, all modules without submodules. Every hook is removed at the
    end of the block, also after an exception. Outputs may be tensors, tuples and dictionaries of them; what a later layer
    changes in place, such as nn.ReLU(inplace=True), is measured before. Raises ValueError for an unknown layer.
    """
    calls, handles = [], []
    try:
        for name, module in _chosen(model, layers).items():
            handles.append(module.register_forward_hook(_recorder(name, calls, handles)))
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def parameter_sizes(model: nn.Module) -> dict[str, ParameterSize]:
    """The size of each parameter and of its gradient, by name. A shared parameter is there once, under its first name."""
    return {name: _parameter(p) for name, p in model.named_parameters()}


def _chosen(model: nn.Module, layers: Iterable[str] | None) -> dict[str, nn.Module]:
    modules = dict(model.named_modules())
    if layers is None:
        return {name: module for name, module in modules.items() if not any(True for _ in module.children())}
    layers = list(layers)
    if unknown := [name for name in layers if name not in modules]:
        known = ", ".join(name for name in modules if name)
        raise ValueError(
            f"The model has no layer {unknown[0]!r}. It has: {known or 'itself alone, named by an empty string'}."
        )
    return {name: modules[name] for name in layers}


def _recorder(name: str, calls: list[LayerCall], handles: list) -> Callable:
    """A forward hook. It hooks the tensors, not the module: a module's backward hook forbids changes in place after it."""
    count = 0

    def record(module: nn.Module, args, output) -> None:
        nonlocal count
        for k, tensor in enumerate(_tensors(output)):
            summary, saturated = Summary.of(tensor), _saturated(module, tensor.detach())
            call = LayerCall(name, type(module).__name__, count, k, summary, saturated)
            calls.append(call)
            if tensor.requires_grad:
                handles.append(tensor.register_hook(lambda g, call=call: setattr(call, "gradient", Summary.of(g))))
        count += 1

    return record


def _tensors(output) -> Iterator[torch.Tensor]:
    """The tensors of real numbers in an output, however it nests them."""
    if isinstance(output, torch.Tensor):
        if output.is_floating_point() and output.numel():
            yield output
    elif isinstance(output, dict):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from _tensors(value)


def _saturated(module: nn.Module, a: torch.Tensor) -> float | None:
    slopes = {nn.Sigmoid: lambda: 4 * a * (1 - a), nn.Tanh: lambda: 1 - a**2, nn.ReLU: lambda: (a > 0) * 1.0}
    slope = slopes.get(type(module))
    return (slope() < FLAT).double().mean().item() if slope else None


def _parameter(p: nn.Parameter) -> ParameterSize:
    norm = p.detach().norm().item()
    if p.grad is None:
        return ParameterSize(norm, None, None)
    gradient = p.grad.norm().item()
    return ParameterSize(norm, gradient, gradient / norm if norm else float("inf") if gradient else 0.0)
