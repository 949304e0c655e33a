"""Every page runs from its first cell to its last, and prints what is stored."""

import os
import subprocess
import sys

import pytest
from test_notebooks import BOOK, NOTEBOOKS

CHAPTERS = [
    case for case in NOTEBOOKS if not case.id.startswith("exercises/")
]  # an exercise's stored output is its solution's


@pytest.mark.timeout(240)
@pytest.mark.parametrize("path", CHAPTERS)
def test_a_chapter_runs(path):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=60",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    environment = {
        name: value for name, value in os.environ.items() if name != "COURSE_BOOK"
    }  # with a kernel, as a reader runs it
    done = subprocess.run([*command, path], cwd=BOOK, env=environment, capture_output=True, text=True, timeout=230)
    assert done.returncode == 0, done.stdout + done.stderr
