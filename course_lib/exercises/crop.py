"""Exercise: random crops of images together with their boxes."""

import torch

from course_lib.exercises.cases import once, tensor
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
    return (torch.arange(N * 2 * H * W, dtype=torch.float64) / (N * 2 * H * W)).reshape(N, 2, H, W)


def _case(title: str, look: str, shape: tuple[int, int, int], boxes, u, v, size: int, dtype=torch.float64):
    given = {"boxes": boxes, "u": u, "v": v}
    tensors = {name: tensor(x, dtype) for name, x in given.items()}
    return once(title, look, images=_pictures(*shape).to(dtype), **tensors, size=size)


BOXES = [[2.0, 1.0, 6.0, 4.0], [0.0, 0.0, 3.0, 2.0], [4.5, 2.0, 8.0, 5.5]]
check = Exercise(
    crop,
    returns=("patches", "boxes", "left"),
    cases=[
        _case("the patch at the top left", "Nothing moves here: look at the slices.", (1, 8, 8), [[1.0, 2.0, 3.0, 5.0]], [0.0], [0.0], 6),
        _case("further down", "The first place agrees: look at how the draw becomes a place.", (1, 8, 8), [[3.0, 3.0, 6.0, 7.0]], [0.5], [0.1], 5),
        _case("the last place", "Look at the largest draw, nearly 1.", (1, 7, 7), [[3.0, 3.0, 7.0, 6.0]], [0.99], [0.99], 4),
        _case("a wide image", "Square images agree: look for height and width exchanged.", (1, 6, 9), [[4.0, 1.0, 6.0, 3.0]], [0.3], [0.7], 4),
        _case("the box crosses the border", "Boxes inside agree: look at the border of the patch.", (1, 8, 8), [[0.0, 1.0, 5.0, 7.5]], [0.4], [0.7], 5),
        _case("nothing of the box is left", "Look at what is cut off on both sides.", (1, 8, 8), [[6.0, 6.0, 8.0, 7.0]], [0.0], [0.0], 4),
        _case("three images, three places", "One image agrees: each has its own place.", (3, 6, 9), BOXES, [0.1, 0.9, 0.5], [0.4, 0.0, 0.8], 4),
        _case("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", (2, 8, 8), BOXES[:2], [0.6, 0.2], [0.3, 0.7], 5, torch.float32),
    ],
    mistakes=[
        misses_the_last_place, rounds_the_place, exchanged_draws, boxes_not_moved, boxes_moved_the_wrong_way, exchanged_corners,
        not_cut_off, cut_off_one_pixel_early, one_place_for_all, share_of_the_patch,
    ],
    source="slices by hand",
)  # fmt: skip
