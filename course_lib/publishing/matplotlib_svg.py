"""Static plots: matplotlib's SVG goes into the page itself, so that its text and lines follow the page's theme."""

import hashlib
import re
from xml.etree import ElementTree

from course_lib.formulas.catalog import CATALOG

LARGEST = 150_000  # characters; a larger drawing stays a file of its own

# What course.mplstyle draws text, lines and paper with, and the page's colors for it. A rule's color becomes its variable, so that
# it is lighter on a dark page; where rules share one, on both, it is the first one's. All other colors stay.
THEME = {
    "#000000": "var(--pst-color-text-base, #000)",
    "#666666": "var(--pst-color-text-muted, #666)",
    "#cccccc": "var(--pst-color-border, #ccc)",
    "#ffffff": "var(--pst-color-background, #fff)",
}
RULES = {x.color: f"var(--cf-rule-{name}, {x.color})" for name, x in reversed(CATALOG.items())}
COLORS = RULES | THEME
ROOT_STYLE = "max-width:100%;height:auto;stroke-linejoin:round;stroke-linecap:butt;fill:" + THEME["#000000"]


def is_matplotlib(svg: str) -> bool:
    """Whether `svg` is a drawing by matplotlib, small enough to stand in a page."""
    return len(svg) < LARGEST and "Matplotlib v" in svg


def inline(svg: str, alt: str) -> str:
    """`svg`, a document by matplotlib, as an element of an HTML page with the text alternative `alt`."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):  # inline, its style sheet `*{…}` would hit the whole page
                parent.remove(child)
    prefix = f"plot-{hashlib.sha256(ElementTree.tostring(root)).hexdigest()[:8]}-"
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(key): _rewrite(value, prefix) for key, value in element.items() if key != "id" or value in used
        }
        if "id" in element.attrib:
            element.set("id", prefix + element.get("id"))
    root.attrib.pop("version", None)
    root.attrib |= {"class": "course-plot", "role": "img", "aria-label": alt, "style": ROOT_STYLE}
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    """A tag's or an attribute's name without its namespace, as HTML wants it: `{…xlink}href` is `href`."""
    return name.rpartition("}")[2]


def _rewrite(value: str, prefix: str) -> str:
    """An attribute's value: references get the page-wide `prefix`, the style file's own colors and the rules' become the page's."""
    if value.startswith("#"):
        return "#" + prefix + value[1:]
    value = value.replace("url(#", f"url(#{prefix}")
    return re.sub(r"#[0-9a-f]{6}\b", lambda color: COLORS.get(color[0].lower(), color[0]), value, flags=re.IGNORECASE)
