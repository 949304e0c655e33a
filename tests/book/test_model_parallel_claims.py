"""What the chapter on model parallelism says, bound to counts, to its record and to algebra. What runs on processes is in tests/parallel."""

import math

import pytest
import torch
from claims import Page

from course_lib.experiments import recorded
from course_lib.experiments.model_parallel_plots import traffic
from course_lib.formulas.layer_traffic import even_batch, filters_split
from course_lib.formulas.pipeline import bubble
from course_lib.parallel.alexnet import SIDE, alexnet, layer_sizes
from course_lib.parallel.pipeline import gpipe, one_forward_one_backward, timeline

page = Page("parallel/model_parallel")
LAYERS = layer_sizes(alexnet())
BATCHES = torch.arange(1, 2049, dtype=torch.float64)
SENT = {name: values / 1e6 for name, values in traffic(LAYERS, BATCHES).items()}


def crossing() -> list[int]:
    return [row["inputs"] for row in LAYERS if row["crosses"]]


# Two columns


@page.claim(
    "with the numbers of values {}, {}, {} and {}.",
    "{} values an image cross, where the layers together put out {}.",
    "In front of layer 2 the maps are {} × {}, {} values.",
    "In front of layer 3, after another pooling, they are {} × {}, and {} values.",
)
def test_where_the_columns_cross():
    conv2, conv3 = LAYERS[1], LAYERS[2]
    two, three = math.isqrt(conv2["inputs"] // 96), math.isqrt(conv3["inputs"] // 256)
    everything = sum(row["outputs"] for row in LAYERS)
    return *crossing(), sum(crossing()), everything, two, two, conv2["inputs"], three, three, conv3["inputs"]


@page.claim(
    "`alexnet()` has {} parameters. Its images have {} × {} pixels: the paper says {}, but only {} (or {} with",
    "gives its {} × {} maps after filters of {} × {} with",
)
def test_the_size():
    maps, kernel = math.isqrt(LAYERS[0]["outputs"] // 96), alexnet()[0].kernel_size
    return sum(row["parameters"] for row in LAYERS), SIDE, SIDE, 224, SIDE, 224, maps, maps, *kernel


# Bytes


@page.claim(r"$\frac12\cdot 4\cdot 8\,(512 + 2\cdot 300) = 17{,}792$.")
def test_the_bytes_of_one_layer():
    assert 8 * filters_split(3 * 10 * 10, 8 * 8 * 8, batch=4, n=2) == 17_792


@page.claim("In a transformer $h = 4d$, so {} against {}.")
def test_a_pair_against_two_gathered_layers():
    d, h, sent = 8, 32, {"batch": 1, "n": 2}
    gathered = filters_split(d, h, **sent) + filters_split(h, d, **sent)
    return (2 * d + 2 * d) / 2 / (d / 2), gathered / (d / 2)


def test_the_even_batch_of_a_square_layer_and_of_a_convolution():
    assert even_batch(1000**2, 1000, 1000) == pytest.approx(2 / 3 * 1000)
    C, H, W = 64, 14, 14
    assert even_batch(9 * C * C, C * H * W, C * H * W) == pytest.approx(6 * C / (H * W))


@page.claim(
    "Data parallel is a level line at {} MB. All filters gathered rises from {} MB for one image and crosses it at a batch of {}. "
    "Two columns run six times lower and cross it at {}.",
    "Data parallelism sends {} MB, whatever the batch. At the paper's batch of {} the two columns send {} MB, and a split of all "
    "filters without columns {} MB.",
    "from a batch of {} on, the columns lose, too.",
    "For layer 3 split the batch from {} images on. For the last layer split the filters up to {} images,",
    "and send {} MB in place of {}.",
)
def test_what_a_step_sends():
    level = SENT["batch split"][0]
    more = {name: (SENT[name] > level).nonzero()[0].item() + 1 for name in ("all filters", "two columns")}
    at = {name: values[127] for name, values in SENT.items()}
    assert 6 < SENT["all filters"][0] / SENT["two columns"][0] < 6.5
    even = [even_batch(row["parameters"], row["inputs"], row["outputs"]) for row in LAYERS]
    assert even[5] > 2000 and even[6] > 2000
    return (
        level, SENT["all filters"][0], even_of("all filters"), even_of("two columns"), level, 128, at["two columns"],
        at["all filters"], more["two columns"], even[2], round(even[7], -1), at["two columns"], level,
    )  # fmt: skip


def even_of(name: str) -> float:
    """The batch at which this way sends as much as a split of the batch."""
    return (SENT["batch split"][0] / SENT[name][0]).item()


@page.claim("Exactly half, {}. With Adam in float32, {} bytes a parameter: {} MB in place of {}.")
def test_the_memory():
    parameters = sum(row["parameters"] for row in LAYERS)
    return parameters / 2, 16, 16 * parameters / 2 / 1e6, 16 * parameters / 1e6


# The pipeline


@page.claim(
    "Both end after {} units.",
    "Neither: both take {} forward passes, of which each stage works {}, and the bubble is {}.",
    r"A bubble below 10% asks for $m \ge 9\,(p - 1)$: {} micro-batches for {} stages.",
)
def test_the_schedules_of_the_drawing():
    lengths = [max(row[-1][3] for row in timeline(order, 4, 6)) for order in (gpipe, one_forward_one_backward)]
    assert lengths[0] == lengths[1]
    enough = next(m for m in range(1, 100) if bubble(4, m) <= 0.1)
    return lengths[0], lengths[0], 6 * 3, bubble(4, 6), enough, 4


# What goes wrong


@page.claim(
    "Gradients not summed lie between {} and {}, own batches between {} and {}, own masks between {} and {}."
)
def test_how_far_gradients_are_off():
    off = recorded("model_parallel_mistakes")["all"]  # (seeds, kinds)
    assert (off[:, 0] == 0).all() and (off[:, 1:] > 0.49).all()
    return tuple(x for k in (1, 2, 3) for x in (off[:, k].min(), off[:, k].max()))


@page.claim(
    "It falls in every step, to {} to {} where the right one has {} to {}.",
    "the right one ends between {} and {}, the one without sums between {} and {}.",
)
def test_the_loss_without_the_sums():
    record = recorded("model_parallel_mistakes")
    right, wrong = record["right"], record["not_summed"]
    assert (wrong.diff(dim=1) < 0).all() and (wrong[:, 1:] > right[:, 1:]).all()
    assert (record["last_layer"][:, 1] == 0).all() and (record["first_layer"][:, 1] > 0.5).all()
    ends = wrong[:, -1].min(), wrong[:, -1].max(), right[:, -1].min(), right[:, -1].max()
    return *ends, *ends[2:], *ends[:2]


test_changed_numbers_are_noticed = page.test_of_numbers()
