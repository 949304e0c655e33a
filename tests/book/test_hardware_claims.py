"""What the chapter on hardware says, bound to the record of a CPU, to its figures, and to the costs that its formulas count."""

import math

import pytest
import torch
from claims import Page

from course_lib.experiments.network_costs import CARDS, IMAGENET, known
from course_lib.experiments.processors import SIZES, TENSORS, WIDTH, processors, rates
from course_lib.formulas import roofline, training_costs
from course_lib.widgets.figures.machine_now import STEPS
from course_lib.widgets.figures.roofline import ADAM, LAYERS, WEIGHTS, Roofline

page = Page("parallel/hardware")
CPU = processors()["cpu"]
NET, TITAN = known("ResNet-101"), CARDS["TITAN"]
WORK = {"images": IMAGENET, "epochs": 90}
G = 1e9


def rate(name: str, way: int, size: int) -> torch.Tensor:
    """Operations a second of each repeat, for `copy` bytes."""
    every = rates(CPU, name)
    k = CPU.settings["sizes"][name].index(size)
    return every[:, k] if name == "copy" else every[:, way, k]


# Few fast cores, many slow ones


@page.claim("Rosenbrock's surface, {} steps for each run")
def test_the_figure_of_this_machine(page):
    assert page.figure(0).log2_runs == 12 and page.figure(1).batch == 1
    return STEPS


@page.claim(
    "a TITAN with a CPU of {} cores at {} GHz", "in a tick, {} operations; a core of the GPU multiplies and adds one, {} operations",
    "a core of the GPU is {} times slower, there are {} times as many, and together they are {} times as fast",
    "Compare lanes with lanes, {} with {}, and a lane of the CPU is faster only by its clock, {} times.",
)
def test_cores_and_lanes():
    cpu = roofline.peak_rate(12, 2.4e9, each=16)
    one = TITAN.peak / TITAN.cores
    cores = cpu / 12 / one, TITAN.cores / 12, TITAN.peak / cpu
    return 12, 2.4, 16, one / TITAN.clock, *cores, 12 * 8, TITAN.cores, 2.4e9 / TITAN.clock


# Two numbers of a machine, one of a layer


def intensity(layer: str, batch: int) -> float:
    """Operations for a byte."""
    return LAYERS[layer].operations(batch) / LAYERS[layer].moved(batch)


def first_compute_bound(machine: str) -> int:
    """The least batch at which the fully connected layer is."""
    limit = Roofline(machine).balance
    return next(batch for batch in range(1, 1000) if intensity("dense", batch) >= limit)


@page.claim(
    r"$I = 2 \cdot 9c^2 / 8c = {}\,c$, for any batch", "writes three, {} bytes, for {} operations: $I = {}$",
)  # fmt: skip
def test_intensities():
    assert intensity("dense", 1) == pytest.approx(1 / 2, rel=1e-3)
    for batch in (1, 8, 64):
        assert intensity("dense", batch) == pytest.approx(batch / 2 / (1 + 2 * batch / WIDTH))
    assert intensity("convolution", 1000) == pytest.approx(2.25 * 64, rel=1e-3)
    return 2 * 9 / 8, roofline.elementwise_bytes(1, reads=4, writes=3), ADAM, intensity("adam", 7)


@page.claim(
    "Is it the same on an *H100*, which has {} times the peak?",
    "The convolution, at {} operations a byte, is compute bound on every machine here.", "the layer's {} MiB of weights",
    "From {} samples on: TITAN's roofs meet at {} operations a byte", "On the H100 from {}: its bandwidth has grown {} times",
    "At batch 1 the fully connected layer is at {} of TITAN's peak",
    "promises {} Top/s in bf16 and the same {} TB/s: {} operations a byte",
)
def test_the_roofline():
    fig, h100 = Roofline("TITAN", batch=1), CARDS["H100"]
    one = intensity("convolution", 1)
    assert all(Roofline(name).balance < one for name in fig.machine_names)
    assert all(intensity(layer, 1) < Roofline(name).balance for name in fig.machine_names for layer in ("dense", "adam"))
    grown = h100.peak / TITAN.peak, h100.bandwidth / TITAN.bandwidth
    samples = [first_compute_bound(name) for name in ("TITAN", "H100")]
    tensor = 989, h100.bandwidth / 1e12, 989e12 / h100.bandwidth
    weights = 4 * WIDTH**2 / 2**20
    return grown[0], one, weights, samples[0], fig.balance, samples[1], grown[1], fig.share("dense"), *tensor


@page.claim("In float32 all cards of this page lie between {} and {} operations a byte, from {} to {}")
def test_the_balance_of_cards_in_float32():
    every = [roofline.balance(peak=card.peak, bandwidth=card.bandwidth) for card in CARDS.values()]
    years = [card.year for card in CARDS.values()]
    return min(every), max(every), min(years), max(years)


@page.claim("At {} images it falls to {} Gop/s in PyTorch's usual order of the numbers; with the channels last in memory (`channels_last`) it keeps {}.")
def test_channels_last():
    usual, last = (rates(CPU, name)[:, -1] / G for name in ("convolution", "channels_last"))
    assert usual[:, -1].max() < last[:, -1].min()
    assert usual[:, 0].median() / rates(CPU, "product").median(0).values.max() * G == pytest.approx(2 / 3, abs=0.03)
    return 32, usual[:, -1].median().item(), last[:, -1].median().item()


def test_circles_above_the_sloping_roof_are_of_small_batches():
    fig = Roofline("the CPU, measured")
    roof = [roofline.attainable(i, peak=fig.peak, bandwidth=fig.bandwidth) for i, _ in fig.spec["machines"][fig.machine]["measured"]["dense"]]
    above = [r > limit for (_, r), limit in zip(fig.spec["machines"][fig.machine]["measured"]["dense"], roof, strict=True)]
    assert above[0] and not above[-1]


# Measured


@page.claim(
    "at $n = {}$ two threads are *slower* than one, {} against {} Gop/s", "At $n = {}$ they reach {} Gop/s, {} times one thread.",
    "One thread rises from {} billion at n = {} to about {} billion. Two threads are slower below n = {} and end at {} billion.",
)
def test_the_matrix_product():
    small, large = [[rate("product", way, n).median().item() / G for way in (0, 1)] for n in (64, 2048)]
    assert len(CPU.settings["ways"]) == 2 and rate("product", 1, 64).max() < rate("product", 0, 64).median()
    for n in (32, 64):
        assert rate("product", 1, n).median() < rate("product", 0, n).median()
    one = rate("product", 0, 2048) / G
    assert (one.min(), one.max()) == (pytest.approx(145, abs=20), pytest.approx(150, abs=10))
    first = rate("product", 0, 32).median().item() / G
    return 64, small[1], small[0], 2048, large[1], large[1] / large[0], first, 32, 150, 128, large[1]


@page.claim(
    "a fully connected layer of {} inputs and outputs over its batch",
    "The fully connected layer starts at {} Gop/s and rises to {} with {} samples: per sample, the large batch is {} times as cheap.",
    "With one sample it read its {} MiB of weights at {} GB/s",
    "A copy within the caches moves {} GB/s (1 MiB), one that leaves them {} ({} MiB).",
    "The fully connected layer rises from {} billion with one sample to about {} billion with {}.",
    "The convolution is between {} and {} billion at every batch.",
)
def test_layers_and_copies():
    one, many = (rate("layer", 1, batch).median().item() / G for batch in (1, 256))
    weights = 4 * WIDTH**2
    read = weights / (2 * WIDTH**2 / (one * G)) / G
    copies = [rate("copy", 1, size).median().item() / G for size in (2**20, 2**28)]
    convolution = rates(CPU, "convolution")[:, -1].median(0).values / G
    assert 100 < convolution.min() and convolution.max() < 180 and convolution[0] > 0.6 * 208
    return WIDTH, one, many, 256, many / one, weights / 2**20, read, *copies, 256, one, 180, 256, 100, 180


def test_the_machine_had_two_cores():
    assert CPU.made["device"].endswith("2 cores") and "with 2 cores" in page.text
    assert f"{len(CPU.seeds)} repeats" in "\n".join(cell.source for cell in page.notebook.cells)


# A week on four GPUs


@page.claim(
    "An image costs {} billion operations forward, {} billion in a step; {} epochs of {} million images cost {}.",
    "Four TITANs at their peak need {} days. A week means that they ran at {} of it", "The slide does not say how many epochs; {} is",
    "With the TITAN X a week is {} of the peak.", "even at its full peak, {} days.",
    "{} operations for ResNet-101 on ImageNet, a week on four TITANs at {} of their peak",
)
def test_a_week():
    step = training_costs.step_operations(NET.forward)
    total = step * IMAGENET * 90
    days = training_costs.training_days(NET.forward, **WORK, rate=4 * TITAN.peak)
    share = training_costs.reached_share(NET.forward, **WORK, days=7, peak=4 * TITAN.peak)
    larger = training_costs.reached_share(NET.forward, **WORK, days=7, peak=4 * CARDS["TITAN X"].peak)
    cpu = training_costs.training_days(NET.forward, **WORK, rate=roofline.peak_rate(12, 2.4e9, each=16))
    return NET.forward / G, step / G, 90, IMAGENET / 1e6, total, days, share, 90, larger, cpu, total, share


@page.claim("He et al. give {} billion")
def test_the_papers_count():
    assert NET.forward / 7.6e9 == pytest.approx(2, rel=0.03)
    return 7.6


# Does it fit?


@page.claim(
    "with gradient and momentum they take {} MiB. An image's activations take {} MiB. A TITAN holds {} images",
    "The usual batch of {} on four GPUs, {} each", "two chips with {} GB *each*", "a model that needs {} GB runs on neither",
    "Adam in float32 takes {} bytes for each parameter: 7 billion of them need {} GB",
)
def test_memory():
    state = training_costs.training_bytes(NET.parameters, 0, 0)
    fit = {name: training_costs.largest_batch(card.memory, NET.parameters, NET.activations) for name, card in CARDS.items()}
    assert fit["TITAN"] < 64 < fit["TITAN X"]
    one = training_costs.training_bytes(1, 0, 0, states=2)
    chip = CARDS["Tesla K80, one of two"].memory / 2**30
    return state / 2**20, NET.activations / 2**20, math.floor(fit["TITAN"]), 256, 256 / 4, chip, chip + 1, one, 7 * one


# What goes wrong


@page.claim(
    "a loop over {} small tensors", "With {} weights in each tensor the fused form takes a quarter of the loop's time. With {} it still takes half of it",
    "Its {} bytes a weight then make {} GB/s",
)
def test_forms_of_adam():
    loop, _, fused = CPU["adam"].median(0).values.unbind(1)
    assert (loop / fused)[0] == pytest.approx(4, abs=0.5) and (loop / fused)[1] == pytest.approx(2, abs=0.3)
    small, large = SIZES["cpu"]["adam"]
    moved = roofline.elementwise_bytes(TENSORS * large, reads=4, writes=3)
    copied = rate("copy", 1, 2**28).median().item()
    assert moved / fused[1].item() == pytest.approx(copied, rel=0.15)
    assert WEIGHTS > TENSORS * large
    return TENSORS, small, large, 28, moved / fused[1].item() / G


test_changed_numbers_are_noticed = page.test_of_numbers()
