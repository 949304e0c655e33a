"""Students' notebooks for the tests of the grader: the course's own with an answer in place of a stub, and what else arrives."""

import json
from pathlib import Path

from course_lib.exercises import notebook as reader
from course_lib.exercises.grading.catalog import BOOK


def course_notebook(stem: str) -> dict:
    """One of the course's notebooks as it is handed out."""
    return json.loads((BOOK / f"{stem}.ipynb").read_text("utf8"))


def answered(stem: str, **answers: str) -> dict:
    """The notebook with these answers (source, by the function's name) in place of its stubs."""
    return reader.solve(course_notebook(stem), answers)


def solved(stem: str) -> dict:
    """The notebook with its own solutions."""
    notebook = course_notebook(stem)
    return reader.solve(notebook, reader.solutions(notebook))


def write(path: Path, notebook: dict) -> Path:
    """The notebook as a file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), "utf8")
    return path


def code(*sources: str) -> dict:
    """A notebook of code cells alone."""
    cells = [
        {"cell_type": "code", "metadata": {}, "source": s, "outputs": [], "execution_count": None} for s in sources
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
