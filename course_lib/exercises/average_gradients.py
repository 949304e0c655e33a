"""Exercise: a training step on several ranks that equals one process's."""

import torch

from course_lib.exercises.cases import scattered
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
    "The weights agree, but a rank computes with {yours[samples]} samples instead of {right[samples]}, the whole batch: it does the work of one "
    "process, and nothing is gained. Rank k takes part k of the batch, `x.tensor_split(n)[rank]`."
)
def whole_batch(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * all_reduce(gradient(w, x, y)) / n


@whole_batch.also
def rank_0_alone(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return broadcast(w if rank else w - lr * gradient(w, x, y))


@whole_batch.also
def whole_batch_alone(w, x, y, rank, n, gradient, all_reduce, broadcast, *, lr=0.1):
    w = broadcast(w)
    return w - lr * gradient(w, x, y)


W, X, Y = 2 * scattered(5, 2), 3 * scattered(9, 2) + 0.4, 4 * scattered(9) - 0.7
WORDS = {"rank": "each", "gradient": "given", "all_reduce": "given", "broadcast": "given"}


def busiest(counts):  # which parts the ranks take is free, so only the largest number of samples on a rank is compared
    return counts.max()


def lift(n, real=False):
    """On n ranks, each with the arguments of its own; the samples that `gradient` gets are counted."""

    def share(c, w, x, y, *_):
        def gradient(w, x, y):
            c.count += len(x)
            return slope(w, x, y)

        return w[c.rank], x, y, c.rank, c.n, gradient, c.all_reduce, c.broadcast

    return on_ranks(n, share, torch.stack, real=real, counted=busiest)


def case(title, look, n, samples=8, *, w=W, x=X, y=Y, lr=0.1, about=(), real=False):
    """Weights of n ranks, which differ unless they are the same in `w`, and so many samples."""
    given = {"w": w[:n], "x": x[:samples], "y": y[:samples], "n": n, **WORDS}
    return rank_case(title, look, lift(n, real), about=about, real=real, **given, lr=lr)


check = Exercise(
    parallel_step,
    returns=("w", "samples"),
    cases=[
        case("2 ranks with equal weights", "", 2, w=W[:1].repeat(2, 1)),
        case("2 ranks that begin apart", "With equal weights all agrees: whose weights count?", 2, about=("w",)),
        case("4 ranks", "Two ranks agree: look for a number where n or rank should stand.", 4, about=("n", "rank")),
        case("1 rank", "More ranks agree: alone it must be a plain step.", 1, about=("n", "rank")),
        case("another rate", "Look for a number where lr should stand.", 2, lr=0.53, about=("lr",)),
        case("a rate of 0", "Other rates agree. Here nothing moves, but the weights become rank 0's.", 2, lr=0.0, about=("lr",)),
        case("2 ranks, 6 samples", "Eight samples agree: look for a number where theirs should stand.", 2, 6, about=("x", "constant")),
        case("3 ranks, 7 samples", "Equal parts agree: here they are 3, 2 and 2 samples.", 3, 7, about=("mine", "total", "reduction")),
        case("5 ranks, 6 samples", "Several samples a rank agree: look at what a single one is, and whether each rank has one.", 5, 6, about=("shape",)),
        case("one feature", "Two features agree: look for a number where a size should stand.", 3, 8, w=W[:, :1], x=X[:, 1:], about=("shape",)),
        case("five features", "Two features agree: look for a number where a size should stand.", 3, 8, w=scattered(3, 5), x=scattered(8, 5), about=("shape",)),
        case("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", 3, 7, w=W.float(), x=X.float(), y=Y.float(), about=("float32",)),
        case("2 real processes", "In threads of one process all agrees.", 2, 7, real=True),
    ],
    mistakes=[sum_of_gradients, unsynchronized_start, no_all_reduce, same_data, divided_twice, mean_of_means, whole_batch],
    source="one process",
    seconds=10.0,
)  # fmt: skip
