"""StepTimeline in a browser: its numbers and its pieces are Python's."""

import re

import pytest
from figure_reading import show as shown

from course_lib.experiments.layer_costs import NETWORKS
from course_lib.widgets import StepTimeline

NAMES = ("network", "n", "batch", "bandwidth", "latency", "bucket", "overlap", "slow")


def there(figure) -> StepTimeline:
    values = figure.page.evaluate("names => names.map((name) => models[0].get(name))", NAMES)
    return StepTimeline(**dict(zip(NAMES, values, strict=True)))


def assert_right(figure) -> StepTimeline:
    fig = there(figure)
    s = fig.summary
    numbers = figure.host.locator(".cf-number").all_inner_texts()
    assert numbers[0] == f"{shown(1000 * s['seconds'])} ms" and numbers[2] == f"× {shown(s['speed_up'])}"
    assert float(numbers[1].rstrip("%")) == pytest.approx(100 * s["exposed"], abs=0.051)
    buckets = figure.host.locator("path.cf-bucket").get_attribute("d").count("M")
    assert buckets == (int((fig.schedule[2] > 0).sum()) if fig.n > 1 else 0)
    return fig


@pytest.mark.parametrize("network", NETWORKS)
def test_numbers_and_buckets_are_pythons(show, network):
    (figure,) = show(StepTimeline(network)).figures
    assert_right(figure)
    for name, place in {"n": 0.5, "batch": 0.2, "bandwidth": 0.4, "latency": 0.7, "bucket": 0.1, "slow": 0.3}.items():
        figure.move(name, place)
        assert_right(figure)
    figure.host.get_by_title("Overlap: off", exact=True).click()
    assert assert_right(figure.settle()).overlap == "off"
    figure.move("n", 0.0)
    assert assert_right(figure).n == 1
    figure.host.get_by_role("button", name="Reset").click()
    assert assert_right(figure.settle()).n == 8


def test_the_pieces_stand_where_the_times_are(show):
    """The last bucket's right end over the axis is the step's length, and the backward pass begins after a third."""
    (figure,) = show(StepTimeline("ResNet-50", n=8, bandwidth=1.0, slow=1.5)).figures
    fig = assert_right(figure)
    d = figure.host.locator("path.cf-bucket").get_attribute("d")
    ends = [float(x) for x in re.findall(r"H([\d.]+)", d)]
    computed = figure.host.locator("path.cf-piece:not(.cf-bucket)").get_attribute("d")
    first = float(re.search(r"H([\d.]+)", computed)[1])  # the end of the other GPUs' forward pass
    assert max(ends) / first == pytest.approx(fig.summary["seconds"] / fig.seconds[0], rel=1e-3)


def test_another_network_by_the_list(show):
    (figure,) = show(StepTimeline()).figures
    figure.host.locator("select").select_option("GPT-2 small")
    assert assert_right(figure.settle()).network == "GPT-2 small"


def test_a_phone_is_wide_enough(show):
    (figure,) = show(StepTimeline(), viewport={"width": 390, "height": 844}).figures
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
