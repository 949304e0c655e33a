"""Trainability in a browser: its pixels are runs of train_many, on a graphics chip, in a worker and in the page; and every way to move it."""

import math
import re

import numpy as np
import pytest
import torch
from figure_reading import show as written
from map_reading import at_rest, center, colors, follow, plot, results, state, traits, view

from course_lib.experiments.trainability import train_many
from course_lib.formulas.trainability import one_rate, two_rates
from course_lib.widgets import Trainability
from course_lib.widgets.figures.maps.trainability import Fates

SMALL = {"viewport": {"width": 250, "height": 1300}}
HEIGHT = 170 - 18 - 26  # of the loss plot between its margins
TOP = 1e6


@pytest.fixture
def show(show):
    """`show`, and at the end of the test no page has asked another host for anything, or complained."""
    visits = []

    def open(*figures, **options):
        visits.append(show(*figures, **options))
        return visits[-1]

    yield open
    assert [visit.problems for visit in visits] == [[] for _ in visits]


def gentle_clip(W, V, x, y, *, rate=1.0, most=1.0):
    """A step of one's own: no number of the gradient is larger than `most`."""
    dW, dV = torch.func.grad(lambda W, V: ((V @ (W @ x).tanh() - y) ** 2).mean(), argnums=(0, 1))(W, V)
    limited = lambda g: torch.where(g > most, most, torch.where(g < -most, -most, g))
    return W - rate * limited(dW), V - rate * limited(dV)


MAPS = {
    "two rates": lambda: Trainability(steps=25),
    "a rate and the scale, a wide network": lambda: Trainability(one_rate, x="lr", y="scale", width=8, steps=12),
    "one hidden unit": lambda: Trainability(width=1, seed=1, steps=30),
    "a step of one's own": lambda: Trainability(gentle_clip, x="rate", y="most", width=3, steps=12),
}


def drawn(figure) -> Fates:
    """The figure's pixels, as `values` gives them, but with steps + 1 for when a run is lost that is not."""
    when, end, mean, lost = results(figure)
    return Fates(when, end, mean, lost.bool())


def assert_pixels(figure, fig, at_least=14_000):
    """The picture is `fig.values`: more than 97% of the classes; of what trains in both, more than 95% of the means, and of what is lost, of the steps."""
    got = drawn(figure)
    rows, columns = got.lost.shape
    assert rows * columns >= at_least
    want = fig.values(columns, rows)
    assert (got.lost == want.lost).double().mean() > 0.97
    trained, lost = ~got.lost & ~want.lost, got.lost & want.lost
    assert trained.any()
    assert torch.isclose(got.mean[trained], want.mean[trained], rtol=0.01, atol=0).double().mean() > 0.95
    assert not lost.any() or ((got.when - want.when).abs() <= 1)[lost].double().mean() > 0.95
    assert (got.when[~got.lost] == fig.steps + 1).all()


def curve(figure):
    """The heights of the drawn losses, in pixels from the top."""
    d = figure.host.locator(".cf-loss-plot .cf-path").get_attribute("d")
    return [float(y) for y in re.findall(r",(-?[\d.]+)", d)]


def assert_run(figure, fig):
    """The loss plot and the words beside it show the run of train_many at the ring."""
    losses = train_many(two_rates, follow(figure, fig).task, fig.steps, **fig.hyper)[:, 0]
    kept = losses[~losses.isnan()].numpy()
    low = 10 ** math.floor(math.log10(min(TOP / 10, kept.min())))
    high = 10 ** math.ceil(math.log10(max(10 * low, kept.max())))
    assert curve(figure) == pytest.approx(HEIGHT * (1 - np.log(kept / low) / math.log(high / low)), abs=0.11)
    label, number, ends = figure.host.locator(".cf-result > span").all_inner_texts()
    assert label.startswith("at η₁ ") and "η₂ " in label
    if losses.isnan().any():
        assert (number, ends) == ("diverges", f"at step {len(kept)}")
    else:
        assert number == ("trains" if losses[-1] < 0.01 else "does not settle low")
        assert ends == f"loss {written(losses[0].item())} → {written(losses[-1].item())}"
    assert figure.alt()[-1] == f"Loss of the network at the ring over {fig.steps} steps: it {number}, {ends}."


# Pixels


@pytest.mark.parametrize("name", MAPS)
def test_each_pixel_is_a_run_of_train_many(show_map, name):
    fig = MAPS[name]()
    figure = show_map(fig, **SMALL)
    assert state(figure, "machine") == "gpu"
    assert_pixels(figure, fig)


def test_without_graphics_it_is_computed_in_javascript(show_without_graphics):
    fig = MAPS["two rates"]()
    figure = show_without_graphics(fig, **SMALL)
    assert_pixels(figure, fig, at_least=10_000)
    figure.move("scale", 0.7)
    assert_pixels(at_rest(figure), follow(figure, fig), at_least=10_000)


def test_the_colors_tell_what_trains_from_what_diverges(show_map):
    figure = show_map(MAPS["two rates"](), **SMALL)
    got = drawn(figure)
    red, green, _, alpha = colors(figure).unbind(-1)
    assert (alpha == 255).all() and 0.1 < got.lost.double().mean() < 0.9
    cool, warm = (set(zip(red[k].tolist(), green[k].tolist(), strict=True)) for k in (~got.lost, got.lost))
    assert len(cool) > 20 and len(warm) > 5 and not cool & warm


# Moving


def test_a_press_moves_the_ring_and_draws_its_run(show_map):
    fig = MAPS["two rates"]()
    figure = show_map(fig, **SMALL)
    assert_run(figure, fig)
    for u, v in ((0.3, 0.2), (0.9, 0.95)):
        x, y, box = center(figure, u, v)
        figure.page.mouse.click(x, y)
        rates = traits(figure.settle(), "lr_1", "lr_2")
        assert [math.log(lr / 0.05, 1e4) for lr in rates] == pytest.approx([u, v], abs=1.5 / box["height"])
        assert_run(figure, fig)
    assert fig.lr_2 > 100  # the second one diverges
    assert "cf-diverged" in figure.host.locator(".cf-result").get_attribute("class")


def test_the_ring_by_keys_computes_no_new_map(show_map):
    fig = MAPS["two rates"]()
    figure = show_map(fig, **SMALL)
    ring, picture = plot(figure).locator(".cf-start"), plot(figure).evaluate_handle("(box) => box.state.picture")
    ring.press("ArrowRight")
    ring.press("Shift+ArrowDown")
    lr_1, lr_2 = traits(figure.settle(), "lr_1", "lr_2")
    assert (lr_1, lr_2) == pytest.approx((10**0.04, 0.3 * 10**-0.4), rel=0.02)
    assert_run(figure, fig)
    assert ring.get_attribute("aria-valuetext") == f"rate of layer 1 {lr_1:g}, rate of layer 2 {lr_2:g}"
    assert plot(at_rest(figure)).evaluate("(box, before) => box.state.picture === before", picture)


def test_zooming_and_the_whole_map(show_map):
    fig = MAPS["two rates"]()
    figure = show_map(fig, **SMALL)
    before = view(figure)
    figure.host.get_by_role("button", name="+", exact=True).click()
    closer = view(figure.settle())
    for (low, high), (least, most), at in zip(closer, before, (fig.lr_1, fig.lr_2), strict=True):
        assert math.log(high / low) == pytest.approx(math.log(most / least) / 2) and low < at < high
    assert_pixels(at_rest(figure), follow(figure, fig))
    figure.host.get_by_role("button", name="−", exact=True).click()
    assert [x for bounds in view(figure.settle()) for x in bounds] == pytest.approx(
        [x for bounds in before for x in bounds]
    )
    plot(figure).locator(".cf-start").press("+")
    assert view(figure.settle()) != before
    figure.host.get_by_role("button", name="Whole map").click()
    assert view(figure.settle()) == before


def test_sliders_change_the_map_and_reset_brings_it_back(show_map):
    fig = MAPS["two rates"]()
    figure = show_map(fig, **SMALL)
    first, words = drawn(figure), figure.alt()
    figure.move("scale", 0.8)
    figure.move("steps", 0.04)
    plot(figure).locator(".cf-start").press("Shift+ArrowUp")
    assert traits(figure, "steps") == [39]
    assert_pixels(at_rest(figure), follow(figure, fig))
    assert_run(figure, fig)
    figure.host.get_by_role("button", name="Reset").click()
    again = drawn(at_rest(figure))
    assert torch.equal(again.mean, first.mean) and torch.equal(again.lost, first.lost) and figure.alt() == words


def test_a_change_from_python_moves_the_figure(show_map):
    fig = MAPS["two rates"]()
    figure = show_map(fig, **SMALL)
    figure.page.evaluate(
        "models[0].set('x_range', [1, 10]); models[0].set('scale', 2); models[0].set('lr_1', 3); models[0].set('steps', 25)"
    )
    assert_pixels(at_rest(figure), follow(figure, fig))
    assert (figure.value("scale"), figure.value("steps")) == (2, 25)
    assert_run(figure, fig)


def test_a_range_that_is_none_is_said(show_map):
    figure = show_map(MAPS["one hidden unit"](), **SMALL)
    note = figure.host.locator(".cf-map-note")
    for bounds, words in {
        (2, 2): "is empty: from 2 to 2.",
        (3, 1): "is inverted: from 3 to 1.",
        (0, 1): ", from 0 to 1, leaves what is allowed: from 1.0×10⁻¹² to 1.0×10⁶.",
    }.items():
        figure.page.evaluate("(bounds) => models[0].set('x_range', bounds)", bounds)
        plot(figure.settle()).locator(".cf-start").press("ArrowRight")
        assert note.inner_text() == f"The range of rate of layer 1 {words}".replace(" ,", ",")
        assert not figure.host.locator("canvas").is_visible()
    figure.host.get_by_role("button", name="Whole map").click()
    at_rest(figure)
    assert note.inner_text() == "" and figure.host.locator("canvas").is_visible()


# Words and layout


def test_it_says_what_it_shows(show_map):
    figure = show_map(MAPS["two rates"](), **SMALL)
    got = drawn(figure)
    percent = lambda share: f"{math.floor(100 * share.double().mean().item() + 0.5)} %"
    assert figure.alt()[0] == (
        "Map of trainability over rate of layer 1 from 0.05 to 500 and rate of layer 2 from 0.05 to 500. "
        f"In 25 steps {percent((got.end < 0.01) & ~got.lost)} of the networks reach a loss below 0.01, {percent(got.lost)} diverge."
    )
    assert (
        figure.host.locator(".cf-trained").get_attribute("aria-label")
        == "Map of trainability: two rates, 4 hidden units"
    )
    legend = figure.host.locator(".cf-map-legend").inner_text()
    assert "trains: mean loss relative to the first" in legend and "diverges" in legend


def test_the_keyboard_reaches_everything(show_map):
    figure = show_map(MAPS["one hidden unit"](), **SMALL)
    reached = []
    for _ in range(7):
        figure.page.keyboard.press("Tab")
        reached.append(
            figure.page.evaluate(
                "document.activeElement.name || document.activeElement.getAttribute('aria-label')?.split('.')[0] || document.activeElement.textContent.trim()"
            )
        )
    assert reached == ["Setting of the run", "+", "−", "Whole map", "scale", "steps", "Reset"]


@pytest.mark.parametrize("width", [900, 390])
def test_nothing_jumps_and_a_phone_is_wide_enough(show_map, width):
    figure = show_map(Trainability(width=1, seed=1, steps=20), viewport={"width": width, "height": 1000})
    box = "node => JSON.stringify([...node.querySelectorAll('svg, canvas, label, button, .cf-result, .cf-map-legend')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height].map(Math.round); }))"
    before = figure.host.evaluate(box)
    for slider, places in {"scale": (0, 0.4, 1), "steps": (0.03, 0.01)}.items():
        for place in places:
            assert figure.move(slider, place).host.evaluate(box) == before, f"{slider} at {place}, {width} px wide"
    said = set()
    for rates in ((500, 500), (0.05, 0.05), (1.2345, 0.0777)):
        figure.page.evaluate("([a, b]) => { models[0].set('lr_1', a); models[0].set('lr_2', b); }", rates)
        said.add(figure.settle().host.locator(".cf-result").inner_text())
        assert figure.host.evaluate(box) == before, f"the ring at {rates}, {width} px wide"
    assert len(said) == 3 and any("diverges" in words for words in said)
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_dark_page(show_map):
    """The colors of the map mean the same; words and axes follow the theme."""
    figure = show_map(MAPS["one hidden unit"](), **SMALL)
    color = "node => getComputedStyle(node).getPropertyValue('--cf-rule-momentum')"
    light = figure.host.locator(".cf-trained").evaluate(color)
    figure.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    dark = at_rest(figure).host.locator(".cf-trained").evaluate(color)
    assert light != dark
    assert figure.host.locator("canvas").evaluate("(c) => c.getContext('2d').getImageData(5, 5, 1, 1).data[3]") == 255
