"""Beyond the lecture: a square cut out, two images mixed with their labels."""

import torch

from course_lib.formulas.augmentation.checks import check, check_labels


def square(images, u, v, height, width):
    """True inside of a box, (N, 1, H, W), cut off at the image's border.

    Its center lies at u and v, (N,) in [0, 1), of the image's height and
    width; `height` and `width`, in pixels, are numbers or (N, 1).
    """
    H, W = images.shape[-2:]
    y = torch.arange(H).type_as(images) + 0.5 - u.type_as(images)[:, None] * H
    x = torch.arange(W).type_as(images) + 0.5 - v.type_as(images)[:, None] * W
    in_rows, in_columns = y.abs() <= height / 2, x.abs() <= width / 2  # (N, H)
    return in_rows[:, None, :, None] & in_columns[:, None, None, :]


def cutout(images, u, v, *, size):
    """A square of size x size pixels made black; only part of it where it
    crosses the border.

    `u` and `v`, (N,) in [0, 1), say where its center lies. Source:
    DeVries and Taylor (2017).
    """
    check(images, u=u, v=v)
    return torch.where(square(images, u, v, size, size), 0.0, images)


def mixup(images, labels, order, weight):
    """Each image blended with another one, its label in the same way.

    `labels` are probabilities, (N, classes); `order`, (N,), is a permutation:
    image k meets image order[k]; `weight`, (N,) in [0, 1], is what stays of
    image k. Returns images and labels. Source: Zhang et al. (2018), who
    draw the weight from Beta(α, α).
    """
    check(images, order=order, weight=weight)
    check_labels(images, labels)
    w = weight.type_as(images)[:, None, None, None]
    mixed = w * images + (1 - w) * images[order]
    w = weight.type_as(labels)[:, None]
    return mixed, w * labels + (1 - w) * labels[order]


def cutmix(images, labels, order, weight, u, v):
    """A box of another image pasted in; the label is mixed by area.

    The box has the share 1 - weight of the image's area and its center at u
    and v, (N,) in [0, 1); the rest as in mixup. Where the box crosses the
    border, the label counts what is really left. Returns images and
    labels. Source: Yun et al. (2019).
    """
    check(images, order=order, weight=weight, u=u, v=v)
    check_labels(images, labels)
    H, W = images.shape[-2:]
    side = (1 - weight.type_as(images)).sqrt()[:, None]  # as a share of H and W
    box = square(images, u, v, side * H, side * W)  # (N, 1, H, W)
    share = box.type_as(labels).mean(dim=(1, 2, 3))[:, None]  # the other one's
    mixed = torch.where(box, images[order], images)
    return mixed, (1 - share) * labels + share * labels[order]
