"""A room for the reader's code: a time limit, its prints caught, the process left as it was."""

import contextlib
import ctypes
import io
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator

import torch


class TimeIsUp(BaseException):
    """Raised inside the reader's code when its time is up; no `except Exception` swallows it."""


def limited(
    work: Callable[[], None], seconds: Callable[[], float], importing: Callable[[float], None] = lambda seconds: None
) -> list[tuple[str, int]] | None:
    """Run `work()` for at most `seconds()`, which may grow meanwhile. None if it ended, else where it was: (file, line), innermost last.

    `importing(seconds)` is told the time in which a module was imported: PyTorch imports some at their first use, which takes seconds
    on a slow machine and is not the reader's loop; a module whose import is interrupted stays broken.

    It runs in a thread, because signals need the main thread and Windows has no alarm. What cannot be interrupted
    (a long sleep, a loop that catches everything) is left in a daemon thread, which ends with the process.
    Only a single endless call into C that keeps Python's lock, like `sum(itertools.count())`, escapes the limit.
    """
    ended, place, failures = threading.Event(), None, []  # an event: Thread.join is confused by the stop button

    def contained() -> None:
        try:
            with contextlib.suppress(TimeIsUp):
                work()
        except BaseException as failure:
            failures.append(failure)
        finally:
            ended.set()

    thread = threading.Thread(target=contained, daemon=True)
    thread.start()
    try:
        begin = last = time.monotonic()
        while (
            not ended.wait(0.05) and last < begin + seconds()
        ):  # short waits: on Windows nothing interrupts a long one
            if any(file.startswith("<frozen importlib") for file, _ in _where(thread)):
                importing(time.monotonic() - last)
            last = time.monotonic()
        if not ended.is_set():
            place = _where(thread) or None
    finally:  # also when the reader presses the kernel's stop button
        interrupt(thread, ended)
    if failures:  # a fault of `work` itself is not the reader's
        raise failures[0]
    return place


def _where(thread: threading.Thread) -> list[tuple[str, int]]:
    """The file and the line of each call that the thread is in, innermost last; empty if it has ended."""
    frame = sys._current_frames().get(thread.ident)
    return [(f.f_code.co_filename, line) for f, line in reversed(list(traceback.walk_stack(frame)))] if frame else []


def interrupt(thread: threading.Thread, ended: threading.Event) -> None:
    """Raise TimeIsUp in the thread, until it says by `ended` that it has."""
    for _ in range(4):  # again, if its code swallowed the first one
        if ended.is_set():
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(TimeIsUp))
        ended.wait(0.1)


class Printed(io.TextIOBase):
    """Catches what the reader's code prints in one call, up to `limit` characters."""

    def __init__(self, limit: int = 2000):
        self.text, self.limit = "", limit

    def write(self, text: str) -> int:
        self.text += text[: self.limit - len(self.text)]
        return len(text)

    def take(self) -> str:
        """What was printed since the last time."""
        text, self.text = self.text, ""
        return text


@contextlib.contextmanager
def undisturbed() -> Iterator[Printed]:
    """Catch what is printed; put random generators and the default dtype back (torch's grad mode belongs to a thread)."""
    printed, dtype, state = Printed(), torch.get_default_dtype(), random.getstate()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            yield printed
        finally:
            torch.set_default_dtype(dtype)
            random.setstate(state)
