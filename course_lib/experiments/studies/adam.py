"""What the chapter on Adam measures: the length of its steps, the correction, Adam beside momentum; and what its figures show."""

import math

import torch
from torch import nn
from torch.func import vmap

from course_lib.experiments.records import experiment
from course_lib.experiments.replay import replay
from course_lib.experiments.sweep import sweep
from course_lib.formulas import SURFACES, adam, momentum, quadratic
from course_lib.formulas.signature import signature
from course_lib.formulas.surfaces import Condition, Degrees

FLOAT = torch.float64


# What the figures show


def measured(w, *, unit=1.0, condition_number: Condition = 10.0, angle: Degrees = 0.0):
    """The quadratic with its loss in another unit."""
    return unit * quadratic(w, condition_number=condition_number, angle=angle)


def adam_with_its_step(w, g, t, m=0.0, v=0.0, move=0.0, *, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8):
    """Adam that remembers its last step, in units of the rate."""
    new, m, v = adam(w, g, t, m, v, lr=lr, eps=eps, beta1=beta1, beta2=beta2)
    return new, m, v, (new - w) / lr


def adam_with_its_rate(w, g, t, m=0.0, v=0.0, rate=0.1, *, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8):
    """Adam that remembers which rate momentum would need for the same step."""
    w, m, v = adam(w, g, t, m, v, lr=lr, eps=eps, beta1=beta1, beta2=beta2)
    return w, m, v, lr / ((v / (1 - beta2**t)).sqrt() + eps)


# fmt: off
def uncorrected(
    w, g, t, m=0.0, v=0.0, *,
    lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8,
):
    """Adam without its two corrections."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (v.sqrt() + eps), m, v
# fmt: on


# How long a step is

HISTORIES = (
    "always 5",
    "1, −1, 1, −1, …",
    "noise around 0",
    "0, then a single 1",
    "0, then always 1",
    "0, then × 1.11 a step",
)


@experiment(seeds=5)
def adam_longest_steps(seed, *, silence=10_000, steps=100):
    """The longest of Adam's steps after a history of gradients, in units of its rate, for each of HISTORIES."""
    late = torch.arange(silence + steps, dtype=FLOAT) - silence
    noise = torch.randn(len(late), generator=torch.Generator().manual_seed(seed), dtype=FLOAT)
    awake = (late >= 0).to(FLOAT)
    g = torch.stack([5 + 0 * late, (-1.0) ** (late % 2), noise, (late == 0).to(FLOAT), awake, awake * 1.11**late], 1)
    lengths = replay(adam, g, lr=1.0).diff(dim=0).abs()
    return {"longest": lengths[silence:].amax(0)}


# A small network as a surface

INPUTS = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)).double() * 4 - 2


def hidden_units(w: torch.Tensor) -> torch.Tensor:
    """What the 16 hidden units give for each of the 64 inputs, for the 65 parameters w: (64, 16)."""
    return torch.tanh(INPUTS @ w[:32].view(2, 16) + w[32:48])


def network(w):
    """The loss of a network of 65 parameters that learns xy."""
    output = hidden_units(w) @ w[48:64] + w[64]
    return (output - INPUTS.prod(dim=1)).square().mean()


def network_starts(seed: int, starts: int) -> torch.Tensor:
    """Random parameters, (starts, 65)."""
    return 0.3 * torch.randn(starts, 65, generator=torch.Generator().manual_seed(seed)).double()


@experiment(seeds=5)
def adam_correction(seed, *, rates=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3), beta2=(0.999, 0.9999), starts=5, steps=200):
    """The median loss of the small network over its starts, for each β₂ and rate, with and without the corrections.

    `saturated` is the share of hidden units beyond ±0.99 at the highest rate and the first β₂, with and without, after 12 steps
    and at the end.
    """
    lr = torch.tensor(rates, dtype=FLOAT).repeat_interleave(starts).repeat(len(beta2))
    memory = torch.tensor(beta2, dtype=FLOAT).repeat_interleave(len(rates) * starts)
    w, losses, saturated = network_starts(seed, starts).repeat(len(beta2) * len(rates), 1), {}, []
    for rule in (adam, uncorrected):
        path = sweep(rule, network, w, steps, lr=lr, beta2=memory)
        losses[rule.__name__] = vmap(network)(path[-1]).view(len(beta2), len(rates), starts).median(2).values
        ruined = path[[12, -1]].view(2, len(beta2), len(rates), starts, -1)[:, 0, -1]
        saturated.append((vmap(vmap(hidden_units))(ruined).abs() > 0.99).double().mean((1, 2, 3)).tolist())
    return losses | {"saturated": saturated}


# Adam or momentum?

ARENA = {
    "valley, κ = 10": ("quadratic", {"condition_number": 10}),
    "valley, κ = 1000": ("quadratic", {"condition_number": 1000}),
    "turned, κ = 100": ("quadratic", {"condition_number": 100, "angle": 45}),
    "turned, κ = 1000": ("quadratic", {"condition_number": 1000, "angle": 45}),
    "ravine": ("ravine", {}),
    "Beale": ("beale", {}),
    "Rosenbrock": ("rosenbrock", {}),
    "network": ("network", {}),
}


def near_its_start(surface: str, seed: int, starts: int) -> torch.Tensor:
    """Random points about the surface's usual start, (starts, n)."""
    if surface == "network":
        return network_starts(seed, starts)
    shift = torch.randn(starts, 2, generator=torch.Generator().manual_seed(seed), dtype=FLOAT)
    return 0.2 * shift + torch.tensor(SURFACES[surface].start, dtype=FLOAT)


def ratios(rule, memory: str, place: str, settings: torch.Tensor, seed: int, starts: int, steps: int) -> torch.Tensor:
    """The largest loss of the last ten steps over that of the start, the median over the starts, for each setting."""
    name, shape = ARENA[place]
    surface = network if name == "network" else SURFACES[name].formula
    at = {k: torch.tensor(float(x), dtype=FLOAT) for k, x in shape.items()}
    lr, beta = settings.repeat_interleave(starts, dim=0).T
    w = near_its_start(name, seed, starts).repeat(len(settings), 1)
    path = sweep(rule, surface, w, steps, lr=lr, **{memory: beta}, **shape)
    loss = vmap(vmap(lambda w: surface(w, **at)))(path[[0, *range(-10, 0)]])
    ratio = (loss[1:].amax(0) / loss[0]).nan_to_num(math.inf)
    return ratio.view(len(settings), starts).median(1).values


@experiment(seeds=5, share={"places": tuple(ARENA)[:3]})
def adam_contest(
    seed, *, places=tuple(ARENA), log10_rates=(-3.0, 1.0, 41), memories=(0.5, 0.7, 0.8, 0.9), starts=3, steps=100
):
    """Momentum and Adam at their best settings, on each surface: what is left of the loss, and the rate.

    `..._span` is the factor from the lowest to the highest rate that gets below a hundredth, at the best m or β₁.
    """
    rates = torch.logspace(*log10_rates, dtype=FLOAT)
    settings = torch.cartesian_prod(rates, torch.tensor(memories, dtype=FLOAT))
    spacing = (log10_rates[1] - log10_rates[0]) / (len(rates) - 1)
    outcomes = {}
    for rule, memory in ((momentum, "momentum"), (adam, "beta1")):
        left = torch.stack([ratios(rule, memory, p, settings, seed, starts, steps) for p in places])
        good = (left.view(len(places), len(rates), -1) < 1e-2).sum(1).amax(1)
        name = rule.__name__
        outcomes |= {
            name: left.amin(1),
            f"{name}_rate": settings[left.argmin(1), 0],
            f"{name}_span": 10 ** (spacing * good),
        }
    return outcomes


# What goes wrong


def reddi_walk(rule, beta2: torch.Tensor, steps: int = 3000) -> torch.Tensor:
    """Where a rule ends between −1 and 1, from 0, if the gradient is 3 in every third step and −1 otherwise: for each β₂."""
    w = torch.zeros_like(beta2)
    state = tuple(torch.zeros_like(beta2) for _ in signature(rule).state)
    for t in range(1, steps + 1):
        g = torch.full_like(w, 3.0 if t % 3 == 1 else -1.0)
        w, *state = rule(w, g, t, *state, lr=t**-0.5, beta1=0.0, beta2=beta2)
        w = w.clamp(-1, 1)
    return w


def numbers_kept(kind: str, **options) -> float:
    """How many numbers an optimizer of torch.optim keeps for each weight, the number of the step aside."""
    layer = nn.Linear(1000, 1000)
    optimizer = getattr(torch.optim, kind)(layer.parameters(), lr=0.001, **options)
    layer(torch.ones(1, 1000)).sum().backward()
    optimizer.step()
    tensors = [x for state in optimizer.state.values() for x in state.values() if x is not None]
    return sum(x.numel() for x in tensors if x.dim()) / sum(p.numel() for p in layer.parameters())
