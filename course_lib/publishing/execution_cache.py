"""Which executed pages may be reused: only those that ran with these very sources and package versions. All others run side by side."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

PATTERNS = (
    "requirements.txt",
    "course_lib/**/*.py",
    "course_lib/**/*.js",
    "course_lib/**/*.css",
    "course_lib/**/*.mplstyle",
    "course_lib/**/*.json",
)


def cache_key(root: Path) -> str:
    """16 hexadecimal digits that change with the library's sources and with requirements.txt in the folder `root`.

    jupyter-cache looks at a notebook's cells alone, so a changed library would leave old outputs in the book.
    """
    digest = hashlib.sha256()
    for pattern in PATTERNS:
        for file in sorted(root.glob(pattern)):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def execute_stale(cache_path: Path, notebooks: Sequence[Path], timeout: int) -> None:
    """Execute those notebooks that the cache does not hold, one on each processor, and put their outputs into it.

    Sphinx, left alone, executes them one after the other as it reads them. A notebook that raises is not put into the cache:
    Sphinx executes it once more and reports the error with its place. `timeout` is in seconds, for each cell.
    """
    cache = get_cache(cache_path)
    for path in notebooks:
        cache.add_nb_to_project(str(path))
    quiet = logging.getLogger(__name__)
    quiet.setLevel(logging.WARNING)  # its processes would otherwise tell of their end
    load_executor("local-parallel", cache, logger=quiet).run_and_cache(
        filter_uris=[str(path) for path in notebooks], timeout=timeout
    )
