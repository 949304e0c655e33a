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


# What travels


@page.claim(
    "{} machines, {} MB: how many chunks of the finished sum does each machine hold after round {}?",
    "One each, a different one. After round {} all have all, and each has sent {} MB. With eight machines it is {} MB. "
    "However many there are, it stays below {}.",
)
def test_the_ring_sends_less_than_twice_the_array(page):
    fig = page.figure()
    n, size = fig.n, fig.size
    rounds = fig.rounds
    four = set(fig.sent.tolist())
    assert four == {2 * (n - 1) / n * size}
    fig.n = 8
    return n, size, n - 1, rounds, four.pop(), fig.sent.max().item(), 2 * size


@page.claim(
    "*naive*: which machine sends the most, and how much of the {} MB with {} and with {} machines?",
    "Machine {}: {} MB with four, {} MB with eight. It takes {} ms where the ring takes {}.",
)
def test_the_naive_way_burdens_machine_0(page):
    fig = page.figure()
    ring = 1000 * fig.seconds
    fig.algorithm = "naive"
    naive, four, busiest = 1000 * fig.seconds, fig.sent.max().item(), fig.sent.argmax().item()
    fig.n = 8
    return fig.size, 4, 8, busiest, four, fig.sent.max().item(), naive, ring


@page.claim(
    "{} machines, an array of {} MB. Which is faster",
    "The tree: {} µs, the ring {}. Now a message costs its latency and nothing else, and the ring has {} rounds, the tree {}.",
)
def test_a_tree_is_faster_for_small_arrays(page):
    fig = page.figure()
    fig.n, fig.size = 8, 0.01
    ring, rounds = 1e6 * fig.seconds, fig.rounds
    fig.algorithm = "tree"
    return fig.n, fig.size, 1e6 * fig.seconds, ring, rounds, fig.rounds


@page.claim("From {} to {} KB hardly anything changes", "At {} MB the bytes count.",
            "The busiest rank sends {} MB by the ring, {} by the tree and {} through rank 0")
def test_latency_and_bytes_of_an_all_reduce():
    record = recorded("all_reduce_by_size")
    sizes, middle = record.settings["sizes"], {way: record[way].median(0).values for way in ("ring", "tree", "naive")}
    for times in middle.values():
        assert 0.5 < times[1] / times[0] < 2 and times[3] > 2 * times[1]
    assert middle["ring"][0] > 3 * middle["tree"][0] and middle["ring"][3] < 1.1 * middle["naive"][3]
    sent = [record[f"sent {way}"][0, -1].item() / 1e6 for way in ("ring", "tree", "naive")]
    return sizes[0] / 1024, sizes[1] / 1024, sizes[3] // 2**20, *sent


# Batch normalization


def errors(name: str, samples: int) -> torch.Tensor:
    record = recorded("sync_batchnorm_on_digits")
    return record[name][:, record.settings["samples"].index(samples)]


@page.claim(
    "Digits, two hidden layers with batch normalization, {} ranks, {} seeds:",
    "With two samples a rank, {} to {}% of errors against {} to {}%.",
    "With one, the synchronized network still learns, {} to {}%: it sees {} samples. With eight the ranges overlap.",
)
def test_plain_batch_norm_hurts_with_two_samples():
    record = recorded("sync_batchnorm_on_digits")
    plain, one = errors("plain", 8), errors("synchronized", 8)
    assert plain.min() < one.max() and one.min() < plain.max()
    ranks = record.settings["ranks"]
    return (ranks, len(record.seeds), *ends(errors("plain", 2)), *ends(errors("synchronized", 2)),
            *ends(errors("synchronized", 1)), ranks)  # fmt: skip


def test_two_samples_become_plus_and_minus_one():
    a, b = torch.randn(2, 100, dtype=torch.float64)
    normalized = torch.nn.functional.batch_norm(torch.stack((a, b)), None, None, training=True, eps=1e-12)
    torch.testing.assert_close(normalized.abs(), torch.ones(2, 100, dtype=torch.float64), rtol=1e-4, atol=0)
    assert ((normalized[0] > 0) == (a > b)).all()


test_changed_numbers_are_noticed = page.test_of_numbers()
