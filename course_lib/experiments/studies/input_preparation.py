"""What the chapter on preparing inputs measures: condition numbers and descent, statistics of the wrong set, orders of samples."""

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

from course_lib.experiments.data import digits
from course_lib.experiments.records import experiment
from course_lib.experiments.samplers import ClassesApart, HardFirst
from course_lib.formulas import preparation as prepare

PREPARATIONS = ("raw", "centered", "standardized", "whitened")


def wine(seed: int) -> tuple[torch.Tensor, ...]:
    """Chemical analyses of 178 wines: x_train (128, 13), y_train, x_test (50, 13), y_test; three classes, shuffled by the seed.

    Each feature has its own unit. Source: Forina et al., "Wine" (UCI, 1991), by way of scikit-learn.
    """
    from sklearn.datasets import load_wine  # slow to import

    x, y = (torch.as_tensor(a) for a in load_wine(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    (x_train, x_test), (y_train, y_test) = x[order].split([128, 50]), y[order].split([128, 50])
    return x_train, y_train, x_test, y_test


def preparation(name: str, train: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function that prepares data by what is measured on the training set."""
    mean, std = prepare.feature_statistics(train)
    fit = prepare.principal_axes(train)
    functions = {
        "raw": lambda x: x,
        "centered": lambda x: x - mean,
        "standardized": lambda x: prepare.standardize(x, mean, std),
        "whitened": lambda x: prepare.whiten(x, mean, *fit, eps=1e-8),
    }
    return functions[name]


def descend(x: torch.Tensor, y: torch.Tensor, classes: int, steps: int) -> list[float]:
    """Full-batch descent of a linear classifier at the rate 1/λ_max, from zero: the loss before each step and at the end.

    A softmax's Hessian is at most half of that of least squares, so 1/λ_max of the latter is a safe and long step.
    """
    h = prepare.least_squares_hessian(x)
    lr = 1 / torch.linalg.eigvalsh(h)[-1]
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    W = torch.zeros(x.shape[1], classes, dtype=x.dtype)
    target, losses = torch.nn.functional.one_hot(y, classes).to(x), []
    for _ in range(steps + 1):
        logits = x @ W
        losses.append(cross_entropy(logits, y).item())
        W = W - lr * x.T @ (logits.softmax(1) - target) / len(x)
    return losses


@experiment(seeds=5)
def preparation_descent(seed, *, preparations=PREPARATIONS, steps=300, every=5):
    """Wine: the condition number of a linear model's loss, and the training loss at every fifth step of descent: a row each."""
    x, y, *_ = wine(seed)
    ready = [preparation(name, x)(x) for name in preparations]
    return {
        "condition": [prepare.condition_number(prepare.least_squares_hessian(z)) for z in ready],
        "loss": [descend(z, y, 3, steps)[::every] for z in ready],
    }


@experiment(seeds=5)
def preparation_statistics(seed, *, steps=300):
    """Wine: the test accuracy of a linear classifier on standardized data.

    `training` standardizes the test set by the training set's statistics, `own` by the test set's, `class_own` does so for
    each class's test examples apart, as where only one class arrives.
    """
    x, y, x_test, y_test = wine(seed)
    z = preparation("standardized", x)(x)
    lr = 1 / torch.linalg.eigvalsh(prepare.least_squares_hessian(z))[-1]
    W, b = torch.zeros(13, 3, dtype=x.dtype), torch.zeros(3, dtype=x.dtype)
    target = torch.nn.functional.one_hot(y, 3).to(x)
    for _ in range(steps):
        g = ((z @ W + b).softmax(1) - target) / len(z)
        W, b = W - lr * z.T @ g, b - lr * g.sum(0)

    def right(test, statistics, which):
        return ((prepare.standardize(test, *statistics) @ W + b).argmax(1) == y_test[which]).sum().item()

    everything, classes = y_test >= 0, [y_test == k for k in range(3)]
    apart = sum(right(x_test[k], prepare.feature_statistics(x_test[k]), k) for k in classes)
    own = right(x_test, prepare.feature_statistics(x_test), everything)
    training = right(x_test, prepare.feature_statistics(x), everything)
    return {"training": training / len(y_test), "own": own / len(y_test), "class_own": apart / len(y_test)}


def classifier(seed: int) -> torch.nn.Module:
    """64 pixels, 32 tanh units, 10 classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))


def train_in_order(sampler, x, y, seed: int, *, epochs: int, batch: int, lr: float, data) -> list[float]:
    """Train on the digits in the order that the sampler gives; the test accuracy after each epoch. HardFirst hears the losses."""
    net = classifier(seed)
    optimizer, accuracy = torch.optim.SGD(net.parameters(), lr), []
    for _ in range(epochs):
        for chosen in torch.utils.data.BatchSampler(sampler, batch, drop_last=False):
            losses = cross_entropy(net(x[chosen]), y[chosen], reduction="none")
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
            if isinstance(sampler, HardFirst):
                sampler.update(chosen, losses)
        with torch.no_grad():
            accuracy.append((net(data.x_test).argmax(1) == data.y_test).double().mean().item())
    return accuracy


@experiment(seeds=5, share={"epochs": 1})
def preparation_order(seed, *, epochs=3, batch=5, lr=0.1):
    """Digits in small batches: the test accuracy after each epoch, for samples sorted by class, shuffled, and classes apart."""
    data = digits(seed=seed)
    x, y = data.x_train, data.y_train
    run = {"epochs": epochs, "batch": batch, "lr": lr, "data": data}
    shuffled = torch.utils.data.RandomSampler(range(len(x)), generator=torch.Generator().manual_seed(seed))
    samplers = {
        "sorted by class": y.argsort(stable=True).tolist(),
        "shuffled": shuffled,
        "classes apart": ClassesApart(y, seed=seed),
    }
    return {name: train_in_order(sampler, x, y, seed, **run) for name, sampler in samplers.items()}


@experiment(seeds=5, share={"epochs": 1, "noise": (0.0,)})
def preparation_hard_first(seed, *, noise=(0.0, 0.1), epochs=6, batch=10, lr=0.1):
    """Digits: the test accuracy after each epoch with equal draws and with hard samples first, and the share of wrong labels
    among the draws at the end: a row for each share of labels that are wrong."""
    data = digits(seed=seed)
    x, source = data.x_train, torch.Generator().manual_seed(seed)
    found = {"equal": [], "hard first": [], "wrong": []}
    for share in noise:
        wrong = torch.rand(len(x), generator=source) < share
        y = data.y_train.where(~wrong, (data.y_train + 1 + torch.randint(9, (len(x),), generator=source)) % 10)
        for name, sharpness in (("equal", 0.0), ("hard first", 1.0)):
            sampler = HardFirst(len(x), sharpness=sharpness, refresh=batch, seed=seed)
            found[name].append(train_in_order(sampler, x, y, seed, epochs=epochs, batch=batch, lr=lr, data=data))
        found["wrong"].append(sampler.probabilities[wrong].sum())
    return found
