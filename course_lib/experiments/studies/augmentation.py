"""What the chapter on augmentation measures: accuracy with and without it, labels that it makes wrong, and crops averaged."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from course_lib.experiments.augment import Augment, RandomResizedCrop, Source
from course_lib.experiments.data import digits
from course_lib.experiments.records import experiment
from course_lib.formulas.augmentation import averaged, cutmix, cutout, mixup, resize, shift, ten_crops

CHANGES = {  # what is tried, by the name that the page gives it
    "nothing": Augment(),
    "noise": Augment(noise=0.2),
    "shift": Augment(shift=1),
    "rotation": Augment(rotate=15),
    "shift, rotation, scale": Augment(shift=1, rotate=15, scale=1.15),
    "flip": Augment(flip=0.5),
    "any rotation": Augment(rotate=180),
}
POOL = 1100  # the digits from which training sets are drawn; the other 697 are the test
Images = torch.Tensor  # (N, 1, 8, 8)


def generator(seed: int) -> torch.Generator:
    """A source of random numbers of its own."""
    return torch.Generator().manual_seed(seed)


def images_of(x: torch.Tensor) -> Images:
    """The digits' rows of 64 pixels as images."""
    return x.unflatten(1, (1, 8, 8))


def small_set(per_class: int, seed: int) -> tuple[Images, torch.Tensor, Images, torch.Tensor]:
    """So many digits of each class to train on, and those to test: images and classes of both."""
    data = digits(train=POOL, val=0, seed=seed)
    chosen = torch.cat([(data.y_train == k).nonzero()[:per_class, 0] for k in range(10)])
    return images_of(data.x_train)[chosen], data.y_train[chosen], images_of(data.x_test), data.y_test


def network(seed: int, size: int = 8) -> nn.Module:
    """A small convolutional network for images of size x size: 10 logits."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        layers = nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        return nn.Sequential(*layers, nn.Linear(16 * (size // 2) ** 2, 10))


def trained(batch_of: Callable, x: Images, y: torch.Tensor, seed: int, steps: int, size: int = 8) -> nn.Module:
    """A network after `steps` steps of Adam at a rate that falls from 0.01 to 0, on batches of 32.

    `batch_of(images, classes, generator)` makes of a batch what the network sees: images, and classes or probabilities.
    """
    model, source = network(seed, size), generator(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(y), (32,), generator=source)
        images, targets = batch_of(x[chosen], y[chosen], source)
        optimizer.zero_grad()
        cross_entropy(model(images), targets).backward()
        optimizer.step()
        schedule.step()
    return model


def with_labels_kept(augment: Callable) -> Callable:
    """The batch with its images augmented."""
    return lambda images, classes, source: (augment(images, source), classes)


@torch.no_grad()
def right(logits: torch.Tensor, y: torch.Tensor) -> float:
    """The share of the images whose class has the largest logit."""
    return (logits.argmax(1) == y).float().mean().item()


@experiment(seeds=5, share={"changes": ("nothing",), "per_class": (10,)})
def augmentation_on_digits(seed, *, changes=tuple(CHANGES), per_class=(10, 30, 100), steps=300):
    """Training on few digits, with each change: a row for each change, a column for each size of the training set.

    `accuracy` is on 697 other digits, `moved` on these, each shifted by -1, 0 or 1 pixels down and to the right. `swapped` is
    the share of the sixes and nines among them that are taken for the other.
    """
    found = {"accuracy": [], "moved": [], "swapped": []}
    for change in changes:
        rows = []
        for count in per_class:
            x, y, x_test, y_test = small_set(count, seed)
            model = trained(with_labels_kept(CHANGES[change]), x, y, seed, steps)
            moved = shift(x_test, *torch.randint(-1, 2, (2, len(x_test)), generator=generator(seed)))
            six, nine = y_test == 6, y_test == 9
            called = model(x_test).argmax(1)
            swapped = ((six & (called == 9)) | (nine & (called == 6))).sum() / (six | nine).sum()
            rows.append((right(model(x_test), y_test), right(model(moved), y_test), swapped.item()))
        for name, values in zip(found, zip(*rows), strict=True):
            found[name].append(values)
    return found


def mixed(kind: str) -> Callable:
    """A batch mixed with itself in a random order, the weights uniform in [0, 1); or with squares of 3 x 3 cut out."""

    def batch_of(images, classes, source):
        draw, labels = Source(images, source), one_hot(classes, 10).float()
        order = torch.randperm(len(images), generator=source)
        if kind == "mixup":
            return mixup(images, labels, order, draw.unit())
        if kind == "cutmix":
            return cutmix(images, labels, order, draw.unit(), draw.unit(), draw.unit())
        return (cutout(images, draw.unit(), draw.unit(), size=3) if kind == "cutout" else images), labels

    return batch_of


@experiment(seeds=5, share={"kinds": ("nothing",), "wrong": (0.0,)})
def augmentation_mixtures(
    seed, *, kinds=("nothing", "cutout", "mixup", "cutmix"), wrong=(0.0, 0.3), per_class=30, steps=300
):
    """Training with images mixed, where a share of the labels is wrong: a row for each kind, a column for each share.

    `accuracy` and `loss` are on 697 other digits with right labels.
    """
    x, y, x_test, y_test = small_set(per_class, seed)
    found = {"accuracy": [], "loss": []}
    for kind in kinds:
        rows = []
        for share in wrong:
            source = generator(seed)
            bad = torch.rand(len(y), generator=source) < share
            labels = torch.where(bad, (y + torch.randint(1, 10, y.shape, generator=source)) % 10, y)
            model = trained(mixed(kind), x, labels, seed, steps)
            with torch.no_grad():
                logits = model(x_test)
            rows.append((right(logits, y_test), cross_entropy(logits, y_test).item()))
        for name, values in zip(found, zip(*rows), strict=True):
            found[name].append(values)
    return found


@experiment(seeds=5, share={"flips": (0.0,)})
def augmentation_crops(seed, *, flips=(0.0, 0.5), scales=(7, 8, 9, 10), per_class=30, steps=300, size=6):
    """Training on random crops of digits, without and with flips, and four ways to test: a row for each flip.

    `center` is one crop of the middle, `five` the mean over the corners and the center, `ten` with their mirror images, `all` the
    ten at each of the scales. Training draws the short side from the first to the last of these.
    """
    x, y, x_test, y_test = small_set(per_class, seed)
    found = {"center": [], "five": [], "ten": [], "all": []}
    crop = RandomResizedCrop(size, short=(scales[0], scales[-1]))
    for flip in flips:
        mirror = Augment(flip=flip)
        model = trained(with_labels_kept(lambda x, g: crop(mirror(x, g), g)), x, y, seed, steps, size)
        with torch.no_grad():
            ten = torch.stack([model(part) for part in ten_crops(resize(x_test, 8), size)]).softmax(-1)
            every = averaged(model, x_test, size=size, scales=scales)
        found["center"].append(right(ten[4], y_test))
        found["five"].append(right(ten[:5].mean(0), y_test))
        found["ten"].append(right(ten.mean(0), y_test))
        found["all"].append(right(every, y_test))
    return found


@experiment(seeds=5)
def augmentation_lost_objects(seed, *, sides=(0.2, 0.4, 0.6), draws=20_000):
    """The share of crops that show less than a quarter of the object, by the object's side as a share of the short side.

    Images are 4 : 3, the square object lies anywhere in them. `lecture` are crops of 224 with the short side from 256 to 480,
    `area` are squares whose area is 8% to 100% of the image's, as far as they fit: torchvision's RandomResizedCrop without its aspects.
    """
    source = generator(seed)
    draw = lambda low, high: low + (high - low) * torch.rand(draws, generator=source)
    windows = {"lecture": 224 / draw(256, 480), "area": (draw(0.08, 1) * 4 / 3).sqrt().clamp(max=1)}
    found = {}
    for name, window in windows.items():  # all lengths in units of the short side
        found[name] = []
        for side in sides:
            overlaps = []
            for length in (1.0, 4 / 3):
                first, begin = draw(0, 1) * (length - window), draw(0, 1) * (length - side)
                overlaps.append(
                    (torch.minimum(first + window, begin + side) - torch.maximum(first, begin)).clamp(min=0)
                )
            visible = overlaps[0] * overlaps[1] / side**2
            found[name].append((visible < 0.25).float().mean().item())
    return found
