"""Stored outputs of the pages are reused exactly as long as nothing changed that could change them."""

import os

import nbformat
import pytest

from course_lib.publishing.execution_cache import ExecutionCache, cache_key

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


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
    pages = (tiny_book.html, tiny_book.html.with_name("other.html"))
    assert [html.name for html in pages if "both ran" not in html.read_text("utf8")] == []


COUNT = 'with open("../runs", "a") as runs:\n    print(1, file=runs)'


def test_a_page_that_fails_says_where_and_is_executed_once_and_again_until_it_runs(tiny_book):
    runs = tiny_book.folder / "runs"
    tiny_book.add("other", "x = 1", f"{COUNT}\nadamm")
    for times in (1, 2):  # a build without a change, too: what failed is not done
        built = tiny_book.build("print(1)")
        assert built.returncode != 0
        assert "other.ipynb" in built.stderr and "code cell 2 of 2 does not run" in built.stderr
        assert "    adamm\n\nNameError: name 'adamm' is not defined" in built.stderr
        assert len(runs.read_text().splitlines()) == times
    assert "NameError" in tiny_book.html.with_name("other.html").read_text("utf8")  # the page is there to be looked at
    assert list(tiny_book.folder.glob("_build/html/**/*.log")) == []

    tiny_book.add("third", COUNT)
    (tiny_book.folder / "book" / "other.ipynb").unlink()
    toc = tiny_book.folder / "_toc.yml"
    toc.write_text(toc.read_text().replace("- file: book/other\n", ""))
    for _ in range(2):  # the second time nothing is executed
        built = tiny_book.build("print(1)")
        assert built.returncode == 0, built.stderr
        assert len(runs.read_text().splitlines()) == 3


def test_a_text_that_changed_executes_nothing(tmp_path):
    runs, path = tmp_path / "runs", tmp_path / "page.ipynb"
    cell = nbformat.v4.new_code_cell('open("runs", "a").write("1")')
    for text in ("# One title", "# Another title"):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text), cell], metadata=PYTHON)
        nbformat.write(book, path)
        cache = ExecutionCache(tmp_path, tmp_path / "build")
        assert cache.execute([path], timeout=100) == {}
        assert [cell.source for cell in cache.executed(path).cells][0] == text
        assert cache.executed(path).cells[1].outputs[0].data == {"text/plain": "1"}
    assert runs.read_text() == "1"
