"""The built pages in a browser, as a reader has them: from a server and from the disk, light and dark, wide and narrow."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from accessibility import violations
from figure_reading import Shown, payloads
from figure_reading import show as shown
from visit import Visit

from course_lib.experiments import sweep
from course_lib.experiments.arrivals import ends
from course_lib.formulas import RULES
from course_lib.formulas.ends import DIVERGED
from course_lib.formulas.surfaces import SURFACES
from course_lib.widgets import RateMap
from course_lib.widgets.kit.controls import label

ROOT = Path(__file__).parents[2]
PAGES = ["book/intro", "book/basics/momentum"]  # looked at in detail; every other page is opened, too
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
ALL = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
# What axe finds in the theme, not in what is the course's own.
OF_THE_THEME = (
    "label-content-name-mismatch: <button",
)  # the search button shows "Search Ctrl+K" and is called "Search"
READERS = [("http", "light"), ("file", "dark")]  # each of them toggles the theme, too


@dataclass
class Reading:
    """A page that somebody reads."""

    visit: Visit
    color: str
    payloads: list[dict]

    @property
    def page(self):
        return self.visit.page

    @property
    def figures(self):
        return [Shown(host) for host in self.page.locator(".course-figure").all()]


@pytest.fixture(scope="module")
def address(serve, built_book):
    """The book's address: from a server on this machine, or from the disk."""
    return {"http": serve(built_book), "file": built_book.as_uri()}.__getitem__


@pytest.fixture(scope="module", params=[(name, *reader) for name in PAGES for reader in READERS], ids=" ".join)
def reading(request, open_shared_page, address, built_book):
    """One page for one reader, opened once for all tests, each of which leaves it as a reader could."""
    name, scheme, color = request.param
    visit = open_shared_page(
        f"{address(scheme)}/{name}.html", viewport={"width": 1200, "height": 900}, color_scheme=color
    )
    return Reading(visit, color, payloads((built_book / f"{name}.html").read_text()))


@functools.cache
def run(rule, surface, start: tuple, steps: int, **hyper: float) -> torch.Tensor:
    """The path of one run, (steps + 1, 2), computed once for all readers and tests that meet this setting."""
    return sweep(rule, surface, start, steps, **hyper)[:, 0]


@functools.cache
def rates(**hyper: float) -> tuple[float, float]:
    """What a RateMap predicts and measures at this setting, computed once likewise."""
    there = RateMap(**hyper)
    return there.predicted_rate, there.measured_rate


def hyper(figure: Shown, payload: dict) -> dict[str, float]:
    """The setting that a figure shows: beside the sliders, and for what has none in the page."""
    sliders = {control["name"] for control in payload["state"]["spec"]["controls"]}
    names = payload["state"]["spec"].get("hyper", sliders)
    return {name: figure.value(name) if name in sliders else payload["state"][name] for name in names}


def start(figure: Shown) -> tuple[float, ...]:
    text = figure.ring.get_attribute("aria-valuetext").replace("−", "-")
    return tuple(float(x) for x in re.findall(r"-?[\d.]+", text))


def assert_descent(figure: Shown, payload: dict):
    """The paths and numbers of a Descent are those that `sweep` computes for the setting that it shows."""
    state, setting = payload["state"], hyper(figure, payload)
    surface = next(
        (s for s in SURFACES.values() if state["spec"]["title"].endswith(f" on {label(s.formula.__name__)}")), None
    )
    drawn, results = figure.paths(state["spec"]["domain"]), figure.results()
    for path, of in zip(drawn, state["spec"]["runs"], strict=True):
        rule = next((rule for name, rule in RULES.items() if label(name) == of["label"]), None)
        if not (rule and surface):
            continue  # a reader's own, which the page alone knows
        own = {k: v for k, v in setting.items() if k in rule.__kwdefaults__}
        there = {k: v for k, v in setting.items() if k in (surface.formula.__kwdefaults__ or {})}
        computed = run(rule, surface.formula, start(figure), state["steps"], **own, **there)
        assert path == pytest.approx(computed[: len(path)].float(), abs=0.06 * figure.pixel(state["spec"]["domain"]))
        number, when = results[of["label"]]
        if number != "diverged":
            assert len(path) == state["steps"] + 1
            assert number == shown(surface.formula(computed[-1], **there).item())
        else:
            assert when == f"at step {len(path) - 1}"


def assert_rate_map(figure: Shown, payload: dict):
    """The two rates are those that Python computes for the setting that the figure shows."""
    predicted, measured = map(shown, rates(**hyper(figure, payload)))
    assert any(f"measured {measured}, predicted {predicted}" in alt for alt in figure.alt())


def assert_map(figure: Shown, payload: dict):
    """The run at the ring is that of `sweep`, and so is what the large number says of it; the pixels are tested with the widget."""
    state = payload["state"]
    spec, steps, goal = state["spec"], int(figure.value("steps")), figure.value("goal")
    rule = next(rule for name, rule in RULES.items() if spec["title"].startswith(f"{label(name)} on "))
    surface = next(s for s in SURFACES.values() if spec["title"].endswith(f" on {label(s.formula.__name__)}"))
    at = [float(part.split()[-1].replace("−", "-")) for part in figure.ring.get_attribute("aria-valuetext").split(",")]
    chosen = dict(zip((axis["name"] for axis in spec["axes"]), at, strict=True))
    setting = hyper(figure, payload) | {name: x for name, x in chosen.items() if name in spec["hyper"]}
    begin = tuple(chosen.get(f"w{k}", w) for k, w in enumerate(state["start"]))
    path = run(rule, surface.formula, begin, steps, **setting)
    (drawn,) = figure.paths(spec["domain"])
    assert drawn == pytest.approx(path[: len(drawn)], abs=0.06 * figure.pixel(spec["domain"]))
    there = {k: v for k, v in setting.items() if k in (surface.formula.__kwdefaults__ or {})}
    above = [
        surface.formula(w, **there).item()
        - surface.formula(torch.tensor(surface.minima(**there)[0]).double(), **there).item()
        for w in path
    ]
    lost = any(not (abs(a) <= spec["bound"] and abs(b) <= spec["bound"]) for a, b in path.tolist())
    late = max((k + 1 for k, z in enumerate(above) if not z <= goal), default=0)
    lost = lost or ends(torch.tensor(above), goal)[0] == DIVERGED
    words = "diverged" if lost else f"{late} steps" if late <= steps else "not settled"
    assert figure.host.locator(".cf-result .cf-number").inner_text() == words


ASSERT = {"descent": assert_descent, "rate_map": assert_rate_map, "map": assert_map}


def mounted(reading: Reading):
    """Every figure of the page with what it came with, scrolled to and started."""
    assert len(reading.figures) == len(reading.payloads) > 0
    for figure, payload in zip(reading.figures, reading.payloads, strict=True):
        figure.host.scroll_into_view_if_needed()
        figure.page.wait_for_function(
            "host => host.matches('[data-mounted], [data-failed]')", arg=figure.host.element_handle()
        )
        assert figure.host.get_attribute("data-failed") is None
        yield figure.settle(), payload


def test_figures_show_what_python_computes(reading):
    for figure, payload in mounted(reading):
        ASSERT[payload["figure"]](figure, payload)


def test_figures_follow_mouse_and_keyboard(reading):
    for figure, payload in mounted(reading):
        names = [control["name"] for control in payload["state"]["spec"]["controls"]]
        before = figure.alt()
        figure.press(names[0], 0.6)
        figure.slider(names[-1]).press("ArrowLeft")
        figure.ring.press("Shift+ArrowRight")
        assert figure.settle().alt() != before
        ASSERT[payload["figure"]](figure, payload)
        x, y = figure.ring_center()
        goal = (
            x - 40 if payload["figure"] == "map" else x + 40,
            y + 20,
        )  # inside: the ring of a map may stand at its right edge
        figure.page.mouse.move(x, y)
        figure.page.mouse.down()
        figure.page.mouse.move(*goal, steps=3)
        figure.page.mouse.up()
        assert figure.settle().ring_center() == pytest.approx(goal, abs=3)
        ASSERT[payload["figure"]](figure, payload)
        figure.host.get_by_role("button", name="Reset").click()


def test_every_picture_has_a_text_alternative(reading):
    for figure, payload in mounted(reading):
        assert payload["alt"].strip() and all(text.strip() for text in figure.alt())
        for control in figure.host.locator("input, button, [tabindex]").all():
            assert control.evaluate("node => node.getAttribute('aria-label') || node.textContent.trim()")
    assert reading.page.locator("img:not([alt])").count() == 0


def test_the_page_fits_a_phone(reading):
    reading.page.set_viewport_size({"width": 390, "height": 844})
    for figure, payload in mounted(reading):
        assert figure.host.bounding_box()["width"] <= 390
        figure.page.wait_for_timeout(60)
        ASSERT[payload["figure"]](figure, payload)
    assert reading.page.evaluate("document.documentElement.scrollWidth") <= 390
    reading.page.set_viewport_size({"width": 1200, "height": 900})


def test_formulas_are_set(reading):
    reading.page.evaluate("window.MathJax?.startup?.promise")
    formulas = reading.page.locator(".math")
    assert formulas.count() == reading.page.locator(".math:has(mjx-container)").count()
    assert formulas.count() > 0 or "basics" not in reading.page.url
    assert reading.page.locator("mjx-merror").count() == 0


def test_figures_follow_the_theme_at_once(reading):
    root = reading.page.locator("html")
    assert root.get_attribute("data-theme") == reading.color
    figure = reading.page.locator(".course-figure[data-mounted] .cf").first
    colors = "node => { const style = getComputedStyle(node.querySelector('.cf-axis text')); return [style.fill, getComputedStyle(node).color]; }"
    before = figure.evaluate(colors)
    for _ in range(3):
        if root.get_attribute("data-theme") != reading.color:
            break
        reading.page.locator(".theme-switch-button:visible").first.click()
    assert root.get_attribute("data-theme") != reading.color
    after = figure.evaluate(colors)
    assert [a for a, b in zip(before, after, strict=True) if a == b] == []


def test_the_page_complained_of_nothing_and_asked_nobody_else(reading):
    """Runs last: all that the tests above did counts."""
    assert reading.visit.problems == []


# Whether there is a picture with words for it, and something in it: lines, or on a canvas pixels of more than one color.
PICTURES = """host => [...host.querySelectorAll('.cf [aria-label]:is(svg, canvas)')].some((picture) => {
  if (picture.tagName === 'svg') return picture.querySelector('path');
  const pixels = picture.getContext('2d').getImageData(0, 0, picture.width, picture.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size > 1;
})"""


@pytest.mark.parametrize("name", ALL)
def test_every_page_shows_its_figures_and_can_be_used_by_everybody(open_page, address, built_book, name):
    """Each page of the table of contents: its figures are drawn, it complains of nothing, and axe-core has nothing to say."""
    visit = open_page(f"{address('file')}/{name}.html", wait_until="load", viewport={"width": 1200, "height": 900})
    visit.page.evaluate("document.querySelectorAll('details').forEach((node) => (node.open = true))")
    reading = Reading(visit, "light", payloads((built_book / f"{name}.html").read_text()))
    for figure, payload in mounted(reading) if reading.payloads else ():
        assert payload["alt"].strip()
        assert figure.host.bounding_box()["height"] > 100
        assert figure.host.evaluate(PICTURES)
        assert [text for text in figure.alt() if not text.strip()] == []
    assert visit.problems == []
    visit.page.wait_for_function("document.documentElement.dataset.formulas === 'set'")
    stops = "nodes => nodes.filter((node) => node.scrollWidth <= node.clientWidth).length"  # a formula is no stop of the Tab key
    assert visit.page.locator("mjx-container[tabindex='0']").evaluate_all(stops) == 0  # unless it scrolls
    assert [found for found in violations(visit.page) if not found.startswith(OF_THE_THEME)] == []


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts_figures_are_words(open_page, address, built_book, name):
    visit = open_page(
        f"{address('file')}/{name}.html", java_script_enabled=False, viewport={"width": 390, "height": 844}
    )
    hosts = visit.page.locator(".course-figure")
    for host, payload in zip(hosts.all(), payloads((built_book / f"{name}.html").read_text()), strict=True):
        assert host.inner_text() == f"{payload['alt']} (This figure needs JavaScript.)"
        assert host.is_visible()
    assert [
        problem for problem in visit.problems if not problem.endswith(": csp")
    ] == []  # csp: the scripts that must not run


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_front_door_leads_to_the_first_page(open_page, address, scheme):
    visit = open_page(f"{address(scheme)}/index.html")
    visit.page.wait_for_url("**/book/intro.html")
    assert visit.page.locator("h1").first.inner_text().startswith("How Deep Networks Are Trained")
    assert visit.problems == []
