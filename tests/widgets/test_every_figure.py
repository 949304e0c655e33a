"""Every figure of the course, the same questions to each: a figure without its own tests, or one that these reject, fails here."""

import inspect

import pytest
from accessibility import violations

import course_lib.widgets as widgets
from course_lib.formulas import gradient_descent, himmelblau, momentum, quadratic
from course_lib.widgets import Descent, Figure, Map, Race
from course_lib.widgets.kit.bundle import FOLDER, scripts

CLASSES = {name: getattr(widgets, name) for name in widgets.__all__ if name != "Figure"}
MAKE = {  # the others need no argument
    "Descent": lambda: Descent([gradient_descent, momentum], quadratic, watch=True),
    "Map": lambda: Map(momentum, himmelblau, x="w0", y="w1", view="minimum", steps=20),
    "Race": lambda: Race([gradient_descent, momentum], [quadratic], steps=100),
}
# Whether each picture has something to see: a line of some length, or a canvas with pixels of more than one color.
EMPTY = """host => [...host.querySelectorAll('svg[aria-label]')].filter((svg) => {
  const lines = [...svg.querySelectorAll('path')].some((path) => (path.getAttribute('d') ?? '').length > 20);
  return !lines && !svg.parentNode.querySelector('canvas');
}).map((svg) => svg.getAttribute('aria-label'))"""


# Words that are too small to read, and words that the edge of the page cuts off.
SMALL = """host => [...host.querySelectorAll('.cf *')].filter((node) => [...node.childNodes].some((text) => text.nodeType === 3 && text.data.trim())
  && node.getClientRects().length && parseFloat(getComputedStyle(node).fontSize) < 12).map((node) => node.textContent)"""
CUT = """host => [...host.querySelectorAll('svg text')].filter((node) => {
  const box = node.getBoundingClientRect();
  return box.width > 0 && (box.left < 0 || box.right > document.documentElement.clientWidth);
}).map((node) => node.textContent)"""


@pytest.fixture(scope="module")
def tests_of_figures() -> dict[str, str]:
    folder = FOLDER.parents[1] / "tests" / "widgets" / "figures"
    return {path.stem: path.read_text("utf8") for path in folder.rglob("test_*_in_browser.py")}


def test_a_figure_is_a_pair_of_files_and_can_be_imported():
    modules = {cls.__module__.rpartition(".")[2] for cls in CLASSES.values()}
    assert modules == set(scripts())
    assert all(issubclass(cls, Figure) for cls in CLASSES.values())


@pytest.mark.parametrize("name", CLASSES)
def test_a_figure_has_tests_of_its_own_in_a_browser(name, tests_of_figures):
    file = f"test_{CLASSES[name].__module__.rpartition('.')[2]}_in_browser"
    assert file in tests_of_figures, f"{name} has no tests/widgets/figures/{file}.py"
    assert f"{name}(" in tests_of_figures[file], f"{file}.py shows no {name}"


@pytest.mark.parametrize("name", CLASSES)
def test_a_figure_is_drawn_and_accessible(name, show):
    figure = show(MAKE.get(name, CLASSES[name])()).figures[0]
    assert figure.page.evaluate("() => document.fonts.ready.then(() => true)")
    assert figure.host.evaluate(EMPTY) == []
    assert violations(figure.page, ".course-figure") == []
    inside = figure.host.locator("[role=img] [tabindex], [role=img] button, [role=img] input")
    assert inside.count() == 0  # what lies inside an image is announced to nobody
    assert figure.host.evaluate(SMALL) == []
    words = figure.host.inner_text()
    for code in figure.host.locator("pre, code").all_inner_texts():
        words = words.replace(code, "")
    assert "_" not in words, "a name of Python stands in the page"
    rings = figure.host.locator("[role=slider]").all()
    assert [ring.get_attribute("aria-label") for ring in rings if not ring.get_attribute("aria-valuetext")] == []


@pytest.mark.parametrize("name", CLASSES)
def test_nothing_is_cut_off_on_a_phone(name, show):
    figure = show(MAKE.get(name, CLASSES[name])(), viewport={"width": 390, "height": 844}).figures[0]
    assert figure.host.evaluate(CUT) == []
    assert figure.host.evaluate(SMALL) == []
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("name", CLASSES)
def test_a_figure_says_what_it_shows(name):
    fig = MAKE.get(name, CLASSES[name])()
    assert fig.alt.endswith(".") and len(fig.alt) > 40
    assert inspect.getdoc(CLASSES[name]).count(f"{name}(") >= 1, "the docstring shows how to make one"
