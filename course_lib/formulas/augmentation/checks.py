"""What a batch of images must be: said at once, in one sentence, with the way to mend it."""

import torch


def check(images: torch.Tensor, **draws: torch.Tensor) -> None:
    """Raise for images that are no batch (N, C, H, W) of floats, and for draws that are not one number an image, (N,).

    TypeError for what is no tensor and for another dtype, ValueError for another shape. No value is looked at, so nothing
    waits for a device.
    """
    if not isinstance(images, torch.Tensor):
        raise TypeError(f"images must be a tensor of the shape (N, C, H, W), got {type(images).__name__}.")
    if not images.is_floating_point():
        mend = "images.float() / 255" if images.dtype == torch.uint8 else "images.float()"
        raise TypeError(f"images must be floats, 0 for black and 1 for white, got {images.dtype}. Convert: {mend}.")
    if images.dim() != 4:
        mend = " Make one image a batch: images[None]." if images.dim() == 3 else ""
        raise ValueError(f"images must have the shape (N, C, H, W), got {tuple(images.shape)}.{mend}")
    for name, values in draws.items():
        shaped(name, values, (len(images),), "one number for each image")


def shaped(name: str, values: torch.Tensor, shape: tuple[int, ...], what: str) -> None:
    """Raise TypeError for what is no tensor, ValueError for a tensor of another shape; `what` says what the shape means."""
    if not isinstance(values, torch.Tensor):
        raise TypeError(f"{name} must be a tensor of the shape {tuple(shape)}, {what}, got {type(values).__name__}.")
    if tuple(values.shape) != tuple(shape):
        raise ValueError(f"{name} must have the shape {tuple(shape)}, {what}, got {tuple(values.shape)}.")


def check_range(images: torch.Tensor) -> None:
    """Raise ValueError for images with pixels outside of [0, 1]. This waits for the device that holds them."""
    if not images.numel():
        return
    low, high = torch.aminmax(images)
    if not (low >= 0 and high <= 1):  # written so that NaN fails
        mend = "Divide them by 255" if high > 2 else "Augment first, standardize after"
        raise ValueError(f"Pixels must lie between 0 and 1, got {low:.3g} to {high:.3g}. {mend}.")


def check_crop(images: torch.Tensor, size: int) -> None:
    """Raise ValueError for a square of `size` pixels that does not fit into the images, and for one of no pixels."""
    H, W = images.shape[-2:]
    if not 1 <= size <= min(H, W):
        raise ValueError(f"A crop of {size} x {size} does not fit into images of {H} x {W}: size must be 1 to {min(H, W)}.")


def check_short(short: torch.Tensor, size: int) -> None:
    """Raise ValueError where the resized image's short side is shorter than the crop. This waits for the device."""
    if size < 1 or (len(short) and short.min() < size):
        got = f"a short side of {short.min():g}" if len(short) else "none"
        raise ValueError(f"A crop of {size} x {size} must fit into the resized image, got {got}. Draw it from {size} up.")


def check_colors(images: torch.Tensor) -> None:
    """Raise ValueError for images that are neither gray, C = 1, nor red, green and blue, C = 3."""
    if images.shape[1] not in (1, 3):
        raise ValueError(f"Colors need images with 1 channel or 3 (red, green, blue), got {images.shape[1]}.")


def check_labels(images: torch.Tensor, labels: torch.Tensor) -> None:
    """Raise for labels that are no probabilities (N, classes): classes themselves can't be mixed."""
    if not isinstance(labels, torch.Tensor) or not labels.is_floating_point() or labels.dim() != 2:
        raise TypeError(
            "labels must be probabilities of the shape (N, classes), because mixed images have mixed labels. "
            "Convert: torch.nn.functional.one_hot(labels, classes).float()."
        )
    if len(labels) != len(images):
        raise ValueError(f"There must be as many labels as images, got {len(labels)} and {len(images)}.")
