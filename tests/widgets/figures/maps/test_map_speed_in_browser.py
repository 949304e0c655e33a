"""How a map is computed on a slow machine: by the faster one of two, with its progress, until it is stopped; and what its colors span."""

import math
import re

import pytest
from map_reading import at_rest, plot, state

from course_lib.formulas import momentum, rosenbrock
from course_lib.widgets import Map

SMALL = {"viewport": {"width": 330, "height": 1300}}
# A graphics chip in software: it reads back no pixel before a processor has worked for 0.4 ms.
SLOW = """const read = WebGL2RenderingContext.prototype.readPixels;
WebGL2RenderingContext.prototype.readPixels = function (x, y, width, height, ...more) {
  const end = performance.now() + 0.4 * width * height;
  while (performance.now() < end);
  return read.call(this, x, y, width, height, ...more);
};"""


def make():
    return Map(momentum, rosenbrock, x="lr", y="momentum", steps=30, goal=1.0, x_range=(0.001, 0.3), y_range=(0, 0.99))


def test_a_worker_takes_over_where_it_is_faster_than_the_chip(show):
    figure = show(make(), init=SLOW, **SMALL).figures[0]
    figure.page.wait_for_function("(box) => box.state.machine === 'worker'", arg=plot(figure).element_handle())
    at_rest(figure)
    assert (
        "The map is computed in JavaScript, which is faster here." in figure.host.locator(".cf-map-note").inner_text()
    )
    assert state(figure, "pixels") >= 20_000


def test_a_fast_chip_keeps_its_map(show_map):
    figure = show_map(make(), **SMALL)
    assert state(figure, "machine") == "gpu" and figure.host.locator(".cf-map-note").inner_text() == ""


def test_a_slow_map_shows_its_progress_and_can_be_stopped(show):
    figure = show(make(), init=SLOW + "delete window.Worker;", **SMALL).figures[0]
    bar, stop = figure.host.locator(".cf-map-work progress"), figure.host.get_by_role("button", name="Stop")
    bar.wait_for(state="visible")
    assert 0 < bar.evaluate("(node) => node.value") < 1
    stop.click()
    at_rest(figure)
    assert not bar.is_visible()
    assert not plot(figure).evaluate("(box) => box.state.picture.complete")
    figure.move("steps", 0.02)  # whatever changes begins anew
    bar.wait_for(state="visible")


@pytest.mark.parametrize("steps", [60, 600])
def test_the_colors_span_what_the_map_takes(show_map, steps):
    """From the fewest steps on, and to the most: the legend's ends are the next round numbers."""
    fig = make()
    fig.steps = steps
    figure = show_map(fig, **SMALL)
    marks = figure.host.locator(".cf-map-legend-part:not(.cf-hidden) .cf-scale span").all_inner_texts()
    low, _, high = (float(re.search(r"[\d.]+", mark)[0]) for mark in marks)
    assert marks[0].startswith("fast, ") and marks[-1].endswith(", slow")
    found = fig.values(160, 120).steps
    arrived = found[found < math.inf]
    assert 0.3 < low / arrived.min() < 1.2 and arrived.max() <= 1.05 * high and high <= steps
