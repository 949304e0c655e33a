"""What is handed out: each exercise without its solution, in the form that nbgrader reads, and still solvable; and what the guide says of it."""

import json
import re

import nbformat
import pytest

from course_lib.exercises import notebook as reader
from course_lib.exercises.__main__ import main
from course_lib.exercises.grading.catalog import BOOK, tasks
from course_lib.exercises.grading.judge import VERDICTS, judge
from course_lib.exercises.grading.processes import Limits, Server
from course_lib.exercises.grading.release import GUIDE, POINTS, release

SOURCES = {path.stem: json.loads(path.read_text("utf8")) for path in sorted(BOOK.glob("*.ipynb"))}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The handed out notebooks by name."""
    out = tmp_path_factory.mktemp("release") / "out"
    return {path.stem: path for path in release(out)}


def test_every_exercise_is_handed_out(released):
    assert set(released) == set(SOURCES)
    folder = released["adam"].parents[2]
    assert {path.name for path in folder.iterdir()} == {"source", "nbgrader_config.py", "grading.ipynb"}


@pytest.mark.parametrize("name", SOURCES)
def test_its_solution_is_gone_and_its_hints_stay(released, name):
    text = released[name].read_text("utf8")
    notebook = json.loads(text)
    assert not re.search(r"<summary>\s*solution", text, re.IGNORECASE)
    assert not any(json.dumps(source)[1:-1] in text for source in reader.solutions(SOURCES[name]).values())
    assert text.count("<summary>Hint") == json.dumps(SOURCES[name]).count("<summary>Hint") > 0
    assert reader.checks(notebook) == reader.checks(SOURCES[name])
    assert set(reader.stubs(notebook)) == set(reader.stubs(SOURCES[name]))
    assert ".ipynb)" not in text and all(not cell.get("outputs") for cell in notebook["cells"])


@pytest.mark.parametrize("name", SOURCES)
def test_its_cells_are_nbgraders(released, name):
    """What nbgrader asks of a cell in version 3 of its form: nbgrader/nbgraderformat/v3.py and common.py."""
    notebook = nbformat.read(released[name], as_version=4)
    nbformat.validate(notebook)
    marks = [(cell, cell.metadata.nbgrader) for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert all(cell.cell_type == "code" and mark.schema_version == 3 and mark.task is False for cell, mark in marks)
    identities = [mark.grade_id for _, mark in marks]
    assert len(set(identities)) == len(identities) and all(re.fullmatch(r"[\w-]+", x) for x in identities)
    for cell, mark in marks:
        assert (mark.grade, mark.locked, mark.solution) in ((True, True, False), (False, False, True))
        assert mark.solution or (mark.points == 1 and cell.source.endswith(POINTS))
    places = reader.stubs(json.loads(released[name].read_text("utf8")))
    assert sum(mark.solution for _, mark in marks) == len(set(places.values()))
    assert sum(mark.grade for _, mark in marks) == len(places)


def test_nbgrader_itself_reads_them(released):
    """Not one of the project's packages: where it is installed, its own validator is asked."""
    form = pytest.importorskip(
        "nbgrader.nbgraderformat", reason="nbgrader is not installed; the test above asks what it asks"
    )
    assert all(form.read(str(path), as_version=4) for path in released.values())


def test_a_handed_out_notebook_can_be_solved_and_graded(released, tmp_path):
    notebook = json.loads(released["amdahl"].read_text("utf8"))
    path = tmp_path / "mine.ipynb"
    path.write_text(json.dumps(reader.solve(notebook, reader.solutions(SOURCES["amdahl"]))), "utf8")
    with Server(Limits()) as server:
        (row,) = judge(server, "student", [path], [task for task in tasks() if task.name == "amdahl"])
    assert (row.verdict, row.notes) == ("passed", ""), row.message


def test_nothing_is_written_over(tmp_path, capsys):
    (tmp_path / "mine").write_text("x")
    assert main(["release", str(tmp_path)]) == 2
    assert "is there already. Give a folder that is empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


# The guide

GUIDE_TEXT = "\n".join("".join(cell["source"]) for cell in json.loads(GUIDE.read_text("utf8"))["cells"])


def test_the_guide_explains_each_verdict():
    explained = re.findall(r"^\| ([a-z ]+) \| ", GUIDE_TEXT.partition("## One file")[0], re.MULTILINE)
    assert set(explained) - {"verdict"} == set(VERDICTS) - {"not handed in"}


def test_the_guides_number_of_notebooks():
    (count,) = re.findall(r"^(\d+) notebooks without solutions", GUIDE_TEXT, re.MULTILINE)
    assert int(count) == len(SOURCES)


@pytest.mark.parametrize("command", re.findall(r"^\$ python -m course_lib\.exercises (\w+)", GUIDE_TEXT, re.MULTILINE))
def test_each_command_of_the_guide_exists(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0 and command in capsys.readouterr().out


def test_the_guides_passing_line():
    (task,) = (task for task in tasks() if task.name == "clipping")
    cases = len(task.check.cases)
    assert f"✓ {task.check.name}: {cases} of {cases} cases agree with {task.check.source}." in GUIDE_TEXT
