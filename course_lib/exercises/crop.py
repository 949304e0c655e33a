"""Exercise: random crops of images together with their boxes."""

import torch

from course_lib.exercises.cases import once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake


def area(boxes):
    """The areas of boxes (left, top, right, bottom), (N,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def cut(images, top, left, size):
    """A patch of each image at its own place."""
    places = zip(images, top.tolist(), left.tolist())
    return torch.stack([image[:, int(i) : int(i) + size, int(j) : int(j) + size] for image, i, j in places])


def corners(images, u, v, size):
    """The first row and column of each patch."""
    H, W = images.shape[-2:]
    return torch.floor(u * (H - size + 1)), torch.floor(v * (W - size + 1))


def moved(boxes, top, left):
    """The boxes, counted from the patches' corners."""
    return boxes - torch.stack([left, top, left, top], dim=1).to(boxes)


def crop(images, boxes, u, v, *, size):
    """Each image's patch, its box in the patch, and the share of the box that is left."""
    top, left = corners(images, u, v, size)
    inside = moved(boxes, top, left).clamp(0, size)
    return cut(images, top, left, size), inside, area(inside) / area(boxes)


@mistake(
    "The last row or column is never reached: with a draw of nearly 1 your patch ends one pixel early. From 0 to H - size there are "
    "H - size + 1 places, and each should be as likely as the others: multiply by that number, and cut the fraction off."
)
def misses_the_last_place(images, boxes, u, v, *, size):
    H, W = images.shape[-2:]
    top, left = torch.floor(u * (H - size)), torch.floor(v * (W - size))
    inside = moved(boxes, top, left).clamp(0, size)
    return cut(images, top, left, size), inside, area(inside) / area(boxes)


@mistake(
    "You round the place to the nearest pixel. Then the first and the last place are half as likely as the others, for only half as many "
    "numbers are rounded to them. Multiply by the number of places, and cut the fraction off."
)
def rounds_the_place(images, boxes, u, v, *, size):
    H, W = images.shape[-2:]
    top, left = torch.round(u * (H - size)), torch.round(v * (W - size))
    inside = moved(boxes, top, left).clamp(0, size)
    return cut(images, top, left, size), inside, area(inside) / area(boxes)


@mistake(
    "Your patch lies where the draws, exchanged, would put it. The first draw, u, goes from top to bottom, v from left to right. Images "
    "have the shape (N, C, H, W): rows come before columns."
)
def exchanged_draws(images, boxes, u, v, *, size):
    return crop(images, boxes, v, u, size=size)


@mistake(
    "The patches are right, but the boxes are still counted from the corner of the whole image. A crop moves the origin: what the "
    "box's numbers mean has changed, so the numbers must."
)
def boxes_not_moved(images, boxes, u, v, *, size):
    top, left = corners(images, u, v, size)
    inside = boxes.clamp(0, size)
    return cut(images, top, left, size), inside, area(inside) / area(boxes)


@mistake(
    "The boxes move the wrong way. If the patch begins at row 3, then row 5 of the image is row 2 of the patch: subtract the corner."
)
def boxes_moved_the_wrong_way(images, boxes, u, v, *, size):
    top, left = corners(images, u, v, size)
    inside = moved(boxes, -top, -left).clamp(0, size)
    return cut(images, top, left, size), inside, area(inside) / area(boxes)


@mistake(
    "The patches are right, but the boxes have moved by the top where they should by the left. A box is (left, top, right, bottom): x comes "
    "first there, while rows come first in an image. This exchange is the most common one of all."
)
def exchanged_corners(images, boxes, u, v, *, size):
    top, left = corners(images, u, v, size)
    inside = moved(boxes, left, top).clamp(0, size)
    return cut(images, top, left, size), inside, area(inside) / area(boxes)


@mistake(
    "While the box lies inside of the patch, all agrees. Here it crosses the border, and yours goes on outside: cut it off at 0 and at "
    "`size`, before you measure what is left of it."
)
def not_cut_off(images, boxes, u, v, *, size):
    top, left = corners(images, u, v, size)
    inside = moved(boxes, top, left)
    return cut(images, top, left, size), inside, area(inside) / area(boxes)


@mistake(
    "The boxes are cut off one pixel early. They are borders between pixels, not numbers of pixels: a box that fills the patch goes "
    "from 0 to `size`, not to size - 1."
)
def cut_off_one_pixel_early(images, boxes, u, v, *, size):
    top, left = corners(images, u, v, size)
    inside = moved(boxes, top, left).clamp(0, size - 1)
    return cut(images, top, left, size), inside, area(inside) / area(boxes)


@mistake(
    "One image agrees. With several, all your patches lie at the first one's place. Each image has draws of its own: with one place for "
    "all, a batch holds the same change 32 times."
)
def one_place_for_all(images, boxes, u, v, *, size):
    return crop(images, boxes, u[:1].expand_as(u), v[:1].expand_as(v), size=size)


@mistake(
    "Patches and boxes are right. `left` is {yours[left]} instead of {right[left]}: you divide by the patch's area, and so measure how much of "
    "the picture the object fills. What tells whether the label still holds is how much of the *object* is there."
)
def share_of_the_patch(images, boxes, u, v, *, size):
    patches, inside, _ = crop(images, boxes, u, v, size=size)
    return patches, inside, area(inside) / size**2


def _pictures(N: int, H: int, W: int) -> torch.Tensor:
    """Images whose every pixel has a value of its own."""
    return (torch.arange(N * 2 * H * W, dtype=torch.float64, device="cpu") / (N * 2 * H * W)).reshape(N, 2, H, W)


def _given(shape: tuple[int, int, int], boxes, u, v, size: int, images=None, dtype=torch.float64) -> dict:
    tensors = {name: tensor(x, dtype) for name, x in {"boxes": boxes, "u": u, "v": v}.items()}
    return {"images": (_pictures(*shape) if images is None else images).to(dtype), **tensors, "size": size}


def _around(*boxes) -> list[dict]:
    """One call for each of the boxes: the patch goes from row 2 to 6 and from column 3 to 7."""
    return [_given((1, 8, 9), [box], [0.5], [0.6], 4) for box in boxes]


BOXES = [[2.0, 1.0, 6.0, 4.0], [0.0, 0.0, 3.0, 2.0], [4.5, 2.0, 8.0, 5.5]]
check = Exercise(
    crop,
    returns=("patches", "boxes", "left"),
    cases=[
        once("the patch at the top left", "", **_given((1, 8, 8), [[1.1, 2.0, 3.0, 5.3]], [0.0], [0.0], 6)),
        several(
            "the box crosses the right or the lower border",
            "A box inside agrees: look at the numbers at which it is cut off, and at those that make the two areas and their ratio.",
            _given((1, 8, 8), [[1.1, 2.0, 7.3, 5.3]], [0.0], [0.0], 6),
            _given((1, 8, 8), [[1.1, 2.0, 3.0, 7.6]], [0.0], [0.0], 6),
            about=("box", "area", "inside", "constant", "clamp"),
        ),
        several(
            "further down, further right",
            "The first place agrees: look at how a draw becomes a place, and at where the box's numbers are counted from.",
            _given((1, 8, 8), [[1.0, 3.2, 3.1, 6.7]], [0.7], [0.0], 5),
            _given((1, 8, 8), [[3.2, 0.4, 6.7, 3.1]], [0.0], [0.7], 5),
            about=("u", "v", "H", "W", "top", "left", "rows", "columns", "corner"),
        ),
        once(
            "the last place",
            "Look at the largest draw, nearly 1: at how many places does the patch fit?",
            about=("H", "W"),
            **_given((1, 7, 7), [[3.0, 3.0, 7.0, 6.0]], [0.99], [0.99], 4),
        ),
        several(
            "a wide image, a high one",
            "Square images agree: look for height and width exchanged.",
            _given((1, 6, 9), [[4.0, 1.0, 6.0, 3.0]], [0.3], [0.7], 4),
            _given((1, 9, 6), [[1.0, 3.0, 2.0, 5.0]], [0.55], [0.4], 4),
            about=("H", "W"),
        ),
        once(
            "draws that come to whole numbers",
            "Other draws agree. Half of 4 places is place number 2: the fraction is cut off, and there is none.",
            about=("comparison", "constant"),
            **_given((1, 8, 8), [[3.0, 3.0, 5.0, 5.5]], [0.5], [0.25], 5),
        ),
        several(
            "the box crosses one border, or all four",
            "Boxes inside agree here: look at each of the patch's borders by itself.",
            *_around(
                [1.0, 3.0, 5.5, 5.0],
                [4.0, 0.5, 6.0, 5.0],
                [4.0, 3.0, 8.5, 5.0],
                [4.0, 3.0, 6.0, 7.5],
                [2.0, 1.0, 8.0, 8.0],
            ),
            about=("clamp", "size", "constant", "box"),
        ),
        several(
            "nothing of the box is left",
            "The box lies outside, so that its area in the patch is 0: look at what is cut off, on both sides of it.",
            *_around([7.5, 6.5, 9.0, 8.0], [0.0, 0.0, 2.0, 1.0], [7.5, 3.0, 9.0, 5.0], [4.0, 0.0, 6.0, 1.5]),
            about=("clamp",),
        ),
        once(
            "three images, three places",
            "One image agrees: each has its own place.",
            about=("zip", "stack"),
            **_given((3, 6, 9), BOXES, [0.1, 0.9, 0.5], [0.4, 0.0, 0.8], 4),
        ),
        several(
            "a patch of one pixel, and one as large as the image",
            "Other sizes agree: how many places are there now?",
            _given((2, 4, 5), [[1.0, 0.0, 4.0, 2.5], [0.0, 1.0, 5.0, 4.0]], [0.3, 0.8], [0.7, 0.2], 1),
            _given((2, 4, 4), [[1.0, 0.0, 3.5, 2.5], [0.0, 1.0, 4.0, 4.0]], [0.3, 0.9], [0.7, 0.2], 4),
            about=("size",),
        ),
        once(
            "images after standardizing",
            "Colors from 0 to 1 agree. Here pixels lie on both sides of 0, and a crop leaves them as they are.",
            about=("images",),
            **_given((2, 8, 8), BOXES[:2], [0.6, 0.2], [0.3, 0.7], 5, images=3 * _pictures(2, 8, 8) - 1.7),
        ),
        once(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision.",
            about=("float32",),
            **_given((2, 8, 8), BOXES[:2], [0.6, 0.2], [0.3, 0.7], 5, dtype=torch.float32),
        ),
    ],
    mistakes=[
        misses_the_last_place,
        rounds_the_place,
        exchanged_draws,
        boxes_not_moved,
        boxes_moved_the_wrong_way,
        exchanged_corners,
        not_cut_off,
        cut_off_one_pixel_early,
        one_place_for_all,
        share_of_the_patch,
    ],
    source="slices by hand",
)
