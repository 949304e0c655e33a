"""What one of the processes does that `launch` starts: it joins the others, calls the function, leaves the result or the error.

Files of the folder that parent and ranks share: job.json and call from the parent; from rank k: k.out (what it prints), k.result or
k.error, and k.stack (where it is, when it is asked).
"""

import datetime
import faulthandler
import functools
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import distributed as ddp

from course_lib.parallel.packing import pack, unpack

# A rank shows where it is when it gets this signal, also while it waits inside of PyTorch.
WHERE = getattr(signal, "SIGUSR1", None)


def main(arguments: list[str]) -> None:
    """Be rank `arguments[1]` of the job in the folder `arguments[0]`, to the end of this process."""
    folder, rank = Path(arguments[0]), int(arguments[1])
    job = json.loads((folder / "job.json").read_text("utf8"))
    sys.path[:] = job["path"]
    _print_into(folder / f"{rank}.out")
    if WHERE:
        faulthandler.register(WHERE, open(folder / f"{rank}.stack", "w"), all_threads=False)
    try:
        _work(folder, rank, job)
    except BaseException as error:  # also sys.exit() in the function: the parent shall say so
        _leave(folder / f"{rank}.error", pack({"time": time.time(), "chain": _chain(error)}))
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a fork of the server has nothing of its own to clean up, and gloo's threads may wait for others


def _work(folder: Path, rank: int, job: dict) -> None:
    processes, nccl = job["processes"], "nccl" in job["backend"]
    torch.set_num_threads(1)
    torch.manual_seed(job["seed"] + rank)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes))
    if nccl:
        torch.cuda.set_device(rank)
    store = dist.FileStore(str(folder / "store"), processes)  # no port, so none that is in use
    limit = datetime.timedelta(seconds=job["timeout"] + 60)  # the parent's limit comes first: it says more
    usual = dist.get_debug_level()
    if job["check"]:
        dist.set_debug_level(dist.DebugLevel.DETAIL)
    dist.init_process_group(job["backend"], store=store, rank=rank, world_size=processes, timeout=limit)
    dist.set_debug_level(usual)
    if job[
        "check"
    ]:  # a group that checks makes DistributedDataParallel crash (PyTorch 2.13): it gets one that does not
        ddp._get_default_group = functools.cache(dist.new_group)
    function, args = unpack(folder / "call")
    result = function(*args)
    _leave(folder / f"{rank}.result", pack(result))
    store.add("returned", 1)
    while store.add("returned", 0) < processes:  # who leaves early closes connections that others still read from
        time.sleep(0.002)


def _leave(file: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    part = file.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, file)


def _print_into(file: Path) -> None:
    """Send what this process prints, PyTorch's own messages included, into a file, line by line."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(descriptor, number)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf8", errors="replace", line_buffering=True)


def _chain(error: BaseException) -> list[dict]:
    """An error and those it came from, the last one first: what it says, and its frames below this file's."""
    chain = []
    while error is not None:
        frames = [(f.filename, f.lineno, f.name) for f in traceback.extract_tb(error.__traceback__)]
        frames = [frame for frame in frames if frame[0] != __file__]
        chain.append({"says": "".join(traceback.format_exception_only(error)).strip(), "frames": frames})
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return chain


if __name__ == "__main__":
    main(sys.argv[1:])
