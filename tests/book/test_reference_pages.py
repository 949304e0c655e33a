"""The reference pages: each slide has its section, each erratum its page and its test, and none is missing."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
REFERENCE = BOOK / "reference"
LINK = re.compile(r"\[([^\]]+)\]\(\.\./(\w+/\w+)\.ipynb\)")


def text(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


ERRATUM = re.compile(r"\*\*Slides? (.+?)\.\*\* (.+?)\\\n\*\*Right:\*\* (.+?)\\\n(\[.+?\)), shown by `(\w+)`")


def slides():
    """The rows of the map: slide, subject, page, section."""
    return re.findall(
        r"^\| (\d+) \| (.+?) \| (\[.+?\)): (.+?) \|$", text(REFERENCE / "lecture_map.ipynb"), re.MULTILINE
    )


def errata():
    """Of each erratum: the slides, what they say, what is right, the page, the test."""
    found = ERRATUM.findall(text(REFERENCE / "errata.ipynb"))
    assert len(found) == text(REFERENCE / "errata.ipynb").count("**Right:**")
    return found


def linked(cell):
    """The title and the path of the page that a cell links to."""
    (match,) = LINK.findall(cell)
    return match[0], BOOK / f"{match[1]}.ipynb"


def title(path):
    return re.match(r"# (.+)", text(path)).group(1)


MAP = [pytest.param(row, id=f"slide {row[0]}") for row in slides()]
ERRATA = [pytest.param(row, id=f"{row[0]}-{row[4]}") for row in errata()]


def test_every_slide_has_its_row():
    assert [int(row[0]) for row in slides()] == list(range(3, 64))


@pytest.mark.parametrize("row", MAP)
def test_a_slide_s_section_is_on_its_page(row):
    _, _, page, section = row
    name, path = linked(page)
    assert name == title(path)
    assert f"## {section}" in text(path).split("\n")


@pytest.mark.parametrize("row", ERRATA)
def test_an_erratum_is_told_on_its_page_and_shown_by_a_test(row):
    slides, _, _, page, test = row
    name, path = linked(page)
    assert name == title(path)
    assert all(re.search(rf"\bslides?\b[^.]*?\b{slide}\b", text(path), re.IGNORECASE) for slide in slides.split(", "))
    written = [
        file for file in (ROOT / "tests").rglob("test_*.py") if f"def {test}(" in file.read_text(encoding="utf-8")
    ]
    assert len(written) == 1, f"{test} stands in {len(written)} files"


def notes():
    """The slides that each page's lecture notes name, as (page, slide)."""
    for path in sorted(BOOK.glob("*/*.ipynb")):
        for note in re.findall(r"\*\*Lecture note\.\*\*(.*?)(?=\n\n|\Z)", text(path), re.DOTALL):
            for slide in re.findall(
                r"[Ss]lide (\d+)(?:'s)? (?:sums|calls|writes|says|prints|mixes|expands|leaves)", " ".join(note.split())
            ):
                yield pytest.param(path, int(slide), id=f"{path.stem}-{slide}")


@pytest.mark.parametrize("path, slide", sorted(set(notes()), key=lambda p: p.id))
def test_every_lecture_note_that_corrects_a_slide_is_listed(path, slide):
    listed = {(linked(row[3])[1], int(number)) for row in errata() for number in row[0].split(", ")}
    assert (path, slide) in listed
