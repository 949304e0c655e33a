"""What a reader moves and what it changes are on one screen: in the column of a page on a small laptop, and on a phone."""

import pytest

from course_lib.formulas import gradient_descent, himmelblau, momentum, rosenbrock
from course_lib.widgets import DecayMap, Descent, Fit, LocalModel, Map, MiniBatch, RateMap, SecantEllipse, Trainability

SCREENS = {"laptop": (760, 768), "phone": (390, 844)}  # the width of the page's column, the height of the window
SLIDERS = "input[type=range]:not([name=step])"

# By figure: how it is made, and the pairs of what is moved and what it changes.
PAIRS = {
    "Descent": (
        lambda: Descent([gradient_descent, momentum], rosenbrock, lr=0.004, steps=200),
        [(SLIDERS, ".cf-contour-plot"), ("input[name=step]", ".cf-contour-plot"), ("input[name=step]", ".cf-readout")],
    ),
    "MiniBatch": (MiniBatch, [(SLIDERS, ".cf-contour-plot")]),
    "RateMap": (RateMap, [(SLIDERS, ".cf-glass"), (".cf-glass", ".cf-loss-plot")]),
    "Map": (
        lambda: Map(momentum, himmelblau, x="w0", y="w1", view="minimum", steps=20),
        [(SLIDERS, ".cf-map-plot"), (".cf-map-plot", ".cf-contour-plot")],
    ),
    "Fit": (Fit, [(".cf-contour-plot", ".cf-data-plot"), (SLIDERS, ".cf-contour-plot")]),
    "LocalModel": (LocalModel, [(".cf-contour-plot", ".cf-section"), (SLIDERS, ".cf-section")]),
    "SecantEllipse": (SecantEllipse, [(SLIDERS, ".cf-contour-plot"), ("input[name=step]", ".cf-contour-plot")]),
    "DecayMap": (DecayMap, [(".cf-glass", ".cf-decay-cell"), (".cf-glass", ".cf-loss-plot")]),
    "Trainability": (lambda: Trainability(steps=20), [(SLIDERS, ".cf-map-plot"), (".cf-map-plot", ".cf-result")]),
}
SPAN = """(host, selectors) => {
  const boxes = [...host.querySelectorAll(selectors.join())].map((node) => node.getBoundingClientRect());
  return Math.max(...boxes.map((b) => b.bottom)) - Math.min(...boxes.map((b) => b.top));
}"""


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAIRS)
def test_what_is_moved_and_what_it_changes_are_on_one_screen(show, name, screen):
    make, pairs = PAIRS[name]
    width, height = SCREENS[screen]
    (figure,) = show(make(), viewport={"width": width, "height": height}).figures
    spans = {pair: figure.settle().host.evaluate(SPAN, list(pair)) for pair in pairs}
    assert {pair: span for pair, span in spans.items() if not 0 < span <= height} == {}
