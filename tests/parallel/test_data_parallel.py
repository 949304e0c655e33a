"""The wrapper against one process on the joined batch and against PyTorch's own, in float64, step by step.

All networks and traps of one number of processes run in one launch.
"""

import copy
from contextlib import nullcontext

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from course_lib.parallel import DataParallel, RankError, launch, mean_over_ranks, shard

STEPS, BATCH, RATE = 4, 12, 0.3


class Tied(nn.Module):
    """An embedding that is the output's weight, too."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 6)
        self.last.weight = self.first.weight

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


class Branches(nn.Module):
    """A layer that no rank uses, and one that only some examples use, and so perhaps not all ranks."""

    def __init__(self):
        super().__init__()
        self.always, self.seldom, self.never = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        y = self.always(x)
        large = x[:, 0] > 1.2
        if large.any():
            y = y + large[:, None] * self.seldom(x)
        return y


def frozen() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 6))
    network[0].weight.requires_grad_(False)
    return network


def two_types() -> nn.Module:
    class Cast(nn.Module):
        def forward(self, x):
            return x.double()

    class Down(nn.Module):
        def forward(self, x):
            return x.float()

    return nn.Sequential(Down(), nn.Linear(6, 8, dtype=torch.float32), Cast(), nn.Linear(8, 6))


NETWORKS = {
    "deep": lambda: nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(6, 6), nn.Tanh()))),
    "tied": Tied,
    "branches": Branches,
    "frozen": frozen,
    "two types": two_types,
}
OPTIONS = {"a bucket": {}, "buckets": {"bucket_bytes": 200}, "at the end": {"bucket_bytes": 200, "overlap": False}}


def data(seed: int = 3, batch: int = BATCH):
    g = torch.Generator().manual_seed(seed)
    shape = (STEPS, batch, 6)
    return torch.randn(shape, generator=g, dtype=torch.float64), torch.randn(shape, generator=g, dtype=torch.float64)


def losses(network, x, y):
    return (network(x) - y).square().mean(1)


def seeded(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return NETWORKS[name]()
    finally:
        torch.set_default_dtype(default)


def trained(network, loss, x, y) -> list:
    """Gradients and parameters after each step of momentum."""
    optimizer = torch.optim.SGD(network.parameters(), RATE, momentum=0.9)
    trace = []
    for xs, ys in zip(x, y):
        optimizer.zero_grad()
        loss(network, xs, ys).backward()
        trace.append([None if p.grad is None else p.grad.clone() for p in network.parameters()])
        optimizer.step()
        trace.append([p.detach().clone() for p in network.parameters()])
    return trace


def alone(name: str, batch: int = BATCH) -> list:
    return trained(seeded(name, 0), lambda *args: losses(*args).mean(), *data(batch=batch))


def together(name: str, batch: int = BATCH, **options) -> list:
    """Each rank starts from another seed: rank 0's network is the one that is trained."""
    network = DataParallel(seeded(name, dist.get_rank()), **options)
    return trained(network, lambda n, x, y: mean_over_ranks(losses(n, shard(x), shard(y))), *data(batch=batch))


def peers(name: str) -> list:
    network = DistributedDataParallel(seeded(name, dist.get_rank()), find_unused_parameters=True)
    return trained(network, lambda n, x, y: losses(n, shard(x), shard(y)).mean(), *data())


def everything() -> dict:
    ours = {(n, o): together(n, **options) for n in NETWORKS for o, options in OPTIONS.items()}
    uneven = {n: together(n, batch=BATCH + 1) for n in NETWORKS}
    return {"ours": ours, "uneven": uneven, "peers": {n: peers(n) for n in NETWORKS}}


@pytest.fixture(scope="module", params=[2, 4])
def ranks(request):
    return launch(everything, processes=request.param, check=False, timeout=200)


def assert_equal(traces, expected, rtol=1e-12, atol=1e-14):
    for trace in traces:
        assert [[x is None for x in row] for row in trace] == [[x is None for x in row] for row in expected]
        flat = [([x for row in t for x in row if x is not None]) for t in (trace, expected)]
        torch.testing.assert_close(*flat, rtol=rtol, atol=atol)


def tolerance(name: str) -> dict:
    return {"rtol": 1e-5, "atol": 1e-6} if name == "two types" else {}  # float32 adds up in another order


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_one_process_on_the_joined_batch(ranks, name, options):
    assert_equal([r["ours"][name, options] for r in ranks], alone(name), **tolerance(name))


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_one_process_where_the_shares_are_uneven(ranks, name):
    assert_equal([r["uneven"][name] for r in ranks], alone(name, BATCH + 1), **tolerance(name))


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_pytorchs_own(ranks, name):
    for rank in ranks:
        assert_equal([rank["ours"][name, "buckets"]], rank["peers"][name], **tolerance(name))


@pytest.mark.parametrize("name", NETWORKS)
def test_all_copies_are_the_same_to_the_last_bit(ranks, name):
    first, *others = (r["ours"][name, "buckets"] for r in ranks)
    for other in others:
        assert_equal([other], first, rtol=0, atol=0)


def test_the_average_of_means_is_another_number_where_shares_are_uneven(ranks):
    """The trap that mean_over_ranks is for: PyTorch's wrapper with a mean on each rank."""

    def naive():
        network = DataParallel(seeded("deep", 0))
        x, y = data(batch=BATCH + 1)
        return trained(network, lambda n, x, y: losses(n, shard(x), shard(y)).mean(), x, y)

    wrong, right = launch(naive)[0], alone("deep", BATCH + 1)
    assert (wrong[0][0] - right[0][0]).abs().max() > 1e-3


# Accumulation


def accumulated(micro: int) -> list:
    """One step of which the gradient comes from `micro` backward passes, all but the last without a message."""
    network = DataParallel(seeded("branches", dist.get_rank()), bucket_bytes=200)
    x, y = (shard(z[0]) for z in data())
    for k, (xs, ys) in enumerate(zip(x.tensor_split(micro), y.tensor_split(micro))):
        with network.no_sync() if k < micro - 1 else nullcontext():
            (mean_over_ranks(losses(network, xs, ys)) * len(xs) / len(x)).backward()
    return [p.grad for p in network.parameters()]


@pytest.mark.parametrize("processes", [2, 4])
def test_accumulation_sends_once(processes):
    expected = alone("branches")[0]
    for gradients in launch(accumulated, 3, processes=processes):
        assert_equal([[gradients]], [expected])


def test_after_no_sync_the_next_backward_averages_again_also_after_an_error():
    def work():
        network = DataParallel(nn.Linear(1, 1, bias=False))
        try:
            with network.no_sync():
                network(torch.ones(1, 1)).backward()
                raise KeyError("an error of the user's")
        except KeyError:
            network(torch.full((1, 1), float(dist.get_rank()))).backward()
        return network.network.weight.grad.item()

    assert launch(work) == [1.5, 1.5]


# Start and helpers


def test_copies_start_as_rank_0_does_buffers_included():
    def work():
        torch.manual_seed(dist.get_rank())
        network = nn.BatchNorm1d(3)
        network.running_mean += dist.get_rank()
        nn.init.normal_(network.weight)
        DataParallel(network)
        return network.weight.detach(), network.running_mean

    first, second = launch(work)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert (second[1] == 0).all()


def test_shards_are_all_of_the_batch():
    x = torch.arange(11)
    for n in (1, 2, 3, 4):
        shards = [shard(x, k, n) for k in range(n)]
        assert torch.equal(torch.cat(shards), x) and max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_deep_copy_of_the_network_is_not_touched():
    def work():
        network = nn.Linear(2, 1)
        kept = copy.deepcopy(network)
        DataParallel(network)(torch.ones(1, 2)).sum().backward()
        return kept.weight.grad is None and network.weight.grad is not None

    assert launch(work, processes=1) == [True]


def ranks_differ():
    DataParallel(nn.Linear(2 + dist.get_rank(), 1))


def small_batch():
    shard(torch.ones(1, 2))


def loss_of_all():
    mean_over_ranks(torch.tensor(1.0))


def sparse():
    DataParallel(nn.Embedding(3, 2, sparse=True))(torch.tensor([0])).sum().backward()


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (ranks_differ, r"All ranks need the same network\. .* rank 1 has \[\('weight', \(1, 3\)"),
        (small_batch, "A batch of 1 examples can't be shared by 2 ranks"),
        (loss_of_all, r"losses must have the shape \(B,\), one for each example, got \(\)"),
        (lambda: mean_over_ranks(torch.ones(0)), "losses are empty on all ranks"),
        (sparse, "layout torch.sparse_coo can't be averaged"),
        (lambda: DataParallel(3), "takes a network and bucket_bytes above 0, got int"),
        (lambda: DataParallel(nn.Linear(1, 1), bucket_bytes=0), "bucket_bytes above 0, got Linear and 0"),
    ],
    ids=["networks", "batch", "scalar", "empty", "sparse", "number", "bucket"],
)
def test_bad_input(function, says):
    with pytest.raises(RankError, match=says):
        launch(function)


def test_one_process_alone():
    with pytest.raises(RuntimeError, match="DataParallel needs several processes"):
        DataParallel(nn.Linear(1, 1))


def test_with_what_tests_and_pages_use():
    """As the page does it: cross entropy, one loss for each example."""

    def work(x, y):
        torch.manual_seed(0)
        network = DataParallel(nn.Linear(6, 4))
        mean_over_ranks(F.cross_entropy(network(shard(x)), shard(y), reduction="none")).backward()
        return network.network.weight.grad

    x, y = torch.randn(7, 6), torch.arange(7) % 4
    torch.manual_seed(0)
    network = nn.Linear(6, 4)
    F.cross_entropy(network(x), y).backward()
    for gradient in launch(work, x, y):
        torch.testing.assert_close(gradient, network.weight.grad, rtol=1e-5, atol=1e-6)
