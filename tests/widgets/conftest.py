"""A page with figures and nothing else, made of the same parts as the book's pages."""

import pytest
from figure_reading import Shown
from map_reading import NOTES, WITHOUT_GRAPHICS, at_rest, state

from course_lib.publishing.figures import figure_html, write_static_files
from course_lib.widgets.kit.figure import MIME

# Lets a test reach the models that mount.js makes, to change them as a kernel would.
EXPOSE = """
window.models = [];
window.courseFigures = window.courseFigures.replace("export default", "const figures =")
  + "\\nexport default { render(context) { window.models.push(context.model); return figures.render(context); } };";
"""


@pytest.fixture(autouse=True)
def in_a_book_build(monkeypatch):
    """Figures made here are the book's: they open no channel to a front end."""
    monkeypatch.setenv("COURSE_BOOK", "1")


@pytest.fixture(scope="session")
def static_files(tmp_path_factory):
    """The folder that is `_static` in the built book."""
    folder = tmp_path_factory.mktemp("figures") / "_static"
    write_static_files(folder)
    return folder


@pytest.fixture
def show(static_files, open_page):
    """`show(figure, …, **options)` opens a page with these figures from the disk: its Visit, with a list of `figures` to read.

    The options are open_page's.
    """

    def open(*figures, **options):
        hosts = "".join(figure_html(figure._repr_mimebundle_()[0][MIME]) for figure in figures)
        links = "".join(f'<link rel="stylesheet" href="_static/course/{name}.css">' for name in ("figure", "mount"))
        scripts = f'<script src="_static/course/figures.js"></script><script>{EXPOSE}</script><script src="_static/course/mount.js"></script>'
        page = static_files.parent / "page.html"
        page.write_text(
            f'<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">{links}<body>{hosts}{scripts}'
        )
        visit = open_page(page.as_uri(), wait_until="load", **{"viewport": {"width": 900, "height": 1000}} | options)
        visit.page.wait_for_function(
            "document.querySelectorAll('[data-mounted]').length === document.querySelectorAll('.course-figure').length"
        )
        visit.figures = [Shown(host).settle() for host in visit.page.locator(".course-figure").all()]
        assert visit.problems == []
        return visit

    return open


@pytest.fixture
def show_map(show):
    """`show_map(fig, …, **options)` -> the first figure of a page, at rest; the options are open_page's."""
    return lambda *figures, **options: at_rest(show(*figures, **options).figures[0])


@pytest.fixture(params=WITHOUT_GRAPHICS)
def show_without_graphics(show_map, request):
    """`show_map` in a browser that lacks what graphics need: the next machine computes the map, and the figure says so."""
    init, machine = WITHOUT_GRAPHICS[request.param]

    def open(fig, **options):
        figure = show_map(fig, init=init, **options)
        assert state(figure, "machine") == machine
        assert figure.host.locator(".cf-map-note").inner_text().endswith(NOTES[machine])
        return figure

    return open
