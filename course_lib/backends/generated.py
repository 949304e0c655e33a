"""Generated source code on the disk: Numba and Triton want a file behind a function, and keep machine code for it.

    >>> load(source(loop, "float32", path=True), "numba")
    <function run at …>

Each machine has a folder of its own, with a file for each text.
"""

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


@functools.cache
def load(text: str, machine: str) -> Callable:
    """The function `run` of a generated text, imported from its file in the machine's folder, which is written where it is missing.

    Any number of processes may do that at once. Raises OSError where the disk is full.
    """
    name = f"run_{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    file = folder(machine) / f"{name}.py"
    if not file.exists() or file.read_text("utf8") != text:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".tmp", delete=False, encoding="utf8") as new:
            new.write(text)
        os.replace(new.name, file)  # at once: another process may be reading
    spec = importlib.util.spec_from_file_location(name, file)
    sys.modules[name] = module = importlib.util.module_from_spec(
        spec
    )  # by this name the machine code finds its module again
    spec.loader.exec_module(module)
    return module.run


def folder(machine: str) -> Path:
    """Where the generated code for "numba" or "triton" lies: in $COURSE_CACHE or with the user's other caches.

    Where nothing can be written there, it is a temporary folder, which ends with this process.
    """
    kept = _cache() / machine
    try:
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=kept):
            return kept
    except OSError:
        brief = Path(_temporary().name) / machine
        brief.mkdir(exist_ok=True)
        return brief


def _cache() -> Path:
    if chosen := os.environ.get("COURSE_CACHE"):
        return Path(chosen)
    from numba.misc.appdirs import user_cache_dir  # slow to import

    usual = Path(user_cache_dir("course_lib"))
    return usual if usual.is_absolute() else Path.home() / ".cache" / "course_lib"  # an empty XDG_CACHE_HOME means none


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="course_lib_")
