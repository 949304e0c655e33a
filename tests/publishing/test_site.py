"""The published folder: everything a reader needs, with notebooks that find the library wherever the folder is served."""

import zipfile

import nbformat
import pytest

from course_lib.publishing.notebooks import set_up_cell
from course_lib.publishing.site import ROOT, build_wheel, write_site


def source(notebook) -> str:
    return nbformat.read(notebook, as_version=4).cells[0].source


def test_the_wheel_is_small_and_whole_and_its_sources_are_left_alone(tmp_path):
    before = set(ROOT.iterdir())
    wheel = build_wheel(tmp_path)
    assert set(ROOT.iterdir()) == before
    assert (
        wheel.stat().st_size < 1.5 * 1024**2
    )  # a third of it are the records that pages draw: Part III has half as many again
    names = zipfile.ZipFile(wheel).namelist()
    modules = {f"{path.relative_to(ROOT)}" for path in (ROOT / "course_lib").rglob("*.py")}
    assert modules <= set(names)
    for name in (
        "widgets/figures/descent.js",
        "widgets/figures/maps/map.js",
        "widgets/kit/vendor/d3.js",
        "widgets/kit/figure.css",
        "publishing/mount.js",
        "experiments/course.mplstyle",
    ):
        assert f"course_lib/{name}" in names
    assert not [name for name in names if "mathjax" in name or name.startswith("tests")]


def test_the_set_up_cell_is_short_and_says_what_it_installs():
    cell = set_up_cell("https://teacher.github.io/course/course_lib-0.1.0-py3-none-any.whl")
    assert len(cell.source.splitlines()) <= 8
    (install,) = [line.strip() for line in cell.source.splitlines() if "%pip" in line]
    assert install.startswith(
        "%pip install -q --no-deps https://teacher.github.io/course/course_lib-0.1.0-py3-none-any.whl anywidget=="
    )
    assert "psygnal==" in install
    assert cell.metadata.tags == ["nbval-ignore-output"]


def test_the_site_of_a_book(tiny_book, tmp_path, monkeypatch):
    for name in ("GITHUB_REPOSITORY", "COURSE_SITE"):
        monkeypatch.delenv(name, raising=False)
    out = tmp_path / "site"
    with pytest.raises(FileNotFoundError, match="Build it first: make book"):
        write_site(out, tiny_book.folder)
    assert tiny_book.build("print(6 * 7)").returncode == 0
    original = nbformat.read(tiny_book.folder / "book" / "page.ipynb", as_version=4)
    original.cells[1].execution_count = 1
    original.cells[1].outputs = [nbformat.v4.new_output("stream", text="42\n")]
    nbformat.write(original, tiny_book.folder / "book" / "page.ipynb")

    wheel = write_site(out, tiny_book.folder)
    assert (out / "index.html").exists() and (out / "book" / "page.html").exists() and (out / ".nojekyll").exists()
    published = nbformat.read(out / "notebooks" / "page.ipynb", as_version=4)
    nbformat.validate(published)
    assert published.cells[1:] == original.cells  # the outputs too
    assert f"--no-deps ../{wheel.name} " in source(out / "notebooks" / "page.ipynb")
    assert f"--no-deps ../../{wheel.name} " in source(out / "_sources" / "book" / "page.ipynb")

    (out / "notebooks" / "old.ipynb").touch()
    monkeypatch.setenv("GITHUB_REPOSITORY", "forker/my-course")
    write_site(out, tiny_book.folder)
    assert f"--no-deps https://forker.github.io/my-course/{wheel.name} " in source(out / "notebooks" / "page.ipynb")
    assert not (out / "notebooks" / "old.ipynb").exists()


def test_a_folder_that_is_no_site_is_left_alone(tiny_book):
    thesis, html = tiny_book.folder / "thesis" / "thesis.txt", tiny_book.folder / "_build" / "html"
    for folder in (thesis.parent, html):
        folder.mkdir(parents=True)
    (html / "index.html").touch()
    thesis.write_text("do not lose")
    with pytest.raises(ValueError, match="is neither empty nor an older site"):
        write_site(thesis.parent, tiny_book.folder)
    assert thesis.read_text() == "do not lose"
