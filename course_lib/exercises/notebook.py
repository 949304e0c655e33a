"""A notebook of exercises as a program reads it: its stubs, its solutions, and answers put into the stubs.

A stub is a function in a code cell that returns `...`. Its solution is the function of the same name in a fenced Python block inside
`<details>`. A notebook is what `json.load` or `nbformat.read` gives.
"""

import ast
import copy
import re
from collections.abc import Mapping

DETAILS = re.compile(r"<details>.*?</details>", re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def stubs(notebook: Mapping) -> dict[str, int]:
    """The name of each function that waits for the reader's code, and the number of its cell."""
    cells = enumerate(notebook["cells"])
    code = ((number, _source(cell)) for number, cell in cells if cell["cell_type"] == "code")
    return {name: number for number, source in code for name, node in _functions(source).items() if _is_stub(node)}


def solutions(notebook: Mapping) -> dict[str, str]:
    """The notebook's own solution of each stub, by the function's name.

    Raises ValueError where a stub has no solution or more than one.
    """
    texts = (_source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    blocks = [block for text in texts for details in DETAILS.findall(text) for block in PYTHON.findall(details)]
    found = {name: [block for block in blocks if name in _functions(block)] for name in stubs(notebook)}
    for name, own in found.items():
        if len(own) != 1:
            raise ValueError(
                f"{name} has {len(own)} solutions. Write exactly one ```python block that defines it, inside <details>."
            )
    return {name: own[0] for name, own in found.items()}


def checks(notebook: Mapping) -> dict[str, str]:
    """The module of the check that judges each stub, by the stub's name: {"my_adam": "course_lib.exercises.adam"}."""
    waiting, found, module = stubs(notebook), {}, None
    for node in (
        node for cell in notebook["cells"] if cell["cell_type"] == "code" for node in _statements(_source(cell))
    ):
        for part in ast.walk(node):
            if isinstance(part, ast.ImportFrom) and any(name.name == "check" for name in part.names):
                module = part.module
            elif isinstance(part, ast.Call) and getattr(part.func, "id", "") == "check":
                found |= {name.id: module for name in part.args if isinstance(name, ast.Name) and name.id in waiting}
    return found


def solve(notebook: Mapping, answers: Mapping[str, str]) -> Mapping:
    """A copy of the notebook with each answer (source code, by the function's name) in place of its stub.

    Raises ValueError if the notebook has no such stub.
    """
    solved, places = copy.deepcopy(notebook), stubs(notebook)
    for name, answer in answers.items():
        if name not in places:
            raise ValueError(f"The notebook has no stub named {name}. Its stubs are: {', '.join(places) or 'none'}.")
        cell = solved["cells"][places[name]]
        lines, stub = _source(cell).split("\n"), _functions(_source(cell))[name]
        cell["source"] = "\n".join([*lines[: stub.lineno - 1], answer.rstrip("\n"), *lines[stub.end_lineno :]])
    return solved


def _source(cell: Mapping) -> str:
    return "".join(cell["source"])  # on disk a list of lines, in nbformat one string


def _functions(source: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in _statements(source) if isinstance(node, ast.FunctionDef)}


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:  # a cell with a magic
        return []


def _is_stub(function: ast.FunctionDef) -> bool:
    returned = (node.value for node in ast.walk(function) if isinstance(node, ast.Return))
    return any(isinstance(value, ast.Constant) and value.value is ... for value in returned)
