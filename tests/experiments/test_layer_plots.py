"""Histograms layer by layer: a line for each, over the bins' centers."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_lib.experiments.layer_plots import layer_histograms


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_line_for_each_layer_and_the_mean_over_seeds():
    values = torch.rand(4, 3, 5) + 0.1
    (one, other) = layer_histograms({"a": values, "b": values[0]}, 2.0, x_label="value")
    assert len(one.lines) == len(other.lines) == 3
    assert one.lines[0].get_xdata() == pytest.approx([-1.6, -0.8, 0.0, 0.8, 1.6])
    assert one.lines[2].get_ydata() == pytest.approx(values.mean(0)[2].numpy())
    assert other.lines[1].get_ydata() == pytest.approx(values[0, 1].numpy())


def test_empty_bins_lie_on_the_axis_so_that_a_single_full_one_is_seen():
    (ax,) = layer_histograms({"a": torch.tensor([[0.0, 1.0, 0.0], [0.2, 0.4, 0.4]])}, 1.0, x_label="value")
    bottom, _ = ax.get_ylim()
    assert ax.lines[0].get_ydata() == pytest.approx([bottom, 1.0, bottom]) and 0 < bottom < 0.2
    assert ax.lines[0].get_color() != ax.lines[1].get_color()


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"must have the shape \(seeds, layers, bins\), got \(3,\)"):
        layer_histograms({"a": torch.ones(3)}, 1.0, x_label="value")
