"""Exercise: a run of gradient descent that learns, and then unlearns. Which fault was planted?"""

import torch

from course_lib.exercises.diagnosis import Diagnosis, Observation, Suspect
from course_lib.experiments.studies.faults import BATCH, Run, never_cleared, train
from course_lib.formulas import gradient_descent, sgd

STEPS, RATE = 300, 0.5


planted = never_cleared  # a name that gives nothing away, for the notebook


def uphill(w, g, t, *, lr=RATE):
    """Gradient descent with the wrong sign."""
    return w + lr * g


def decayed(w, g, t, *, lr=RATE, decay=1.0):
    """Gradient descent with a weight decay that is far too strong."""
    return w - lr * (g + decay * w)


def by_class(data, t):
    """Batch t when the examples are sorted by class and nobody shuffles."""
    order, k = data.y_train.argsort(stable=True), t * BATCH % len(data.y_train)
    return order[k : k + BATCH]


def plant(rule, **setting):
    return lambda seed: train(rule, seed=seed, steps=STEPS, **setting)


def relative_changes(x: torch.Tensor) -> float:
    """By what share x changes from one step to the next: the median over the last 200 steps."""
    x = x[-200:]
    return (x[1:] / x[:-1] - 1).abs().median().item()


def excess(run: Run) -> torch.Tensor:
    """How many times as long as the rate times the gradient a step is."""
    return run.step / (RATE * run.gradient)


def in_proportion(run: Run) -> bool:
    return bool((excess(run) / excess(run)[0] - 1).abs().max() < 1e-2)


TOO_FAST = Suspect(
    "The rate is five times what it should be.",
    plant(gradient_descent, lr=5 * RATE),
    "At any rate, a step of plain gradient descent is a fixed multiple of its own gradient: where the gradient is half as long, so is the step. "
    "Here the ratio of the two runs from 0.5 up to more than 15. Plot it.",
    lambda run: excess(run).max() > 30 * excess(run).min(),
)
HEAVY = Suspect(
    "There is a momentum of 0.9, without the factor (1 − m).",
    plant(sgd, lr=RATE, momentum=0.9),
    "Close: a momentum makes steps that no single gradient explains. But one of 0.9 forgets half of a gradient within seven steps, so its steps "
    "get short where gradients cancel: the run would end at a loss below 0.01. Here the steps grow to the very end.",
    lambda run: run.loss[-50:].mean() > 0.01 and run.step[-50:].mean() > 2 * run.step[50:100].mean(),
)
NEVER_CLEARED = Suspect("`zero_grad()` is missing in the training loop.", plant(never_cleared))
DECAYED = Suspect(
    "The weight decay is 1, far too strong.",
    plant(decayed),
    "That decay would pull all weights to 0 before they have learned anything: the loss would stay at 2.3, that of guessing. Here it falls "
    "below 0.1 first.",
    lambda run: run.loss.min() < 0.1,
)
SORTED = Suspect(
    "The examples are sorted by class, and nobody shuffles them.",
    plant(gradient_descent, order=by_class, lr=RATE),
    "Then a batch would hold one class or two, and the loss would jump with every step. And each step would be half as long as its gradient, as "
    "plain gradient descent makes them at this rate. Plot the ratio of the two.",
    lambda run: not in_proportion(run),
)
UPHILL = Suspect(
    "The step has the wrong sign.",
    plant(uphill),
    "Then the loss would climb from the first step on. Here it falls for 40 steps, below 0.5.",
    lambda run: run.loss[:40].min() < 0.5,
)

check = Diagnosis(
    "unlearning",
    [TOO_FAST, HEAVY, NEVER_CLEARED, DECAYED, SORTED, UPHILL],
    [
        Observation(
            "After 250 steps the loss is higher than at the start.",
            lambda run: run.loss[250:].mean() > run.loss[0],
            (TOO_FAST, UPHILL),
        ),
        Observation(
            "Before that, it has been below 0.3 for a while.", lambda run: (run.loss < 0.3).sum() > 10, (HEAVY, SORTED)
        ),
        Observation(
            "Some steps are more than six times as long as the rate times the gradient of their batch.",
            lambda run: excess(run).max() > 6,
            (HEAVY, DECAYED),
        ),
        Observation(
            "Late in the run the gradient's length changes by two fifths from one step to the next, the step's by less than a hundredth.",
            lambda run: relative_changes(run.step) < 0.01 and relative_changes(run.gradient) > 0.3,
        ),
        Observation(
            "The first step is as long as the rate times the gradient.",
            lambda run: abs(excess(run)[0] - 1) < 1e-2,
            (HEAVY, SORTED, UPHILL),
        ),
    ],
)
