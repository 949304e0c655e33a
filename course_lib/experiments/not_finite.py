"""Why a training's numbers are no numbers any more: the likely cause, found by taking the failed step once more."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.utils import get_total_norm
from torch.overrides import TorchFunctionMode

GROWN = 100.0  # times: more than what gradients vary between steps of a training that goes well
ADVICE = {
    "log": "log of 0 or less. Hand logits to the loss, or add log_softmax in place of the log of a softmax.",
    "div": "a division by 0.",
    "sqrt": "the root of a negative number.",
    "pow": "a negative number to a power that is not whole, or 0 to a negative one.",
    "exp": "exp of more than 88, which float32 does not hold.",
}  # fmt: skip


def norm_of_weights(network: nn.Module) -> float:
    """The Euclidean norm of all parameters together."""
    return get_total_norm([p.detach() for p in network.parameters()]).item()


def likely_cause(
    network: nn.Module,
    loss: Callable,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    before: torch.Tensor,
    chosen: torch.Tensor,
    half: torch.dtype | None,
    norm_at_start: float,
    recent: Sequence[tuple[int, float, float]],
    rate: float,
) -> str:
    """One sentence or two, for the batch x (B, …), y (B,) whose loss or gradient is not finite.

    `before` is x before augmentation, `chosen` its indices; `half` is the type of mixed precision, `norm_at_start` that of the
    weights when training began, and `recent` holds step, loss and gradient norm of the steps before.
    """
    if not _finite(x):
        return _input(x, before, chosen)
    weights = norm_of_weights(network)
    if not math.isfinite(norm_at_start):
        return f"{_not_finite_weight(network)} had such values before training began. Initialize it."
    if half is not None and _finite_in_full(network, loss, x, y):
        return f"overflow in half precision: in float32 the same step's loss and gradient are finite. {_of(half)}"
    grown = _growth(recent, weights, norm_at_start)
    if grown:
        return f"the rate {rate:g} is too large: {grown}. Lower it, warm it up, or clip the gradient."
    if not math.isfinite(weights):
        return (
            f"the optimizer's last step, which made {_not_finite_weight(network)} of finite gradients: a division of 0 by 0, "
            "as with eps=0, or an infinite rate."
        )
    return (
        _function(network, loss, x, y)
        or "unknown: the same step taken once more was finite. Is there a draw in the network?"
    )


def _finite(x: torch.Tensor) -> bool:
    return not x.is_floating_point() or bool(x.isfinite().all())


def _finite_in_full(network: nn.Module, loss: Callable, x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether loss and gradient are finite where nothing is rounded to half precision."""
    J = loss(network(x), y)
    return _finite(J.detach()) and all(map(_finite, _gradients(network, J)))


def _of(half: torch.dtype) -> str:
    largest = f"{torch.finfo(half).max:.3g}"
    other = " or take torch.bfloat16, whose range is float32's" if half == torch.float16 else ""
    return f"{str(half).removeprefix('torch.').capitalize()} ends at {largest}: make its numbers smaller{other}."


def _input(x: torch.Tensor, before: torch.Tensor, chosen: torch.Tensor) -> str:
    bad = ~x.flatten(1).isfinite().all(1)
    first = chosen[bad][0].item()
    if _finite(before[bad]):
        return f"augmentation made values that are not finite of training example {first}, which was finite."
    return f"the input: {int(bad.sum())} of the batch's {len(x)} examples are not finite, the first is training example {first}."


def _not_finite_weight(network: nn.Module) -> str:
    return next((f"`{name}`" for name, p in network.named_parameters() if not _finite(p.detach())), "the weights")


def _growth(recent: Sequence[tuple[int, float, float]], weights: float, at_start: float) -> str:
    """What has grown too much before the failure, in words; nothing if all was steady."""
    norms = [(norm, step) for step, _, norm in recent if norm > 0]
    if norms and norms[-1][0] > GROWN * min(norms)[0]:
        (low, k), (high, n) = min(norms), norms[-1]
        return f"the gradient's norm rose from {low:.2g} in step {k} to {high:.2g} in step {n}"
    if weights > GROWN * max(at_start, 1e-30):
        return f"the norm of the weights rose from {at_start:.2g} to {weights:.2g}"
    return ""


class _FirstNotFinite(TorchFunctionMode):
    """Keeps the first function that makes a number which is not finite of finite ones: its name and its arguments' range."""

    found: tuple[str, float, float] | None = None

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if self.found is None and isinstance(result, torch.Tensor) and not _finite(result):
            tensors = [a.detach() for a in args if isinstance(a, torch.Tensor) and a.is_floating_point() and a.numel()]
            if tensors and all(map(_finite, tensors)):
                low, high = min(a.min().item() for a in tensors), max(a.max().item() for a in tensors)
                self.found = getattr(func, "__name__", str(func)).strip("_"), low, high
        return result


def _function(network: nn.Module, loss: Callable, x: torch.Tensor, y: torch.Tensor) -> str:
    """The function, forward or backward, that first makes what is not finite; nothing if none does."""
    with _FirstNotFinite() as mode, torch.enable_grad():
        J = loss(network(x), y)
    if mode.found is not None:
        name, low, high = mode.found
        advice = next((text for part, text in ADVICE.items() if part in name), "its result is too large for the type.")
        return f"`{name}` of numbers from {low:.3g} to {high:.3g}: {advice}"
    return _backward(network, J)


def _backward(network: nn.Module, J: torch.Tensor) -> str:
    """The function whose gradient is the first that is not finite, on the way back from the loss J; nothing if none is."""
    found = []

    def watch(node):
        def hook(made, given):
            if all(map(_finite, filter(_there, given))) and not all(map(_finite, filter(_there, made))):
                found.append(node.name())

        return hook

    nodes, queue = {J.grad_fn}, [J.grad_fn]
    while queue:
        node = queue.pop()
        node.register_hook(watch(node))
        new = {n for n, _ in node.next_functions if n is not None} - nodes
        nodes |= new
        queue += new
    _gradients(network, J)
    if not found:
        return ""
    name = found[0].rstrip("0123456789").removesuffix("Backward").lower()
    return (
        f"the gradient of `{name}` is not finite where its value is, as that of sqrt at 0. Add a small number inside."
    )


def _there(x: torch.Tensor | None) -> bool:
    return x is not None


def _gradients(network: nn.Module, J: torch.Tensor) -> list[torch.Tensor]:
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [*filter(_there, torch.autograd.grad(J, parameters, allow_unused=True))]
