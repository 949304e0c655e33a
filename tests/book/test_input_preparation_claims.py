"""What the chapter on preparing inputs says, bound to its records, to its figure and to algebra."""

import math

import pytest
import torch
from claims import About, Page
from torch.utils.data import WeightedRandomSampler

from course_lib.experiments import recorded
from course_lib.experiments.samplers import ClassesApart
from course_lib.experiments.studies import input_preparation as study
from course_lib.formulas import preparation as prepare

page = Page("training/input_preparation")


def wine(outcome):
    """(seeds, ...) by the name of the preparation."""
    record = recorded("preparation_descent")
    return dict(zip(record.settings["preparations"], record[outcome].unbind(1), strict=True))


@page.claim(r"turned by $-{}°$. It has $\kappa = {}$, which is $\rho = {}$. The loss after {} steps at $\eta = {}$ is {}.", r"At $-{}°$ both features have the same scale already")
def test_correlation_makes_a_canyon(page):
    fig = page.figure(0)
    rho = 0.9
    values = torch.linalg.eigvalsh(torch.tensor([[1.0, rho], [rho, 1.0]]))
    assert values.tolist() == pytest.approx([1 - rho, 1 + rho])
    assert (1 + rho) / (1 - rho) == pytest.approx(fig.condition_number)
    return -fig.angle, fig.condition_number, rho, fig.steps, fig.lr, fig.losses[-1].item(), -fig.angle


def test_descent_knows_no_axes_and_whitened_it_takes_one_step(page=page):
    fig = page.figure(0)
    turned = fig.losses[-1].item()
    fig.start = [x * math.cos(math.pi / 4) + s * y * math.sin(math.pi / 4) for s, x, y in ((-1, -2.2, 1.2), (1, 1.2, -2.2))]
    fig.angle = 0.0
    assert fig.losses[-1].item() == pytest.approx(turned, rel=1e-6)
    fig.condition_number, fig.lr = 1.0, 1.0
    assert fig.losses[1] < 1e-30


def test_pca_alone_leaves_the_condition_number():
    x, *_ = study.wine(0)
    centered = x - x.mean(0)
    turned = prepare.pca(x, x.mean(0), prepare.principal_axes(x)[1])
    before, after = (prepare.condition_number(prepare.least_squares_hessian(z)) for z in (centered, turned))
    assert after == pytest.approx(before.item(), rel=1e-4)  # of ten million, in float64


@page.claim(
    "Wine has {} features, from a hue near 1 to a content of proline near {}. A linear classifier is trained on {} wines",
    r"After {} steps the raw data's loss is {}, where guessing costs $\ln 3 = {}$. Standardized it is {}, whitened {}. "
    r"The condition numbers, in the same order: ${}$, about {}, and {}.",
    "After two lines of preparation the loss is a fortieth.", "Training loss over {} steps on a log axis",
)
def test_descent_on_wine():
    loss, condition, steps = wine("loss"), wine("condition"), recorded("preparation_descent").settings["steps"]
    x, *_ = study.wine(0)
    proline = x.mean(0)[12].item()
    assert 0.8 < x.mean(0)[10] < 1.2 and 30 < (loss["raw"][:, -1] / loss["standardized"][:, -1]).median() < 45
    end = {name: values[:, -1] for name, values in loss.items()}
    assert (end["raw"] > end["centered"]).all() and (end["centered"] > 0.5).all()
    return (
        x.shape[1], About(round(proline, -1)), len(x), steps, end["raw"], math.log(3), end["standardized"], end["whitened"],
        condition["raw"], About(condition["standardized"]), condition["whitened"], steps,
    )


@page.claim(
    "Class by class the accuracy is {} in place of {}, no better than guessing", "on {} test wines", "those of each class apart are below {}.",
)
def test_whose_statistics():
    record = recorded("preparation_statistics")
    assert (record["own"] - record["training"]).abs().max() <= 0.041 and (record["training"] > 0.95).all()
    apart = record["class_own"]
    assert (apart < 0.41).all()
    return apart, record["training"], len(study.wine(0)[2]), 0.41


@page.claim(
    "names all digits as the class that it saw last: {} are right. Shuffled it reaches {}.",
    "in the first epoch it is worse, {} against {}: once a class is used up",
)
def test_orders():
    record = recorded("preparation_order")
    assert record.settings["epochs"] == 3 and record.settings["batch"] == 5
    assert (record["sorted by class"] < 0.15).all()
    assert (record["classes apart"][:, 0] < record["shuffled"][:, 0]).all()
    apart, shuffled = record["classes apart"], record["shuffled"]
    assert apart[:, -1].median() <= shuffled[:, -1].median()
    return record["sorted by class"][:, -1], shuffled[:, -1], apart[:, 0], shuffled[:, 0]


@page.claim("Without these last samples it reaches {}, too.")
def test_classes_apart_without_the_samples_that_are_left_over():
    ends = []
    for seed in (0, 1, 2):
        data = study.digits(seed=seed)
        rounds = list(ClassesApart(data.y_train, seed=seed))[: 10 * int(data.y_train.bincount().min())]
        settings = {"epochs": 1, "batch": 5, "lr": 0.1, "data": data}
        ends += study.train_in_order(rounds, data.x_train, data.y_train, seed, **settings)
    assert min(ends) > recorded("preparation_order")["classes apart"][:, 0].max() + 0.05
    return torch.tensor(ends)


@page.claim(
    "With clean labels it gains about {} point, for every seed. With {} wrong labels it loses about {}, for every seed",
    "In the end {} of the draws are samples with a wrong label.",
    "with clean labels five dots between {} and {}, with a tenth of the labels wrong between {} and {}.",
)
def test_hard_samples_first():
    record = recorded("preparation_hard_first")
    gain = 100 * (record["hard first"] - record["equal"])[..., -3:].mean(2)
    clean, noisy = gain.unbind(1)
    assert (clean > 0).all() and (noisy < 0).all() and record.settings["epochs"] == 6
    return clean, record.settings["noise"][1], -noisy, record["wrong"][:, 1], 0.7, 1.6, -1.5, -3.5


def test_pytorchs_sampler_does_not_tell_of_an_empty_class():
    y, counts = torch.tensor([0, 0, 2]), torch.tensor([2.0, 0, 1])
    assert set(WeightedRandomSampler(1 / counts[y], 20)) <= {0, 1, 2}


test_changed_numbers_are_noticed = page.test_of_numbers()
