"""Stored outputs of the pages are reused exactly as long as nothing changed that could change them."""

import os

import pytest

from course_lib.publishing.execution_cache import cache_key


@pytest.fixture
def root(tmp_path):
    """A small project."""
    (tmp_path / "course_lib" / "widgets").mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\n")
    (tmp_path / "course_lib" / "a.py").write_text("x = 1\n")
    (tmp_path / "course_lib" / "widgets" / "a.js").write_text("let x = 1;\n")
    (tmp_path / "course_lib" / "recorded").mkdir()
    (tmp_path / "course_lib" / "recorded" / "a.json").write_text("[1]\n")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["requirements.txt", "course_lib/a.py", "course_lib/widgets/a.js", "course_lib/recorded/a.json"]
)
def test_a_changed_source_changes_the_key_and_changing_it_back_restores_it(root, name):
    before, text = cache_key(root), (root / name).read_text()
    (root / name).write_text(text + "\n")
    assert cache_key(root) != before
    (root / name).write_text(text)
    assert cache_key(root) == before


@pytest.mark.parametrize("name", ["course_lib/new.py", "course_lib/widgets/new.css", "course_lib/new.mplstyle"])
def test_a_new_source_changes_the_key(root, name):
    before = cache_key(root)
    (root / name).touch()
    assert cache_key(root) != before


def test_a_renamed_source_changes_the_key(root):
    before = cache_key(root)
    (root / "course_lib" / "a.py").rename(root / "course_lib" / "b.py")
    assert cache_key(root) != before


def test_a_page_does_not_change_the_key(root):
    before = cache_key(root)
    (root / "book").mkdir()
    (root / "book" / "page.ipynb").write_text("{}")
    (root / "README.md").write_text("# A course")
    assert cache_key(root) == before


def waits_for_the_other(mine: str, other: str) -> str:
    """A cell that ends only if another page's cell runs at the same time."""
    return f"""\
import pathlib, time
pathlib.Path("../{mine}").touch()
end = time.monotonic() + 60
while not pathlib.Path("../{other}").exists():
    assert time.monotonic() < end, "the other page does not run"
    time.sleep(0.05)
print("both ran")"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
def test_pages_are_executed_side_by_side(tiny_book):
    tiny_book.add("other", waits_for_the_other("other", "page"))
    built = tiny_book.build(waits_for_the_other("page", "other"))
    assert built.returncode == 0, built.stderr
    assert all(
        "both ran" in html.read_text("utf8") for html in (tiny_book.html, tiny_book.html.with_name("other.html"))
    )


def test_of_two_pages_the_one_that_raises_is_reported(tiny_book):
    tiny_book.add("other", "1 / 0")
    built = tiny_book.build("print(1)")
    assert built.returncode != 0
    assert "other.ipynb" in built.stderr and "ZeroDivisionError" in built.stderr
