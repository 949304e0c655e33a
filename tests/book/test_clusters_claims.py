"""What the chapter on clusters says, bound to its records, to its figure and to the formulas."""

import importlib
import inspect
import math
from datetime import timedelta

import pytest
import torch
from claims import About, Page

from course_lib.experiments import recorded
from course_lib.experiments.studies import clusters as study
from course_lib.formulas import partition
from course_lib.formulas.stragglers import (
    SLOWEST,
    TIMES,
    amdahl,
    checkpoint_interval,
    largest_stable_rate,
    lost_share,
    speed_up,
)
from course_lib.parallel import launch

page = Page("parallel/clusters")
SPREAD = torch.tensor(0.5, dtype=torch.float64)
N = torch.arange(1.0, 513, dtype=torch.float64)
GUESSING = math.log(10)  # the loss of ten equal shares


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def slowest(name, n):
    return SLOWEST[name](double(n), spread=SPREAD).item()


# The slowest sets the pace


@page.claim(
    "In practice eight give you four or five, and {} give {}:",
    "1. How many times as fast are {} machines, if their times vary by half of the mean? And {}?",
    "1. {} of {}, and {} of {}: at 64 machines, nearly two thirds of the time is waiting.",
    "2. Give the {} machines *uniform* times",
    "2. Uniform times give {}, Pareto times {}.",
    "no uniform draw is above {}.",
    "leaving out one machine gains nothing, {} remains {}: there is",
    "brings you from {} to {}, as the slowest",
    "4. All {} count, none waits. But a gradient is {} updates old",
)
def test_the_figure_answers(page):
    fig = page.figure(0)
    assert (fig.n, fig.spread, fig.distribution) == (8, 0.5, "lognormal")
    eight = fig.expected
    fig.n = 64
    lognormal = fig.expected
    assert 4 < eight < 5 and 0.6 < 1 - lognormal / 64 < 0.67
    found = {}
    for name in ("uniform", "Pareto"):
        fig.distribution = name
        fig.mode = "synchronous"
        found[name] = [fig.expected]
        fig.mode, fig.dropped = "backup", 1
        found[name].append(fig.expected)
    fig.mode = "asynchronous"
    longest = TIMES["uniform"](double(1), double(0), spread=SPREAD).item()
    (uniform, without), (pareto, better) = found["uniform"], found["Pareto"]
    return (
        64, lognormal, 8, 64, eight, 8, lognormal, 64, 64, uniform, pareto, longest, uniform, without, pareto, better,
        fig.expected, fig.n - 1,
    )


@page.claim(
    r"\approx \ln n + {}$. Whoever leaves",
    r"The share of the machines that is left, $S(n)/n$, at $\sigma = {}$:",
    "of what {} machines with lognormal times lose, more than half is lost with {}.",
    "with {} the Pareto times are the best of the four that vary.",
    "from 1 to {} machines. Constant times stay at 1. Uniform times fall to {} and stay. Exponential and lognormal times fall "
    "together to {}, Pareto times to {} and go on falling.",
)
def test_the_mean_of_the_slowest():
    lost = {n: 1 - 1 / slowest("lognormal", n) for n in (8, 512)}
    assert lost[8] > lost[512] / 2
    with_two = {name: slowest(name, 2) for name in SLOWEST if name != "constant"}
    assert min(with_two, key=with_two.get) == "Pareto"
    ends = {name: 1 / slowest(name, 512) for name in SLOWEST}
    assert ends["exponential"] == pytest.approx(ends["lognormal"], abs=0.01)
    return 0.5772, SPREAD.item(), 512, 8, 2, 512, ends["uniform"], ends["lognormal"], ends["Pareto"]


@pytest.mark.parametrize(("name", "rate"), [("Pareto", lambda n: n ** (1 / (1 + math.sqrt(5)))), ("exponential", math.log)])
def test_how_the_slowest_grows_for_large_n(name, rate):
    """The ratio to the rate of the table settles: it changes by less than a tenth from 10,000 machines to 1,000,000."""
    few, many = (slowest(name, n) / rate(n) for n in (1e4, 1e6))
    assert few == pytest.approx(many, rel=0.1)


@page.claim(
    "With {} of serial work {} machines give {}, and there is nothing to gain beyond {}.",
    "(10 µs where a step takes 100 ms) is enough to end the gain at {} machines, with a speed-up of {}.",
    "The speed-up from 1 to {} machines, both axes logarithmic. Amdahl's law with {} of serial work bends toward {}. "
    "With stragglers it is lower, {} at {}. With a latency of {} steps it has its highest point, {}, near {} machines; "
    "with {} steps {}, near {} machines.",
)
def test_serial_work_and_messages_end_the_gain():
    with_stragglers = [speed_up(N, SLOWEST["lognormal"](N, spread=SPREAD), serial=0.02, latency=x) for x in (0.0, 1e-5, 1e-4)]
    law = amdahl(N, serial=0.02)
    assert 1e-5 / 0.1 == pytest.approx(1e-4)  # 10 µs of 100 ms
    (_, low, high), last = [x.max().item() for x in with_stragglers], with_stragglers[0][-1].item()
    at = [N[x.argmax()].item() for x in with_stragglers]
    return (
        0.02, 512, law[-1], 1 / 0.02, About(at[2]), high, 512, 0.02, law[-1], last, 512,
        1e-5, low, About(at[1]), 1e-4, high, About(at[2]),
    )


# Without a barrier


@page.claim(
    r"lognormal times with $\sigma = {}$:",
    "The mean is {} with 4 machines, {} with 16.",
    "With 4 machines the staleness has its peak at {} updates, with {} machines it is spread from 1 to more than {} around {}.",
)
def test_the_mean_staleness_is_that_of_the_others():
    record = recorded("clusters_staleness")
    mean, shares = record["mean"], record["shares"]  # (seeds, machines), (seeds, machines, staleness)
    assert (mean[:, 0] == 0).all()
    peak = shares[:, 1].mean(0).argmax().item()
    widest = (shares[:, 2] > 0).nonzero()[:, 1].max().item()
    assert widest > 35
    return record.settings["spread"], mean[:, 1], mean[:, 2], peak, 16, 35, mean[:, 2].median().item()


@page.claim("A delay of 1 halves it, 3 divide it by {}, and {} by {}:")
def test_the_largest_stable_rate():
    rates = 2 / largest_stable_rate(double(1, 3, 15), 1.0)
    assert rates[0] == pytest.approx(2)
    return rates[1].item(), 15, rates[2].item()


@page.claim(
    "A network with {} hidden units on the digits, plain SGD with batches of {}, {} updates, whoever computes them.",
    "Up to which rate does it train with {}, {} and {} machines?",
    "at {} all three end at {}. Then they leave",
    "trains in all six runs is {} for one machine, {} for 4, and {} for 16: divided by 4 and by 16",
    "the best rate ends between {} and {}, with 16 machines between {} and {}.",
    "Training loss after {} updates",
    "Up to {} the curves of 1, 4 and 16 machines lie on each other and fall to about {}. Then that of {} machines shoots up, "
    "at {} that of 4 machines, and at {} that of one machine.",
)
def test_stale_gradients_limit_the_rate():
    record = recorded("clusters_staleness")
    rates, loss = record.settings["rates"], record["loss"]  # (seeds, machines, rates)
    assert len(record.seeds) == 6
    trains = (loss < GUESSING).all(0)  # (machines, rates)
    largest = [max(rate for rate, fine in zip(rates, row, strict=True) if fine) for row in trains.tolist()]
    assert largest[0] / largest[1] == pytest.approx(4) and largest[0] / largest[2] == pytest.approx(16)
    best = [loss[:, k, loss[:, k].median(0).values.argmin()] for k in (0, 2)]
    at = {rate: loss[:, :, k] for k, rate in enumerate(rates)}
    leaves = [rates[rates.index(x) + 1] for x in largest]
    assert leaves[2] == 0.2
    widths = [w.shape[-1] for w in study.begin(0, 1)]
    return (
        widths[0], study.BATCH, record.settings["updates"], *record.settings["machines"], 0.05, at[0.05].flatten(), *largest,
        best[0].min(), best[0].max(), best[1].min(), best[1].max(), record.settings["updates"],
        largest[2], About(at[0.1].median()), 16, leaves[1], leaves[0],
    )


def below(curves, level, every):
    """The first time of each seed's curve below a level: (seeds,)."""
    return (curves < level).int().argmax(-1) * every


@page.claim(
    "Eight machines, {} mean times of a gradient.",
    "Who is first at a loss of {}?",
    "The asynchronous machines are below {} after {} to {} mean times, the synchronous ones after {} to {}, with one backup "
    "after {} to {}.",
    "The best synchronous rate is {}, the best asynchronous one {}: an eighth.",
    "One synchronous step of {} with the mean of 8 gradients goes as far as 8 steps of {} with one gradient each.",
    "a synchronous step takes {} mean times",
    "With {} for both, the synchronous machines end between {} and {}, the asynchronous ones between {} and {}.",
    "neither way ends below {} in more than one of the six runs.",
    "Training loss over {} mean times of a gradient",
    "falls fastest and is near {} at the end, with the largest spread; one backup ends at {}, the synchronous one at {}.",
)
def test_by_the_clock_the_gain_is_the_waiting():
    record = recorded("clusters_clock")
    rates, every, until = (record.settings[k] for k in ("rates", "every", "until"))
    ways = ("asynchronous", "synchronous", "backup")
    best = {way: record[way][..., -1].median(0).values.argmin().item() for way in ways}
    curves = {way: record[way][:, best[way]] for way in ways}
    first = {way: below(curves[way], 0.3, every) for way in ways}
    ends = {way: curves[way][:, -1] for way in ways}
    assert rates[best["synchronous"]] / rates[best["asynchronous"]] == pytest.approx(8)
    waiting = slowest("lognormal", 8)
    gain = (first["synchronous"] / first["asynchronous"]).median()
    assert gain == pytest.approx(waiting, rel=0.2)
    for way in ways[:2]:  # at twice the best rate
        assert (record[way][:, best[way] + 1, -1] < 0.3).sum() <= 1
    assert ends["asynchronous"].max() - ends["asynchronous"].min() > ends["synchronous"].max() - ends["synchronous"].min()
    same = [record[way][:, rates.index(0.2), -1] for way in ("synchronous", "asynchronous")]
    asynchronous, synchronous = (rates[best[way]] for way in ways[:2])
    return (
        until, 0.3, 0.3, *(x for way in ways for x in (first[way].min(), first[way].max())),
        synchronous, asynchronous, synchronous, asynchronous, waiting,
        0.2, same[0].min(), same[0].max(), same[1].min(), same[1].max(), 0.3, until,
        About(ends["asynchronous"].median()), ends["backup"], ends["synchronous"],
    )


# Real processes


@page.claim(
    "(it sleeps for a drawn time, {} ms on average)",
    "Rank 0 sleeps for another 0, {}, {} or {} ms in every step",
    "a delay of {} ms costs less than {} ms: rank 0",
    "From {} ms on nobody else matters",
    "*inside* of the all-reduce, at a delay of {} ms:",
    "sees an all-reduce of about {} ms, and orders",
    "from about {} to about {} milliseconds, the measured one a few milliseconds above.",
    "Rank 0 is inside for {} to {} milliseconds, the three others for {} to {}.",
)
def test_real_processes_wait_for_the_slow_one():
    record = recorded("clusters_real")
    measured, formula, inside = record["measured"], record["formula"], record["inside"]
    delays = record.settings["delays"]
    assert (measured > formula).all() and (measured - formula).median() < 10
    longer = measured.diff(dim=1)
    assert (longer[:, 0] < 20).all()
    assert ((longer[:, 2] / 40 - 1).abs() < 0.3).all()  # from 40 to 80 ms of delay
    assert (inside[:, 2:, 0] < inside[:, 2:, 1:].amin(2)).all()
    slow, fast = inside[:, -1, 0], inside[:, -1, 1:]
    return (
        record.settings["mean"], *delays[1:], 20, 20, delays[2], delays[3], About(fast.median()),
        About(measured[:, 0].median()), About(measured[:, -1].median()), slow.min(), slow.max(), fast.min(), About(fast.max()),
    )


def test_no_step_is_faster_than_its_slowest_rank():
    """On this machine, now: two ranks, three steps, of which each waits for another one."""
    seconds = torch.tensor([[0.03, 0.0], [0.0, 0.03], [0.02, 0.02]])
    ranks = launch(study.steps_with_a_barrier, seconds, processes=2, check=False)
    taken = torch.tensor(ranks)[..., 0].amax(0)  # of each step, by the clock of the rank that took longest
    assert (taken >= seconds.amax(1)).all()


# A network cut over machines


@page.claim(
    r"a layer of $24 \times {}$ units below another, both cut into {} blocks.",
    "Sending once saves a factor of {} in the local layer and of {} in the full one.",
    "as the full layer has {} times as many edges",
)
def test_states_are_sent_once():
    where = partition.square_blocks(24, 4)
    graphs = partition.locally_connected(24, 2), partition.fully_connected(24**2)
    saved = [
        (partition.crossing_edges(g, where, where) / partition.states_received(g, where, where, 16).sum()).item()
        for g in graphs
    ]
    return 24, len(set(where.tolist())), *saved, (graphs[1].sum() / graphs[0].sum()).item()


@page.claim(
    "one as {} units that see all {}, the other",
    r"as $205 \times {}$ units with {} inputs each.",
    "Say a state costs as much as {} edges:",
    "The full layer ends at {}: its work",
    "The local one is at {} with {} machines and still rising.",
    "The speed-up of two layers of equal work from 9 to {} machines, both axes logarithmic. The fully connected layer bends "
    "and comes to rest near {}, the locally connected one goes on to {}.",
)
def test_a_local_layer_distributes_better():
    work, side = 1024.0**2, 1024 / 25**0.5
    p = double(9, 16, 25, 36, 64, 100, 144, 256, 1e9)
    full = partition.partitioned_speed_up(work, p, partition.received_if_full(1024.0, p), price=50)
    local = partition.partitioned_speed_up(work, p, partition.received_if_local(side, p, 2), price=50)
    assert side**2 * 25 == pytest.approx(work) and (local > full).all() and (local.diff() > 0).all()
    return math.sqrt(work), math.sqrt(work), round(side), 25, 50, full[-1].item(), local[-2].item(), 256, 256, full[-2].item(), local[-2].item()


# When a machine dies


@page.claim(
    "A thousand of them fail every {} hours",
    "save every {} minutes, and {} of the time is lost.",
    "with {} machines it is {}, and the checkpoint",
)
def test_how_often_to_save():
    year = 365 * 24 * 3600.0
    interval = checkpoint_interval(60.0, year / 1000)
    many = checkpoint_interval(60.0, year / 16000)
    assert lost_share(many, 60.0, year / 16000) == pytest.approx(4 * lost_share(interval, 60.0, year / 1000))
    return (
        year / 1000 / 3600, interval / 60, lost_share(interval, 60.0, year / 1000),
        16000, lost_share(many, 60.0, year / 16000),
    )


@page.claim("A collective gives up after {} minutes under NCCL, after {} under gloo.")
def test_the_timeouts_of_collectives():
    from torch.distributed import constants

    nccl, others = constants.default_pg_nccl_timeout, constants.default_pg_timeout
    nccl = nccl or timedelta(minutes=10)  # None where PyTorch was built without NCCL
    return nccl / timedelta(minutes=1), others / timedelta(minutes=1)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch.distributed", "monitored_barrier"), ("torch.distributed.checkpoint", "async_save"),
        ("torch.distributed.algorithms.join", "Join"),
        ("torch.distributed.algorithms.model_averaging.averagers", "PeriodicModelAverager"),
    ],
)  # fmt: skip
def test_what_pytorch_has_is_there(module, name):
    assert callable(getattr(importlib.import_module(module), name))


def test_the_page_s_commands_take_these_options():
    from course_lib.parallel import elastic

    source = inspect.getsource(elastic.main)
    commands = [line for cell in page.notebook.cells for line in cell.source.split("\n") if "course_lib.parallel.elastic" in line]
    assert len(commands) >= 2
    for option in ("--steps", "--pause", "--folder"):
        assert option in source and any(option in line for line in commands)


test_changed_numbers_are_noticed = page.test_of_numbers()
