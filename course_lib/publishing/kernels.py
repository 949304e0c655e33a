"""Kernels that start from one process which has imported PyTorch: a fork takes milliseconds, the imports take seconds.

Only the book's build and the tests use them. A reader's own Jupyter starts its kernels as it always does.
"""

import os
import sys
import uuid
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

from course_lib.parallel.processes import ForkServer

LAUNCHER = "ipykernel_launcher"
BACKEND = "module://matplotlib_inline.backend_inline"  # what ipykernel sets before a page imports matplotlib
# Nothing here starts a thread, asks for a GPU or looks for IPython when it is imported: that would not survive a fork,
# or would find the server in place of the kernel.
PRELOADED = (
    "torch",
    "torch.func",
    "torch.fx.experimental.proxy_tensor",
    "torch._dynamo",  # which each optimizer imports
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "sklearn.datasets",
    "numba",
    "tqdm",
    "ipykernel.kernelapp",
    __name__,
)


def kernel_server() -> ForkServer:
    """The server that kernels are forked from, for a `with`."""
    return ForkServer(*PRELOADED, environment={"MPLBACKEND": BACKEND} | os.environ)


def become_a_kernel(arguments: list[str]) -> None:
    """What `python -m ipykernel_launcher ARGUMENTS` would do, in a fork."""
    from ipykernel.kernelapp import IPKernelApp
    from numpy import random

    random.seed()  # else all kernels would draw the same numbers; Python's and torch's see to theirs
    arguments = [*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"]  # it ends itself when the server is gone
    sys.argv = ["ipykernel_launcher", *arguments]
    IPKernelApp.launch_instance(argv=arguments)


class ForkedProvisioner(LocalProvisioner):
    """Gives a KernelManager a forked kernel where it asks for this very Python, any other kernel as always."""

    def __init__(self, server: ForkServer, **options):
        super().__init__(**options)
        self._server = server

    async def launch_kernel(self, cmd: list[str], **options) -> KernelConnectionInfo:
        """Starts the kernel (KernelManager calls it)."""
        if cmd[0] != sys.executable or LAUNCHER not in cmd:
            return await super().launch_kernel(cmd, **options)
        self.cwd = options.get("cwd") or Path.cwd()
        arguments = cmd[cmd.index(LAUNCHER) + 1 :]
        self.process = self._server.fork(f"{__name__}:become_a_kernel", arguments, self.cwd, options["env"])
        self.pid = self.pgid = self.process.pid  # each is the first of its own group
        return self.connection_info


def forked_manager(server: ForkServer, kernel_name: str = "python3") -> AsyncKernelManager:
    """A manager whose kernel is forked from `server`; everything else is Jupyter's own."""
    manager = AsyncKernelManager(kernel_name=kernel_name, kernel_id=str(uuid.uuid4()))
    manager.provisioner = ForkedProvisioner(
        server, kernel_id=manager.kernel_id, kernel_spec=manager.kernel_spec, parent=manager
    )
    return manager
