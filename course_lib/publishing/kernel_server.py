"""The process that kernels are forked from: it has imported what pages import, so that the next kernel starts in milliseconds.

Usage: python -m course_lib.publishing.kernel_server FD, the number of an inherited Unix socket that listens. The server lives until
its standard input, a pipe, is closed.
"""

import importlib
import json
import os
import selectors
import signal
import socket
import sys

BACKEND = "module://matplotlib_inline.backend_inline"  # what ipykernel sets before a page imports matplotlib
# Nothing here starts a thread, asks for a GPU or looks for IPython when it is imported: that would not survive a fork,
# or would find the server in place of the kernel.
PRELOADED = (
    "torch",
    "torch.func",
    "torch.fx.experimental.proxy_tensor",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "sklearn.datasets",
    "numba",
    "tqdm",
    "ipykernel.kernelapp",
)


def main(descriptor: int) -> None:
    """Imports, then serves at the socket `descriptor`; each fork leaves the server and becomes a kernel."""
    del sys.path[0]  # the folder that the server was started in, which is not the kernels'
    os.environ.setdefault("MPLBACKEND", BACKEND)
    for name in PRELOADED:
        importlib.import_module(name)
    with socket.socket(fileno=descriptor) as listener:
        request = _Server(listener).serve()
    if request:
        _become_a_kernel(**request)


class _Server:
    """Forks a kernel for each connection that brings a request, tells its process id, and at its end its exit code."""

    def __init__(self, listener: socket.socket):
        self.listener, self.clients = listener, {}  # connections by the process id of their kernel

    def serve(self) -> dict | None:
        """In each fork its request; in the server None, when the owner has closed the pipe and all kernels are killed."""
        ended, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with ended, wakeup, selectors.PollSelector() as waiting:  # not epoll, which a fork would share
            for source in (self.listener, ended, sys.stdin):
                waiting.register(source, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in waiting.select()}
                if sys.stdin in ready:
                    return self._kill_all()
                if ended in ready:
                    ended.recv(4096)
                    self._report_exits()
                if self.listener in ready and (request := self._fork()):
                    return request

    def _fork(self) -> dict | None:
        client, _ = self.listener.accept()
        with client.makefile("r", encoding="utf8") as stream:
            request = json.loads(stream.readline())
        if pid := os.fork():
            self.clients[pid] = client
            client.sendall(b"%d\n" % pid)
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in (client, *self.clients.values()):
            other.close()
        return request

    def _report_exits(self) -> None:
        while self.clients:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self.clients.pop(pid) as client:
                try:
                    client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
                except ConnectionError:
                    pass  # nobody waits for this kernel any more

    def _kill_all(self) -> None:
        for pid in self.clients:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(pid, signal.SIGKILL)  # it has no group of its own yet


def _become_a_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """What `python -m ipykernel_launcher` would do in `folder` with these `arguments` and this `environment`."""
    from ipykernel.kernelapp import IPKernelApp
    from numpy import random

    os.setsid()
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    random.seed()  # else all kernels would draw the same numbers; random and torch see to theirs
    arguments = [*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"]  # it ends itself when the server is gone
    sys.argv = ["ipykernel_launcher", *arguments]
    IPKernelApp.launch_instance(argv=arguments)


if __name__ == "__main__":
    main(int(sys.argv[1]))
