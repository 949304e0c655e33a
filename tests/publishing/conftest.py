"""A book of one page that builds in seconds, for tests that need pages the course does not have."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(*cells: str | tuple[str, dict]) -> nbformat.NotebookNode:
    """A notebook titled `Page` with these code cells, each its source or its source and its metadata."""
    pairs = [cell if isinstance(cell, tuple) else (cell, {}) for cell in cells]
    code = [nbformat.v4.new_code_cell(source, metadata=metadata) for source, metadata in pairs]
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Page\n\nA square, $x^2$."), *code], metadata={"kernelspec": PYTHON}
    )


class TinyBook:
    """A book in `folder` with the course's own configuration and the page book/page.ipynb."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "book").mkdir()
        shutil.copy(ROOT / "_config.yml", folder)
        for icon in (ROOT / "book").glob("favicon.*"):
            shutil.copy(icon, folder / "book")
        (folder / "_toc.yml").write_text("format: jb-book\nroot: book/page\n")

    def add(self, name: str, *cells: str | tuple[str, dict]) -> None:
        """One more page, book/name.ipynb, with these code cells."""
        with (self.folder / "_toc.yml").open("a") as toc:
            toc.write(f"chapters:\n- file: book/{name}\n")
        nbformat.write(notebook(*cells), self.folder / "book" / f"{name}.ipynb")

    def build(self, *cells: str | tuple[str, dict], **env: str) -> subprocess.CompletedProcess:
        """Builds the page with these code cells as `make book` does, on a machine that is GitHub's only if `env` says so."""
        nbformat.write(notebook(*cells), self.folder / "book" / "page.ipynb")
        command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-W", "--keep-going", "-n", "-q"]
        machine = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
        return subprocess.run(command, cwd=self.folder, env=machine | env, capture_output=True, text=True, timeout=500)

    @property
    def html(self) -> Path:
        """The page as it was built."""
        return self.folder / "_build" / "html" / "book" / "page.html"


@pytest.fixture
def tiny_book(tmp_path) -> TinyBook:
    """An unbuilt TinyBook."""
    return TinyBook(tmp_path)
