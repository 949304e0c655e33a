"""A kernel that is forked is a kernel: it runs, is interrupted, dies and ends as any other, and nothing of it is left behind."""

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from course_lib.parallel.processes import CAN_FORK
from course_lib.publishing.execution import execute
from course_lib.publishing.kernels import forked_manager, kernel_server

PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}
pytestmark = pytest.mark.skipif(not CAN_FORK, reason="forks kernels on Linux alone")


def notebook(*sources: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": PYTHON})


@pytest.fixture(scope="module")
def server():
    with kernel_server() as server:
        yield server


@pytest.fixture
def run(server, tmp_path):
    """`run(*sources, **options)` executes cells in a forked kernel: their texts; the options are NotebookClient's."""

    def run(*sources, **options) -> list[str]:
        book, resources = notebook(*sources), {"metadata": {"path": str(tmp_path)}}
        client = NotebookClient(book, forked_manager(server), resources=resources, **{"timeout": 100} | options)
        client.owns_km = True
        run_apart(client.async_execute())
        return ["".join(output.get("text", "") for output in cell.outputs) for cell in book.cells]

    return run


def run_apart(coroutine):
    """What a coroutine returns, run in a thread of its own: a browser of another test may keep a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and that its parent has not asked for yet does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_is_a_kernel_with_pytorch_already_there(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_TEST", "its own")
    here, torch, variable, name, shell = run(
        "import os, sys; print(os.getcwd())",
        "print('torch' in sys.modules)",
        "print(os.environ['COURSE_TEST'])",
        "print(__name__, get_ipython().__class__.__name__)",
        "!echo from a shell",
    )
    assert [here, torch, variable] == [f"{tmp_path}\n", "True\n", "its own\n"]
    assert (name, shell.strip()) == ("__main__ ZMQInteractiveShell\n", "from a shell")


def test_kernels_share_nothing(run):
    ask = "import numpy, os, random, torch; print(os.getpid(), numpy.random.rand(), random.random(), 'x' in globals()); x = 1"
    (first,), (second,) = run(ask), run(ask)
    assert [a for a, b in zip(first.split()[:3], second.split()[:3], strict=True) if a == b] == []
    assert first.split()[3] == second.split()[3] == "False"


def test_threads_of_pytorch_and_numba_start_in_a_kernel(run):
    """What a fork breaks: a pool of threads that the server had started."""
    torch, numba = run(
        "import torch; torch.set_num_threads(2); x = torch.ones(400, 400); print((x @ x).sum().item())",
        """\
import numba, numpy
@numba.njit(parallel=True)
def total(x):
    s = 0.0
    for k in numba.prange(x.size):
        s += x[k]
    return s
print(total(numpy.ones(100_000)))""",
    )
    assert (torch, numba) == ("64000000.0\n", "100000.0\n")


def test_plots_and_figures_are_shown(server):
    book = notebook("import matplotlib.pyplot as plt; plt.plot([1, 2]);", "import ipywidgets; ipywidgets.IntSlider()")
    client = NotebookClient(book, forked_manager(server), timeout=100)
    client.owns_km = True
    run_apart(client.async_execute())
    plot, widget = (cell.outputs[-1].data for cell in book.cells)
    assert "image/png" in plot and "application/vnd.jupyter.widget-view+json" in widget


def test_a_kernel_that_dies_is_reported(run):
    with pytest.raises(DeadKernelError):
        run("import os; os._exit(3)")


def test_a_kernel_is_interrupted(run):
    slow = "import time\ntry:\n    time.sleep(100)\nexcept KeyboardInterrupt:\n    print('interrupted')"
    assert run(slow, "print('goes on')", timeout=3, interrupt_on_timeout=True) == ["interrupted\n", "goes on\n"]


def test_exit_codes_and_signals(server, tmp_path):
    manager = forked_manager(server)

    async def codes():
        await manager.start_kernel(cwd=str(tmp_path))
        process = manager.provisioner.process
        assert process.poll() is None and await manager.is_alive()
        process.terminate()
        code = await manager.provisioner.wait()
        await manager.cleanup_resources()
        return process.pid, code

    pid, code = run_apart(codes())
    assert code in (0, -signal.SIGTERM) and not is_alive(pid)


def test_the_server_takes_its_kernels_and_their_processes_along(tmp_path):
    with kernel_server() as server:
        manager = forked_manager(server)
        run_apart(manager.start_kernel(cwd=str(tmp_path)))
        pids = [manager.provisioner.pid, server._process.pid]
        assert list(map(is_alive, pids)) == [True, True]
    wait_until(lambda: not any(map(is_alive, pids)))
    assert manager.provisioner.process.poll() == -signal.SIGKILL
    run_apart(manager.cleanup_resources())


def test_a_server_that_died_is_an_error_not_a_wait(tmp_path):
    with kernel_server() as server:
        server._process.kill()
        server._process.wait()
        with pytest.raises((RuntimeError, OSError)):
            server.fork("", [], tmp_path, {})


def test_notebooks_of_which_some_fail(tmp_path):
    notebooks = {
        tmp_path / "good.ipynb": notebook("print(6 * 7)"),
        tmp_path / "raises.ipynb": notebook("x = 1", "y = 2\nx / 0", "print('not reached')"),
        tmp_path / "slow.ipynb": notebook("import time; time.sleep(100)"),
        tmp_path / "dies.ipynb": notebook("import os; os._exit(1)"),
    }
    failures = {path.stem: failure for path, failure in execute(notebooks, timeout=5)}
    assert failures["good"] is None
    assert notebooks[tmp_path / "good.ipynb"].cells[0].outputs[0].text == "42\n"
    assert failures["raises"] == (
        "code cell 2 of 3 does not run.\n\n    y = 2\n    x / 0\n\nZeroDivisionError: division by zero"
    )
    assert failures["slow"].endswith("It took longer than 5 seconds.")
    assert "code cell 1 of 1" in failures["dies"] and "DeadKernelError" in failures["dies"]
