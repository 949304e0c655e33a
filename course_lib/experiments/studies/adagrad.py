"""What the chapter on Adagrad measures: turned valleys, noise, rare words, and a network under both places of ε."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.func import grad, vmap
from torch.nn.functional import softplus

from course_lib.experiments.optimizer import Optimizer
from course_lib.experiments.records import experiment
from course_lib.experiments.sweep import sweep
from course_lib.formulas import adagrad, adagrad_torch, gradient_descent, quadratic
from course_lib.formulas.signature import signature, step


def generator(seed: int) -> torch.Generator:
    """A source of random numbers of its own."""
    return torch.Generator().manual_seed(seed)


# A turned valley


def full_adagrad(w, g, t, G, *, lr, eps=1e-10):
    """Adagrad with all products, G of shape (n, n)."""
    G = G + g.outer(g)
    size, axes = torch.linalg.eigh(G)
    return w - lr * axes @ (axes.T @ g / (size + eps).sqrt()), G


def turned_starts(start: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """A point (x, y) that goes along with valleys which are turned by these angles: (angles, 2)."""
    (x, y), angle = start, degrees.deg2rad()
    return torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], 1)


def full_descent(w: torch.Tensor, steps: int, lr: torch.Tensor, **shape) -> torch.Tensor:
    """Where Adagrad with the whole matrix ends on quadratics of these shapes, from starts w of shape (runs, 2)."""
    slope = vmap(grad(lambda w, shape: quadratic(w, **shape)))
    move, G = vmap(lambda w, g, G, lr: full_adagrad(w, g, 1, G, lr=lr)), w.new_zeros(len(w), 2, 2)
    for _ in range(steps):
        w, G = move(w, slope(w, shape), G, lr)
    return w


@experiment(seeds=5)
def adagrad_angles(seed, *, angles=tuple(range(0, 46, 3)), rates=30, condition_number=100.0, steps=60):
    """The loss at the end of a descent in a valley turned by each angle, at the best of many rates, for each rule.

    The start, with coordinates between 1 and 2.5 up to the sign, turns with the valley. Below 1e-15 the loss counts as that.
    """
    size, side = torch.rand(2, 2, generator=generator(seed), dtype=torch.float64)
    start = (1 + 1.5 * size) * torch.where(side < 0.5, -1.0, 1.0)
    degrees = torch.tensor(angles, dtype=torch.float64)
    lr = torch.logspace(-1, 0.5, rates, dtype=torch.float64).repeat(len(angles))
    w = turned_starts(start, degrees).repeat_interleave(rates, 0)
    shape = {"angle": degrees.repeat_interleave(rates), "condition_number": torch.full_like(lr, condition_number)}
    ends = {
        "gradient_descent": sweep(gradient_descent, quadratic, w, steps, lr=lr / 100, keep="end", **shape),
        "adagrad": sweep(adagrad, quadratic, w, steps, lr=lr, keep="end", **shape),
        "full": full_descent(w, steps, lr, **shape),
    }
    loss = vmap(lambda w, shape: quadratic(w, **shape))
    return {
        name: loss(end, shape).nan_to_num(torch.inf).view(len(angles), rates).amin(1).clamp(min=1e-15)
        for name, end in ends.items()
    }


# Noise


def follow(
    rule: Callable, times: Sequence[int], source: torch.Generator, runs: int, **hyper
) -> tuple[list[float], list[int]]:
    """Runs on θ²/2 with unit noise in the gradient: their variance at each of `times`, and how slow they are from then on.

    The second list says how many steps the mean needs to cover half of the way if the minimum moves by 1 at that time.
    """
    hyper = signature(rule).hyper | hyper

    def run(w, state, t, target):
        g = w - target + torch.randn(runs, generator=source)
        return step(rule, w, g, t, state, hyper)

    w = torch.zeros(runs)
    state, variances, waits = tuple(signature(rule).initial(w, hyper).values()), [], []
    for t in range(1, max(times) + 1):
        w, state = run(w, state, t, 0.0)
        if t in times:
            variances.append(w.var().item())
            moved, moved_state, wait = w, state, 0
            while moved.mean() < 0.5:
                wait += 1
                moved, moved_state = run(moved, moved_state, t + wait, 1.0)
            waits.append(wait)
    return variances, waits


@experiment(seeds=5, share={"times": (10, 30, 100, 300, 1000)})
def adagrad_noise(seed, *, times=(10, 30, 100, 300, 1000, 3000, 10_000), lr=0.5, runs=2000):
    """Runs on θ²/2 with unit noise: the variance after each time, and the steps to follow half of a move of the minimum."""
    variance, wait = follow(adagrad, times, generator(seed), runs, lr=lr)
    return {"variance": variance, "wait": wait}


# Rare features


def fading(w, g, t, *, lr=1.0):
    """Gradient descent with Adagrad's schedule."""
    return w - lr / t**0.5 * g


def one_for_all(w, g, t, G=0.0, *, lr=1.0, eps=1e-10):
    """Adagrad with one sum of squares for all parameters together."""
    G = G + g.square().sum(-1, keepdim=True)
    return w - lr / (G + eps).sqrt() * g, G


CONTENDERS = (gradient_descent, fading, one_for_all, adagrad)


def documents(often: torch.Tensor, truth: torch.Tensor, n: int, source: torch.Generator):
    """n documents, which words each has, (n, words), and their scores, (n,): the label is 1 with probability sigmoid(score)."""
    x = (torch.rand(n, len(often), generator=source) < often).float()
    return x, x @ truth


def excess_loss(
    rule: Callable, rates: torch.Tensor, often: torch.Tensor, truth: torch.Tensor, steps: int, source: torch.Generator
) -> torch.Tensor:
    """How far above the true weights' the loss on new documents is after training on 8 documents a step: for each rate."""
    w = torch.zeros(len(rates), len(often))
    hyper = signature(rule).hyper | {"lr": rates[:, None]}
    state = tuple(signature(rule).initial(w, hyper).values())
    for t in range(1, steps + 1):
        x, score = documents(often, truth, 8, source)
        y = (torch.rand(8, generator=source) < score.sigmoid()).float()
        w, state = step(rule, w, ((w @ x.T).sigmoid() - y) @ x / 8, t, state, hyper)
    x, score = documents(often, truth, 4000, source)
    p, logits = score.sigmoid(), w @ x.T
    return (softplus(logits) - p * logits - softplus(score) + p * score).mean(1)


@experiment(seeds=10, share={"powers": (1.5,)})
def adagrad_rare_words(seed, *, powers=(1.5, 0.0), log2_rates=tuple(range(-6, 8)), words=100, steps=1000):
    """Logistic regression on documents: the loss above the true weights' for each power and rate, by each rule.

    Word k is in a document with probability 0.5 / k**power: with power 0 all are equally frequent. A seed is a problem.
    """
    rates = 2.0 ** torch.tensor(log2_rates, dtype=torch.float32)
    losses = {rule.__name__: [] for rule in CONTENDERS}
    for power in powers:
        often = 0.5 / torch.arange(1, words + 1) ** power
        truth = 2 * torch.randn(words, generator=generator(seed))
        for rule in CONTENDERS:  # all of them see the same documents
            losses[rule.__name__].append(excess_loss(rule, rates, often, truth, steps, generator(1000 + seed)).tolist())
    return losses


# A network


def fit_product(make_optimizer: Callable, seed: int = 0, steps: int = 200):
    """Fit xy with a network of 129 parameters: these at the end, the losses, and the gradients of the first and all steps' norms.

    Returns (parameters, losses, first gradient, norms of the gradients).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1)).double()
        optimizer = make_optimizer(model.parameters())
        losses, gradients = [], []
        for _ in range(steps):
            x = torch.rand(64, 2, dtype=torch.float64) * 4 - 2
            loss = (model(x).squeeze() - x.prod(dim=1)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            losses.append(loss.item())
            gradients.append(nn.utils.parameters_to_vector([p.grad for p in model.parameters()]))
            optimizer.step()
    parameters = nn.utils.parameters_to_vector(model.parameters()).detach()
    return parameters, losses, gradients[0], [g.norm().item() for g in gradients]


@experiment(seeds=5)
def adagrad_network(seed, *, lr=0.1, large=100.0, spellings=(("pytorch", 1e-10), ("slide", 1e-10), ("slide", 1e-20))):
    """A small network: the last loss with two rates, how far each spelling of ε takes the weights from torch.optim's,
    the smallest first gradient, and the first gradient's norm over the mean one after 100 steps."""
    rules = {"pytorch": adagrad_torch, "slide": adagrad}
    theirs, losses, first, norms = fit_product(lambda p: torch.optim.Adagrad(p, lr=lr), seed)
    ours = [fit_product(lambda p: Optimizer(p, rules[name], lr=lr, eps=eps), seed)[0] for name, eps in spellings]
    return {
        "loss": losses[-1],
        "loss_at_large": fit_product(lambda p: torch.optim.Adagrad(p, lr=large), seed)[1][-1],
        "off": [(w - theirs).abs().max() for w in ours],
        "smallest": first.abs().min(),
        "longest": norms[0] / torch.tensor(norms[100:]).mean(),
    }


def train_table(
    optimizer: type, sparse: bool, steps: int = 100, seed: int = 0, path: bool = False, **hyper
) -> torch.Tensor:
    """A table of 1,000 vectors, 16 of which are drawn and pulled towards 1 in each step, trained by a class of torch.optim.

    The vectors at the end, (1000, 8), or with `path` after each step, (steps, 1000, 8).
    """
    with torch.random.fork_rng(devices=[]), torch.sparse.check_sparse_tensor_invariants():
        torch.manual_seed(seed)
        table, seen = nn.Embedding(1000, 8, sparse=sparse).double(), []
        chosen = optimizer(table.parameters(), lr=0.1, **hyper)
        for _ in range(steps):
            loss = (table(torch.randint(1000, (16,))) - 1).square().mean()
            chosen.zero_grad()
            loss.backward()
            chosen.step()
            seen += [table.weight.detach().clone()] if path else []
    return torch.stack(seen) if path else table.weight.detach()


SPARSE = {  # what is trained on sparse gradients, and its twin on dense ones
    "Adagrad": (torch.optim.Adagrad, torch.optim.Adagrad, {}),
    "SGD with momentum": (torch.optim.SGD, torch.optim.SGD, {"momentum": 0.9}),
    "SparseAdam, Adam": (torch.optim.SparseAdam, torch.optim.Adam, {}),
}


@experiment(seeds=5, share={"steps": 50})
def adagrad_sparse(seed, *, steps=100, every=5, least=1e-12):
    """The largest difference of a table's entry between sparse and dense gradients, for each of SPARSE, at every fifth step.

    Below `least` the difference is rounding, and counts as that. The shape is (optimizers, steps / every).
    """
    apart = []
    for sparse, dense, hyper in SPARSE.values():
        rows = train_table(sparse, True, steps, seed, path=True, **hyper)
        rows = rows - train_table(dense, False, steps, seed, path=True, **hyper)
        apart.append(rows[every - 1 :: every].abs().amax((1, 2)).clamp(min=least))
    return {"apart": torch.stack(apart)}
