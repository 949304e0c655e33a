"""What a training step costs on several GPUs: seconds of computing, of gradients under way and of maps under way.

Sizes are bytes, bandwidths bytes a second, latencies seconds a message. Every formula takes numbers, and tensors that broadcast.
"""

import torch

# On links of their own, and over a bus that all share, which is as slow as the link of rank 0.
from course_lib.formulas.all_reduce import naive_seconds as serial_all_reduce_seconds
from course_lib.formulas.all_reduce import ring_seconds as all_reduce_seconds

# --- one collective


def all_gather_seconds(size, *, n, bandwidth, latency):
    """Seconds until each of n ranks has all `size` bytes, an n-th from each.

    Half of the ring all-reduce: without its first half, the reduce-scatter,
    which takes as long. Source: Thakur et al. (2005). Equals
    torch.distributed.all_gather in its bytes.
    """
    return (n - 1) * (latency + size / (n * bandwidth))


def serial_all_gather_seconds(size, *, n, bandwidth, latency):
    """The same where all bytes pass through one bus: n - 1 times `size`.

    Source: slide 57, maps that the other GPU needs, too.
    """
    return (n - 1) * (latency + size / bandwidth)


# --- a step of each layout: `groups` of `members` GPUs. The members of a group
# split each layer, the groups split the batch. One member: data parallel;
# one group: model parallel.


def step_on_links(
    compute, gradients, maps, *,
    groups, members, bandwidth, latency=0.0, layers=1,
):
    """Seconds of computing, gradients and maps: each GPU has its own link.

    `compute` is the step's seconds on one GPU, `gradients` the bytes of all
    gradients, `maps` those of the maps of the whole batch, in all `layers`
    that need the maps of the other members; forward they are gathered,
    backward their gradients are scattered. Source: slides 57 and 60.
    """
    links = {"bandwidth": bandwidth, "latency": latency}
    each = maps / groups / layers
    return (
        compute / (groups * members),
        all_reduce_seconds(gradients / members, n=groups, **links),
        2 * layers * all_gather_seconds(each, n=members, **links),
    )


def step_on_switches(
    compute, gradients, maps, *,
    groups, members, bandwidth, latency=0.0, layers=1,
):
    """The same: a bus for the maps of each group, one bus between the groups.

    Source: slide 60, whose pairs talk to each other most.
    """
    bus = {"bandwidth": bandwidth, "latency": latency}
    each = maps / groups / layers
    return (
        compute / (groups * members),
        serial_all_reduce_seconds(gradients, n=groups, **bus),
        2 * layers * serial_all_gather_seconds(each, n=members, **bus),
    )


def step_on_bus(
    compute, gradients, maps, *,
    groups, members, bandwidth, latency=0.0, layers=1,
):
    """The same: one bus for everything, so that the groups' maps queue, too.

    Source: slide 61, read as a statement about the machine.
    """
    bus = {"bandwidth": bandwidth, "latency": latency, "layers": layers}
    layout = {"groups": groups, "members": members}
    work, sync, exchange = step_on_switches(
        compute, gradients, maps, **layout, **bus
    )
    return work, sync, groups * exchange


def fastest_count(compute, gradients, *, bandwidth):
    """How many data-parallel GPUs on one bus make the shortest step.

    Where compute / n + 2(n - 1) gradients / bandwidth has its minimum: a real
    number, of whose whole neighbors one is best.
    """
    return (compute * bandwidth / (2 * gradients)) ** 0.5


# --- gradients that travel while the backward pass goes on


def bucket_schedule(
    sizes, seconds, *, bucket, n, bandwidth, latency, overlap=1.0
):
    """When each bucket's all-reduce begins and ends, and its bytes.

    `sizes` and `seconds` are the bytes of each layer's gradients and the
    seconds of its backward pass, (L,), the last layer first. A layer goes
    into the bucket in which its first byte lies, if a new one begins every
    `bucket` bytes. A bucket leaves when all of it is computed and the one
    before has arrived; with `overlap` 0, after the whole backward pass.
    Returns begin, end and bytes, (L,) each; times count from the backward
    pass's start, and buckets that are not needed have no bytes. Source: Li et
    al. (2020).
    """
    at, one = torch.arange(len(sizes)), torch.ones_like(sizes)
    until = (at[:, None] >= at) * one  # (L, L): 1 up to here
    done = until @ seconds  # when each layer's gradients are there
    place = torch.floor((until @ sizes - sizes) / bucket)
    opens = (place > place[(at - 1).clamp(min=0)]) * one
    inside = ((until @ opens)[None] == at[:, None]) * one  # (bucket, layer)
    size = inside @ sizes
    ready = (inside * done).amax(1)
    ready = torch.where(overlap * one > 0, ready, seconds.sum())
    link = {"n": n, "bandwidth": bandwidth, "latency": latency}
    time = torch.where(size > 0, all_reduce_seconds(size, **link), 0.0)
    sent = until @ time
    waits = (ready - sent + time)[None] + (until - 1) * 1e30
    end = sent + waits.amax(1)  # of all that may have held it up, the longest
    return end - time, end, size


def step_summary(forward, backward, arrived, *, n, slow=1.0):
    """A data-parallel step in all: seconds, two shares of it, and speed-up.

    `forward` and `backward` are seconds on a GPU as fast as most, of which
    the slowest of the n takes `slow` times as long; `arrived` is when the last
    bucket has, from the start of its backward pass. Returns the step's
    seconds, the share in which all GPUs wait for gradients, the share in which
    n - 1 of them wait for the slowest, and how many times as many examples a
    second these are as on one GPU. Source: slides 52 to 54.
    """
    alone = forward + backward
    work = (1 + (slow - 1) * (n > 1)) * alone
    step = work + (arrived - work * backward / alone).clamp(min=0)
    return step, (step - work) / step, (work - alone) / step, n * alone / step


# --- fully sharded


def sharded_step_seconds(size, *, n, bandwidth, latency):
    """Seconds under way where the parameters, too, are cut over n ranks.

    They are gathered forward and again backward, then the gradients are
    scattered: 3 halves of a ring all-reduce. Source: Rajbhandari et al.
    (2020), stage 3. Equals FSDP2 with reshard_after_forward=True in its bytes.
    """
    return 3 * all_gather_seconds(
        size, n=n, bandwidth=bandwidth, latency=latency
    )
