"""Exercise: mixup, the images and their labels."""

import torch

from course_lib.exercises.cases import once, several, tensor
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


def _images(N: int, C: int, H: int, W: int) -> torch.Tensor:
    """Colors between 0 and 1, without a pattern."""
    return torch.arange(N * C * H * W, dtype=torch.float64, device="cpu").add(1).sin().abs().reshape(N, C, H, W)


def _soft(N: int, classes: int) -> torch.Tensor:
    """Labels that are in doubt: probabilities, each row another one."""
    return torch.arange(N * classes, dtype=torch.float64, device="cpu").mul(1.7).cos().reshape(N, classes).softmax(1)


def _given(order, weight, images=None, labels=None, dtype=torch.float64) -> dict:
    N = len(order)
    images = _images(N, 2, 3, 4) if images is None else images
    labels = torch.eye(5, dtype=torch.float64, device="cpu")[:N] if labels is None else labels
    order = torch.tensor(order, device="cpu")
    return {"images": images.to(dtype), "labels": labels.to(dtype), "order": order, "weight": tensor(weight, dtype)}


check = Exercise(
    mixup,
    returns=("images", "labels"),
    cases=[
        once("two images, equal shares", "", **_given([1, 0], [0.5, 0.5])),
        once(
            "two images, 7 to 3",
            "Equal shares agree: look at which one has the larger.",
            about=("w", "weight"),
            **_given([1, 0], [0.7, 0.7]),
        ),
        once(
            "four images in a ring",
            "Pairs agree: look at who meets whom.",
            about=("order",),
            **_given([1, 2, 3, 0], [0.6, 0.6, 0.6, 0.6]),
        ),
        once(
            "each with its own weight",
            "One weight for all agrees: look at its shape.",
            about=("weight", "shape"),
            **_given([2, 0, 3, 1], [0.9, 0.2, 0.55, 0.35]),
        ),
        once(
            "weights 0 and 1, and an image that meets itself",
            "Weights in between agree. What stays of an image of weight 0, and of one of weight 1?",
            about=("comparison", "zero"),
            **_given([2, 1, 3, 0], [0.0, 0.4, 1.0, 0.8]),
        ),
        once(
            "labels that are in doubt already",
            "Labels of one class agree. These are probabilities before the mix: blend each entry, with no look for the largest.",
            about=("labels",),
            **_given([1, 2, 0], [0.8, 0.3, 0.6], labels=_soft(3, 4)),
        ),
        once(
            "images after standardizing",
            "Colors from 0 to 1 agree. Here pixels lie on both sides of 0, and mix in the same way: look for `abs` or `clamp`.",
            about=("abs", "images"),
            **_given([1, 2, 0], [0.3, 0.8, 0.55], images=3 * (_images(3, 2, 3, 4) - 0.45)),
        ),
        several(
            "one image, many images, and all sizes alike",
            "Batches of 2 to 4 agree: look for a size that is written as a number, or that is taken from the wrong dimension.",
            _given([0], [0.35], images=_images(1, 1, 2, 1), labels=_soft(1, 2)),
            _given([2, 0, 1], [0.35, 0.9, 0.15], images=_images(3, 3, 3, 3), labels=_soft(3, 3)),
            _given(
                [*range(3, 12), 0, 1, 2], [k / 13 for k in range(12)], images=_images(12, 3, 1, 5), labels=_soft(12, 2)
            ),
            about=("constant", "shape"),
        ),
        once(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision.",
            about=("float32",),
            **_given([1, 2, 0], [0.3, 0.8, 0.6], dtype=torch.float32),
        ),
    ],
    mistakes=[
        labels_not_mixed,
        exchanged_label_weights,
        exchanged_weights,
        inverse_order,
        one_weight_for_all,
        larger_share_alone,
        images_not_permuted,
    ],
    source="course_lib's mixup",
)
