"""The data sets: real, apart, repeatable."""

import pytest
import torch

from course_lib.experiments import digits
from course_lib.experiments.data import photographs


def test_the_digits_are_split_without_overlap_or_loss():
    data = digits(train=1000, val=400)
    parts = [(data.x_train, data.y_train), (data.x_val, data.y_val), (data.x_test, data.y_test)]
    assert [(tuple(x.shape), tuple(y.shape)) for x, y in parts] == [((n, 64), (n,)) for n in (1000, 400, 397)]
    assert torch.cat([y for _, y in parts]).bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert 0 == min(x.min() for x, _ in parts) and max(x.max() for x, _ in parts) == 1


def test_pixels_and_classes_stay_together():
    """A nearest class mean, the simplest classifier there is, names four digits out of five."""
    data = digits()
    means = torch.stack([data.x_train[data.y_train == k].mean(0) for k in range(10)])
    assert (torch.cdist(data.x_test, means).argmin(1) == data.y_test).float().mean() > 0.8


def test_the_seed_decides_the_split():
    assert torch.equal(digits(seed=1).x_train, digits(seed=1).x_train)
    assert not torch.equal(digits(seed=1).x_train, digits(seed=2).x_train)


@pytest.mark.parametrize(("train", "val"), [(1797, 0), (0, 100), (1000, 797), (100, -1)])
def test_a_split_that_leaves_nothing_to_test_is_refused(train, val):
    with pytest.raises(ValueError, match=f"got train={train} and val={val}"):
        digits(train, val)


def test_the_photographs_are_whole_or_smaller():
    whole, small = photographs(), photographs(84, 112)
    assert whole.shape == (2, 3, 427, 640) and small.shape == (2, 3, 84, 112)
    assert 0 <= whole.min() and whole.max() == 1
    middle = whole[..., 35:604]  # of the aspect 4 : 3
    torch.testing.assert_close(small.mean((2, 3)), middle.mean((2, 3)), rtol=0, atol=0.01)


@pytest.mark.parametrize("size", [(428, 640), (0, 10), (10, 641)])
def test_a_photograph_does_not_grow(size):
    with pytest.raises(ValueError, match=f"got {size[0]} x {size[1]}"):
        photographs(*size)
