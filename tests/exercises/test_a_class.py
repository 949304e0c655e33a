"""A folder of a class is graded: each answer as what it is, what is finished once, and the page shows everybody."""

import csv
import io
import json

import pytest
from a_class import make
from class_of_students import answered, write

from course_lib.exercises.__main__ import main
from course_lib.exercises.grading import classroom
from course_lib.exercises.grading.judge import VERDICTS, Row
from course_lib.exercises.grading.report import page

EXERCISES = ["clipping", "kaiming", "xavier", "newton", "amdahl", "running_statistics"]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """What is expected of a class, its folder, the report and the rows of the table."""
    folder = tmp_path_factory.mktemp("class")
    expected = make(folder, EXERCISES, most=6)
    report = folder.with_name("report")
    assert main(["grade", str(folder), "--out", str(report)]) == 0
    with report.with_suffix(".csv").open(encoding="utf8", newline="") as stream:
        return expected, folder, report, [*csv.DictReader(stream)]


def test_each_answer_is_what_it_is(graded):
    expected, _, _, rows = graded
    assert len(expected) >= 60
    found = {name: [] for name in expected}
    for row in rows:
        found[row["student"].removeprefix("'")].append((row["exercise"], row["verdict"], row["mistake"]))
    assert {k: sorted(v) for k, v in found.items()} == {k: sorted(v) for k, v in expected.items()}


def test_no_cell_begins_as_a_formula_does(graded):
    assert [x for row in graded[3] for x in row.values() if x[:1] in "=+-@" and x] == []


def test_the_page_shows_everybody_and_asks_nobody(graded):
    expected, _, report, rows = graded
    html = report.with_suffix(".html").read_text("utf8")
    assert "<script" not in html and "http" not in html and "url(" not in html
    assert all(name.replace("'", "&#x27;") in html for name in expected)
    assert html.count('class="row"') == len(rows)


def test_what_is_finished_is_not_graded_again(graded, monkeypatch, capsys):
    _, folder, report, rows = graded
    asked = []
    usual = classroom._graded
    monkeypatch.setattr(classroom, "_graded", lambda waiting, *more: asked.extend(waiting) or usual(waiting, *more))
    assert main(["grade", str(folder), "--out", str(report)]) == 0
    assert asked == []
    write(folder / "untouched.ipynb", answered("race", my_clip="def my_clip(gradients, limit):\n    return gradients"))
    assert main(["grade", str(folder), "--out", str(report)]) == 0
    assert [one.student for one in asked] == ["untouched"]
    with report.with_suffix(".csv").open(encoding="utf8", newline="") as stream:
        again = [*csv.DictReader(stream)]
    changed = [row for row in again if row not in rows]
    assert [(row["student"], row["verdict"]) for row in changed] == [("untouched", "wrong")] and len(again) == len(rows)


def test_a_table_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    write(tmp_path / "class" / "a.ipynb", answered("race", my_clip="def my_clip(gradients, limit): return ..."))
    (one,) = classroom.submissions(tmp_path / "class")
    row = Row("a", "clipping", "passed", "", 0.1, "✓", "")
    text = ",".join(classroom.COLUMNS) + "\r\n" + classroom.table([row], one.digest)
    (tmp_path / "t.csv").write_text(text + "b,clipping,pas", "utf8")
    assert classroom.finished(tmp_path / "t.csv", [one]) == {"a": [row]}


def test_a_page_is_escaped():
    row = Row("<script>alert(1)</script>", "clipping", "wrong", "", 0.0, "<img src=x onerror=alert(1)>", "")
    html = page([row], ["clipping"], "a < b")
    assert "<script>" not in html and "<img" not in html and "a &lt; b" in html


def test_every_verdict_of_the_class_has_its_words(graded):
    assert {row["verdict"] for row in graded[3]} <= set(VERDICTS)


# What cannot be done


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["grade", "no-such-folder"],
            "'no-such-folder' is not a folder. Give the folder that holds the students' notebooks.",
        ),
        (["grade", "{empty}"], "There is no notebook in"),
        (["check", "no-such-file.ipynb"], "There is no file 'no-such-file.ipynb'."),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, capsys, arguments, sentence):
    assert main([argument.format(empty=tmp_path) for argument in arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_one_notebook_is_checked(tmp_path, capsys):
    path = write(
        tmp_path / "mine.ipynb", answered("race", my_clip="def my_clip(gradients, limit):\n    return gradients")
    )
    assert main(["check", str(path)]) == 1
    assert capsys.readouterr().out.startswith("✗ clip_by_global_norm, case 1 of ")


def test_the_graders_own_failure_is_told_and_costs_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(classroom, "_here", {"limits": None, "tasks": []})
    (one,) = [classroom.Submission("a", (), "x")]
    monkeypatch.setattr(classroom, "Server", lambda limits: io.BytesIO())
    monkeypatch.setattr(classroom, "judge", lambda *_: 1 / 0)
    (row,) = classroom._grade_one(one)
    assert row.verdict == "error" and "ZeroDivisionError" in row.message
    assert json.dumps(row.message)
