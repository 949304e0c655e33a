"""Crops: random to train on, ten at five scales to test with (slide 34)."""

import torch
from torch.nn.functional import interpolate

from course_lib.formulas.augmentation.checks import (
    check,
    check_crop,
    check_short,
)
from course_lib.formulas.augmentation.geometry import sample


def random_resized_crop(images, short, u, v, *, size):
    """A patch of size x size, out of each image made so large that its short
    side has `short` pixels.

    `short`, `u` and `v` have the shape (N,); short >= size, and u and v in
    [0, 1) say where the patch lies between top and bottom, left and right,
    each whole pixel as likely as the others. Returns (N, C, size, size).
    Source: slide 34, short in [256, 480], size 224. Equals interpolate(...,
    mode="bilinear") and a slice, in one warp; nothing is smoothed, so take
    images at most twice as large as `short`.
    """
    check(images, short=short, u=u, v=v)
    check_short(short, size)
    H, W = images.shape[-2:]
    short, u, v = (d.type_as(images) for d in (short, u, v))
    ratio = short / min(H, W)  # of the resized image to the image
    height = torch.floor(short * H / min(H, W))
    width = torch.floor(short * W / min(H, W))
    top = torch.floor(u * (height - size + 1))
    left = torch.floor(v * (width - size + 1))
    pixel = torch.arange(size).type_as(images) + 0.5  # centers
    y = ((top[:, None] + pixel) / ratio[:, None] - H / 2)[:, :, None]
    x = ((left[:, None] + pixel) / ratio[:, None] - W / 2)[:, None, :]
    return sample(images, x, y, padding="border")


def resize(images, short):
    """The images with a short side of `short` pixels, smoothed where they
    become smaller.

    Equals torchvision's resize(images, short, antialias=True).
    """
    check(images)
    H, W = images.shape[-2:]
    size = [max(1, side * short // min(H, W)) for side in (H, W)]
    return interpolate(images, size, mode="bilinear", antialias=True)


def ten_crops(images, size):
    """The four corners and the center, of the images and their mirror images.

    Returns (10, N, C, size, size). Source: slide 34. Equals
    torchvision's ten_crop, stacked.
    """
    check(images)
    check_crop(images, size)
    H, W = images.shape[-2:]
    middle = round((H - size) / 2), round((W - size) / 2)
    corners = (0, 0), (0, W - size), (H - size, 0), (H - size, W - size)
    both = images, images.flip(-1)
    crops = [
        x[..., top : top + size, left : left + size]
        for x in both
        for top, left in (*corners, middle)
    ]
    return torch.stack(crops)


def averaged(network, images, *, size, scales):
    """A network's probabilities, averaged over ten crops at each scale.

    `network` makes logits (n, classes) of images (n, C, size, size);
    `scales` are lengths of the short side. Returns (N, classes). Source:
    slide 34, scales (224, 256, 384, 480, 640) and size 224: 50 passes.
    """
    crops = [ten_crops(resize(images, short), size) for short in scales]
    logits = torch.stack([network(crop) for ten in crops for crop in ten])
    return logits.softmax(dim=-1).mean(dim=0)
