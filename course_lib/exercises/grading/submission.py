"""A student's notebooks: for each exercise the cells of the answer, and what is odd about them. Nothing of theirs is run here."""

import ast
import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from course_lib.exercises.grading.catalog import Task, checked
from course_lib.exercises.grading.slicing import Statement, needed, plain, statements

LARGEST = 20 << 20  # bytes of a notebook; the book's own have 20,000


@dataclass(frozen=True)
class Answer:
    """A function of a student's: the cells that it needs, as (number from 1, source, statements to keep), with notes for the instructor."""

    function: str
    cells: list[tuple[int, str, list]]
    notes: tuple[str, ...] = ()
    outputs: str = ""


@dataclass(frozen=True)
class Fault:
    """Why there is no answer: one word for the table, and a sentence."""

    kind: str
    text: str
    notes: tuple[str, ...] = ()


@dataclass
class Notebook:
    """A file that could be read: its code cells (number from 1 in the notebook, source), and the checks that they call."""

    path: Path
    cells: list[tuple[int, str]]
    checks: dict[str, int]  # by exercise, the cell
    outputs: str
    found: list[Statement] = field(init=False)
    errors: dict[int, SyntaxError] = field(init=False)

    def __post_init__(self):
        self.found, self.errors = statements(self.cells)

    def defines(self, function: str) -> bool:
        """Whether a top-level statement binds this name."""
        return any(function in s.binds for s in self.found)

    def definitions(self, task: Task) -> list[Statement]:
        """Those of the task's function; where another exercise's function has the same name, those that this check sees."""
        every = [s for s in self.found if task.function in s.binds]
        if not task.shared:
            return every
        last = self.checks.get(task.name, 0)
        first = max((cell for cell in self.checks.values() if cell < last), default=0)
        return [s for s in every if first < s.cell <= last] or every


def read(path: Path) -> Notebook | Fault:
    """A student's file, or why it cannot be read."""
    name = path.name
    try:
        size = path.stat().st_size
        if size > LARGEST:
            return Fault(
                "unreadable",
                f"{name} has {size >> 20} MB; a notebook has at most {LARGEST >> 20}. Its outputs can be cleared.",
            )
        content = json.loads(path.read_text("utf8"))
        cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        numbers = [k for k, cell in enumerate(content["cells"], 1) if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in cells]
        language = content.get("metadata", {}).get("kernelspec", {}).get("language") or "python"
        if str(language).lower() not in ("python", "ipython"):
            return Fault("unreadable", f"{name} is a notebook for {language}, not for Python.")
        checks = {name: number for name, _, number in checked(content)}
        outputs = json.dumps([cell.get("outputs") for cell in cells], ensure_ascii=False)
        return Notebook(path, [*zip(numbers, sources)], checks, outputs)
    except OSError as error:
        return Fault("unreadable", f"{name} cannot be opened: {error.strerror}.")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Fault("unreadable", f"{name} is not a notebook: it holds something else, or a part of one.")


def handed_in(notebooks: Iterable[Notebook], tasks: Iterable[Task]) -> dict[Task, list[Notebook]]:
    """Each exercise with the notebooks that hold it: they call its check, define its function, or have its notebook's name."""
    found = {}
    for task in tasks:
        tests = (
            lambda n, task=task: task.name in n.checks,
            lambda n, task=task: n.path.stem == task.notebook,
            lambda n, task=task: not task.shared and n.defines(task.function),
        )
        if holding := [n for n in notebooks if any(test(n) for test in tests)]:
            found[task] = holding
    return found


def answer(task: Task, notebooks: list[Notebook]) -> Answer | Fault:
    """The student's answer to an exercise from the notebooks that hold it."""
    defining = [n for n in notebooks if n.defines(task.function)]
    if not defining:
        return _missing(task, notebooks)
    best = next((n for n in reversed(defining) if n.path.stem == task.notebook), defining[-1])
    definitions = best.definitions(task)
    kept: dict[int, list] = {}
    for statement, names in needed(best.found, definitions[-1], task.function):
        kept.setdefault(statement.cell, []).append([statement.position, names])
    sources = dict(best.cells)
    cells = [(number, plain(sources[number]), places) for number, places in kept.items()]
    return Answer(task.function, cells, tuple(_notes(task, defining, best, definitions)), best.outputs)


def _notes(task: Task, defining: list[Notebook], best: Notebook, definitions: list[Statement]) -> Iterator[str]:
    if len(definitions) > 1:
        yield f"{task.function} is defined {len(definitions)} times; the last one counts."
    if task.name not in best.checks:
        yield "The cell with the check is missing or was changed. It is not needed."
    if others := ", ".join(n.path.name for n in defining if n is not best):
        yield f"{task.function} stands in other files, too ({others}); that of {best.path.name} counts."


def _missing(task: Task, notebooks: list[Notebook]) -> Fault:
    for notebook in notebooks:
        for number, error in notebook.errors.items():
            if task.function in dict(notebook.cells)[number]:
                line = f" at line {error.lineno}, `{(error.text or '').strip()[:80]}`" if error.lineno else ""
                return Fault("syntax error", f"The cell of {task.function} is no Python{line}: {error.msg}.")
    names = {
        name
        for n in notebooks
        for s in n.found
        for name in s.binds
        if not isinstance(s.node, (ast.Import, ast.ImportFrom))
    }
    near = difflib.get_close_matches(task.function, sorted(names), 3, 0.6)
    hint = f" The notebook defines {' and '.join(near)}: was it renamed?" if near else ""
    return Fault("missing", f"There is no function {task.function}.{hint}")
