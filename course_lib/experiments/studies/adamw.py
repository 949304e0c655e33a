"""What the chapter on AdamW measures: the decay that each weight feels, the scale of the loss, and the angle of a step.

Its maps over rate and decay are in decay_map.py.
"""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.experiments.ensemble import batches, network
from course_lib.experiments.optimizer import Optimizer
from course_lib.experiments.records import experiment
from course_lib.experiments.studies.decay_map import BATCH, Normalized, noisy_digits, plain
from course_lib.formulas import RULES, adam_l2, adamw

# The first figure: a loss that is almost flat, and a gradient that noise shakes


def flat(w):
    return 1e-6 * (w**2).sum()


def shaken(g, t, noise):
    """The gradient plus or minus `noise` in x, and a twentieth of that in y, in turn."""
    return g + torch.stack([noise, noise / 20]) * torch.cos(math.pi * t * torch.ones_like(g))


def decoupled(w, g, t, m=0.0, v=0.0, felt=0.0, *, lr=0.02, decay=0.5, noise=4.0):
    """AdamW on the shaken gradient; every weight feels the same decay."""
    w, m, v = adamw(w, shaken(g, t, noise), t, m, v, lr=lr, decay=decay)
    return w, m, v, decay * torch.ones_like(w)


def with_l2(w, g, t, m=0.0, v=0.0, felt=0.0, *, lr=0.02, decay=0.5, noise=4.0):
    """Adam with an L2 term on the shaken gradient, and the decay that each weight feels."""
    w, m, v = adam_l2(w, shaken(g, t, noise), t, m, v, lr=lr, decay=decay)
    return w, m, v, decay / ((v / (1 - 0.999**t)).sqrt() + 1e-8)


# Real networks


def train(
    make_optimizer: Callable, model: Callable, seed: int, *, steps: int = 400, scale: float = 1.0, dtype=torch.float32,
    watched: int = 0,
) -> tuple[nn.Module, torch.optim.Optimizer, torch.Tensor]:  # fmt: skip
    """Train a network on the noisy digits, on `scale` times its loss, by the optimizer that is made for its parameters.

    The third result holds the degrees by which each of the last `watched` steps turned each parameter, (watched, parameters).
    """
    data, net = noisy_digits(), network(model, seed, dtype)
    optimizer, drawn, turns = make_optimizer(net.parameters()), batches(len(data.x_train), BATCH, seed), []
    for t in range(steps):
        k = next(drawn)
        loss = scale * cross_entropy(net(data.x_train[k].to(dtype)), data.y_train[k])
        optimizer.zero_grad()
        loss.backward()
        old = [p.detach().clone() for p in net.parameters()] if t >= steps - watched else []
        optimizer.step()
        if old:
            turns.append([angle(a, b) for a, b in zip(old, net.parameters(), strict=True)])
    return net, optimizer, torch.tensor(turns)


def angle(a: torch.Tensor, b: torch.Tensor) -> float:
    """The small angle between two weight matrices, taken as vectors, in degrees."""
    return math.degrees((a / a.norm() - b.detach() / b.detach().norm()).norm().item())


def by(rule: str, **hyper) -> Callable:
    """A function that makes the optimizer by a rule for parameters."""
    return lambda parameters: Optimizer(parameters, RULES[rule], **hyper)


def fitted_weights(make_optimizer: Callable, steps: int = 200) -> torch.Tensor:
    """All parameters of the plain network in one vector, in double precision, after training by this optimizer."""
    net, _, _ = train(make_optimizer, plain, 0, steps=steps, dtype=torch.float64)
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def first_layer(rule: str, seed: int, steps: int, **hyper) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights of the first layer after training, and the root of v for each."""
    net, optimizer, _ = train(by(rule, **hyper), plain, seed, steps=steps)
    v = optimizer.state[net[0].weight]["v"] / (1 - 0.999**steps)
    return net[0].weight.detach(), v.sqrt()


@experiment(seeds=5)
def adamw_felt_decay(seed, *, steps=400, lr=0.01, l2=0.005, decay=0.3):
    """The weights of a first layer in fifths, by the decay that they feel under Adam + L2.

    For each fifth the median of the root of v (`root`) and of the decay that is felt (`felt`), and the root mean square of its
    weights by each rule. `middle_root` is the median root of all. `dark` is what is left of the weights of pixels that are dark
    in all images: by Adam + L2 the largest one, by AdamW the least and the greatest part of the first weight.
    """
    data = noisy_digits()
    lit = data.x_train.amax(0) > 0
    (w, root), (other, _) = (
        first_layer("adam_l2", seed, steps, lr=lr, decay=l2),
        first_layer("adamw", seed, steps, lr=lr, decay=decay),
    )
    felt = l2 / (root[:, lit] + 1e-8)
    fifths = felt.flatten().argsort().chunk(5)

    def each(x, reduce):
        return [reduce(x.flatten()[k]) for k in fifths]

    def rms(x):
        return x.square().mean().sqrt()

    begin = network(plain, seed)[0].weight.detach()
    left = other[:, ~lit] / begin[:, ~lit]
    return {
        "root": each(root[:, lit], torch.median), "felt": each(felt, torch.median),
        "adam_l2": each(w[:, lit], rms), "adamw": each(other[:, lit], rms), "middle_root": root[:, lit].median(),
        "dark": [w[:, ~lit].abs().max(), left.min(), left.max()],
    }  # fmt: skip


@experiment(seeds=5, share={"scales": (1.0,)})
def adamw_scale(seed, *, scales=(1.0, 100.0), steps=400, lr=0.01, l2=0.005, decay=0.3):
    """The norm of all weights and the validation loss after training on the loss times each scale, by each rule."""
    data, outcomes = noisy_digits(), {}
    for rule, strength in (("adamw", decay), ("adam_l2", l2)):
        nets = [train(by(rule, lr=lr, decay=strength), plain, seed, steps=steps, scale=s)[0] for s in scales]
        outcomes[f"{rule}_norm"] = [nn.utils.parameters_to_vector(net.parameters()).norm().item() for net in nets]
        outcomes[f"{rule}_loss"] = [cross_entropy(net(data.x_val), data.y_val).item() for net in nets]
    return outcomes


@experiment(seeds=5, share={"rates": (0.001,), "products": (0.1,)})
def adamw_angles(seed, *, rates=(0.001, 0.01, 0.1), products=(0.1, 0.01), l2_product=1e-4, steps=600):
    """By how many degrees a step turns both layers of the normalized network, on average over the last 200 steps.

    `adamw` has the shape (rates, products, 2), for the products ηλ; `adam_l2` (rates, 2), for the product η²λ.
    """

    def turn(rule, lr, decay):
        return train(by(rule, lr=lr, decay=decay), Normalized, seed, steps=steps, watched=200)[2].mean(0).tolist()

    return {
        "adamw": [[turn("adamw", lr, product / lr) for product in products] for lr in rates],
        "adam_l2": [turn("adam_l2", lr, l2_product / lr**2) for lr in rates],
    }
