"""Race in a browser: what it shows is what sweep computes; every way to move it."""

import math

import pytest
from figure_reading import show as shown

from course_lib.formulas import (
    adagrad,
    adam,
    bfgs,
    gradient_descent,
    lion,
    momentum,
    newton,
    quadratic,
    rosenbrock,
    saddle,
)
from course_lib.widgets import Race
from course_lib.widgets.figures.race import RATES
from course_lib.widgets.kit.controls import label

RULES, SURFACES = [gradient_descent, momentum, adagrad, adam, newton, bfgs, lion], [quadratic, rosenbrock, saddle]


def race(**options):
    return Race(RULES, SURFACES, **{"steps": 150, "goal": 1e-3} | options)


@pytest.fixture(scope="module")
def fig():
    """The figure that the tests open, made once: what they do to it stays in their page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_BOOK", "1")
        return race()


@pytest.fixture(scope="module")
def computed():
    """One figure for all tests to ask: it remembers what it has computed."""
    return race()


def rest(figure):
    """Waits until the scan is done and drawn."""
    figure.settle()
    figure.page.wait_for_function("document.querySelector('.cf-race').getAttribute('aria-busy') === 'false'")
    return figure.settle()


def get(figure, *names):
    return figure.page.evaluate(
        "names => Object.fromEntries(names.map((name) => [name, models[0].get(name)]))", list(names)
    )


def standings(figure) -> list[tuple[str, str, str]]:
    rows = figure.host.locator(".cf-standings li").all()
    return [tuple(part.inner_text() for part in row.locator("> span").all()) for row in rows]


def cells(figure) -> list[list[str]]:
    """For each row of the map that is drawn, from the top: what each cell says."""
    found = figure.host.locator(".cf-race-map svg[height] g:first-of-type rect").evaluate_all(
        "nodes => nodes.map((n) => [+n.getAttribute('y'), n.getAttribute('class') || (n.getAttribute('fill') ? 'arrives' : '?')])"
    )
    heights = sorted({y for y, _ in found})
    return [[what for y, what in found if y == height] for height in heights]


def assert_shown(figure, there):
    """The list and the map are those that Python computes for the setting that the figure stands at."""
    for name, value in get(rest(figure), "surface", "chosen", "mode", "start", "steps", "goal").items():
        there.set_trait(name, value)
    want = []
    for x in there.standings:
        unsettled = f"∼ {shown(x.above)}" if math.isinf(x.steps) else f"{x.steps:.0f}"
        number = "✕ diverged" if math.isnan(x.steps) else unsettled
        want.append((label(x.rule), number, "no rate" if x.lr is None else f"η {x.lr:g}"))
    assert standings(figure) == want
    kinds = [
        ["cf-lost" if math.isnan(n) else "cf-late" if math.isinf(n) else "arrives" for n in row.tolist()]
        for row in there.map.values()
    ]
    assert cells(figure) == kinds


@pytest.mark.parametrize("mode", ["defaults", "tuned"])
def test_it_shows_what_sweep_computes(show, mode, computed):
    (figure,) = show(race(mode=mode)).figures
    assert_shown(figure, computed)
    for name in ("Rosenbrock", "saddle", "quadratic"):
        figure.host.get_by_role("button", name=name, exact=True).click()
        assert_shown(figure, computed)


def test_tuning_turns_the_order_around(show, fig, computed):
    (figure,) = show(fig).figures
    before = [row[0] for row in standings(rest(figure))]
    figure.host.get_by_role("button", name="tuned").click()
    after = [row[0] for row in standings(rest(figure))]
    assert before.index("gradient descent") < before.index("Adagrad") and after.index("Adagrad") < after.index(
        "gradient descent"
    )
    assert_shown(figure, computed)


def test_sliders_chips_and_reset(show, fig, computed):
    (figure,) = show(fig).figures
    start = get(rest(figure), "surface", "mode", "chosen", "start", "steps", "goal")
    figure.move("steps", 0.05)
    figure.move("goal", 0.3)
    assert_shown(figure, computed)
    figure.host.get_by_role("button", name="Lion").click()
    assert_shown(figure, computed)
    assert "Lion" in [row[0] for row in standings(figure)]
    figure.host.get_by_role("button", name="Adam", exact=True).click()
    figure.host.get_by_role("button", name="second order").click()
    assert_shown(figure, computed)
    assert get(figure, "chosen")["chosen"] == ["gradient_descent", "momentum", "adagrad", "lion"]
    figure.host.get_by_role("button", name="first order").click()
    figure.host.get_by_role("button", name="saddle", exact=True).click()
    assert "adam" in get(figure, "chosen")["chosen"]
    figure.host.get_by_role("button", name="Reset").click()
    assert get(rest(figure), *start) == start
    assert_shown(figure, computed)


def test_the_ring_moves_the_start(show, fig, computed):
    (figure,) = show(fig).figures
    rest(figure)
    x, y = (
        figure.ring.first.locator(".cf-ring").bounding_box()["x"] + 8,
        figure.ring.first.locator(".cf-ring").bounding_box()["y"] + 8,
    )
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x + 100, y + 40, steps=8)
    figure.page.mouse.up()
    a, b = get(figure, "start")["start"]
    assert a > -2.2 and b < 1.2
    assert_shown(figure, computed)
    figure.host.locator(".cf-contour-plot .cf-start").press("Shift+ArrowLeft")
    assert get(rest(figure), "start")["start"][0] < a
    assert_shown(figure, computed)


def press(figure, row: int, column: int):
    box = figure.host.locator(".cf-race-map .cf-glass").bounding_box()
    figure.page.mouse.click(box["x"] + (column + 0.5) * box["width"] / len(RATES), box["y"] + (row + 0.5) * 24)
    return rest(figure)


def test_a_cell_shows_its_run_alone(show, fig):
    (figure,) = show(fig).figures
    rest(figure)
    curves = figure.host.locator(".cf-loss-plot .cf-path")
    assert curves.count() == 6
    column = RATES.index(0.1)
    press(figure, 1, column)  # under the heading of the first group
    assert get(figure, "picked")["picked"] == ["gradient_descent", column]
    assert curves.count() == 1
    steps = fig.map["gradient_descent"][column]
    assert figure.host.locator(".cf-readout tbody td").first.inner_text() == "gradient descent at η = 0.1"
    assert (
        figure.host.locator(".cf-race-say")
        .inner_text()
        .startswith(f"gradient descent at η = 0.1: {steps:.0f} steps to ")
    )
    press(figure, 1, column + 4)
    assert "diverged at step" in figure.host.locator(".cf-race-say").inner_text()
    press(figure, 1, column + 4)
    assert get(figure, "picked")["picked"] == [] and curves.count() == 6
    press(figure, 0, 3)  # a heading is no cell
    assert get(figure, "picked")["picked"] == []


def test_the_cell_by_keys(show, fig):
    (figure,) = show(fig).figures
    cell = rest(figure).host.locator(".cf-cell")
    cell.press("ArrowRight")
    rule, column = get(figure, "picked")["picked"]
    assert rule == "gradient_descent"
    cell.press("ArrowLeft")
    cell.press("ArrowDown")
    assert get(rest(figure), "picked")["picked"] == ["momentum", column - 1]
    assert cell.get_attribute("aria-valuetext").startswith("momentum at η = ")
    for _ in range(3):
        cell.press("ArrowDown")
    assert get(rest(figure), "picked")["picked"] == ["newton", 0]
    cell.press("ArrowRight")
    assert get(rest(figure), "picked")["picked"] == ["newton", 0]
    cell.press("Escape")
    assert get(rest(figure), "picked")["picked"] == []


def test_keys_and_buttons_faster_than_frames_all_count(show, fig):
    (figure,) = show(fig).figures
    cell = rest(figure).host.locator(".cf-cell")
    cell.press("ArrowRight")
    _, column = get(rest(figure), "picked")["picked"]
    figure.press_at_once(cell, "ArrowLeft", "ArrowDown", "ArrowLeft")
    assert get(rest(figure), "picked")["picked"] == ["momentum", column - 2]
    before = get(figure, "chosen")["chosen"]
    chips = figure.host.locator(".cf-chip:not(.cf-chip-group)")
    chips.evaluate_all("nodes => nodes.slice(0, 2).forEach((node) => node.click())")
    assert get(rest(figure), "chosen")["chosen"] == [
        name for name in before if name not in ("gradient_descent", "momentum")
    ]


def test_the_scrubber_shows_the_race_at_a_step(show, fig):
    (figure,) = show(fig).figures
    rest(figure)
    lengths = "nodes => nodes.map((n) => (n.getAttribute('d').match(/L/g) || []).length)"
    figure.move("step", 0.1)
    assert figure.host.locator(".cf-contour-plot .cf-path").evaluate_all(lengths) == [15] * 6


def test_a_change_from_python_moves_the_figure(show, fig, computed):
    (figure,) = show(fig).figures
    rest(figure)
    figure.page.evaluate(
        "models[0].set('surface', 'rosenbrock'); models[0].set('start', [0.5, 2]); models[0].set('mode', 'tuned')"
    )
    assert_shown(figure, computed)


def test_the_map_keeps_its_picture_while_the_next_one_is_computed(show, fig):
    (figure,) = show(fig).figures
    figure.page.evaluate("models[0].set('steps', 2000)")
    rest(figure)
    least = figure.page.evaluate(
        """async () => {
          let least = Infinity;
          for (let k = 0; k < 12; k++) {
            models[0].set("start", [-2 + k / 50, 1]);
            await new Promise(requestAnimationFrame);
            least = Math.min(least, document.querySelectorAll(".cf-race-map svg[height] g:first-of-type rect").length);
          }
          return least;
        }"""
    )
    assert least == 4 * len(RATES) + 2


def test_nothing_jumps_and_a_phone_is_wide_enough(show, fig):
    for width in (900, 390):
        (figure,) = show(fig, viewport={"width": width, "height": 1400}).figures
        box = "node => JSON.stringify([...node.querySelectorAll('.cf-contour-plot, .cf-loss-plot, .cf-race-map, label, button')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }))"
        before = rest(figure).host.evaluate(box)
        for act in (
            lambda: figure.move("goal", 0.1),
            lambda: figure.move("steps", 0.0),
            lambda: figure.move("steps", 0.9),
            lambda: figure.host.get_by_role("button", name="tuned").click(),
        ):
            act()
            assert rest(figure).host.evaluate(box) == before, f"{width} px wide"
        for name in ("Rosenbrock", "saddle"):
            figure.host.get_by_role("button", name=name, exact=True).click()
            assert rest(figure).host.locator(".cf-race-map").bounding_box()["y"] == pytest.approx(
                figure.host.locator(".cf-race-map").bounding_box()["y"], abs=1
            )
        assert figure.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
def test_a_cell_and_the_path_that_it_shows_are_on_one_screen(show, width, height):
    (figure,) = show(Race(), viewport={"width": width, "height": height}).figures
    rest(figure)
    top, bottom = (
        figure.host.locator(place).bounding_box() for place in (".cf-contour-plot", ".cf-race-map .cf-glass")
    )
    assert bottom["y"] + bottom["height"] - top["y"] < height
