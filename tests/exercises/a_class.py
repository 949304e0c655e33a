"""A class that hands in all sorts of things, to try the grader on: python tests/exercises/a_class.py FOLDER makes it, by hand.

Right answers in the styles of proofs/, each classic mistake, attacks and broken files: a notebook a student, or a folder.
"""

import ast
import importlib
import inspect
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from class_of_students import answered, code, course_notebook, solved, write

from course_lib.exercises.grading.catalog import Task, tasks
from course_lib.exercises.grading.slicing import needed, statements

PROOFS = Path(__file__).with_name("proofs")
Expected = tuple[str, str, str]  # exercise, verdict, mistake


def alone(module: str, name: str, function: str) -> str | None:
    """A function of a file with what it needs, under another name; None where it needs course_lib."""
    tree = ast.parse(module)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
    found, _ = statements([(1, ast.unparse(tree))])
    definitions = [s for s in found if s.binds == {name} and isinstance(s.node, ast.FunctionDef)]
    if not definitions:
        return None
    parts = [s.node for s, _ in needed(found, definitions[-1], name)]
    definitions[-1].node.name = function
    text = "\n\n".join(map(ast.unparse, parts))
    return None if "course_lib" in text else text


def mistakes(task: Task) -> Iterator[tuple[str, str]]:
    """The classic mistakes of an exercise that stand by themselves: name and source of an answer that makes it."""
    module = inspect.getsource(importlib.import_module(f"course_lib.exercises.{task.name}"))
    for known in getattr(task.check, "mistakes", ()):
        if source := alone(module, known.variants[0].__name__, task.function):
            yield known.name, source


def styles(task: Task) -> Iterator[tuple[str, str]]:
    """Right answers in other styles: name and source."""
    file = PROOFS / f"{task.name}.py"
    if not file.exists():
        return
    for fn in runpy.run_path(str(file))["STYLES"]:
        if source := alone(file.read_text("utf8"), fn.__name__, task.function):
            yield fn.__name__, source


ATTACKS = {
    "endless": "while True: pass",
    "memory": "x = [0] * (1 << 40)",
    "crashed": "import os; os._exit(0)",
    "forbidden": "from course_lib.exercises.clipping import clip_by_global_norm as f; return f(gradients, limit)",
}
FILES = {
    "cut off": b'{"cells": [',
    "no text": b"\xff\xfe\x00",
    "empty": b"",
    "a list": b"[]",
    "julia": b'{"cells": [], "metadata": {"kernelspec": {"language": "julia"}}}',
    "large": b"x" * (21 << 20),
}


def make(folder: Path, exercises: list[str] | None = None, most: int = 1000) -> dict[str, list[Expected]]:
    """Write the class into a folder; what is to be found of each student.

    Only these `exercises` are answered, if so, and of each at most so many styles and mistakes.
    """
    known, expected = [task for task in tasks() if exercises is None or task.name in exercises], {}
    for task in known:
        for kind, answers in (("style", styles(task)), ("mistake", mistakes(task))):
            for name, source in [*answers][:most]:
                student = f"{task.name} {kind} {name}"
                write(folder / f"{student}.ipynb", answered(task.notebook, **{task.function: source}))
                verdict = ("passed", "") if kind == "style" else ("wrong", name)
                others = [t.name for t in tasks() if t.notebook == task.notebook and t.name != task.name]
                expected[student] = [(task.name, *verdict), *((other, "not attempted", "") for other in others)]
    _attacks(folder, expected)
    _oddities(folder, expected)
    _whole_books(folder, known, expected)
    return expected


def _attacks(folder: Path, expected: dict) -> None:
    for verdict, body in ATTACKS.items():
        source = f"def my_clip(gradients, limit):\n    {body}"
        write(folder / f"attack {verdict}.ipynb", answered("race", my_clip=source))
        expected[f"attack {verdict}"] = [("clipping", verdict, "")]
    for name, content in FILES.items():
        (folder / f"broken {name}.ipynb").write_bytes(content)
        expected[f"broken {name}"] = [("", "unreadable", "")]


def _oddities(folder: Path, expected: dict) -> None:
    right = "def my_clip(gradients, limit):\n    n = torch.stack([g.norm() for g in gradients]).norm() if gradients else 0\n"
    right += "    return [g * (limit / n if n > limit else 1) for g in gradients]"
    odd = {
        "untouched": (course_notebook("race"), "not attempted"),
        "renamed": (answered("race", my_clip=right.replace("my_clip", "clip")), "missing"),
        "no python": (answered("race", my_clip=right.replace("gradients, limit)", "gradients, limit")), "syntax error"),
        "code alone": (code("import torch", right), "passed"),
        "import below": (code(right, "import torch"), "passed"),
        "a magic": (code("%matplotlib inline\nimport torch", "%%time\n" + right), "passed"),
        "twice": (code("import torch", right.replace("n > limit", "n < limit"), right), "passed"),
        "another language's cell": (code("%%bash\nls", "import torch\n" + right), "passed"),
        "Zoë Müller-Østergård": (code("import torch\n" + right), "passed"),
        "=1+1": (code("import torch\n" + right), "passed"),
    }
    for name, (notebook, verdict) in odd.items():
        write(folder / f"{name}.ipynb", notebook)
        expected[name] = [("clipping", verdict, "")]
    (folder / "no notebook").mkdir()
    expected["no notebook"] = [("", "missing", "")]


def _whole_books(folder: Path, known: list[Task], expected: dict) -> None:
    """Students with a folder each, named as learning platforms do, who have solved everything; one has a broken file, too."""
    for k in range(3):
        student = f"Student {k}_{4711 + k}_assignsubmission_file"
        for stem in {task.notebook for task in known}:
            write(folder / student / "exercises" / f"{stem}.ipynb", solved(stem))
        expected[student] = [
            (task.name, "passed", "") for task in tasks() if task.notebook in {t.notebook for t in known}
        ]
    (folder / student / "notes.ipynb").write_text("not a notebook")
    expected[student] = [("", "unreadable", ""), *expected[student]]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    print(f"{len(make(Path(sys.argv[1])))} students in {sys.argv[1]}")
