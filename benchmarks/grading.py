"""Grading: students' notebooks a minute on two processors, and what one check takes in a notebook.

The class is the book's own exercises, all solved, for each of a few students; a student more is what counts, not the start of the grader.
Where the machine is busy the processor's time says more than the clock, so both are measured.
"""

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.table import Row
from course_lib.exercises import notebook as reader
from course_lib.exercises.grading.catalog import BOOK, tasks
from course_lib.exercises.grading.classroom import grade

STUDENTS = 12
PROCESSES = 2


def make(folder: Path, students: int) -> int:
    """Folders of students who have solved everything; how many notebooks a student has."""
    files = sorted(BOOK.glob("*.ipynb"))
    for path in files:
        notebook = json.loads(path.read_text("utf8"))
        text = json.dumps(reader.solve(notebook, reader.solutions(notebook)))
        for k in range(students):
            (folder / f"student {k}").mkdir(parents=True, exist_ok=True)
            (folder / f"student {k}" / path.name).write_text(text, "utf8")
    return len(files)


def class_seconds(students: int) -> tuple[float, float, int]:
    """The time that a class takes by the clock and of the processors, and the notebooks of a student."""
    with tempfile.TemporaryDirectory() as name:
        count = make(Path(name) / "class", students)
        start, used = time.monotonic(), _used()
        rows = grade(Path(name) / "class", Path(name) / "report.csv", processes=PROCESSES)
        assert {row.verdict for row in rows} == {"passed"}, [row for row in rows if row.verdict != "passed"]
        return time.monotonic() - start, _used() - used, count


def _used() -> float:
    """The processors' seconds of this process and of all that it has waited for."""
    return sum(os.times()[:4])


def check_seconds() -> dict[str, float]:
    """What the first check of each solved exercise takes of the processor, after its import, by the exercise's name; without what real ranks take."""
    found = {}
    for task in tasks():
        notebook = json.loads((BOOK / f"{task.notebook}.ipynb").read_text("utf8"))
        namespace = {}
        exec(f"{_imports(notebook)}\n{reader.solutions(notebook)[task.function]}", namespace)
        check, start = task.check, time.process_time()
        check.judge(namespace[task.function])
        found[task.name] = time.process_time() - start
    return found


def _imports(notebook: dict) -> str:
    """The lines of the notebook's cells that import something, but for course_lib."""
    lines = "".join("".join(c["source"]) + "\n" for c in notebook["cells"] if c["cell_type"] == "code").splitlines()
    return "\n".join(x for x in lines if x.startswith(("import ", "from ")) and "course_lib" not in x)


def rows() -> list[Row]:
    """Notebooks a minute, the hour's class of a hundred, and the longest check."""
    few, many = class_seconds(PROCESSES), class_seconds(PROCESSES + STUDENTS)
    clock, processor = ((b - a) / STUDENTS for a, b in zip(few[:2], many[:2]))
    checks = check_seconds()
    longest = max(checks, key=checks.get)
    hundred = (few[0] + 98 * clock) / 60
    return [
        Row(
            "students' notebooks graded",
            60 * many[2] / clock,
            "a minute",
            note=f"{PROCESSES} processes, {processor:.2f} s of a processor a student",
        ),
        Row(
            "100 students, all exercises of the book",
            hundred,
            "min",
            at_most=10,
            note="from the time of one student more",
        ),
        Row(
            "the longest first check in a notebook",
            checks[longest],
            "s",
            at_most=0.3,
            note=f"{longest}, of a processor, after import",
        ),
        Row("the median of all exercises", statistics.median(checks.values()), "s", at_most=0.3),
    ]
