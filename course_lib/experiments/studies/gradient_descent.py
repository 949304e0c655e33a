"""What the chapter on gradient descent measures: its pace in a canyon, which minima it settles in, and the edge of stability."""

from collections.abc import Callable

import torch
from torch import nn
from torch.func import grad, grad_and_value, jacrev, vmap
from torch.nn.utils import parameters_to_vector

from course_lib.experiments.records import experiment
from course_lib.experiments.sweep import sweep
from course_lib.formulas import SURFACES, gradient_descent, himmelblau, quadratic

PARTS = (0.03, 0.1, 0.3, 0.6, 0.9, 0.98)  # of the largest rate that converges


def measured_pace(condition_number: float, parts: tuple = PARTS) -> tuple[torch.Tensor, torch.Tensor]:
    """Learning rates, `parts` of 2/κ, and the steps for one more digit that runs of 600 steps on a quadratic need with them."""
    lr = 2 / condition_number * torch.tensor(parts, dtype=torch.float64)
    size = sweep(gradient_descent, quadratic, (1, 1), 600, lr=lr, condition_number=condition_number).norm(dim=-1)
    return lr, 300 / (size[300] / size[600]).log10()


@experiment(seeds=5, share={"rates": 16})
def gradient_descent_minima(seed, *, lowest=0.001, step=0.001, rates=26, starts=400, steps=600):
    """Himmelblau's surface: the part of the random starts that ends in each of the four minima, for each rate, (4, rates)."""
    minima = torch.tensor(SURFACES["himmelblau"].minima(), dtype=torch.float64)
    w = torch.rand(starts, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 8 - 4
    lr = (lowest + step * torch.arange(rates, dtype=torch.float64)).repeat_interleave(starts)
    ends = sweep(gradient_descent, himmelblau, w.repeat(rates, 1), steps, keep="end", lr=lr)
    near = torch.cdist(ends, minima) < 0.001  # (rates x starts, 4)
    return {"part": near.double().view(rates, starts, 4).mean(1).T}


def tanh_network(seed: int) -> nn.Sequential:
    """97 parameters between a number and a number, in float64: two layers of 8 tanh units."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1)
        return nn.Sequential(*layers).double()


def sine_loss(predict: Callable) -> torch.Tensor:
    """The mean squared error of a model on 20 points of sin 3x."""
    x = torch.linspace(-2, 2, 20, dtype=torch.float64)[:, None]
    return (predict(x) - torch.sin(3 * x)).square().mean()


def loss_of_weights(w: torch.Tensor) -> torch.Tensor:
    """The same loss of the network, as a function of all its parameters in one vector, (97,)."""
    W1, b1, W2, b2, W3, b3 = w.split([8, 8, 64, 8, 8, 1])

    def predict(x):
        hidden = (x * W1 + b1).tanh()  # (20, 8)
        return ((hidden @ W2.view(8, 8).T + b2).tanh() @ W3 + b3)[:, None]

    return sine_loss(predict)


@experiment(seeds=5, share={"steps": 200})
def gradient_descent_sharpness(seed, *, rates=(0.15, 0.2), steps=2000, every=20, window=100):
    """Full-batch training of 97 parameters, a row for each rate: `curvature`, the largest eigenvalue of the Hessian, at
    every twentieth step; for each hundred steps `loss`, its mean, and `uphill`, the part of the steps that raise it.
    """
    lr = torch.tensor(rates, dtype=torch.float64)
    w = parameters_to_vector(tanh_network(seed).parameters()).detach().repeat(len(rates), 1)
    slope_and_loss, hessian = vmap(grad_and_value(loss_of_weights)), vmap(jacrev(grad(loss_of_weights)))
    losses, curvatures = [], []
    for t in range(steps + 1):
        if t % every == 0:
            curvatures.append(torch.linalg.eigvalsh(hessian(w))[:, -1])
        g, loss = slope_and_loss(w)
        losses.append(loss)
        w = gradient_descent(w, g, t + 1, lr=lr[:, None])
    loss = torch.stack(losses, 1)  # (rates, steps + 1)
    uphill = (loss.diff(dim=1) > 0).double()
    windows = {"loss": loss[:, 1:], "uphill": uphill}
    return {"curvature": torch.stack(curvatures, 1)} | {
        k: x.unflatten(1, (-1, window)).mean(2) for k, x in windows.items()
    }


def trained_weights(make_optimizer: Callable, steps: int = 200) -> torch.Tensor:
    """All parameters of the network, in one vector, after training by the optimizer that is made for them."""
    net = tanh_network(0)
    optimizer = make_optimizer(net.parameters())
    for _ in range(steps):
        optimizer.zero_grad()
        sine_loss(net).backward()
        optimizer.step()
    return parameters_to_vector(net.parameters()).detach()
