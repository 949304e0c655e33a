"""Slide 42 at full size: a wide residual network with a step schedule, and with warm restarts.

    python -m course_lib.experiments.sgdr --dataset cifar10 --network wrn-28-10 --epochs 200
    python -m course_lib.experiments.sgdr                        the same on the digits, in a minute on a CPU

The first one needs a GPU, downloads 170 MB, and writes one JSON file a run, and a checkpoint from which the same command goes on.
SGD with Nesterov's momentum 0.9, batches of 128, weight decay 5e-4 and a rate of 0.05, divided by 5 after 30, 60 and 80% of the
epochs, or restarted. Training images are shifted by up to 4 pixels of 32, and mirrored where the mirror image is one of the same
class. Source: Loshchilov and Hutter, "SGDR" (2017); slide 42.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from course_lib.experiments import image_data
from course_lib.experiments.augment import Augment
from course_lib.experiments.data import Split, digits
from course_lib.experiments.history import History
from course_lib.experiments.records import provenance
from course_lib.experiments.settings import whole_number
from course_lib.experiments.training import train
from course_lib.experiments.wide_resnet import wide_resnet
from course_lib.formulas.schedules import multi_step, warm_restarts


@dataclass(frozen=True)
class Dataset:
    """How its images are loaded, how many pixels they are shifted by at most, and whether they are mirrored."""

    load: Callable[..., Split]
    shift: int
    mirrored: bool
    classes: int = 10


def digit_images(val: int = 0, **settings) -> Split:
    """digits as images (N, 1, 8, 8): 1,400 to train and to hold out of, 397 to test."""
    data = digits(1400 - val, val, **settings)
    return Split(**{name: x.unflatten(1, (1, 8, 8)) if name.startswith("x") else x for name, x in vars(data).items()})


DATASETS = {
    "digits": Dataset(digit_images, 1, False),
    "mnist": Dataset(image_data.mnist, 2, False),
    "fashion_mnist": Dataset(image_data.fashion_mnist, 2, True),
    "cifar10": Dataset(image_data.cifar10, 4, True),
    "cifar100": Dataset(image_data.cifar100, 4, True, classes=100),
}


def standardized(data: Split) -> Split:
    """Each channel with the mean 0 and the standard deviation 1 of its training images."""
    std, mean = torch.std_mean(data.x_train, (0, 2, 3), keepdim=True)
    return Split(**{name: (x - mean) / std if name.startswith("x") else x for name, x in vars(data).items()})


def crop_and_mirror(dataset: Dataset) -> Callable:
    """Augmentation of standardized images: what comes in at the sides is 0, the mean. A shift by up to 4 pixels is the crop of an
    image with a margin of 4."""
    augment = Augment(shift=dataset.shift, flip=0.5 if dataset.mirrored else 0.0)
    return lambda images, generator: augment.changed(images, augment.draw(images, generator))


def schedules(epochs: int, an_epoch: int, T_0: float, T_mult: float) -> dict[str, Callable]:
    """The rates at step t, of `an_epoch` steps an epoch; T_0 is in epochs."""
    total = epochs * an_epoch
    third = {"first": 0.3 * total, "second": 0.6 * total, "third": 0.8 * total}
    return {
        "step": partial(multi_step, gamma=0.2, **third),
        "restarts": partial(warm_restarts, T_0=T_0 * an_epoch, T_mult=T_mult),
    }


def restarts(epochs: int, T_0: int, T_mult: int) -> list[int]:
    """The epochs after which the rate begins anew, where the network is at its best: 10, 30, 70, 150 of T_0 = 10, T_mult = 2."""
    ends, period = [], T_0
    while sum(ends[-1:]) + period <= epochs:
        ends.append(sum(ends[-1:]) + period)
        period *= T_mult
    return ends


def run(
    dataset: str = "digits",
    network: str = "wrn-10-1",
    *,
    epochs: int = 30,
    schedule: str = "restarts",
    T_0: int = 2,
    T_mult: int = 2,
    lr: float = 0.05,
    weight_decay: float = 5e-4,
    batch: int = 128,
    val: int = 0,
    seed: int = 0,
    device=None,
    mixed_precision: bool = False,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> dict:
    """Train one network; settings, number of parameters, history and errors in percent, as JSON has them.

    With `val` = 0, as in the paper, nothing is held out, and after each epoch the error is that on the test set: so it must not
    choose anything. Raises what train, wide_resnet and the data set do.
    """
    settings = {k: x for k, x in locals().items() if k not in ("checkpoint", "progress", "device")}
    for name in ("epochs", "T_0", "T_mult", "batch"):
        whole_number(name, settings[name], 1)
    chosen, device = DATASETS[dataset], torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    data = standardized(chosen.load(val, device=device))
    if not val:
        data = replace(data, x_val=data.x_test, y_val=data.y_test)
    net = wide_resnet(network, classes=chosen.classes, channels=data.x_train.shape[1], seed=seed).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)
    an_epoch = -(-len(data.x_train) // batch)
    rate = schedules(epochs, an_epoch, T_0, T_mult)[schedule]
    history = train(
        net, data, optimizer, rate, epochs=epochs, batch=batch, seed=seed, augment=crop_and_mirror(chosen),
        mixed_precision=mixed_precision, checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
    parameters = sum(p.numel() for p in net.parameters())
    return {"settings": settings, "parameters": parameters, "device": str(device)} | _outcome(history, settings)


def _outcome(history: History, settings: dict) -> dict:
    errors = [round(100 * (1 - accuracy), 3) for accuracy in history.val_accuracy]
    measured_on = "validation" if settings["val"] else "test"
    outcome = {"measured_on": measured_on, "error": errors[-1], "errors": errors, "history": asdict(history)}
    if settings["schedule"] == "restarts":
        ends = restarts(settings["epochs"], settings["T_0"], settings["T_mult"])
        outcome["error_before_restart"] = {str(epoch): errors[epoch - 1] for epoch in ends}
    return outcome


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("course_lib.experiments.sgdr", description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", choices=DATASETS, default="digits")
    parser.add_argument("--network", default="wrn-10-1", help="wrn-depth-width")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--schedule", nargs="+", choices=("step", "restarts"), default=["step", "restarts"])
    parser.add_argument("--T_0", type=int, help="epochs until the first restart; 2 for fewer than 100 epochs, else 10")
    parser.add_argument("--T_mult", type=int, default=2, help="how many times as long each period is as the one before")
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--val", type=int, default=0, help="images that are held out to measure the error on")
    parser.add_argument("--seed", nargs="+", type=int, default=[0])
    parser.add_argument("--device", help="cuda if there is one, else cpu")
    parser.add_argument("--mixed-precision", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("sgdr"), help="the folder for records and checkpoints")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Train for each schedule and seed, and write `out`/dataset-network-schedule-seed.json."""
    given = vars(_arguments().parse_args(arguments))
    out, names, seeds = given.pop("out"), given.pop("schedule"), given.pop("seed")
    if given["T_0"] is None:
        given["T_0"] = 10 if given["epochs"] >= 100 else 2
    out.mkdir(parents=True, exist_ok=True)
    for name, seed in ((name, seed) for name in names for seed in seeds):
        path = out / f"{given['dataset']}-{given['network']}-{name}-{seed}.json"
        begun = time.perf_counter()
        try:
            found = run(**given, schedule=name, seed=seed, checkpoint=path.with_suffix(".pt"))
        except (ValueError, ConnectionError, FloatingPointError) as error:
            raise SystemExit(str(error)) from error
        path.write_text(json.dumps(found | provenance(time.perf_counter() - begun), indent=1) + "\n", "utf8")
        ends = "".join(f", {x:g}% after epoch {k}" for k, x in found.get("error_before_restart", {}).items())
        print(f"{path}: {found['error']:g}% error on the {found['measured_on']} set at the end{ends}", flush=True)


if __name__ == "__main__":
    main()
