"""Rows of pictures: each image where it belongs, and sentences for what is none."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_lib.experiments.pictures import pictures


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_stands_in_its_place(channels):
    images = torch.rand(5, channels, 4, 6, generator=torch.Generator().manual_seed(0))
    figure = pictures(images, [f"image {k}" for k in range(5)], columns=3)
    shown = [ax for ax in figure.axes if ax.images]
    assert len(figure.axes) == 6 and [ax.get_title(loc="left") for ax in shown] == [f"image {k}" for k in range(5)]
    for ax, image in zip(shown, images, strict=True):
        drawn = torch.from_numpy(ax.images[0].get_array().filled())
        torch.testing.assert_close(drawn.reshape(4, 6, channels), image.movedim(0, -1))
    plt.close(figure)


@pytest.mark.parametrize(
    "images, titles, words",
    [
        (torch.zeros(3, 4, 4), (), r"got \(3, 4, 4\)"),
        (torch.zeros(1, 2, 4, 4), (), r"got \(1, 2, 4, 4\)"),
        (torch.zeros(2, 1, 4, 4), ("one",), "a title for each of the 2 images, got 1"),
    ],
)
def test_what_is_no_picture(images, titles, words):
    with pytest.raises(ValueError, match=words):
        pictures(images, titles)
