"""Small real data sets that need no download."""

from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class Split:
    """Inputs x, (N, n) or images (N, C, H, W), and their classes y, (N,), apart for training, validation and test."""

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_val: torch.Tensor
    y_val: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor

    def to(self, device) -> "Split":
        """The same data on this device; what lies there already is not copied."""
        return Split(**{name: x.to(device) for name, x in vars(self).items()})


def digits(train: int = 1000, val: int = 400, *, seed: int = 0, dtype=torch.float32, device=None) -> Split:
    """Handwritten digits, 1,797 of 8 x 8 pixels, shuffled by `seed`; the pixels, 64 an image, lie between 0 and 1.

    What training and validation leave is the test set. Raises ValueError if they leave nothing.
    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (UCI, 1998), by way of scikit-learn.
    """
    from sklearn.datasets import load_digits  # slow to import

    pixels, classes = load_digits(return_X_y=True)
    if train < 1 or val < 0 or train + val >= len(classes):
        raise ValueError(
            f"train + val must leave some of the {len(classes)} digits for the test, got train={train} and val={val}."
        )
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed))
    x = torch.as_tensor(pixels / 16)[order].to(device, dtype)
    y = torch.as_tensor(classes)[order].to(device)
    parts = [train, val, len(classes) - train - val]
    (x_train, x_val, x_test), (y_train, y_val, y_test) = x.split(parts), y.split(parts)
    return Split(x_train, y_train, x_val, y_val, x_test, y_test)


def photographs(height: int = 427, width: int = 640, *, dtype=torch.float32, device=None) -> torch.Tensor:
    """Two color photographs, a temple and a flower, of the shape (2, 3, height, width), between 0 and 1.

    Smaller ones are cut to the wanted aspect around their middle, and smoothed. Raises ValueError for a size above 427 x 640.
    Source: scikit-learn's china.jpg and flower.jpg, by danielbuechele and vultilion, CC BY 2.0.
    """
    from sklearn.datasets import load_sample_images  # slow to import

    if not (1 <= height <= 427 and 1 <= width <= 640):
        raise ValueError(f"The photographs have 427 x 640 pixels; height and width must fit, got {height} x {width}.")
    photos = torch.stack([torch.tensor(photo) for photo in load_sample_images().images]).movedim(-1, 1)  # uint8
    scale = min(427 / height, 640 / width)
    rows, columns = round(scale * height), round(scale * width)
    top, left = (427 - rows) // 2, (640 - columns) // 2
    middle = photos[..., top : top + rows, left : left + columns].to(device, dtype) / 255
    return interpolate(middle, (height, width), mode="bilinear", antialias=True)
