"""Formulas at work: thousands of small runs at once, and real networks."""

from course_lib.experiments.data import digits
from course_lib.experiments.ensemble import train_ensemble
from course_lib.experiments.image_data import cifar10, cifar100, fashion_mnist, mnist
from course_lib.experiments.optimizer import Optimizer
from course_lib.experiments.records import recorded
from course_lib.experiments.sweep import sweep
from course_lib.experiments.training import train

__all__ = [
    "Optimizer",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "mnist",
    "recorded",
    "sweep",
    "train",
    "train_ensemble",
]
