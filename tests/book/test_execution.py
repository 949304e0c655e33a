"""Every page runs from its first cell to its last, and prints what is stored: the book's build executes each, once."""

import subprocess
import sys

import nbformat
import pytest
from executed_pages import a_readers_environment, executed, printed
from test_notebooks import BOOK, NOTEBOOKS

from course_lib.publishing.execution import code_cells

CHAPTERS = [  # an exercise's stored output is its solution's
    case for case in NOTEBOOKS if not case.id.startswith("exercises/")
]


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_page_runs_from_its_first_cell_to_its_last(built_book, path):
    cells = code_cells(executed(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [output for cell in cells for output in cell.outputs if output.output_type == "error"] == []


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_chapter_prints_what_is_stored(built_book, path):
    assert printed(executed(path)) == printed(nbformat.read(path, as_version=4))


def test_a_chapter_with_live_figures_runs_under_nbval():
    """With a kernel and no COURSE_BOOK, as a reader runs it: each figure opens its channel to the front end."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"]
    command += ["-q", "-p", "no:cacheprovider", "basics/momentum.ipynb"]
    done = subprocess.run(command, cwd=BOOK, env=a_readers_environment(), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
