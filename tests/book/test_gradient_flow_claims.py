"""What the chapter on gradient flow says, bound to its records, to its figure and to algebra."""

import math

import pytest
import torch
from claims import About, Below, Page
from torch import nn

from course_lib.experiments import recorded
from course_lib.experiments.studies import gradient_flow as study
from course_lib.formulas.gradient_chain import ACTIVATIONS, NEURONS
from course_lib.formulas.normalization import batch_norm, batch_norm_backward, explosion_rate

page = Page("training/gradient_flow")


def chain(fig, **settings):
    """The figure's gradient in the input at these settings."""
    for name, value in settings.items():
        setattr(fig, name, value)
    return fig.gradients[-1].item()


def by_layer(part, name):
    """(seeds, layers) of the record over the layers."""
    record = recorded("gradient_flow_by_layer")
    return record[part][:, record.settings["networks"].index(name)]


def factor(name):
    """By how much a layer multiplies the gradient, the geometric mean over all layers, for each seed."""
    g = by_layer("output", name)
    return (g[:, 0] / g[:, -1]) ** (1 / (g.shape[1] - 1))


@page.claim(r"Thirty factors of a quarter make ${}$, thirty factors of {} make {}.")
def test_the_question():
    return 0.25**30, 1.2, About(1.2**30)


@page.claim(
    r"is largest at $z = 0$, where $\sigma = \frac12$, so $\max\sigma' = \frac14$. For tanh and ReLU it is 1.",
    r"Slide 22 writes $\sigma'(x) \approx {}$ for the maximum; it is exactly {}.",
)
def test_the_largest_slopes():
    z = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    largest = {name: of.slope(z).max().item() for name, of in ACTIVATIONS.items()}
    assert largest == {"sigmoid": 0.25, "tanh": 1.0, "ReLU": 1.0}
    return 0.25, largest["sigmoid"]


# One neuron a layer


@page.claim(
    r"1. ${}$, under a bound of $0.25^{12} = {}$. The activations settle at {}, where the slope is {}.",
    r"Drag $w$ up to {}. Does the gradient explode?",
    r"At $w = {}$ it is ${}$, under a bound of ${}$.", r"is above 1 only in a thin range of $a$, and only if $w > {}$.",
)
def test_a_chain_of_sigmoids(page):
    fig = page.figure(0)
    assert fig.depth == 12 and (fig.weight, fig.bias, fig.a) == (1, 0, 0.5)
    at_one, bound = chain(fig), fig.bound
    a = torch.tensor(0.5).double()
    for _ in range(100):
        _, a, slope = NEURONS["sigmoid"](a)
    at_sixteen, above = chain(fig, weight=16.0), fig.bound
    return at_one, bound, a.item(), slope.item(), fig.weight, fig.weight, at_sixteen, above, 4


@page.claim(
    r"3. $w = {}$, $b = {}$, $a^0 = {}$: every $z$ is 0, every factor is {}, and the gradient is {}. But at $a^0 = {}$ it is ${}$.",
    "Then move the input by {}.",
)
def test_a_chain_on_the_edge(page):
    fig = page.figure(0)
    on = chain(fig, weight=8.0, bias=-4.0, a=0.5)
    assert fig.factors.tolist() == [2.0] * 12 and on == fig.bound
    return fig.weight, fig.bias, fig.a, 2, on, 0.51, chain(fig, a=0.51), 0.01


@page.claim(
    r"4. tanh keeps {} at $w = 1$ and ${}$ at $w = 2$, for the same reason as in 2. ReLU keeps $w^{12}$ exactly: 1 and {}. "
    r"With the input ${}$ it keeps nothing.",
)
def test_chains_of_tanh_and_relu(page):
    fig = page.figure(0)
    one, two = chain(fig, activation="tanh"), chain(fig, weight=2.0)
    relu = chain(fig, activation="ReLU")
    assert chain(fig, weight=1.0) == 1 and chain(fig, a=-0.5) == 0
    return one, two, relu, -0.5


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_one_bounded_neuron_a_layer_cannot_explode_for_long(activation):
    """The factors of a long chain end at most at 1: for any weight and bias, from anywhere."""
    source = torch.Generator().manual_seed(0)
    weight, bias, a = (torch.rand(3, 4000, generator=source, dtype=torch.float64).T * torch.tensor([16.0, 16, 2]) - torch.tensor([0.0, 8, 1])).T
    for _ in range(400):
        _, a, factor = NEURONS[activation](a, weight=weight, bias=bias)
    assert factor.max() < 1.01


# Many neurons


@page.claim(
    r"- **ReLU** crosses at $s = \sqrt2$", r"in networks of {} layers of {} on real digits.",
    r"**tanh** at $s = 1$ has the factor {}. From {} on it explodes",
    r"**The sigmoid** at $s = 1$ has the factor {}, close to its bound of {}. At $s = {}$ it still vanishes, at {} it explodes.",
    r"The sigmoid, whose own factor is {}, has", r"mean slope: {} for a sigmoid, $s/\sqrt2$ for ReLU.", "by 1.21 a layer",
)
def test_the_scale_decides():
    record = recorded("gradient_flow_by_scale")
    scales = record.settings["scales"]
    s = torch.tensor(scales, dtype=torch.float64)
    torch.testing.assert_close(record["ReLU"].median(0).values, s / 2**0.5, rtol=0.03, atol=0)
    tanh, sigmoid = record["tanh"], record["sigmoid"]
    one = scales.index(1.0)
    assert (tanh[:, : one + 1] < 1).all() and (tanh[:, one + 1 :] > 1).all() and scales[one + 1] == 1.4
    assert (sigmoid[:, :-1] < 1).all() and (sigmoid[:, -1] > 1).all()
    slow = tanh[:, -1] / tanh[:, one + 1]
    assert (slow < s[-1] / s[one + 1] / 3).all()  # saturation
    at = sigmoid[:, one]
    return record.settings["depth"], record.settings["width"], tanh[:, one], 1.4, at, 0.25, scales[-2], scales[-1], at, at


@page.claim(
    r"The sigmoid's first layer gets a gradient of ${}$, ReLU's ${}$.", "Thirty layers of {}, before the first step", "over a batch of {} digits",
    r"A horizontal line: about ${}$ in the first layer, and ${}$ in the last.",
    "From there the sigmoid falls in a straight line by {} decades, ReLU by {}, tanh a little",
    "the gradient in the output falls by {} decades, the gradient in the weights is a horizontal band.",
)
def test_the_gradient_in_the_weights_hides_what_that_in_the_output_shows():
    settings = recorded("gradient_flow_by_layer").settings
    first = {name: by_layer("output", name)[:, 0] for name in ("sigmoid", "ReLU")}
    fallen = {name: (by_layer("output", name)[:, -1] / x).log10() for name, x in first.items()}
    weight, shrunk = by_layer("weight", "ReLU"), by_layer("activation", "ReLU")
    assert (weight.amax(1) < 4 * weight.amin(1)).all()
    assert (shrunk[:, -1] < 1e-4 * shrunk[:, 0]).all()
    assert settings["depth"] == 30
    return (
        first["sigmoid"], first["ReLU"], settings["width"], settings["batch"], weight[:, 0], weight[:, -1],
        fallen["sigmoid"], fallen["ReLU"], fallen["ReLU"],
    )


# Remedies


@page.claim(
    "the factor a layer is {} in place of {}. For ReLU the gradient **explodes**: from {} in the last layer to about {} in the first, by {} a layer.",
    r"\sqrt{\frac{\pi}{\pi - 1}} = {}", r"At 100 layers it is a factor of ${}$.", r"(and makes it {} with ReLU)",
)
def test_batch_normalization():
    relu, rate = by_layer("output", "ReLU, batch norm"), factor("ReLU, batch norm")
    torch.testing.assert_close(rate, torch.full_like(rate, explosion_rate()), rtol=0.02, atol=0)  # of 64 neurons, not of infinitely many
    sigmoid = factor("sigmoid, batch norm")
    return sigmoid, factor("sigmoid"), relu[:, -1], About(relu[:, 0]), rate, explosion_rate(), explosion_rate() ** 100, rate


def test_the_scale_of_the_weights_cancels_and_the_subtracted_terms_remove_shift_and_stretch():
    x, g = (torch.randn(8, 3, generator=torch.Generator().manual_seed(k)).double() for k in (0, 1))
    one, zero = torch.ones(3).double(), torch.zeros(3).double()
    torch.testing.assert_close(batch_norm(100 * x, one, zero, eps=0.0), batch_norm(x, one, zero, eps=0.0))
    g_x = batch_norm_backward(x, one, g, eps=0.0)[0]
    torch.testing.assert_close(torch.stack([g_x.sum(0), (g_x * x).sum(0)]), torch.zeros(2, 3).double(), atol=1e-12, rtol=0)


@page.claim(
    "has {} with the connection. ReLU with batch normalization has {} on average",
    "their deviation grows from {} in the first layer to {} in the last. So the first loss is large, about {} where guessing costs "
    r"$\ln 10 = {}$.",
)
def test_residual_connections():
    both = by_layer("output", "ReLU, batch norm, residual")
    near_output, near_input = both[:, 20] / both[:, 29], both[:, 0] / both[:, 9]  # nine layers each
    assert (near_output < 1.6).all() and (near_input > 2 * near_output).all()
    drift = by_layer("activation", "sigmoid, residual")
    record = recorded("gradient_flow_training")
    begin = record["loss"][:, record.settings["networks"].index("sigmoid, residual"), 0, 0]
    return factor("sigmoid, residual"), factor("ReLU, batch norm, residual"), drift[:, 0], drift[:, -1], About(begin), math.log(10)


@page.claim(
    "Twenty layers of {}, plain gradient descent, {} batches of {}, at the better of two rates ({} and {}).",
    "Each dot is the mean loss of the last {} steps", "The sigmoid stays at {}, which is guessing.",
    "With batch normalization it reaches {}, with residual connections {}. ReLU with both stays below {} with every seed.",
    "In 20 layers of only {} neurons",
)
def test_training():
    record = recorded("gradient_flow_training")
    set_ = record.settings
    end = dict(zip(set_["networks"], record["loss"][..., -1].amin(2).T, strict=True))
    assert set_["depth"] == 20 and end["sigmoid"].min() > 2.25
    assert (end["tanh"] < end["ReLU, He"]).all() and (end["ReLU, batch norm"] < end["tanh"]).all()
    assert (end["sigmoid, residual"] < end["sigmoid, batch norm"]).all()
    assert (record["loss"][:, set_["networks"].index("ReLU"), :, -1] > 2).all()
    flat = factor("ReLU, He").log().abs()
    assert (flat < factor("tanh").log().abs()).all()
    return (
        set_["width"], set_["steps"], set_["batch"], *set_["rates"], set_["every"], end["sigmoid"],
        end["sigmoid, batch norm"], end["sigmoid, residual"], Below(end["ReLU, batch norm, residual"]), set_["width"],
    )


def test_outputs_of_different_digits_become_nearly_parallel():
    """In 20 layers of 32 ReLUs with He's initialization: the mean cosine between the activations of two digits."""
    x, _ = study.standardized(0, 64)
    cosines = []
    for seed in range(5):
        net = study.network("ReLU, He", 20, 32, seed)
        for inputs in (x, net[:-1](x).detach()):
            unit = nn.functional.normalize(inputs)
            cosines.append((unit @ unit.T).mean().item())
    assert max(cosines[::2]) < 0.2 and min(cosines[1::2]) > 0.9


# Through time, and clipping


@page.claim(
    "The plain cell keeps {} a step, which makes ${}$. The LSTM as PyTorch begins it keeps {}",
    r"its gates start near $\sigma(0) = {}$, so it forgets by design. A forget bias of 1, $\sigma(1) = {}$, keeps {}.",
    "The plain cell with the larger matrix explodes, by {} a step to ${}$.",
    "still feels the first of {} inputs?", "Usefully, only the LSTM with the bias {}.",
)
def test_through_time():
    record = recorded("gradient_flow_over_time")
    left = dict(zip(record.settings["cells"], record["ratio"].unbind(1), strict=True))  # (seeds, steps), the last is 1
    step = {name: (x[:, 9] / x[:, 89]) ** (1 / 80) for name, x in left.items()}
    assert (left["LSTM, bias 3"] > 0.1).all() and (left["LSTM, bias 1"][:, 0] < 1e-7).all()
    sigmoid = torch.tensor([0.0, 1.0]).sigmoid()
    return (
        step["plain"], left["plain"][:, 0], step["LSTM"], sigmoid[0], sigmoid[1], step["LSTM, bias 1"],
        step["plain, 2x"], left["plain, 2x"][:, 0], record.settings["steps"], 3,
    )


@page.claim(
    "A plain recurrent network learns to add {} numbers. The plot shows the loss of the last 50 of {} steps",
    "At the rate {} the clipped network reaches {}, the other stays at {}. There a gradient of norm {} comes now and then among gradients of norm {}.",
    "At the rate {} every run without a limit leaves the numbers; with the limit 1 the loss is {}. A limit of {} is no help there",
)
def test_clipping():
    record = recorded("gradient_flow_clipping")
    loss, rates, limits = record["loss"], record.settings["rates"], record.settings["limits"]
    assert limits == [1.0, 10.0, 1e30] and rates == [0.01, 0.03, 0.1, 0.3]
    assert loss[:, 3, 2].isinf().all() and (loss[:, 3, 1] > 5).all() and (loss[:, :, 0] < 1).all()
    assert (loss[:, 1:3, 0] < loss[:, 1:3, 2]).all()
    usual, largest = record["norm"][:, 1, 2], record["largest"][:, 1, 2]
    return (
        record.settings["length"], record.settings["steps"], rates[1], loss[:, 1, 0], loss[:, 1, 2], About(largest), About(usual),
        rates[3], loss[:, 3, 0], limits[1],
    )


# In PyTorch


def test_a_hook_of_a_module_and_a_change_in_place_do_not_go_together():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True))
    net[0].register_full_backward_hook(lambda *args: None)
    with pytest.raises(RuntimeError, match="inplace"):
        net(torch.ones(1, 2))


def test_a_bias_before_batch_normalization_has_no_effect():
    x, b = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)).double(), torch.tensor([5.0, -1.0, 0.3]).double()
    one, zero = torch.ones(3).double(), torch.zeros(3).double()
    torch.testing.assert_close(batch_norm(x + b, one, zero), batch_norm(x, one, zero))


def test_the_forget_bias_lies_where_the_table_says():
    n, lstm = 4, nn.LSTM(2, 4)
    with torch.no_grad():
        lstm.weight_ih_l0.zero_(), lstm.weight_hh_l0.zero_(), lstm.bias_ih_l0.zero_(), lstm.bias_hh_l0.zero_()
    lstm.bias_ih_l0.data[n : 2 * n] = 3
    lstm.bias_hh_l0.data[n : 2 * n] = 0
    _, (_, c) = lstm(torch.zeros(1, 2), (torch.zeros(1, n), torch.ones(1, n)))
    torch.testing.assert_close(c, torch.full((1, n), 3.0).sigmoid())


def test_in_mid_training_it_depends_on_the_others_and_in_evaluation_not():
    norm, x = nn.BatchNorm1d(3), torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(norm(x)[:2], norm(x[:2]), atol=0.1)
    norm.eval()
    torch.testing.assert_close(norm(x)[:2], norm(x[:2]))


test_changed_numbers_are_noticed = page.test_of_numbers()
