"""Rules that torch.optim does not have, typed from their papers: plain loops over floats, with none of the library's code.

A reference is named after its rule. It takes the parameters w, a list of n floats, the gradients, one such list a step, and the
rule's hyperparameters; it returns w after each step. tests/formulas/test_optimizers.py compares the two.
"""

from math import sqrt


def sgdw(w, gradients, *, lr, momentum, decay):
    """Loshchilov and Hutter (2019), algorithm 1 with decoupled decay; their α is the lecture's lr · (1 - momentum)."""
    m, path = [0.0] * len(w), []
    for g in gradients:
        m = [momentum * a + lr * (1 - momentum) * b for a, b in zip(m, g)]
        w = [x - a - lr * decay * x for x, a in zip(w, m)]
        path.append(w)
    return path


def rprop(w, gradients, *, lr, alpha, beta, eta_min, eta_max):
    """Riedmiller and Braun (1993), section D, without the step back; alpha and beta are their η⁺ and η⁻."""
    w, size, before, path = [*w], [lr] * len(w), [0.0] * len(w), []
    for g in gradients:
        for k in range(len(w)):
            if before[k] * g[k] > 0:
                size[k] = min(size[k] * alpha, eta_max)
            elif before[k] * g[k] < 0:
                size[k] = max(size[k] * beta, eta_min)
            if g[k] > 0:
                w[k] = w[k] - size[k]
            elif g[k] < 0:
                w[k] = w[k] + size[k]
        before = g
        path.append([*w])
    return path


def adagrad(w, gradients, *, lr, eps):
    """Duchi, Hazan and Singer (2011), figure 1 with the diagonal of G alone; ε inside the root, as on slide 15."""
    w, path = [*w], []
    for t in range(1, len(gradients) + 1):
        for k in range(len(w)):
            total = sum(g[k] ** 2 for g in gradients[:t])
            w[k] = w[k] - lr * gradients[t - 1][k] / sqrt(total + eps)
        path.append([*w])
    return path


def rmsprop(w, gradients, *, lr, gamma, eps):
    """Hinton's lecture 6e (2012): MeanSquare(w, t) = γ MeanSquare(w, t-1) + (1 - γ) g²; ε inside the root, as on slide 17."""
    w, mean_square, path = [*w], [0.0] * len(w), []
    for g in gradients:
        for k in range(len(w)):
            mean_square[k] = gamma * mean_square[k] + (1 - gamma) * g[k] * g[k]
            w[k] = w[k] - lr * g[k] / sqrt(mean_square[k] + eps)
        path.append([*w])
    return path


def lion(w, gradients, *, lr, beta1, beta2, decay):
    """Chen et al. (2023), algorithm 2."""
    w, m, path = [*w], [0.0] * len(w), []
    for g in gradients:
        for k in range(len(w)):
            c = beta1 * m[k] + (1 - beta1) * g[k]
            update = 1.0 if c > 0 else -1.0 if c < 0 else 0.0
            w[k] = w[k] - lr * (update + decay * w[k])
            m[k] = beta2 * m[k] + (1 - beta2) * g[k]
        path.append([*w])
    return path


def lamb(w, gradients, *, lr, beta1, beta2, eps, decay):
    """You et al. (2020), algorithm 2 for one layer, φ(z) = z; the ratio is 1 where a norm is 0, as in their code."""
    n = len(w)
    m, v, path = [0.0] * n, [0.0] * n, []
    for t, g in enumerate(gradients, 1):
        m = [beta1 * m[k] + (1 - beta1) * g[k] for k in range(n)]
        v = [beta2 * v[k] + (1 - beta2) * g[k] ** 2 for k in range(n)]
        r = [m[k] / (1 - beta1**t) / (sqrt(v[k] / (1 - beta2**t)) + eps) for k in range(n)]
        u = [r[k] + decay * w[k] for k in range(n)]
        of_weights, of_update = sqrt(sum(x * x for x in w)), sqrt(sum(x * x for x in u))
        ratio = of_weights / of_update if of_weights > 0 and of_update > 0 else 1.0
        w = [w[k] - lr * ratio * u[k] for k in range(n)]
        path.append(w)
    return path
