"""What the chapter on second order measures: losses along a descent, a network's Hessian, and steps from products with it."""

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
from course_lib.formulas.newton_cg import conjugate_gradients, newton_cg
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


def descent(loss: Callable, w: torch.Tensor, steps: int, lr: float) -> list[torch.Tensor]:
    """The points of gradient descent, the first one included."""
    path = [w]
    for t in range(1, steps + 1):
        path.append(gradient_descent(path[-1], grad(loss)(path[-1]), t, lr=lr))
    return path


@experiment(seeds=5, share={"products": 5})
def second_order_products(seed, *, dampings=(0.03, 0.1, 0.3), products=40, after=100, lr=0.5):
    """What is left of the damped model's drop after each product of conjugate gradients, (dampings, products + 1).

    The network has taken some steps of gradient descent. The drop is that of the exact step. `lowest` is the least curvature.
    """
    loss, w = digits_loss(seed)
    w = descent(loss, w, after, lr)[-1]
    g, H = grad(loss)(w), jacrev(grad(loss))(w)
    left = []
    for damping in dampings:
        A = H + damping * torch.eye(len(w), dtype=w.dtype)
        change = lambda x, A=A: g @ x + x @ A @ x / 2
        drop = change(-torch.linalg.solve(A, g))
        steps = [conjugate_gradients(lambda v, A=A: A @ v, -g, steps=k) for k in range(products + 1)]
        left.append(torch.stack([(1 - change(x) / drop).abs() for x in steps]))
    return {"left": torch.stack(left), "lowest": torch.linalg.eigvalsh(H)[0]}


@experiment(seeds=5, share={"steps": 4})
def second_order_training(seed, *, steps=20, products=10, damping=0.01, lr=2.0, price=23):
    """The loss of the network before and after each step of `newton_cg`, and of gradient descent after each gradient.

    A step of the first costs `price` gradients, so the second has `price` times as many.
    """
    loss, w = digits_loss(seed)
    slow, newton = descent(loss, w, price * steps, lr), [w]
    for t in range(1, steps + 1):
        w = newton_cg(w, grad(loss)(w), t, loss, products=products, damping=damping)
        newton.append(w)
    return {"newton_cg": vmap(loss)(torch.stack(newton)), "descent": vmap(loss)(torch.stack(slow))}
