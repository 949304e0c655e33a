"""Pages as the extension builds them: what stands in them, what they load, and what fails the build."""

import json
import re
from html.parser import HTMLParser

from course_lib.publishing.figures import figure_html

FIGURE = """\
from course_lib.formulas.rules.descent import momentum
from course_lib.widgets import Descent
Descent(momentum, lr=0.05)"""
PLOT = """\
import matplotlib.pyplot as plt
plt.plot([3, 1, 2]);"""
LARGE_PLOT = """\
import matplotlib.pyplot as plt
plt.scatter(range(3000), range(3000));"""
ELSEWHERE = re.compile(r'(?:src|href)="(?:https?:)?//')  # without a known address a page names none
ALT = {"mystnb": {"image": {"alt": "Three points."}}}


class _Scripts(HTMLParser):
    """Collects the text of each <script>, as a browser delimits it."""

    def __init__(self, page: str):
        super().__init__()
        self.texts = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "script":
            self.texts.append("")

    def handle_data(self, data):
        if self.lasttag == "script" and self.texts:
            self.texts[-1] += data


def test_a_figures_state_survives_the_page():
    payload = {
        "figure": "descent",
        "alt": 'A "path" <on> & a surface.',
        "state": {"code": "if (a < b && c) { '</script><!--' }", "lr": 0.1},
    }
    (text,) = _Scripts(figure_html(payload | {"state": json.dumps(payload["state"])})).texts
    assert json.loads(text) == payload


def test_a_page_with_a_figure_and_plots(tiny_book):
    done = tiny_book.build(FIGURE, (PLOT, ALT), (LARGE_PLOT, ALT))
    assert done.returncode == 0, done.stderr
    page = tiny_book.html.read_text()
    payload = next(json.loads(text) for text in _Scripts(page).texts if '"figure":"descent"' in text)
    assert payload["figure"] == "descent" and payload["state"]["lr"] == 0.05
    assert page.count('class="course-plot"') == page.count('role="img" aria-label="Three points."') == 1
    assert page.count('<img alt="Three points."') == 1  # the large plot stays a file

    loaded = re.findall(r'(?:src|href)="\.\./(_static/(?:course|mathjax)/[^"?]+)\?v=\w+"', page)
    names = (
        "course/book.css",
        "course/figure.css",
        "course/mount.css",
        "course/figures.js",
        "course/formulas.js",
        "course/mount.js",
        "course/plots.css",
        "mathjax/tex-chtml.js",
    )
    assert sorted(loaded) == sorted(f"_static/{name}" for name in names)
    for file in loaded:
        assert (tiny_book.html.parents[1] / file).stat().st_size > 0

    assert not ELSEWHERE.search(page)


def test_what_is_dead_or_mute_in_a_page_fails_the_build(tiny_book):
    done = tiny_book.build("import ipywidgets\nipywidgets.IntSlider()", PLOT)
    assert done.returncode != 0
    assert "page.ipynb" in done.stderr and "an ipywidgets output is dead in a built page" in done.stderr
    assert "a picture without a text alternative" in done.stderr
    page = tiny_book.html.read_text()  # keep-going: the page is there to be looked at
    assert "course/mount.js" not in page and "course/figures.js" not in page
    assert not ELSEWHERE.search(page)


def test_on_github_the_page_links_to_that_repository(tiny_book):
    assert tiny_book.build("1 + 1", GITHUB_REPOSITORY="forker/my-course").returncode == 0
    page = tiny_book.html.read_text()
    assert 'href="https://colab.research.google.com/github/forker/my-course/blob/gh-pages/notebooks/page.ipynb"' in page
    assert 'href="https://github.com/forker/my-course"' in page
