"""The book's exercises as its notebooks state them: which function each check asks for."""

import ast
import importlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from course_lib.exercises.grading.slicing import plain
from course_lib.exercises.notebook import checks

BOOK = Path(__file__).parents[3] / "book" / "exercises"
MODULES = "course_lib.exercises."


@dataclass(frozen=True)
class Task:
    """One exercise: its name, which is its module's; the function it asks for (`shared` with another exercise or not); and the notebook where it stands."""

    name: str
    function: str
    notebook: str
    shared: bool = False

    @cached_property
    def check(self):
        """The exercise's check."""
        return importlib.import_module(MODULES + self.name).check


def tasks(folder: Path = BOOK) -> list[Task]:
    """The exercises of the notebooks in a folder, by the names of the notebooks.

    Raises ValueError where it holds none.
    """
    found = [task for path in sorted(folder.glob("*.ipynb")) for task in tasks_of(path)]
    if not found:
        raise ValueError(
            f"No exercises in {str(folder)!r}: the folder of the course's own notebooks, book/exercises, is needed."
        )
    functions = Counter(task.function for task in found)
    return [replace(task, shared=functions[task.function] > 1) for task in found]


def tasks_of(path: Path) -> list[Task]:
    """The exercises of one of the course's notebooks."""
    asked = checks(json.loads(path.read_text("utf8")))
    return [Task(module.removeprefix(MODULES), function, path.stem) for function, module in asked.items()]


def checked(notebook: dict) -> list[tuple[str, str, int]]:
    """Each check that the cells of a notebook call: the exercise's name, the function that it gets, the cell's number from 1."""
    module, found = None, []
    for number, cell in enumerate(notebook["cells"], 1):
        for node in _nodes(cell):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(MODULES):
                module = node.module.removeprefix(MODULES) if any(a.name == "check" for a in node.names) else module
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "check" and module and node.args:
                found.append((module, ast.unparse(node.args[0]), number))
    return found


def _nodes(cell: dict) -> list[ast.AST]:
    """In the order of the lines."""
    if cell.get("cell_type") != "code":
        return []
    try:
        body = ast.parse(plain("".join(cell["source"]))).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [node for statement in body for node in ast.walk(statement)]
