"""A student's process: it runs the student's code and answers calls, and knows nothing of the right answers.

Usage: python -P worker.py FD, a server: for each request that comes at the Unix socket FD, with two open files, it forks such a process,
and says how it ended. python -P worker.py alone OPTIONS is one such process, on its standard streams.
Imports the standard library and torch alone, and what stands beside it, by its file: never course_lib.
"""

import ctypes
import importlib.util
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

import cloudpickle  # noqa: F401 - what arrives was packed by it
import torch

COURSE = Path(__file__).resolve().parents[2]


def _beside(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


codec, confinement, calls = map(_beside, ("codec", "confinement", "calls"))


def serve(control: socket.socket) -> None:
    """One student's process after the other, until the grader closes the connection or ends."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # what a student's process leaves behind becomes this one's child
    while True:
        request, files, *_ = socket.recv_fds(control, 1 << 16, 2)
        if not request:
            return
        if not files:  # an order to end a process that has ended by itself
            continue
        if not (pid := os.fork()):
            control.close()
            ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # it ends with the server
            os.setsid()
            become(json.loads(request), files[0], os.dup(files[0]), files[1])
        control.send(b"%d" % pid)
        for file in files:
            os.close(file)
        control.send(b"%d" % os.waitstatus_to_exitcode(_wait(control, pid)))


def _wait(control: socket.socket, pid: int) -> int:
    """The status of the process when it has ended, by itself or by order; nothing that it started is left."""
    handle = os.pidfd_open(pid)
    ready, *_ = select.select([handle, control], [], [])
    if control in ready:
        control.recv(16)
        os.kill(pid, signal.SIGKILL)
    os.close(handle)
    status = os.waitpid(pid, 0)[1]
    while children := Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return status


def become(options: dict, incoming: int, outgoing: int, place: int) -> None:
    """Be a student's process, which serves these open files; where it stands at a time limit it says in `place`."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.chdir(options["folder"])
    torch.set_num_threads(1)
    inside = ("site-packages", "dist-packages")
    sys.path[:] = [p for p in sys.path if Path(p).name in inside or not COURSE.is_relative_to(Path(p).resolve())]
    allowed = confinement.readable([COURSE, *map(Path, options["hidden"])])
    reader, writer, stack = os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb"), os.fdopen(place, "wb")
    watch = confinement.Watch(allowed, calls.OWN)
    worker = calls.Worker(codec, reader, writer, watch.refused, stack)
    confinement.limit(options["memory"], options["seconds"])
    missing = confinement.confine(allowed)
    watch.start()
    codec.write(writer, {"id": 0, "is": "ready", "missing": missing})
    worker.serve()
    os._exit(0)


if __name__ == "__main__":
    torch.func.vmap(torch.func.grad(torch.sin))(torch.ones(2))  # what PyTorch imports at its first use
    if sys.argv[1] == "alone":
        become(json.loads(sys.argv[2]), *map(os.dup, range(3)))
    else:
        serve(socket.socket(fileno=int(sys.argv[1])))
