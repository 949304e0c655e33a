"""Pixels moved: shift, flip, and one inverse warp for all the others.

A place (x, y) is counted in pixels from the image's center, x to the right,
y down. Each formula answers the inverse question: from where in the input
is the output's pixel at (x, y) taken?
"""

import math

import torch
from torch.nn.functional import grid_sample

from course_lib.formulas.augmentation.checks import check

# --- whole pixels


def shift(images, down, right):
    """The images moved by whole pixels; what comes in is 0 (black).

    `images` has the shape (N, C, H, W); `down` and `right`, (N,), are whole
    numbers, negative for up and left. Source: slide 31. Equals
    torch.roll of each image with the pixels that wrap around set to 0.
    """
    check(images, down=down, right=right)
    N, C, H, W = images.shape
    rows = torch.arange(H).type_as(down) - down[:, None]  # (N, H)
    columns = torch.arange(W).type_as(right) - right[:, None]  # (N, W)
    in_rows = (rows >= 0) & (rows < H)
    in_columns = (columns >= 0) & (columns < W)
    rows = torch.where(in_rows, rows, 0).long()[:, None, :, None]
    columns = torch.where(in_columns, columns, 0).long()[:, None, None, :]
    n = torch.arange(N).type_as(rows)[:, None, None, None]
    c = torch.arange(C).type_as(rows)[:, None, None]
    moved = images[n, c, rows, columns]  # (N, C, H, W)
    inside = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return torch.where(inside, moved, torch.zeros_like(moved))


def flip(images, chosen):
    """The chosen images mirrored, left for right.

    `chosen`, (N,), is True where an image is to be mirrored. Source:
    slide 33. Equals torch.flip(images, [-1]) for those.
    """
    check(images, chosen=chosen)
    weight = (chosen != 0).type_as(images)[:, None, None, None]  # 0 or 1
    return torch.lerp(images, images.flip(-1), weight)  # faster than where


# --- where the output's pixel comes from


def translated(x, y, down, right):
    """From `down` pixels above and `right` pixels to the left."""
    return x - right, y - down


def rotated(x, y, degrees):
    """The image turns counterclockwise: its pixels come from clockwise."""
    angle = degrees * (math.pi / 180)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return x * cos - y * sin, x * sin + y * cos


def scaled(x, y, factor):
    """An image twice as large takes its pixels from half as far away."""
    return x / factor, y / factor


def stretched(x, y, factor):
    """Wider by the factor, as high as before."""
    return x / factor, y


def sheared(x, y, degrees):
    """Vertical lines lean to the right by the angle, rows stay rows."""
    return x + y * torch.tan(degrees * (math.pi / 180)), y


def lens_distorted(x, y, k, radius):
    """k > 0 is a barrel, k < 0 a pincushion; corners are `radius` away.

    Source: Brown (1966), the first radial term.
    """
    bent = 1 + k * (x**2 + y**2) / radius**2
    return x * bent, y * bent


def affine(x, y, down, right, degrees, factor, stretch, shear):
    """All of them in one: sheared, stretched, scaled, rotated, translated."""
    x, y = translated(x, y, down, right)
    x, y = rotated(x, y, degrees)
    x, y = scaled(x, y, factor)
    x, y = stretched(x, y, stretch)
    return sheared(x, y, shear)


# --- the warp


def places(images):
    """The centers of the pixels, from the image's center: x of the shape
    (1, 1, W), y of the shape (1, H, 1)."""
    H, W = images.shape[-2:]
    x = torch.arange(W).type_as(images) - (W - 1) / 2
    y = torch.arange(H).type_as(images) - (H - 1) / 2
    return x[None, None, :], y[None, :, None]


def sample(images, x, y, padding="zeros"):
    """The images at the places (x, y), between pixels bilinearly.

    `x` and `y` broadcast to (N, height, width), that of the result. The image
    ends half a pixel beyond the outer centers; outside is black, or, with
    padding="border", its last pixel. Equals grid_sample with
    align_corners=False, whose coordinates are 2/W of ours.
    """
    H, W = images.shape[-2:]
    x, y = torch.broadcast_tensors(x * (2 / W), y * (2 / H))
    grid = torch.stack((x, y), dim=-1)  # (N, height, width, 2)
    options = {"mode": "bilinear", "padding_mode": padding}
    return grid_sample(images, grid, align_corners=False, **options)


def bilinear(a, b, c, d, right, down):
    """A value between four: a and b lie in one row, c and d one row below,
    the place `right` of a and c and `down` from a and b, both in [0, 1).

    Equals what grid_sample does with each pixel.
    """
    upper, lower = a + right * (b - a), c + right * (d - c)
    return upper + down * (lower - upper)


def warp(images, source, *draws):
    """Each output pixel (x, y) of the images taken from source(x, y, *draws).

    `images` has the shape (N, C, H, W), each of the `draws` (N,).
    """
    x, y = places(images)
    draws = [d.type_as(images)[:, None, None] for d in draws]  # (N, 1, 1)
    return sample(images, *source(x, y, *draws))


def warp_affine(images, source, *draws):
    """What warp does, for a source that is affine in x and y.

    Such a map is a sum: what x does alone and what y does alone, less where
    the center goes. So one addition makes the grid of all pixels.
    """
    x, y = places(images)
    zero = torch.zeros_like(y[:, :1])  # (1, 1, 1)
    draws = [d.type_as(images)[:, None, None] for d in draws]  # (N, 1, 1)
    H, W = images.shape[-2:]
    pair = lambda u, v: torch.broadcast_tensors(2 / W * u, 2 / H * v)
    columns, rows, center = (
        torch.stack(pair(*source(*at, *draws)), dim=-1)
        for at in ((x, zero), (zero, y), (zero, zero))
    )  # (N, 1, W, 2), (N, H, 1, 2), (N, 1, 1, 2)
    grid = columns + (rows - center)
    return grid_sample(images, grid, mode="bilinear", align_corners=False)


def translate(images, down, right):
    """The images moved by pixels and parts of them; what comes in is black.

    `down` and `right` have the shape (N,). Source: slides 31 and 36.
    """
    check(images, down=down, right=right)
    return warp_affine(images, translated, down, right)


def rotate(images, degrees):
    """The images turned counterclockwise about their center.

    `degrees` has the shape (N,). Source: slides 31 and 36. Equals
    torchvision's rotate(image, degrees, BILINEAR) but for its border.
    """
    check(images, degrees=degrees)
    return warp_affine(images, rotated, degrees)


def scale(images, factor):
    """The images magnified about their center, or made smaller by factors < 1.

    `factor`, (N,), is above 0. Source: slide 31.
    """
    check(images, factor=factor)
    return warp_affine(images, scaled, factor)


def stretch(images, factor):
    """The images made wider, or narrower by a factor below 1.

    `factor`, (N,), is above 0. Source: slide 36.
    """
    check(images, factor=factor)
    return warp_affine(images, stretched, factor)


def shear(images, degrees):
    """The images leaning to the right by an angle between -90° and 90°.

    `degrees` has the shape (N,). Source: slide 36.
    """
    check(images, degrees=degrees)
    return warp_affine(images, sheared, degrees)


def distort(images, k):
    """The images as a cheap lens sees them: barrels for k > 0, pincushions for
    k < 0.

    `k`, (N,), lies above -1/3: below, corners fold over. Source: slide 36
    ("lens distortions"); Brown (1966), the first radial term.
    """
    check(images, k=k)
    H, W = images.shape[-2:]
    bend = lambda x, y, k: lens_distorted(x, y, k, math.hypot(H, W) / 2)
    return warp(images, bend, k)
