"""What a browser would get wrong in a line of text."""

import re

from docutils import nodes

OPENING, CLOSING = re.compile(r"[(\[“‘]+$"), re.compile(r"^[.,;:!?)\]”’…]+")


def keep_punctuation(app, doctree) -> None:
    """Keeps a formula and the punctuation beside it on one line (Sphinx event doctree-read).

    To a browser a formula is a box, and a line may break beside it: a comma would begin the next line.
    """
    for formula in list(doctree.findall(nodes.math)):
        parent = formula.parent
        place = parent.index(formula)
        opening = _take(parent, place - 1, OPENING)
        closing = _take(parent, place + 1, CLOSING)
        if opening or closing:
            whole = nodes.inline(classes=["course-whole"])
            parent[place] = whole
            whole += [nodes.Text(opening), formula, nodes.Text(closing)]


def _take(parent, place: int, pattern: re.Pattern) -> str:
    """The part of the text at this place that matches, taken out of it; nothing where there is no text."""
    if not 0 <= place < len(parent) or not isinstance(parent[place], nodes.Text):
        return ""
    found = pattern.search(parent[place])
    if not found:
        return ""
    parent[place] = nodes.Text(parent[place][: found.start()] + parent[place][found.end() :])
    return found[0]
