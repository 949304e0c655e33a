"""Samplers: the shares that they promise, in a DataLoader, the same for the same seed, and an empty class named."""

import math

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from course_lib.experiments.samplers import ClassBalanced, ClassesApart, HardFirst

CLASSES = torch.tensor([0] * 90 + [1] * 9 + [2])


def test_every_class_is_equally_probable():
    sampler = ClassBalanced(CLASSES, 6000)
    shares = CLASSES[list(sampler)].bincount() / 6000
    assert len(sampler) == 6000 and (shares - 1 / 3).abs().max() < 4 * math.sqrt(2 / 9 / 6000)  # 4 deviations
    first = torch.tensor(list(ClassBalanced(CLASSES, 6000, seed=1)))
    inside = (first < 90).float().sum() / 90  # each example of a class as often as the others
    assert (first[first < 90].bincount() - inside).abs().max() < 5 * inside.sqrt()


def test_classes_come_apart_for_as_long_as_there_are_others():
    order = list(ClassesApart(torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])))
    classes = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])[order]
    assert sorted(order) == list(range(10)) and (classes[1:] != classes[:-1]).all()
    many = ClassesApart(CLASSES)
    assert sorted(many) == list(range(100))


def test_hard_examples_come_more_often_and_none_never():
    sampler = HardFirst(4, sharpness=1.0, floor=0.2)
    assert sampler.probabilities.tolist() == [0.25] * 4
    sampler.update([0, 1, 2], torch.tensor([1.0, 0.0, 2.0]))
    torch.testing.assert_close(
        sampler.probabilities, 0.05 + 0.8 * torch.tensor([0.2, 0, 0.4, 0.4], dtype=torch.float64)
    )
    assert HardFirst(4, sharpness=0.0).probabilities.tolist() == [0.25] * 4
    sampler.update(range(4), torch.zeros(4))
    assert sampler.probabilities.tolist() == [0.25] * 4


def test_losses_reported_within_an_epoch_count_at_once():
    sampler = HardFirst(50, floor=0.0)
    drawn = []
    for k in sampler:
        drawn.append(k)
        losses = torch.zeros(50)
        losses[7] = 1.0
        sampler.update(range(50), losses)
    assert drawn[1:] == [7] * 49


@pytest.mark.parametrize(
    "make",
    [
        lambda s: ClassBalanced(CLASSES, seed=s),
        lambda s: ClassesApart(CLASSES, seed=s),
        lambda s: HardFirst(100, seed=s),
    ],
)
def test_in_a_loader_and_reproducible(make):
    data = TensorDataset(torch.arange(100))
    loaded = [torch.cat([x for (x,) in DataLoader(data, batch_size=8, sampler=make(s))]).tolist() for s in (0, 0, 1)]
    assert loaded[0] == loaded[1] != loaded[2] and len(loaded[0]) == 100
    sampler = make(0)
    assert list(sampler) != list(sampler)  # another order in the next epoch


@pytest.mark.parametrize("make", [ClassBalanced, ClassesApart])
def test_an_empty_class_is_named(make):
    with pytest.raises(ValueError, match="Class 1 of 3 has no example"):
        make([0, 2, 2])
    with pytest.raises(ValueError, match="Class 3 of 4 has no example"):
        make(CLASSES, count=4)
    with pytest.raises(ValueError, match="below count=2, got 2"):
        make(CLASSES, count=2)
    with pytest.raises(ValueError, match="vector of whole numbers"):
        make([0.5, 1.0])


@pytest.mark.parametrize(
    "settings", [{"examples": 0}, {"refresh": 0}, {"sharpness": -1.0}, {"sharpness": math.nan}, {"floor": 1.5}]
)
def test_limits_of_hard_first(settings):
    with pytest.raises(ValueError, match="HardFirst needs"):
        HardFirst(**{"examples": 5} | settings)


@pytest.mark.parametrize("loss", [-1.0, math.nan, math.inf])
def test_a_loss_that_is_none_is_refused(loss):
    with pytest.raises(ValueError, match="finite and at least 0"):
        HardFirst(5).update([0], [loss])
