"""Exercise: the gradient over all examples, accumulated from micro-batches."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.exercises.cases import once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.objective import least_squares, logistic_loss


def accumulate(slope, w, x, y, *, size):
    """The mean gradient at w over all examples, at most `size` of them at a time: slope(w, x, y) is the mean gradient over those given."""
    total = torch.zeros_like(w)
    for xs, ys in zip(x.split(size), y.split(size), strict=True):
        total = total + slope(w, xs, ys) * len(ys) / len(y)
    return total


def parts(slope, w, x, y, size):
    """The mean gradient of each micro-batch, and how many examples it has."""
    return [(slope(w, xs, ys), len(ys)) for xs, ys in zip(x.split(size), y.split(size), strict=True)]


@mistake(
    "g is {times} times the right one: the means of the micro-batches are added up, and nothing divides. This is what calling "
    "backward() on each mean loss does. How much of all examples is one micro-batch?"
)
def sum_of_means(slope, w, x, y, *, size):
    return sum(g for g, _ in parts(slope, w, x, y, size))


@mistake(
    "While all micro-batches are equally large, all agrees. Here the last one is smaller, and g is {yours[g]} instead of {right[g]}. "
    "This is the mean of the means: an example in the small one counts more than the others. What should a micro-batch's weight be?"
)
def mean_of_means(slope, w, x, y, *, size):
    every = parts(slope, w, x, y, size)
    return sum(g for g, _ in every) / len(every)


@mistake(
    "g is {times} times the right one. You add up the gradients of all examples and never divide: a sum, and its length grows with the "
    "number of examples. The loss is a mean."
)
def sum_over_examples(slope, w, x, y, *, size):
    return sum(g * n for g, n in parts(slope, w, x, y, size))


@mistake(
    "While `size` divides the number of examples, all agrees. Here g is {yours[g]} instead of {right[g]}: the examples left over at the "
    "end have no part in it, and you take the mean of the others. Look at how many micro-batches you make."
)
def drops_the_last(slope, w, x, y, *, size):
    full = [(g, n) for g, n in parts(slope, w, x, y, size) if n == size]
    return sum(g for g, _ in full) / len(full)


@mistake(
    "While `size` divides the number of examples, all agrees. Here g is {yours[g]} instead of {right[g]}: you divide by the number of all "
    "examples, but those left over at the end are not in your sum. Look at how many micro-batches you make."
)
def drops_the_last_and_divides_by_all(slope, w, x, y, *, size):
    return sum(g * n for g, n in parts(slope, w, x, y, size) if n == size) / len(y)


@mistake(
    "While all micro-batches are equally large, all agrees. Here the last one is smaller, and g is {yours[g]} instead of {right[g]}. You "
    "give each the weight size / N, also the last one, which has fewer examples than `size`. Count what is really in it."
)
def size_for_every_part(slope, w, x, y, *, size):
    return sum(g * size for g, _ in parts(slope, w, x, y, size)) / len(y)


@mistake(
    "While all micro-batches are equally large, all agrees. Here g is {times} times the right one. You divide by size times the number of "
    "micro-batches, which is more than there are examples: the last micro-batch is not full."
)
def divides_by_full_parts(slope, w, x, y, *, size):
    every = parts(slope, w, x, y, size)
    return sum(g * n for g, n in every) / (size * len(every))


@mistake(
    "One micro-batch agrees. With more g is {yours[g]} instead of {right[g]}, which is the last one's share alone: each turn of the loop "
    "replaces what the turns before it have found. Look for `=` where something should be added."
)
def last_part_alone(slope, w, x, y, *, size):
    g, n = parts(slope, w, x, y, size)[-1]
    return g * n / len(y)


@last_part_alone.also
def last_gradient_alone(slope, w, x, y, *, size):
    return parts(slope, w, x, y, size)[-1][0]


@mistake(
    "One micro-batch agrees. With more g is {yours[g]} instead of {right[g]}, which comes from the first micro-batch alone. Look for a "
    "`return` inside the loop."
)
def first_part_alone(slope, w, x, y, *, size):
    g, n = parts(slope, w, x, y, size)[0]
    return g * n / len(y)


@first_part_alone.also
def first_gradient_alone(slope, w, x, y, *, size):
    return slope(w, x[:size], y[:size])


@mistake(
    "Two micro-batches agree; with more g is {yours[g]} instead of {right[g]}. You take the mean of the old result and the new gradient, "
    "so that the first micro-batch is halved again and again. Each must keep the same weight to the end."
)
def halves_at_each_turn(slope, w, x, y, *, size):
    (total, _), *others = parts(slope, w, x, y, size)
    for g, _ in others:
        total = (total + g) / 2
    return total


@mistake(
    "g is {times} times the right one. slope is a *mean* already: dividing it by the number of its examples once more makes it smaller. "
    "Should a micro-batch with more examples count more, or less?"
)
def divides_each_part_again(slope, w, x, y, *, size):
    return sum(g / n for g, n in parts(slope, w, x, y, size))


@mistake(
    "g has the wrong sign: {yours[g]} instead of {right[g]}. Return the gradient itself; the minus belongs to the step, which is not "
    "part of this task."
)
def wrong_sign(slope, w, x, y, *, size):
    return -accumulate(slope, w, x, y, size=size)


@mistake(
    "g is {yours[g]} instead of {right[g]}. This is what one step after each micro-batch does: your w moves on the way, and the later "
    "gradients belong to another place. All of them must be taken at the same w."
)
def steps_on_the_way(slope, w, x, y, *, size):
    total, here = torch.zeros_like(w), w
    for g_x, g_y in zip(x.split(size), y.split(size), strict=True):
        g = slope(here, g_x, g_y) * len(g_y) / len(y)
        total, here = total + g, here - g
    return total


@dataclass(frozen=True)
class MeanGradient:
    """The mean gradient of a loss, on a machine whose memory holds no more than `most` examples."""

    loss: Callable
    most: int

    def __call__(self, w, x, y):
        if not 1 <= len(y) <= self.most or len(x) != len(y):
            raise MemoryError(
                f"slope got {len(x)} inputs and {len(y)} targets; it needs as many of one as of the other, from 1 to size = {self.most}"
            )
        with torch.inference_mode(False), torch.enable_grad():  # whatever mode the caller is in
            here = w.detach().clone().requires_grad_()
            return torch.autograd.grad(self.loss(here, x.clone(), y.clone()), here)[0]

    def __str__(self) -> str:
        return f"the mean gradient of {self.loss.__name__}"


X = tensor([[1.1, -0.6], [-0.9, 1.3], [1.2, 2.1], [1.1, 1.7], [0.8, -2.2], [1.1, 0.0], [-1.3, 3.1]])
Y = tensor([1.1, -0.6, 4.2, -1.3, 2.1, 0.0, 5.2])
CLASSES = tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
W = tensor([0.6, -1.1])
WIDE = torch.cat([X, X.roll(1, 0)[:, :1] - 0.3], 1)


def _call(N: int, size: int, loss=least_squares, w=W, x=X, y=Y) -> dict:
    """The arguments of a call with the first N examples."""
    return {"slope": MeanGradient(loss, size), "w": w, "x": x[:N].to(w), "y": y[:N].to(w), "size": size}


check = Exercise(
    accumulate,
    returns=("g",),
    cases=[
        once("one micro-batch holds all", "", **_call(3, 3)),
        once("two of equal size", "One micro-batch agrees: look at how the second one enters.", **_call(4, 2), about=("total", "ys")),
        once("three of equal size", "Two agree: look at what happens to the first one when the third comes.", **_call(6, 2), about=("total",)),
        once("the last one is smaller", "Equal ones agree: look at the weight of a micro-batch.", **_call(5, 3), about=("len", "ys", "size")),
        once("one example left over", "Look at how many micro-batches you make, and at the weight of the last one.", **_call(7, 3), about=("len", "size")),
        once("one example at a time", "Look for something that needs a micro-batch of more than one.", **_call(7, 1), about=("shape",)),
        once("room for more than all", "Here `size` is larger than the number of examples, and one micro-batch holds them all: look at what you divide by.", **_call(5, 8), about=("size", "len")),
        several("a single example", "More examples agree: look for something that needs two of them.", _call(1, 1), _call(1, 3), about=("shape",)),
        several("one parameter, and three", "Two parameters agree: look for their number written down.", _call(5, 2, w=tensor([-0.7]), x=X[:, 1:]), _call(5, 2, w=tensor([0.6, -1.1, 0.3]), x=WIDE), about=("constant", "shape")),
        once("another loss", "The gradient of a straight line's loss agrees: use `slope` alone, at the w that came in.", **_call(7, 3, logistic_loss, y=CLASSES), about=("slope", "w")),
        once("float32 stays float32", "float64 agrees: look for a tensor made in another precision than that of w.", **_call(7, 4, w=W.float()), about=("float32",)),
    ],
    mistakes=[
        sum_of_means,
        mean_of_means,
        sum_over_examples,
        drops_the_last,
        drops_the_last_and_divides_by_all,
        size_for_every_part,
        divides_by_full_parts,
        last_part_alone,
        first_part_alone,
        halves_at_each_turn,
        divides_each_part_again,
        wrong_sign,
        steps_on_the_way,
    ],
    source="the gradient over all examples",
)  # fmt: skip
