"""How long a build of the book takes: from a fresh copy of the sources, and again with nothing changed."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import Row

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(
    ".venv", "_build", "build", ".git", "*.egg-info", "__pycache__", ".pytest_cache", ".hypothesis", "node_modules"
)


def make_book(folder: Path) -> float:
    """Seconds that `make book` takes in `folder`. Raises CalledProcessError where it fails."""
    start = time.perf_counter()
    done = subprocess.run(
        ["make", "book", f"PYTHON={sys.executable}"], cwd=folder, capture_output=True, text=True, timeout=1800
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
    return time.perf_counter() - start


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "course"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        first, second = make_book(copy), make_book(copy)
    return [
        Row(
            "make book, fresh copy",
            first,
            "s",
            at_most=180,
            note="environment, execution of all pages and HTML; packages from pip's cache",
        ),
        Row("make book, nothing changed", second, "s", at_most=15, note="the same folder once more"),
    ]
