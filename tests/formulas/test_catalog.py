"""The catalog: what follows from it is there, and the colors can be told apart and read in both themes."""

import inspect
import itertools
import re

import pytest

import course_lib.formulas
from course_lib.formulas import CATALOG, RULES, adam, color
from course_lib.formulas.catalog import GROUPS
from course_lib.formulas.entry import HEADINGS, Entry

RACED = [rule.__name__ for group in GROUPS.values() for rule in group]
DARK_PAGE, LIGHT_PAGE = "#121212", "#ffffff"
APART = 12  # in CIELAB, where 2 is what an eye can just see
LEGIBLE = {False: 2.0, True: 4.5}  # contrast on a light page, where lines are thick and labeled, and on a dark one


def linear(hexadecimal):
    values = [int(hexadecimal[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in values]


def luminance(hexadecimal):
    red, green, blue = linear(hexadecimal)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def lab(hexadecimal):
    red, green, blue = linear(hexadecimal)
    x, y, z = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047,
        luminance(hexadecimal),
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883,
    )
    f = lambda t: t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116
    return 116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))


def distance(one, other):
    return sum((a - b) ** 2 for a, b in zip(lab(one), lab(other))) ** 0.5


def test_every_rule_is_exported():
    assert [name for name in CATALOG if name not in course_lib.formulas.__all__] == []
    scope = {}
    exec("from course_lib.formulas import *", scope)
    assert [name for name in course_lib.formulas.__all__ if name not in scope] == []


def test_a_printed_rule_fits_the_page():
    sources = {name: inspect.getsource(rule) for name, rule in RULES.items()}
    assert [(name, line) for name, text in sources.items() for line in text.splitlines() if len(line) > 80] == []
    assert [name for name, text in sources.items() if not text.startswith(f"def {name}(")] == []


def test_the_races_headings():
    assert list(GROUPS) == list(HEADINGS) and [heading for heading in HEADINGS if not GROUPS[heading]] == []
    with pytest.raises(ValueError, match="^Mine's group must be one of first order, .*; got 'first'.$"):
        Entry("Mine", "#000000", dark="#ffffff", group="first")


def test_the_color_of_a_rule():
    assert color(adam) == color("adam") == CATALOG["adam"].color and color(adam, dark=True) == CATALOG["adam"].dark
    with pytest.raises(ValueError, match="^mine has no color in the catalog. These have one: gradient_descent, "):
        color("mine")


@pytest.mark.parametrize("dark", [False, True])
def test_every_color_is_legible(dark):
    page = DARK_PAGE if dark else LIGHT_PAGE
    assert [name for name in CATALOG if not re.fullmatch("#[0-9a-f]{6}", color(name, dark=dark))] == []
    assert {
        name: round(contrast(color(name, dark=dark), page), 1)
        for name in CATALOG
        if contrast(color(name, dark=dark), page) < LEGIBLE[dark]
    } == {}


@pytest.mark.parametrize("dark", [False, True])
def test_the_colors_of_rules_that_race_are_apart(dark):
    pairs = itertools.combinations(RACED, 2)
    found = {(a, b): distance(color(a, dark=dark), color(b, dark=dark)) for a, b in pairs}
    assert {pair: x for pair, x in found.items() if x < APART} == {}


def test_which_rules_share_a_color():
    """A rule in PyTorch's spelling, or on the loss with an L2 term, keeps its color, in both themes."""
    names = lambda key: {frozenset(n for n in CATALOG if key(n) == x) for x in map(key, CATALOG)}
    shared = {group for group in names(color) if len(group) > 1}
    assert shared == {frozenset({"momentum", "sgd", "momentum_l2", "sgd_l2"}), frozenset({"adam", "adam_l2"})}
    assert names(color) == names(lambda name: color(name, dark=True))
