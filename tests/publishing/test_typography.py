"""Formulas and the punctuation beside them stay on one line."""

import re

import pytest
from docutils import nodes
from docutils.utils import new_document

from course_lib.publishing.typography import keep_punctuation


def paragraph(*parts: str) -> nodes.document:
    """A document of one paragraph, in which $…$ is a formula."""
    document = new_document("page")
    document += nodes.paragraph()
    document[0] += [nodes.math(text=part[1:-1]) if part.startswith("$") else nodes.Text(part) for part in parts]
    return document


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        (["with ", "$x$", ", and ", "$y$", "."], ["x,", "y."]),
        (["climbs (", "$x$", ")."], ["(x)."]),
        (["at ", "$x$", " it ends"], []),
        (["$x$"], []),
        (["(", "$x$", " and ", "$y$", ")"], ["(x", "y)"]),
        (["both ", "$x$", "$y$", ":"], ["y:"]),
    ],
)
def test_what_stands_beside_a_formula_stays_with_it(parts, kept):
    document = paragraph(*parts)
    text = document.astext()
    keep_punctuation(None, document)
    assert document.astext() == text
    assert [node.astext() for node in document.findall(nodes.inline)] == kept
    assert len(list(document.findall(nodes.math))) == sum(part.startswith("$") for part in parts)


def test_a_built_page_has_it(tiny_book):
    done = tiny_book.build()
    assert done.returncode == 0, done.stderr
    assert re.search(
        r'<span class="course-whole"><span class="math[^>]*>[^<]*x\^2[^<]*</span>\.</span>', tiny_book.html.read_text()
    )
