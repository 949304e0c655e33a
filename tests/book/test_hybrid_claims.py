"""What the chapter on hybrid layouts says, bound to its model, to its figures, to its records and to algebra."""

import math

import pytest
import torch
from claims import About, Page

from course_lib.experiments import layouts, recorded
from course_lib.experiments.layer_costs import NETWORKS, parameters
from course_lib.experiments.layouts import SLIDE_61, days, days_by_part, fit, leave_one_out, slide_61_constants
from course_lib.formulas.parallel_costs import (
    all_reduce_seconds,
    bucket_schedule,
    fastest_count,
    sharded_step_seconds,
)
from course_lib.formulas.training_costs import training_bytes
from course_lib.parallel import launch
from course_lib.parallel.alexnet import alexnet, layer_sizes
from course_lib.widgets.figures.step_timeline import RATE

page = Page("parallel/hybrid")
CONSTANTS = slide_61_constants()
GPU, MODEL_2, DATA_2, DATA_4, HYBRID_4 = SLIDE_61


def best(chooser) -> int:
    """The number of data-parallel GPUs with the fewest days."""
    return min(range(1, 9), key=lambda n: chosen(chooser, n=n))


def chosen(figure, **settings) -> float:
    for name, value in settings.items():
        setattr(figure, name, value)
    return figure.days


def error(constants, row, topology="switches") -> float:
    return days(constants, row.groups, row.members, topology) / row.days - 1


def step(figure, **settings) -> dict[str, float]:
    """The step at these settings, and otherwise at those that the page begins with."""
    start = {name: getattr(figure, name) for name in settings}
    for name, value in settings.items():
        setattr(figure, name, value)
    found = figure.summary | {"ms": 1000 * figure.summary["seconds"], "buckets": int((figure.schedule[2] > 0).sum())}
    for name, value in start.items():
        setattr(figure, name, value)
    return found


@page.claim(
    "train a network in {} days. Four of them need {}. Put the same four into two pairs, and they need {}.",
    "AlexNet, {} epochs of ImageNet in mini-batches of {}, on up to four NVIDIA TITANs",
    "Measure everything in days, for all {} epochs.",
    "From the paper come the times, the batch of {} and the {} epochs.",
    "Slide 61 has {} days for four data-parallel GPUs and {} for two.",
    "hence {} days after {}.",
)
def test_the_slide():
    batch, epochs = layouts.BATCH, layouts.EPOCHS
    four = DATA_4.days, DATA_2.days
    return DATA_2.days, DATA_4.days, HYBRID_4.days, epochs, batch, epochs, batch, epochs, *four, *four


@page.claim("Two and three are equally good, {} days. Six are as slow as one, eight take {} days.")
def test_data_parallel_on_the_slides_hardware(page):
    fig = page.figure(0)
    assert days(CONSTANTS, 2, 1) == pytest.approx(days(CONSTANTS, 3, 1))
    assert days(CONSTANTS, 6, 1) == pytest.approx(days(CONSTANTS, 1, 1))
    for topology in ("switches", "bus"):
        fig.topology = topology
        assert best(fig) in (2, 3)
    return chosen(fig, n=2), chosen(fig, n=8)


@page.claim(
    "Raise the bandwidth to {} GB/s.",
    "Six, with {} days. Four GPUs take {} days as *data* and {} as *hybrid*: {} less, where it was {}.",
)
def test_six_times_the_bandwidth(page):
    fig = page.figure(0)
    fig.bandwidth = 10.0
    assert best(fig) == 6
    six, four = chosen(fig, n=6), chosen(fig, n=4)
    hybrid = chosen(fig, parallelism="hybrid")
    before = 1 - days(CONSTANTS, 2, 2) / days(CONSTANTS, 4, 1)
    return 10, six, four, hybrid, 1 - hybrid / four, before


@page.claim("The last row is then modeled as {} days in place of {}, which is {} too much.")
def test_pairs_on_one_bus():
    pairs, bus = (days_by_part(CONSTANTS, 2, 2, topology) for topology in ("switches", "bus"))
    assert bus == pytest.approx((pairs[0], pairs[1], 2 * pairs[2]))
    return sum(bus), HYBRID_4.days, error(CONSTANTS, HYBRID_4, "bus")


@page.claim("Four GPUs, data parallel: {} days where the slide has {}.")
def test_links_of_their_own():
    errors = {row.words: abs(error(CONSTANTS, row, "links")) for row in SLIDE_61}
    assert max(errors, key=errors.get) == DATA_4.words
    two, four = days(CONSTANTS, 2, 1, "links"), days(CONSTANTS, 4, 1, "links")
    assert 1.5 < two / four < 2
    return four, DATA_4.days


@page.claim("In AlexNet the fully connected layers hold {} of the parameters and make {} of the multiplications.")
def test_where_alexnets_parameters_are():
    full = [layer for layer in NETWORKS["AlexNet"] if layer.name.startswith("fc")]
    parts = [sum(x) / sum(y) for x, y in zip(zip(*(f[1:] for f in full)), zip(*(f[1:] for f in NETWORKS["AlexNet"])))]
    return tuple(parts)


@page.claim(
    "data parallel on two GPUs takes $C/2 + 2P/B = {}$, model parallel on two takes $C/2 + 2A/B = {}$.",
    "Held out are two rows; they come out {} and {} too long.",
    "No row is off by more than {}. Fitted to all five rows at once, none is off by more than {}.",
    "three constants give slide 61's five rows within {}.",
)
def test_the_model_of_the_table():
    left_out = [abs(value / row.days - 1) for row, value in leave_one_out().items()]
    together = [abs(error(fit(SLIDE_61), row)) for row in SLIDE_61]
    alone = [error(CONSTANTS, row) for row in (DATA_4, HYBRID_4)]
    assert max(*alone, *left_out) < 0.1
    assert (CONSTANTS.compute, CONSTANTS.gradients, CONSTANTS.maps) == pytest.approx((10.5, 0.875, 0.675))
    return DATA_2.days, MODEL_2.days, *alone, max(left_out), max(together), 0.1


@page.claim(
    r"AlexNet has {} parameters, so $P$ is {} MB in float32. There are {} steps. A day's worth of {} is then a bandwidth of **{} GB/s**",
    "the maps are {} thousand numbers for each image.",
    "it is {} (the inputs of conv3 and of the three fully connected layers); if all layers from conv2 on do, it is {}.",
)
def test_the_constants_mean_something():
    inputs = {row["layer"]: row["inputs"] for row in layer_sizes(alexnet())}
    fewest = sum(inputs[layer] for layer in ("conv3", "fc6", "fc7", "fc8"))
    most = sum(inputs.values()) - inputs["conv1"]
    numbers = CONSTANTS.map_bytes / 4 / layouts.BATCH
    assert fewest < numbers < most
    size = layouts.GRADIENTS / 1e6
    return parameters("AlexNet"), size, layouts.STEPS, CONSTANTS.gradients, CONSTANTS.bandwidth / 1e9, numbers / 1000, fewest, most


@page.claim("one bus for everything leaves errors of up to {}, a link for each GPU up to {}.")
def test_other_topologies_fit_worse():
    worst = {t: max(abs(error(fit(SLIDE_61, t), row, t)) for row in SLIDE_61) for t in layouts.TOPOLOGIES}
    assert worst["switches"] < worst["bus"] < worst["links"]
    return worst["bus"], worst["links"]


@page.claim("computing falls from {} to {} days, and the gradients rise from {} to {}.")
def test_what_two_more_gpus_bring():
    (a, b, _), (c, d, _) = days_by_part(CONSTANTS, 2, 1), days_by_part(CONSTANTS, 4, 1)
    return a, c, b, d


def test_the_best_number_of_gpus_on_a_bus():
    best = fastest_count(CONSTANTS.compute, CONSTANTS.gradients, bandwidth=1.0)
    assert round(best, 1) == 2.4 and r"= 2.4 ." in page.text
    assert fastest_count(CONSTANTS.compute, CONSTANTS.gradients, bandwidth=4.0) == pytest.approx(2 * best)


def test_on_links_every_gpu_helps_or_none_does():
    n = torch.arange(1, 65).double()
    for compute, helps in ((3.0, True), (1.0, False)):
        step = compute / n + all_reduce_seconds(1.0, n=n, bandwidth=1.0, latency=0.0)
        torch.testing.assert_close(step, 2 + (compute - 2) / n)
        assert ((step.diff() < 0) if helps else (step.diff() > 0)).all()


@page.claim("$2(g-1)$ is {} in place of {}.")
def test_groups_and_ranks():
    return 2 * (2 - 1), 2 * (4 - 1)


# One step, as it happens


def usual_bucket() -> int:
    """Bytes of a bucket where PyTorch is told nothing."""
    return torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2)).bucket_bytes_cap


@page.claim(
    "{} GPUs that reach {} TFLOP/s each, {} images a GPU, {} GB/s, {} µs a message, buckets of {} MB as in PyTorch.",
    "PyTorch makes the *first* one small, {} MiB",
)
def test_where_the_timeline_begins(page):
    fig = page.figure(1)
    (usual,) = launch(usual_bucket, processes=1, check=False)
    assert usual == 25 * 2**20
    first = torch.distributed._DEFAULT_FIRST_BUCKET_BYTES / 2**20
    return fig.n, RATE / 1e12, fig.batch, fig.bandwidth, fig.latency, fig.bucket, first


@page.claim("From {} to {} ms. The speed-up falls from {} to {}.")
def test_without_overlap(page):
    fig = page.figure(1)
    on, off = step(fig), step(fig, overlap="off")
    return on["ms"], off["ms"], on["speed_up"], off["speed_up"]


@page.claim(
    "Raise the bucket to {} MB: what happens to the overlap? Then lower it to 1 MB: why is that worse than {}",
    "One bucket leaves when everything is computed: {} ms, almost as without overlap. With 1 MB there are {} buckets in "
    "place of {}, each with {} messages one after the other, $2(n-1)$: {} ms.",
)
def test_buckets(page):
    fig = page.figure(1)
    one, small, usual = (step(fig, bucket=size) for size in (1000.0, 1.0, 25.0))
    assert one["buckets"] == 1 and usual["ms"] < small["ms"] < one["ms"]
    messages = 2 * (fig.n - 1)
    return 1000, fig.bucket, one["ms"], small["buckets"], usual["buckets"], messages, small["ms"]


@page.claim("A batch of {}, then of {} a GPU. What is the speed-up?", "{}, and {}. The gradients take the same time")
def test_batches(page):
    fig = page.figure(1)
    return 8, 128, step(fig, batch=8)["speed_up"], step(fig, batch=128)["speed_up"]


@page.claim(
    "One GPU is {} times as slow. How long do the others wait",
    "They wait {} of the step. The wait of all for gradients falls from {} to {}: the slow GPU's longer backward pass hides it.",
)
def test_a_straggler(page):
    fig = page.figure(1)
    slow = step(fig, slow=1.5)
    return 1.5, slow["waiting"], step(fig)["exposed"], slow["exposed"]


@page.claim("The embedding's, {} MB of {}.", "Yet {} of the step computes: at {} tokens a text")
def test_gpt2(page):
    fig = page.figure(1)
    embedding = 4 * NETWORKS["GPT-2 small"][0].parameters / 1e6
    return embedding, 4 * parameters("GPT-2 small") / 1e6, 1 - step(fig, network="GPT-2 small")["exposed"], 1024


def test_one_bucket_decides():
    """The maximum over the buckets is the recurrence."""
    ready, takes, e = torch.tensor([1.0, 2.0, 6.0, 6.5]), torch.tensor([4.0, 0.5, 1.0, 2.0]), 0.0
    for k in range(4):
        e = max(ready[k], e) + takes[k]
        assert e == max(ready[i] + takes[i : k + 1].sum() for i in range(k + 1))
    sizes, seconds = takes.double(), torch.tensor([1.0, 1.0, 4.0, 0.5]).double()
    end = bucket_schedule(sizes, seconds, bucket=1e-9, n=2, bandwidth=1.0, latency=0.0)[1]
    assert end[-1].item() == pytest.approx(e.item())


# Measured


def test_predicted_and_measured_steps():
    """Wide on purpose: times are one machine's, what is said about them is not."""
    record = recorded("hybrid_measured_steps")
    ratio = (record["predicted"] / record["measured"]).median(0).values  # by width
    assert (ratio[-2:] > 2 / 3).all() and (ratio[-2:] < 4 / 3).all()
    assert (ratio > 1 / 2).all() and ratio[-1] > 0.8
    assert ((record["predicted"] <= record["measured"]).double().mean() > 0.8).all()  # optimistic
    assert record["within"].all()
    low, high = (x[-1] for x in record.spread("measured"))
    assert low <= record["predicted"][:, -1].median() * 1.05 and record["predicted"][:, -1].median() < high


@page.claim(
    "The model is flat at about {} ms up to {} KB and then rises to {} ms at {} KB.",
    "from about 1 to {} ms.",
)
def test_the_pictures_words():
    record = recorded("hybrid_measured_steps")
    model = record["modeled_reduce"].median(0).values
    assert model[2] < 1.25 * model[0]
    compute = record["compute"].median(0).values
    assert 0.5 < compute[0] < 1.5
    return About(model[0]), 100, About(model[-1]), record.settings["sizes"][-1] / 1024, About(compute[-1])


# Fully sharded


@page.claim(
    "weights, gradients, Adam's two moments, {} bytes a parameter in float32. A network of {} billion parameters needs {} GB",
    "an $n$-th of {} bytes a parameter; {} times the traffic",
    "Fully sharded training cuts the memory by $n$ for {} times the traffic.",
)
def test_memory_and_traffic():
    link = {"n": 8, "bandwidth": 1.0, "latency": 0.0}
    more = sharded_step_seconds(1.0, **link) / all_reduce_seconds(1.0, **link)
    each = training_bytes(1, states=2)
    return each, 7, training_bytes(7e9, states=2) / 1e9, each, more, more


@page.claim(
    "for a network with {} hidden units, after three steps of Adam:",
    "Of four, the fullest holds {} bytes of weights and not {}: a tensor is cut by rows, and the last layer has {} of them, "
    "so the ranks get {}, {}, {} and {}.",
)
def test_bytes_of_shards():
    record = recorded("hybrid_sharded_bytes")
    held = record["held"][0]
    assert (2 * held[1] == held[0]).all() and (held[:, 2] == 2 * held[:, 0]).all()
    rows = [len(part) for part in torch.arange(10).chunk(4)]
    width = record.settings["width"]
    assert held[2, 0] == 4 * (width // 4 * (64 + 1) + width // 4 * (width + 1) + rows[0] * (width + 1))
    return width, held[2, 0], held[0, 0] / 4, 10, *rows


@page.claim("With {} tensors and $2(n-1)$ messages of {} µs each, {} ranks spend {} s a step on latency alone.")
def test_many_small_messages():
    return 1000, 20, 64, 1000 * all_reduce_seconds(0.0, n=64, bandwidth=math.inf, latency=20e-6)


test_changed_numbers_are_noticed = page.test_of_numbers()
