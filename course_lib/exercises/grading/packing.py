"""The arguments of a call on their way to a student's process: tensors beside a pickle, and what cannot be copied is called back."""

import contextlib
import io
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence

import cloudpickle
import torch

from course_lib.exercises.grading.codec import Packer

ONE_AT_A_TIME = threading.Lock()  # what cloudpickle packs by value is one list for the whole process


@contextlib.contextmanager
def _by_value() -> Iterator[None]:
    """The student's process has no course_lib: a slope or a model goes with its class. Elsewhere it goes by its name."""
    with ONE_AT_A_TIME:
        cloudpickle.register_pickle_by_value(sys.modules["course_lib"])
        try:
            yield
        finally:
            cloudpickle.unregister_pickle_by_value(sys.modules["course_lib"])


class _Unsendable(Exception):
    """What has to stay here."""


class _Pickler(cloudpickle.Pickler):
    def __init__(self, stream: io.BytesIO, tensors: list, functions: list):
        super().__init__(stream)
        self.tensors, self.functions = tensors, functions

    def persistent_id(self, value):
        """A tensor's number, or that of a function that is called back."""
        for kind, values in (("tensor", self.tensors), ("ask", self.functions)):
            if number := next((k for k, x in enumerate(values, 1) if x is value), 0):
                return kind, number - 1
        if isinstance(value, torch.Tensor):
            self.tensors.append(value)
            return "tensor", len(self.tensors) - 1
        if isinstance(value, types.ModuleType) and value.__name__.startswith("course_lib"):
            raise _Unsendable(value.__name__)
        return None


def pack_call(args: Sequence, named: Mapping) -> tuple[list[torch.Tensor], list[Callable], dict, bytes]:
    """The tensors in the arguments, the functions that stay here, and the message with its bytes."""
    functions = [x for x in [*args, *named.values()] if _stays(x)]
    tensors, stream = [], io.BytesIO()
    with _by_value():
        _Pickler(stream, tensors, functions).dump((list(args), dict(named)))
    packer = Packer()
    specs = [
        packer.tensor(x) | {"grad": x.requires_grad, "parameter": isinstance(x, torch.nn.Parameter)} for x in tensors
    ]
    return tensors, functions, {"tensors": specs, "pickle": len(packer.blob)}, bytes(packer.blob) + stream.getvalue()


def _stays(value) -> bool:
    """Whether a function cannot be copied, as it holds on to something here: a mailbox, a lock, the course's modules."""
    if not callable(value) or isinstance(value, torch.nn.Module):
        return False
    try:
        with _by_value():
            _Pickler(io.BytesIO(), [], []).dump(value)
    except Exception:  # each kind of object refuses with an exception of its choice
        return True
    return False
