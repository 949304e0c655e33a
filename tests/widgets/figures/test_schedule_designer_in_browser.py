"""ScheduleDesigner in a browser: its curve and its numbers are Python's, and the code that stands in the page gives the same rates."""

import re

import torch
from figure_reading import show as shown
from test_schedule_designer import rates_of_code

from course_lib.formulas.schedules import SCHEDULES
from course_lib.widgets import ScheduleDesigner

NAMES = ["schedule", "warmup", "start", "axis", "t", "lr", "decay", "gamma", "every", "first", "second", "third", "k", "total", "floor", "T_0", "T_mult", "power", "pct_start", "div_factor", "final_div_factor", "timescale"]  # fmt: skip


def there(figure) -> ScheduleDesigner:
    """The same figure in Python, at the setting where the browser's stands."""
    values = figure.page.evaluate("names => names.map((name) => models[0].get(name))", NAMES)
    return ScheduleDesigner(**dict(zip(NAMES, values, strict=True)))


def code(figure) -> str:
    return figure.host.locator(".cf-code").inner_text()


def assert_right(figure) -> ScheduleDesigner:
    """The curve, the numbers, the words and the code say what Python computes."""
    fig = there(figure)
    rates, results = fig.rates, numbers(figure)
    t = min(fig.t, len(rates) - 1)
    assert results == {f"rate at step {t}": shown(rates[t].item()), "on average": shown(rates.mean().item())}
    (words,) = figure.alt()
    assert f"over {len(rates)} steps: {shown(rates[0].item())} at first" in words
    torch.testing.assert_close(rates_of_code(code(figure), len(rates)), rates, rtol=0, atol=1e-12)
    if fig.axis == "linear":
        drawn = curve(figure)
        assert len(drawn) == len(rates)
        heights = (rates / (1.08 * rates.max())).double()
        torch.testing.assert_close(1 - drawn[:, 1] / HEIGHT, heights, rtol=0, atol=0.1 / HEIGHT)
    return fig


HEIGHT = 280 - 18 - 38  # of the plot inside of its margins


def numbers(figure) -> dict[str, str]:
    rows = figure.host.locator(".cf-result").all()
    return {row.locator(".cf-label").inner_text(): row.locator(".cf-number").inner_text() for row in rows}


def curve(figure) -> torch.Tensor:
    """The drawn line in pixels, (points, 2)."""
    d = figure.host.locator("path.cf-path").first.get_attribute("d")
    return torch.tensor([float(x) for x in re.findall(r"-?[\d.]+", d)], dtype=torch.float64).reshape(-1, 2)


MOVE = """nodes => nodes.map((node) => {
  node.value = 0.4 * node.max; node.dispatchEvent(new Event("input")); return node.name;
})"""


def press(figure, title: str) -> None:
    figure.host.get_by_title(title, exact=True).click()
    figure.settle()


def test_each_schedule_is_drawn_and_spelled_as_python_computes_it(show):
    """Without a warm-up, then with one and all sliders elsewhere."""
    (figure,) = show(ScheduleDesigner()).figures
    for name in SCHEDULES:
        press(figure, f"Schedule: {name.replace('_', ' ')}")
        assert assert_right(figure).schedule == name
        moved = figure.host.locator(".cf-slider:visible input").evaluate_all(MOVE)
        fig = assert_right(figure.settle())
        assert fig.warmup > 0 and {*fig.hyper, "warmup"} <= {*moved}
        figure.host.get_by_role("button", name="Reset").click()


def test_only_the_sliders_of_the_schedule_stand_there(show):
    (figure,) = show(ScheduleDesigner("step")).figures
    names = lambda: [s.get_attribute("name") for s in figure.host.locator(".cf-slider:visible input").all()]
    assert names() == ["warmup", "lr", "gamma", "every"]
    figure.move("warmup", 0.1)
    assert names() == ["warmup", "start", "lr", "gamma", "every"]


def test_the_step_that_is_read_off_by_mouse_and_by_keys(show):
    (figure,) = show(ScheduleDesigner("warm_restarts")).figures
    scrub = figure.slider("step")
    scrub.focus()
    for _ in range(3):
        scrub.press("ArrowRight")
    assert assert_right(figure.settle()).t == 3
    scrub.press("End")
    assert assert_right(figure.settle()).t == 299
    press(figure, "Schedule: cosine")
    assert numbers(figure.settle())["rate at step 199"] == shown(there(figure).rates[199].item())


def test_a_logarithmic_axis_ends_five_decades_below_the_highest_rate(show):
    (figure,) = show(ScheduleDesigner("cosine", axis="linear")).figures
    press(figure, "Axis: log")
    fig = assert_right(figure.settle())
    drawn = curve(figure)
    heights = (fig.rates / 1e-6).log10() / torch.tensor(1.5e5).log10()
    torch.testing.assert_close(1 - drawn[:, 1] / HEIGHT, heights[: len(drawn)], rtol=0, atol=0.1 / HEIGHT)


def test_the_code_can_be_selected(show):
    (figure,) = show(ScheduleDesigner()).figures
    selected = figure.host.locator(".cf-code").evaluate(
        "node => { getSelection().selectAllChildren(node); return getSelection().toString(); }"
    )
    assert "CosineAnnealingLR(optimizer, T_max=200" in selected and selected.strip() == code(figure).strip()


def test_reset_brings_everything_back(show):
    (figure,) = show(ScheduleDesigner("one_cycle", warmup=5)).figures
    first = code(figure)
    press(figure, "Schedule: step")
    for name in ("lr", "gamma", "every", "warmup"):
        figure.move(name, 0.7)
    assert code(figure) != first
    figure.host.get_by_role("button", name="Reset").click()
    assert code(figure.settle()) == first


def test_nothing_jumps_and_a_phone_is_wide_enough(show):
    for width in (900, 390):
        (figure,) = show(ScheduleDesigner("one_cycle", warmup=5), viewport={"width": width, "height": 900}).figures
        box = "node => JSON.stringify([...node.querySelectorAll('svg, button, .cf-result, pre')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }))"
        before = figure.host.evaluate(box)
        for name in ("total", "warmup"):
            for where in (0.05, 1):
                assert figure.move(name, where).host.evaluate(box) == before, f"{name} at {where}, {width} px wide"
        assert figure.page.evaluate("document.documentElement.scrollWidth") <= width


def test_at_a_notebooks_height_the_sliders_and_the_curve_are_seen_together(show):
    (figure,) = show(ScheduleDesigner("one_cycle", warmup=5), viewport={"width": 1366, "height": 768}).figures
    boxes = [figure.host.locator(x).bounding_box() for x in ("svg", ".cf-side", ".cf-code")]
    top, bottom = min(b["y"] for b in boxes), max(b["y"] + b["height"] for b in boxes)
    assert bottom - top < 740
