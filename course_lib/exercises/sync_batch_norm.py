"""Exercise: batch normalization with the mean and variance of the batch of all ranks."""

import torch

from course_lib.exercises.cases import scattered
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.ranks import on_ranks, rank_case


def sync_batch_norm(x, n, all_reduce, *, eps=1e-5):
    """This rank's samples, normalized with the statistics of all ranks' samples, (samples, features)."""
    count, mean, variance = joined(x, all_reduce)
    return (x - mean) / (variance + eps).sqrt()


def joined(x, all_reduce):
    """The number of all samples, and mean and variance over them."""
    count = all_reduce(torch.full_like(x[0, :1], len(x)))
    mean = all_reduce(x.sum(0)) / count
    return count, mean, all_reduce(((x - mean) ** 2).sum(0)) / count


@mistake(
    "You take the mean of the ranks' variances. It lacks how far their means lie apart: the variance of all is that mean plus the variance of the "
    "means. Sum x and x² (or (x − μ)² around the common μ) over the ranks, and divide then."
)
def mean_of_variances(x, n, all_reduce, *, eps=1e-5):
    count, mean, _ = joined(x, all_reduce)
    variance = all_reduce(len(x) * x.var(0, correction=0)) / count
    return (x - mean) / (variance + eps).sqrt()


@mean_of_variances.also
def mean_of_variances_by_n(x, n, all_reduce, *, eps=1e-5):
    _, mean, _ = joined(x, all_reduce)
    return (x - mean) / (all_reduce(x.var(0, correction=0)) / n + eps).sqrt()


@mean_of_variances.also
def means_of_both(x, n, all_reduce, *, eps=1e-5):
    mean, variance = all_reduce(x.mean(0)) / n, all_reduce(x.var(0, correction=0)) / n
    return (x - mean) / (variance + eps).sqrt()


@mistake(
    "Each rank normalizes with its own mean and variance: no word is sent. That is plain batch normalization on each rank; with two samples all that is "
    "left of a feature is which of them is larger."
)
def own_statistics(x, n, all_reduce, *, eps=1e-5):
    return (x - x.mean(0)) / (x.var(0, correction=0) + eps).sqrt()


@mistake(
    "Your sums over the ranks are divided by this rank's number of samples, not by that of all ranks: mean and variance are about n times too large. "
    "Sum the numbers of samples over the ranks, too."
)
def own_count(x, n, all_reduce, *, eps=1e-5):
    mean = all_reduce(x.sum(0)) / len(x)
    variance = all_reduce((x**2).sum(0)) / len(x) - mean**2
    return (x - mean) / (variance.clamp(min=0) + eps).sqrt()


@own_count.also
def own_count_centered(x, n, all_reduce, *, eps=1e-5):
    mean = all_reduce(x.sum(0)) / len(x)
    return (x - mean) / (all_reduce(((x - mean) ** 2).sum(0)) / len(x) + eps).sqrt()


@mistake(
    "Equal parts agree; here the ranks have unlike numbers of samples. You divide by n times this rank's number, or take the mean of the ranks' means. "
    "Sum the numbers of samples over the ranks, and divide by that."
)
def equal_parts(x, n, all_reduce, *, eps=1e-5):
    count = n * len(x)
    mean = all_reduce(x.sum(0)) / count
    variance = all_reduce((x**2).sum(0)) / count - mean**2
    return (x - mean) / (variance.clamp(min=0) + eps).sqrt()


@equal_parts.also
def equal_means(x, n, all_reduce, *, eps=1e-5):
    mean = all_reduce(x.mean(0)) / n
    return (x - mean) / (all_reduce(((x - mean) ** 2).mean(0)) / n + eps).sqrt()


@equal_parts.also
def equal_parts_centered(x, n, all_reduce, *, eps=1e-5):
    count = n * len(x)
    mean = all_reduce(x.sum(0)) / count
    return (x - mean) / (all_reduce(((x - mean) ** 2).sum(0)) / count + eps).sqrt()


@equal_parts.also
def equal_squares(x, n, all_reduce, *, eps=1e-5):
    mean = all_reduce(x.mean(0)) / n
    return (x - mean) / (all_reduce((x**2).mean(0)) / n - mean**2 + eps).sqrt()


@mistake(
    "Your variance is the sum of the (x − μ)² with each rank's own μ. They must be taken around the mean of all: first sum x over the ranks, then the squares."
)
def own_mean_in_variance(x, n, all_reduce, *, eps=1e-5):
    count, _, variance = joined(x, all_reduce)
    return (x - x.mean(0)) / (variance + eps).sqrt()


@mistake(
    "Your variance is divided by the number of all samples minus 1. The batch is normalized with the one divided by the number itself; minus 1 "
    "belongs in the running average alone."
)
def unbiased(x, n, all_reduce, *, eps=1e-5):
    count, mean, variance = joined(x, all_reduce)
    return (x - mean) / (variance * count / (count - 1) + eps).sqrt()


@mistake("The eps of this call, {given[eps]}, is added to the root. It stands inside: √(v + ε).")
def eps_outside(x, n, all_reduce, *, eps=1e-5):
    _, mean, variance = joined(x, all_reduce)
    return (x - mean) / (variance.sqrt() + eps)


def values(samples: int, features: int) -> torch.Tensor:
    """Samples whose features have unlike means and spreads."""
    feature = torch.arange(1.0, 1 + features, dtype=torch.float64, device="cpu")
    return (scattered(samples, features) - 0.3 * feature) * feature.sqrt()


X = values(8, 2)
CONSTANT = torch.cat([X[:, :1], 0.7 * torch.ones_like(X[:, :1])], dim=1)


def lift(n, real=False):
    return on_ranks(n, lambda c, x, *_: (x.tensor_split(n)[c.rank], c.n, c.all_reduce), torch.cat, real=real)


def case(title, look, n, x=X, real=False, about=(), **hyper):
    """These samples over n ranks."""
    return rank_case(title, look, lift(n, real), about=about, real=real, x=x, n=n, all_reduce="given", **hyper)


check = Exercise(
    sync_batch_norm,
    returns=("y",),
    cases=[
        case("2 ranks with 4 samples each, eps = 0", "", 2, eps=0.0),
        case(
            "4 ranks with 2 samples each",
            "Two ranks agree: look for a number where n should stand.",
            4,
            about=("n",),
            eps=0.0,
        ),
        case(
            "2 ranks with 3 samples each",
            "Eight samples agree: look for a number where theirs should stand.",
            2,
            X[:6],
            about=("count", "constant"),
            eps=0.0,
        ),
        case(
            "4 ranks with 1 sample each",
            "Two samples a rank agree: alone a sample has no variance, and together they have.",
            4,
            X[:4],
            about=("reduction",),
            eps=0.0,
        ),
        case("an eps", "With eps = 0 all agrees: look at where eps stands.", 2, about=("eps",), eps=0.53),
        case(
            "3 ranks with 3, 3 and 2 samples",
            "Equal parts agree: by what do you divide?",
            3,
            about=("count", "reduction", "x"),
            eps=0.0,
        ),
        case("1 rank", "More ranks agree: alone it is plain batch normalization.", 1, X[:5], about=("n",), eps=0.1),
        case(
            "5 features",
            "Two features agree: look for a number where a size of x should stand.",
            3,
            values(7, 5),
            about=("shape", "constant"),
            eps=0.1,
        ),
        case(
            "one feature",
            "Several features agree: keep the dimension of size 1.",
            2,
            X[:7, :1],
            about=("shape",),
            eps=0.1,
        ),
        case(
            "a feature that is the same in all samples",
            "Other features agree. Its variance is 0, and eps alone stands under the root.",
            2,
            CONSTANT,
            about=("eps", "zero"),
            eps=1e-3,
        ),
        case(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision.",
            2,
            X.float(),
            about=("float32",),
            eps=1e-5,
        ),
        case("2 real processes", "In threads of one process all agrees.", 2, X[:7], real=True, eps=1e-5),
    ],
    mistakes=[mean_of_variances, own_statistics, own_count, equal_parts, own_mean_in_variance, unbiased, eps_outside],
    source="the joined batch",
    seconds=10.0,
)
