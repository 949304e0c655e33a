"""Exercise: AlexNet's color jitter along the principal components."""

import torch

from course_lib.exercises.cases import once, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.augmentation import pca_jitter


def added(images, offset):
    """One color for each image, (N, 3), on all of its pixels, cut off at 0 and 1."""
    return (images + offset[:, :, None, None]).clamp(0, 1)


@mistake(
    "The offset along a component is {times} times what it should be where it is largest: you multiply by the variance. The pixels vary by its "
    "root, the standard deviation, and σ is a share of that. (The paper writes the variance; then the jitter depends on whether pixels go "
    "to 1 or to 255.)"
)
def no_root(images, z, variances, components, *, sigma=0.1):
    return added(images, (sigma * z * variances) @ components.T)


@mistake(
    "You use the rows of `components` where the columns are the components: the matrix is transposed. torch.linalg.eigh returns eigenvectors "
    "as columns, so component k is components[:, k]. The size of the offset is right, its color is not."
)
def transposed(images, z, variances, components, *, sigma=0.1):
    return added(images, (sigma * z * variances.sqrt()) @ components)


@mistake(
    "The three draws are added to red, green and blue as they are: the components have no part in it. Each draw goes along a "
    "direction in color space, and moves all three channels."
)
def components_forgotten(images, z, variances, components, *, sigma=0.1):
    return added(images, sigma * z * variances.sqrt())


@mistake(
    "All three directions are moved along by as much: the variances have no part in it. Photographs vary much in light and little in "
    "hue; with equal steps they turn green and pink."
)
def variances_forgotten(images, z, variances, components, *, sigma=0.1):
    return added(images, sigma * z @ components.T)


@mistake(
    "The offset is the one for σ = 1: `sigma` has no part in it. At its usual 0.1 the jitter is ten times as small."
)
def sigma_forgotten(images, z, variances, components, *, sigma=0.1):
    return added(images, (z * variances.sqrt()) @ components.T)


@mistake(
    "σ has come under the root with the variance. It is a factor of the standard deviation: take the root of the variance alone."
)
def root_of_sigma(images, z, variances, components, *, sigma=0.1):
    return added(images, (z * (sigma * variances).sqrt()) @ components.T)


@mistake(
    "One image agrees. With several, all of them get the color of the first one's draws. `z` has a row for each image."
)
def one_color_for_all(images, z, variances, components, *, sigma=0.1):
    return added(images, ((sigma * z * variances.sqrt()) @ components.T)[:1].expand(len(images), 3))


@mistake(
    "You scale the colors by 1 + offset, and black stays black. The jitter *adds* one color to every pixel, as another light on "
    "the whole scene would."
)
def multiplied(images, z, variances, components, *, sigma=0.1):
    offset = (sigma * z * variances.sqrt()) @ components.T
    return (images * (1 + offset[:, :, None, None])).clamp(0, 1)


@mistake(
    "While all colors stay between 0 and 1, all agrees. Here some leave that range: cut them off, or other changes after this one meet "
    "pixels that are no colors."
)
def not_cut_off(images, z, variances, components, *, sigma=0.1):
    return images + ((sigma * z * variances.sqrt()) @ components.T)[:, :, None, None]


VARIANCES = [0.30, 0.03, 0.002]
COMPONENTS = torch.linalg.qr(tensor([[0.64, 0.74, 0.23], [0.54, -0.21, -0.82], [0.55, -0.64, 0.53]]))[0]


def _case(title: str, look: str, z, sigma: float = 0.1, components=COMPONENTS, dark: float = 0.35, dtype=torch.float64):
    N = len(z)
    images = dark + 0.25 * (torch.arange(N * 3 * 2 * 4, dtype=dtype) / 5).sin().abs().reshape(N, 3, 2, 4)
    rest = {"variances": tensor(VARIANCES, dtype), "components": components.to(dtype)}
    return once(title, look, images=images, z=tensor(z, dtype), **rest, sigma=sigma)


check = Exercise(
    pca_jitter,
    returns=("images",),
    cases=[
        _case("one image, along the first component", "Only the first draw is not 0: one color, its size a share of how far pixels vary.", [[1.0, 0.0, 0.0]]),
        _case("along all three", "The first component agrees: look at the others.", [[0.5, -1.2, 2.0]]),
        _case("another sigma", "Look for a number written where sigma should stand.", [[0.5, -1.2, 2.0]], 0.2),
        _case("three images", "One image agrees: each has its own draws.", [[1.0, 0.2, -0.4], [-0.7, 1.5, 0.3], [0.1, -0.8, -1.1]]),
        _case("dark images", "Here colors fall below 0: look at the range.", [[1.8, 0.4, 0.0], [-1.5, 0.2, 1.0]], 0.3, dark=0.0),
        _case("float32 stays float32", "float64 agrees: look for a tensor made in another precision.", [[0.3, -0.6, 1.0]], dtype=torch.float32),
    ],
    mistakes=[
        no_root, transposed, components_forgotten, variances_forgotten, sigma_forgotten, root_of_sigma, one_color_for_all, multiplied, not_cut_off,
    ],
    source="the jitter of slide 35",
)  # fmt: skip
