"""Colors changed: noise, brightness, contrast, PCA (slides 31 and 35)."""

import torch

from course_lib.formulas.augmentation.checks import check, check_colors, shaped

LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look


def gaussian_noise(images, z, *, sigma):
    """The images with noise of the standard deviation sigma.

    `images` and the standard normal draws `z` have the shape (N, C, H, W);
    `sigma` is a number or has the shape (N, 1, 1, 1). Pixels may leave [0, 1]:
    cut off there, dark ones would become brighter on average. Source:
    slide 31. Equals torchvision's gaussian_noise(..., clip=False).
    """
    check(images)
    shaped("z", z, images.shape, "one number for each pixel")
    return images + sigma * z


def brightness(images, factor):
    """The images made brighter, or darker by a factor below 1, cut off at 1.

    `factor`, (N,), is at least 0. Equals torchvision's adjust_brightness.
    """
    check(images, factor=factor)
    return (images * factor.type_as(images)[:, None, None, None]).clamp(0, 1)


def gray(images):
    """How bright the pixels look, (N, 1, H, W), from RGB or from gray."""
    check_colors(images)
    weights = {1: (1.0,), 3: LUMA}[images.shape[1]]
    return sum(w * images[:, k : k + 1] for k, w in enumerate(weights))


def spread(images, mean, factor):
    """The pixels moved away from `mean` by the factor, cut off at 0 and 1."""
    return (factor * images + (1 - factor) * mean).clamp(0, 1)


def contrast(images, factor):
    """The pixels moved away from the image's mean gray, or toward it by a
    factor below 1, cut off at 0 and 1.

    `factor`, (N,), is at least 0. Source: slide 35. Equals torchvision's
    adjust_contrast up to the rounding of LUMA.
    """
    check(images, factor=factor)
    mean = gray(images.mean(dim=(2, 3), keepdim=True))  # (N, 1, 1, 1)
    return spread(images, mean, factor.type_as(images)[:, None, None, None])


def color_pca(images):
    """The principal components of all pixels' colors.

    `images` is the training set, (N, 3, H, W). Returns the variances along
    them, (3,), the largest first, and the components as columns, (3, 3), each
    with its largest entry above 0.
    Source: slide 35.
    """
    check(images)
    pixels = images.transpose(0, 1).flatten(1)  # (3, N H W)
    variances, components = torch.linalg.eigh(torch.cov(pixels))
    largest = components.gather(0, components.abs().argmax(0, keepdim=True))
    return variances.flip(0), (components * largest.sign()).flip(1)


def pca_jitter(images, z, variances, components, *, sigma=0.1):
    """One color added to all pixels of an image: along each principal
    component sigma times as far as the pixels themselves vary.

    `z`, (N, 3), are standard normal draws; `variances` and `components`
    come from color_pca. Pixels are cut off at 0 and 1. Source: slide 35;
    Krizhevsky, Sutskever and Hinton (2012), who write the variance for its
    root: their offset depends on the unit of the pixels.
    """
    check(images)
    shaped("z", z, (len(images), 3), "one for each image and component")
    offset = (sigma * z * variances.sqrt()) @ components.T  # (N, 3)
    return (images + offset.type_as(images)[:, :, None, None]).clamp(0, 1)
