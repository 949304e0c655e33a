"""Augmentation beside torchvision and kornia on the same parameters, where they are installed: benchmarks/requirements.txt has them."""

import warnings

import pytest
import torch

from course_lib.formulas import augmentation as aug

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # both use parts of PyTorch that are about to go
    vision = pytest.importorskip("torchvision.transforms.v2.functional", reason="needs benchmarks/requirements.txt")
    kornia = pytest.importorskip("kornia", reason="needs benchmarks/requirements.txt")
    from torchvision.transforms import InterpolationMode

BILINEAR = {"interpolation": InterpolationMode.BILINEAR}
N, H, W = 3, 20, 30


@pytest.fixture(scope="module")
def images():
    return torch.rand(N, 3, H, W, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def each(*values):
    return torch.tensor(values, dtype=torch.float64)


def one_by_one(change, images, *parameters):
    """torchvision takes one parameter for a whole batch."""
    return torch.cat([change(x[None], *p) for x, *p in zip(images, *(p.tolist() for p in parameters), strict=True)])


def affine(x, angle=0.0, translate=(0.0, 0.0), scale=1.0, shear=(0.0, 0.0)):
    return vision.affine(x, angle, list(translate), scale, list(shear), **BILINEAR)


CASES = {
    "rotate": (
        lambda x: aug.rotate(x, each(30, -10, 100)),
        lambda x: one_by_one(lambda x, a: vision.rotate(x, a, **BILINEAR), x, each(30, -10, 100)),
    ),
    "translate": (
        lambda x: aug.translate(x, each(1, -2, 3), each(5, 0, -4)),
        lambda x: one_by_one(lambda x, d, r: affine(x, translate=(r, d)), x, each(1, -2, 3), each(5, 0, -4)),
    ),
    "scale": (
        lambda x: aug.scale(x, each(1.3, 0.7, 1)),
        lambda x: one_by_one(lambda x, s: affine(x, scale=s), x, each(1.3, 0.7, 1)),
    ),
    "shear": (
        lambda x: aug.shear(x, each(10, -20, 40)),
        lambda x: one_by_one(lambda x, a: affine(x, shear=(a, 0)), x, each(10, -20, 40)),
    ),
    "flip": (
        lambda x: aug.flip(x, each(1, 0, 1)),
        lambda x: torch.stack([vision.horizontal_flip(x[0]), x[1], vision.horizontal_flip(x[2])]),
    ),
    "brightness": (
        lambda x: aug.brightness(x, each(0.5, 1.2, 2)),
        lambda x: one_by_one(vision.adjust_brightness, x, each(0.5, 1.2, 2)),
    ),
    "contrast": (
        lambda x: aug.contrast(x, each(0.5, 1.2, 2)),
        lambda x: one_by_one(vision.adjust_contrast, x, each(0.5, 1.2, 2)),
    ),
    "ten_crops": (lambda x: aug.ten_crops(x, 13), lambda x: torch.stack(vision.ten_crop(x, [13, 13]))),
    "resize": (lambda x: aug.resize(x, 11), lambda x: vision.resize(x, [11], antialias=True)),
}


@pytest.mark.parametrize("name", CASES)
def test_it_equals_torchvision(images, name):
    ours, theirs = CASES[name]
    tolerance = 1e-4 if name == "contrast" else 1e-12  # torchvision weighs red with 0.2989, we with 0.299
    torch.testing.assert_close(ours(images), theirs(images), rtol=0, atol=tolerance)


def test_it_equals_kornia(images):
    """kornia has a parameter for each image, and corners aligned unless told otherwise."""
    options = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": True}  # equal sizes: the same places
    degrees, factors = each(30, -10, 100), each(1.3, 0.7, 1)
    both = [
        (aug.rotate(images, degrees), kornia.geometry.rotate(images, degrees, **options)),
        (aug.scale(images, factors), kornia.geometry.scale(images, factors[:, None].expand(N, 2), **options)),
        (aug.brightness(images, factors), kornia.enhance.adjust_brightness_accumulative(images, factors)),
    ]
    for ours, theirs in both:
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)  # kornia's angles and eps are in single precision
