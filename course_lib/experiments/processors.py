"""What a processor does: matrix products, a convolution, a layer over its batch, copies and an optimizer's step, timed.

python -m course_lib.experiments.processors                  the CPU: with one thread, and with all
python -m course_lib.experiments.processors --device cuda    a GPU: in float32, TF32 and bf16

Each prints a table and writes its record, whose seeds are repeats and whose outcomes are seconds of one call. `--out` names
the file; without it the record is the course's own.
"""

import argparse
import contextlib
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from course_lib.experiments.records import FOLDER, Record, provenance
from course_lib.experiments.settings import whole_number
from course_lib.formulas.roofline import convolution_operations, product_operations

PROCESSORS = FOLDER / "processors"
KINDS = ("cpu", "cuda")
WIDTH = 4096  # inputs and outputs of the fully connected layer
MAPS = {"inputs": 64, "outputs": 64, "kernel": 3, "height": 56, "width": 56}  # ResNet's second stage
TENSORS = 160  # of a network's weights, about as many as ResNet-50 has
OPTIMIZERS = {"a loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
SIZES = {
    "cpu": {
        "product": [32, 64, 128, 256, 512, 1024, 2048],
        "layer": [1, 2, 4, 8, 16, 32, 64, 128, 256],
        "convolution": [1, 2, 4, 8, 16, 32],
        "copy": [2**k for k in range(14, 29, 2)],
        "adam": [1_000, 100_000],
    },
    "cuda": {
        "product": [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384],
        "layer": [2**k for k in range(13)],
        "convolution": [1, 2, 4, 8, 16, 32, 64, 128, 256],
        "copy": [2**k for k in range(14, 33, 2)],
        "adam": [1_000, 100_000],
        "to_device": [2**k for k in range(12, 29, 2)],
    },
}
MOST_CALLS = 2000


@dataclass(frozen=True)
class Way:
    """How a processor computes: with so many threads, in this type, with or without TF32."""

    name: str
    threads: int | None = None
    dtype: torch.dtype = torch.float32
    tf32: bool = False


def ways(kind: str) -> list[Way]:
    """The ways that are compared on a kind of device; the last one is the fastest."""
    if kind == "cuda":
        return [Way("float32"), Way("TF32", tf32=True), Way("bf16", dtype=torch.bfloat16)]
    cores = torch.get_num_threads()
    return [Way("1 thread", 1), *([Way(f"{cores} threads", cores)] if cores > 1 else [])]


@contextlib.contextmanager
def working(way: Way) -> Iterator[None]:
    """Compute in this way, and afterward as before."""
    threads, backends = torch.get_num_threads(), (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [] if way.threads else [b.fp32_precision for b in backends]  # asked of a GPU alone: PyTorch 2.9 has it
    if way.threads:
        torch.set_num_threads(way.threads)
    else:
        _set_precision(["tf32" if way.tf32 else "ieee"] * len(backends))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if not way.threads:
            _set_precision(before)


def _set_precision(words: list[str]) -> None:
    torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision = words


# A clock


def seconds(work: Callable[[], object], device: str, repeats: int, least: float = 0.02) -> list[float]:
    """Seconds of one call of `work`, `repeats` times, each the mean over as many calls as take `least` seconds.

    What comes first, such as loading a kernel, is not timed. On a GPU its own clock counts: calls only queue work there.
    """
    clock = _events if device == "cuda" else _wall
    for _ in range(3):
        work()
    calls = max(1, min(MOST_CALLS, math.ceil(least / max(clock(work, 3), 1e-9))))
    return [clock(work, calls) for _ in range(repeats)]


def _wall(work: Callable[[], object], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - begin) / calls


def _events(work: Callable[[], object], calls: int) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    for _ in range(calls):
        work()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1000 / calls


# What is timed: each gives a function to call, on tensors of a size


def product(n: int, device: str, dtype: torch.dtype) -> Callable[[], object]:
    """A product of two (n, n) matrices."""
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return lambda: a @ b


def layer(batch: int, device: str, dtype: torch.dtype) -> Callable[[], object]:
    """A fully connected layer of WIDTH inputs and outputs, for a batch."""
    x = torch.randn(batch, WIDTH, device=device, dtype=dtype)
    w = torch.randn(WIDTH, WIDTH, device=device, dtype=dtype)
    return lambda: x @ w


def convolution(
    batch: int, device: str, dtype: torch.dtype, form: torch.memory_format = torch.contiguous_format
) -> Callable[[], object]:
    """A convolution of MAPS, padded to keep their size."""
    x = torch.randn(batch, MAPS["inputs"], MAPS["height"], MAPS["width"], device=device, dtype=dtype)
    w = torch.randn(MAPS["outputs"], MAPS["inputs"], MAPS["kernel"], MAPS["kernel"], device=device, dtype=dtype)
    x, w = x.to(memory_format=form), w.to(memory_format=form)
    return lambda: torch.nn.functional.conv2d(x, w, padding=MAPS["kernel"] // 2)


def channels_last(batch: int, device: str, dtype: torch.dtype) -> Callable[[], object]:
    """The same convolution with the channels of a pixel side by side in memory."""
    return convolution(batch, device, dtype, torch.channels_last)


def copy(size: int, device: str) -> Callable[[], object]:
    """A copy of `size` bytes within the device, which moves twice as many: read and written."""
    a, b = (torch.zeros(size // 4, device=device) for _ in range(2))
    return lambda: b.copy_(a)


def adam(size: int, device: str, **how) -> Callable[[], object]:
    """PyTorch's step of Adam for TENSORS tensors of `size` weights."""
    weights = [torch.zeros(size, device=device, requires_grad=True) for _ in range(TENSORS)]
    for w in weights:
        w.grad = torch.full_like(w, 0.01)
    return torch.optim.Adam(weights, **how).step


def to_device(size: int, pinned: bool) -> Callable[[], object]:
    """A copy of `size` bytes from the host's memory to the GPU's."""
    host, there = torch.zeros(size // 4, pin_memory=pinned), torch.empty(size // 4, device="cuda")
    return lambda: there.copy_(host, non_blocking=pinned)


# All of it


def measure(
    device: str = "cpu", *, sizes: dict[str, list[int]] | None = None, repeats: int = 5, least: float = 0.02
) -> Record:
    """Time everything on a device: a record whose seeds are repeats.

    `product`, `layer`, `convolution` and `channels_last` have the shape (repeats, ways, sizes), `copy` (repeats, sizes), `adam`
    (repeats, sizes, OPTIMIZERS), `launch` (repeats, 2): a sum of two numbers, many in a row, and one that is waited for. On a GPU
    `to_device` (repeats, 2, sizes) from memory as it is and pinned, and `unsynchronized` (repeats, 2): what the host's clock says of
    the largest product without waiting, and with. Raises ValueError for a device that is none of KINDS, RuntimeError for one that
    is not there.
    """
    if device not in KINDS:
        raise ValueError(f"device must be one of {', '.join(KINDS)}, got {device!r}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("PyTorch sees no GPU here. Measure device='cpu', or install PyTorch for CUDA.")
    repeats = whole_number("repeats", repeats, 1)
    chosen, begin = SIZES[device] | (sizes or {}), time.perf_counter()
    if unknown := set(chosen) - set(SIZES[device]):
        raise ValueError(f"Nothing named {min(unknown)} is timed on {device}. There are: {', '.join(SIZES[device])}.")
    timed = lambda work: seconds(work, device, repeats, least)
    found: dict[str, list] = {"product": [], "layer": [], "convolution": [], "channels_last": []}
    for way in ways(device):
        with working(way):
            for name, make in (("product", product), ("layer", layer), ("convolution", convolution), ("channels_last", channels_last)):  # fmt: skip
                every = chosen["convolution" if name == "channels_last" else name]
                found[name].append([timed(make(size, device, way.dtype)) for size in every])
    found["copy"] = [timed(copy(size, device)) for size in chosen["copy"]]
    found["adam"] = [[timed(adam(size, device, **how)) for how in OPTIMIZERS.values()] for size in chosen["adam"]]
    found["launch"] = launches(device, repeats, least)
    if device == "cuda":
        pairs = [[timed(to_device(size, pinned)) for size in chosen["to_device"]] for pinned in (False, True)]
        found |= {"to_device": pairs, "unsynchronized": unsynchronized(chosen["product"][-1], repeats)}
    settings = {"ways": [way.name for way in ways(device)], "sizes": chosen, "repeats": repeats}
    outcomes = {name: torch.tensor(times, dtype=torch.float64).movedim(-1, 0) for name, times in found.items()}
    made = provenance(time.perf_counter() - begin) | {"device": device_name(device)}
    return Record(device, list(range(repeats)), settings, made, outcomes)


def launches(device: str, repeats: int, least: float) -> list[list[float]]:
    """Seconds for a sum of two numbers: (2, repeats), many in a row, and one that is waited for."""
    x = torch.zeros(1, device=device)
    row = seconds(lambda: x.add_(1), device, repeats, least)
    return [row, seconds(lambda: x.add_(1).item(), "cpu", repeats, least)]


def unsynchronized(n: int, repeats: int) -> list[list[float]]:
    """What the host's clock says of a product of (n, n) matrices on the GPU, (2, repeats): without waiting, and with."""
    work = product(n, "cuda", torch.float32)
    work()
    times: list[list[float]] = [[], []]
    for waits, row in enumerate(times):
        for _ in range(repeats):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            work()
            if waits:
                torch.cuda.synchronize()
            row.append(time.perf_counter() - begin)
    torch.cuda.synchronize()
    return times


def device_name(device: str) -> str:
    """What the machine calls its processor: `NVIDIA H100 80GB HBM3`, or a CPU with its number of cores."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def processors(folder: Path | None = None) -> dict[str, Record]:
    """The records of processors by kind: `cpu`, and `cuda` where a GPU was measured."""
    files = [(folder or PROCESSORS) / f"{kind}.json" for kind in KINDS]
    return {file.stem: Record.read(file) for file in files if file.is_file()}


def operations(name: str, sizes: list[int]) -> torch.Tensor:
    """The operations of what is timed under this name, for each size."""
    of = {
        "product": lambda n: product_operations(n, n, n),
        "layer": lambda batch: product_operations(batch, WIDTH, WIDTH),
        "convolution": lambda batch: convolution_operations(batch, **MAPS),
    }["convolution" if name == "channels_last" else name]
    return torch.tensor([of(size) for size in sizes], dtype=torch.float64)


def rates(record: Record, name: str) -> torch.Tensor:
    """Operations a second, (repeats, ways, sizes), of what was timed under this name; for `copy` bytes a second, (repeats, sizes)."""
    sizes = record.settings["sizes"]["convolution" if name == "channels_last" else name]
    if name == "copy":
        return 2 * torch.tensor(sizes, dtype=torch.float64) / record[name]
    return operations(name, sizes) / record[name]


def table(record: Record) -> list[str]:
    """Lines with the median rate of everything, for a terminal."""
    lines = [f"{record.made['device']}, PyTorch {record.made['torch']}, {len(record.seeds)} repeats"]
    for name in ("product", "layer", "convolution", "channels_last"):
        sizes = record.settings["sizes"]["convolution" if name == "channels_last" else name]
        for way, row in zip(record.settings["ways"], rates(record, name).median(0).values, strict=True):
            cells = " ".join(f"{size}: {x / 1e9:.4g}" for size, x in zip(sizes, row.tolist(), strict=True))
            lines.append(f"{name:13} {way:10} Gop/s  {cells}")
    copied = zip(record.settings["sizes"]["copy"], rates(record, "copy").median(0).values.tolist(), strict=True)
    lines.append("copy          GB/s   " + " ".join(f"{size}: {x / 1e9:.4g}" for size, x in copied))
    for name in ("adam", "launch", "to_device", "unsynchronized"):
        if name in record.outcomes:
            lines.append(f"{name:13} seconds {[[float(f'{x:.3g}') for x in row] if isinstance(row, list) else float(f'{row:.3g}') for row in record[name].median(0).values.tolist()]}")  # fmt: skip
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Measure a device, print its table, and write its record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=KINDS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="the file that the record is written to")
    given = parser.parse_args(arguments)
    record = measure(given.device, repeats=given.repeats)
    print(*table(record), sep="\n")
    target = (given.out or PROCESSORS / given.device).with_suffix(".json")
    target.parent.mkdir(parents=True, exist_ok=True)
    replace(record, name=target.stem).write(target.parent)


if __name__ == "__main__":
    main()
