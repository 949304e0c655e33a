"""What the chapter on second order measures: the losses along a descent, and the spectrum of a network's Hessian."""

from collections.abc import Callable

import torch
from torch import nn
from torch.func import grad, jacrev, vmap
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

from course_lib.experiments.data import digits
from course_lib.experiments.records import experiment
from course_lib.experiments.sweep import sweep
from course_lib.formulas import gradient_descent
from course_lib.formulas.signature import signature


def losses_of(rule: Callable, surface: Callable, start, steps: int, **hyper) -> torch.Tensor:
    """The loss before the first step of a rule and after each one, (steps + 1,), in float64."""
    shape = {name: hyper[name] for name in signature(surface, inputs=("w",)).hyper if name in hyper}
    return vmap(lambda w: surface(w, **shape))(sweep(rule, surface, start, steps, **hyper)[:, 0])


def digits_loss(seed: int) -> tuple[Callable, torch.Tensor]:
    """The loss of a network of 8 tanh units on 300 handwritten digits as a function of one vector, and 610 first parameters."""
    data = digits(train=300, dtype=torch.float64, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10)).double()

    def loss(w):
        W1, b1, W2, b2 = w.split([64 * 8, 8, 8 * 10, 10])
        hidden = (data.x_train @ W1.view(8, 64).T + b1).tanh()
        return cross_entropy(hidden @ W2.view(10, 8).T + b2, data.y_train)

    return loss, parameters_to_vector(net.parameters()).detach()


@experiment(seeds=5, share={"after": (0,)})
def second_order_spectrum(seed, *, after=(0, 100), lr=0.5, tolerance=1e-12):
    """The Hessian of a network after so many steps of gradient descent: its eigenvalues, the largest first, and the part
    of its product with a random vector that agrees, to rounding, with the one by two passes of backpropagation.
    """
    loss, w = digits_loss(seed)
    v = torch.randn(w.shape, generator=torch.Generator().manual_seed(seed), dtype=w.dtype)
    eigenvalues, agreement = [], []
    for t in range(after[-1] + 1):
        if t in after:
            hessian = jacrev(grad(loss))(w)
            eigenvalues.append(torch.linalg.eigvalsh(hessian).flip(0))
            gap = hessian @ v - grad(lambda w: grad(loss)(w) @ v)(w)
            agreement.append((gap.abs() < tolerance).double().mean())
        w = gradient_descent(w, grad(loss)(w), t + 1, lr=lr)
    return {"eigenvalues": torch.stack(eigenvalues), "agrees": torch.stack(agreement)}
