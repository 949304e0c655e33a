"""LayoutChooser without a page: its days are the model's, its words follow, and what a layout cannot have is refused."""

import pytest

from course_lib.experiments.layouts import SLIDE_61, days, slide_61_constants
from course_lib.widgets import LayoutChooser


def test_its_days_are_those_of_the_model():
    for row in SLIDE_61[1:]:
        layout = "hybrid" if min(row.groups, row.members) > 1 else "data" if row.members == 1 else "model"
        fig = LayoutChooser(layout, n=row.groups * row.members, bandwidth=slide_61_constants().bandwidth / 1e9)
        assert fig.days == pytest.approx(days(slide_61_constants(), row.groups, row.members))
        assert fig.table[row.words] == pytest.approx(fig.days)
        assert abs(fig.table[row.words] / row.days - 1) < 0.1


def test_twice_the_bandwidth_halves_what_is_under_way():
    slow, fast = (LayoutChooser("hybrid", n=4, bandwidth=b, speed=3).parts for b in (2.0, 4.0))
    assert slow == pytest.approx((fast[0], 2 * fast[1], 2 * fast[2]))
    assert slow[0] == pytest.approx(10.5 / 4 / 3)


def test_a_new_layout_takes_a_count_that_it_can_have():
    fig = LayoutChooser("data", n=7)
    fig.parallelism = "model"
    assert fig.n == 4
    fig.n = 2
    fig.parallelism = "hybrid"
    assert fig.n == 4
    assert fig.alt.startswith(
        "AlexNet, 100 epochs, on 4 GPUs in the layout hybrid, a switch for each group, 1.61 GB/s: 5.0"
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"parallelism": "hybrid", "n": 5}, "The hybrid layout has at least two pairs: n must be 4, 6 or 8, got 5."),
        ({"parallelism": "model", "n": 3}, "n must be 1, 2, 4 or 8, got 3."),
        ({"n": 0}, "n must be a whole number from 1 to 8, got 0."),
        ({"parallelism": "zero"}, "parallelism must be one of data, model, hybrid, got 'zero'."),
        ({"topology": "ring"}, "topology must be one of bus, switches, links, got 'ring'."),
        ({"bandwidth": 0}, "bandwidth must be above 0 and finite, got 0.0."),
        ({"speed": -1}, "speed must be at least 0"),
    ],
)
def test_what_it_cannot_show_is_refused(wrong, words):
    with pytest.raises(ValueError) as refused:
        LayoutChooser(**wrong)
    assert words in str(refused.value)


def test_a_count_that_the_layout_cannot_have_is_refused_later_too():
    fig = LayoutChooser("hybrid", n=4)
    with pytest.raises(ValueError, match="n must be 4, 6 or 8, got 3"):
        fig.n = 3
