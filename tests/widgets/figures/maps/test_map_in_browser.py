"""Map in a browser: its pixels are runs of sweep in single precision, on a graphics chip, in a worker and in the page; and every way to move it."""

import pytest
import torch
from map_reading import at_rest, center, colors, follow, plot, results, state, traits, view

from course_lib.experiments import sweep
from course_lib.formulas import adam, gradient_descent, himmelblau, momentum, quadratic, rosenbrock, saddle
from course_lib.widgets import Map
from course_lib.widgets.figures.maps.map import Verdicts

SMALL = {"viewport": {"width": 330, "height": 1300}}


def drawn(figure) -> Verdicts:
    """The figure's pixels, as `values` gives them."""
    steps, above, minimum, lost = results(figure)
    return Verdicts(steps, above, minimum.long(), lost.bool())


def classes(found: Verdicts, steps: int):
    return torch.where(found.lost, 2, (found.steps > steps).long())


def assert_pixels(figure, fig, at_least=1000, want: Verdicts | None = None) -> Verdicts:
    """The picture is `fig.values`: more than 99% of the classes, more than 98% of the steps to one, of the minima and of the losses."""
    got = drawn(figure)
    rows, columns = got.steps.shape
    assert rows * columns >= at_least
    want = want or fig.values(columns, rows)
    assert (classes(got, fig.steps) == classes(want, fig.steps)).double().mean() > 0.99
    counted = got.steps.clamp(max=fig.steps + 1), want.steps.clamp(max=fig.steps + 1)
    assert ((counted[0] - counted[1]).abs() <= 1).double().mean() > 0.98
    assert (got.minimum == want.minimum).double().mean() > 0.98
    both = ~got.lost & ~want.lost
    assert torch.isclose(got.above[both], want.above[both], rtol=0.01, atol=1e-6).double().mean() > 0.98
    return want


# Pixels

MAPS = {
    "Adam over rates and decays": lambda: Map(adam, rosenbrock, x="lr", y="beta1", steps=60, goal=1.0),
    "momentum over start points": lambda: Map(momentum, himmelblau, x="w0", y="w1", steps=60, lr=0.03, view="minimum"),
    "gradient descent over a surface's and a rule's number": lambda: Map(
        gradient_descent, quadratic, x="condition_number", y="lr", steps=60
    ),
    "momentum over a start and a rate, by the loss": lambda: Map(
        momentum, saddle, x="w1", y="lr", steps=40, view="loss"
    ),
    "a moving minimum": lambda: Map(momentum, rosenbrock, x="a", y="lr", steps=60, goal=0.1, y_range=(1e-4, 1e-1)),
}


@pytest.mark.parametrize("name", MAPS)
def test_each_pixel_is_a_run_of_sweep(show_map, name):
    fig = MAPS[name]()
    figure = show_map(fig, **SMALL)
    assert state(figure, "machine") == "gpu"
    assert_pixels(figure, fig, at_least=20_000)


def test_without_graphics_it_is_computed_in_javascript(show_without_graphics):
    fig = MAPS["momentum over start points"]()
    figure = show_without_graphics(fig, **SMALL)
    assert_pixels(figure, fig, at_least=10_000)
    figure.move("lr", 0.3)
    assert_pixels(at_rest(figure), follow(figure, fig), at_least=10_000)


def test_a_context_that_is_lost_is_replaced(show_map):
    fig = MAPS["momentum over start points"]()
    figure = show_map(fig, **SMALL)
    figure.page.evaluate(
        "globalThis[Symbol.for('course_lib.widgets.map_gpu')].gl.getExtension('WEBGL_lose_context').loseContext()"
    )
    figure.page.wait_for_function("(box) => box.state.machine === 'worker'", arg=plot(figure).element_handle())
    assert_pixels(at_rest(figure), fig, at_least=10_000)
    figure.move("lr", 0.3)
    assert_pixels(at_rest(figure), follow(figure, fig), at_least=10_000)


def test_maps_of_a_page_share_one_context(show):
    init = "window.contexts = 0; const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = function (kind, ...more) { contexts += kind === 'webgl2'; return get.call(this, kind, ...more); };"
    figs = [MAPS["Adam over rates and decays"](), MAPS["momentum over start points"](), MAPS["a moving minimum"]()]
    visit = show(*figs, init=init, viewport={"width": 390, "height": 4500})
    visit.page.wait_for_function("document.querySelectorAll('.cf-map-plot').length === 3")
    first = [
        assert_pixels(at_rest(figure), fig, at_least=20_000) for figure, fig in zip(visit.figures, figs, strict=True)
    ]
    assert visit.page.evaluate("contexts") == 1
    visit.figures[0].move("beta2", 0.2)
    for k, (figure, fig) in enumerate(zip(visit.figures, figs, strict=True)):
        at_rest(figure)
        if k == 0:
            fig.beta2 = figure.value("beta2")
        assert_pixels(figure, fig, at_least=20_000, want=first[k] if k else None)


def test_the_colors_are_those_of_the_legend(show_map):
    """Arrived, late and lost pixels have different colors; lost and late ones those of the chips."""
    fig = Map(momentum, himmelblau, x="w0", y="lr", steps=60)
    figure = show_map(fig, **SMALL)
    got = drawn(figure)
    for shown in ("steps", "loss"):
        figure.page.evaluate("(view) => models[0].set('view', view)", shown)
        painted = colors(figure.settle())
        chips = figure.host.locator(".cf-map-legend-part:not(.cf-hidden) .cf-map-chip").evaluate_all(
            "nodes => nodes.map((n) => getComputedStyle(n).backgroundColor.match(/\\d+/g).map(Number))"
        )
        kinds = [(fig.steps < got.steps) & ~got.lost, got.lost] if shown == "steps" else [got.lost]
        for chip, kind in zip(chips, kinds, strict=True):
            assert kind.any()
            its_color = (painted[..., :3] == torch.tensor(chip)).all(-1)
            hatched = (
                8 / 9 if kind is kinds[-1] else 1.0
            )  # every ninth pixel of a row belongs to a line of the hatching
            assert its_color[kind].double().mean() == pytest.approx(hatched, abs=0.01)
            assert not its_color[~kind].any()
        assert (painted[..., 3] == 255).all()


# Moving


def test_a_press_moves_the_ring_and_draws_its_run(show_map):
    fig = MAPS["momentum over start points"]()
    figure = show_map(fig)
    x, y, box = center(figure, 0.3, 0.7)
    figure.page.mouse.click(x, y)
    (start,) = traits(figure.settle(), "start")
    assert start == pytest.approx([-6 + 12 * 0.3, -6 + 12 * 0.7], abs=12 / box["width"])
    path = sweep(momentum, himmelblau, start, fig.steps, lr=0.03)[:, 0]
    assert figure.paths(((-6, 6), (-6, 6)))[0] == pytest.approx(
        path.float(), abs=0.06 * figure.pixel(((-6, 6), (-6, 6)))
    )
    assert view(figure) == [[-6, 6], [-6, 6]]


def test_the_ring_by_drag_and_by_keys(show_map):
    figure = show_map(MAPS["Adam over rates and decays"]())
    ring = plot(figure).locator(".cf-start")
    box = ring.locator(".cf-ring").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x + 50, y - 30, steps=4)
    figure.page.mouse.up()
    box = ring.locator(".cf-ring").bounding_box()
    assert (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) == pytest.approx((x + 50, y - 30), abs=1)
    lr, beta1 = traits(figure, "lr", "beta1")
    ring.press("ArrowRight")
    ring.press("Shift+ArrowDown")
    after = traits(figure.settle(), "lr", "beta1")
    assert after[0] == pytest.approx(lr * 1e4**0.01, rel=0.01)
    assert 1 - after[1] == pytest.approx((1 - beta1) * 1e3**0.1, rel=0.02)
    assert "learning rate" in ring.get_attribute("aria-valuetext")


def test_moving_the_ring_computes_no_new_map(show_map):
    figure = show_map(MAPS["momentum over start points"]())
    picture = plot(figure).evaluate_handle("(box) => box.state.picture")
    plot(figure).locator(".cf-start").press("ArrowRight")
    at_rest(figure)
    assert plot(figure).evaluate("(box, before) => box.state.picture === before", picture)
    figure.move("lr", 0.5)
    at_rest(figure)
    assert not plot(figure).evaluate("(box, before) => box.state.picture === before", picture)


def test_a_drag_pans(show_map):
    fig = MAPS["momentum over start points"]()
    figure = show_map(fig, **SMALL)
    x, y, box = center(figure, 0.8, 0.8)
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x + 0.25 * box["width"], y + 0.5 * box["height"], steps=5)
    figure.page.mouse.up()
    (x_range, y_range), (start,) = view(figure), traits(figure, "start")
    assert x_range == pytest.approx([-9, 3], abs=0.1) and y_range == pytest.approx([0, 12], abs=0.1)
    assert start == [0, -0.5]  # the ring's run is the same
    assert "cf-outside" in plot(figure).locator(".cf-start").get_attribute("class")
    assert_pixels(at_rest(figure), follow(figure, fig), at_least=20_000)


def test_a_pan_ends_at_the_limits(show_map):
    figure = show_map(MAPS["Adam over rates and decays"]())
    x, y, box = center(figure, 0.2, 0.1)
    for _ in range(3):
        figure.page.mouse.move(x, y)
        figure.page.mouse.down()
        figure.page.mouse.move(x, y - 0.8 * box["height"], steps=3)  # toward smaller decays, of which there are none
        figure.page.mouse.up()
    assert view(figure)[1] == pytest.approx([0, 0.999])


@pytest.mark.parametrize("zoom", ["button", "keys", "wheel", "ctrl and wheel"])
def test_zooming_in_and_out(show_map, zoom):
    fig = MAPS["Adam over rates and decays"]()
    figure = show_map(fig, **SMALL)
    ring, before = plot(figure).locator(".cf-start"), view(figure)
    x, y, _ = center(figure)

    def turn(amount):
        figure.page.mouse.move(x, y)
        figure.page.mouse.wheel(0, amount)
        figure.page.wait_for_timeout(100)

    if zoom == "button":
        figure.host.get_by_role("button", name="+", exact=True).click()
    elif zoom == "keys":
        ring.press("+")
    elif zoom == "wheel":
        ring.focus()
        turn(-100)
    else:
        figure.page.keyboard.down("Control")
        turn(-100)
        figure.page.keyboard.up("Control")
    closer = view(figure.settle())
    assert (
        before[0][0] < closer[0][0] < closer[0][1] < before[0][1]
        and before[1][0] < closer[1][0] < closer[1][1] < before[1][1]
    )
    assert_pixels(at_rest(figure), follow(figure, fig), at_least=20_000)
    ring.press("-")
    ring.press("0")
    assert view(figure.settle()) == before
    figure.host.get_by_role("button", name="−", exact=True).click()
    assert view(figure.settle())[0] == pytest.approx([10**-4.5, 10**1.5])  # the ring, at 0.001, stays where it is
    figure.host.get_by_role("button", name="Whole map").click()
    assert view(figure.settle()) == before


def test_the_wheel_scrolls_the_page_until_the_map_is_chosen(show_map):
    figure = show_map(MAPS["Adam over rates and decays"](), viewport={"width": 900, "height": 400})
    x, y, _ = center(figure)
    figure.page.mouse.move(x, min(y, 350))
    figure.page.mouse.wheel(0, 100)
    figure.page.wait_for_function("scrollY === 100")
    assert view(figure) == [[1e-4, 1.0], [0.0, 0.999]]


def test_two_fingers_pinch_and_one_drags(show_map):
    figure = show_map(MAPS["momentum over start points"](), has_touch=True, viewport={"width": 390, "height": 900})
    x, y, box = center(figure)
    finger = figure.page.context.new_cdp_session(figure.page)

    def touch(kind, *points):
        finger.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": px, "y": py, "id": k} for k, (px, py) in enumerate(points)]},
        )

    touch("touchStart", (x - 40, y), (x + 40, y))
    for d in (50, 60, 70, 80):
        touch("touchMove", (x - d, y), (x + d, y))
    touch("touchEnd")
    (low, high), _ = view(figure.settle())
    assert high - low == pytest.approx(6, rel=0.15) and low + high == pytest.approx(0, abs=0.5)
    touch("touchStart", (x + 60, y + 60))
    for d in (10, 20, 30, 40):
        touch("touchMove", (x + 60 + d, y + 60))
    touch("touchEnd")
    moved = view(figure.settle())[0]
    assert moved[0] == pytest.approx(low - 40 / box["width"] * (high - low), abs=0.25)


def test_a_slider_changes_the_map_and_reset_brings_it_back(show_map):
    fig = MAPS["Adam over rates and decays"]()
    figure = show_map(fig, **SMALL)
    first = drawn(figure)
    figure.move("beta2", 0.3)
    figure.move("goal", 0.8)
    figure.move("steps", 0.02)
    assert_pixels(at_rest(figure), follow(figure, fig), at_least=20_000)
    figure.host.get_by_role("button", name="Reset").click()
    assert torch.equal(drawn(at_rest(figure)).steps, first.steps)


def test_it_keeps_moving_while_a_slider_moves(show_map):
    """While the slider moves, as many pixels as a frame has time for (a fast machine: all of them); when it rests, all. The limit is twice 33 ms: other tests share the cores."""
    figure = show_map(Map(adam, rosenbrock, x="lr", y="beta1"))
    times = figure.slider("beta2").evaluate(
        """async (node) => { const times = []; let last = performance.now();
        for (let k = 0; k < 60; k++) { node.value = 100 + 4 * k; node.dispatchEvent(new Event("input")); await new Promise(requestAnimationFrame); const now = performance.now(); times.push(now - last); last = now; }
        return times; }"""
    )
    pixels = state(figure, "picture")["columns"] ** 2
    assert sorted(times)[len(times) // 2] < 66
    at_rest(figure)
    assert state(figure, "picture")["columns"] ** 2 >= pixels
    assert state(figure, "pixels") > 150_000


def test_a_change_from_python_moves_the_figure(show_map):
    fig = MAPS["momentum over start points"]()
    figure = show_map(fig, **SMALL)
    figure.page.evaluate("models[0].set('x_range', [0, 4]); models[0].set('lr', 0.01); models[0].set('start', [1, 2])")
    assert_pixels(at_rest(figure), follow(figure, fig), at_least=20_000)
    assert figure.value("lr") == 0.01


def test_a_range_that_is_none_is_said(show_map):
    figure = show_map(MAPS["momentum over start points"]())
    note = figure.host.locator(".cf-map-note")
    for bounds, words in (
        ([2, 2], "The range of start x is empty: from 2 to 2."),
        ([3, 1], "The range of start x is inverted: from 3 to 1."),
        ([-1e9, 0], "leaves what is allowed"),
    ):
        figure.page.evaluate("(bounds) => models[0].set('x_range', bounds)", bounds)
        figure.settle()
        assert words in note.inner_text()
        assert not figure.host.locator("canvas").is_visible()
        figure.host.get_by_role("button", name="Whole map").click()
        at_rest(figure)
        assert note.inner_text() == "" and figure.host.locator("canvas").is_visible()


# Words and layout


def test_it_says_what_it_shows(show_map):
    fig = MAPS["momentum over start points"]()
    figure = show_map(fig, **SMALL)
    (words,) = [alt for alt in figure.alt() if alt.startswith("Map of")]
    arrived = (drawn(figure).steps <= fig.steps).double().mean()
    assert f"In 60 steps {arrived * 100:.0f} % come to stay within 0.001 of the minimum" in words
    number, label = (figure.host.locator(f".cf-result .cf-{part}").inner_text() for part in ("number", "label"))
    assert (number, label) == ("not settled", "at w₀ 0, w₁ −0.5")
    figure.page.evaluate("models[0].set('lr', 1)")
    assert figure.settle().host.locator(".cf-result .cf-number").inner_text() == "diverged"
    assert figure.host.locator(".cf-gone").text_content().startswith("diverged at step")


def test_the_keyboard_reaches_everything(show_map):
    figure = show_map(MAPS["momentum over start points"]())
    reached = []
    for _ in range(12):
        figure.page.keyboard.press("Tab")
        reached.append(
            figure.page.evaluate(
                "document.activeElement.name || document.activeElement.getAttribute('aria-label')?.split('.')[0] || document.activeElement.textContent.trim()"
            )
        )
    assert reached == [
        "steps",
        "final loss",
        "which minimum",
        "Setting of the run",
        "+",
        "−",
        "Whole map",
        "lr",
        "momentum",
        "steps",
        "goal",
        "Reset",
    ]


@pytest.mark.parametrize("width", [900, 390])
@pytest.mark.parametrize("name", ["Adam over rates and decays", "momentum over start points"])
def test_nothing_jumps_and_a_phone_is_wide_enough(show_map, width, name):
    figure = show_map(MAPS[name](), viewport={"width": width, "height": 900})
    box = "node => JSON.stringify([...node.querySelectorAll('svg, canvas, label, button, .cf-result, .cf-map-legend')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height].map(Math.round); }))"
    before = figure.host.evaluate(box)
    names = figure.host.locator("input[type=range]").evaluate_all("nodes => nodes.map((n) => n.name)")
    for slider in names:
        for place in (0, 0.5, 1):
            assert figure.move(slider, place).host.evaluate(box) == before, f"{slider} at {place}, {width} px wide"
    for button in figure.host.locator(".cf-choice button").all():
        button.click()
        assert figure.settle().host.evaluate(box) == before
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_follows_the_theme(show_map):
    figure = show_map(Map(momentum, himmelblau, x="w0", y="lr", steps=40))
    corner = "(c) => Array.from(c.getContext('2d').getImageData(0, 5, 9, 1).data)"  # at lr = 1 every run diverges
    pixels = lambda data: [tuple(data[k : k + 4]) for k in range(0, len(data), 4)]
    between = lambda data: [*max(pixels(data), key=pixels(data).count)]  # the lines of the hatching
    light = between(figure.host.locator("canvas").evaluate(corner))
    figure.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    dark = between(figure.settle().host.locator("canvas").evaluate(corner))
    assert (light, dark) == ([232, 182, 166, 255], [110, 59, 47, 255])
