"""Exercise: AlexNet's color jitter along the principal components."""

import torch

from course_lib.exercises.cases import once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.augmentation import pca_jitter


def added(images, offset):
    """One color for each image, (N, 3), on all of its pixels, cut off at 0 and 1."""
    return (images + offset[:, :, None, None]).clamp(0, 1)


@mistake(
    "Along each component you multiply by the variance, which is the standard deviation squared. Pixels vary by the standard deviation, its root, and "
    "σ is a share of that. (The paper writes the variance; then the jitter depends on whether pixels go to 1 or to 255.)"
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


def _images(N: int, H: int, W: int, darkest: float, brightest: float) -> torch.Tensor:
    """Colors between the two, without a pattern."""
    waves = torch.arange(N * 3 * H * W, dtype=torch.float64, device="cpu").add(1).sin().abs()
    return darkest + (brightest - darkest) * waves.reshape(N, 3, H, W)


def _given(z, sigma=0.1, shape=(2, 4), darkest=0.35, brightest=0.6, variances=VARIANCES, dtype=torch.float64) -> dict:
    rest = {"z": tensor(z, dtype), "variances": tensor(variances, dtype), "components": COMPONENTS.to(dtype)}
    return {"images": _images(len(z), *shape, darkest, brightest).to(dtype), **rest, "sigma": sigma}


MANY = [[1.0, 0.2, -0.4], [-0.7, 1.5, 0.3], [0.1, -0.8, -1.1], [0.9, -0.3, 0.6], [-1.2, 0.4, -0.2]]

check = Exercise(
    pca_jitter,
    returns=("images",),
    cases=[
        once("one image, along the first component", "", **_given([[1.3, 0.0, 0.0]])),
        once(
            "along all three",
            "One draw above 0 agrees: look at the others, and at what a draw below 0 does.",
            about=("z", "components"),
            **_given([[0.5, -1.2, 2.0]]),
        ),
        several(
            "another sigma",
            "σ = 0.1 agrees: look for a number written where sigma should stand.",
            _given([[0.5, -1.2, 2.0]], 0.23),
            _given([[0.5, -1.2, 2.0]], 0.0),
            about=("sigma",),
        ),
        once(
            "three images",
            "One image agrees: each has its own draws.",
            about=("z", "shape", "constant"),
            **_given(MANY[:3]),
        ),
        once(
            "dark images",
            "Here colors fall below 0: look at the range, 0 to 1.",
            about=("clamp", "constant", "sign", "abs"),
            **_given([[1.8, 0.4, 0.0], [-1.5, 0.2, 1.0]], 0.3, darkest=0.0, brightest=0.25),
        ),
        once(
            "bright images",
            "Here colors rise above 1: look at the range, 0 to 1.",
            about=("clamp", "constant"),
            **_given([[1.8, 0.4, 0.0], [-1.5, 0.2, 1.0]], 0.3, darkest=0.75, brightest=1.0),
        ),
        several(
            "gray images, which vary along one component alone",
            "Other images agree. Here variances are 0, and nothing moves along their components.",
            _given([[0.5, -1.2, 2.0]], variances=[0.3, 0.0, 0.0]),
            _given([[0.5, -1.2, 2.0]], variances=[0.0, 0.0, 0.0]),
            about=("zero", "variances"),
        ),
        several(
            "one pixel, as many rows as channels, five images",
            "Maps of 2 x 4 agree: look for a size written as a number, and for a color that runs along rows or columns.",
            _given([[0.5, -1.2, 2.0]], shape=(1, 1)),
            _given(MANY[:3], shape=(3, 3)),
            _given(MANY, shape=(5, 1)),
            about=("shape", "constant"),
        ),
        once(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision.",
            about=("float32",),
            **_given([[0.3, -0.6, 1.0]], dtype=torch.float32),
        ),
    ],
    mistakes=[
        no_root,
        transposed,
        components_forgotten,
        variances_forgotten,
        sigma_forgotten,
        root_of_sigma,
        one_color_for_all,
        multiplied,
        not_cut_off,
    ],
    source="the jitter of slide 35",
)
