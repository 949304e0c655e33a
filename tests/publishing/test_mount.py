"""mount.js in a real browser: the figures of a page come to life without a kernel, also when the page opens from disk."""

import json
from pathlib import Path

import pytest

import course_lib.publishing
from course_lib.publishing.figures import figure_html

MOUNT = Path(course_lib.publishing.__file__).with_name("mount.js")

# A figure that shows a trait, counts its changes, and can refuse to start.
MODULE = """\
export default {
  render({ model, el }) {
    if (model.get("figure") === "broken") throw new Error("no such surface");
    el.innerHTML = "<button>+</button><output></output>";
    const [button, output] = el.children;
    const show = () => { output.textContent = `x = ${model.get("x")}`; };
    const count = (_, value) => { el.dataset.changes = Number(el.dataset.changes ?? 0) + 1; el.dataset.last = value; };
    model.on("change:x", count);
    model.on("change", show);
    button.onclick = () => { model.set("x", model.get("x") + 1); model.set("x", model.get("x")); model.save_changes(); model.send({}); };
    el.ondblclick = () => model.off("change:x", count);
    show();
  },
};
"""


@pytest.fixture
def page(tmp_path):
    """`page(*names, module=...)` writes a page with one figure a screen and returns its file:// address."""

    def write(*names: str, module: str | None = MODULE) -> str:
        hosts = [figure_html({"figure": name, "alt": "What to see.", "state": '{"x": 1}'}) for name in names]
        (tmp_path / "mount.js").write_text(MOUNT.read_text())
        if module is not None:
            (tmp_path / "figures.js").write_text(f"window.courseFigures = {json.dumps(module)};")
        scripts = "".join(f'<script defer src="{name}"></script>' for name in ("figures.js", "mount.js"))
        gap = '<div style="height: 3000px"></div>'
        (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{scripts}<body>{gap.join(hosts)}{gap}")
        return (tmp_path / "page.html").as_uri()

    return write


def test_a_figure_listens_to_its_own_model(page, open_page):
    visit = open_page(page("counter"))
    visit.page.wait_for_selector("[data-mounted]")
    root = visit.page.locator(".course-figure > div")
    visit.page.click("button")
    assert visit.page.inner_text("output") == "x = 2"
    assert root.get_attribute("data-changes") == "1"  # setting the same value again is no change
    assert root.get_attribute("data-last") == "2"
    root.dispatch_event("dblclick")
    visit.page.click("button")
    assert visit.page.inner_text("output") == "x = 3"
    assert root.get_attribute("data-changes") == "1"  # off() removed this listener and no other
    assert visit.problems == []


def test_a_figure_starts_when_the_reader_comes_near(page, open_page):
    visit = open_page(page("counter", "counter"))
    visit.page.wait_for_selector("[data-mounted]")
    assert visit.page.locator("[data-mounted]").count() == 1
    visit.page.locator(".course-figure").nth(1).scroll_into_view_if_needed()
    visit.page.wait_for_function("document.querySelectorAll('[data-mounted]').length === 2")


def test_printing_starts_all_figures(page, open_page):
    visit = open_page(page("counter", "counter", "counter"))
    visit.page.wait_for_selector("[data-mounted]")
    visit.page.pdf()
    assert visit.page.locator("[data-mounted]").count() == 3


def test_a_figure_that_cannot_start_says_so_and_the_next_one_starts(page, open_page):
    visit = open_page(page("broken", "counter"))
    visit.page.wait_for_selector("[data-failed]")
    assert visit.page.inner_text("[data-failed]") == "This figure could not start here (no such surface). What to see."
    visit.page.locator(".course-figure").nth(1).scroll_into_view_if_needed()
    visit.page.wait_for_selector("[data-mounted]")


@pytest.mark.parametrize(
    "module, reason", [(None, "the file figures.js did not load"), ("this is no module", "Unexpected identifier")]
)
def test_without_its_code_a_figure_says_so(page, open_page, module, reason):
    visit = open_page(page("counter", module=module))
    visit.page.wait_for_selector("[data-failed]")
    text = visit.page.inner_text("[data-failed]")
    assert reason in text and text.endswith("What to see.")


def test_without_javascript_a_reader_gets_the_text_alternative(page, open_page):
    visit = open_page(page("counter"), java_script_enabled=False)
    assert visit.page.inner_text(".course-figure") == "What to see. (This figure needs JavaScript.)"
