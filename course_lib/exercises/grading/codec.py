"""Messages between the grader and a student's process, safe to read: JSON, and beside it the bytes of tensors; never pickle.

Imports the standard library, numpy and torch alone: the student's process loads this file, too, and knows no course_lib.
"""

import inspect
import itertools
import json
import struct
from collections.abc import KeysView, ValuesView
from typing import Any, BinaryIO

import numpy as np
import torch

MOST = 64 << 20  # bytes of one message
DEPTH, ITEMS = 20, 100_000  # of one value
HEAD = struct.Struct(">II")  # the sizes of the JSON and of the bytes
DTYPES = {str(x).removeprefix("torch."): x for x in vars(torch).values() if isinstance(x, torch.dtype)}


def write(stream: BinaryIO, message: dict, blob: bytes = b"") -> None:
    """Write one message. Raises ValueError where it is too large."""
    text = json.dumps(message).encode()
    if len(text) > MOST or len(blob) > MOST:
        raise ValueError(f"a message of more than {MOST >> 20} MB")
    stream.write(HEAD.pack(len(text), len(blob)) + text + blob)
    stream.flush()


def read(stream: BinaryIO) -> tuple[dict, bytes] | None:
    """The next message and its bytes; None at the end. Raises ValueError for what is no message, before it is read."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    sizes = HEAD.unpack(head)
    if max(sizes) > MOST:
        raise ValueError("a message that is too large")
    text, blob = map(stream.read, sizes)
    if (len(text), len(blob)) != sizes:
        return None
    try:
        message = json.loads(text)
    except RecursionError:
        raise ValueError("a message nested too deep") from None
    if not isinstance(message, dict):
        raise ValueError("a message of another form")
    return message, blob


def data(x: torch.Tensor) -> bytes:
    """A dense tensor's bytes, in the order of its elements."""
    flat = x.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


class Packer:
    """Values as JSON; `blob` grows by the bytes of their tensors. A tensor of `known` goes as its number there."""

    def __init__(self, known: list[torch.Tensor] = ()):
        self.blob, self.items = bytearray(), 0
        self._numbers = {id(x): k for k, x in enumerate(known)}

    def pack(self, value: Any, depth: int = 0) -> Any:
        """One value; what cannot be sent goes as the name of its type."""
        self.items += 1
        if depth > DEPTH or self.items > ITEMS:
            return {"kind": "other", "type": "value nested too deep"}
        if value is None or type(value) in (bool, float, str):
            return value[:10_000] if isinstance(value, str) else value
        if type(value) is int:
            return value if value.bit_length() < 1000 else {"kind": "other", "type": "int"}
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, (np.ndarray, np.generic)):
            return self._numpy(value)
        return self._container(value, depth)

    def tensor(self, x: torch.Tensor, new: bool = False) -> dict:
        """A tensor's type, shape and the place of its bytes; its number, if it is a known one and not asked for as `new`."""
        if not new and id(x) in self._numbers:
            return {"kind": "ref", "number": self._numbers[id(x)]}
        if x.layout != torch.strided or x.is_quantized:
            return {"kind": "other", "type": "tensor that is not dense"}
        spec = {
            "kind": "tensor",
            "dtype": str(x.dtype).removeprefix("torch."),
            "shape": [*x.shape],
            "device": x.device.type,
        }
        return spec if x.device.type == "meta" else spec | {"at": self._add(data(x))}

    def _add(self, more: bytes) -> list[int]:
        self.blob += more
        return [len(self.blob) - len(more), len(more)]

    def _numpy(self, x) -> dict:
        if x.dtype.hasobject or x.dtype.fields:
            return {"kind": "other", "type": f"numpy {type(x).__name__} of objects"}
        shape = [*x.shape] if isinstance(x, np.ndarray) else None
        return {"kind": "numpy", "dtype": x.dtype.str, "shape": shape, "at": self._add(x.tobytes())}

    def _container(self, value: Any, depth: int) -> dict:
        if value is ...:
            return {"kind": "ellipsis"}
        if isinstance(value, (list, tuple)):
            kind = "list" if isinstance(value, list) else "tuple"
            return {"kind": kind, "of": [self.pack(x, depth + 1) for x in value]}
        if isinstance(value, dict):
            return {
                "kind": "dict",
                "of": [[self.pack(k, depth + 1), self.pack(v, depth + 1)] for k, v in value.items()],
            }
        if hasattr(value, "__next__") or depth and isinstance(value, (set, frozenset, KeysView, ValuesView)):
            return {"kind": "generator", "of": [self.pack(x, depth + 1) for x in itertools.islice(value, ITEMS // 100)]}
        return {"kind": "coroutine" if inspect.iscoroutine(value) else "other", "type": type(value).__name__[:80]}


def unpack(packed: Any, blob: bytes, known: list[torch.Tensor] = ()) -> Any:
    """The value that `Packer.pack` packed. Raises ValueError for what is no such value, whatever it is."""
    try:
        return _unpack(packed, memoryview(blob), known)
    except (KeyError, IndexError, TypeError, AttributeError, RuntimeError, OverflowError, RecursionError) as error:
        raise ValueError(f"a value of another form ({type(error).__name__})") from None


def _unpack(packed: Any, blob: memoryview, known: list[torch.Tensor]) -> Any:
    if not isinstance(packed, dict):
        if packed is None or type(packed) in (bool, int, float, str):
            return packed
        raise ValueError("a value of another form")
    return UNPACKERS[packed["kind"]](packed, blob, known)


def _tensor(packed: dict, blob: memoryview, known) -> torch.Tensor:
    dtype, shape = DTYPES[packed["dtype"]], [int(n) for n in packed["shape"]]
    if packed["device"] == "meta":
        return torch.empty(shape, dtype=dtype, device="meta")
    if not (content := _bytes(packed, blob)):
        return torch.empty([0], dtype=dtype).reshape(shape)
    return torch.frombuffer(content, dtype=dtype).reshape(shape)  # raises where the shape does not fit the bytes


def _array(packed: dict, blob: memoryview, known):
    dtype = np.dtype(packed["dtype"])
    if dtype.kind not in "biufcSU?":
        raise ValueError("an array of another kind")
    array = np.frombuffer(_bytes(packed, blob), dtype=dtype)
    return array[0] if packed["shape"] is None else array.reshape(packed["shape"])


def _bytes(packed: dict, blob: memoryview) -> bytearray:
    start, size = packed["at"]
    if not 0 <= start <= start + size <= len(blob):
        raise ValueError("bytes that are not there")
    return bytearray(blob[start : start + size])


def _items(make):
    return lambda packed, blob, known: make(_unpack(x, blob, known) for x in packed["of"])


def _dictionary(packed: dict, blob: memoryview, known) -> dict:
    return {_unpack(k, blob, known): _unpack(v, blob, known) for k, v in packed["of"]}


async def _coroutine(*_):
    """What stands for a student's coroutine: it is looked at, never run."""


def _other(packed: dict, *_):
    return type(str(packed["type"]), (), {"__module__": "student"})()


UNPACKERS = {
    "tensor": _tensor,
    "ref": lambda packed, blob, known: known[packed["number"]],
    "numpy": _array,
    "ellipsis": lambda *_: ...,
    "list": _items(list),
    "tuple": _items(tuple),
    "dict": _dictionary,
    "generator": _items(lambda items: (x for x in [*items])),
    "coroutine": lambda *_: _coroutine(),
    "other": _other,
}
