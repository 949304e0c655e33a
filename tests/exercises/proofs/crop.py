"""Crops with their boxes: right answers in other styles, changes of the solution that change nothing, and wrong answers that are rejected."""

import functools
import math

import numpy
import torch


def area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def by_loops(images, boxes, u, v, *, size):
    patches, inside, shares = [], [], []
    for k in range(len(images)):
        H, W = images[k].shape[1:]
        top, left = math.floor(u[k].item() * (H - size + 1)), math.floor(v[k].item() * (W - size + 1))
        patches.append(images[k, :, top : top + size, left : left + size])
        x0, y0, x1, y1 = boxes[k].tolist()
        full = (x1 - x0) * (y1 - y0)
        x0, x1 = (min(max(x - left, 0), size) for x in (x0, x1))
        y0, y1 = (min(max(y - top, 0), size) for y in (y0, y1))
        inside.append([x0, y0, x1, y1])
        shares.append((x1 - x0) * (y1 - y0) / full)
    return torch.stack(patches), boxes.new_tensor(inside), boxes.new_tensor(shares)


def by_indices(images, boxes, u, v, *, size):
    N, C, H, W = images.shape
    top, left = (u * (H - size + 1)).long(), (v * (W - size + 1)).long()
    rows, columns = top[:, None] + torch.arange(size), left[:, None] + torch.arange(size)
    patches = images[torch.arange(N)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    inside = (boxes - torch.stack([left, top, left, top], 1)).clamp(0, size)
    return patches, inside, area(inside) / area(boxes)


def by_gather(images, boxes, u, v, *, size):
    N, C, H, W = images.shape
    top, left = torch.floor(u * (H - size + 1)), torch.floor(v * (W - size + 1))
    rows = (top[:, None] + torch.arange(size)).long()[:, None, :, None].expand(N, C, size, W)
    columns = (left[:, None] + torch.arange(size)).long()[:, None, None, :].expand(N, C, size, size)
    patches = images.gather(2, rows).gather(3, columns)
    moved = torch.stack([boxes[:, 0] - left, boxes[:, 1] - top, boxes[:, 2] - left, boxes[:, 3] - top], -1)
    inside = moved.clip(min=0).clip(max=size)
    return [patches, inside, area(inside).div(area(boxes))]


def by_unfold(x, box, down, right, *, size):
    """All patches, of which each image takes one."""
    every = x.unfold(2, size, 1).unfold(3, size, 1)  # (N, C, places, places, size, size)
    top, left = (down * every.shape[2]).int(), (right * every.shape[3]).int()
    patches = torch.stack([every[k, :, i, j] for k, (i, j) in enumerate(zip(top, left))])
    inside = torch.minimum((box - torch.stack([left, top] * 2, 1)).relu(), torch.tensor(size))
    return patches, inside, (inside[:, 2:] - inside[:, :2]).prod(1) / (box[:, 2:] - box[:, :2]).prod(1)


def through_numpy(images, boxes, u, v, *, size):
    x, b, du, dv = (value.numpy() for value in (images, boxes, u, v))
    H, W = x.shape[2:]
    top, left = numpy.floor(du * (H - size + 1)).astype(int), numpy.floor(dv * (W - size + 1)).astype(int)
    patches = numpy.array([a[:, i : i + size, j : j + size] for a, i, j in zip(x, top, left)])
    inside = numpy.clip(b - numpy.stack([left, top, left, top], 1).astype(b.dtype), 0, size)
    share = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1]) / ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]))
    return tuple(map(torch.from_numpy, (patches, inside, share)))


def in_place_on_copies(images, boxes, u, v, *, size):
    inside = boxes.clone()
    top, left = ((draw * (side - size + 1)).floor() for draw, side in zip((u, v), images.shape[-2:]))
    inside[:, 0::2] -= left[:, None]
    inside[:, 1::2] -= top[:, None]
    inside.clamp_(0, size)
    patches = torch.empty(*images.shape[:2], size, size, dtype=images.dtype)
    for patch, image, i, j in zip(patches, images, top.int().tolist(), left.int().tolist()):
        patch.copy_(image[:, i : i + size, j : j + size])
    return patches, inside, area(inside) / area(boxes)


def with_helpers(images, boxes, u, v, *, size):
    def place(draw, side):
        return int(float(draw) * (side - size + 1))

    def one(image, box, i, j):
        corner = box.new_tensor([j, i, j, i])
        inside = torch.clamp(box - corner, 0, size)
        return image.narrow(1, i, size).narrow(2, j, size), inside, area(inside[None])[0] / area(box[None])[0]

    H, W = images.shape[2], images.shape[3]
    parts = [one(x, b, place(p, H), place(q, W)) for x, b, p, q in zip(images, boxes, u, v)]
    return tuple(torch.stack(part) for part in zip(*parts))


def in_float64_inside(images, boxes, u, v, *, size):
    H, W = images.shape[2:]
    top, left = u.double().mul(H - size + 1).floor(), v.double().mul(W - size + 1).floor()
    inside = (boxes.double() - torch.stack([left, top, left, top], dim=1)).clamp(0, size)
    share = area(inside) / area(boxes.double())
    patches = [x[:, int(i) :][:, :size][:, :, int(j) :][:, :, :size] for x, i, j in zip(images, top, left)]
    return torch.stack(patches), inside.to(boxes.dtype), share.to(boxes.dtype)


@torch.inference_mode()
def without_autograd(images, boxes, u, v, *, size):
    return by_indices(images, boxes, u, v, size=size)


def recursive(images, boxes, u, v, *, size):
    first = by_loops(images[:1], boxes[:1], u[:1], v[:1], size=size)
    if len(images) == 1:
        return first
    return tuple(map(torch.cat, zip(first, recursive(images[1:], boxes[1:], u[1:], v[1:], size=size))))


def by_a_mask(images, boxes, u, v, *, size):
    N, C, H, W = images.shape
    top, left = torch.floor(u * (H - size + 1))[:, None], torch.floor(v * (W - size + 1))[:, None]
    i, j = torch.arange(H), torch.arange(W)
    rows, columns = (i >= top) & (i < top + size), (j >= left) & (j < left + size)
    mask = rows[:, None, :, None] & columns[:, None, None, :]
    patches = images[mask.expand_as(images)].reshape(N, C, size, size)
    inside = boxes - torch.cat([left, top, left, top], 1)
    inside = torch.where(inside < 0, 0.0, torch.where(inside > size, float(size), inside)).to(boxes.dtype)
    return patches, inside, area(inside) / area(boxes)


class Cropper:
    """An object for a size, called once for each image."""

    def __init__(self, size):
        self.size = size

    def __call__(self, image, box, u, v):
        i, j = (int(draw * (side - self.size + 1)) for draw, side in ((u, image.size(1)), (v, image.size(2))))
        low, high = box[:2], box[2:]
        low, high = ((x - torch.tensor([j, i])).clamp(0, self.size) for x in (low, high))
        share = torch.prod(high - low) / torch.prod(box[2:] - box[:2])
        return image[..., i : i + self.size, j : j + self.size], torch.cat([low, high]), share


def an_object(images, boxes, u, v, *, size):
    patches, inside, share = zip(*map(Cropper(size), images, boxes, u, v))
    return torch.stack(patches), torch.stack(inside), torch.stack(share)


with_a_partial = functools.partial(by_gather, size=1)
with_a_partial.__name__ = "with_a_partial"

STYLES = [
    by_loops,
    by_indices,
    by_gather,
    by_unfold,
    through_numpy,
    in_place_on_copies,
    with_helpers,
    in_float64_inside,
    without_autograd,
    recursive,
    by_a_mask,
    an_object,
    with_a_partial,
]

EQUIVALENT = {
    "1: images -> -images": "only its shape is asked for",
    "1: images -> abs(images)": "only its shape is asked for",
    "1: -2 -> 2": "of four dimensions the last two begin at 2",
    "2: u -> abs(u)": "draws are never negative",
    "3: v -> abs(v)": "draws are never negative",
    "7: boxes -> abs(boxes)": "no box begins outside of its image",
    "9: boxes -> abs(boxes)": "no box begins outside of its image",
    "9: boxes -> -boxes": "an area is a product of two lengths, which both change their signs",
    "8: box[:, 2] - box[:, 0] -> box[:, 0] - box[:, 2]": "both areas change their signs, and their ratio does not",
    "8: box[:, 3] - box[:, 1] -> box[:, 1] - box[:, 3]": "both areas change their signs, and their ratio does not",
}


def whole_pixels(images, boxes, u, v, *, size):
    """Rounds the boxes, as if they were indices."""
    patches, inside, left = by_gather(images, boxes, u, v, size=size)
    return patches, inside.round(), left


def not_below_0(images, boxes, u, v, *, size):
    patches, _, _ = by_gather(images, boxes, u, v, size=size)
    top, left = torch.floor(u * (images.shape[2] - size + 1)), torch.floor(v * (images.shape[3] - size + 1))
    inside = (boxes - torch.stack([left, top, left, top], 1)).clamp(max=size)
    return patches, inside, area(inside) / area(boxes)


def share_of_what_goes_on(images, boxes, u, v, *, size):
    """Boxes are right, but the share is of the box not cut off on the left and above."""
    patches, inside, _ = by_gather(images, boxes, u, v, size=size)
    return patches, inside, area(not_below_0(images, boxes, u, v, size=size)[1]) / area(boxes)


def square_images_alone(images, boxes, u, v, *, size):
    side = max(images.shape[2:])
    padded = images.new_zeros(*images.shape[:2], side, side)
    padded[:, :, : images.shape[2], : images.shape[3]] = images
    return by_gather(padded, boxes, u, v, size=size)


def one_image_alone(images, boxes, u, v, *, size):
    parts = by_gather(images[:1], boxes[:1], u[:1], v[:1], size=size)
    return [part.expand(len(images), *part.shape[1:]) for part in parts]


def one_draw_for_both(images, boxes, u, v, *, size):
    return by_gather(images, boxes, u, u, size=size)


def rounded_up(images, boxes, u, v, *, size):
    H, W = images.shape[2:]
    up = [(draw * (side - size + 1)).ceil().sub(1).clamp(min=0) for draw, side in ((u, H), (v, W))]
    return by_gather(images, boxes, (up[0] + 0.5) / (H - size + 1), (up[1] + 0.5) / (W - size + 1), size=size)


def at_most_the_last(images, boxes, u, v, *, size):
    """Rounds to the nearest of the right number of places."""
    H, W = images.shape[2:]
    i, j = (u * (H - size + 1)).round().clamp(max=H - size), (v * (W - size + 1)).round().clamp(max=W - size)
    return by_gather(images, boxes, (i + 0.5) / (H - size + 1), (j + 0.5) / (W - size + 1), size=size)


def moves_the_callers_boxes(images, boxes, u, v, *, size):
    parts = by_gather(images, boxes, u, v, size=size)
    boxes.data.copy_(parts[1])
    return parts


def colors_cut_off(images, boxes, u, v, *, size):
    patches, inside, left = by_gather(images, boxes, u, v, size=size)
    return patches.clamp(0, 1), inside, left


SEEN = {}


def keeps_its_first_places(images, boxes, u, v, *, size):
    u, v = SEEN.setdefault(len(images), (u, v))
    return by_gather(images, boxes, u, v, size=size)


def its_own_draws(images, boxes, u, v, *, size):
    return by_gather(images, boxes, torch.rand_like(u), torch.rand_like(v), size=size)


WRONG = [
    whole_pixels,
    not_below_0,
    share_of_what_goes_on,
    square_images_alone,
    one_image_alone,
    one_draw_for_both,
    rounded_up,
    at_most_the_last,
    moves_the_callers_boxes,
    colors_cut_off,
    keeps_its_first_places,
    its_own_draws,
]
