"""What the chapter on initialization says, bound to its records, to its figure and to algebra."""

import math

import pytest
import torch
from claims import About, Page

from course_lib.experiments import recorded
from course_lib.experiments.initialize import fans, gain
from course_lib.experiments.signals import predicted

page = Page("training/initialization")
FIVE = {"activation": "tanh", "initialization": "normal", "depth": 5}


def ratios(fig, **settings) -> tuple[float, float]:
    """What the figure measures at these settings: the signal's ratio and the gradient's."""
    for name, value in settings.items():
        setattr(fig, name, value)
    return fig.ratios


def by_mean_field(activation, layers, variance, width=64):
    """The predicted mean squares of layers of one width, forward and backward."""
    return predicted(activation, [width] * (layers + 1), [variance / width] * layers)


# The figure


@page.claim(
    r"weights from $\mathcal N(0, \sigma^2)$ with $\sigma = {}$: signal and gradient die.",
    r"At $\sigma = {}$ the signal's mean square in the last layer is {} of that in the first, "
    "and the gradient's in the first is {} of that in the last.",
    r"Between $\sigma = {}$ and $\sigma = {}$ the gradient keeps its size; the signal falls to about a third.",
    r"the gradient *grows*, {} times: where tanh",
)
def test_five_layers_of_tanh_in_the_figure(page):
    fig = page.figure(0)
    first = ratios(fig)
    assert (fig.activation, fig.initialization, fig.depth) == tuple(FIVE.values())
    below, above = ratios(fig, gain=0.18), ratios(fig, gain=0.2)
    assert below[1] < 1 < above[1] and below[0] < 0.36 < above[0] < 0.39
    signal, gradient = ratios(fig, gain=1.0)
    saturated = (fig.signals.post[-1].abs() > 0.9).double().mean()
    assert signal > 0.8 and saturated > 0.8
    return page.figure(0).gain, page.figure(0).gain, *first, 0.18, 0.20, gradient


@page.claim(
    "Choose Xavier's weights and {} layers.",
    "Hardly: the signal's mean square falls to {} and the gradient's to {}.",
)
def test_tanh_with_xaviers_weights(page):
    fig = page.figure(0)
    found = ratios(fig, initialization="xavier_normal", gain=1.0, depth=30)
    forward, _ = by_mean_field("tanh", 30, 1.0)
    slopes = -(forward[20:].log().diff() / torch.arange(21, 31).log().diff())  # of a power of the depth
    assert slopes.max() < 1.3 and slopes.min() > 0.8
    return 30, *found


@page.claim(
    r"By a half: $2^{-29} = {}$ after {} layers.",
    "the first six draws give the signal between {} and {} of it.",
)
def test_relu_in_the_figure(page):
    fig = page.figure(0)
    fig.activation, fig.initialization, fig.depth, fig.gain = "relu", "xavier_normal", 30, 1.0
    forward, _ = fig.predicted
    assert (forward[-1] / forward[0]).item() == pytest.approx(2.0**-29)
    draws = [ratios(fig, initialization="kaiming_normal", gain=math.sqrt(2), seed=k)[0] for k in range(6)]
    assert (fig.predicted[0] - 2).abs().max() < 1e-9
    return 2.0**-29, 30, min(draws), max(draws)


@page.claim(
    "The signal's mean square stays at {} because a sigmoid's output",
    r"$\sigma'^2 \le 1/{}$ in each layer, and ${}$ of it is left.",
)
def test_the_sigmoid_passes_a_constant(page):
    fig = page.figure(0)
    signal, gradient = ratios(fig, activation="sigmoid", initialization="xavier_normal", gain=1.0, depth=30)
    assert fig.signals.post[-1].var(0).mean() < 1e-6  # the same for every input
    return signal, 16, gradient


# Five layers on digits


@page.claim(
    r"five layers of {} tanh units", r"The weights have $\sigma = {}$, $\sigma = 1$,", "which is 1/{} for the inner layers.",
    r"with $\sigma = {}$ by a factor of {}: the first layer will not learn;",
    r"with $\sigma = 1$ by a factor of {}, while {} of the activations in the upper four layers lie beyond $\pm{}$:",
    "with Xavier's weights by a factor between {} and {}.",
    r"With σ = {} it falls by three orders of magnitude from layer 5 to layer 1; with σ = 1 it grows {} times;",
    r"With σ = {} the first layer's gradients are a single spike at 0",
)
def test_slide_24():
    record = recorded("initialization_tanh")
    change = record["gradient"][:, :, 0] / record["gradient"][:, :, -1]  # (seeds, starts)
    assert (2.5 < -change[:, 0].log10()).all() and (-change[:, 0].log10() < 3.5).all()
    histograms = record["gradient_histogram"][:, 0, 0]
    assert (histograms[:, 20] == 1).all()  # σ = 0.01, layer 1: all in the bin around 0
    saturated = record["saturated"][:, 1, 1:]
    width = record.settings["width"]
    low, high = change[:, 2].min(), change[:, 2].max()
    return (
        width, 0.01, math.sqrt(width), 0.01, change[:, 0].median().item(), About(change[:, 1]), saturated.flatten(), 0.99,
        low, high, 0.01, About(change[:, 1]), 0.01,
    )


@page.claim(
    "after {} steps, a layer of {} tanh units with constant weights of 0 or {} still has one unit, {} times, "
    "and names {} to {} of the digits,",
    "From Xavier's weights it names {} to {}.",
)
def test_constant_weights_stay_alike():
    record = recorded("initialization_constant")
    width, right = record.settings["width"], record["accuracy"]
    assert (record["units"][:, :2] == 1).all() and (record["units"][:, 2] == width).all()
    assert record.settings["values"] == [0.0, 0.1]
    guessing, learned = right[:, :2], right[:, 2]
    return record.settings["steps"], width, 0.1, width, guessing.min(), guessing.max(), learned.min(), learned.max()


# Widths


@page.claim(
    "From {} units in the first layer to 8 in the last one,", r"Both times it is $8/{} = {}$.",
)
def test_widths_telescope():
    for widths in ([256, 128, 64, 32, 16, 8], [256] * 20 + [8]):
        _, backward = predicted("linear", widths, [1 / n for n in widths[:-1]])
        assert backward[0].item() * widths[1] / widths[0] == pytest.approx(8 / 256)
    return 256, 256, 8 / 256


@page.claim(
    "Twelve networks each, {} layers of {} units, five seeds:",
    "Tanh with Xavier's falls slowly to {}.",
    "Mean squares over {} layers, logarithmic, with the range over five seeds. Linear",
)
def test_thirty_layers():
    record = recorded("initialization_deep")
    settings, last = record.settings, record["forward"][..., -1]  # (seeds, kinds)
    assert settings["runs"] == 12 and len(record.seeds) == 5
    for k, (activation, name, g) in enumerate(settings["networks"]):
        variance = g**2 * (1 if name.startswith(("kaiming", "xavier")) else math.nan)
        forward, backward = by_mean_field(activation, settings["layers"], variance, settings["width"])
        for key, theory in (("forward", forward), ("backward", backward)):
            assert (record[key][:, k] / theory).log().abs().max() < 0.5, f"{activation} {name}"
    return settings["layers"], settings["width"], last[:, 1].median().item(), settings["layers"]


# Gains


@page.claim(
    r"With 5/3 its mean square settles at {}, which looks better, but the gradient then grows by {} a layer on its way down: "
    "{}-fold over {} layers.",
)
def test_the_gain_of_tanh():
    forward, backward = by_mean_field("tanh", 100, gain("tanh") ** 2)
    growth = (backward[50] / backward[51]).item()
    _, of_one = by_mean_field("tanh", 100, 1.0)
    assert 0.97 < of_one[50] / of_one[51] < 1
    _, over_thirty = by_mean_field("tanh", 30, gain("tanh") ** 2)
    return forward[-1].item(), growth, About(over_thirty[0] / over_thirty[-1]), 30


@page.claim(
    r"For PyTorch's $a = {}$ the gain is $\sqrt2$ to four digits. Forget $a$ where it is {}, and each layer multiplies by "
    "$1 + a^2 = {}$: {} after {} layers. At a slope of {}, as a PReLU may learn it, it is {}.",
)
def test_a_forgotten_slope():
    assert gain("leaky_relu", 0.01) == pytest.approx(math.sqrt(2), rel=1e-4)
    return 0.01, 0.2, 1.04, 1.04**20, 20, 0.5, 1.25**20


# A single network


@page.claim(
    "The *median* network of {} units keeps {} of it, one of {} units {}, and the standard deviation of the natural "
    "logarithm is {} and {}.",
    "It rises from {} at {} units over {} at {} and {} at {} to {} at {}, close to the predicted curve.",
)
def test_depth_over_width():
    record = recorded("initialization_widths")
    median, spread, widths = record["median"].median(0).values, record["spread"].median(0).values, record.settings["widths"]
    for m, s, n in zip(median, spread, widths, strict=True):
        assert s.item() == pytest.approx(math.sqrt(5 * 30 / n), rel=0.15)
        assert abs(m.log().item() + 75 / n) < 0.4 * math.sqrt(150 / n)
    pairs = [x for m, n in zip(median.tolist(), widths, strict=True) for x in (m, n)]
    return widths[0], median[0].item(), widths[2], median[2].item(), spread[0].item(), spread[2].item(), *pairs


@page.claim(
    "Send {} different digits up,",
    "With Kaiming's weights between {} and {} are left after {} layers:",
    "With Kaiming's weights it falls to between {} and {}. With PyTorch's default it falls steeply, to {} in ten layers,",
    "The share of the mean square that differs between images, over {} layers",
)
def test_images_become_alike():
    record = recorded("initialization_default")
    left = record["kaiming"][:, -1]
    settings = record.settings
    ten = record["share"][:, 9].median().item()
    bounds = left.min(), left.max()
    return settings["examples"], *bounds, settings["layers"], *bounds, ten, settings["layers"]


@page.claim(
    "A factor of 1/6 in each of {} layers", "at about {} in the last layer.",
    "after 5 layers {} of it differ between images, after {} layers {}.",
)
def test_what_the_biases_hold_up():
    record = recorded("initialization_default")
    size, share = record["size"][:, -1], record["share"]
    return record.settings["layers"], size, share[:, 4].median().item(), 10, share[:, 9].median().item()


# Training


@page.claim(
    "Digits, {} layers of {} ReLUs, {} steps of momentum in batches of {}, at the better of two rates.",
    "Only Kaiming's weights train: the loss ends between {} and {}. From the other three it stays at {},",
    "Training loss of the plain network over {} steps", "From Kaiming's it falls to between {} and {}.",
)
def test_only_kaiming_trains_the_plain_network():
    record = recorded("initialization_training")
    settings, loss = record.settings, record["plain"]  # (seeds, starts, rates, times)
    others = loss[:, [0, 1, 3]]
    assert (others - math.log(10)).abs().max() < 0.03
    trained = loss[:, 2, :, -1].amin(1)
    bounds = trained.min(), trained.max()
    head = settings["depth"], settings["width"], settings["steps"], settings["batch"]
    return *head, *bounds, others[..., -1].median().item(), settings["steps"], *bounds


@page.claim(
    "from all four the loss ends between {} and {}, since each layer divides",
    "in each of the {} residual layers, and the loss begins beyond {}, which is where the record stops counting.",
    "train best: the loss ends between {} and {}. Start",
    "Dots for the loss after {} steps",
    "all four initializations end between {} and {}. With residual connections σ = {} ends lowest of all, between {} and {}, "
    "PyTorch's default between {} and {}, and Xavier and Kaiming both at {},",
)
def test_normalization_and_residual_connections():
    record = recorded("initialization_training")
    batch, residual = (record[form][..., -1].amin(2) for form in ("batch", "residual"))  # (seeds, starts)
    assert (record["residual"][:, 1:3] == 10).all()
    best, default = residual[:, 0], residual[:, 3]
    assert best.max() < batch.min()
    normalized = batch.min(), batch.max()
    tiny = best.min(), best.max()
    return (
        *normalized, record.settings["depth"] - 2, 10, *tiny, record.settings["steps"], *normalized, 0.01, *tiny,
        default.min(), default.max(), 10,
    )


# Orthogonal weights


@page.claim(
    "At {} Gaussian layers of {} units, the largest singular value is between {} and {} times the median one.",
    "For Gaussian layers it rises from {} to between {} and {} at {} layers;",
)
def test_products_of_matrices():
    record = recorded("initialization_orthogonal")
    settings, last = record.settings, record["gaussian"][:, -1]
    assert (record["orthogonal"] == 1).all()
    bounds = About(last.min()), About(last.max())
    first = record["gaussian"][:, 0].median().item()
    return settings["layers"][-1], settings["width"], *bounds, first, *bounds, settings["layers"][-1]


# What goes wrong


@page.claim(r"With $2/n$ in place of $\sqrt{2/n}$ and $n = {}$, the weights are {} times too small.")
def test_a_variance_taken_for_a_deviation():
    return 512, math.sqrt(2 / 512) / (2 / 512)


def test_a_forgotten_kernel_triples_the_signal():
    assert math.sqrt(fans((64, 16, 3, 3))[0] / 16) == 3


test_changed_numbers_are_noticed = page.test_of_numbers()
