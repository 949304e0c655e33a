"""Functions and values on their way to another process: sent by value, also a function of a notebook's cell; what can't be sent is named."""

import inspect
import io
import marshal
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudpickle
import torch


class Unsendable(TypeError):
    """A value that another process cannot use."""


class _Pickler(cloudpickle.Pickler):
    """cloudpickle, but for what would arrive as something else: a file's text in place of the file, a GPU's tensor, a figure."""

    def reducer_override(self, value):
        """Called for each object that is packed."""
        if isinstance(value, io.IOBase):
            raise Unsendable("an open file: open it inside of the function")
        if isinstance(value, torch.Tensor) and value.device.type not in ("cpu", "meta"):
            raise Unsendable(f"a tensor on {value.device}: send .cpu() and move it to a device on the other side")
        if any(_is(value, *kind) for kind in (("matplotlib.figure", "Figure"), ("ipywidgets", "Widget"))):
            raise Unsendable("a figure: make it from the results")
        if isinstance(
            value, types.CodeType
        ):  # as it is: cloudpickle drops the file, by which a traceback shows the lines
            return marshal.loads, (marshal.dumps(value),)
        return super().reducer_override(value)


def _is(value, module: str, name: str) -> bool:
    return module in sys.modules and isinstance(value, getattr(sys.modules[module], name, ()))


def pack(value) -> bytes:
    """The value as bytes. Raises Unsendable, with the reason, where it cannot be sent."""
    stream = io.BytesIO()
    try:
        _Pickler(stream).dump(value)
    except Unsendable:
        raise
    except Exception as error:  # each kind of object refuses with an exception of its choice
        raise Unsendable(f"{type(value).__name__} ({error})") from error
    return stream.getvalue()


def pack_call(function: Callable, args: tuple) -> bytes:
    """A function and its arguments as bytes.

    Raises TypeError where `function` is none; Unsendable with the name of the argument, or of the variable that the
    function uses, which cannot be sent.
    """
    if not callable(function):
        raise TypeError(f"launch runs a function, got {function!r}. Its arguments follow it: launch(f, x, y).")
    try:
        return pack((function, args))
    except Unsendable:
        for name, value in _parts(function, args):
            try:
                pack(value)
            except Unsendable as why:
                raise Unsendable(f"{name} can't be sent to another process: it is {why}.") from None
        raise


def unpack(file: Path):
    """What `pack` wrote into a file."""
    return pickle.loads(file.read_bytes())


def _parts(function: Callable, args: tuple) -> Iterator[tuple[str, object]]:
    label = getattr(function, "__name__", type(function).__name__)
    for k, value in enumerate(args, 1):
        yield f"Argument {k} of {label}", value
    if inspect.isfunction(function):
        used = inspect.getclosurevars(function)
        for name, value in (used.nonlocals | used.globals).items():
            yield f"`{name}`, which {label} uses,", value
    yield label, function
