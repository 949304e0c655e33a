"""Which executed pages may be reused: only those that ran with these very sources and package versions."""

import hashlib
from pathlib import Path

PATTERNS = ("requirements.txt", "course_lib/**/*.py", "course_lib/**/*.js", "course_lib/**/*.css", "course_lib/**/*.mplstyle")


def cache_key(root: Path) -> str:
    """16 hexadecimal digits that change with the library's sources and with requirements.txt in the folder `root`.

    jupyter-cache looks at a notebook's cells alone, so a changed library would leave old outputs in the book.
    """
    digest = hashlib.sha256()
    for pattern in PATTERNS:
        for file in sorted(root.glob(pattern)):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
