"""Students' processes as the grader sees them: started in milliseconds from a server that has PyTorch, ended for sure."""

import contextlib
import json
import math
import os
import queue
import re
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from course_lib.exercises.grading import codec
from course_lib.parallel.processes import CAN_FORK

PROGRAM = [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))]
ROOT = Path(sys.executable).anchor  # where a student's process stands: nothing there can be written
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP")
MOST = 1 << 29  # bytes that one process may send
PLACE = re.compile(rb'File "<cell (\d+)>", line (\d+)')


@dataclass(frozen=True)
class Limits:
    """What a student's code may take: seconds of the processor and bytes of memory in one process; `hidden` folders stay unread."""

    seconds: int = 120
    memory: int = 2 << 30
    hidden: tuple[str, ...] = ()


class Server:
    """Starts students' processes, one at a time. In a `with`: at its end no process is left."""

    def __init__(self, limits: Limits = Limits(), fork: bool = CAN_FORK):
        self.limits, self.fork, self._process = limits, fork, None

    def __enter__(self):
        if self.fork:
            self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._process = self._start([str(other.fileno())], pass_fds=[other.fileno()], stdin=subprocess.DEVNULL)
            other.close()
        return self

    def __exit__(self, *_):
        if self.fork:
            self._control.close()
            self._process.wait()

    def start(self) -> "Process":
        """A new process. Raises RuntimeError where it does not come to life."""
        options = {"folder": ROOT, **vars(self.limits)}
        if not self.fork:
            process = self._start(["alone", json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
            return Process(process.pid, process.stdout, process.stdin, process.stderr.fileno(), lambda: _end(process))
        ours, theirs = socket.socketpair()
        place, write = os.pipe()
        try:
            socket.send_fds(self._control, [json.dumps(options).encode()], [theirs.fileno(), write])
        except OSError as error:
            raise RuntimeError("The process that starts the students' has ended.") from error
        finally:
            theirs.close()
            os.close(write)
        reader, writer = ours.makefile("rb"), ours.makefile("wb")
        pid = int(self._control.recv(64) or 0)
        return Process(pid, reader, writer, place, lambda: self._end_fork(ours, place))

    def _start(self, arguments: list[str], **more) -> subprocess.Popen:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"OMP_NUM_THREADS": "1"}
        command = [*PROGRAM, *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **more)

    def _end_fork(self, connection: socket.socket, place: int) -> int:
        self._control.send(b"end")
        code = int(self._control.recv(64) or -9)
        connection.close()
        os.close(place)
        return code


def _end(process: subprocess.Popen) -> int:
    """The exit code of a process of its own, ended if it still runs."""
    try:
        code = process.wait(0.2 if process.stdin.closed else 0)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()
    return code


class Process:
    """One student's process. Its messages wait for those who ask for them, by the number of their call."""

    def __init__(self, pid: int, reader, writer, place: int, end):
        self._tasks = Path(f"/proc/{pid}/task")
        self._reader, self._writer, self._place, self._end = reader, writer, place, end
        self._lock, self._waiting, self.code, self.fault = threading.Lock(), {0: queue.SimpleQueue()}, None, ""
        self._count, self._stood = 0, None
        os.set_blocking(place, False)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def ask(self, message: dict, blob: bytes = b"") -> "queue.SimpleQueue":
        """Send a message; its replies come into the queue, None at the end of the process."""
        with self._lock:
            self._count += 1
            self._waiting[self._count] = replies = queue.SimpleQueue()
            number = self._count
        self.send(message | {"id": number}, blob)
        return replies

    def send(self, message: dict, blob: bytes = b"") -> None:
        """Send a message that has no reply of its own; a process that has ended gets none."""
        try:
            with self._lock:
                codec.write(self._writer, message, blob)
        except (OSError, ValueError):
            self._tell_all()

    @property
    def first(self) -> "queue.SimpleQueue":
        """What it says before it is asked."""
        return self._waiting[0]

    def place(self) -> tuple[int, int] | None:
        """Where the student's code stood when it last said so: cell and line."""
        try:
            while text := os.read(self._place, 1 << 16):
                cells = PLACE.findall(text)
                self._stood = tuple(map(int, cells[0])) if cells else self._stood
        except OSError:  # nothing more, for now
            pass
        return self._stood

    def cpu_seconds(self) -> float:
        """What the process has used of the processors; infinite where that cannot be known."""
        try:
            fields = (self._tasks.parent / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return math.inf
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_running(self) -> bool:
        """Whether a thread of the process computes, or would if it had a processor."""
        try:
            return any(
                (task / "stat").read_text().rpartition(")")[2].split()[0] == "R" for task in self._tasks.iterdir()
            )
        except OSError:
            return False

    def end(self) -> int:
        """The exit code, negative for a signal; ended at once, if it still ran."""
        if self.code is None:
            self.code = self._end()
            self._thread.join()
            self._reader.close()
            with contextlib.suppress(OSError):  # what was not sent is of no use any more
                self._writer.close()
        return self.code

    def _listen(self) -> None:
        received = 0
        try:
            while got := codec.read(self._reader):
                received += len(got[1]) + 1000
                if received > MOST:
                    raise ValueError("more messages than any answer needs")
                if replies := self._waiting.get(got[0].get("id")):
                    replies.put(got)
        except (OSError, ValueError, TypeError) as error:
            self.fault = str(error)
        self._tell_all()

    def _tell_all(self) -> None:
        for replies in list(self._waiting.values()):
            replies.put(None)
