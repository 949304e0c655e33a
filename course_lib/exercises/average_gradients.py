"""Exercise: a training step on several ranks that equals one process's."""

import torch

from course_lib.exercises.cases import tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.exercises.ranks import on_ranks, rank_case


def parallel_step(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    """The weights after a step of gradient descent on the whole batch, (features,), the same on every rank."""
    w = broadcast(w)
    x, y = x.tensor_split(n)[rank], y.tensor_split(n)[rank]
    total = all_reduce(len(x) * gradient(w, x, y))
    return w - lr * total / all_reduce(torch.full_like(total[:1], len(x)))


def slope(w, x, y):
    """The gradient of the mean of (w·x - y)² / 2 over these samples, (features,)."""
    return x.T @ (x @ w - y) / len(x)


def own(v, rank, n):
    return v.tensor_split(n)[rank]


@mistake(
    "The step is {times} times what one process takes. You add the gradients of the ranks and do not divide: each is the mean over a rank's own "
    "samples, so the mean over all is their sum over n. With the sum the rate grows with the number of ranks."
)
def sum_of_gradients(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * all_reduce(gradient(w, own(x, rank, n), own(y, rank, n)))


@mistake(
    "The ranks begin with different weights, and you leave them so. Their gradients belong to different points, and the replicas never meet: "
    "averaged gradients keep equal weights equal, but do not make them so. Take rank 0's weights with `broadcast` before the step."
)
def unsynchronized_start(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    g = len(own(x, rank, n)) * gradient(w, own(x, rank, n), own(y, rank, n))
    return w - lr * all_reduce(g) / len(x)


@unsynchronized_start.also
def unsynchronized_mean(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    return w - lr * all_reduce(gradient(w, own(x, rank, n), own(y, rank, n))) / n


@mistake(
    "The weights end apart: each rank takes a step along its own gradient, as no gradient is sent. Sum them with `all_reduce` before the step."
)
def no_all_reduce(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * gradient(w, own(x, rank, n), own(y, rank, n))


@mistake(
    "All ranks compute on the same samples, the first part of the batch: n processes do the work of one, and the rest of the batch is never seen. "
    "Rank k takes part k, `x.tensor_split(n)[rank]`."
)
def same_data(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * all_reduce(gradient(w, own(x, 0, n), own(y, 0, n))) / n


@mistake(
    "The step is {times} times what one process takes: it is divided by n once more than it should be. `gradient` is a mean over the rank's own "
    "samples already; the mean of these means takes one division by n, not two."
)
def divided_twice(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * all_reduce(gradient(w, own(x, rank, n), own(y, rank, n)) / n) / n


@mistake(
    "Equal parts agree; here the ranks have unlike numbers of samples. You take the mean of the ranks' means, in which a sample of a small part "
    "counts more. Sum the gradients times their numbers of samples, and divide by the number of all."
)
def mean_of_means(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * all_reduce(gradient(w, own(x, rank, n), own(y, rank, n))) / n


@mistake(
    "The weights agree, but each rank computes with {yours[samples]} samples instead of {right[samples]}: all of them do the work of one on the whole batch. The "
    "average of equal gradients is right, and nothing is gained. Rank k takes part k of the batch."
)
def whole_batch(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * all_reduce(gradient(w, x, y)) / n


@whole_batch.also
def whole_batch_alone(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * gradient(w, x, y)


W = tensor([[1.0, -1.0], [3.0, 0.5], [-2.0, 2.0], [0.5, 4.0]])
X = tensor([[1.0, 2.0], [-1.0, 0.5], [3.0, 1.0], [0.5, -2.0], [2.0, 2.0], [-1.5, 1.0], [0.2, 0.7], [1.0, -3.0]])
Y = tensor([2.0, 0.0, 5.0, -3.0, 1.0, 2.5, -1.0, 4.0])
WORDS = {"rank": "each", "gradient": "given", "all_reduce": "given", "broadcast": "given"}


def mean(counts):
    return counts.mean()


def lift(n, real=False):
    """On n ranks, each with the arguments of its own; the samples that `gradient` gets are counted."""

    def share(c, w, x, y, *_):
        def gradient(w, x, y):
            c.count += len(x)
            return slope(w, x, y)

        return w[c.rank], x, y, c.rank, c.n, gradient, c.all_reduce, c.broadcast

    return on_ranks(n, share, torch.stack, real=real, counted=mean)


def given(n, samples, same=False):
    """Weights of n ranks, which differ unless they are the `same`, and so many samples."""
    return {"w": W[:1].repeat(n, 1) if same else W[:n], "x": X[:samples], "y": Y[:samples], "n": n, **WORDS}


check = Exercise(
    parallel_step,
    returns=("w", "samples"),
    cases=[
        rank_case("2 ranks with equal weights", "Each rank needs its part of the batch, and the mean of the gradients.", lift(2), **given(2, 8, same=True), lr=0.1),
        rank_case("2 ranks that begin apart", "With equal weights all agrees: whose weights count?", lift(2), **given(2, 8), lr=0.1),
        rank_case("4 ranks", "Two ranks agree: look for a number where n should stand.", lift(4), **given(4, 8), lr=0.1),
        rank_case("1 rank", "More ranks agree: alone it must be a plain step.", lift(1), **given(1, 8), lr=0.1),
        rank_case("another rate", "Look for a number where lr should stand.", lift(2), **given(2, 8), lr=0.5),
        rank_case("3 ranks, 7 samples", "Equal parts agree: here they are 3, 2 and 2 samples.", lift(3), **given(3, 7), lr=0.1),
        rank_case("2 real processes", "In threads of one process all agrees.", lift(2, real=True), **given(2, 8), lr=0.1),
    ],
    mistakes=[sum_of_gradients, unsynchronized_start, no_all_reduce, same_data, divided_twice, mean_of_means, whole_batch],
    source="one process",
    seconds=15.0,
)  # fmt: skip
