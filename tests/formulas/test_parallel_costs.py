"""Costs of parallel steps: bytes and messages counted one by one, schedules against a queue that is served bucket by bucket."""

import math

import pytest
import torch

from course_lib.backends import javascript
from course_lib.backends.trace_nests import trace_nests
from course_lib.formulas.parallel_costs import (
    all_gather_seconds,
    all_reduce_seconds,
    bucket_schedule,
    fastest_count,
    serial_all_gather_seconds,
    serial_all_reduce_seconds,
    sharded_step_seconds,
    step_on_bus,
    step_on_links,
    step_on_switches,
)
from course_lib.formulas.training_costs import training_bytes

LINK = {"bandwidth": 2e9, "latency": 1e-5}


def ring_rounds(size: float, n: int) -> list[list[float]]:
    """Bytes that each of n ranks sends in each round of a ring all-reduce of `size` one-byte numbers that n divides."""
    part = size / n
    reduce_scatter = [[part] * n for _ in range(n - 1)]
    return reduce_scatter + [[part] * n for _ in range(n - 1)]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_the_ring_message_by_message(n):
    rounds = ring_rounds(24e6, n)
    own_links = sum(LINK["latency"] + max(sent) / LINK["bandwidth"] for sent in rounds)
    assert all_reduce_seconds(24e6, n=n, **LINK) == pytest.approx(own_links, abs=1e-15)
    one_bus = sum(LINK["latency"] + sum(sent) / LINK["bandwidth"] for sent in rounds)
    assert serial_all_reduce_seconds(24e6, n=n, **LINK) == pytest.approx(one_bus, abs=1e-15)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_through_rank_0_message_by_message(n):
    messages = [24e6] * (n - 1) + [24e6] * (n - 1)  # gradients in, sums out
    seconds = sum(LINK["latency"] + size / LINK["bandwidth"] for size in messages)
    assert serial_all_reduce_seconds(24e6, n=n, **LINK) == pytest.approx(seconds, abs=1e-15)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_a_gather_is_half_of_an_all_reduce(n):
    assert 2 * all_gather_seconds(8e6, n=n, **LINK) == pytest.approx(all_reduce_seconds(8e6, n=n, **LINK))
    everyone_sends_its_part_to_all_others = n * (n - 1) * 8e6 / n
    assert serial_all_gather_seconds(8e6, n=n, bandwidth=2e9, latency=0.0) * 2e9 == pytest.approx(
        everyone_sends_its_part_to_all_others
    )


def test_the_ring_costs_each_link_less_than_twice_the_size_however_many_ranks():
    n = torch.arange(2, 1025).double()
    bytes_on_a_link = all_reduce_seconds(1.0, n=n, bandwidth=1.0, latency=0.0)
    torch.testing.assert_close(bytes_on_a_link, 2 * (n - 1) / n)
    assert (bytes_on_a_link < 2).all() and (bytes_on_a_link.diff() > 0).all()


@pytest.mark.parametrize("step", [step_on_links, step_on_switches, step_on_bus])
def test_one_gpu_sends_nothing(step):
    assert step(3.0, 1e9, 1e8, groups=1, members=1, bandwidth=1e9, latency=1e-3, layers=5) == (3.0, 0.0, 0.0)


@pytest.mark.parametrize("step", [step_on_links, step_on_switches, step_on_bus])
def test_data_parallel_sends_gradients_and_model_parallel_maps(step):
    work, gradients, maps = step(4.0, 1e9, 1e8, groups=4, members=1, bandwidth=1e9)
    assert work == 1.0 and gradients > 0 and maps == 0
    work, gradients, maps = step(4.0, 1e9, 1e8, groups=1, members=4, bandwidth=1e9)
    assert work == 1.0 and gradients == 0 and maps > 0


@pytest.mark.parametrize(("groups", "members"), [(2, 2), (3, 2), (2, 4), (4, 1), (1, 8)])
def test_a_bus_carries_what_was_counted(groups, members):
    """Bytes by hand: every GPU's messages, added up, on a bus of a byte a second."""
    gradients, maps, layers = 240.0, 96.0, 3
    layout = {"groups": groups, "members": members, "bandwidth": 1.0, "layers": layers}
    rings = members * groups * 2 * (groups - 1) * (gradients / members / groups)
    per_layer = maps / groups / layers
    gathers = 2 * layers * members * (members - 1) * per_layer / members  # of one group, forward and backward
    assert step_on_bus(0.0, gradients, maps, **layout) == pytest.approx((0, rings, groups * gathers))
    assert step_on_switches(0.0, gradients, maps, **layout) == pytest.approx((0, rings, gathers))
    links = step_on_links(0.0, gradients, maps, **layout)
    assert links == pytest.approx((0, rings / groups / members, gathers / members))


def test_latency_counts_messages_in_a_row():
    layout = {"groups": 4, "members": 2, "bandwidth": math.inf, "latency": 1.0, "layers": 5}
    assert step_on_links(0.0, 1e9, 1e9, **layout) == (0, 6, 10)
    assert step_on_switches(0.0, 1e9, 1e9, **layout) == (0, 6, 10)


@pytest.mark.parametrize(("compute", "size", "bandwidth"), [(10.5, 0.875, 1.0), (1.0, 1e8, 1e10), (30.0, 1e9, 4e9)])
def test_the_fastest_count_is_the_minimum(compute, size, bandwidth):
    def step(n):
        return sum(step_on_bus(compute, size, 0.0, groups=n, members=1, bandwidth=bandwidth))

    best = fastest_count(compute, size, bandwidth=bandwidth)
    whole = min(range(1, 400), key=step)
    assert whole in (max(1, math.floor(best)), max(1, math.ceil(best)))


# Buckets


def served(sizes, seconds, bucket, n, bandwidth, latency, overlap):
    """A queue, bucket by bucket: (begin, end, bytes) of each."""
    groups, total, done = {}, 0.0, 0.0
    for size, time in zip(sizes, seconds, strict=True):
        done += time
        key = total // bucket
        full, _ = groups.get(key, (0.0, 0.0))
        groups[key] = full + size, done
        total += size
    free, result = 0.0, []
    for size, ready in groups.values():
        if size > 0:
            begin = max(free, ready if overlap else done)
            free = begin + 2 * (n - 1) * (latency + size / n / bandwidth)
            result.append((begin, free, size))
    return result


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("overlap", [0.0, 1.0])
def test_the_schedule_is_that_of_a_queue(seed, overlap):
    draw = torch.Generator().manual_seed(seed)
    count, n = 3 + seed % 11, 2 + seed % 5
    sizes = torch.rand(count, generator=draw, dtype=torch.float64) ** 3 * 50e6
    sizes = torch.where(torch.rand(count, generator=draw) < 0.2, 0.0, sizes)
    seconds = torch.rand(count, generator=draw, dtype=torch.float64) * 0.01
    bucket = [1e6, 10e6, 25e6, 1e12][seed % 4]
    other = {"bucket": bucket, "n": n, "bandwidth": 4e9, "latency": 2e-5, "overlap": overlap}
    got = bucket_schedule(sizes, seconds, **other)
    used = got[2] > 0
    want = torch.tensor(served(sizes.tolist(), seconds.tolist(), **other), dtype=torch.float64).T
    torch.testing.assert_close(torch.stack(got)[:, used], want, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(got[2].sum(), sizes.sum())
    last = got[1][-1] if used.any() else seconds.sum()
    assert last == got[1].max()  # the end of the last row is when all has arrived, also where that row holds nothing


def test_one_bucket_sends_everything_at_the_end():
    sizes, seconds = torch.full((4,), 1e6).double(), torch.full((4,), 0.01).double()
    begin, end, size = bucket_schedule(sizes, seconds, bucket=1e9, n=2, bandwidth=1e9, latency=0.0)
    assert begin[0] == pytest.approx(0.04) and end[-1] == pytest.approx(0.044) and size.tolist() == [4e6, 0, 0, 0]


def test_overlap_never_costs_time_and_saves_no_more_than_the_backward_pass():
    sizes, seconds = torch.linspace(1e5, 4e6, 12).double(), torch.linspace(0.02, 0.001, 12).double()
    for n in (2, 4, 8):
        link = {"bucket": 4e6, "n": n, "bandwidth": 1e9, "latency": 1e-4}
        with_, without = (bucket_schedule(sizes, seconds, **link, overlap=on)[1][-1] for on in (1.0, 0.0))
        assert with_ <= without <= with_ + seconds.sum()


def test_it_can_be_traced():
    shapes = {"sizes": (6,), "seconds": (6,)} | dict.fromkeys(("bucket", "n", "bandwidth", "latency", "overlap"), ())
    trace_nests(lambda given: dict(zip(("begin", "end", "size"), bucket_schedule(**given))), shapes)  # compares itself
    names = ("compute", "gradients", "maps", "groups", "members", "bandwidth", "latency", "layers")
    for step in (step_on_bus, step_on_links, step_on_switches):
        assert f"export function {step.__name__}(" in javascript.of(step, **dict.fromkeys(names, ()))
    text = javascript.of(all_reduce_seconds, size=(), n=(), bandwidth=(), latency=())
    assert "export function ring_seconds(size, n, bandwidth, latency)" in text


# Memory


def test_adam_in_float32_needs_16_bytes_a_parameter():
    network = torch.nn.Linear(30, 7)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 30)).sum().backward()
    optimizer.step()
    states = [s[k] for s in optimizer.state.values() for k in ("exp_avg", "exp_avg_sq")]
    held = sum(x.nbytes for p in network.parameters() for x in (p, p.grad)) + sum(x.nbytes for x in states)
    assert training_bytes(31 * 7, states=2) == held
    assert training_bytes(31 * 7, states=2, shards=4) * 4 == held


def test_sharding_moves_half_as_much_again():
    for n in (2, 4, 64):
        assert sharded_step_seconds(1e9, n=n, **LINK) == pytest.approx(1.5 * all_reduce_seconds(1e9, n=n, **LINK))
