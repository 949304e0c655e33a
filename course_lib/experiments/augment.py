"""Random draws for the formulas of augmentation: one callable, `augment(images, generator) -> images`, that a training loop takes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.experiments.settings import number, whole_number
from course_lib.formulas import augmentation as formulas
from course_lib.formulas.augmentation.checks import check, check_range
from course_lib.formulas.augmentation.geometry import affine, lens_distorted, warp, warp_affine
from course_lib.formulas.signature import Range

Draws = dict[str, torch.Tensor]


class Source:
    """Random numbers for a batch, one for each image if no shape is asked for: drawn where the generator lives, moved to the images."""

    def __init__(self, images: torch.Tensor, generator: torch.Generator | None):
        device = "cpu" if generator is None else generator.device
        self.images, self.like = images, {"generator": generator, "device": device, "dtype": images.dtype}

    def unit(self, *shape: int) -> torch.Tensor:
        """Uniform in [0, 1)."""
        return torch.rand(shape or (len(self.images),), **self.like).to(self.images.device)

    def spread(self) -> torch.Tensor:
        """Uniform in [-1, 1)."""
        return 2 * self.unit() - 1

    def factor(self, largest: float) -> torch.Tensor:
        """From 1 / largest to largest, as often below 1 as above."""
        return torch.exp(self.spread() * math.log(largest))

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal."""
        return torch.randn(shape, **self.like).to(self.images.device)


class Probability(Range):
    """A number from 0 to 1, both included."""

    def check(self, name: str, value: float) -> None:
        """Raise a ValueError that names the change if `value` is no probability."""
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is a probability and must lie between 0 and 1, got {value:g}.")


@dataclass(frozen=True)
class Kind:
    """A change that can be drawn: which strengths it may have, the draws of its parameters, and their values that change nothing."""

    limits: Range
    draw: Callable[[float, Source], Draws]
    still: dict[str, float]


def _translations(share: float, source: Source) -> Draws:
    H, W = source.images.shape[-2:]
    return {"down": share * H * source.spread(), "right": share * W * source.spread()}


def _shifts(most: float, source: Source) -> Draws:
    whole = lambda: torch.floor(source.unit() * (2 * int(most) + 1)) - int(most)
    return {"rows": whole(), "columns": whole()}


_SIZE = Range(0.0, 1.0, at_least=0.0)
_ANGLE = Range(0.0, 180.0, at_least=0.0)
_FACTOR = Range(1.0, 3.0, "log", at_least=1.0)
KINDS = {  # in the order in which they are applied
    "translate": Kind(_SIZE, _translations, {"down": 0, "right": 0}),
    "rotate": Kind(_ANGLE, lambda most, source: {"degrees": most * source.spread()}, {"degrees": 0}),
    "scale": Kind(_FACTOR, lambda most, source: {"factor": source.factor(most)}, {"factor": 1}),
    "stretch": Kind(_FACTOR, lambda most, source: {"stretch": source.factor(most)}, {"stretch": 1}),
    "shear": Kind(Range(0.0, 60.0, at_least=0.0, below=90.0), lambda most, source: {"shear": most * source.spread()}, {"shear": 0}),
    "distort": Kind(Range(0.0, 0.3, at_least=0.0, below=1 / 3), lambda most, source: {"k": most * source.spread()}, {"k": 0}),
    "shift": Kind(_SIZE, _shifts, {"rows": 0, "columns": 0}),
    "flip": Kind(Probability(0.0, 1.0), lambda p, source: {"mirrored": source.unit() < p}, {"mirrored": 0}),
    "brightness": Kind(_FACTOR, lambda most, source: {"brightness": source.factor(most)}, {"brightness": 1}),
    "contrast": Kind(_FACTOR, lambda most, source: {"contrast": source.factor(most)}, {"contrast": 1}),
    "pca": Kind(_SIZE, lambda sigma, source: {"color": sigma * source.normal(len(source.images), 3)}, {"color": 0}),
    "cutout": Kind(_SIZE, lambda size, source: {"u": source.unit(), "v": source.unit()}, {"u": -99, "v": -99}),
    "noise": Kind(_SIZE, lambda sigma, source: {"noise": sigma * source.normal(*source.images.shape)}, {"noise": 0}),
}  # fmt: skip
AFFINE = {"down": 0, "right": 0, "degrees": 0, "factor": 1, "stretch": 1, "shear": 0}


class Augment:
    """Random changes of each image, drawn anew at each call: `augment(images, generator)` returns images of the same shape.

        augment = Augment(rotate=15, scale=1.2, flip=0.5, noise=0.05)
        augment = Augment(picks=2, rotate=30, shear=20, brightness=1.5, contrast=1.5, translate=0.2)

    Strengths: `translate` as a share of the image's sides, `rotate` and `shear` in degrees, `distort` (the lens's k) and `shift`
    (whole pixels) are the largest, to both sides; `scale`, `stretch`, `brightness` and `contrast` are the largest factors, and
    their inverses the smallest; `flip` is a probability; `pca` and `noise` are standard deviations; `cutout` is the square's side
    in pixels. `colors` are what color_pca gives of the training set, for `pca`.

    All maps of places are composed into one warp, so that an image is interpolated once. With `picks`, each image gets only so
    many of the changes, drawn anew for each, as in RandAugment (Cubuk et al., 2020). Raises TypeError for an unknown change,
    ValueError for a strength outside its limits; when called, what the formulas raise, and ValueError for pixels outside of [0, 1].
    """

    def __init__(self, *, picks: int | None = None, colors: tuple | None = None, **strengths: float):
        if unknown := [name for name in strengths if name not in KINDS]:
            raise TypeError(f"There is no change `{unknown[0]}`. There are: {', '.join(KINDS)}.")
        strengths = {name: number(name, strength) for name, strength in strengths.items()}
        for name, strength in strengths.items():
            KINDS[name].limits.check(name, strength)
        if "pca" in strengths and colors is None:
            raise TypeError("pca needs the components of the training set's colors: colors=color_pca(images).")
        self.strengths = {name: strengths[name] for name in KINDS if name in strengths}
        self.picks = None if picks is None else whole_number("picks", picks, 1, max(len(strengths), 1))
        self.colors = colors

    def __call__(self, images: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """The images (N, C, H, W) with changes drawn from the generator; from the global one if there is none."""
        check(images)
        check_range(images)
        return self.changed(images, self.draw(images, generator))

    def draw(self, images: torch.Tensor, generator: torch.Generator | None = None) -> Draws:
        """The parameters of all changes by name, each with one row for each image."""
        source, draws = Source(images, generator), {}
        order = source.unit(len(self.strengths), len(images)).argsort(0).argsort(0)  # of the changes, for each image
        for k, (name, strength) in enumerate(self.strengths.items()):
            drawn, picked = KINDS[name].draw(strength, source), order[k] < (self.picks or len(order))
            for parameter, still in KINDS[name].still.items():
                value = drawn[parameter]
                chosen = picked.view(-1, *[1] * (value.dim() - 1))
                draws[parameter] = torch.where(chosen, value, torch.full_like(value, still))
        return draws

    def changed(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """The images with the changes that were drawn: places first, then colors, a square cut out, and noise."""
        if draws.keys() & {*AFFINE, "k"}:
            images = moved(images, draws)
        if "rows" in draws:
            images = formulas.shift(images, draws["rows"], draws["columns"])
        if "mirrored" in draws:
            images = formulas.flip(images, draws["mirrored"])
        for name in ("brightness", "contrast"):
            if name in draws:
                images = getattr(formulas, name)(images, draws[name])
        if "color" in draws:
            images = formulas.pca_jitter(images, draws["color"], *(x.to(images) for x in self.colors), sigma=1.0)
        if "u" in draws:
            images = formulas.cutout(images, draws["u"], draws["v"], size=self.strengths["cutout"])
        return images + draws["noise"] if "noise" in draws else images

    def __repr__(self) -> str:
        picks = [] if self.picks is None else [f"picks={self.picks}"]
        return f"Augment({', '.join(picks + [f'{name}={x:g}' for name, x in self.strengths.items()])})"


def moved(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """One warp for all maps of places that were drawn: the lens in front of all the affine ones."""
    still = torch.zeros_like(images[:, 0, 0, 0])  # (N,)
    given = [draws.get(name, still + value) for name, value in AFFINE.items()]
    if "k" not in draws:
        return warp_affine(images, affine, *given)
    radius = math.hypot(*images.shape[-2:]) / 2
    return warp(images, lambda x, y, k, *rest: affine(*lens_distorted(x, y, k, radius), *rest), draws["k"], *given)


class RandomResizedCrop:
    """Slide 34's crops to train on: a short side drawn from `short`, and a place: `crop(images, generator)` -> (N, C, size, size).

        crop = RandomResizedCrop(224, short=(256, 480))

    Each whole length in `short`, both ends included, is as likely as the others. Raises ValueError for a range that is empty or
    begins below `size`.
    """

    def __init__(self, size: int, *, short: tuple[int, int]):
        self.size = whole_number("size", size, 1)
        self.low = whole_number("short[0]", short[0], self.size)
        self.high = whole_number("short[1]", short[1], self.low)

    def __call__(self, images: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """A random patch of each image (N, C, H, W)."""
        check(images)
        source = Source(images, generator)
        short = torch.floor(self.low + source.unit() * (self.high - self.low + 1)).clamp(max=self.high)
        return formulas.random_resized_crop(images, short, source.unit(), source.unit(), size=self.size)
