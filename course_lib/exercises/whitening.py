"""Exercise: whiten data by ZCA, with the training set's statistics."""

import torch

from course_lib.exercises.cases import once, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.preparation import covariance, principal_axes, zca


def whitened(train, x, *, eps=1e-5):
    """x, (N, n), whitened by the mean and the covariance of `train`, and turned back."""
    return zca(x, train.mean(0), *principal_axes(train), eps=eps)


def by(x, mean, C, eps):
    """ZCA with this mean and covariance."""
    values, axes = torch.linalg.eigh(C)
    return (x - mean) @ axes / (values + eps).sqrt() @ axes.T


@mistake(
    "What you return is white, but in the coordinates of the principal axes: it is PCA whitening. "
    "ZCA turns back, with the transposed matrix of axes, so that feature 1 is still about what it was."
)
def not_turned_back(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(covariance(train))
    return (x - train.mean(0)) @ axes / (values + eps).sqrt()


@not_turned_back.also
def not_turned_back_from_the_largest(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(covariance(train))
    return ((x - train.mean(0)) @ axes / (values + eps).sqrt()).flip(1)


@mistake(
    "You take the rows of the matrix that `eigh` returns as the axes. They are its *columns*: `axes[:, k]` belongs to `values[k]`. "
    "So the first product is with `axes`, the second with `axes.T`."
)
def rows_for_columns(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(covariance(train))
    return (x - train.mean(0)) @ axes.T / (values + eps).sqrt() @ axes


@mistake(
    "What you return is {times} times the right one: your covariance is the sum of the products, not divided by N − 1. "
    "It then grows with the number of examples, and the result shrinks."
)
def not_divided(train, x, *, eps=1e-5):
    return by(x, train.mean(0), covariance(train) * (len(train) - 1), eps)


@mistake(
    "What you return is {times} times the right one: your covariance is divided by N. Here it is divided by N − 1, as torch.cov does. "
    "(For large N it does not matter, and some libraries do divide by N.)"
)
def divided_by_n(train, x, *, eps=1e-5):
    return by(x, train.mean(0), covariance(train) * (len(train) - 1) / len(train), eps)


@mistake(
    "With eps = 0 all agrees; here it is {given[eps]}, and plays no part. It is added to the variances, inside the root: "
    "an axis with almost no variance would be blown up, and there the data is noise."
)
def no_eps(train, x, *, eps=1e-5):
    return by(x, train.mean(0), covariance(train), 0.0)


@mistake(
    "With eps = 0 all agrees; here it is {given[eps]}, and you add it to the deviations, after the root. It is added to the variances, inside."
)
def eps_outside(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(covariance(train))
    return (x - train.mean(0)) @ axes / (values.clamp(min=0).sqrt() + eps) @ axes.T


@mistake(
    "You whiten x without subtracting the mean first: the result is the right one, shifted. Subtract the training set's mean."
)
def not_centered(train, x, *, eps=1e-5):
    return by(x, torch.zeros_like(train[0]), covariance(train), eps)


@mistake(
    "You take mean and covariance of x itself. x may be the test set, or three examples: whatever it is, it is prepared "
    "by what was measured on `train`."
)
def own_statistics(train, x, *, eps=1e-5):
    return by(x, x.mean(0), covariance(x), eps)


@mistake(
    "The covariance is that of `train`, as it should be, but the mean that you subtract is that of x. Both come from `train`."
)
def own_mean(train, x, *, eps=1e-5):
    return by(x, x.mean(0), covariance(train), eps)


@mistake("You divide by the variances along the axes. Their roots make the variance 1: the deviations.")
def variance_for_deviation(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(covariance(train))
    return (x - train.mean(0)) @ axes / (values + eps) @ axes.T


@mistake("You multiply by the deviations along the axes. What is long must become shorter: divide.")
def multiplies(train, x, *, eps=1e-5):
    values, axes = torch.linalg.eigh(covariance(train))
    return (x - train.mean(0)) @ axes * (values + eps).sqrt() @ axes.T


@mistake(
    "You divide each feature by its own deviation: that is standardizing. The features are still correlated; the axes have no part in it."
)
def standardizes(train, x, *, eps=1e-5):
    return (x - train.mean(0)) / (covariance(train).diagonal() + eps).sqrt()


@mistake(
    "Your covariance is made of the data as it is. A covariance is about the mean: subtract it before you multiply."
)
def uncentered_covariance(train, x, *, eps=1e-5):
    return by(x, train.mean(0), train.T @ train / (len(train) - 1), eps)


TWO = tensor([[3.1, -1.2], [5.3, 0.1], [-4.2, 1.3], [8.1, 2.3], [5.2, -2.1]])
NEW = tensor([[4.1, -1.2], [-6.2, 3.3], [1.1, 0.4]])
THREE = tensor(
    [[1.1, -2.1, 0.6], [0.2, 3.1, -1.1], [2.1, 0.4, 0.1], [-1.1, 1.2, 2.3], [0.3, -0.7, 0.9], [1.4, 2.2, -0.6]]
)
WIDE = torch.cat([THREE, THREE.roll(1, 0) * 0.7 - 0.3, THREE.flip(0) + 1.1], 1)[:4]  # 4 examples of 9 features

check = Exercise(
    whitened,
    returns=("z",),
    cases=[
        once("two features, eps = 0", "", train=TWO, x=NEW, eps=0.0),
        once("the training set itself", "Other data agrees: look for a difference between train and x.", train=TWO, x=TWO, eps=0.0, about=("train", "x")),
        once("with an eps", "With eps = 0 all agrees: look at where eps stands.", train=TWO, x=NEW, eps=0.5, about=("eps",)),
        once("three features", "Two features agree: look at the axes.", train=THREE, x=THREE[:2] - 0.3, eps=0.1, about=("axes",)),
        once("one example", "More examples agree: x may hold one alone, and all statistics come from train.", train=THREE, x=THREE[3:4], eps=0.1, about=("x",)),
        once("fewer examples than features", "Here some variances are 0, and eps is what keeps the root above 0.", train=WIDE, x=WIDE[:3] + 0.2, eps=0.2, about=("eps", "values")),
        once("a feature that never changes", "One variance is 0 here: look at the root and at eps.", train=torch.cat([TWO, 0 * TWO[:, :1] + 2.2], 1), x=torch.cat([NEW, 0 * NEW[:, :1] + 2.3], 1), eps=0.01, about=("eps", "values")),
        once("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", train=TWO.float(), x=NEW.float(), eps=0.1, about=("float32",)),
        once("no eps given", "Each eps that was given agrees: it is 1e-5 where none is.", train=TWO, x=NEW, about=("signature",)),
    ],
    mistakes=[
        not_turned_back, rows_for_columns, not_divided, divided_by_n, no_eps, eps_outside, not_centered, own_statistics, own_mean,
        variance_for_deviation, multiplies, standardizes, uncentered_covariance,
    ],
    source="course_lib's zca",
)  # fmt: skip
