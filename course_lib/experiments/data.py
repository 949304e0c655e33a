"""Small real data sets that need no download."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Split:
    """Inputs x of shape (N, n) and their classes y of shape (N,), apart for training, validation and test."""

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_val: torch.Tensor
    y_val: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor


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
