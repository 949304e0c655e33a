"""Figures in the built book: how an output becomes a part of the page, and which files such a page loads."""

import html
import json
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

from course_lib.publishing import matplotlib_svg
from course_lib.widgets.kit.bundle import STYLE, bundle, style
from course_lib.widgets.kit.colors import rule_colors
from course_lib.widgets.kit.figure import MIME

HERE = Path(__file__).parent
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
log = logging.getLogger(__name__)


class MimeRenderer:
    """Renders a Figure and a plot by matplotlib: the plugin that myst-nb finds by the entry point in pyproject.toml."""

    mime_priority_overrides = [("html", MIME, 1)]

    @staticmethod
    def handle_mime(renderer, data, inline):
        """The nodes of one output, or None where myst-nb's own rendering is right."""
        if inline:
            return None
        if data.mime_type == MIME:
            return [nodes.raw("", figure_html(data.content), format="html", classes=["output", "course-figure-output"])]
        if data.mime_type.startswith("image/"):
            return _image(renderer, data)
        return None


def figure_html(payload: dict) -> str:
    """The element that mount.js turns into a live figure; its state travels in the page."""
    whole = payload | {"state": json.loads(payload["state"])}
    state = json.dumps(whole, separators=(",", ":")).replace("<", "\\u003c")  # "</script>" would end the element
    name, alt = html.escape(payload["figure"]), html.escape(payload["alt"])
    return (
        f'<div class="course-figure" data-figure="{name}">'
        f'<script type="application/json">{state}</script>'
        f"<noscript>{alt} (This figure needs JavaScript.)</noscript></div>"
    )


def _image(renderer, data):
    """The nodes of a small plot by matplotlib, None for another image; warns where the text alternative is missing."""
    alt = data.cell_metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    if not alt:
        message = 'a picture without a text alternative: add {"mystnb": {"image": {"alt": "what to see"}}} to the cell\'s metadata'
        renderer.logger.warning(message, subtype="alt", line=data.line)
    if data.mime_type != "image/svg+xml" or not matplotlib_svg.is_matplotlib(data.string):
        return None
    return [nodes.raw("", matplotlib_svg.inline(data.string, alt), format="html", classes=["output", "matplotlib-svg"])]


def write_static_files(folder: Path) -> None:
    """Writes to `folder` what becomes `_static` in the built book: MathJax and the figures' code and style."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "mathjax", folder / "mathjax")
    course = folder / "course"
    course.mkdir()
    for source in (HERE / "book.css", HERE / "formulas.js", HERE / "mount.js", HERE / "mount.css"):
        shutil.copy(source, course)
    (course / STYLE.name).write_text(style(), "utf-8")
    (course / "plots.css").write_text((HERE / "plots.css").read_text("utf-8") + rule_colors(), "utf-8")
    (course / "figures.js").write_text(f"window.courseFigures = {json.dumps(bundle())};\n", "utf-8")


def add_page_files(app, pagename, templatename, context, doctree) -> None:
    """Lets a page load what its figures and plots need, and no more (Sphinx event html-page-context)."""
    app.add_css_file("course/book.css")
    app.add_js_file("course/formulas.js", loading_method="defer")
    outputs = "".join(node.astext() for node in doctree.findall(nodes.raw)) if doctree else ""
    if 'class="course-figure"' in outputs:
        app.add_css_file(f"course/{STYLE.name}")
        app.add_css_file("course/mount.css")
        for name in (
            "figures.js",
            "mount.js",
        ):  # async: a deferred script would wait for the theme's icons and for MathJax
            app.add_js_file(f"course/{name}", loading_method="async", priority=100)
    if 'class="course-plot"' in outputs:
        app.add_css_file("course/plots.css")


def warn_of_dead_widgets(app, doctree) -> None:
    """Warns of a widget that would do nothing in a page, where there is no kernel (Sphinx event doctree-read)."""
    for node in doctree.findall(nodes.Element):
        if node.get("mime_type") == WIDGET_VIEW:
            message = "an ipywidgets output is dead in a built page: show a course_lib.widgets.Figure instead"
            log.warning(message, location=node.parent, type="course", subtype="dead_widget")
