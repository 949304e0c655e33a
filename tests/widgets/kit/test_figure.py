"""The base of all figures: live with a kernel, and in a book build a state that a page can carry."""

import json
import math

import pytest
import traitlets

from course_lib.formulas import momentum
from course_lib.widgets import Descent, Figure, RateMap
from course_lib.widgets.kit.bundle import bundle, style
from course_lib.widgets.kit.figure import MIME

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MAKE = {"descent": lambda: Descent(momentum, lr=0.05), "rate_map": lambda: RateMap(20)}


class Odd(Figure):
    """A figure whose state holds what JSON lacks."""

    numbers = traitlets.Dict({"nan": math.nan, "more": [math.inf, (1.5, -math.inf)]}).tag(sync=True)
    private = traitlets.Int(3)
    alt = "Odd numbers."


@pytest.fixture
def live(monkeypatch):
    """A kernel that does not build a book."""
    monkeypatch.delenv("COURSE_BOOK")


@pytest.mark.parametrize("name", MAKE)
def test_in_a_book_build_a_figure_is_its_state(name):
    fig = MAKE[name]()
    assert fig.comm is None
    data, metadata = fig._repr_mimebundle_()
    assert metadata == {}
    state = json.loads(data[MIME]["state"], parse_constant=pytest.fail)
    assert data == {"text/plain": fig.alt, MIME: {"figure": name, "alt": fig.alt, "state": data[MIME]["state"]}}
    assert json.dumps(state) == json.dumps(fig.page_state())  # in this order
    assert not {"_esm", "_css", "layout", "_model_name"} & state.keys()  # the page has its own copy of the code


def test_the_state_of_a_page_is_json():
    assert Odd().page_state() == {
        "code": "",
        "figure": "",
        "spec": {},
        "numbers": {"nan": None, "more": [None, [1.5, None]]},
    }


@pytest.mark.parametrize("name", MAKE)
def test_with_a_kernel_a_figure_is_an_anywidget(live, name):
    fig = MAKE[name]()
    assert fig.comm is not None
    bundled = fig._repr_mimebundle_()
    data = bundled[0] if isinstance(bundled, tuple) else bundled
    assert WIDGET_VIEW in data and MIME not in data
    fig.close()


@pytest.mark.parametrize("value", ["0", "", "true"])
def test_only_the_value_1_means_a_book_build(monkeypatch, value):
    monkeypatch.setenv("COURSE_BOOK", value)
    fig = Odd()
    assert fig.comm is not None
    fig.close()


def test_page_and_kernel_draw_with_the_same_code():
    fig = Odd()
    assert fig._esm == bundle()
    assert fig._css == style()


def test_a_figure_without_a_text_alternative_can_not_be_shown():
    class Mute(Figure):
        pass

    with pytest.raises(TypeError, match=r"^Mute has no text alternative\. Define the property `alt`\.$"):
        Mute()._repr_mimebundle_()
