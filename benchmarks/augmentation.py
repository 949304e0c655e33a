"""Augmentation beside torchvision and kornia: the same changes of a batch of 256 x 3 x 64 x 64, each image with its own parameter.

Measurements alternate between all that are compared, so that what else the machine does meets all of them; a ratio is that of
the medians. torchvision's functions take one parameter for a tensor, so it is called once for each image; and once for the whole
batch with one parameter, which is less work, but its best case.
"""

import statistics
import time
import warnings
from collections.abc import Callable

import torch

from benchmarks.table import Row
from course_lib.formulas import augmentation as aug

SHAPE, REPEATS = (256, 3, 64, 64), 15
Work = Callable[[], torch.Tensor]


def in_turn(works: dict[str, Work], repeats: int = REPEATS) -> dict[str, float]:
    """The median seconds of each, measured one after the other again and again, after one round to warm up."""
    seconds = {name: [] for name in works}
    for k in range(repeats + 1):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            if k:
                seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def each_image(change: Callable, images: torch.Tensor, values: torch.Tensor) -> Work:
    """The change of every image with its own parameter, one call an image."""
    return lambda: torch.cat(
        [change(image, value) for image, value in zip(images.split(1), values.tolist(), strict=True)]
    )


def works() -> dict[str, dict[str, Work]]:
    """What is compared: by change, by library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both use parts of PyTorch that are about to go
        import kornia
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional as vision

    source = torch.Generator().manual_seed(0)
    x = torch.rand(SHAPE, generator=source)
    u = torch.rand(SHAPE[0], generator=source)
    degrees, factor = 60 * u - 30, 0.5 + u
    bilinear = {"interpolation": InterpolationMode.BILINEAR}
    rotate = lambda x, angle: vision.rotate(x, angle, **bilinear)
    scale = lambda x, by: vision.affine(x, 0.0, [0, 0], by, [0.0, 0.0], **bilinear)
    pixels = {"align_corners": True}  # in pixels, for images of one size: our convention
    return {
        "rotate": {
            "ours": lambda: aug.rotate(x, degrees),
            "torchvision": each_image(rotate, x, degrees),
            "torchvision, one for all": lambda: rotate(x, 20.0),
            "kornia": lambda: kornia.geometry.rotate(x, degrees, **pixels),
        },
        "scale": {
            "ours": lambda: aug.scale(x, factor),
            "torchvision": each_image(scale, x, factor),
            "torchvision, one for all": lambda: scale(x, 1.3),
            "kornia": lambda: kornia.geometry.scale(x, factor[:, None].expand(-1, 2), **pixels),
        },
        "flip": {
            "ours": lambda: aug.flip(x, u < 0.5),
            "torchvision": each_image(lambda x, v: vision.horizontal_flip(x) if v < 0.5 else x, x, u),
            "torchvision, one for all": lambda: vision.horizontal_flip(x),
            "kornia": lambda: torch.where((u < 0.5)[:, None, None, None], kornia.geometry.hflip(x), x),
        },
        "brightness": {
            "ours": lambda: aug.brightness(x, factor),
            "torchvision": each_image(vision.adjust_brightness, x, factor),
            "torchvision, one for all": lambda: vision.adjust_brightness(x, 1.3),
            "kornia": lambda: kornia.enhance.adjust_brightness_accumulative(x, factor),
        },
        "contrast": {
            "ours": lambda: aug.contrast(x, factor),
            "torchvision": each_image(vision.adjust_contrast, x, factor),
            "torchvision, one for all": lambda: vision.adjust_contrast(x, 1.3),
            "kornia": lambda: kornia.enhance.adjust_contrast_with_mean_subtraction(x, factor),
        },
    }


def rows() -> list[Row]:
    """A row for each change: how many times as fast as the faster peer that does the same work."""
    try:
        every = works()
    except (ImportError, RuntimeError) as error:  # torchvision raises the latter beside a PyTorch of another build
        note = f"not installed: pip install -r benchmarks/requirements.txt ({type(error).__name__})"
        return [Row("augmentation against torchvision and kornia", float("nan"), "", note=note)]
    found = []
    for change, by_library in every.items():
        seconds = in_turn(by_library)
        fastest = min(seconds["torchvision"], seconds["kornia"])
        note = ", ".join(f"{name} {1e3 * taken:.3g} ms" for name, taken in seconds.items())
        what = f"{change}, 256 x 3 x 64 x 64, a parameter an image: against the faster of torchvision and kornia"
        note += f"; {torch.get_num_threads()} threads"
        found.append(Row(what, fastest / seconds["ours"], "times", at_least=1, note=note))
    return found
