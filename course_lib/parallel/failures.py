"""What went wrong on which rank, in one error: the first cause, its traceback, or the lines where ranks wait for each other."""

import re
import signal
import time
import traceback
from pathlib import Path

import torch

from course_lib.parallel.packing import unpack
from course_lib.parallel.rank import WHERE

PYTORCH = str(Path(torch.__file__).parent)


class RankError(RuntimeError):
    """A process of several failed. `rank` is its number."""

    def __init__(self, message: str, rank: int | None = None):
        super().__init__(message)
        self.rank = rank


class RankTimeout(RankError):
    """Not all processes returned in time; the message says where each of them waits."""


def failure(ranks) -> RankError:
    """The error of the rank that failed first: a process that was killed, or else the earliest exception."""
    killed = [one for one in ranks if one.failed and not one.file("error").exists()]
    if killed:
        first = killed[0]
        return RankError(f"Rank {first.number} of {len(ranks)} {_ending(first.process.poll())}.", first.number)
    errors = {one.number: unpack(one.file("error")) for one in ranks if one.file("error").exists()}
    first, *others = sorted(errors, key=lambda k: errors[k]["time"])
    chain = [one | {"says": _in_words(one["says"])} for one in errors[first]["chain"]]
    after = f"\nAfter it, {_ranks(others)} failed, too, as {_those(others)} waited for it." if others else ""
    says = f"Rank {first} of {len(ranks)} failed: {chain[0]['says']}\n\n{_traceback(chain)}{after}"
    return RankError(says, first)


def timed_out(ranks, timeout: float) -> RankTimeout:
    """The error for ranks that have not all returned after `timeout` seconds."""
    waiting = [one for one in ranks if not one.returned]
    for one in waiting:
        if WHERE:
            one.process.send_signal(WHERE)
    end = time.monotonic() + 2.0
    while time.monotonic() < end and not all(_stack(one) for one in waiting):
        time.sleep(0.02)
    lines = [f"Rank {one.number} {_place(one) if one in waiting else 'has returned.'}" for one in ranks]
    return RankTimeout(
        f"After {timeout:g} s, {len(waiting)} of {len(ranks)} ranks have not returned.\n"
        + "\n".join(lines)
        + "\nEvery send needs a recv on the other rank, and all ranks call the same"
        "\ncollectives in the same order. If the work takes longer than this, give"
        "\nlaunch a larger `timeout`.",
        waiting[0].number,
    )


def _in_words(says: str) -> str:
    """What PyTorch says of collectives that differ, in one sentence; anything else as it is."""
    calls = re.findall(
        r"Rank (\d+) is running collective: .*?OpType=(\w+)(?:, TensorShape=(\[.*?\]), TensorDtypes=(\w+))?", says
    )
    if "Detected mismatch" not in says or len(calls) < 2:
        return says
    each = [
        f"rank {k} calls {name.lower()}" + (f" on {kind} of the shape {shape}" if shape else "")
        for k, name, shape, kind in sorted(calls, key=lambda call: int(call[0]))
    ]
    return f"The ranks do not call the same collective: {', '.join(each)}."


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by the signal {signal.Signals(-code).name}" + (
            ": by hand, or by the system because memory ran out" if -code == signal.SIGKILL else ""
        )
    return f"ended with the exit code {code} before the function returned"


def _ranks(numbers: list[int]) -> str:
    return ("rank " if len(numbers) == 1 else "ranks ") + ", ".join(map(str, sorted(numbers)))


def _those(numbers: list[int]) -> str:
    return "it" if len(numbers) == 1 else "they"


def _traceback(chain: list[dict]) -> str:
    """The tracebacks, the first cause above, with the source lines of a notebook's cells, which only this process has."""
    return "\nand then\n\n".join(f"{_source(one['frames'])}{one['says']}\n" for one in reversed(chain))


def _source(frames: list[tuple[str, int, str]]) -> str:
    """The lines of these frames, but for those in which PyTorch's own code ends."""
    while len(frames) > 1 and frames[-1][0].startswith(PYTORCH):
        frames = frames[:-1]
    frames = [traceback.FrameSummary(file, line, name) for file, line, name in frames]
    return "".join(traceback.format_list(frames))


def _stack(one) -> list[tuple[str, int, str]]:
    """The rank's frames, the innermost last, below the ones of its program; [] as long as it has not answered."""
    text = one.file("stack").read_text("utf8") if one.file("stack").exists() else ""
    frames = re.findall(r'File "(.*)", line (\d+) in (.*)', text)
    outer = next((k for k, (file, _, _) in enumerate(frames) if Path(file).name == "rank.py"), len(frames))
    return [(file, int(line), name) for file, line, name in reversed(frames[:outer])]


def _place(one) -> str:
    frames = _stack(one)
    outside = next((k for k, frame in enumerate(frames) if frame[0].startswith(PYTORCH)), len(frames))
    if not frames:
        return "has not reached the function, or waits where it can't be asked."
    inside = [name for _, _, name in frames[outside:] if name != "wrapper"]  # PyTorch wraps its collectives to log them
    where = f" in {inside[0]}" if inside else ""
    return f"waits{where}:\n{_source(frames[:outside][-3:])}".rstrip()
