"""Kernels that start from one process which has imported PyTorch: a fork takes milliseconds, the imports take seconds.

Only the book's build and the tests use them. A reader's own Jupyter starts its kernels as it always does.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

LAUNCHER = "ipykernel_launcher"
# On macOS a fork after the import of PyTorch may crash inside Apple's own libraries; Windows has no fork.
CAN_FORK = sys.platform == "linux"


class ForkedKernel:
    """A kernel that the server forked, with what LocalProvisioner asks of a subprocess.Popen."""

    stdin = stdout = stderr = None  # the server's

    def __init__(self, connection: socket.socket):
        self._connection, self._code = connection, None
        if (pid := self._number()) is None:
            raise RuntimeError("The process that kernels are forked from has ended. What it said stands above.")
        self.pid = pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while the kernel runs."""
        if self._code is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self._code

    def wait(self) -> int:
        """The exit code, when the kernel has ended."""
        if self._code is None:
            code = self._number()
            self._code = -signal.SIGKILL if code is None else code  # without a word, the server was ended
            self._connection.close()
        return self._code

    def send_signal(self, number: int) -> None:
        """Sends a signal to the kernel alone."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends the kernel at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Asks the kernel to end."""
        self.send_signal(signal.SIGTERM)

    def _number(self) -> int | None:
        line = b""
        while not line.endswith(b"\n"):
            if not (more := self._connection.recv(1)):  # a byte at a time: what follows is the next answer
                return None
            line += more
        return int(line)


class KernelServer:
    """The process that kernels are forked from. Use it in a `with`: at the end all its kernels are gone, too."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="kernels-")
        self._address = str(Path(self._folder.name) / "socket")
        with socket.socket(socket.AF_UNIX) as listener:  # from now on requests wait, while the server imports
            listener.bind(self._address)
            listener.listen()
            descriptor = listener.fileno()
            command = [sys.executable, "-m", "course_lib.publishing.kernel_server", str(descriptor)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=[descriptor], start_new_session=True
            )
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()

    def fork(self, arguments: list[str], folder: str, environment: dict[str, str]) -> ForkedKernel:
        """Starts what `python -m ipykernel_launcher ARGUMENTS` would in this folder, with this environment.

        Raises RuntimeError or OSError if the server has ended.
        """
        request = {"arguments": arguments, "folder": str(folder), "environment": environment}
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self._address)
            connection.sendall(json.dumps(request).encode() + b"\n")
            return ForkedKernel(connection)
        except BaseException:
            connection.close()
            raise


class ForkedProvisioner(LocalProvisioner):
    """Gives a KernelManager a forked kernel where it asks for this very Python, any other kernel as always."""

    def __init__(self, server: KernelServer, **options):
        super().__init__(**options)
        self._server = server

    async def launch_kernel(self, cmd: list[str], **options) -> KernelConnectionInfo:
        """Starts the kernel (KernelManager calls it)."""
        if cmd[0] != sys.executable or LAUNCHER not in cmd:
            return await super().launch_kernel(cmd, **options)
        self.cwd = options.get("cwd") or Path.cwd()
        self.process = self._server.fork(cmd[cmd.index(LAUNCHER) + 1 :], self.cwd, options["env"])
        self.pid = self.pgid = self.process.pid  # each is the first of its own group
        return self.connection_info


def forked_manager(server: KernelServer, kernel_name: str = "python3") -> AsyncKernelManager:
    """A manager whose kernel is forked from `server`; everything else is Jupyter's own."""
    manager = AsyncKernelManager(kernel_name=kernel_name, kernel_id=str(uuid.uuid4()))
    manager.provisioner = ForkedProvisioner(
        server, kernel_id=manager.kernel_id, kernel_spec=manager.kernel_spec, parent=manager
    )
    return manager
