"""New processes that have PyTorch already imported: a fork of a server that imported it takes milliseconds, the import seconds.

The server is a process of its own, never a fork of a notebook's kernel, whose threads and GPU would not survive that.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

# On macOS a fork after the import of PyTorch may crash inside Apple's own libraries; Windows has no fork.
CAN_FORK = sys.platform == "linux"


class ForkedProcess:
    """A process that the server forked, with what matters of a subprocess.Popen."""

    stdin = stdout = stderr = None  # the server's

    def __init__(self, connection: socket.socket):
        self._connection, self._code = connection, None
        if (pid := self._number()) is None:
            raise RuntimeError("The process that others are forked from has ended. What it said stands above.")
        self.pid = pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while the process runs."""
        if self._code is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self._code

    def wait(self) -> int:
        """The exit code, when the process has ended."""
        if self._code is None:
            code = self._number()
            self._code = -signal.SIGKILL if code is None else code  # without a word, the server was ended
            self._connection.close()
        return self._code

    def send_signal(self, number: int) -> None:
        """Sends a signal to the process alone."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends the process at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Asks the process to end."""
        self.send_signal(signal.SIGTERM)

    def _number(self) -> int | None:
        line = b""
        while not line.endswith(b"\n"):
            if not (more := self._connection.recv(1)):  # a byte at a time: what follows is the next answer
                return None
            line += more
        return int(line)


class ForkServer:
    """The process that others are forked from, with these modules imported. In a `with`: at the end all its forks are gone, too."""

    def __init__(self, *modules: str, environment: dict[str, str] | None = None):
        self.modules, self.environment = modules, environment

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="forks-")
        self._address = str(Path(self._folder.name) / "socket")
        with socket.socket(socket.AF_UNIX) as listener:  # from now on requests wait, while the server imports
            listener.bind(self._address)
            listener.listen()
            descriptor = listener.fileno()
            command = [sys.executable, "-m", "course_lib.parallel.fork_server", str(descriptor), *self.modules]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=[descriptor], start_new_session=True, env=self.environment
            )
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        return self._process.pid

    def poll(self) -> int | None:
        """The server's exit code, or None while it runs."""
        return self._process.poll()

    def fork(self, become: str, arguments: list[str], folder: str | Path, environment: dict[str, str]) -> ForkedProcess:
        """Starts a process that calls the function `become`, "module:name", with the list of arguments, in this folder, with
        this environment.

        Raises RuntimeError or OSError if the server has ended.
        """
        request = {"become": become, "arguments": arguments, "folder": str(folder), "environment": environment}
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self._address)
            connection.sendall(json.dumps(request).encode() + b"\n")
            return ForkedProcess(connection)
        except BaseException:
            connection.close()
            raise
