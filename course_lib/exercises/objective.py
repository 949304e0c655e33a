"""Exercise: the objective of a classifier, the mean cross-entropy of a batch plus a penalty on the weights, for logits of any size."""

import torch

from course_lib.exercises.cases import once, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.network import cross_entropies, cross_entropy
from course_lib.formulas.regularization import l2_penalty


def objective(logits, labels, w, *, decay=0.01):
    """The mean over the batch of -log softmax(logits)[label], plus λ/2 ‖w‖²."""
    return cross_entropy(logits, labels) + l2_penalty(w, decay)


def of_labels(table, labels):
    """In each row the entry of its label."""
    return table[torch.arange(len(labels)), labels]


@mistake(
    "You return {yours[J]} instead of {right[J]}: you add up the losses of the examples. The objective is their *mean*; a sum grows with the batch, "
    "and so would every step."
)
def sum_over_batch(logits, labels, w, *, decay=0.01):
    return cross_entropies(logits, labels).sum() + l2_penalty(w, decay)


@mistake(
    "You return {yours[J]} instead of {right[J]}: you divide by the number of entries, examples times classes. Each example has one loss: divide by "
    "the number of examples."
)
def mean_over_entries(logits, labels, w, *, decay=0.01):
    return cross_entropies(logits, labels).sum() / logits.numel() + l2_penalty(w, decay)


@mistake(
    "You return {yours[J]} instead of {right[J]}: the softmax runs over the wrong dimension, down the batch. The classes of one example share a "
    "probability of 1, and they stand in a row."
)
def softmax_over_batch(logits, labels, w, *, decay=0.01):
    return -of_labels(logits.log_softmax(0), labels).mean() + l2_penalty(w, decay)


@mistake(
    "You return {yours[J]} instead of {right[J]}: the mean of the *probabilities* of the right classes, subtracted. The loss is the logarithm of each: "
    "a sure mistake must cost more than 1."
)
def no_logarithm(logits, labels, w, *, decay=0.01):
    return -of_labels(logits.softmax(1), labels).mean() + l2_penalty(w, decay)


@mistake(
    "You return {yours[J]} instead of {right[J]}: the sign is turned. The logarithm of a probability is negative, and the loss is minus it."
)
def turned_sign(logits, labels, w, *, decay=0.01):
    return l2_penalty(w, decay) - cross_entropy(logits, labels)


@mistake(
    "You return {yours[J]} instead of {right[J]}: minus the logits of the right classes alone. The logarithm of the sum over all classes is missing; "
    "without it a network would raise all logits for ever."
)
def no_normalization(logits, labels, w, *, decay=0.01):
    return -of_labels(logits, labels).mean() + l2_penalty(w, decay)


@mistake(
    "You return {yours[J]} instead of {right[J]}: the logarithm of the *mean* probability. The mean of the logarithms is larger: it does not let one sure "
    "example make up for another."
)
def logarithm_of_the_mean(logits, labels, w, *, decay=0.01):
    return -of_labels(logits.softmax(1), labels).mean().log() + l2_penalty(w, decay)


@mistake(
    "Small logits agree. Here they reach 1000: e¹⁰⁰⁰ is infinite in floating point, and so is your loss, or no number at all. Subtract the largest logit "
    "of each example before the exponential, and add it again after the logarithm; or use `torch.logsumexp`."
)
def overflow(logits, labels, w, *, decay=0.01):
    return (logits.exp().sum(1).log() - of_labels(logits, labels)).mean() + l2_penalty(w, decay)


@overflow.also
def overflow_in_the_softmax(logits, labels, w, *, decay=0.01):
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return -of_labels(p, labels).log().mean() + l2_penalty(w, decay)


@mistake(
    "Logits of 1000 agree where the network is right. Here it is sure and wrong: the probability rounds to 0, and its logarithm is infinite. The "
    "loss is a number, about the difference of two logits: take the logarithm before you round, with `log_softmax` or `logsumexp`."
)
def underflow(logits, labels, w, *, decay=0.01):
    return -of_labels(logits.softmax(1), labels).log().mean() + l2_penalty(w, decay)


@mistake(
    "You return {yours[J]} instead of {right[J]}: a small number is added inside the logarithm, or the probability is cut off below. It hides an infinity and "
    "caps the loss, just where the network is sure and wrong: there its gradient is 0. Use `logsumexp`, and none is needed."
)
def cut_off(logits, labels, w, *, decay=0.01):
    return -of_labels(logits.softmax(1), labels).clamp(min=1e-12).log().mean() + l2_penalty(w, decay)


@cut_off.also
def small_number_added(logits, labels, w, *, decay=0.01):
    return -(of_labels(logits.softmax(1), labels) + 1e-12).log().mean() + l2_penalty(w, decay)


@mistake(
    "One example agrees, or examples of one size. Here they differ by 1000: you subtract the largest logit of the whole *batch*, so that the exponentials of "
    "another row all round to 0. Each example has a largest logit of its own: `amax(1, keepdim=True)`."
)
def largest_of_the_batch(logits, labels, w, *, decay=0.01):
    z = logits - logits.max()
    return (z.exp().sum(1).log() - of_labels(z, labels)).mean() + l2_penalty(w, decay)


@mistake(
    "Without a penalty all agrees. With one you return {yours[J]} instead of {right[J]}: the half is missing. The slide's term is λ/2 times the squared norm, so "
    "that its gradient is λθ."
)
def no_half(logits, labels, w, *, decay=0.01):
    return cross_entropy(logits, labels) + decay * w.square().sum()


@mistake(
    "Without a penalty all agrees. With one you return {yours[J]} instead of {right[J]}: you take the norm of the weights without its square."
)
def norm_not_squared(logits, labels, w, *, decay=0.01):
    return cross_entropy(logits, labels) + decay / 2 * w.norm()


@mistake(
    "Without a penalty all agrees. With one you return {yours[J]} instead of {right[J]}: you take the *mean* of the squared weights. Then a larger network would "
    "be punished less for each weight; the norm is a sum."
)
def mean_of_squares(logits, labels, w, *, decay=0.01):
    return cross_entropy(logits, labels) + decay / 2 * w.square().mean()


@mistake(
    "Without a penalty all agrees. With one you return {yours[J]} instead of {right[J]}: the penalty is divided by the number of examples. It does not belong "
    "to any example, and stands outside of the mean."
)
def penalty_in_the_mean(logits, labels, w, *, decay=0.01):
    return cross_entropy(logits, labels) + l2_penalty(w, decay) / len(labels)


@mistake(
    "Without a penalty all agrees. With one you return {yours[J]} instead of {right[J]}: the sizes of the weights, not their squares, are added up. That is the L1 "
    "norm."
)
def sizes_for_squares(logits, labels, w, *, decay=0.01):
    return cross_entropy(logits, labels) + decay / 2 * w.abs().sum()


LOGITS = [[0.4, -1.1, 2.0], [1.3, 0.2, -0.7], [-0.5, 0.9, 0.1], [2.2, -0.3, 1.6]]
WEIGHTS = [[0.6, -1.4, 2.1], [-0.3, 0.8, 1.7]]
LARGE = [[1000.0, 998.0, 0.0], [-3.0, 1002.0, 1001.5]]


def case(title, look, logits, labels, w, decay, dtype=torch.float64, about=()):
    """One call; without `decay` if that is None."""
    given = {"logits": tensor(logits, dtype), "labels": torch.tensor(labels, device="cpu"), "w": tensor(w, dtype)}
    return once(title, look, about=about, **given, **({} if decay is None else {"decay": decay}))


check = Exercise(
    objective,
    returns=("J",),
    cases=[
        case("four examples, no penalty", "", LOGITS, [2, 0, 0, 1], WEIGHTS, 0.0),
        case(
            "with a penalty",
            "The cross-entropy agrees: look at the penalty.",
            LOGITS,
            [2, 0, 0, 1],
            WEIGHTS,
            0.3,
            about=("decay", "w"),
        ),
        case(
            "another batch and another λ",
            "Look for a number written where an argument should stand.",
            LOGITS[:3],
            [1, 1, 2],
            WEIGHTS[0],
            0.05,
            about=("decay", "w", "labels", "logits", "constant", "shape"),
        ),
        case(
            "large logits",
            "Small logits agree: look at what is put into the exponential.",
            LARGE,
            [0, 2],
            WEIGHTS,
            0.3,
            about=("logits", "call", "dropped", "reduction"),
        ),
        case(
            "sure and wrong",
            "Sure and right agrees: look at what goes into the logarithm.",
            LARGE,
            [2, 0],
            WEIGHTS,
            0.3,
            about=("logits", "call", "dropped", "constant"),
        ),
        case(
            "all logits negative",
            "Large positive logits agree: which logit is the largest?",
            [[-1000.0, -1002.0, -1001.0]],
            [1],
            WEIGHTS,
            0.3,
            about=("logits", "abs", "reduction", "call"),
        ),
        case(
            "the usual λ",
            "Called without `decay` it must be 0.01.",
            LOGITS,
            [2, 0, 0, 1],
            WEIGHTS,
            None,
            about=("default", "signature"),
        ),
        case(
            "rows of different size",
            "Look at which largest logit is subtracted.",
            [[1000.0, 999.0, 998.5], [0.2, -0.4, 1.1]],
            [1, 0],
            WEIGHTS,
            0.3,
            about=("logits", "reduction", "call"),
        ),
        case(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision.",
            LOGITS,
            [0, 1, 2, 0],
            WEIGHTS,
            0.3,
            torch.float32,
            about=("float32",),
        ),
    ],
    mistakes=[
        sum_over_batch,
        mean_over_entries,
        softmax_over_batch,
        no_logarithm,
        turned_sign,
        no_normalization,
        logarithm_of_the_mean,
        overflow,
        underflow,
        cut_off,
        largest_of_the_batch,
        no_half,
        norm_not_squared,
        mean_of_squares,
        penalty_in_the_mean,
        sizes_for_squares,
    ],
    source="the page's formula",
)
