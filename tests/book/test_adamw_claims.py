"""What the chapter on AdamW says, bound to its records, to its figures and to algebra."""

import functools
import math

import pytest
import torch
from claims import About, Below, Page
from torch.nn.functional import cross_entropy

from course_lib.exercises.adamw import check
from course_lib.experiments import Optimizer, recorded, sweep
from course_lib.experiments.data import digits
from course_lib.experiments.ensemble import network
from course_lib.experiments.studies import adamw as study
from course_lib.experiments.studies import decay_map
from course_lib.formulas import adam_l2, adamw
from course_lib.formulas.signature import signature

page = Page("optimizers/adamw")
DOUBLE = torch.float64
SEEDS = range(6)


@functools.cache
def found(name) -> dict:
    return decay_map.read_recorded(name)


def nearest(name, lr, decay) -> tuple[int, int]:
    rates, decays = found(name)["rates"], found(name)["decays"]
    i = min(range(8), key=lambda k: abs(math.log(rates[k] / lr)))
    j = min(range(16), key=lambda k: abs(math.log(decays[i][k] / decay)))
    assert rates[i] == pytest.approx(lr, rel=0.01) and decays[i][j] == pytest.approx(decay, rel=0.01)
    return i, j


def loss(name, lr, decay) -> float:
    i, j = nearest(name, lr, decay)
    return found(name)["val"][i][j][-1]


@page.claim(
    r"the learning rate, by default {}",
    r"the weight decay, in PyTorch by default {}",
    r"PyTorch's `AdamW` has $\lambda = {}$ and $\eta = {}$: a memory $1/(\eta\lambda)$ of {} steps. In a run of {} steps it takes",
    "AdamW's default is {}, Adam's is 0",
    "don't trust the default of {}.",
    "it has a memory of {} million steps at $\\eta = {}$,",
)
def test_the_defaults():
    parameter = [torch.zeros(1, requires_grad=True)]
    theirs = torch.optim.AdamW(parameter).defaults
    lr, decay = theirs["lr"], theirs["weight_decay"]
    assert torch.optim.Adam(parameter).defaults["weight_decay"] == 0
    assert (1 - lr * decay) ** 1000 == pytest.approx(0.99, abs=1e-3)  # a percent
    return signature(adamw).hyper["lr"], decay, decay, lr, 1 / (lr * decay), 1000, decay, decay, 1e-6 / (1e-4 * lr), lr


# What the root of v does


def after(rule, steps=100, **settings) -> list[float]:
    return sweep(rule, study.flat, (2.0, 1.5), steps, **settings)[-1, 0].tolist()


def felt(noise, steps) -> list[float]:
    w, state = torch.tensor([2.0, 1.5], dtype=DOUBLE), [torch.zeros(2, dtype=DOUBLE)] * 3
    for t in range(1, steps + 1):
        w, *state = study.with_l2(w, 2e-6 * w, t, *state, noise=torch.tensor(noise, dtype=DOUBLE))
    return state[2].tolist()


@page.claim(
    r"After {} steps with $\eta = {}$ and $\lambda = {}$, by what factor has AdamW shrunk each coordinate?",
    r"By $(1 - \eta\lambda)^{{}} = {}^{{}} = {}$, both alike, so it walks straight to the origin: from $({}, {})$ to $({}, {})$.",
    "Raise *noise* to {}. Which rule notices? Lower it to {}",
)
def test_adamw_shrinks_both_coordinates_alike_whatever_the_noise(page):
    fig = page.figure(0)
    lr, decay, steps = fig.lr, fig.decay, 100
    assert fig.noise == 4 and fig.steps == 200
    ends = {}
    for noise in (4.0, 20.0):
        fig.noise = noise
        ends[noise] = x, y = fig.path["decoupled"][steps].tolist()
        assert x / fig.start[0] == pytest.approx(y / fig.start[1], rel=0.01)
    assert ends[20.0] == pytest.approx(ends[4.0], abs=0.005)
    (left, right), (bottom, top) = fig.spec["domain"]
    paths = torch.cat([*fig.path.values()])
    assert ((paths >= torch.tensor([left, bottom])) & (paths <= torch.tensor([right, top]))).all()
    shrunk = 1 - lr * decay
    return steps, lr, decay, steps, shrunk, steps, shrunk**steps, *fig.start, *ends[4.0], 20, 0.04


@page.claim(
    "$y$, the one with the small gradients: after {} steps {} is left of its {}, and {} of the {} in $x$. The decay that is felt "
    r"in $x$ is $0.5/4 = {}$, a quarter of $\lambda$. In $y$ it is {} after ten steps, and {} after a hundred",
    "$x$ now feels a decay of {}, and {} is left after {} steps. With a noise of {} hardly anything but the decay itself is in $v$. "
    r"After {} steps {} is left in $x$, after {} next to nothing. With $\lambda = 1$ it is the same {}:",
)
def test_adam_with_l2_shrinks_the_coordinate_with_small_gradients(page):
    fig = page.figure(0)
    x, y = fig.path["with_l2"][100].tolist()
    (in_x, early), (_, late), (shaken, _) = felt(4.0, 100), felt(4.0, 100), felt(20.0, 100)
    early = felt(4.0, 10)[1]
    quiet, doubled = after(study.with_l2, noise=0.04), after(study.with_l2, noise=0.04, decay=1.0)
    assert doubled == pytest.approx(quiet, rel=3e-3)
    assert after(study.with_l2, 200, noise=0.04)[0] < 0.05
    loud = after(study.with_l2, noise=20.0)[0]
    return (
        100,
        y,
        fig.start[1],
        x,
        fig.start[0],
        in_x,
        early,
        late,
        shaken,
        loud,
        100,
        0.04,
        100,
        quiet[0],
        200,
        doubled[0],
    )


def test_without_gradients_a_weight_moves_by_the_rate_whatever_lambda_is():
    decays = torch.tensor([1e-3, 10.0])
    path = sweep(study.with_l2, lambda w: 0 * w.sum(), (2.0, 1.5), 1, noise=0.0, decay=decays)
    torch.testing.assert_close(path[1] - path[0], torch.full((2, 2), -0.02, dtype=DOUBLE), rtol=1e-4, atol=0)


# On a real network


@page.claim(
    "{} handwritten digits, {} of them with a random label",
    "A network with one hidden layer of {} units trains on them for {} steps",
)
def test_the_task():
    data, right = decay_map.noisy_digits(), digits(500, 700)
    assert torch.equal(data.x_train, right.x_train) and torch.equal(data.y_val, right.y_val)
    assert len(data.y_val) == 700
    changed = (data.y_train != right.y_train).sum().item()
    assert 125 <= changed <= 150  # a random label may be the right one
    units = network(decay_map.plain, 0)[0].out_features
    return len(data.y_train), decay_map.REPLACED * 500, units, recorded("adamw_felt_decay").settings["steps"]


@page.claim(
    r"One $\lambda = {}$, and the weights feel anything from {} to about {}.",
    "the fifth that feels most is less than a tenth",
    r"Under AdamW all feel {}, and the same weights are the larger ones. Five pixels are dark in all {} images",
    r"they fade by $(1 - \eta\lambda)^{{}}$, to {} of where they began.",
    "Where the least is felt, {}, both rules leave weights of about {}. Where the most is felt, about {}, Adam + L2 leaves about {} "
    "and AdamW about {}.",
    r"which in the fifths above lies between {} and {}.",
)
def test_weights_feel_decays_that_differ_a_hundredfold():
    record = recorded("adamw_felt_decay")
    settings, felt, l2, other = record.settings, *(record[name] for name in ("felt", "adam_l2", "adamw"))
    assert (l2[:, -1] < l2[:, 0] / 10).all() and (other[:, -1] > 1.3 * other[:, 0]).all()
    dark = decay_map.noisy_digits().x_train.amax(0) == 0
    assert dark.sum() == 5 and (record["dark"][:, 0] < 1e-6).all()
    left = (1 - settings["lr"] * settings["decay"]) ** settings["steps"]
    assert record["dark"][:, 1:] == pytest.approx(left, abs=0.001)
    first = torch.cat([l2[:, 0], other[:, 0]])
    return (
        settings["l2"],
        felt[:, 0],
        About(felt[:, -1]),
        settings["decay"],
        500,
        settings["steps"],
        record["dark"][:, 1],
        felt[:, 0],
        first,
        About(felt[:, -1]),
        About(l2[:, -1]),
        About(other[:, -1]),
        record["root"][:, 0],
        About(record["root"][:, -1]),
    )


@page.claim(
    "take its sum over a batch of {} in place of the mean",
    "its validation loss moves by less than {}. The weights of Adam + L2 end twice as long, and its validation loss moves by {} to {}.",
    "AdamW's is about {} for the loss and for {} times the loss. That of Adam + L2 is about {} for the loss and about {} for {} times",
)
def test_only_the_l2_form_feels_the_scale_of_the_loss():
    record = recorded("adamw_scale")
    norms, l2 = record["adamw_norm"], record["adam_l2_norm"]
    assert (norms.diff(dim=1).abs() < 0.01 * norms[:, :1]).all()
    assert ((l2[:, 1] / l2[:, 0] - 2).abs() < 0.25).all()
    moved, moved_l2 = (record[f"{rule}_loss"].diff(dim=1).abs() for rule in ("adamw", "adam_l2"))
    scale = record.settings["scales"][1]
    about = [About(norms.mean()), scale, About(l2[:, 0]), About(l2[:, 1]), scale]
    return decay_map.BATCH, Below(moved), moved_l2.min(), moved_l2.max(), *about


def in_double(rule, scale, decay):
    """The parameters after 60 steps on the loss times `scale`, with an ε too small to matter."""
    make = study.by(rule, lr=0.01, decay=decay, eps=1e-30)
    net, _, _ = study.train(make, decay_map.plain, 0, steps=60, scale=scale, dtype=DOUBLE)
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_a_scale_of_the_loss_divides_the_decay_of_the_l2_form():
    torch.testing.assert_close(in_double("adamw", 100.0, 0.3), in_double("adamw", 1.0, 0.3), rtol=1e-6, atol=1e-8)
    scaled = in_double("adam_l2", 100.0, 0.5)
    torch.testing.assert_close(scaled, in_double("adam_l2", 1.0, 0.5 / 100), rtol=1e-6, atol=1e-8)
    assert (scaled - in_double("adam_l2", 1.0, 0.5)).norm() > 0.3 * scaled.norm()


# The maps


@page.claim(
    r"$8 \times {}$ settings from six starts, {} networks in all.",
    "run for {} steps of batch {}, at a constant rate.",
    "at a third of the resolution, from three starts: {} networks.",
    "trains all {} networks of a full map.",
)
def test_how_the_maps_were_recorded():
    cells = [
        len(row) * len(recorded(f"decay_map_{name}").seeds) for name in decay_map.MAPS for row in found(name)["decays"]
    ]
    assert all(len(found(name)["rates"]) == 8 and found(name)["steps"][-1] == 800 for name in decay_map.MAPS)
    coarse, _ = decay_map.grid(**decay_map.MAPS["adamw"].settings | {"rows": 3, "columns": 6, "per_decade": 1})
    assert coarse == found("adamw")["rates"][::3]
    return 16, sum(cells), 800, decay_map.BATCH, 3 * 6 * 3, 8 * 16 * 6


@page.claim(
    r"Keep $\lambda$ and raise $\eta$ from {} to {} (arrow up).",
    r"the valley of Adam + L2 at $\eta = {}$ and do the same",
    r"The loss rises from {} to {}, and that is the loss with no decay to speak of, too: the decay per step",
    "(Single starts end between {} and {}.)",
    r"at $\lambda = {}$ the loss is {}. The best",
    r"At $({}, {})$ Adam + L2 has {}. At ten times the rate this decay ruins it: {}. The valley has moved to about a *hundredth* of "
    r"the decay, with {} at $\lambda = {}$.",
    r"two cells of the rate are enough to leave this valley: at $\eta = {}$ the loss is {}.",
    r"at $\eta\lambda \approx {}$. That of Adam + L2",
    r"In AdamW's valley above it is about {} steps, or {} epochs of 5 batches.",
)
def test_losses_that_the_answers_name(page):
    fig = page.figure(1)
    assert fig.decay == pytest.approx(2.154, rel=0.005)  # the cell's own
    low, high, (i, j) = fig.lr, 10 * fig.lr, fig.cell
    losses = {}
    for lr, decay in ((low, fig.decay), (high, 2.154), (high, 1e-4), (high, 0.2154), (low, 0.2154), (high, 2.154e-3)):
        fig.lr, fig.decay = lr, decay
        losses[lr, round(decay, 6)] = fig.losses
    here = min(losses, key=lambda key: abs(key[1] - 2.15))
    products = [lr * x for lr, x in zip(found("adamw")["rates"], decay_map.valley(found("adamw")), strict=True)]
    middle = torch.tensor(products).median().item()
    assert all(0.4 * middle < x < 2.5 * middle for x in products)
    tuned = losses[low, 0.2154]["Adam + L2"]
    ours, l2 = (losses[high, x] for x in (0.2154, 0.002154))
    a, b = nearest("adamw", high, 2.154)
    ruined, single = losses[high, 2.154]["AdamW"], found("adamw")["ends"][a][b]
    assert losses[high, 1e-4]["AdamW"] == pytest.approx(ruined, abs=0.05)
    assert (i, j) == nearest("adamw", 0.01, 2.154) and here[0] == low
    return (
        low,
        high,
        low,
        losses[here]["AdamW"],
        ruined,
        min(single),
        max(single),
        0.215,
        ours["AdamW"],
        low,
        0.215,
        tuned,
        ours["Adam + L2"],
        l2["Adam + L2"],
        0.00215,
        0.046,
        loss("adam_l2", 0.0464, 0.2154),
        About(middle),
        About(1 / middle),
        About(1 / middle / 5),
    )


THEORY = {"adamw": -1, "adam_l2": -2, "sgdw": -1, "momentum_l2": -1, "plain_adamw": 0, "plain_adam_l2": 0}


@page.claim(
    r"goes with $\eta^{{} \pm {}}$: half the rate, twice",
    r"goes with $\eta^{{} \pm {}}$: half the rate, four times",
    r"They don't: $\eta^{{} \pm {}}$ and $\eta^{{} \pm {}}$.",
    r"upright over $\lambda$ itself: $\eta^{{} \pm {}}$ and $\eta^{{} \pm {}}$, at",
)
def test_slopes_of_the_valleys():
    slopes = {name: decay_map.slope(found(name)) for name in THEORY}
    for name, theory in THEORY.items():
        measured, spread = slopes[name]
        assert abs(measured - theory) < 1.5 * spread
        for best in decay_map.valleys(found(name)):  # every single start tells the three slopes apart
            x, y = torch.tensor(found(name)["rates"], dtype=DOUBLE)[best.isfinite()].log(), best[best.isfinite()].log()
            slope = ((x - x.mean()) * y).sum() / (x - x.mean()).square().sum()
            assert slope.item() == pytest.approx(theory, abs=0.5)
    return tuple(x for pair in slopes.values() for x in pair)


@page.claim(
    r"at $\lambda \approx {}$ for AdamW and {} for Adam + L2. At rates up to {} the line ends",
    r"In the recording, without normalization and at $\eta = {}$, the default's {} gives {}, no decay to speak of gives {}, and the "
    "best decay {}.",
)
def test_the_valleys_without_normalization():
    middles = []
    for name in ("plain_adamw", "plain_adam_l2"):
        best = decay_map.valley(found(name))
        assert best[:2] == [None, None] and None not in best[2:7]
        middles.append(torch.tensor(best[2:7]).median().item())
        assert all(middles[-1] / 2.2 < x < middles[-1] * 2.2 for x in best[2:7])
        ends = found(name)["val"][0]
        assert min(cell[-1] for cell in ends) > 0.98 * ends[0][-1]  # at small rates no decay is needed
    losses = [loss("plain_adamw", 0.01, decay) for decay in (0.01, 1e-4)]
    best = min(cell[-1] for cell in found("plain_adamw")["val"][3])
    return *middles, 0.002, 0.01, 0.01, *losses, best


@page.claim("a little lower ({} against {} with normalization, {} against {} without).")
def test_the_valley_of_the_l2_form_is_a_little_lower():
    for l2, other in (("adam_l2", "adamw"), ("plain_adam_l2", "plain_adamw")):
        lower = [decay_map.floor(found(l2), seed) < decay_map.floor(found(other), seed) for seed in SEEDS]
        assert sum(lower) >= 5
    return tuple(decay_map.floor(found(name)) for name in ("adam_l2", "adamw", "plain_adam_l2", "plain_adamw"))


@page.claim("Of the maps only one corner is as far out: the cross at the top right")
def test_one_setting_diverged_and_its_decay_per_step_is_above_2():
    every = [(name, i, j) for name in decay_map.MAPS for i in range(8) for j in range(16)]
    gone = [(name, i, j) for name, i, j in every if found(name)["val"][i][j][-1] is None]
    assert gone == [("plain_adamw", 7, 15)]
    products = {(name, i, j): found(name)["rates"][i] * found(name)["decays"][i][j] for name, i, j in every}
    assert products[gone[0]] > 2 and max(products.values()) == products[gone[0]]


# Why they lean


def test_what_normalization_does_to_loss_and_gradient():
    data, net = decay_map.noisy_digits(), network(decay_map.Normalized, 0, DOUBLE)

    def loss_and_slopes():
        loss = cross_entropy(net(data.x_train.double()), data.y_train)
        return loss.detach(), torch.autograd.grad(loss, list(net.parameters()))

    loss, slopes = loss_and_slopes()
    for w, g in zip(net.parameters(), slopes, strict=True):  # perpendicular, up to the small constant inside layer_norm
        assert (w * g).sum().abs() < 1e-4 * w.norm() * g.norm()
    with torch.no_grad():
        for w in net.parameters():
            w.mul_(3)
    again, smaller = loss_and_slopes()
    torch.testing.assert_close(again, loss, rtol=1e-3, atol=0)
    for g, h in zip(slopes, smaller, strict=True):
        torch.testing.assert_close(h.norm(), g.norm() / 3, rtol=0.01, atol=0)


@page.claim("the norm grows about tenfold with each tenfold of the rate, so that the angle stays.")
def test_the_norm_grows_with_the_rate_along_the_valleys():
    for name, power, product in (("adamw", 1, 0.02154), ("adam_l2", 2, 2.154e-5)):
        cells = [nearest(name, lr, product / lr**power) for lr in (0.001, 0.01, 0.1)]
        norms = [found(name)["norm"][i][j][-1] for i, j in cells]
        assert [b / a for a, b in zip(norms, norms[1:], strict=False)] == pytest.approx([10, 10], rel=0.15)


@page.claim(
    "AdamW stays at about {} with ηλ = {} and at about {} with ηλ = {}. Adam + L2 with η²λ = {} goes from {} to {}.",
    r"which is {}° for $\eta\lambda = {}$ and {}° for {}.",
    r"ten times the product turns the layers about {} times as fast, not $\sqrt{10} = {}$ times.",
    "A hundredfold rate changes the angle of either layer by less than half.",
)
def test_the_angle_of_a_step_is_the_same_along_a_valley():
    record = recorded("adamw_angles")
    adamw, l2, settings = (
        record["adamw"],
        record["adam_l2"],
        record.settings,
    )  # (seeds, rates, products, 2), (seeds, rates, 2)
    assert settings["rates"] == [0.001, 0.01, 0.1]
    for turns in (adamw[:, :, 0], adamw[:, :, 1], l2):
        assert (turns.amax(1) / turns.amin(1) < 1.5).all()
    times = adamw[:, :, 0] / adamw[:, :, 1]
    assert ((3 < times) & (times < 5)).all()
    predicted = [math.degrees(math.sqrt(2 * x * 0.1 / 1.9)) for x in settings["products"]]
    first, second = settings["products"]
    hidden, hidden_l2 = adamw[..., 0], l2[..., 0]
    return (
        About(hidden[:, :, 0]),
        first,
        About(hidden[:, :, 1]),
        second,
        settings["l2_product"],
        hidden_l2[:, 0],
        hidden_l2[:, 2],
        predicted[0],
        first,
        predicted[1],
        second,
        times.median(),
        math.sqrt(10),
    )


def test_the_update_as_a_running_average_of_steps():
    w, g, m, v = (torch.randn(4, generator=torch.Generator().manual_seed(k), dtype=DOUBLE) for k in range(4))
    lr, decay = 0.3, 0.2
    step = (adamw(w, g, 5, m, v**2, lr=1.0, decay=0.0)[0] - w) / decay
    new, _, _ = adamw(w, g, 5, m, v**2, lr=lr, decay=decay)
    torch.testing.assert_close(new, (1 - lr * decay) * w + lr * decay * step)


# What goes wrong


@page.claim(
    "What is left of a weight without a gradient over {} steps, for four schedules. A constant rate leaves {} of it, "
    "with a warm-up {}. A cosine leaves {}, with the warm-up {}:"
)
def test_schedules_schedule_the_decay():
    t = torch.arange(10_000, dtype=DOUBLE)
    cosine = 0.5 * (1 + torch.cos(math.pi * t / 10_000))
    warmup = (t / 1000).clamp(max=1)
    left = [(1 - 1e-4 * factor).prod() for factor in (torch.ones_like(t), warmup, cosine, warmup * cosine)]
    assert left[2].item() == pytest.approx(left[0].sqrt().item(), rel=1e-3)
    return 10_000, *left


# In PyTorch, and the exercise


@pytest.mark.parametrize(("rule", "twin"), [(adamw, torch.optim.AdamW), (adam_l2, torch.optim.Adam)])
def test_the_rules_are_pytorchs(rule, twin):
    ours = study.fitted_weights(lambda p: Optimizer(p, rule, lr=0.01, decay=0.01), steps=50)
    theirs = study.fitted_weights(lambda p: twin(p, 0.01, weight_decay=0.01), steps=50)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@page.claim("which of {} classic mistakes you made")
def test_the_exercise_knows_as_many_mistakes_as_the_page_says():
    return len(check.mistakes)


@pytest.mark.parametrize(
    ("rule", "decay", "end"), [(adam_l2, 1.0, (0.5, 0.99)), (adamw, 1.0, (0.7, 0.7)), (adamw, 10.0, (0.1, 0.1))]
)
def test_where_the_two_rules_end_on_a_bowl(rule, decay, end):
    def bowl(w):
        return ((w[0] - 1) ** 2 + 100 * (w[1] - 1) ** 2) / 2

    assert sweep(rule, bowl, (-1.0, -0.5), 400, lr=0.05, decay=decay)[-1, 0].tolist() == pytest.approx(end, abs=0.03)


test_changed_numbers_are_noticed = page.test_of_numbers()
