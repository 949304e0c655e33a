"""Exercise: mixup, the images and their labels."""

import torch

from course_lib.exercises.cases import once, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.augmentation import mixup


def blend(x, order, weight, other=None):
    """weight of each row of x, and what is left to 1 of the other one: row `order` of x, if it is not given."""
    w = weight.view(-1, *[1] * (x.dim() - 1))
    return w * x + (1 - w) * (x[order] if other is None else other)


@mistake(
    "The images are right. Your labels are those that came in: as if each image still showed one thing. An image that is 60% a 3 and 40% "
    "an 8 is a 3 with probability 0.6. Mix the labels as you mix the images."
)
def labels_not_mixed(images, labels, order, weight):
    return blend(images, order, weight), labels


@labels_not_mixed.also
def labels_not_permuted(images, labels, order, weight):
    return blend(images, order, weight), blend(labels, order, weight, labels)


@mistake(
    "The images are right, and the labels are mixed with the weights exchanged: what stays of image k has the weight w, and so must "
    "what stays of its label."
)
def exchanged_label_weights(images, labels, order, weight):
    return blend(images, order, weight), blend(labels, order, 1 - weight)


@mistake(
    "Images and labels are mixed alike, with the weights exchanged: `weight` is what stays of image k, 1 - weight what comes in from "
    "image order[k]."
)
def exchanged_weights(images, labels, order, weight):
    return blend(images, order, 1 - weight), blend(labels, order, 1 - weight)


@mistake(
    "Each image meets the one that should have met it: you use the order the wrong way round. Image k is mixed with images[order[k]], which "
    "is what `images[order]` gives."
)
def inverse_order(images, labels, order, weight):
    inverse = order.argsort()
    return blend(images, inverse, weight), blend(labels, inverse, weight)


@mistake(
    "With one weight for all, all agrees. Here each image has its own, and yours all use the first. A weight of shape (N,) "
    "must get the shape (N, 1, 1, 1) before it meets images."
)
def one_weight_for_all(images, labels, order, weight):
    same = weight[:1].expand_as(weight)
    return blend(images, order, same), blend(labels, order, same)


@mistake(
    "The images are right. Your label is the one of the image with the larger share, and the other one is forgotten. Then the network is told "
    "that a 3 with an 8 in it is a 3 for sure. Keep both, with their shares."
)
def larger_share_alone(images, labels, order, weight):
    return blend(images, order, weight), torch.where((weight >= 0.5)[:, None], labels, labels[order])


@mistake(
    "The labels are right, the images are not: each is mixed with itself, and so has not changed. It is images[order] that comes in."
)
def images_not_permuted(images, labels, order, weight):
    return blend(images, order, weight, images), blend(labels, order, weight)


def _case(title: str, look: str, order, weight, dtype=torch.float64):
    N = len(order)
    images = (torch.arange(N * 2 * 3 * 4, dtype=dtype) / 24).sin().abs().reshape(N, 2, 3, 4)
    labels = torch.eye(5, dtype=dtype)[:N]
    return once(
        title, look, images=images, labels=labels, order=torch.tensor(order, device="cpu"), weight=tensor(weight, dtype)
    )


check = Exercise(
    mixup,
    returns=("images", "labels"),
    cases=[
        _case("two images, equal shares", "Each is half of the one and half of the other.", [1, 0], [0.5, 0.5]),
        _case("two images, 3 to 1", "Equal shares agree: look at which one has the larger.", [1, 0], [0.75, 0.75]),
        _case("four images in a ring", "Pairs agree: look at who meets whom.", [1, 2, 3, 0], [0.6, 0.6, 0.6, 0.6]),
        _case("each with its own weight", "One weight agrees: look at its shape.", [2, 0, 3, 1], [0.9, 0.2, 0.55, 1.0]),
        _case("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", [1, 2, 0], [0.3, 0.8, 0.6], torch.float32),
    ],
    mistakes=[
        labels_not_mixed, exchanged_label_weights, exchanged_weights, inverse_order, one_weight_for_all, larger_share_alone, images_not_permuted,
    ],
    source="course_lib's mixup",
)  # fmt: skip
