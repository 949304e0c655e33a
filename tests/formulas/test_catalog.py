"""The catalog: what follows from it is there, and the colors can be told apart and read in both themes."""

import inspect
import itertools
import math
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


# CIEDE2000, where 1 is what an eye can just see: rules that stand side by side on a page, in one theme and across both
SIDE_BY_SIDE = [("gradient_descent", "rmsprop"), ("adam", "adamw"), ("adam_l2", "adamw"), ("momentum_l2", "sgdw")]


def ciede2000(one, other):
    """Sharma, Wu and Dalal (2005)."""
    (l1, a1, b1), (l2, a2, b2) = lab(one), lab(other)
    mean = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - math.sqrt(mean**7 / (mean**7 + 25**7)))
    c1, c2 = math.hypot(stretch * a1, b1), math.hypot(stretch * a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    chroma, hue, light = (c1 + c2) / 2, (h1 + turn / 2) % 360, (l1 + l2) / 2
    cos = lambda degrees: math.cos(math.radians(degrees))
    weight = 1 - 0.17 * cos(hue - 30) + 0.24 * cos(2 * hue) + 0.32 * cos(3 * hue + 6) - 0.2 * cos(4 * hue - 63)
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / math.sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2)) / (1 + 0.015 * chroma * weight)
    turned = 60 * math.exp(-(((hue - 275) / 25) ** 2))
    return math.sqrt(
        dl**2 + dc**2 + dh**2
        - 2 * math.sqrt(chroma**7 / (chroma**7 + 25**7)) * math.sin(math.radians(turned)) * dc * dh
    )  # fmt: skip


def test_the_measure_of_colors_is_the_published_one():
    """Pure white, black and red against what the paper's formula gives elsewhere."""
    assert ciede2000("#ffffff", "#000000") == pytest.approx(100, abs=0.1)
    assert ciede2000("#ff0000", "#00ff00") == pytest.approx(86.6, abs=0.2)
    assert ciede2000("#0072b2", "#0072b2") == 0


@pytest.mark.parametrize("pair", SIDE_BY_SIDE, ids=" and ".join)
@pytest.mark.parametrize("themes", [(False, False), (True, True), (True, False)], ids=["light", "dark", "across"])
def test_rules_that_stand_side_by_side_are_told_apart(pair, themes):
    """Across: in the dark gradient descent must not wear what RMSprop wears in the light."""
    one, other = (color(name, dark=dark) for name, dark in zip(pair, themes, strict=True))
    assert ciede2000(one, other) > 12
    assert ciede2000(one, other) > 15 or pair != ("gradient_descent", "rmsprop")


def test_a_color_keeps_its_hue_in_the_dark():
    """To within 20 degrees of hue, for colors that have one."""
    hue = lambda hexadecimal: math.degrees(math.atan2(*reversed(lab(hexadecimal)[1:])))
    pairs = {name: (color(name), color(name, dark=True)) for name in CATALOG}
    turned = {
        name: abs((hue(light) - hue(dark) + 180) % 360 - 180)
        for name, (light, dark) in pairs.items()
        if math.hypot(*lab(light)[1:]) > 5
    }
    assert {name: x for name, x in turned.items() if x > 20} == {}
