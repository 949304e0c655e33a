"""The book's sources: one file that looks right in the book, Jupyter, Colab, VS Code and on GitHub."""

import re
from pathlib import Path

import nbformat
import pytest
import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
PAGES = sorted(
    path
    for path in BOOK.rglob("*")
    if path.suffix in (".ipynb", ".md") and not path.is_relative_to(BOOK / ".ipynb_checkpoints")
)
NOTEBOOKS = [pytest.param(path, id=str(path.relative_to(BOOK))) for path in PAGES if path.suffix == ".ipynb"]
LONGEST_CELL = 25
MARK = "# NBVAL_CHECK_OUTPUT"
MARKDOWN = MarkdownIt("commonmark").enable("table")


def read(path):
    return nbformat.read(path, as_version=4)


def cells(path, kind):
    return [cell for cell in read(path).cells if cell.cell_type == kind]


def tokens(path):
    """Everything in the page's texts as Markdown reads them, what stands inside a line too."""
    for cell in cells(path, "markdown"):
        for token in MARKDOWN.parse(cell.source):
            yield from (token, *(token.children or ()))


def in_toc(entry) -> list[str]:
    """The files that a part of _toc.yml names."""
    if isinstance(entry, list):
        return [name for part in entry for name in in_toc(part)]
    own = [entry[key] for key in ("root", "file") if key in entry]
    return own + [name for key in ("parts", "chapters", "sections") for name in in_toc(entry.get(key, []))]


def test_every_page_stands_in_the_table_of_contents_once():
    named = in_toc(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    assert sorted(named) == [str(path.relative_to(ROOT).with_suffix("")) for path in PAGES]


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_the_format_is_valid(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_outputs_are_stripped_where_nbval_does_not_compare_them(path):
    for cell in cells(path, "code"):
        if MARK in cell.source.splitlines():
            assert {output.output_type for output in cell.outputs} == {"stream"}, "what is compared is short text"
        else:
            assert cell.outputs == [] and cell.execution_count is None, cell.source


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_code_cells_are_short(path):
    long = [cell.source for cell in cells(path, "code") if len(cell.source.splitlines()) > LONGEST_CELL]
    assert long == []


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_no_markup_that_the_book_alone_understands(path):
    last = None
    for token in tokens(path):
        if token.type == "fence":
            assert not token.info.startswith("{"), f"a directive: {token.info}"
        elif token.type == "text":
            assert not re.match(r":::|\(\w[\w-]*\)=$", token.content), f"a directive or a target: {token.content}"
        elif token.type == "code_inline" and last.type == "text":
            assert not re.search(r"\{[a-z][a-z:-]*\}$", last.content), f"a role: {last.content}`{token.content}`"
        last = token


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_one_title_and_no_skipped_level(path):
    levels = [int(token.tag[1]) for token in tokens(path) if token.type == "heading_open"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert [(a, b) for a, b in zip(levels, levels[1:], strict=False) if b > a + 1] == []


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_pictures_have_a_text_alternative(path):
    for token in tokens(path):
        if token.type == "image":
            assert token.content.strip(), token.attrs["src"]
        for tag in re.findall(r"<img[^>]*>", token.content if token.type.startswith("html") else ""):
            assert re.search(r'alt="[^"]+"', tag), tag


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_what_is_folded_opens_everywhere(path):
    """Markdown inside <details> is read as Markdown only after an empty line, and before one at the end."""
    for cell in cells(path, "markdown"):
        lines = cell.source.splitlines()
        opened = [k for k, line in enumerate(lines) if line.startswith("<details")]
        assert len(opened) == cell.source.count("<details") == cell.source.count("</details>")
        for k in opened:
            assert re.fullmatch(r"<summary>.+</summary>", lines[k + 1])
            assert lines[k + 2] == ""
        for k in (k for k, line in enumerate(lines) if "</details>" in line):
            assert lines[k] == "</details>" and lines[k - 1] == ""
