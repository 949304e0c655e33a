"""What the chapter on mini-batches says, bound to its records, to its figures and to algebra."""

import math

import pytest
import torch
from claims import About, Above, Page
from torch import nn, vmap
from torch.func import grad, jacrev
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from course_lib.experiments import digits, recorded
from course_lib.experiments.batches import index_batches
from course_lib.experiments.studies import minibatch as study
from course_lib.formulas import objective
from course_lib.formulas.minibatch import (
    example_gradients,
    excess_loss,
    gradient_covariance,
    noise_floor,
    noise_scale,
    noise_with_replacement,
    noise_without_replacement,
    variance_error,
)

page = Page("basics/minibatch")
FLOAT = torch.float64


def set_to(fig, **settings):
    """The figure with these settings."""
    for name, value in settings.items():
        setattr(fig, name, value)
    return fig


class Problem:
    """The loss, data, start and minimum of the problem that a figure shows."""

    def __init__(self, fig):
        (one,) = (p for p in fig.spec["problems"] if p["name"] == fig.problem)
        self.loss = getattr(objective, one["key"])
        self.x, self.y, self.start, self.minimum = (
            torch.tensor(one[k], dtype=FLOAT) for k in ("x", "y", "start", "minimum")
        )

    @property
    def covariance(self):
        """Of one example's gradient at the minimum."""
        return gradient_covariance(example_gradients(self.loss, self.minimum, self.x, self.y))

    def above(self, path):
        """The loss above its minimum, along a path of some seeds."""
        return vmap(vmap(lambda w: self.loss(w, self.x, self.y)))(path) - self.loss(self.minimum, self.x, self.y)


def runs(problem, B, epochs, seeds, lr=0.1, sampling="shuffled"):
    """The paths of the figure's runs for some seeds, and rates, at once: (steps + 1, seeds, 2)."""
    N = len(problem.y)
    streams = [index_batches(N, B, sampling, seed) for seed in seeds]
    w = problem.start.expand(len(seeds), 2)
    slope, lr = vmap(grad(problem.loss)), torch.as_tensor(lr, dtype=FLOAT).reshape(-1, 1)
    path = [w]
    for _ in range(epochs * N // B):
        i = torch.tensor([next(stream) for stream in streams])
        path.append(path[-1] - lr * slope(path[-1], problem.x[i], problem.y[i]))
    return torch.stack(path)


def distances(problem, path):
    """From the minimum, at the end, (seeds,)."""
    return (path[-1] - problem.minimum).norm(dim=1)


# Three paths


@page.claim(
    "The contours are the loss over all {} examples:",
    "Drawn without replacement, a batch of {} is the data set, and its gradient is exact.",
)
def test_the_settings_of_the_figures(page):
    paths, order, floor = (page.figure(k) for k in range(3))
    assert (paths.problem, paths.lr, paths.B, paths.sampling, paths.epochs) == ("least squares", 0.1, 8, "shuffled", 5)
    assert (order.problem, order.lr, order.B, order.sampling, order.epochs) == ("logistic", 0.5, 8, "in sequence", 20)
    assert (floor.lr, floor.B, floor.sampling, floor.epochs) == (0.1, 8, "with replacement", 20)
    return paths.spec["examples"], paths.spec["examples"]


@page.claim(
    "Each run may look at {} examples, five epochs.",
    "Press *steps*, so that each takes {} steps.",
    "Back to *examples*, and raise $E$ to {}.",
    "Set $B$ to {}. Then press *with replacement*.",
    "The stochastic run: {} away, against {} for the mini-batch and {} for the full batch. It has taken {} steps, the full batch {}.",
    "Full batch and mini-batch: {} and {} away. For a rate this small, {} exact steps are hardly better than {} rough ones. "
    'They cost {} examples; the rough ones {}. This is slide 5\'s "much faster". The stochastic run is behind, at {}, and has '
    "looked at {} examples only.",
    "It is {} away, farther than after five epochs. It has arrived, and now wanders. The mini-batch run is {} away.",
)
def test_the_three_paths():
    fig = page.figure(0)
    N, few = fig.spec["examples"], fig.distances
    counts = {run: len(batches) for run, batches in fig.batches.items()}
    settings = fig.epochs * N, fig.steps, 20, N
    set_to(fig, budget="steps")
    same, examples = fig.distances, {run: sum(map(len, batches)) for run, batches in fig.batches.items()}
    many = set_to(fig, budget="examples", epochs=20).distances
    return (
        *settings,
        few["stochastic"], few["mini-batch"], few["full batch"], counts["stochastic"], counts["full batch"],
        same["full batch"], same["mini-batch"], fig.steps, fig.steps, examples["full batch"], examples["mini-batch"],
        same["stochastic"], examples["stochastic"], many["stochastic"], many["mini-batch"],
    )


@page.claim(r"With replacement, $(1 - 1/64)^{64} = {}$ of the examples are missing from a batch on average")
def test_with_replacement_examples_are_missing():
    return (1 - 1 / 64) ** 64


@page.claim("in the first figure, with $B = 8$, after {} epochs and averaged over ten seeds, {} in place of {}.")
def test_shuffling_ends_closer_than_drawing():
    fig = page.figure(0)
    problem = Problem(fig)
    torch.testing.assert_close(runs(problem, fig.B, 5, [1])[:, 0], fig.paths["mini-batch"], rtol=1e-12, atol=1e-14)
    ends = [
        distances(problem, runs(problem, 8, 20, range(1, 11), sampling=sampling)).mean().item()
        for sampling in ("shuffled", "with replacement")
    ]
    return 20, *ends


def test_few_epochs_favor_small_batches_and_many_do_not():
    problem = Problem(page.figure(0))
    full, some, one = (runs(problem, B, 20, range(1, 6)) for B in (64, 8, 1))
    for seed in range(5):
        few, many = (
            [(path[len(path) // 20 * epochs, seed] - problem.minimum).norm() for path in (full, some, one)]
            for epochs in (5, 20)
        )
        assert few[0] > few[1] > few[2]
        assert many[1] < few[1] / 5 and many[1] < many[2]


# How rough is the estimate?


@page.claim(
    "Handwritten digits: {} images of {} pixels, ten classes, a linear model with {} weights that start at zero. "
    "Each dot is the noise of {} real batches of a size",
    r"At $B = \operatorname{tr}\Sigma/\lVert g\rVert^2 = {}$. A single example's gradient has noise {} times as long",
    "Up to a batch of {} the two lines are hard to tell apart",
    "A batch of {} is as good an estimate for a million examples as for ten thousand.",
    "The line of the gradient's length is crossed at {}.",
)
def test_the_noise_is_what_the_formulas_say():
    record, (gradients, _) = recorded("minibatch_noise"), study.gradients_at_zero()
    N = len(gradients)
    B = torch.tensor(record.settings["batches"])
    trace = record["trace"][:, None]
    for name, variance in (
        ("with", noise_with_replacement(trace, B)),
        ("without", noise_without_replacement(trace, B, N)),
    ):
        torch.testing.assert_close(record[name], variance.sqrt(), rtol=0.12, atol=0)
    scale = noise_scale(gradient_covariance(gradients), gradients.mean(0)).item()
    assert 60 < scale < 70 and ((record["trace"] / record["gradient"] ** 2 - scale).abs() < 3).all()
    near = noise_without_replacement(1.0, 64, N) ** 0.5 / noise_with_replacement(1.0, 64) ** 0.5
    assert near > 0.96
    assert noise_without_replacement(1.0, 64, 10**6) / noise_without_replacement(1.0, 64, 10**4) < 1.01
    return N, 64, gradients.shape[1], record.settings["tries"], scale, math.sqrt(scale), 64, 64, scale


@pytest.mark.parametrize("seed", range(2))
def test_the_estimate_is_unbiased(seed):
    gradients, _ = study.gradients_at_zero(seed)
    source, total = torch.Generator().manual_seed(seed), gradient_covariance(gradients).trace()
    for draw in (
        lambda: torch.randint(1000, (16,), generator=source),
        lambda: torch.randperm(1000, generator=source)[:16],
    ):
        mean = torch.stack([gradients[draw()].mean(0) for _ in range(60)]).mean(0)
        assert (mean - gradients.mean(0)).norm() < 2 * (total / 16 / 60).sqrt()


# In sequence or at random


@page.claim(
    "sorted by class, {} examples of the one and then {} of the other; the model is logistic regression.",
    "A closed loop: {} steps pull toward \"always the first class\", then {} toward the second. From epoch to epoch it repeats, "
    r"and it ends at the same place, {} from the minimum. The rate sets its size: at $\eta = 0.1$ the loop is a third as wide.",
    "With $B = 8$ the run ends {} from the minimum in place of {}.",
)
def test_in_sequence_is_a_loop_whose_size_the_rate_sets():
    fig = page.figure(1)
    problem = Problem(fig)
    first = int((problem.y == 0).sum())
    assert (problem.y.diff() >= 0).all()
    both = runs(problem, 1, fig.epochs, [1, 1], lr=[fig.lr, 0.1], sampling=fig.sampling)
    last, before = both[-65:, 0], both[-129:-64, 0]
    torch.testing.assert_close(last, before, rtol=0, atol=1e-3)
    wide, small = (loop - loop.mean(0) for loop in (last, both[-65:, 1]))
    assert small.norm(dim=1).max() / wide.norm(dim=1).max() == pytest.approx(1 / 3, abs=0.05)
    torch.testing.assert_close(runs(problem, 1, fig.epochs, [2], fig.lr, fig.sampling)[:, 0], both[:, 0])  # no chance
    ends = [
        distances(problem, runs(problem, 8, fig.epochs, [1], fig.lr, sampling)).item()
        for sampling in ("shuffled", fig.sampling)
    ]
    return first, 64 - first, first, 64 - first, distances(problem, both)[0], *ends


@page.claim(
    "This one has {} hidden units, batches of {} and {} epochs:",
    "In batches sorted by class: {} to {}. Shuffled and with replacement: {} to {}.",
    "the network calls {} of the images or more a nine",
    "the training loss looks excellent, {} in the last epoch, where shuffled batches have {}.",
)
def test_sorted_digits_teach_nines():
    record = recorded("minibatch_orders")
    in_order, others = record["accuracy"][:, 0], record["accuracy"][:, 1:]
    loss = record["loss"]
    assert (loss[:, 0] < loss[:, 1] / 5).all() and (others > 0.9).all()
    settings = 32, record.settings["B"], record.settings["epochs"]
    nines = record["nines"][:, 0].min()
    return *settings, in_order.min(), in_order.max(), others.min(), others.max(), nines, loss[:, 0], loss[:, 1]


# The floor


@page.claim(
    "Find a $B$ at $\\eta = 0.2$ with the floor of $B = {}$ at $\\eta = 0.1$.",
    "$B = {}$. Counted in examples, both run down the same slope. Counted in steps, the larger batch needs {} as many.",
    r"Raise $\eta$ to {}. Where is the stochastic run",
    "(here up to {}, against {}), so that large steps overshoot. At $\\eta = 0.02$ the run is {} above its line, at 0.1 it is {} "
    "(averages over six seeds).",
)
def test_the_floor_is_met_at_small_rates_and_not_at_a_large_one():
    fig = page.figure(2)
    problem = Problem(fig)
    sigma = problem.covariance
    assert excess_loss(sigma, 8, 0.05) == excess_loss(sigma, 8, 0.1) / 2
    assert excess_loss(sigma, 16, 0.2) == excess_loss(sigma, 8, 0.1)
    curvature = torch.linalg.eigvalsh(problem.x.T @ problem.x / 64)[1]
    rates = torch.tensor([0.02, 0.1, 0.3], dtype=FLOAT).repeat_interleave(6)
    path = runs(problem, 1, fig.epochs, [*range(1, 7)] * 3, rates, fig.sampling)
    floors = torch.stack([excess_loss(sigma, 1, lr) for lr in rates])
    ratio = (problem.above(path)[640:].mean(0) / floors).view(3, 6)
    assert ratio[2].min() > 5  # five times and more
    first, second = (About(x - 1) for x in ratio[:2].mean(1))
    return fig.B, 2 * fig.B, 0.5, rates[-1], problem.x.square().sum(1).max(), curvature, first, second


def test_twice_the_batch_and_the_rate_take_half_the_steps():
    problem = Problem(page.figure(2))
    arrivals = [
        (problem.above(runs(problem, B, 5, range(1, 7), lr, "with replacement")) < 0.05).double().argmax(0)
        for B, lr in ((8, 0.1), (16, 0.2))
    ]
    assert (arrivals[0].double().mean() / arrivals[1].double().mean()).item() == pytest.approx(2, abs=0.15)


@page.claim(
    r"Here are {} runs for each seed, with $\sigma = 1$ and a start at a distance of 1;",
    "Mean squared distance from the minimum over {} steps",
    "The rate 0.1 falls to its floor of {} within {} steps and stays there. The rate 1/t is a straight line down to {};",
    "The floor of the rate {} is the variance of a mean over {} examples, although {} were seen. The other two use all {}:",
)
def test_moving_average_mean_and_average_of_the_path():
    record, floor = recorded("minibatch_averages"), noise_floor(1.0, 1.0, 0.1)
    at = torch.tensor(record.settings["at"])
    steps, late = at[-1], at >= 32
    assert ((record["constant"][:, late] / floor - 1).abs() < 0.1).all() and (record["constant"][:, ~late] > 0.07).all()
    torch.testing.assert_close(record["falling"], (1 / at).expand(5, -1).double(), rtol=0.1, atol=0)
    ratio = record["averaged"] / record["falling"]
    assert (ratio[:, -1] < 1.25).all() and (ratio[:, at == 32] > 2).all()
    source, y = torch.Generator().manual_seed(0), torch.randn(50, 20, dtype=FLOAT)
    theta = torch.rand(20, generator=source, dtype=FLOAT)
    for t, example in enumerate(y, 1):
        theta = theta - (theta - example) / t
    torch.testing.assert_close(theta, y.mean(0))  # the rate 1/t is the mean of all examples
    return (
        record.settings["runs"],
        steps,
        floor,
        32,
        record["falling"][:, -1],
        record.settings["lr"],
        1 / floor,
        steps,
        steps,
    )


# The right batch size


def test_the_best_rate_for_one_noisy_step():
    """The fall of a quadratic by one step, over all batches, as the chapter derives it."""
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(4, 4, generator=generator, dtype=FLOAT)
    H, S = A @ A.T, torch.diag(torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=FLOAT))
    theta, B = torch.randn(4, generator=generator, dtype=FLOAT), 5
    g = H @ theta
    B_H, exact = (H @ S).trace() / (g @ H @ g), g @ g / (g @ H @ g)
    fall = lambda lr, noise: lr * g @ g - lr**2 / 2 * (g @ H @ g + noise)
    lr, noise = exact / (1 + B_H / B), (H @ S).trace() / B
    assert fall(lr, noise) > max(fall(lr * 1.01, noise), fall(lr / 1.01, noise))
    torch.testing.assert_close(fall(lr, noise), fall(exact, 0) / (1 + B_H / B))


@page.claim(
    "logarithmic axis, with the range over five seeds. As the loss falls, the noise scale rises from {} to more than {}, and B_H "
    "from about {} to about {}.",
    "over the loss of a full-batch run of {} steps",
    "Neither says {} to {}. On the way to a loss of {} the noise scale goes from {} to about {}, and $B_H$ from {} and more into the "
    "ten thousands.",
    "$B_H$ is about {} times as large at the start, more than {} times at the end.",
)
def test_the_noise_scale_grows_and_the_hessian_does_not_cancel():
    record, steps = recorded("minibatch_noise_scale"), recorded("minibatch_steps")["steps"]
    simple, exact = record["simple"], record["exact"]
    ratio, corner = exact / simple, steps[:, 0] / steps[:, -1]
    assert (simple.diff(dim=1) > 0).all() and (exact.diff(dim=1) > 0).all()
    goal = recorded("minibatch_steps").settings["goal"]
    near = record["loss"].median(0).values.sub(goal).abs().argmin()
    assert (exact[:, near] > 10_000).all() and (corner < simple[:, 0]).all()
    begin = simple[0, 0]
    return (
        begin, Above(simple[:, -1]), About(exact[:, 0].median()), About(exact[:, -1]), record.settings["at"][-1],
        corner.min(), corner.max(), goal, begin, About(simple[:, near]), About(exact[:, 0].min()),
        About(ratio[:, 0]), Above(ratio[:, -1]),
    )


@page.claim(
    "The linear model, from zero to a loss of {}. For each batch size, the best of nine rates. By what factor do the steps fall from $B = 1$ to {}, and from {} to {}?",
    "From 1 to {} they fall to about a tenth, and the best rate rises to eight times its value:",
    "From {} to {} they hardly fall at all, while the price in examples grows more than tenfold. The two straight parts of the curve "
    "meet between $B = {}$ and {}.",
    "From {} to {} steps at a batch of 1 they fall almost along the dotted line of linear scaling to about {} at {}, then the "
    "curve bends and stays at about {} from {} on.",
)
def test_linear_scaling_has_a_corner():
    record = recorded("minibatch_steps")
    batches = record.settings["batches"]
    steps, rate = (dict(zip(batches, record[name].T, strict=True)) for name in ("steps", "rate"))
    middle = {B: x.median().item() for B, x in steps.items()}
    assert 8 < middle[1] / middle[16] < 12 and rate[16].median() / rate[1].median() == pytest.approx(8)
    assert (steps[64] / steps[1000] < 1.5).all() and (1000 * steps[1000] > 10 * 64 * steps[64]).all()
    cost = [B * middle[B] for B in (1, 16, 64, 1000)]
    assert cost == sorted(cost)
    corner = steps[1] / steps[1000]
    assert all(abs(middle[B] - 20) <= 3 for B in batches if B >= 64)
    return (
        record.settings["goal"], 16, 64, 1000, 16, 64, 1000, corner.min(), corner.max(),
        steps[1].min(), steps[1].max(), About(middle[16]), 16, About(middle[128]), 64,
    )


def test_the_hessian_of_the_linear_model_is_that_of_autograd():
    x, y = torch.randn(20, 64, dtype=FLOAT), torch.arange(20) % 10
    w = torch.randn(640, generator=torch.Generator().manual_seed(0), dtype=FLOAT) / 10
    torch.testing.assert_close(study.linear_hessian(w, x), jacrev(grad(study.linear_loss))(w, x, y))


@page.claim(
    "for $B = {}$ at its best rate, {}: how far the loss is above that of exact steps with this rate, in the mean of {} runs a seed.",
    "After {} steps the first account has added up to more than {}, for a loss that was {} at the start. Measured are {} to {}, and the "
    "floor says {}: too low by a factor of two to three, as always at large rates, but not wrong by a factor of {}.",
    "over {} steps, both axes logarithmic, five seeds. What each step adds, added up, rises from {} to more than {}. Measured, the "
    "loss jumps by {} to {} with the first step, stays there for {} steps, and falls to {} to {}. The floor falls from {} after the first step to {}.",
)
def test_a_run_forgets_what_single_steps_add():
    record = recorded("minibatch_noise_costs")
    settings, (measured, counted, floor) = record.settings, (record[name] for name in ("measured", "counted", "floor"))
    last, first = measured[:, -1], measured[:, 0]
    assert (recorded("minibatch_steps")["rate"][:, 0] == settings["lr"]).all()  # the best of nine, for each seed
    assert 1.7 < (last / floor[:, -1]).min() and (last / floor[:, -1]).max() < 3.1
    early = measured[:, : settings["at"].index(10) + 1]
    assert early.min() > 1.9 and early.max() < 2.8
    begin = recorded("minibatch_noise_scale")["loss"][:, 0]
    return (
        settings["B"], settings["lr"], settings["runs"],
        settings["at"][-1], Above(counted[:, -1]), begin, last.min(), last.max(), floor[:, -1],
        About((counted[:, -1] / last).median()),
        settings["at"][-1], counted[:, 0], Above(counted[:, -1]), first.min(), first.max(), 10, last.min(), last.max(),
        floor[:, 0], floor[:, -1],
    )


@page.claim(
    "For batches of {} and more the best rates are {} to {}, which is {} to {} times the {} of a single example: a rate that grows "
    "like $B$ is there at $B = {}$ to {}, and so, roughly, is the corner.",
    r"(These rates are two to eight times the $2/\lambda_{\max} = {}$ of the start. With exact steps at {} the "
    "loss first rises to more than {},",
)
def test_the_corner_is_where_the_rate_cannot_grow():
    record, edge = recorded("minibatch_steps"), recorded("minibatch_noise_scale")["edge"]
    rate = dict(zip(record.settings["batches"], record["rate"].T, strict=True))
    large = torch.stack([rate[B] for B in (256, 512, 1000)])
    shares = large / rate[1]
    assert [(x / edge[:, 0].median()).round().item() for x in (large.min(), large.max())] == [2, 8]
    lr, peaks = rate[1000].median().item(), []
    for seed in record.seeds:
        data, w, losses = digits(seed=seed, dtype=FLOAT), study.ZERO, []
        for _ in range(40):
            losses.append(study.linear_loss(w, data.x_train, data.y_train))
            w = w - lr * grad(study.linear_loss)(w, data.x_train, data.y_train)
        assert losses[-1] < 0.3
        peaks.append(max(losses).item())
    ends = shares.min(), shares.max()
    steps = record["steps"]
    assert ends[0] < (steps[:, 0] / steps[:, -1]).median() < ends[1]  # the corner
    return 256, large.min(), large.max(), *ends, rate[1], *ends, edge[:, 0], lr, Above(peaks)


# The guidelines


def test_a_step_on_many_examples_takes_less_than_as_many_steps():
    assert study.seconds_a_step(512, 7) < 128 * study.seconds_a_step(1, 7)


@page.claim(
    "Which of the three runs with $B = {}$ are as good as the one with $B = {}$?",
    "Batches of {}, five epochs: {} to {}. Batches of {} at the same rate and for as long: {} to {}; at {} times the rate: {} to "
    "{}; at the same rate for {} epochs: {} to {}.",
    "Only the last, and it has had {} times the computation. At the same rate and the same epochs the large batch has made {} "
    "steps in place of {}",
    "A rate {} times as large mends a good part",
)
def test_a_large_batch_needs_steps():
    record = recorded("minibatch_budgets")
    (small, lr, epochs), (large, *_), (_, scaled, _), (_, _, long) = record.settings["runs"]
    same = record["accuracy"][:, 0]
    assert (record["accuracy"][:, 3] - same > -0.02).all() and (record["accuracy"][:, 1] < same - 0.1).all()
    gained = record["accuracy"][:, 2]
    assert (gained > record["accuracy"][:, 1] + 0.08).all() and (gained < same).all()
    ranges = [x for run in record["accuracy"].T for x in (run.min(), run.max())]
    steps = [-(-1000 // B) * epochs for B in (large, small)]
    return (
        large, small, small, *ranges[:2], large, *ranges[2:4], scaled / lr, *ranges[4:6], long, *ranges[6:],
        long / epochs, *steps, scaled / lr,
    )


@page.claim(
    "larger batches, at least 8 or {} for batch normalization",
    '### "Batch normalization needs at least 8 or {}"',
    "There is no cliff at 8 or {}.",
    "the dots are the {} hidden values of a random layer on the digits, {} batches of each size.",
    "With two examples the variance is off by {}, with {} by about half, with {} by about a third, with {} by a sixth.",
    "for five seeds it falls along the dotted line of the formula, from {} at a batch of 2 to {} at {}.",
)
def test_a_variance_from_a_few_numbers():
    record = recorded("minibatch_variance")
    B = torch.tensor(record.settings["batches"])
    error = record["error"]
    torch.testing.assert_close(error, variance_error(B).double().expand_as(error), rtol=0.1, atol=0)
    known = {b: variance_error(b) for b in (2, 8, 16, 64)}
    assert [known[8], known[16], known[64]] == pytest.approx([1 / 2, 1 / 3, 1 / 6], rel=0.12)
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(32)(torch.randn(1, 32))
    return 16, 16, 16, 32, record.settings["tries"], known[2], 8, 16, 64, error[:, 0], error[:, -1], B[-1]


@page.claim(
    "At the start of training four fifths of the noise, {}, are between the classes.",
    "{} images of one class: {}. {} at random: {}. Two of each class: {}.",
)
def test_classes_make_four_fifths_of_the_noise():
    record = recorded("minibatch_classes")
    torch.testing.assert_close(record["measured"], record["predicted"], rtol=0.05, atol=0)
    one, some, each = record["measured"].T
    assert (each < some / 2).all()  # less than half of the noise of random batches
    B = record.settings["B"]
    return record["between"], B, one.median().item(), B, some.median().item(), each.median().item()


# What goes wrong


@page.claim(
    "Two ways to get it wrong, for a batch of {} in parts of {}:",
    "The second gives each of the last 4 images {} times the weight of the others, which turns the gradient by {}°.",
    "and the sum of each part's losses over {}.",
)
def test_accumulation():
    data, w = digits(dtype=FLOAT), torch.zeros(640, dtype=FLOAT)
    x, y = data.x_train[:100], data.y_train[:100]
    slope = grad(study.linear_loss)
    parts = [slope(w, *part) for part in zip(x.split(32), y.split(32), strict=True)]
    exact, sizes, parts = slope(w, x, y), torch.tensor([32.0, 32, 32, 4], dtype=FLOAT), torch.stack(parts)
    torch.testing.assert_close(sizes / 100 @ parts, exact, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close((sizes[:, None] * parts).sum(0) / 100, exact, rtol=1e-12, atol=1e-14)
    assert (parts.sum(0).norm() / exact.norm()).item() == pytest.approx(4.77, abs=0.01)  # almost five times
    turned = torch.cosine_similarity(parts.mean(0), exact, dim=0).acos().item()
    return 100, 32, 32 / 4, math.degrees(turned), 100


def test_pytorchs_loader():
    data = TensorDataset(torch.arange(1000))
    loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True, generator=torch.Generator().manual_seed(0))
    first, second = (torch.cat([x for (x,) in loader]) for _ in range(2))
    assert len(loader) == 15 and len(first) == 960 == len(first.unique()) and not torch.equal(first, second)
    drawn = torch.cat([x for (x,) in DataLoader(data, batch_size=50, sampler=RandomSampler(data, replacement=True))])
    assert len(drawn.unique()) < 700
    assert torch.equal(torch.cat([x for (x,) in DataLoader(data, batch_size=50)]), torch.arange(1000))


test_changed_numbers_are_noticed = page.test_of_numbers()
