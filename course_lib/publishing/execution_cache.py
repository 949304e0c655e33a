"""Executed pages that may be reused: those that ran without an error, with these very sources and package versions."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_lib.publishing.execution import code_cells, execute

PATTERNS = (
    "requirements.txt",
    "course_lib/**/*.py",
    "course_lib/**/*.js",
    "course_lib/**/*.css",
    "course_lib/**/*.mplstyle",
    "course_lib/**/*.json",
)


def cache_key(root: Path) -> str:
    """16 hexadecimal digits that change with the library's sources and with requirements.txt in the folder `root`."""
    digest = hashlib.sha256()
    for pattern in PATTERNS:
        for file in sorted(root.glob(pattern)):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class ExecutionCache:
    """The executed pages of a book in the folder `root`, stored in the folder `build` by the code in their cells."""

    def __init__(self, root: Path, build: Path):
        self.folder = build / ".executed" / cache_key(root)

    def executed(self, path: Path) -> NotebookNode | None:
        """The notebook at `path` with the outputs of its execution, or None where it was not executed or failed."""
        notebook = nbformat.read(path, as_version=4)
        return _with_outputs(notebook, place) if (place := self._place(notebook)).exists() else None

    def execute(self, paths: Iterable[Path], timeout: int) -> dict[Path, tuple[NotebookNode, str]]:
        """Executes the notebooks that the cache lacks and stores those that ran; gives the others as far as they came, each with its failure.

        `timeout` is in seconds, for each cell.
        """
        notebooks = {path: nbformat.read(path, as_version=4) for path in paths if not self.executed(path)}
        failed = {}
        for path, failure in execute(notebooks, timeout):
            if failure:
                failed[path] = notebooks[path], failure
            else:
                self._store(notebooks[path])
        return failed

    def _store(self, notebook: NotebookNode) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self._place(notebook)
        nbformat.write(notebook, place.with_suffix(".part"))
        place.with_suffix(".part").rename(place)  # no reader ever meets half a file

    def _place(self, notebook: NotebookNode) -> Path:
        sources = "\0".join(cell.source for cell in code_cells(notebook))
        return self.folder / f"{hashlib.sha256(sources.encode()).hexdigest()[:32]}.ipynb"


def _with_outputs(notebook: NotebookNode, place: Path) -> NotebookNode:
    """`notebook` with the outputs that are stored at `place`; its texts may have changed since."""
    stored = nbformat.read(place, as_version=4)
    for cell, done in zip(code_cells(notebook), code_cells(stored)):
        cell.outputs, cell.execution_count = done.outputs, done.execution_count
    notebook.metadata.language_info = stored.metadata.language_info  # names the language that colors the code
    return notebook
