"""The process that others are forked from: it has made the slow imports, so that the next one starts in milliseconds.

Usage: python -m course_lib.parallel.fork_server FD MODULE…: FD is the number of an inherited Unix socket that listens, the modules
are imported before the first fork. The server lives until its standard input, a pipe, is closed.
"""

import importlib
import json
import os
import selectors
import signal
import socket
import sys


def main(descriptor: int, modules: list[str]) -> None:
    """Imports, then serves at the socket `descriptor`; each fork leaves the server and becomes what its request asks for."""
    del sys.path[0]  # the folder that the server was started in, which is not that of its forks
    for name in modules:
        importlib.import_module(name)
    with socket.socket(fileno=descriptor) as listener:
        request = _Server(listener).serve()
    if request:
        _become(**request)


class _Server:
    """Forks a process for each connection that brings a request, tells its id, and at its end its exit code."""

    def __init__(self, listener: socket.socket):
        self.listener, self.clients = listener, {}  # connections by the id of their process

    def serve(self) -> dict | None:
        """In each fork its request; in the server None, when the owner has closed the pipe and all forks are killed."""
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
                    pass  # nobody waits for this process any more

    def _kill_all(self) -> None:
        for pid in self.clients:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(pid, signal.SIGKILL)  # it has no group of its own yet


def _become(become: str, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Call the function `become`, "module:name", with the arguments, in this folder, with this environment."""
    os.setsid()
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    module, _, name = become.partition(":")
    getattr(importlib.import_module(module), name)(arguments)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
