"""What the book's build executed, and how a notebook that was executed answers to what is stored in its file."""

import os
from pathlib import Path

import nbformat

from course_lib.publishing.execution import code_cells
from course_lib.publishing.execution_cache import ExecutionCache

ROOT = Path(__file__).parents[1]
MARK = "# NBVAL_CHECK_OUTPUT"


def executed(path: Path) -> nbformat.NotebookNode:
    """The page at `path` as the last build of the book executed it; fails if it did not run to its end."""
    notebook = ExecutionCache(ROOT, ROOT / "_build").executed(path)
    assert notebook is not None, f"make book did not execute {path.name}, or one of its cells failed"
    return notebook


def is_checked(cell) -> bool:
    """Whether nbval compares the output of this cell."""
    return MARK in cell.source.splitlines()


def printed(notebook) -> list[str]:
    """The text output of each cell that nbval compares."""
    return ["".join(output.text for output in cell.outputs) for cell in code_cells(notebook) if is_checked(cell)]


def a_readers_environment() -> dict[str, str]:
    """The environment of a reader's kernel that finds this library."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {name: value for name, value in os.environ.items() if name != "COURSE_BOOK"} | {"PYTHONPATH": path}
