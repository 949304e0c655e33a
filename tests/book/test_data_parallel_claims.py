"""What the chapter on data parallelism says, bound to its records, to real processes and to algebra."""

import pytest
import torch
import torch.distributed as dist
from claims import Page

from course_lib.experiments import recorded
from course_lib.experiments.studies import data_parallel as study
from course_lib.parallel import launch, mean_over_ranks

page = Page("parallel/data_parallel")
WAYS = {name: k for k, name in enumerate(study.WAYS)}


def ways(what: str, name: str) -> torch.Tensor:
    """(seeds, records)."""
    return recorded("data_parallel_ways")[what][:, WAYS[name]]


def batch(name: str) -> torch.Tensor:
    """(seeds, numbers of processes)."""
    return recorded("data_parallel_batch")[name]


def ends(values: torch.Tensor) -> tuple[float, float]:
    """The smallest and the largest, as the page gives them, to its last digit."""
    return values.min().item(), values.max().item()


@page.claim("All three return [{}, {}]: three times [1, 10], and to each number the ranks, 0 + 1 + 2.")
def test_the_sum_over_three_ranks():
    def meet(scale):
        x = scale * torch.tensor([1.0, 10.0]) + dist.get_rank()
        dist.all_reduce(x)
        return x.tolist()

    results = launch(meet, 1.0, processes=3)
    assert results == 3 * [results[0]]
    return tuple(results[0])


@page.claim("{} processes, {} steps, batches of {}. And the same training")
def test_four_processes_are_one():
    ranks, alone = launch(study.train_data_parallel, processes=4), study.train_alone()
    assert all(torch.equal(a, b) for rank in ranks for a, b in zip(rank, ranks[0]))
    assert 0 < max((a - b).abs().max() for a, b in zip(ranks[0], alone)) < 1e-5
    names, defaults = study.train_alone.__code__.co_varnames, study.train_alone.__defaults__
    options = dict(zip(names, defaults))
    return 4, options["steps"], options["batch"]


@page.claim(
    "{} processes with {} examples each, digits, the rate {}, {} seeds:",
    "*One process* with all {} examples lies exactly on it.",
)
def test_the_settings_of_the_four_ways():
    record = recorded("data_parallel_ways")
    n, size = record.settings["processes"], record.settings["batch"]
    difference = (ways("loss", "one process") - ways("loss", "averaged")).abs().max()
    assert difference < 1e-3, "the same but for rounding"
    return n, size // n, record.settings["rate"], len(record.seeds), size


@page.claim(
    "averaged ones at $n$ times the rate, {} in place of {}. "
    "After {} steps the loss is {} to {}, that of the averaged ones {} to {}."
)
def test_summed():
    settings = recorded("data_parallel_ways").settings
    summed, right = (ways("loss", name)[:, 50 // settings["every"]] for name in ("summed", "averaged"))
    rate = settings["rate"]
    return (settings["processes"] * rate, rate, 50,
            *ends(summed), *ends(right))  # fmt: skip


@page.claim(
    "the distance from rank 0's weights is {} to {} at the start, and it is *the same number* at the end.",
    "They still learn, more slowly: {} to {} where the averaged ones have {} to {}.",
)
def test_unlike_starts():
    apart = ways("apart", "unlike starts")
    torch.testing.assert_close(apart[:, -1], apart[:, 0], rtol=1e-3, atol=0)
    end, right = (ways("loss", name)[:, -1] for name in ("unlike starts", "averaged"))
    assert (end > right).all()
    return *ends(apart[:, 0]), *ends(end), *ends(right)


@page.claim("You pay for {} and train with batches of {}. The loss ends at {} to {}, and if")
def test_the_same_examples():
    settings, end = recorded("data_parallel_ways").settings, ways("loss", "same examples")[:, -1]
    n = settings["processes"]
    return n, settings["batch"] // n, *ends(end)


@page.claim(
    "With a batch of {}, one rank has {} examples and three have {}.",
    "{} ranks, {} examples with the loss {} on one of them and one with the loss {} on the other: the means are {} and {}, "
    "their average is {}, and the mean of the four is {}.",
)
def test_the_mean_of_means():
    shares = [len(x) for x in torch.arange(65).tensor_split(4)]
    ranks = [torch.ones(3), torch.full((1,), 5.0)]
    means = [x.mean().item() for x in ranks]
    right = launch(lambda: mean_over_ranks(ranks[dist.get_rank()]).item())
    mean = torch.cat(ranks).mean().item()
    assert sum(right) / 2 == mean
    return 65, max(shares), min(shares), 2, 3, 1, 5, *means, sum(means) / 2, mean


@page.claim(
    "Digits, {} epochs, {} examples for each process, from {} process with the rate {} to {} with batches of {}.",
    "with {}, which have made {} steps where one process has made {}.",
)
def test_the_settings_of_the_growing_batch():
    settings = recorded("data_parallel_batch").settings
    share, epochs, most = settings["share"], settings["epochs"], settings["processes"][-1]
    steps = [epochs * (1000 // (n * share)) for n in (most, 1)]
    return epochs, share, settings["processes"][0], settings["rate"], most, most * share, most, *steps


@page.claim("At the same rate the loss rises with every doubling, from {} with one process to {} or {} with 32")
def test_the_same_rate_is_too_small():
    loss = batch("same rate")
    assert (loss.diff(dim=1) > 0).all()
    last = loss[:, -1]
    return loss[:, 0], last.min().item(), last.max().item()


@page.claim(
    "With $n$ times the rate, {} to {} processes end between {} and {}, and one alone between {} and {}: "
    "{} times fewer steps",
    "With {} it is {} to {}. A batch is then",
)
def test_the_linear_rule_up_to_a_point():
    loss = batch("rate x n")
    some, one, last = loss[:, 1:5], loss[:, 0], loss[:, 5]
    return 2, 16, *ends(some), *ends(one), 16, 32, *ends(last)


def test_the_warmup_changes_nothing():
    """ "The warm-up changes nothing here": the ranges over the seeds overlap for every number of processes but one alone."""
    scaled, warm = batch("rate x n"), batch("with warm-up")
    assert ((scaled.amin(0) <= warm.amax(0)) & (warm.amin(0) <= scaled.amax(0))).all()
    assert (warm.median(0).values / scaled.median(0).values - 1).abs().max() < 0.1


@pytest.mark.parametrize("processes", [2, 4])
def test_the_first_equation(processes):
    """The gradient of a mean is the mean over the shares of the shares' mean gradients."""
    x = torch.randn(8, 3, dtype=torch.float64)
    shares = [share.mean(0) for share in x.tensor_split(processes)]
    torch.testing.assert_close(sum(shares) / processes, x.mean(0), rtol=1e-14, atol=0)


test_changed_numbers_are_noticed = page.test_of_numbers()
