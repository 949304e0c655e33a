"""Every exercise notebook: untouched it runs and says so, with its own solutions it is green, and only then."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from course_lib.exercises import notebook as reader

ROOT = Path(__file__).parents[2]
NOTEBOOKS = [pytest.param(path, id=path.stem) for path in sorted((ROOT / "book" / "exercises").glob("*.ipynb"))]
MARK = "# NBVAL_CHECK_OUTPUT"


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_check(cell):
    return MARK in cell.source.splitlines()


def environment():
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def nbval(notebooks, folder):
    """Run `pytest --nbval` on notebooks, by name: for each the failed cells, by number, with the report."""
    for name, notebook in notebooks.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=60",
        "-p",
        "no:cacheprovider",
    ]
    files = [f"{name}.ipynb" for name in notebooks]
    done = subprocess.run(
        [*command, "--junitxml=report.xml", *files],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    failed = {name: {} for name in notebooks}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        name = case.get("classname").split(".")[-2]  # folder.name.ipynb
        for report in (*case.iter("failure"), *case.iter("error")):
            failed[name][int(case.get("name").removeprefix("Cell "))] = report.text
    return failed


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_untouched_it_runs_and_says_so(path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(path.parent)}}).execute()
    checks = [cell for cell in code_cells(notebook) if is_check(cell)]
    assert len(checks) == len(reader.stubs(notebook)) >= 1
    for cell in checks:
        (output,) = cell.outputs
        assert output.text.startswith("○ Not attempted yet: ")


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_it_is_green_exactly_when_it_is_solved(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    solved = reader.solve(notebook, reader.solutions(notebook))
    failed = nbval({"untouched": notebook, "solved": solved}, tmp_path)
    assert failed["solved"] == {}
    assert list(failed["untouched"]) == [number for number, cell in enumerate(code_cells(notebook)) if is_check(cell)]
    assert all("Not attempted yet" in report for report in failed["untouched"].values())


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_its_form(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    header = notebook.cells[0].source
    assert re.match(
        r"# Exercise: .+\n\n\*\*Difficulty\*\* ●+○* · \*\*Importance\*\* ●+○* · \*\*about \d+ minutes\*\*", header
    )
    for cell in code_cells(notebook):
        assert (
            bool(cell.outputs) == bool(cell.execution_count) == is_check(cell)
        )  # nbval refuses an output without a count
        assert cell.source.count("\n") < 25


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_its_folded_parts_work_everywhere(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    folded = len(
        re.findall(r"^<details>\n<summary>.+</summary>\n\n", text, re.MULTILINE)
    )  # without the blank line, Markdown inside stays raw
    assert folded == text.count("<details>") == len(re.findall(r"\n\n</details>$", text, re.MULTILINE)) >= 2
    assert not re.search(r"^(:::|```\{)", text, re.MULTILINE)  # directives, which only the book understands


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
