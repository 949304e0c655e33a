"""When two values agree, how a value is shown, and what is wrong with one that cannot be compared."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy
import torch

# Relative, absolute. In float32 right formulas in another order differ by a few units in the last of 7 digits, more where terms cancel.
TOLERANCE = {torch.float64: (1e-9, 1e-10), torch.float32: (1e-4, 1e-5)}
COARSE = (1e-2, 1e-3)  # half precision


def is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def comparable(value: Any, expected: Any) -> Any:
    """A tensor without its graph; its number, if a number is expected and it holds one without dimensions. Else the value as it is."""
    if (
        is_number(expected)
        and isinstance(value, (torch.Tensor, numpy.ndarray))
        and value.ndim == 0
        and _has_numbers(value)
    ):
        return value.item()
    return value.detach() if isinstance(value, torch.Tensor) else value


def _has_numbers(value: torch.Tensor | numpy.ndarray) -> bool:
    return isinstance(value, numpy.ndarray) or value.layout == torch.strided and value.device.type != "meta"


def agree(value: Any, other: Any) -> bool:
    """Whether a value equals the other up to rounding: in type, dtype, shape and numbers, a list entry by entry. NaN equals NaN."""
    if isinstance(value, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(value) == len(other) and all(map(agree, value, other))
    value, other = comparable(value, other), comparable(other, value)
    if isinstance(value, torch.Tensor) and isinstance(other, torch.Tensor):
        if value.dtype != other.dtype or value.shape != other.shape:
            return False
        relative, absolute = TOLERANCE.get(value.dtype, COARSE)
        return torch.allclose(value, other, rtol=relative, atol=absolute, equal_nan=True)
    if is_number(value) and is_number(other):
        relative, absolute = TOLERANCE[torch.float64]
        return math.isclose(value, other, rel_tol=relative, abs_tol=absolute) or value != value and other != other
    return False


def nearly(value: Any, expected: Any) -> bool:
    """Whether numbers of double precision agree to float32's digits."""
    if isinstance(value, (list, tuple)):
        return len(value) == len(expected) > 0 and all(map(nearly, value, expected))
    value, expected = comparable(value, expected), comparable(expected, expected)
    if is_number(value) and is_number(expected):
        return math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-7)
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float64:
        return False
    return torch.allclose(value, expected, rtol=1e-6, atol=1e-7)


def fault(name: str, value: Any, expected: Any) -> str | None:
    """What keeps `value` from being compared with `expected`: its type, device, dtype or shape. None if nothing does."""
    if isinstance(expected, (list, tuple)):
        return _fault_in_list(name, value, expected)
    if not isinstance(expected, torch.Tensor):
        value = comparable(value, expected)
        return None if is_number(value) else f"{name} is {kind(value)}; return a number."
    if not isinstance(value, torch.Tensor):
        return f"{name} is {kind(value)}; return a torch tensor, made by torch's own operations (no `.numpy()`, `.item()`, `float()`)."
    if value.device != expected.device:
        return f"{name} is on the device {value.device}; keep it where the arguments are, on {expected.device}."
    if value.layout != expected.layout:
        return f"{name} is a {str(value.layout).removeprefix('torch.')} tensor; return a dense one, as `.to_dense()` makes it."
    if value.dtype != expected.dtype:
        return f"{name} is {value.dtype}, but the arguments are {expected.dtype}: look for a conversion or a tensor made without `dtype=`."
    if value.shape != expected.shape:
        return f"{name} has the shape {tuple(value.shape)}, expected {tuple(expected.shape)}."
    return None


def _fault_in_list(name: str, value: Any, expected: Sequence) -> str | None:
    if not isinstance(value, (list, tuple)):
        return f"{name} is {kind(value)}; return a list of {len(expected)} tensors."
    if len(value) != len(expected):
        return f"{name} is a list of length {len(value)}; return one of {len(expected)} tensors."
    return next(filter(None, (fault(f"{name}[{k}]", *pair) for k, pair in enumerate(zip(value, expected)))), None)


def not_finite(name: str, value: Any, expected: Any) -> str | None:
    """A sentence if `value` holds NaN or an infinity where `expected` holds none, else None."""
    if isinstance(expected, (list, tuple)):
        return next(
            filter(None, (not_finite(f"{name}[{k}]", *pair) for k, pair in enumerate(zip(value, expected)))), None
        )
    value, expected = torch.as_tensor(value), torch.as_tensor(expected)
    if value.isfinite().all() or not expected.isfinite().all():
        return None
    bad = value[~value.isfinite()].flatten()[0].item()
    return f"{name} holds {bad}: look for a division by zero, a root or logarithm of a negative number, or numbers that grow without end."


def kind(value: Any) -> str:
    """A value's type, in words, with the value itself if it is a number."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if type(value).__module__ == "numpy":
        return f"a numpy {type(value).__name__}"
    return f"a Python {type(value).__name__}" + (f" ({show(value)})" if is_number(value) else "")


def show(value: Any, digits: int = 4) -> str:
    """A value as a message prints it: a number, a short vector, or the shape of a larger tensor."""
    if isinstance(value, torch.Tensor) and value.dim() == 0:
        value = value.item()
    if isinstance(value, torch.Tensor):
        if value.dim() == 1 and len(value) <= 4:
            return f"({', '.join(show(x, digits) for x in value)})"
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, (list, tuple)) and any(isinstance(x, torch.Tensor) for x in value):
        return f"[{', '.join(show(x, digits) for x in value)}]"
    return f"{value:.{digits}g}" if is_number(value) else str(value)


def show_difference(name: str, value: Any, expected: Any) -> str:
    """`w[1, 2] is 0.3, expected 0.4`: at the element farthest out of tolerance, with as many digits as it takes to see it."""
    if isinstance(expected, (list, tuple)):
        k = next(k for k, pair in enumerate(zip(value, expected)) if not agree(*pair))
        return show_difference(f"{name}[{k}]", value[k], expected[k])
    if isinstance(expected, torch.Tensor) and expected.dim() > 0:
        relative, absolute = TOLERANCE.get(expected.dtype, COARSE)
        excess = (value - expected).abs() / (absolute + relative * expected.abs())
        place = numpy.unravel_index(
            int(excess.nan_to_num(torch.inf).argmax()), expected.shape
        )  # torch's imports sympy: 3 s
        name, value, expected = f"{name}[{', '.join(str(int(i)) for i in place)}]", value[place], expected[place]
    digits = next((d for d in (4, 7, 10) if show(value, d) != show(expected, d)), 17)
    return f"{name} is {show(value, digits)}, expected {show(expected, digits)}"
