"""Exercise: the running statistics of batch normalization."""

from course_lib.exercises.cases import Case, once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.normalization import running_statistics as reference

# Case 1, where most mistakes show, has x = (-3.1, 0.9, 4.9), so the mean 0.9 and the variances 16 and 32/3, at momentum 0.3 and before it 0 and 1.


def average(old, new, momentum):
    return (1 - momentum) * old + momentum * new


@mistake(
    "The mean is {yours[mean]} instead of {right[mean]}: this is what exchanging the two weights does. PyTorch's momentum, {given[momentum]} here, "
    "is the weight of the *new* batch; an optimizer's is that of the past."
)
def momentum_reversed(x, mean, variance, *, momentum=0.1):
    return average(mean, x.mean(0), 1 - momentum), average(variance, x.var(0), 1 - momentum)


@mistake(
    "The mean agrees; the variance is {yours[variance]} instead of {right[variance]}: the batch's is divided by n. For the average it is divided "
    "by n − 1, as an estimate for all data. (Within the batch, normalization divides by n: PyTorch has both.)"
)
def biased(x, mean, variance, *, momentum=0.1):
    return average(mean, x.mean(0), momentum), average(variance, x.var(0, correction=0), momentum)


@mistake(
    "The mean agrees; the variance is {yours[variance]} instead of {right[variance]}: the correction is the wrong way round. "
    "Dividing by n − 1 makes it larger, by n / (n − 1)."
)
def corrected_twice(x, mean, variance, *, momentum=0.1):
    n = len(x)
    return average(mean, x.mean(0), momentum), average(variance, x.var(0, correction=0) * (n - 1) / n, momentum)


@mistake(
    "The mean agrees; the variance is {yours[variance]} instead of {right[variance]}: you average standard deviations. "
    "The running statistic is the variance, and the root is taken in evaluation."
)
def deviations(x, mean, variance, *, momentum=0.1):
    return average(mean, x.mean(0), momentum), average(variance, x.std(0), momentum)


@mistake(
    "The mean is {yours[mean]}, the batch's own, instead of {right[mean]}: nothing of the past is left. "
    "Average it with what was there before."
)
def batch_alone(x, mean, variance, *, momentum=0.1):
    return x.mean(0), x.var(0)


@mistake(
    "The mean is {yours[mean]} instead of {right[mean]}: the past enters with its full weight and is never forgotten. Multiply it by 1 − momentum."
)
def never_forgets(x, mean, variance, *, momentum=0.1):
    return mean + momentum * x.mean(0), variance + momentum * x.var(0)


@mistake(
    "The mean is {yours[mean]} instead of {right[mean]}, as if momentum were 0.1; it is {given[momentum]}. Look for 0.1 or 0.9 written as a number."
)
def fixed_momentum(x, mean, variance, *, momentum=0.1):
    return average(mean, x.mean(0), 0.1), average(variance, x.var(0), 0.1)


@mistake(
    "The mean agrees; the variance is {yours[variance]} instead of {right[variance]}: you take the differences from the running mean. "
    "The batch's variance is about the batch's mean."
)
def about_the_new_mean(x, mean, variance, *, momentum=0.1):
    new = average(mean, x.mean(0), momentum)
    return new, average(variance, ((x - new) ** 2).sum(0) / (len(x) - 1), momentum)


@about_the_new_mean.also
def about_the_old_mean(x, mean, variance, *, momentum=0.1):
    new = average(mean, x.mean(0), momentum)
    return new, average(variance, ((x - mean) ** 2).sum(0) / (len(x) - 1), momentum)


@mistake("The two are right, in the wrong order: return the mean first, then the variance.")
def exchanged_returns(x, mean, variance, *, momentum=0.1):
    return tuple(reversed(reference(x, mean, variance, momentum=momentum)))


@mistake(
    "One feature agrees; here the mean is {yours[mean]} instead of {right[mean]}: one number goes to all features. "
    "Each has its own, over the batch: axis 0."
)
def one_for_all(x, mean, variance, *, momentum=0.1):
    return average(mean, x.mean(), momentum), average(variance, x.var(), momentum)


ONE = {"x": tensor([[-3.1], [0.9], [4.9]]), "mean": tensor([0.0]), "variance": tensor([1.0])}
X = tensor([[0.3, -2.1, 5.2], [1.1, 0.4, 9.1], [-0.7, 1.2, 6.4], [2.1, -0.6, 4.2]])
THREE = {"x": X, "mean": tensor([0.6, 0.1, -4.1]), "variance": tensor([0.8, 2.1, 3.1])}


def fed_back(call, size: int = 1):
    """Feeds what is returned back, with another batch each time: mean and variance after each."""
    mean, variance = THREE["mean"], THREE["variance"]
    for k in range(3):
        mean, variance = call(x=X[k : k + 2] * size, mean=mean, variance=variance, momentum=0.3)
        yield mean, variance


def _take_turns(call) -> None:
    for _ in zip(fed_back(call), fed_back(call, -2)):
        pass


check = Exercise(
    reference,
    returns=("mean", "variance"),
    cases=[
        once("one feature of 3 examples", "", **ONE, momentum=0.3),
        once("a past that is not 0 and 1", "From 0 and 1 all agrees: look at how the old values enter.", **ONE | {"mean": tensor([-2.1]), "variance": tensor([5.3])}, momentum=0.3, about=("mean", "variance", "momentum")),
        once("another momentum", "One momentum agrees: look for a number in its place.", **ONE | {"mean": tensor([-2.1]), "variance": tensor([5.3])}, momentum=0.7, about=("momentum",)),
        once("3 features of 4 examples", "One feature agrees: look at the axis.", **THREE, momentum=0.3, about=("reduction",)),
        once("as many examples as features", "Where the two numbers differ all agrees: look at the axis.", **THREE | {"x": X[:3]}, momentum=0.3, about=("reduction",)),
        once("a batch of 2", "Larger batches agree: look for a number where n should stand.", **THREE | {"x": X[:2]}, momentum=0.3, about=("constant",)),
        several("momentum 0 and 1", "At 0 only the past counts, at 1 only the batch.", *(THREE | {"momentum": m} for m in (0.0, 1.0)), about=("momentum",)),
        Case("three batches in a row", "One batch agrees: what comes in is what went out before.", lambda call: list(fed_back(call)), about=("mean", "variance")),
        Case("two networks that take turns", "One by itself agrees: look for something that is kept between calls.", _take_turns, about=("memory",)),
        once("momentum as usual", "Each momentum that was given agrees: it is 0.1 where none is.", **THREE, about=("signature",)),
        once("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", **{k: v.float() for k, v in THREE.items()}, about=("float32",)),
    ],
    mistakes=[
        momentum_reversed, biased, corrected_twice, deviations, batch_alone, never_forgets, fixed_momentum, about_the_new_mean,
        exchanged_returns, one_for_all,
    ],
    source="nn.BatchNorm1d",
)  # fmt: skip
