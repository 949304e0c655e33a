"""What the chapter on the objective says, bound to its records, to its figures and to algebra."""

import math

import pytest
import torch
from claims import Below, Page
from torch import nn
from torch.func import grad, jacrev, vmap
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils import parameters_to_vector

from course_lib.experiments import digits, recorded
from course_lib.experiments.backward_plot import backward_graph
from course_lib.experiments.studies import objective as study
from course_lib.formulas.objective import MODELS, line, logistic_loss, squared_error, unit

page = Page("basics/objective")
J = study.digits_loss


def numbers(*x):
    return torch.tensor(x, dtype=torch.float64)


def objective(fig):
    """The loss of a figure's model on its data."""
    x, y = numbers(*fig.x), numbers(*fig.y)
    return lambda w: squared_error(MODELS[fig.model](x, w), y)


def walk(fig, start, steps):
    """The parameters after so many of the figure's steps, from one start (2,) or from several (runs, 2)."""
    w, slope = torch.as_tensor(start, dtype=torch.float64), vmap(grad(objective(fig)))
    runs = w.reshape(-1, 2)
    for _ in range(steps):
        runs = runs - fig.lr * slope(runs)
    return runs.reshape(w.shape)


@page.claim("At the ring its loss is {}; *{} steps* lead to $\\theta = ({}, {})$, with a loss of {}.")
def test_a_model_of_your_own(page):
    fig, steps = page.figure(2), 50
    before = fig.loss
    for _ in range(steps):
        fig.w = (numbers(*fig.w) - fig.lr * fig.gradient).tolist()
    return before, steps, *fig.w, fig.loss


# The line


def best_line(x, y):
    w = torch.linalg.lstsq(torch.stack([torch.ones_like(x), x], 1), y).solution
    return w, squared_error(line(x, w), y).item()


@page.claim(
    "Take the {} examples of the figure once, {} times and a {} times.",
    "at the ring its gradient has the length {} each time. That of the sum has {}, {} and {}.",
)
def test_copies_of_the_data_change_the_sum_and_not_the_mean():
    fig, copies = page.figure(0), (10, 100)
    w, x, y = numbers(*fig.w), numbers(*fig.x), numbers(*fig.y)
    one = grad(lambda w: squared_error(line(x, w), y))(w)
    for k in copies:
        many = x.repeat(k), y.repeat(k)
        torch.testing.assert_close(grad(lambda w: squared_error(line(many[0], w), many[1]))(w), one)
        total = grad(lambda w: ((line(many[0], w) - many[1]) ** 2).sum() / 2)(w)
        torch.testing.assert_close(total, k * len(x) * one)
    return len(x), *copies, one.norm(), *(k * len(x) * one.norm() for k in (1, *copies))


# Why this loss?


@page.claim("A normal variable is {} or more away from its mean in {} of cases")
def test_the_losses_are_negative_log_likelihoods():
    source = torch.Generator().manual_seed(0)
    z, y = (torch.randn(50, generator=source, dtype=torch.float64) for _ in range(2))
    constant = math.log(math.tau) / 2
    normal = -torch.distributions.Normal(z, 1.0).log_prob(y)
    torch.testing.assert_close(normal, (z - y) ** 2 / 2 + constant)
    torch.testing.assert_close(normal.mean() - constant, squared_error(z, y))
    laplace = -torch.distributions.Laplace(z, 1.0).log_prob(y)
    torch.testing.assert_close(laplace, (z - y).abs() + math.log(2))
    labels = (y > 0).double()
    coin = lambda z: -torch.distributions.Bernoulli(1 / (1 + (-z).exp())).log_prob(labels)
    torch.testing.assert_close(coin(z).mean(), logistic_loss(z, torch.eye(50, dtype=z.dtype), labels))
    torch.testing.assert_close(grad(lambda z: coin(z).sum())(z), torch.sigmoid(z) - labels)
    scores, classes = torch.randn(50, 4, generator=source, dtype=torch.float64), torch.arange(50) % 4
    shares = scores.exp() / scores.exp().sum(1, keepdim=True)
    chosen = lambda scores: -torch.distributions.Categorical(logits=scores).log_prob(classes)
    torch.testing.assert_close(chosen(scores).mean(), cross_entropy(scores, classes))
    torch.testing.assert_close(grad(lambda s: chosen(s).sum())(scores), shares - nn.functional.one_hot(classes, 4))
    return 3, math.erfc(3 / math.sqrt(2))


@page.claim(
    r"At the ring the gradient is $({},\ {})$.",
    r"The best $\theta_0$ is {}, so $\theta_0 = {}$ has to *grow*.",
    "its component is {} times as large.",
    "with a slope of {} a lower line is the better one.",
    "2. Press *{} steps*. Then pull",
)
def test_the_gradient_at_the_ring_points_away_from_the_best_height_at_first(page):
    fig = page.figure(0)
    first, second = fig.gradient.tolist()
    height, slope = fig.w
    best, loss = best_line(numbers(*fig.x), numbers(*fig.y))
    assert first > 0 and best[0] > height
    end = walk(fig, fig.w, 50)
    assert objective(fig)(end).item() == pytest.approx(loss, abs=1e-4)
    fig.w = walk(fig, fig.w, 1).tolist()
    assert fig.gradient[0] < 0  # as soon as the slope is better, it turns
    return first, second, best[0], height, second / first, slope, 50


@page.claim(
    "pull down the sixth point ($x = {}$) by {} instead.",
    "The slope falls from {} to {}, and the best loss rises from {} to {}. One example of {} did that",
    "The sixth point, moved as far, leaves the slope at {} and lowers the line by {}.",
)
def test_one_outlier_tilts_the_line_or_lowers_it():
    fig = page.figure(0)
    x, y = numbers(*fig.x), numbers(*fig.y)
    before, low = best_line(x, y)
    assert x.argmax() == len(x) - 1 and y[-1].item() == pytest.approx(3, abs=0.05)
    pulled, lowered = y.clone(), y.clone()
    pulled[-1] = 0
    lowered[5] -= 3
    (far, high), (near, _) = best_line(x, pulled), best_line(x, lowered)
    return x[5], 3, before[1], far[1], low, high, len(x), near[1], (before - near)[0]


def test_the_shape_of_the_bowl_knows_no_y():
    fig = page.figure(0)
    x, y = numbers(*fig.x), numbers(*fig.y)
    for labels in (y, 5 * y - 1):
        hessian = jacrev(grad(lambda w, labels=labels: squared_error(line(x, w), labels)))(numbers(0.3, -1))
        moments = torch.stack([torch.ones(2).double()[0], x.mean(), x.mean(), (x**2).mean()]).view(2, 2)
        torch.testing.assert_close(hessian, moments)


def test_the_gradient_is_what_the_residuals_still_hold():
    fig = page.figure(0)
    x, r = numbers(*fig.x), numbers(*fig.y) - fig.prediction
    torch.testing.assert_close(fig.gradient, -torch.stack([r.mean(), (r * x).mean()]))


# The sine and the unit


@page.claim(
    "The true wave has the frequency {}. The ring is at {}. Where do {} steps end",
    r"at the height of the lowest cross, $\theta_1 = {}$, and press *{} steps*",
    r"In a local minimum: $\theta = ({}, {})$ with a loss of {}, {} times that of the global one, {}.",
)
def test_the_sines_ring_ends_in_a_local_minimum(page):
    fig = page.figure(1)
    loss, end = objective(fig), walk(fig, fig.w, 50)
    best = walk(fig, (2.2, 0.73), 500)
    assert best[0].item() == pytest.approx(2.2, abs=0.01) and best[1].item() == pytest.approx(0.73, abs=0.03)
    assert grad(loss)(walk(fig, end, 500)).norm() < 1e-12
    return 2.2, fig.w[0], 50, 0.73, 50, *end, loss(end), loss(end) / loss(best), loss(best)


@page.claim(
    "From frequencies between {} and {} you reach the global minimum",
    r"The data are {} wide, and a frequency that is off by $2\pi/6 \approx {}$",
)
def test_from_which_frequencies_the_global_minimum_is_reached():
    fig, low, high = page.figure(1), 0.85, 3.5
    inside = torch.linspace(low, high, 10)
    frequencies = torch.cat([numbers(low - 0.25, low - 0.05), inside, numbers(high + 0.1, high + 0.5)])
    ends = walk(fig, torch.stack([frequencies, torch.full_like(frequencies, 0.73)], 1), 1500)
    reached = vmap(objective(fig))(ends) < 0.05
    assert reached.tolist() == [False] * 2 + [True] * 10 + [False] * 2
    return low, high, max(fig.x) - min(fig.x), math.tau / 6


@page.claim(
    "the gradient is exactly zero, and the loss is {}, forty times that of the minima: it is a saddle.",
    r"With {} tanh units, the units can be put in any order and each can change its signs: $32! \cdot 2^{32} \approx {}$ choices",
)
def test_twins_and_a_saddle():
    fig = page.figure(1)
    fig.model = "unit"
    fig.x, fig.y, fig.lr = (next(m for m in fig.spec["models"] if m["name"] == "unit")[k] for k in ("x", "y", "lr"))
    loss = objective(fig)
    above = [(2.0, -0.5), (0.5, 0.5), (-0.5, 2.0), (2.2, -0.6)]
    ends = walk(fig, numbers(above, [(-a, -b) for a, b in above]), 1000)  # (2, 4, 2)
    torch.testing.assert_close(ends[0], ends[0, :1].expand(4, 2), rtol=0, atol=4e-3)
    torch.testing.assert_close(ends[1], -ends[0])
    w, zero = ends[0, 0], numbers(0, 0)
    assert torch.equal(walk(fig, zero, 50), zero)
    assert loss(zero) / loss(w) == pytest.approx(40, abs=0.5)
    curvature = torch.linalg.eigvalsh(jacrev(grad(loss))(zero))
    assert curvature[0] < 0 < curvature[1]
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    assert torch.equal(unit(x, w), unit(x, -w))
    return loss(zero), 32, float(math.factorial(32) * 2**32)


# A network


@page.claim(
    "{} pixels of a handwritten digit, {} tanh units, {} classes.",
    "this network's loss is a function of one vector of {} numbers.",
    r"in every one of the {} digits, so the $3 \cdot {}$ weights",
    "draw a surface over {} parameters",
    "it shows 2 of {} directions",
)
def test_the_network_has_2410_parameters_of_which_96_have_no_say():
    net, data = study.digits_network(0), study.data()
    theta = parameters_to_vector(net.parameters()).detach()
    assert J(theta).item() == pytest.approx(cross_entropy(net(data.x_train), data.y_train).item(), rel=1e-12)
    g, count = grad(J)(theta), len(data.x_train) + len(data.x_val) + len(data.x_test)
    dark = (torch.cat([data.x_train, data.x_val, data.x_test]) == 0).all(0)
    idle = torch.cat([dark.expand(32, 64).flatten(), torch.zeros(362, dtype=torch.bool)])
    assert dark.sum() == 3 and torch.equal(g == 0, idle)
    l = len(theta)
    return net[0].in_features, net[0].out_features, net[2].out_features, l, count, net[0].out_features, l, l


@page.claim(
    r"From ${}$ down, the error shrinks as promised",
    r"One-sided, the best $h$ is near ${}$; two-sided, between ${}$ and ${}$, where {} to {} digits are right.",
    r"dividing the rounding error ${}$ by $h$",
    "$J$ itself is known to about {} digits only",
    "In {}-bit numbers, which networks use",
    "over h from 1 tenth down to 10⁻¹², on logarithmic axes, with the range over {} networks.",
)
def test_errors_of_finite_differences_fall_and_rise_again():
    record = recorded("objective_finite_differences")
    exponents, one, two = record.settings["exponents"], record["one_sided"], record["two_sided"]  # (seeds, exponents)
    at = exponents.index
    assert (one[:, at(-1)] / one[:, at(-3)] - 100).abs().max() < 30  # a hundredth of h, two digits
    assert (one[:, at(-3)] / one[:, at(-5)] - 100).abs().max() < 30
    assert ((two[:, at(-1)] / two[:, at(-3)]).log10() - 4).abs().max() < 0.2
    best_one, best_two = (exponents[x.median(0).values.argmin()] for x in (one, two))
    assert (one[:, at(-11)] > 1e-6).all() and (two[:, at(-11)] > 1e-6).all()
    assert -5 <= best_two <= -4
    right = -two[:, at(-4.5)].log10()
    epsilon = torch.finfo(torch.float64).eps
    lost = math.log10(torch.finfo(torch.float32).eps / epsilon)
    assert lost == pytest.approx(9, abs=0.5)
    return (
        1e-1,
        10.0**best_one,
        1e-4,
        1e-5,
        right.min(),
        right.max(),
        epsilon,
        -math.log10(epsilon),
        32,
        len(record.seeds),
    )


@page.claim("Announced and got differ, because ${}$ is not infinitely small.")
def test_a_component_announces_what_a_small_change_does():
    h = 0.01
    for seed in range(3):
        theta = parameters_to_vector(study.digits_network(seed).parameters()).detach()
        g = grad(J)(theta)
        e = torch.zeros_like(theta)
        e[g.abs().argmax()] = 1.0
        announced, got = h * g.dot(e).item(), (J(theta + h * e) - J(theta)).item()
        assert got == pytest.approx(announced, rel=0.02) and got != announced
    return h


@page.claim(
    r"And both give the same answer: for {} networks, with $h = {}$, all {} components agree to within {}, and the largest are {} to {}."
)
def test_finite_differences_agree_with_backpropagation():
    record = recorded("objective_trying_out")
    assert (record["agrees"] == 1).all() and (record["largest"].amax(1) > 0.02).all()
    assert 241 * record.settings["blocks"] == 2410
    largest = record["largest"].amax(1)
    settings = len(record.seeds), record.settings["h"], 2410, record.settings["tolerance"]
    return *settings, largest.min(), largest.max()


@page.claim(
    "θ₀ = {} and x = 2 give z = 1, its tanh is h = {}, times θ₁ = {} it is f = {}, and against y = 2 the loss is J = {}.",
    "Under each arrow stands a gradient: 1 at J, {} at f, {} at h, {} at z; at the parameters {} for θ₁ and {} for θ₀.",
    r"multiplied by the other factor: ${} \cdot {} = {}$ for",
)
def test_the_picture_of_the_way_back():
    values, gradients = backward_graph()
    w = numbers(values["θ₀"], values["θ₁"])
    x, y = numbers(values["x"]), numbers(values["y"])
    by_hand = grad(lambda w: squared_error(unit(x, w), y))(w)
    torch.testing.assert_close(by_hand, numbers(gradients["θ₀"], gradients["θ₁"]))
    shown = [gradients[k] for k in ("f", "h", "z", "θ₁", "θ₀")]
    return (
        *(values[k] for k in ("θ₀", "h", "θ₁", "f", "J")), *shown,
        gradients["f"], values["h"], gradients["f"] * values["h"],
    )


@page.claim(
    "Here it is {} times that of backpropagation; for a network with a billion parameters it is at least {} million times."
)
def test_what_a_gradient_costs():
    net, data = study.digits_network(0), study.data()
    loss = lambda: cross_entropy(net(data.x_train), data.y_train)
    forward, both = study.operations(loss), study.operations(lambda: loss().backward())
    assert forward == 2 * 1000 * (64 * 32 + 32 * 10)
    assert both == forward + 2 * 1000 * (64 * 32 + 2 * 32 * 10)  # none for the gradient by the pixels
    assert both < 3 * forward
    return 2411 * forward / both, 1e9 / 3 / 1e6


# Slices


def pits(losses):
    """The inner cells of a grid that are lower than their neighbors."""
    rows, columns = losses.shape
    around = lambda i, j: losses[i - 1 : i + 2, j - 1 : j + 2]
    return [(i, j) for i in range(1, rows - 1) for j in range(1, columns - 1) if around(i, j).argmin() == 4]


@page.claim(
    "trained in the same way, {} steps from different random starts.",
    "and so did the slices of {} more networks.",
    "over {} pairs it is {} to {}, and the networks have {} to {}.",
    "crosses such a ridge, of {} to {}.",
)
def test_random_slices_show_one_valley_and_a_slice_through_three_networks_three():
    record = recorded("objective_slices")
    middle = record.settings["points"] // 2
    assert [pits(losses) for losses in record["random"]] == [[(middle, middle)]] * len(record.seeds)
    rings = record["rings"]  # (seeds, radii, 60)
    valleys = ((rings < rings.roll(1, 2)) & (rings < rings.roll(-1, 2))).sum(2)
    assert (valleys == 3).all()
    assert (rings.amin(2).diff(dim=1) < 0).all()  # they open outward
    distance = record["distance"]
    assert (distance.amax(1) / distance.amin(1) < 1.12).all()  # nearly an equilateral triangle
    between, ends, twins = record["between"], record["rescaled"][..., 0], record["halfway"]
    assert (between.amin(1) > 9 * ends.amax(1)).all() and (twins.amin(1) > 9 * ends.amax(1)).all()
    return (
        record.settings["steps"], len(record.seeds) - 1, between.numel(), between.min(), between.max(), ends.min(), ends.max(),
        twins.min(), twins.max(),
    )


@page.claim(
    "The loss of {} trained networks after the last layer's parameters are multiplied by 1, 2, 4 and 8, on logarithmic axes. "
    "It falls ever faster, from {} to below {}.",
    "The last layer of {} such networks is multiplied by 1, 2, 4 and 8. All of them classify all {} training digits right",
)
def test_no_network_reaches_the_infimum():
    record = recorded("objective_slices")
    scaled = record["rescaled"].flatten(0, 1)  # (networks, factors)
    assert record.settings["factors"] == [1, 2, 4, 8] and (record["errors"] == 0).all()
    assert (scaled > 0).all() and (scaled.log().diff(dim=1).diff(dim=1) < 0).all()
    return len(scaled), scaled[:, 0], Below(scaled[:, 3]), len(scaled), len(study.data().x_train)


def test_shuffled_units_are_the_same_function():
    theta = parameters_to_vector(study.digits_network(0).parameters()).detach()
    for seed in range(3):
        twin = study.shuffled(theta, torch.Generator().manual_seed(seed))
        assert not torch.equal(twin, theta)
        assert J(twin).item() == pytest.approx(J(theta).item(), rel=1e-12)


def test_a_random_direction_has_the_length_of_the_weights_layer_by_layer():
    theta = parameters_to_vector(study.digits_network(0).parameters()).detach()
    u = study.random_direction(theta, torch.Generator().manual_seed(0))
    for part, of_weights in zip(u.split(study.SIZES), theta.split(study.SIZES), strict=True):
        assert part.norm().item() == pytest.approx(of_weights.norm().item())


# What goes wrong


def test_a_count_of_errors_is_flat():
    data = study.data()
    errors = lambda theta: (study.logits(theta, data.x_train).argmax(1) != data.y_train).sum()
    generator, theta = (
        torch.Generator().manual_seed(0),
        parameters_to_vector(study.digits_network(0).parameters()).detach(),
    )
    for _ in range(50):
        moved = theta + 1e-6 * torch.randn(theta.shape, generator=generator, dtype=torch.float64)
        assert errors(moved) == errors(theta) and J(moved) != J(theta)


@page.claim(
    "The same network, trained on {} digits only, by gradient descent on all of them; {} seeds",
    "From step {} to step {} the training loss falls to less than a sixth. In every one of the {} runs the validation loss "
    "*rises*, from {} to {} on average, and the accuracy stays where it was, within {} point.",
    "Training and validation loss over {} steps, on logarithmic axes, with the range over {} seeds. The training loss falls all "
    "the way, below {}. The validation loss of each seed, a thin line, falls at first and rises after step {}, from {} to {} on average.",
)
def test_less_training_loss_is_not_less_validation_loss():
    record = recorded("objective_overfitting")
    marks = record.settings["marks"]
    middle, last = marks.index(400), len(marks) - 1
    training, validation, accuracy = (record[k] for k in ("training", "validation", "accuracy"))
    assert (training.diff(dim=1) < 0).all() and (training[:, middle] > 6 * training[:, last]).all()
    assert (validation[:, middle:].diff(dim=1) > 0).all() and (validation[:, :2].diff(dim=1) < 0).all()
    means = [validation[:, k].mean() for k in (middle, last)]
    change = 100 * (accuracy[:, last] - accuracy[:, middle]).abs()
    return (
        record.settings["train"], len(record.seeds), marks[middle], marks[last], len(record.seeds), *means, Below(change),
        marks[last], len(record.seeds), Below(training[:, last]), marks[middle], *means,
    )


def test_each_seed_has_digits_of_its_own():
    first, second = (digits(100, 400, seed=seed) for seed in (0, 1))
    assert not torch.equal(first.x_train, second.x_train)


@page.claim("If each $y^{(i)}$ has {} outputs, that is a tenth of the mean over examples")
def test_a_mean_over_elements_is_a_tenth_of_one_over_examples():
    x, y = torch.randn(2, 50, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    of_elements, of_examples = (
        grad(lambda x: f(x))(x) for f in (lambda x: mse_loss(x, y), lambda x: ((x - y) ** 2).sum(1).mean())
    )
    torch.testing.assert_close(10 * of_elements, of_examples)
    return x.shape[1]


def test_two_steps_overflow_and_one_does_not():
    z = torch.tensor([-800.0])
    assert -torch.sigmoid(z).log() == math.inf
    assert logistic_loss(z, torch.tensor([[1.0]]), torch.tensor([1.0])) == 800


def test_the_logistic_loss_is_pytorch_s():
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((500, 20), (20,)))
    y = (torch.rand(500, generator=generator) < 0.5).double()
    theirs = lambda w, x, y: nn.BCEWithLogitsLoss()(x @ w, y)
    torch.testing.assert_close(grad(logistic_loss)(w, x, y), grad(theirs)(w, x, y))


test_changed_numbers_are_noticed = page.test_of_numbers()
