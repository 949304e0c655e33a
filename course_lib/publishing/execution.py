"""Executes notebooks side by side, each in a kernel of its own."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

from course_lib.parallel.processes import CAN_FORK, ForkServer
from course_lib.publishing.kernels import forked_manager, kernel_server


def execute(notebooks: Mapping[Path, NotebookNode], timeout: int) -> Iterator[tuple[Path, str | None]]:
    """Executes notebooks in place, one on each processor; yields each, as soon as it is done, with its failure.

    A notebook runs in its file's folder, and its kernel has this process's environment. The failure says in words which cell
    stopped it, and why; it is None where all cells ran. `timeout` is in seconds, for each cell.
    """
    with ExitStack() as stack:
        fork = CAN_FORK and len(notebooks) > 1  # one alone imports what it needs, and no more
        server = stack.enter_context(kernel_server()) if fork else None
        pool = stack.enter_context(ThreadPoolExecutor(processors()))
        longest_first = sorted(notebooks, key=lambda path: len(code_cells(notebooks[path])), reverse=True)
        managers = {path: _manager(notebooks[path], server) for path in longest_first}
        running = {pool.submit(_execute, p, notebooks[p], timeout, managers[p]): p for p in longest_first}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:  # when it is interrupted, some still run
            for future in running:
                future.cancel()
            for manager in managers.values():
                if manager.has_kernel:
                    manager.provisioner.process.kill()


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _manager(notebook: NotebookNode, server: ForkServer | None) -> AsyncKernelManager:
    name = notebook.metadata.kernelspec.name
    return forked_manager(server, name) if server else AsyncKernelManager(kernel_name=name)


def _execute(path: Path, notebook: NotebookNode, timeout: int, manager: AsyncKernelManager) -> str | None:
    begun = []
    client = NotebookClient(
        notebook,
        manager,
        timeout=timeout,
        shutdown_kernel="immediate",
        coalesce_streams=True,  # else a line is now and then cut where the kernel happened to flush it
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=lambda cell, cell_index: begun.append(cell),
    )
    client.owns_km = True  # it ends the kernel, though it did not make the manager
    try:
        asyncio.run(client.async_execute())
    except CellExecutionError as error:
        return _failure(notebook, begun, f"{error.ename}: {error.evalue}")
    except CellTimeoutError:
        return _failure(notebook, begun, f"It took longer than {timeout} seconds.")
    except (
        Exception
    ) as error:  # its kernel died, or did not start: the other notebooks go on, and the caller hears of it
        return _failure(notebook, begun, f"{type(error).__name__}: {error}")
    return None


def _failure(notebook: NotebookNode, begun: list[NotebookNode], why: str) -> str:
    codes = code_cells(notebook)
    numbers = [number for number, cell in enumerate(codes, 1) if begun and cell is begun[-1]]
    if not numbers:
        return f"the kernel did not start.\n\n{why}"
    source = "\n".join(f"    {line}" for line in begun[-1].source.splitlines())
    return f"code cell {numbers[0]} of {len(codes)} does not run.\n\n{source}\n\n{why}"
