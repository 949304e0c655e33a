"""Augmentations in Python: what it changes, what it says, and what it refuses."""

import math

import pytest
import torch

from course_lib.experiments.data import photographs
from course_lib.widgets import Augmentations
from course_lib.widgets.figures.augmentations import HEIGHT, WIDTH, normal


def test_at_first_nothing_is_changed():
    fig = Augmentations()
    torch.testing.assert_close(fig.result.float(), photographs(HEIGHT, WIDTH)[0], rtol=0, atol=0.5 / 255 + 1e-6)
    assert fig.outside == 0 and "not yet" in fig.alt


def test_what_comes_from_outside_is_counted():
    fig = Augmentations(right=WIDTH / 4)
    assert fig.outside == 0.25 and fig.result[:, :, : WIDTH // 4].abs().max() < 1e-12
    fig.right, fig.factor = 0, 0.5
    assert fig.outside == 0.75
    assert "scale 0.5" in fig.alt and "75.0% of its pixels" in fig.alt


def test_a_mirrored_photograph():
    torch.testing.assert_close(Augmentations(mirrored=1).result, Augmentations().result.flip(-1), rtol=0, atol=1e-12)


def test_the_noise_is_like_normal_numbers():
    z = normal(torch.arange(60_000.0, dtype=torch.float64), torch.tensor(3.0))
    assert abs(z.mean()) < 4 / math.sqrt(60_000) and abs(z.var() - 1) < 4 * math.sqrt(2 / 60_000)
    assert (z[:-1] * z[1:]).mean().abs() < 4 / math.sqrt(60_000)
    inside = (z.abs() < 1).double().mean()
    assert abs(inside - 0.6827) < 4 * math.sqrt(0.22 / 60_000)


def test_the_photograph_is_small_enough_for_a_page():
    assert len(Augmentations().spec["photo"]) < 40_000


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: Augmentations(rotate=10), TypeError, "Augmentations has no `rotate`. It has: right, down, degrees,"),
        (lambda: Augmentations(degrees=200), ValueError, "degrees must lie between -180 and 180, got 200."),
        (lambda: Augmentations(mirrored=2), ValueError, "mirrored must be a whole number from 0 to 1, got 2."),
        (lambda: setattr(Augmentations(), "u", 1.5), ValueError, "u must lie between 0 and 1, got 1.5."),
    ],
)
def test_errors_are_sentences(call, error, words):
    with pytest.raises(error) as raised:
        call()
    assert words in str(raised.value)
