"""A folder of students' notebooks, graded: several students at once, each by itself, so that none costs another anything."""

import csv
import hashlib
import io
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from course_lib.exercises.grading.catalog import BOOK, Task, tasks
from course_lib.exercises.grading.judge import Row, judge
from course_lib.exercises.grading.processes import Limits, Server

COLUMNS = [field.name for field in fields(Row)] + ["files"]
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would compute
TRIES = 2  # where a process of the grader's own ends, which no student's code should bring about


@dataclass(frozen=True)
class Submission:
    """A student's name and notebooks; `digest` changes with them, and with the exercises."""

    student: str
    files: tuple[Path, ...]
    digest: str


def submissions(folder: Path, book: Path = BOOK) -> list[Submission]:
    """The students of a folder: one for each notebook in it, and one for each folder in it, with all notebooks below.

    A folder that holds the course's own file names is one student's. Raises ValueError where there is nothing to grade.
    """
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is not a folder. Give the folder that holds the students' notebooks.")
    own = {path.stem for path in book.glob("*.ipynb")}
    found: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*.ipynb") if p.is_file() and ".ipynb_checkpoints" not in p.parts):
        parts = path.relative_to(folder).parts
        student = folder.resolve().name if parts[0].removesuffix(".ipynb") in own else parts[0].removesuffix(".ipynb")
        found.setdefault(student, []).append(path)
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        found.setdefault(path.name, [])
    if not any(found.values()):
        raise ValueError(
            f"There is no notebook in {str(folder)!r}: files that end in .ipynb, or folders that hold such files."
        )
    exercises = _digest(sorted([*Path(__file__).parents[1].rglob("*.py"), *book.glob("*.ipynb")]))
    return [Submission(name, tuple(files), _digest(files, exercises)) for name, files in sorted(found.items())]


def _digest(files: Iterable[Path], start: str = "") -> str:
    state = hashlib.sha256(start.encode())
    for path in files:
        state.update(path.name.encode("utf8", "replace"))
        with path.open("rb") as stream:
            state.update(hashlib.file_digest(stream, "sha256").digest())
    return state.hexdigest()[:16]


def finished(report: Path, asked: Iterable[Submission]) -> dict[str, list[Row]]:
    """The rows of an earlier run's table, of students whose files and exercises are the same, and where the grader did not fail."""
    if not report.exists():
        return {}
    digests, rows = {one.student: one.digest for one in asked}, {}
    with report.open(encoding="utf8", newline="") as stream:
        for line in csv.DictReader(stream):
            if line.keys() != set(COLUMNS) or None in line.values():  # the end of a run that was cut off
                continue
            line = {name: x[1:] if x[:1] == "'" and x[1:2] in FORMULAS else x for name, x in line.items()}
            if digests.get(line["student"]) == line.pop("files"):
                rows.setdefault(line["student"], []).append(Row(**line | {"seconds": float(line["seconds"])}))
    return {name: own for name, own in rows.items() if all(row.verdict != "error" for row in own)}


def table(rows: Iterable[Row], digest: str) -> str:
    """The rows as lines of CSV. No cell begins as a formula of a spreadsheet does."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    for row in rows:
        cells = [*asdict(row).values(), digest]
        writer.writerow([f"'{x}" if isinstance(x, str) and x[:1] in FORMULAS else x for x in cells])
    return stream.getvalue()


def grade(
    folder: Path,
    report: Path,
    *,
    processes: int | None = None,
    limits: Limits = Limits(),
    progress: Callable = lambda one: None,
) -> list[Row]:
    """The rows of all students in a folder, written to the CSV file `report` student by student.

    What stands there already, of files that are still the same, is not graded again. `progress` is called after each student.
    Raises ValueError where there is nothing to grade.
    """
    asked = submissions(folder)
    done = finished(report, asked)
    report.parent.mkdir(parents=True, exist_ok=True)
    _replace(
        report,
        ",".join(COLUMNS) + "\r\n" + "".join(table(done[s.student], s.digest) for s in asked if s.student in done),
    )
    waiting = [one for one in asked if one.student not in done]
    for one, rows in _graded(waiting, processes or os.cpu_count() or 1, limits):
        with report.open("a", encoding="utf8", newline="") as stream:
            stream.write(table(rows, one.digest))
        done[one.student] = rows
        progress(one)
    return [row for one in asked for row in done[one.student]]


def _replace(file: Path, text: str) -> None:
    part = file.with_name(file.name + ".part")
    part.write_text(text, "utf8", newline="")
    os.replace(part, file)


def _graded(waiting: list[Submission], processes: int, limits: Limits):
    """Each student with the rows, in the order in which they are ready."""
    tries = dict.fromkeys(waiting, 0)
    while tries:
        try:
            with _pool(min(processes, len(tries)), limits) as pool:
                jobs = {pool.submit(_grade_one, one): one for one in tries}
                for job in as_completed(jobs):
                    rows = job.result()
                    tries.pop(jobs[job])
                    yield jobs[job], rows
        except BrokenProcessPool:
            for one in [*tries][:processes]:  # those that were at work, and perhaps others
                tries[one] += 1
                if tries[one] == TRIES:
                    tries.pop(one)
                    yield one, [_failed(one, "its process ended")]


def _pool(processes: int, limits: Limits) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (limits,))


_here: dict = {}  # in a process of the pool: what all students' gradings share


def _begin(limits: Limits) -> None:
    import torch

    torch.set_num_threads(1)
    _here.update(limits=limits, tasks=tasks())


def _grade_one(one: Submission) -> list[Row]:
    try:
        if "server" not in _here:
            _here["server"] = Server(_here["limits"]).__enter__()
        return [*judge(_here["server"], one.student, [*one.files], _here["tasks"])] or [_nothing(one, _here["tasks"])]
    except Exception as error:  # a fault of the grader's: told with the student's name, and the others go on
        _here.pop("server").__exit__()
        return [_failed(one, f"{type(error).__name__}: {error}")]


def _failed(one: Submission, reason: str) -> Row:
    return Row(
        one.student, "", "error", "", 0.0, f"✗ The grader itself failed here: {reason[:500]}. Grade this student again."
    )


def _nothing(one: Submission, known: list[Task]) -> Row:
    names = ", ".join(path.name for path in one.files) or "no notebook"
    return Row(one.student, "", "missing", "", 0.0, f"✗ None of the book's {len(known)} exercises is in {names}.")
