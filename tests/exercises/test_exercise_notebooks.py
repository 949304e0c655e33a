"""Every exercise notebook: untouched it runs and says so, with its own solutions it is green, and only then."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from executed_pages import a_readers_environment, executed, is_checked, printed

from course_lib.exercises import notebook as reader
from course_lib.publishing.execution import code_cells, execute

ROOT = Path(__file__).parents[2]
NOTEBOOKS = [pytest.param(path, id=path.stem) for path in sorted((ROOT / "book" / "exercises").glob("*.ipynb"))]
PATHS = [case.values[0] for case in NOTEBOOKS]


def read(path):
    return nbformat.read(path, as_version=4)


def solved(path):
    """The notebook with its own solutions in its stubs."""
    notebook = read(path)
    return reader.solve(notebook, reader.solutions(notebook))


@pytest.fixture(scope="module")
def solved_notebooks():
    """Every notebook with its own solutions, executed as a reader does; and by its path the failure of each that has one."""
    notebooks = {path: solved(path) for path in PATHS}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COURSE_BOOK", raising=False)
        failures = dict(execute(notebooks, timeout=300))
    return notebooks, failures


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_untouched_it_runs_and_says_so(built_book, path):
    texts = printed(executed(path))
    assert len(texts) == len(reader.stubs(read(path))) >= 1
    assert [text for text in texts if not text.startswith("○ Not attempted yet: ")] == []


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_solved_it_prints_what_is_stored_and_only_then(solved_notebooks, path):
    notebooks, failures = solved_notebooks
    assert failures[path] is None
    stored = printed(read(path))
    assert printed(notebooks[path]) == stored
    assert [text for text in stored if not text.startswith("✓ ") or "Not attempted" in text] == []


def nbval(notebooks, folder):
    """Run `pytest --nbval` on notebooks, by name: for each the failed cells, by number, with the report."""
    for name, notebook in notebooks.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"]
    command += ["-p", "no:cacheprovider", "--junitxml=report.xml", *(f"{name}.ipynb" for name in notebooks)]
    environment = a_readers_environment()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    failed = {name: {} for name in notebooks}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        name = case.get("classname").split(".")[-2]  # folder.name.ipynb
        for report in (*case.iter("failure"), *case.iter("error")):
            failed[name][int(case.get("name").removeprefix("Cell "))] = report.text
    return failed


def test_under_nbval_it_is_green_exactly_when_it_is_solved(tmp_path):
    """One notebook with two stubs: what nbval compares is what the tests above compare in all of them."""
    path = ROOT / "book" / "exercises" / "momentum.ipynb"
    failed = nbval({"untouched": read(path), "solved": solved(path)}, tmp_path)
    assert failed["solved"] == {}
    checks = [number for number, cell in enumerate(code_cells(read(path))) if is_checked(cell)]
    assert list(failed["untouched"]) == checks and len(checks) == 2
    assert [report for report in failed["untouched"].values() if "Not attempted yet" not in report] == []


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_its_header_and_its_folded_answers(path):
    """What an exercise has beside what test_notebooks.py asks of every page."""
    notebook = read(path)
    header = notebook.cells[0].source
    assert re.match(
        r"# Exercise: .+\n\n\*\*Difficulty\*\* ●+○* · \*\*Importance\*\* ●+○* · \*\*about \d+ minutes\*\*", header
    )
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert text.count("<details>") >= 2
    for cell in code_cells(notebook):  # nbval refuses an output without a count
        assert bool(cell.outputs) == bool(cell.execution_count) == is_checked(cell)


# The reader of notebooks


def notebook_of(*cells):
    return {"cells": [{"cell_type": kind, "source": source.splitlines(keepends=True)} for kind, source in cells]}


STUB = ("code", "import math\n\ndef half(x):\n    return ...  # yours\n\nprint(1)")
ANSWER = "<details>\n<summary>Solution</summary>\n\n```python\ndef half(x):\n    return x / 2\n```\n\n</details>"


def test_a_solution_takes_the_place_of_its_stub():
    notebook = notebook_of(("markdown", "text"), ("code", "%matplotlib inline"), STUB, ("markdown", ANSWER))
    assert reader.stubs(notebook) == {"half": 2}
    assert reader.solutions(notebook) == {"half": "def half(x):\n    return x / 2\n"}
    solved = reader.solve(notebook, reader.solutions(notebook))
    assert solved["cells"][2]["source"] == "import math\n\ndef half(x):\n    return x / 2\n\nprint(1)"
    assert reader.stubs(solved) == {} and reader.stubs(notebook) == {"half": 2}


@pytest.mark.parametrize(
    "text, count",
    [("no answer", 0), ("```python\ndef half(x):\n    return x / 2\n```", 0), (ANSWER + "\n\n" + ANSWER, 2)],
)
def test_a_stub_has_exactly_one_solution(text, count):
    with pytest.raises(ValueError, match=f"half has {count} solutions. Write exactly one ```python block"):
        reader.solutions(notebook_of(STUB, ("markdown", text)))


def test_an_answer_without_a_stub():
    with pytest.raises(ValueError, match="no stub named third. Its stubs are: half."):
        reader.solve(notebook_of(STUB), {"third": "def third(): pass"})
