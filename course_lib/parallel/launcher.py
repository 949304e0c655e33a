"""Run a function on several processes at once, from a notebook, a script or a test: `launch(train, data, processes=4)`."""

import atexit
import codecs
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist

from course_lib.parallel import rank as rank_program
from course_lib.parallel.elastic import join
from course_lib.parallel.failures import failure, timed_out
from course_lib.parallel.packing import pack_call, unpack
from course_lib.parallel.processes import CAN_FORK, ForkServer

MOST = 64  # processes on one machine; above it is a slip of the pen
# The second is what the first step of an optimizer, a device mesh and FSDP import: 1.3 s for each rank, if not here.
PRELOADED = ("torch.distributed", "torch._dynamo", rank_program.__name__)
GRACE = 0.5  # seconds in which the others' errors arrive, too, so that the first one is told


def launch(
    function: Callable,
    *args,
    processes: int = 2,
    timeout: float = 60.0,
    seed: int = 0,
    backend: str | None = None,
    check: bool = True,
) -> list:
    """What `function(*args)` returns in each of `processes` new processes, in the order of their ranks.

    In each, torch.distributed is initialized, one thread computes, and the seed is `seed` + rank. The function may be any:
    also one of a notebook's cell, which is sent with the variables that it uses. What the ranks print is printed here, as it
    happens, after their number. At the end, or when this call is interrupted, no process is left.

    `timeout` is in seconds, for all of it. `backend` is "gloo" (CPUs) or "nccl" (a GPU for each process); by itself NCCL where
    there are enough GPUs, see `local_device`. Under `torchrun` the same call joins the processes that stand.

    With `check` the ranks compare each collective's name, shape and type before it runs: unlike ones are an error in place of
    a hang or a wrong number, and nothing overlaps. Go without it to measure, and where ranks send and receive unlike numbers
    of messages before they meet: PyTorch counts those as collectives.

    Raises RankError with the rank's traceback where one fails, RankTimeout with the line where each rank waits, TypeError
    (Unsendable) for what cannot be sent, ValueError for a number of processes or a backend that cannot be.
    """
    if dist.is_torchelastic_launched():
        return _join(function, args, seed, backend)
    job = {"processes": _count(processes), "timeout": _limit(timeout), "seed": seed, "path": sys.path, "check": check}
    job["backend"] = _backend(backend, processes)
    call = pack_call(function, args)
    if dist.is_initialized():
        raise RuntimeError("launch was called inside of a process that takes part in one already. Call it outside.")
    with tempfile.TemporaryDirectory(prefix="ranks-") as name:
        folder = Path(name)
        (folder / "call").write_bytes(call)
        (folder / "job.json").write_text(json.dumps(job), "utf8")
        ranks = []
        try:
            for k in range(processes):
                ranks.append(Rank(folder, k))
            _watch(ranks, time.monotonic() + timeout, timeout)
        finally:
            for one in ranks:
                one.end()
        return [unpack(one.file("result")) for one in ranks]


def local_device() -> torch.device:
    """The device of the rank that asks: its GPU under NCCL, else the CPU."""
    if dist.is_initialized() and "nccl" in dist.get_backend_config():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


class Rank:
    """One of the processes, as its parent sees it."""

    def __init__(self, folder: Path, number: int):
        self.folder, self.number = folder, number
        self._read, self._rest = 0, ""
        self._decoder = codecs.getincrementaldecoder("utf8")("replace")  # a character may arrive in two halves
        self.process = _start([str(folder), str(number)])

    def file(self, kind: str) -> Path:
        """The rank's file of this kind: out, result, error or stack."""
        return self.folder / f"{self.number}.{kind}"

    @property
    def returned(self) -> bool:
        """Whether the function has returned."""
        return self.file("result").exists()

    @property
    def failed(self) -> bool:
        """Whether it has raised an error, or the process has ended without a result."""
        return self.file("error").exists() or self.process.poll() is not None and not self.returned

    def echo(self) -> None:
        """Print what the rank has printed since the last time, whole lines, and of a progress bar the last state."""
        if self.file("out").exists():
            with open(self.file("out"), "rb") as stream:
                stream.seek(self._read)
                new = stream.read()
            self._read += len(new)
            *lines, self._rest = (self._rest + self._decoder.decode(new)).split("\n")
            for line in lines:
                print(f"[{self.number}] {line.rstrip(chr(13)).rpartition(chr(13))[2]}")
            bar = self._rest.rpartition("\r")[2]
            if new and bar != self._rest:
                print(f"\r[{self.number}] {bar}", end="", flush=True)

    def end(self) -> None:
        """End the process, if it still runs, and print the rest of what it has printed."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.echo()
        if self._rest:
            print(f"[{self.number}] {self._rest.rpartition(chr(13))[2]}")


def _watch(ranks: list[Rank], end: float, timeout: float) -> None:
    """Until all ranks have returned, print what they print. Raises RankError as soon as one fails, RankTimeout at the end."""
    failed_at = None
    while not all(one.returned and one.process.poll() is not None for one in ranks):
        for one in ranks:
            one.echo()
        now = time.monotonic()
        if failed_at is None and any(one.failed for one in ranks):
            failed_at = now
        if failed_at is not None and (now > failed_at + GRACE or all(one.process.poll() is not None for one in ranks)):
            raise failure(ranks)
        if now > end:
            raise timed_out(ranks, timeout)
        time.sleep(0.005)


def _start(arguments: list[str]):
    if CAN_FORK:
        return _server(os.getpid()).fork(f"{rank_program.__name__}:main", arguments, os.getcwd(), _environment())
    return subprocess.Popen([sys.executable, "-m", rank_program.__name__, *arguments], env=_environment())


def _environment() -> dict[str, str]:
    """This process's, and the processes talk over the loopback device."""
    return dict(os.environ) | ({"GLOO_SOCKET_IFNAME": "lo"} if CAN_FORK else {})


def _server(owner: int) -> ForkServer:
    """The server of the process `owner`, which is this one; it ends with it. A new one, if it was killed."""
    server = _start_server(owner)
    if server.poll() is not None:
        _start_server.cache_clear()
        server = _start_server(owner)
    return server


@functools.lru_cache(maxsize=1)
def _start_server(owner: int) -> ForkServer:
    quiet = {"TORCH_CPP_LOG_LEVEL": "FATAL"} | os.environ  # what PyTorch logs beside an error stands in the error, too
    server = ForkServer(*PRELOADED, environment=quiet).__enter__()
    atexit.register(server.__exit__)
    return server


def _join(function: Callable, args: tuple, seed: int, backend: str | None) -> list:
    """Be the rank that torchrun has made of this process; every rank gets all results."""
    if not dist.is_initialized():
        join(_backend(backend, int(os.environ["LOCAL_WORLD_SIZE"])))  # GPUs are those of this machine
    if "nccl" in dist.get_backend_config():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.manual_seed(seed + dist.get_rank())
    results = [None] * dist.get_world_size()
    dist.all_gather_object(results, function(*args))
    return results


def _count(processes) -> int:
    if isinstance(processes, bool) or not isinstance(processes, int) or not 1 <= processes <= MOST:
        raise ValueError(f"processes must be a whole number from 1 to {MOST}, got {processes!r}.")
    return processes


def _limit(timeout) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < float("inf"):
        raise ValueError(f"timeout must be a number of seconds above 0, got {timeout!r}.")
    return float(timeout)


def _backend(backend: str | None, processes: int) -> str:
    gpus = torch.cuda.device_count()
    if backend not in (None, "gloo", "nccl"):
        raise ValueError(f"backend must be 'gloo' (CPUs) or 'nccl' (GPUs), got {backend!r}.")
    if backend == "nccl" and processes > gpus:
        raise ValueError(
            f"NCCL needs a GPU for each process: {processes} processes, {gpus} GPUs. Take fewer, or backend='gloo'."
        )
    use_gpus = backend == "nccl" or backend is None and 0 < processes <= gpus
    return "cpu:gloo,cuda:nccl" if use_gpus else "gloo"
