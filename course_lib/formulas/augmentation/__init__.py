"""Data augmentation: pure functions of a batch of images (N, C, H, W), floats from 0 to 1, and of given random draws (slides 31-36)."""

from course_lib.formulas.augmentation.color import brightness, color_pca, contrast, gaussian_noise, gray, pca_jitter
from course_lib.formulas.augmentation.crops import averaged, random_resized_crop, resize, ten_crops
from course_lib.formulas.augmentation.geometry import (
    distort,
    flip,
    rotate,
    sample,
    scale,
    shear,
    shift,
    stretch,
    translate,
    warp,
    warp_affine,
)
from course_lib.formulas.augmentation.mixing import cutmix, cutout, mixup

__all__ = [
    "averaged",
    "brightness",
    "color_pca",
    "contrast",
    "cutmix",
    "cutout",
    "distort",
    "flip",
    "gaussian_noise",
    "gray",
    "mixup",
    "pca_jitter",
    "random_resized_crop",
    "resize",
    "rotate",
    "sample",
    "scale",
    "shear",
    "shift",
    "stretch",
    "ten_crops",
    "translate",
    "warp",
    "warp_affine",
]
