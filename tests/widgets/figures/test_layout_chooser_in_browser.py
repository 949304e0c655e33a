"""LayoutChooser in a browser: numbers, table and bars are Python's, and what cannot be chosen is disabled."""

import re

import pytest
from figure_reading import show as shown

from course_lib.widgets import LayoutChooser

NAMES = ("parallelism", "topology", "n", "bandwidth", "speed")


def there(figure) -> LayoutChooser:
    values = figure.page.evaluate("names => names.map((name) => models[0].get(name))", NAMES)
    return LayoutChooser(**dict(zip(NAMES, values, strict=True)))


def press(figure, title: str):
    figure.host.get_by_title(title, exact=True).click()
    return figure.settle()


def assert_right(figure) -> LayoutChooser:
    fig = there(figure)
    assert figure.host.locator(".cf-number").inner_text() == f"{shown(fig.days)} days"
    assert figure.host.locator(".cf-costs-table td:nth-child(3)").all_inner_texts() == [
        f"{x:.2f}" for x in fig.table.values()
    ]
    pressed = figure.host.locator(".cf-button[aria-pressed=true]").all_inner_texts()
    assert pressed[0] == fig.parallelism and pressed[2] == str(fig.n)
    return fig


@pytest.mark.parametrize("topology", ["one bus for all", "a switch for each group", "a link for each GPU"])
def test_numbers_and_table_are_pythons(show, topology):
    (figure,) = show(LayoutChooser()).figures
    press(figure, f"Topology: {topology}")
    for layout in ("model", "hybrid", "data"):
        press(figure, f"Layout: {layout}")
        assert assert_right(figure).parallelism == layout
        figure.move("bandwidth", 0.6)
        figure.move("speed", 0.3)
        assert_right(figure)
        figure.host.get_by_role("button", name="Reset").click()


def test_the_bars_stack_up_to_the_days(show):
    (figure,) = show(LayoutChooser("hybrid", n=4)).figures
    fig = there(figure)
    stacks = figure.host.locator(".cf-loss-plot path.cf-stack").evaluate_all(
        "nodes => nodes.map((n) => n.getAttribute('d'))"
    )
    heights = []
    for d in stacks:
        low, high = (float(x) for x in re.match(r"M[\d.]+,([\d.]+)V([\d.]+)", d).groups())  # of the bar for 4 GPUs
        heights.append(low - high)
    whole = sum(heights)
    assert [h / whole for h in heights] == pytest.approx([part / fig.days for part in fig.parts], abs=0.001)


def test_what_the_layout_cannot_have_is_disabled(show):
    (figure,) = show(LayoutChooser("data", n=3)).figures
    counts = figure.host.get_by_role("group", name="GPUs", exact=True)
    assert counts.locator("button:disabled").count() == 0
    press(figure, "Layout: model")
    assert assert_right(figure).n == 2 and counts.locator("button:disabled").all_inner_texts() == ["3", "5", "6", "7"]
    press(figure, "Layout: hybrid")
    assert assert_right(figure).n == 4 and counts.locator("button:enabled").all_inner_texts() == ["4", "6", "8"]
    press(figure, "GPUs: 8")
    assert assert_right(figure).n == 8


def test_crosses_stand_only_beside_the_slides_hardware(show):
    (figure,) = show(LayoutChooser("data")).figures
    crosses = lambda: figure.host.locator(".cf-loss-plot .cf-measured").get_attribute("d").count("M")
    assert crosses() == 2 * 3  # two strokes for each of 1, 2 and 4 GPUs
    figure.move("bandwidth", 0.9)
    assert crosses() == 0


def test_a_phone_is_wide_enough(show):
    (figure,) = show(LayoutChooser(), viewport={"width": 390, "height": 844}).figures
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
