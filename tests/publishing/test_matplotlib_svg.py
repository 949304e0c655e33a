"""matplotlib's drawings stand in the page: nothing of them reaches the rest of the page, and they follow its theme."""

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib.figure import Figure

import course_lib.experiments
from course_lib.formulas import CATALOG, color
from course_lib.publishing.matplotlib_svg import LARGEST, THEME, inline, is_matplotlib

STYLE = Path(course_lib.experiments.__file__).with_name("course.mplstyle")


def draw(points: int = 5, colors=()) -> str:
    """A plot by matplotlib in the course's style: a line, a marker with a clip path, a legend, an image."""
    with matplotlib.rc_context(fname=STYLE):
        figure = Figure()
        axes = figure.subplots()
        axes.plot(range(points), label="loss & co")
        axes.scatter(range(points), range(points), marker="x", color="#123456")
        for line in colors:
            axes.plot(range(points), color=line)
        axes.legend()
        out = io.StringIO()
        figure.savefig(out, format="svg")
    return out.getvalue()


@pytest.fixture(scope="module")
def page_element() -> str:
    return inline(draw(), 'The "loss" & its <trend>.')


def test_it_is_an_html_element_with_a_text_alternative(page_element):
    root = ElementTree.fromstring(page_element)
    assert root.tag == "svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'The "loss" & its <trend>.'


def test_nothing_of_it_reaches_the_rest_of_the_page(page_element):
    assert "<style" not in page_element
    assert "metadata" not in page_element and "xmlns" not in page_element and "ns0" not in page_element


def test_every_id_is_used_and_every_reference_has_its_id(page_element):
    ids = re.findall(r' id="([^"]+)"', page_element)
    references = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', page_element))
    assert ids and len(ids) == len(set(ids))
    assert references == set(ids)


def test_two_plots_of_a_page_share_no_id(page_element):
    other = inline(draw(points=6), "another")
    assert not set(re.findall(r' id="([^"]+)"', page_element)) & set(re.findall(r' id="([^"]+)"', other))


def test_text_lines_and_paper_follow_the_theme_and_data_keeps_its_color(page_element):
    for variable in ("text-base", "background", "border", "text-muted"):
        assert f"var(--pst-color-{variable}," in page_element
    assert "#123456" in page_element
    without = re.sub(r"var\([^)]*\)", "", page_element)
    assert not re.search(r"#(000000|ffffff|cccccc|666666)", without)


def test_a_rules_color_follows_the_theme_as_in_the_figures():
    """A line in its color gets its variable; where rules share a color, it is the same variable on any page."""
    for rule in CATALOG:
        element = inline(draw(colors=[color(rule)]), "alt")
        shared = next(name for name, x in CATALOG.items() if x.color == color(rule))
        expected = f"var(--cf-rule-{shared}, {color(rule)})" if color(rule) != "#000000" else THEME["#000000"]
        assert f"stroke: {expected}" in element
        assert color(shared, dark=True) == color(rule, dark=True)


def test_only_small_drawings_by_matplotlib_stand_in_the_page():
    assert is_matplotlib(draw())
    assert not is_matplotlib('<svg xmlns="http://www.w3.org/2000/svg"/>')
    assert not is_matplotlib(draw() + " " * LARGEST)


def test_the_same_plot_has_the_same_bytes():
    first, second = draw(), draw()
    assert first != second  # the time of the drawing is in them
    assert inline(first, "alt") == inline(second, "alt")


def test_the_style_can_be_used_by_name():
    with matplotlib.style.context("course_lib.experiments.course"):
        assert matplotlib.rcParams["svg.hashsalt"] == "course"
