"""Batches of indices: each example once an epoch, or drawn at random, and never more than there are."""

import itertools

import pytest
import torch

from course_lib.experiments.batches import SAMPLING, index_batches, uniform, uniform_draws


def first(count, *arguments):
    return list(itertools.islice(index_batches(*arguments), count))


def test_in_sequence_is_the_order_of_the_data_again_and_again():
    assert first(5, 10, 4, "in sequence") == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize("B", [1, 3, 4, 10])
def test_shuffled_shows_each_example_once_an_epoch_in_a_new_order(B):
    steps = -(-10 // B)
    epochs = [first(3 * steps, 10, B, "shuffled", 5)[k * steps : (k + 1) * steps] for k in range(3)]
    assert [epoch for epoch in epochs if sorted(sum(epoch, [])) != list(range(10))] == []
    assert [epoch for epoch in epochs if [len(batch) for batch in epoch[:-1]] != [B] * (steps - 1)] == []
    assert len({str(sum(epoch, [])) for epoch in epochs}) == 3


def test_with_replacement_repeats_some_and_leaves_others_out():
    (batch,) = first(1, 64, 64, "with replacement", 1)
    assert len(batch) == 64 and 32 < len(set(batch)) < 50  # about 1 - 1/e of 64 = 40
    counts = torch.tensor(sum(first(2000, 10, 5, "with replacement", 2), [])).bincount()
    assert len(counts) == 10 and (counts - 1000).abs().max() < 130  # 4 standard deviations


def test_every_order_is_equally_probable():
    orders = [tuple(sum(epoch, [])) for epoch in zip(*[iter(first(12_000, 3, 2, "shuffled", 3))] * 2, strict=True)]
    counts = [orders.count(order) for order in itertools.permutations(range(3))]
    assert sum(counts) == 6000 and all(abs(count - 1000) < 120 for count in counts)


@pytest.mark.parametrize("sampling", SAMPLING)
def test_the_seed_decides(sampling):
    assert first(9, 20, 6, sampling, 7) == first(9, 20, 6, sampling, 7)
    assert (first(9, 20, 6, sampling, 7) == first(9, 20, 6, sampling, 8)) == (sampling == "in sequence")


def test_the_generator_is_mulberry32():
    """Its known first numbers for the seed 0, and a mean and a variance of uniform numbers."""
    draws = torch.tensor(list(itertools.islice(uniform(0), 20_000)), dtype=torch.float64)
    assert draws[0].item() == pytest.approx(0.26642920868471265, abs=1e-15)
    assert draws.mean().item() == pytest.approx(0.5, abs=0.01) and draws.var().item() == pytest.approx(1 / 12, rel=0.02)
    assert 0 <= draws.min() and draws.max() < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 0), "B must be from 1 to N = 10, got 0."),
        ((10, 11), "got 11"),
        ((10, 2, "sorted"), "one of in sequence, shuffled, with replacement, got 'sorted'"),
    ],
)
def test_what_makes_no_batch_is_named_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        index_batches(*arguments)


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_draws_at_once_are_those_one_by_one(seed):
    assert uniform_draws(seed, 500).tolist() == list(itertools.islice(uniform(seed), 500))
