"""The exercises as a class gets them: the course's notebooks without solutions and outputs, with nbgrader's marks on their cells."""

import copy
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from course_lib.exercises.grading.catalog import BOOK, checked
from course_lib.exercises.notebook import DETAILS, stubs

GUIDE = BOOK.parent / "reference" / "grading.ipynb"
SUMMARY = re.compile(r"<summary>(.*?)</summary>", re.DOTALL)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)\s]*\.ipynb[^)\s]*\)")  # to a page that does not go along
POINTS = "float(verdict.passed)  # the points, where nbgrader grades"
CONFIG = '''"""A course of nbgrader: the notebooks in source/exercises have no solutions, so there are none to clear."""

c = get_config()  # noqa: F821 - nbgrader's
c.CourseDirectory.course_id = "exercises"
c.GenerateAssignment.preprocessors = [
    f"nbgrader.preprocessors.{name}"
    for name in ("IncludeHeaderFooter", "LockCells", "CheckCellMetadata", "ComputeChecksums", "SaveCells")
]
'''


def release(out: Path, book: Path = BOOK, guide: Path = GUIDE) -> list[Path]:
    """Write the exercises of `book` into the folder `out`/source/exercises, beside them nbgrader's settings and the instructors' guide.

    Returns the notebooks. Raises ValueError where `out` holds something already, or `book` no exercises.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{str(out)!r} is there already. Give a folder that is empty, or one that does not exist yet.")
    folder, written = out / "source" / "exercises", []
    for path in sorted(book.glob("*.ipynb")):
        notebook = json.loads(path.read_text("utf8"))
        if stubs(notebook):
            folder.mkdir(parents=True, exist_ok=True)
            written.append(folder / path.name)
            _write(written[-1], handout(notebook, path.stem))
    if not written:
        raise ValueError(f"There are no exercises in {str(book)!r}: the course's own folder book/exercises is needed.")
    (out / "nbgrader_config.py").write_text(CONFIG, "utf8")
    shutil.copy(guide, out / guide.name)
    return written


def _write(path: Path, notebook: Mapping) -> None:
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf8")


def handout(notebook: Mapping, name: str) -> dict:
    """A copy of the notebook without solutions and outputs; nbgrader may write into the stubs alone, and counts the checks."""
    notebook = copy.deepcopy(dict(notebook))
    answers = {place: function for function, place in stubs(notebook).items()}
    checks = {number - 1: exercise for exercise, _, number in checked(notebook)}
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = LINK.sub(r"\1", DETAILS.sub(_without_solution, source)).strip()
            continue
        cell.update(outputs=[], execution_count=None)
        if number in answers:
            cell["metadata"]["nbgrader"] = _mark(f"{name}-{answers[number]}", solution=True)
        elif number in checks:
            lines = [line for line in source.split("\n") if not line.startswith("# NBVAL")]
            cell["source"] = "\n".join([*lines, POINTS])
            cell["metadata"]["nbgrader"] = _mark(f"check-{checks[number]}", grade=True, locked=True, points=1)
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["source"]]
    return notebook


def _mark(grade_id: str, *, grade: bool = False, solution: bool = False, locked: bool = False, **more) -> dict:
    """A cell's metadata for nbgrader, in the third version of its form."""
    kinds = {"grade": grade, "solution": solution, "locked": locked, "task": False}
    return {"grade_id": grade_id, "schema_version": 3, **kinds, **more}


def _without_solution(details: re.Match) -> str:
    summary = SUMMARY.search(details[0])
    return "" if summary and "solution" in summary[1].lower() else details[0]
