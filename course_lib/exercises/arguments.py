"""The arguments of one call: built anew for it, and looked at after it."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


class Lent:
    """A copy of a call's arguments, for the reader's code to have; `changed` says what it did to them."""

    def __init__(self, arguments: dict[str, Any]):
        self.arguments = copy.deepcopy(arguments)
        self._before = {name: [*map(_Part, _parts(value))] for name, value in self.arguments.items()}

    def changed(self) -> list[str]:
        """The names of the arguments that are no more what they were: a tensor's numbers, a list's entries, a model's parameters."""
        return [name for name, before in self._before.items() if self._is_changed(name, before)]

    def _is_changed(self, name: str, before: list["_Part"]) -> bool:
        now = [*_parts(self.arguments[name])]
        return len(now) != len(before) or any(
            part.value is not value or part.is_changed() for part, value in zip(before, now)
        )


class _Part:
    """A tensor, list, dictionary or model among the arguments, as it was before the call."""

    def __init__(self, value: Any):
        self.value = value
        if isinstance(value, torch.Tensor):
            self.version, self.copy = _version(value), value.detach().clone()

    def is_changed(self) -> bool:
        if not isinstance(self.value, torch.Tensor):
            return False
        now, before = self.value.detach(), self.copy
        if _version(self.value) != self.version or now.shape != before.shape or now.dtype != before.dtype:
            return True
        return not bool(((now == before) | (now != now) & (before != before)).all())


def _version(value: torch.Tensor) -> int | None:
    return None if value.is_inference() else value._version  # an inference tensor counts no versions


def _parts(value: Any) -> Iterator[Any]:
    """The value itself and all that it holds."""
    yield value
    if isinstance(value, nn.Module):
        for layer in value.modules():
            yield from layer._parameters.values()
            yield from layer._buffers.values()
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _parts(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _parts(entry)
