"""Compare a traced formula with PyTorch; have a page, and Triton, its interpreter, and what it makes for a GPU."""

import importlib.util
import math
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from course_lib.backends.names import elements
from course_lib.backends.program import is_exact
from course_lib.backends.trace import trace

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 7.0, 1e-300, -1e300, math.inf, -math.inf, math.nan, 0.1, -3.7]


def draws(*shapes, special=True):
    """Random numbers for each shape; then numbers that are special cases of something."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        yield [3 * torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    for shift in range(len(SPECIAL) if special else 0):
        pool = torch.tensor(SPECIAL[shift:] + SPECIAL[:shift], dtype=torch.float64).repeat(4)
        yield [pool[7 * k : 7 * k + torch.Size(s).numel()].reshape(s) for k, s in enumerate(shapes)]


def _bit_for_bit(program):
    """PyTorch's square root is not always rounded to the nearest: MKL's is one unit in the last place off now and then."""
    return is_exact(program) and all(i.op != "sqrt" for i in program.instructions)


@pytest.fixture(scope="session")
def bit_for_bit():
    """`bit_for_bit(program)`: whether PyTorch itself must give the same numbers."""
    return _bit_for_bit


@pytest.fixture(scope="session")
def check():
    """`check(f, shape, …)` traces f(a, b, …) and compares it with f on other numbers."""
    return _check


def _check(f, *shapes, ulps=2, special=True):
    """Trace f(a, b, …) and compare with PyTorch: bit for bit if the program is exact, else up to `ulps` units in the last place."""
    names = "abcdef"[: len(shapes)]
    program = trace(lambda x: {"y": f(*(x[k] for k in names))}, dict(zip(names, shapes, strict=True)), name="f")
    tolerance = 0.0 if _bit_for_bit(program) and ulps == 2 else ulps * 2.0**-52
    absolute = tolerance if ulps > 2 else 0.0  # these may cancel, as 1 - tanh² does
    for values in draws(*shapes, special=special):
        given = {
            e: v
            for k, x in zip(names, values, strict=True)
            for e, v in zip(elements(k, tuple(x.shape)), x.flatten().tolist(), strict=True)
        }
        want = f(*(x.clone() for x in values)).to(torch.float64).flatten()
        torch.testing.assert_close(
            torch.from_numpy(program(**given)["y"]), want, rtol=tolerance, atol=absolute, equal_nan=True
        )
    return program


@pytest.fixture
def triton_installed(monkeypatch, tmp_path_factory):
    """Triton, with folders of its own for what it generates."""
    if importlib.util.find_spec("triton") is None:
        there = sys.platform == "linux" and platform.machine() == "x86_64"
        give_up = pytest.fail if os.environ.get("CI") == "true" and there else pytest.skip
        give_up("needs Triton: on Linux, pip install -r tests/requirements-triton.txt")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path_factory.getbasetemp() / "kernels"))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "triton"))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


@pytest.fixture
def interpreter(triton_installed, monkeypatch):
    """Triton interprets the kernels of this test. It asks where a kernel is defined, so that other tests of the process may differ."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.fixture
def machine_code(triton_installed, tmp_path):
    """`machine_code(kernel, kinds, size, fused, capability=90)` compiles for such a GPU: the PTX, and what it takes of the chip.

    None is needed: Triton brings NVIDIA's assembler along. `kinds` are those of the arguments that are not "i32".
    """

    def compile(kernel, kinds: dict[str, str], size: int, fused: bool, capability: int = 90):
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        signature = {name: kinds.get(name, "i32") for name in kernel.arg_names} | {"SIZE": "constexpr"}
        source = ASTSource(kernel, signature, {"SIZE": size})
        done = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"enable_fp_fusion": fused})
        (tmp_path / "kernel.cubin").write_bytes(done.asm["cubin"])
        tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        used = subprocess.run(
            [tool, "-res-usage", tmp_path / "kernel.cubin"], capture_output=True, text=True, check=True
        ).stdout
        return done.asm["ptx"], {name: int(n) for name, n in re.findall(r"(REG|STACK|LOCAL|SHARED):(\d+)", used)}

    return compile
