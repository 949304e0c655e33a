"""Augmentations: a photograph, and what the sliders of every change make of it."""

import base64
import math

import torch

from course_lib.backends import javascript
from course_lib.experiments.augment import AFFINE, Augment
from course_lib.experiments.data import photographs
from course_lib.formulas import augmentation as formulas
from course_lib.formulas.augmentation.color import spread
from course_lib.formulas.augmentation.geometry import affine, bilinear, lens_distorted
from course_lib.formulas.signature import Range
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Hyper, Whole

HEIGHT, WIDTH = 84, 112  # pixels: 28 KB in the page
RADIUS = math.hypot(HEIGHT, WIDTH) / 2
SLIDERS = {  # range, the value that changes nothing, symbol, label
    "right": (Range(-56, 56), 0.0, "→", "translate"),
    "down": (Range(-42, 42), 0.0, "↓", "translate"),
    "degrees": (Range(-180, 180), 0.0, "∠", "rotate"),
    "factor": (Range(0.5, 3, "log"), 1.0, "×", "scale"),
    "stretch": (Range(0.5, 2, "log"), 1.0, "↔", "stretch"),
    "shear": (Range(-45, 45), 0.0, "▱", "shear"),
    "k": (Range(-0.3, 0.6), 0.0, "k", "lens"),
    "brightness": (Range(0.25, 4, "log"), 1.0, "☀", "brightness"),
    "contrast": (Range(0.25, 4, "log"), 1.0, "◐", "contrast"),
    "color1": (Range(-1, 1), 0.0, "z₁", "1st color"),
    "color2": (Range(-3, 3), 0.0, "z₂", "2nd color"),
    "noise": (Range(0, 0.4), 0.0, "σ", "noise"),
    "cutout": (Range(0, 60), 0.0, "□", "cutout"),
}
GROUPS = [["right", "down"], ["color1", "color2"]]  # drawn together, as one change


class Augmentations(Figure):
    """A photograph beside what augmentation makes of it.

        Augmentations(degrees=20, factor=1.3)

    Each change has a slider: `right`, `down`, `degrees`, `factor`, `stretch`, `shear`, the lens's `k`, `brightness`, `contrast`,
    two principal components of the colors, `noise`, and the side of a `cutout` whose center lies at `u` and `v`; `mirrored` is
    0 or 1, and `seed` decides the noise. With a kernel all can be read, set and observed; `fig.result` is the changed image.
    Raises ValueError for a setting outside its limits.
    """

    right, down, degrees, factor, stretch, shear, k, brightness, contrast, color1, color2, noise, cutout = (
        Hyper(low=r.low, high=r.high) for r, *_ in SLIDERS.values()
    )
    u = Hyper(low=0, high=1)
    v = Hyper(low=0, high=1)
    mirrored = Whole(0, 1)
    seed = Whole(0, 9999)

    def __init__(self, *, mirrored: int = 0, u: float = 0.5, v: float = 0.5, seed: int = 0, **settings: float):
        still = {name: value for name, (_, value, *_) in SLIDERS.items()}
        if unknown := set(settings) - set(SLIDERS):
            raise TypeError(f"Augmentations has no `{min(unknown)}`. It has: {', '.join(SLIDERS)}.")
        super().__init__(mirrored=mirrored, u=u, v=v, seed=seed, **(still | settings))
        photo = _photo()
        variances, components = formulas.color_pca(photo)
        self.spec = {
            "controls": [own_control(k, r, getattr(self, k), sign, text) for k, (r, _, sign, text) in SLIDERS.items()],
            "still": still,
            "groups": GROUPS,
            "size": [HEIGHT, WIDTH],
            "photo": base64.b64encode(_bytes(photo).numpy().tobytes()).decode(),
            "variances": variances.tolist(),
            "components": components.flatten().tolist(),
            "initial": {name: getattr(self, name) for name in (*SLIDERS, "mirrored", "u", "v", "seed")},
        }
        self.code = _javascript()

    @property
    def result(self) -> torch.Tensor:
        """The changed image, (3, 84, 112) in float64; with noise its pixels may leave [0, 1]."""
        photo = _photo()
        row = {name: torch.tensor([getattr(self, name)], dtype=torch.float64) for name in (*AFFINE, "k", "u", "v")}
        row |= {name: torch.tensor([getattr(self, name)], dtype=torch.float64) for name in ("brightness", "contrast")}
        row |= {"mirrored": torch.tensor([self.mirrored]), "noise": self.noise * _noise(self.seed)[None]}
        row["color"] = torch.tensor([[self.color1, self.color2, 0.0]], dtype=torch.float64)
        everything = Augment(cutout=self.cutout, colors=formulas.color_pca(photo))
        return everything.changed(photo, row)[0]

    @property
    def outside(self) -> float:
        """The share of the pixels that come from outside of the photograph."""
        y, x = torch.meshgrid(_centers(HEIGHT), _centers(WIDTH), indexing="ij")
        given = (torch.tensor(float(getattr(self, name)), dtype=torch.float64) for name in (*AFFINE, "k", "mirrored"))
        x, y = place(x, y, *given)
        return ((x.abs() > WIDTH / 2) | (y.abs() > HEIGHT / 2)).double().mean().item()

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        moved = [
            f"{text} {getattr(self, k):.3g}" for k, (_, still, _, text) in SLIDERS.items() if getattr(self, k) != still
        ]
        moved += ["mirrored"] if self.mirrored else []
        return (
            f"A photograph of a temple, and the same one changed: {', '.join(moved) or 'not yet'}. "
            f"{self.outside:.1%} of its pixels come from outside of the photograph and are black."
        )


def place(x, y, down, right, degrees, factor, stretch, shear, k, mirrored):
    """From where in the photograph the pixel at (x, y) is taken, both from the center: mirrored, bent, and moved by all affine maps."""
    x = torch.where(mirrored > 0, -x, x)
    x, y = lens_distorted(x, y, k, RADIUS)
    return affine(x, y, down, right, degrees, factor, stretch, shear)


def normal(index, seed):
    """A number like a standard normal one for each index: Box and Muller (1958) on digits that a large sine leaves."""
    u, v = (_digits(torch.sin(index * 12.9898 + seed * 7.13 + c) * 43758.5453) for c in (1.7, 4.1))
    return (-2 * torch.log(1 - u)).sqrt() * torch.cos(2 * math.pi * v)


def shown(x, y, u, v, size):
    """0 inside of the square that is cut out, 1 elsewhere; (x, y) from the center."""
    down, right = (y + HEIGHT / 2 - u * HEIGHT).abs(), (x + WIDTH / 2 - v * WIDTH).abs()
    return torch.where((down <= size / 2) & (right <= size / 2), 0.0, 1.0).to(x)


def _digits(x: torch.Tensor) -> torch.Tensor:
    return x - x.floor()


def _noise(seed: int) -> torch.Tensor:
    """The noise of all pixels, (3, 84, 112), as the page draws it."""
    index = torch.arange(3 * HEIGHT * WIDTH, dtype=torch.float64).view(3, HEIGHT, WIDTH)
    return normal(index, seed)


def _photo() -> torch.Tensor:
    """The photograph as the page has it, (1, 3, 84, 112): whole bytes."""
    return _bytes(photographs(HEIGHT, WIDTH)[:1]).double() / 255


def _bytes(image: torch.Tensor) -> torch.Tensor:
    return (image * 255).round().to(torch.uint8)


def _centers(count: int) -> torch.Tensor:
    return torch.arange(count, dtype=torch.float64) - (count - 1) / 2


def _javascript() -> str:
    pixel, number = {"images": (1, 3, 1, 1)}, ()
    parts = (
        javascript.of(place, **dict.fromkeys(("x", "y", *AFFINE, "k", "mirrored"), number)),
        javascript.of(bilinear, **dict.fromkeys(("a", "b", "c", "d", "right", "down"), number)),
        javascript.of(formulas.brightness, **pixel, factor=(1,)),
        javascript.of(formulas.gray, **pixel),
        javascript.of(spread, **pixel, mean=number, factor=number),
        javascript.of(lambda images, z, variances, components: formulas.pca_jitter(images, z, variances, components, sigma=1.0), "pca_jitter", **pixel, z=(1, 3), variances=(3,), components=(3, 3)),
        javascript.of(shown, **dict.fromkeys(("x", "y", "u", "v", "size"), number)),
        javascript.of(normal, index=number, seed=number),
    )  # fmt: skip
    return "\n".join(parts)
