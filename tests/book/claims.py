"""Sentences of the pages bound to what was measured: the number in the prose is read, and compared with the record.

    page = Page("optimizers/rprop")

    @page.claim("With the usual 1.2 and 0.5 a digit costs {} steps, whatever the curvature.")
    def test_the_pace():
        return recorded("rprop_pace")["steps_a_digit"][:, 0]

The sentence must stand on the page, word for word, with a number in place of each `{}`. Each number must be what the function
returns for it, rounded to the digits that stand there. A function may take the page, for `page.figure(0)` and the like.

What it returns for a `{}`:
    a number                  it must round to the one on the page
    a vector over seeds       its median must, and the last digit on the page must not be finer than a fifth of the range
    Below(x), Above(x)        every one of the values x lies below, above the number on the page, and some come near it
    About(x)                  it rounds to the page's number when that number's zeros at the end do not count
"""

import ast
import copy
import functools
import inspect
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
import torch

from course_lib import widgets
from course_lib.widgets import Figure

BOOK = Path(__file__).parents[2] / "book"
WORDS = dict(zip("zero one two three four five six seven eight nine ten eleven twelve".split(), range(13), strict=True))
WORDS |= {"half": 0.5, "twice": 2, "twenty": 20, "thirty": 30, "hundred": 100, "thousand": 1000, "million": 10**6}
DECIMAL = r"\d+(?:,\d{3})*(?:\.\d+)?"
POWER = r"10\^(?:\{\s*[-−]?\d+\s*\}|\d)"
NUMBER = rf"[-−+]?(?:{DECIMAL}\s*\\times\s*{POWER}|{POWER}|{DECIMAL})(?:\s?\\?%)?"
FIELD = rf"\$?(?:{NUMBER})\$?|\b(?:{'|'.join(WORDS)})\b"
FINEST = 5  # units of the last digit in the range over the seeds, at most
NOTICED = 0.9  # of the numbers on a page


@dataclass(frozen=True)
class Stated:
    """A number as it stands on a page: its value, and the worth of one unit in its last digit."""

    text: str
    value: float
    unit: float
    coarse: float  # the unit, if zeros at the end do not count

    @classmethod
    def read(cls, text: str) -> "Stated":
        """The number in a text that FIELD matches."""
        plain = text.strip("$ ").replace("−", "-").replace("+", "").replace("\\", "").lower()
        if plain in WORDS:
            return cls(text, WORDS[plain], 1.0 if WORDS[plain] >= 1 else 0.1, 1.0)
        scale = 0.01 if plain.endswith("%") else 1.0
        plain = plain.rstrip("% ")
        if power := re.search(r"10\^\{?\s*(-?\d+)", plain):
            scale *= 10.0 ** int(power[1])
            plain = re.sub(r"\s*(times)?\s*10\^.*", "", plain)
            if plain in ("", "-"):  # a power of ten alone states the order of magnitude
                return cls(text, scale if plain == "" else -scale, math.nan, math.nan)
        digits = plain.replace(",", "")
        unit = 10.0 ** -len(digits.partition(".")[2])
        zeros = 0 if "." in digits else len(digits) - len(digits.rstrip("0")) if digits.strip("-0") else 0
        return cls(text, float(digits) * scale, unit * scale, unit * scale * 10**zeros)

    def states(self, value: float, unit: float | None = None) -> bool:
        """Whether `value` rounds to this number; to the order of magnitude where it is a power of ten alone."""
        if math.isnan(self.unit):
            return value * self.value > 0 and abs(math.log10(value / self.value)) <= 0.5
        return abs(value - self.value) <= 0.501 * (unit or self.unit)


@dataclass(frozen=True)
class About:
    """A value that a round number stands for: 4,016 for "about 4,000"."""

    value: object

    def agrees(self, stated: Stated) -> bool:
        """Whether it rounds to the stated number, zeros at the end aside."""
        return stated.states(float(torch.as_tensor(self.value, dtype=torch.float64).median()), stated.coarse)


@dataclass(frozen=True)
class Below:
    """Values that all lie below the number on the page, the largest within a unit of it or a half."""

    values: object

    def agrees(self, stated: Stated) -> bool:
        """Whether all are below, and the bound is not idle."""
        largest = torch.as_tensor(self.values, dtype=torch.float64).max().item()
        return largest <= stated.value and (largest >= stated.value - stated.coarse or largest >= stated.value / 2)


@dataclass(frozen=True)
class Above:
    """Values that all lie above the number on the page, the smallest within a unit of it or twice it."""

    values: object

    def agrees(self, stated: Stated) -> bool:
        """Whether all are above, and the bound is not idle."""
        smallest = torch.as_tensor(self.values, dtype=torch.float64).min().item()
        return smallest >= stated.value and (smallest <= stated.value + stated.coarse or smallest <= stated.value * 2)


def agrees(value, stated: Stated) -> bool:
    """Whether what was measured is what stands on the page."""
    if isinstance(value, About | Below | Above):
        return value.agrees(stated)
    values = torch.as_tensor(value, dtype=torch.float64)
    return stated.states(values.median().item())


def too_fine(value, stated: Stated) -> bool:
    """Whether the page gives more digits than the seeds agree on."""
    if isinstance(value, About | Below | Above) or math.isnan(stated.unit):
        return False
    values = torch.as_tensor(value, dtype=torch.float64)
    return values.dim() == 1 and (values.max() - values.min()).item() > FINEST * stated.unit


class Page:
    """A page of the book, and the claims about it."""

    def __init__(self, name: str, notebook: nbformat.NotebookNode | None = None):
        self.name = name
        self.notebook = notebook or nbformat.read(BOOK / f"{name}.ipynb", as_version=4)
        self.claims: list[tuple[tuple[str, ...], Callable]] = []

    @functools.cached_property
    def text(self) -> str:
        """Everything that a reader reads: the prose, and the pictures' text alternatives. Each gap is one space."""
        return " ".join(" ".join(text.split()) for _, text in texts(self.notebook))

    def claim(self, *sentences: str) -> Callable:
        """Bind sentences to the function below, which returns a value for each `{}` in them, in order."""

        def bind(measure: Callable) -> Callable:
            self.claims.append((sentences, measure))
            result = functools.cache(lambda: self._values(measure))
            measure.cached = result

            def test():
                check(self, sentences, result())

            test.__doc__ = measure.__doc__
            return test

        return bind

    def _values(self, measure: Callable) -> tuple:
        values = measure(self) if takes_page(measure) else measure()
        return () if values is None else values if isinstance(values, tuple) else (values,)

    def figure(self, k: int = 0) -> Figure:
        """A new instance of the page's k-th figure, as its cell makes it."""
        calls = [
            (cell, node) for cell in code(self.notebook) for node in ast.walk(ast.parse(cell)) if makes_figure(node)
        ]
        if k >= len(calls):
            raise ValueError(f"{self.name} has {len(calls)} figures, and none with the number {k}.")
        cell, call = calls[k]
        names: dict = {}
        exec("\n".join(definitions(self.notebook, cell)), names)
        return eval(ast.unparse(call), names)

    def notices(self, changed: nbformat.NotebookNode) -> bool:
        """Whether a claim fails on a changed copy of this page."""
        copied = Page(self.name, changed)
        for sentences, measure in self.claims:
            try:
                check(copied, sentences, measure.cached())
                if takes_page(measure) and code(changed) != code(self.notebook):
                    check(copied, sentences, copied._values(measure))
            except Exception:  # a figure that can't be made any more has noticed, too
                return True
        return False

    def test_of_numbers(self) -> Callable:
        """A test that changes each number of the page in a copy, and asks that a claim notices nine in ten."""

        @pytest.mark.timeout(600)
        def test():
            for sentences, measure in self.claims:  # one that fails anyway would notice everything
                check(self, sentences, measure.cached())
            changes = list(changed_numbers(self.notebook))
            unnoticed = [what for what, copied in changes if not self.notices(copied)]
            share = 1 - len(unnoticed) / max(len(changes), 1)
            shown = "\n".join(unnoticed)
            assert share >= NOTICED, f"{share:.0%} of {len(changes)} changed numbers are noticed. Not these:\n{shown}"

        return test


def takes_page(measure: Callable) -> bool:
    """Whether a claim looks at the page's figures, so that it depends on the page's code."""
    return bool(inspect.signature(measure).parameters)


def check(page: Page, sentences: tuple[str, ...], values: tuple) -> None:
    """Assert that the sentences stand on the page with these values."""
    stated = [(number, sentence) for sentence in sentences for number in find(page, sentence)]
    assert len(stated) == len(values), f"{len(values)} values for {len(stated)} numbers in: {' … '.join(sentences)}"
    for (number, sentence), value in zip(stated, values, strict=True):
        assert agrees(value, number), f"{page.name} says {number.text}, measured: {value}. In: {sentence}"
        assert not too_fine(value, number), (
            f"{number.text} has more digits than the seeds agree on: {value}. In: {sentence}"
        )


def find(page: Page, sentence: str) -> list[Stated]:
    """The numbers that stand in the sentence's fields; it must stand on the page exactly once."""
    words = " ".join(sentence.split())
    pattern = f"({FIELD})".join(re.escape(part) for part in words.split("{}"))
    matches = [*re.finditer(pattern, page.text, re.IGNORECASE)]
    assert matches, f"{page.name} does not say: {words}"
    assert len(matches) == 1, f"{page.name} says {len(matches)} times: {words}. Take more of the sentence."
    return [Stated.read(group) for group in matches[0].groups()]


# Reading a page


def texts(notebook) -> Iterator[tuple[int, str]]:
    """Each cell's number and what a reader reads in it."""
    for k, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            yield k, cell.source
        elif alt := cell.metadata.get("mystnb", {}).get("image", {}).get("alt"):
            yield k, alt


def code(notebook) -> list[str]:
    """The sources of the code cells, without IPython's own commands."""
    return [re.sub(r"^[%!].*$", "", c.source, flags=re.MULTILINE) for c in notebook.cells if c.cell_type == "code"]


def makes_figure(node: ast.AST) -> bool:
    """Whether a piece of code calls one of the library's figures."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return False
    kind = getattr(widgets, node.func.id, None)
    return isinstance(kind, type) and issubclass(kind, Figure)


def definitions(notebook, last: str) -> Iterator[str]:
    """Imports, functions and literals of the page, and what the cell `last` assigns before its figure."""
    for source in code(notebook):
        for node in ast.parse(source).body:
            assigns = isinstance(node, ast.Assign) and not any(map(makes_figure, ast.walk(node)))
            named = assigns and all(isinstance(target, ast.Name) for target in node.targets)
            if (
                isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)
                or (assigns and source == last)
                or (named and is_literal(node.value))
            ):
                yield ast.unparse(node)


def is_literal(node: ast.AST) -> bool:
    """Whether an expression is a number, a text, or a collection of such."""
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


# Changing a page

LITERAL = re.compile(rf"(?<![\w.^_{{\\]){DECIMAL}(?!\w)")
SKIPPED = re.compile(
    r"\]\([^)]*\)"  # where a link leads
    r"|^\s*\d+\.\s"  # the number of a point in a list
    r"|`[^`]*`"  # code
    r"|\b[Ss]lides?\s[\d, and–-]+|\((?:1[6-9]|20)\d\d\)|\bin (?:1[6-9]|20)\d\d\b"  # a slide, a year
    r"|\$\$.*?\$\$",  # a derivation, which is no measurement
    re.MULTILINE | re.DOTALL,
)


def changed_numbers(notebook) -> Iterator[tuple[str, nbformat.NotebookNode]]:
    """A copy of the page for each of its numbers, in the prose or in a figure's settings, with another last digit.

    Numbers of one digit are left alone, and so are sources, links, code in the prose and displayed derivations.
    """
    for k, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and re.match(r"#+ Sources", cell.source):
            continue
        for match in _numbers(cell):
            copied = copy.deepcopy(notebook)
            digit = str((int(match[0][-1]) + 3) % 10)
            copied.cells[k].source = cell.source[: match.end() - 1] + digit + cell.source[match.end() :]
            yield f"cell {k}: …{cell.source[max(match.start() - 40, 0) : match.end() + 20]!r}…", copied


def _numbers(cell) -> Iterator[re.Match]:
    if cell.cell_type == "markdown":
        skipped = [m.span() for m in SKIPPED.finditer(cell.source)]
        for match in LITERAL.finditer(cell.source):
            if len(re.sub(r"\D", "", match[0])) > 1 and not any(a <= match.start() < b for a, b in skipped):
                yield match
    elif any(map(makes_figure, ast.walk(ast.parse(cell.source)))):
        yield from (m for m in LITERAL.finditer(cell.source) if len(re.sub(r"\D", "", m[0])) > 1)
