"""What the chapter on the objective measures: a network's gradient by trying out, slices of its loss, and overfitting."""

import functools
from collections.abc import Callable

import torch
from torch import nn
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector
from torch.utils.flop_counter import FlopCounterMode

from course_lib.experiments.data import Split, digits
from course_lib.experiments.records import experiment

SIZES = (64 * 32, 32, 32 * 10, 10)  # of the parameters of a network of 32 tanh units for digits of 64 pixels


def digits_network(seed: int) -> nn.Sequential:
    """From 64 pixels by 32 tanh units to 10 classes, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)).double()


@functools.cache
def data() -> Split:
    """1,000 handwritten digits to train with, and the others, in float64."""
    return digits(dtype=torch.float64)


def logits(theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The network's outputs, (N, 10), for x of the shape (N, 64)."""
    W1, b1, W2, b2 = theta.split(SIZES)
    hidden = (x @ W1.view(32, 64).T + b1).tanh()
    return hidden @ W2.view(10, 32).T + b2


def digits_loss(theta: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy over 1,000 digits, of all parameters."""
    return cross_entropy(logits(theta, data().x_train), data().y_train)


def operations(compute: Callable) -> int:
    """How many multiplications and additions the matrix products of a computation take."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops()


@experiment(seeds=10)
def objective_finite_differences(seed, *, exponents=tuple(x / 2 for x in range(-2, -25, -1))):
    """The relative errors of finite differences for the largest component of a network's gradient, over h = 10 ** exponent."""
    theta = parameters_to_vector(digits_network(seed).parameters()).detach()
    g = grad(digits_loss)(theta)
    k = g.abs().argmax()
    e, h = torch.zeros_like(theta), 10 ** torch.tensor(exponents, dtype=torch.float64)
    e[k] = 1.0
    up, down = (torch.stack([digits_loss(theta + step * e) for step in sign * h]) for sign in (1, -1))
    slopes = {"one_sided": (up - digits_loss(theta)) / h, "two_sided": (up - down) / (2 * h)}
    return {name: (slope / g[k] - 1).abs() for name, slope in slopes.items()}


@experiment(seeds=5, share={"blocks": 2})
def objective_trying_out(seed, *, h=1e-7, tolerance=3e-8, blocks=10):
    """A network's gradient by trying out its parameters one by one, in ten blocks of 241: the part of each block that agrees
    with backpropagation to within the tolerance, which is rounding's, and the size of its largest component.
    """
    theta = parameters_to_vector(digits_network(seed).parameters()).detach()
    here, g = digits_loss(theta), grad(digits_loss)(theta)
    outcomes = {"agrees": [], "largest": []}
    for block in torch.arange(len(theta)).view(10, -1)[:blocks]:
        moved = torch.stack([digits_loss(theta.index_add(0, k, theta.new_tensor([h]))) for k in block.split(1)])
        agrees = ((moved - here) / h - g[block]).abs() < tolerance
        outcomes["agrees"].append(agrees.double().mean())
        outcomes["largest"].append(g[block].abs().max())
    return outcomes


def trained(seeds: list[int], steps: int, lr: float) -> torch.Tensor:
    """The parameters of several networks after gradient descent on all 1,000 digits, (networks, 2410)."""
    theta, slope = (
        torch.stack([parameters_to_vector(digits_network(seed).parameters()).detach() for seed in seeds]),
        vmap(grad(digits_loss)),
    )
    for _ in range(steps):
        theta = theta - lr * slope(theta)
    return theta


def random_direction(theta: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A random vector, each layer's part as long as that layer's weights (Li et al., 2018)."""
    parts = [(part, torch.randn(part.shape, generator=generator, dtype=part.dtype)) for part in theta.split(SIZES)]
    return torch.cat([noise * part.norm() / noise.norm() for part, noise in parts])


def plane_through(A: torch.Tensor, B: torch.Tensor, C: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two unit vectors at a right angle, the first one from A to B, that span the plane through three points."""
    u = (B - A) / (B - A).norm()
    v = (C - A) - (C - A).dot(u) * u
    return u, v / v.norm()


def cut(origin: torch.Tensor, u: torch.Tensor, v: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """The losses on a plane, (len(side), len(side)): along a row u, from row to row v."""
    rows = origin + side[:, None, None] * v + side[None, :, None] * u
    return torch.stack([vmap(digits_loss)(row) for row in rows])


def shuffled(theta: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same function by other parameters: the hidden units in another order."""
    order = torch.randperm(32, generator=generator)
    W1, b1, W2, b2 = theta.split(SIZES)
    return torch.cat([W1.view(32, 64)[order].flatten(), b1[order], W2.view(10, 32)[:, order].flatten(), b2])


def rescaled(theta: torch.Tensor, factor: float) -> torch.Tensor:
    """The parameters with those of the last layer multiplied by a factor."""
    W1, b1, W2, b2 = theta.split(SIZES)
    return torch.cat([W1, b1, factor * W2, factor * b2])


def through_three(theta: torch.Tensor, points: int) -> dict:
    """The loss on the plane through three networks, where they lie on it, and what is between each two of them."""
    u, v = plane_through(*theta)
    places = (theta - theta[0]) @ torch.stack([u, v], 1)  # (3, 2)
    pairs = [(theta[a], theta[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    return {
        "plane": cut(theta[0], u, v, torch.linspace(-6, 30, points, dtype=theta.dtype)),
        "places": places,
        "distance": [(a - b).norm() for a, b in pairs],
        "between": [digits_loss((a + b) / 2) for a, b in pairs],
        "rings": rings(theta.mean(0), u, v),
    }


def rings(center: torch.Tensor, u: torch.Tensor, v: torch.Tensor, radii=(10.0, 14.0, 18.0)) -> torch.Tensor:
    """The losses at 60 points on circles in a plane, (radii, 60)."""
    angle = torch.arange(60, dtype=center.dtype)[:, None] * torch.pi / 30
    circle = angle.cos() * u + angle.sin() * v  # (60, n)
    return torch.stack([vmap(digits_loss)(center + radius * circle) for radius in radii])


@experiment(seeds=5, share={"networks": 1})
def objective_slices(seed, *, networks=3, steps=600, lr=1.0, factors=(1, 2, 4, 8), points=25):
    """Slices of a network's loss: `random`, the first one's from -1 to 1 in both directions, and `plane`, through all three
    from -6 to 30. For each network `rescaled`, its loss after the last layer is multiplied by the factors, its `errors`, and
    the loss `halfway` to itself with its units shuffled. Of each two of them the `distance` and the loss in the middle,
    `between`. `places` and `rings` are where the networks lie on the plane, and losses around their center.
    """
    theta = trained([3 * seed + k for k in range(networks)], steps, lr)
    generator, ends = torch.Generator().manual_seed(seed), list(theta)
    axes = [random_direction(theta[0], generator) for _ in range(2)]
    twins = [shuffled(one, generator) for one in ends]
    wrong = [(logits(one, data().x_train).argmax(1) != data().y_train).sum() for one in ends]
    outcomes = {
        "random": cut(theta[0], *axes, torch.linspace(-1, 1, points, dtype=theta.dtype)),
        "rescaled": [[digits_loss(rescaled(one, c)) for c in factors] for one in ends],
        "errors": wrong,
        "halfway": [digits_loss((one + twin) / 2) for one, twin in zip(ends, twins, strict=True)],
    }
    return outcomes | (through_three(theta, points) if networks == 3 else {})


@experiment(seeds=5, share={"marks": (10, 20, 50, 100, 200)})
def objective_overfitting(seed, *, marks=(10, 20, 50, 100, 200, 400, 700, 1000, 1400, 2000), train=100, lr=1.0):
    """Gradient descent on all of 100 digits, other ones for each seed: training loss, validation loss and accuracy on 400
    others, after each of the steps `marks`.
    """
    few, net = digits(train, 400, seed=seed), digits_network(seed).float()
    optimizer, rows = torch.optim.SGD(net.parameters(), lr=lr), []
    for step in range(1, marks[-1] + 1):
        loss = cross_entropy(net(few.x_train), few.y_train)
        if step in marks:
            with torch.no_grad():
                scores = net(few.x_val)
            right = (scores.argmax(1) == few.y_val).double().mean()
            rows.append((loss.item(), cross_entropy(scores, few.y_val).item(), right.item()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return dict(zip(("training", "validation", "accuracy"), zip(*rows, strict=True), strict=True))
