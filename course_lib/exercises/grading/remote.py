"""A student's function as a check calls it: each call goes to the student's process, and its values come back."""

import builtins
import inspect
import queue
import signal
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.exercises.grading.codec import Packer, unpack
from course_lib.exercises.grading.packing import pack_call
from course_lib.exercises.grading.processes import Process
from course_lib.exercises.grading.submission import Answer
from course_lib.exercises.trial import Problem

BUSY = 6  # times its seconds an answer may wait on a machine that is busy with others


@dataclass(frozen=True)
class Fate:
    """How an answer came to its end before it could be judged: its kind, one word for the table, and a sentence."""

    kind: str
    text: str


class Remote:
    """The function of an `answer` in a `process`, for `seconds` of all its calls. Calls may come from many threads.

    A call returns what the function returned, and makes the same changes in the arguments; it raises Problem, with a
    sentence, where there is no value. `fate` is why no further call can be answered, if so.
    """

    def __init__(self, process: Process, answer: Answer, seconds: float):
        self.__name__, self.process, self.answer, self.seconds = answer.function, process, answer, seconds
        self.fate, self._lock = None, threading.Lock()
        self.parameters: list | None = None
        self.used, self.waited = None, 0.0  # seconds: of the processor before the first call, by the clock in all calls

    @property
    def __signature__(self) -> inspect.Signature:
        if self.parameters is None:
            raise ValueError(f"{self.__name__} has no signature")
        kinds = [inspect._ParameterKind(kind) for _, kind, *_ in self.parameters]
        empty = inspect.Parameter.empty
        return inspect.Signature(
            [inspect.Parameter(p[0], kind, default=p[3] if p[2] else empty) for p, kind in zip(self.parameters, kinds)]
        )

    def load(self) -> Callable:
        """Run the cells that the answer needs; the function, or what stands there in its place. Raises Problem."""
        reply, _ = self._ask({"do": "load", "function": self.__name__, "cells": self.answer.cells})
        self.parameters = reply["parameters"]
        try:
            _ = self.parameters is None or self.__signature__
        except (ValueError, TypeError, IndexError):
            raise self._stop("forged", "sends the grader messages of its own making") from None
        return _stand_in(reply, self.__name__) or self

    def replaced(self) -> list[str]:
        """What the code has replaced in PyTorch or in the list of modules."""
        reply, _ = self._ask({"do": "changed"})
        return [str(x) for x in [*reply["names"], *reply["modules"]]]

    def __call__(self, *args, **named):
        tensors, functions, message, blob = pack_call(args, named)
        reply, blob = self._ask({"do": "call", "function": self.__name__, **message}, blob, functions, tensors)
        try:
            value = unpack(reply["value"], blob, tensors)
            _write_back(reply, blob, tensors, {**dict(enumerate(args)), **named})
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise self._stop("forged", "sends the grader messages of its own making") from None
        return value

    def _ask(self, message: dict, blob: bytes = b"", functions=(), tensors=()) -> tuple[dict, bytes]:
        """The last reply to a message; in between, the functions that the student's code calls here. Raises Problem."""
        with self._lock:
            if self.fate:
                raise Problem(self.fate.text)
            self.used = self.process.cpu_seconds() if self.used is None else self.used
        replies, stopped = self.process.ask(message | {"seconds": min(self.seconds / 3, 1.0)}, blob), None
        while True:
            reply, blob = self._next(replies)
            if reply.get("is") != "asked":
                break
            stopped = self._serve(reply, blob, functions, tensors) or stopped
        print(str(reply.get("printed", ""))[:2000], end="")
        if stopped:
            raise stopped
        return self._checked(reply), blob

    def _next(self, replies: queue.SimpleQueue) -> tuple[dict, bytes]:
        start, idle = time.monotonic(), 0
        while True:
            try:
                got = replies.get(timeout=0.05)  # short waits, between which a check can stop this thread
            except queue.Empty:
                idle = 0 if self.process.is_running() else idle + 1
                if self._is_late(time.monotonic() - start, idle):
                    raise self._late() from None
                continue
            self.waited += time.monotonic() - start
            if got is None:
                raise self._ended()
            return got

    def _is_late(self, waited: float, idle: int) -> bool:
        """Whether the time is over: of the processor for all calls, or by the clock for one that sleeps.

        A process that computes may wait for a processor of a busy machine, but not for ever.
        """
        if self.process.cpu_seconds() - self.used > self.seconds:
            return True
        return waited > self.seconds and idle > 2 or self.waited + waited > BUSY * self.seconds

    def _serve(self, asked: dict, blob: bytes, functions, tensors) -> Exception | None:
        """Compute one of the functions that stay here, and send its value; the exception that has to end the call, if any."""
        reply, packer, stop = {"do": "reply", "callback": asked.get("callback")}, Packer(), None
        try:
            function = functions[asked["function"]]
            args, named = unpack(asked["args"], blob, tensors), unpack(asked["named"], blob, tensors)
            reply |= {"is": "value", "value": packer.pack(function(*args, **named))}
        except Exception as error:
            if type(error) in vars(builtins).values():  # the student's own: a wrong type, a shape that does not fit
                reply |= {"is": "raised", "type": type(error).__name__, "text": str(error)}
            else:
                reply, stop = reply | {"is": "stop"}, error
        self.process.send(reply, bytes(packer.blob))
        return stop

    def _checked(self, reply: dict) -> dict:
        """The reply, if it brings a value."""
        if refused := reply.get("refused"):
            raise self._stop("forbidden", f"{str(refused[0])[:200]}. The grader refuses that")
        if reply.get("is") == "raised":
            raise self._raised(reply)
        return reply

    def _raised(self, reply: dict) -> Problem:
        kind, place = str(reply.get("type"))[:60], self._where(reply.get("at"))
        text = textwrap.shorten(str(reply.get("text")).partition("\n")[0], 160, placeholder=" …").rstrip(".")
        if kind == "MemoryError":
            return self._stop("memory", f"needs more memory than there is for an answer{place and f', at{place[3:]}'}")
        if kind == "RecursionError":
            text = f"{self.__name__} calls itself without end{place}. One call is one step: compute it and return."
        else:
            text = f"{self.__name__} raises {kind}{place}" + (f": {text}." if text else ".")
        return Problem(text)

    def _where(self, at) -> str:
        try:
            cell, line = map(int, at)
            source = dict((number, source) for number, source, _ in self.answer.cells)[cell].split("\n")[line - 1]
        except (TypeError, ValueError, KeyError, IndexError):
            return ""
        return f" at line {line}, `{source.strip()}`"

    def _late(self) -> Problem:
        place = self._where(self.process.place())
        where = f": it was{place}" if place else ""
        return self._stop(
            "endless", f"did not end within {self.seconds:g} seconds{where}. Look for a loop that never ends"
        )

    def _ended(self) -> Problem:
        if self.process.fault:
            return self._stop("forged", "sends the grader messages of its own making")
        code = self.process.end()
        if code < 0 and -code == getattr(signal, "SIGXCPU", None):
            return self._stop("endless", "used up the processor's time for one student")
        how = f"by the signal {signal.Signals(-code).name}" if code < 0 else f"with the code {code}, as `os._exit` does"
        return self._stop("crashed", f"ended its process {how}, so that no value came back")

    def _stop(self, kind: str, text: str) -> Problem:
        """From now on no call is answered, and the process is of no further use."""
        self.fate = self.fate or Fate(kind, f"{self.__name__} {text}.")
        return Problem(self.fate.text)


def _stand_in(reply: dict, name: str):
    """For what is no plain function: something of the same kind, at which a check says so."""
    kind, label = reply["kind"], str(reply["type"])[:80]
    if kind == "class":
        return type(label, (), {})
    if kind == "value":
        return type(label, (), {})()

    def generator():
        yield

    async def coroutine():
        """Never run."""

    found = {"generator": generator, "coroutine": coroutine}.get(kind)
    if found:
        found.__name__ = name
    return found


def _write_back(reply: dict, blob: bytes, tensors: list[torch.Tensor], given: dict) -> None:
    """What the student's code has changed in its arguments, changed here, too."""
    for number, packed in reply["tensors"]:
        new, old = unpack(packed, blob), tensors[number]
        with torch.no_grad():
            if new.shape == old.shape and new.dtype == old.dtype:
                old.copy_(new)
            else:
                old.data = new.to(old.dtype)
    for key, packed in reply["containers"]:
        new, old = unpack(packed, blob, tensors), given[key]
        old.clear()  # what has not changed comes back as what it was
        old.update(new) if isinstance(old, dict) else old.extend(new)
    for key, name, packed in reply["models"]:
        owner, _, leaf = name.rpartition(".")
        part = given[key].get_submodule(owner)
        stores = [store for store in (part._parameters, part._buffers) if leaf in store]
        for store in stores:
            store[leaf] = unpack(packed, blob, tensors)
