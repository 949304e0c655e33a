"""What the chapter on quasi-Newton methods measures on real data: curvature from mini-batches, and training with it."""

from collections.abc import Callable

import torch
from torch import nn
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy

from course_lib.experiments.data import digits
from course_lib.experiments.records import experiment
from course_lib.formulas import second_order
from course_lib.formulas.second_order import two_loops

BATCH = 32
DECAY = 5e-4  # times the squared weights, inside the loss


def logistic_regression(seed: int, decay: float = 0.0) -> Callable:
    """The loss (W, i) of logistic regression on the digits with the indices i, of 640 weights in float64."""
    data = digits(train=1000, dtype=torch.float64, seed=seed)

    def loss(W, i):
        return cross_entropy(data.x_train[i] @ W.view(64, 10), data.y_train[i]) + decay * (W**2).sum()

    return loss


def drawn(seed: int, *shape: int) -> torch.Tensor:
    """Random indices of the 1,000 digits."""
    return torch.randint(1000, shape, generator=torch.Generator().manual_seed(seed))


@experiment(seeds=5)
def quasi_newton_curvature(seed, *, rates=(1.0, 0.1, 0.01), draws=100):
    """The mean curvature along a step, measured from two gradients, for each rate. Before training, logistic regression.

    `same`: both gradients of the batch that made the step; `other`: the second of another batch; `third`: the step made by a
    third batch; `negative` is the share of the latter curvatures that are at most 0. `truth` is measured with all data along the
    steps of batches, and `share` the share of noise in the squared norm of a batch's gradient.
    """
    loss, W = logistic_regression(seed), torch.zeros(640, dtype=torch.float64)
    slope, whole = grad(loss), slice(None)
    batches = drawn(seed, draws, 3, BATCH)

    def one(batches, lr):
        a, b, c = batches
        g, other = slope(W, a), slope(W, c)
        pairs = ((-lr * g, a), (-lr * g, b), (-lr * other, b))
        found = [p @ (slope(W + p, i) - g) / (p @ p) for p, i in pairs]
        p = -lr * g
        return torch.stack([*found, p @ (slope(W + p, whole) - slope(W, whole)) / (p @ p)])

    found = torch.stack([vmap(one, (0, None))(batches, lr) for lr in rates])  # (rates, draws, 4)
    same, other, third, truth = found.mean(1).T
    size = vmap(lambda i: slope(W, i).square().sum())(batches[:, 0]).mean()
    return {
        "same": same, "other": other, "third": third, "truth": truth, "negative": (found[..., 2] <= 0).double().mean(1),
        "share": 1 - slope(W, whole).square().sum() / size,
    }  # fmt: skip


@experiment(seeds=5, share={"steps": 30})
def quasi_newton_batches(seed, *, memory=5, steps=100):
    """The loss on all data before and after each step of logistic regression in batches of 32, at a rate of 1.

    By gradient descent (`sgd`), and by L-BFGS with both gradients of a pair from one batch (`same`) or from two (`other`).
    """
    loss = logistic_regression(seed, DECAY)
    slope, batches = grad(loss), drawn(seed, steps + 1, BATCH)

    def train(mode: str) -> list[float]:
        W = torch.zeros(640, dtype=torch.float64)
        P = Q = second_order.history(W)[:memory]
        g, losses = slope(W, batches[0]), [loss(W, slice(None)).item()]
        for b, after in zip(batches, batches[1:], strict=False):
            p = -two_loops(g, P, Q, 0.0 if mode == "sgd" else float(memory))
            g_new = slope(W + p, after)
            q = (slope(W + p, b) if mode == "same" else g_new) - g
            if second_order.curved(p, q):
                P, Q = torch.cat([p[None], P[:-1]]), torch.cat([q[None], Q[:-1]])
            W, g = W + p, g_new
            losses.append(loss(W, slice(None)).item())
        return losses

    return {mode: train(mode) for mode in ("sgd", "same", "other")}


class Digits:
    """A small network on 1,000 digits: its loss on the examples i, with weight decay, and its accuracy on the test set."""

    def __init__(self, seed: int):
        self.data = digits(train=1000, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))

    def loss(self, i=slice(None)) -> torch.Tensor:
        """The mean cross-entropy plus the decay."""
        decay = DECAY * sum((p**2).sum() for p in self.net.parameters())
        return cross_entropy(self.net(self.data.x_train[i]), self.data.y_train[i]) + decay

    def accuracy(self) -> float:
        """The share of the test set that is named rightly."""
        right = self.net(self.data.x_test).argmax(1) == self.data.y_test
        return right.double().mean().item()


def full_batch(seed: int, make_optimizer: Callable, gradients: int) -> tuple[torch.Tensor, float]:
    """The least loss so far at each gradient of the whole set, and the accuracy at the end."""
    problem, seen = Digits(seed), []
    optimizer = make_optimizer(problem.net.parameters())

    def closure():
        optimizer.zero_grad()
        loss = problem.loss()
        loss.backward()
        seen.append(loss.item())
        return loss

    while len(seen) < gradients:
        optimizer.step(closure)
    return torch.tensor(seen[:gradients], dtype=torch.float64).cummin(0).values, problem.accuracy()


def mini_batches(seed: int, lr: float, passes: int) -> tuple[torch.Tensor, float]:
    """The loss on all data after each pass of Adam in batches of 50, and the accuracy at the end."""
    problem, losses, source = Digits(seed), [], torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(problem.net.parameters(), lr)
    for _ in range(passes):
        for i in torch.randperm(1000, generator=source).split(50):
            optimizer.zero_grad()
            problem.loss(i).backward()
            optimizer.step()
        losses.append(problem.loss().item())
    return torch.tensor(losses, dtype=torch.float64), problem.accuracy()


@experiment(seeds=5)
def quasi_newton_race(seed, *, passes=100, rates=(0.03, 0.1), batch_rate=0.01):
    """A small network on the digits: the training loss at each pass over the data, and the accuracy on the test set.

    L-BFGS (`lbfgs`) and Adam at two rates (`adam`) with full batches, the least loss so far; Adam in batches of 50 (`batches`).
    """
    strong = {"line_search_fn": "strong_wolfe", "history_size": 10}
    runs = [full_batch(seed, lambda p: torch.optim.LBFGS(p, **strong), passes)]
    runs += [full_batch(seed, lambda p, lr=lr: torch.optim.Adam(p, lr), passes) for lr in rates]
    runs += [mini_batches(seed, batch_rate, passes)]
    (lbfgs, *adam, batches), accuracy = zip(*runs, strict=True)
    return {"lbfgs": lbfgs, "adam": torch.stack(adam), "batches": batches, "accuracy": accuracy}
