"""The two loops of L-BFGS: right answers in other styles, and changes of the solution that change nothing."""

import numpy
import torch


def by_index(g, P, Q):
    m, a = len(P), [None] * len(P)
    for k in range(m):
        a[k] = torch.dot(P[k], g) / torch.dot(P[k], Q[k])
        g = g - a[k] * Q[k]
    g = g * (P[0].dot(Q[0]) / Q[0].dot(Q[0]))
    for k in range(m - 1, -1, -1):
        g = g + (a[k] - Q[k].dot(g) / P[k].dot(Q[k])) * P[k]
    return g


def by_recursion(g, P, Q):
    gamma = (P[0] @ Q[0]) / (Q[0] @ Q[0])

    def product(k, g):
        if k == len(P):
            return gamma * g
        p, q = P[k], Q[k]
        a = p @ g / (p @ q)
        r = product(k + 1, g - a * q)
        return r + (a - q @ r / (p @ q)) * p

    return product(0, g)


def with_the_whole_matrix(g, P, Q):
    B = torch.eye(len(g), dtype=g.dtype) * (P[0] @ Q[0]) / (Q[0] @ Q[0])
    for p, q in zip(P.flip(0), Q.flip(0)):
        V = torch.eye(len(g), dtype=g.dtype) - torch.outer(q, p) / (p @ q)
        B = V.T @ B @ V + torch.outer(p, p) / (p @ q)
    return B @ g


def as_in_nocedal(gradient, S, Y):
    """Algorithm 7.4, with the names of the book."""
    rho = 1 / torch.einsum("ij,ij->i", S, Y)
    q, alpha = gradient, torch.zeros_like(rho)
    for i in range(len(S)):
        alpha[i] = rho[i] * (S[i] @ q)
        q = q - alpha[i] * Y[i]
    r = q / (rho[0] * Y[0].square().sum())
    for i in reversed(range(len(S))):
        beta = rho[i] * (Y[i] @ r)
        r = r + S[i] * (alpha[i] - beta)
    return r


def with_a_stack(g, P, Q):
    stack, gamma = [], (P[0] * Q[0]).sum() / (Q[0] ** 2).sum()
    for p, q in zip(P.unbind(), Q.unbind()):
        rho = (p * q).sum() ** -1
        stack.append((p, q, rho, rho * (p * g).sum()))
        g = torch.sub(g, stack[-1][-1] * q)
    g = gamma * g
    while stack:
        p, q, rho, a = stack.pop()
        g = torch.add(g, (a - rho * (q * g).sum()) * p)
    return g


def in_place_on_a_clone(g, P, Q):
    g, a = g.clone(), {}
    for k, (p, q) in enumerate(zip(P, Q)):
        a[k] = float(p @ g / (p @ q))
        g.sub_(q, alpha=a[k])
    g *= P[0] @ Q[0] / Q[0].norm() ** 2
    for k in sorted(a, reverse=True):
        g.add_(P[k], alpha=a[k] - float(Q[k] @ g / (P[k] @ Q[k])))
    return g


def through_numpy(g, P, Q):
    r, S, Y, a = g.numpy().copy(), P.numpy(), Q.numpy(), []
    for s, y in zip(S, Y):
        a.append(s @ r / (s @ y))
        r -= a[-1] * y
    r *= S[0] @ Y[0] / (Y[0] @ Y[0])
    for s, y in zip(S[::-1], Y[::-1]):
        r += (a.pop() - y @ r / (s @ y)) * s
    return torch.from_numpy(numpy.asarray(r))


def in_float64_inside(g, P, Q):
    return by_index(g.double(), P.double(), Q.double()).to(g.dtype)


@torch.inference_mode()
def without_autograd(g, P, Q):
    rows = [(p, q, p.dot(q)) for p, q in zip(P, Q)]
    a = []
    for p, q, s in rows:
        a.insert(0, p.dot(g) / s)
        g = g - a[0] * q
    g = g.mul(rows[0][2] / rows[0][1].dot(rows[0][1]))
    for x, (p, q, s) in zip(a, reversed(rows)):
        g = g + p.mul(x - q.dot(g) / s)
    return g


class Pair:
    """A step and the change of the gradient along it."""

    def __init__(self, p, q):
        self.p, self.q, self.rho = p, q, 1 / (p @ q)

    def back(self, g):
        self.a = self.rho * self.p @ g
        return g - self.a * self.q

    def forward(self, g):
        return g + (self.a - self.rho * self.q @ g) * self.p


def with_a_class(g, P, Q):
    pairs = [Pair(p, q) for p, q in zip(P, Q)]
    for pair in pairs:
        g = pair.back(g)
    g = g / (pairs[0].rho * (pairs[0].q @ pairs[0].q))
    for pair in pairs[::-1]:
        g = pair.forward(g)
    return g


def with_columns(g, P, Q):
    g, P, Q = g[:, None], P.T, Q.T
    rho, a = 1 / (P * Q).sum(0), {}
    for k in range(P.shape[1]):
        a[k] = rho[k] * P[:, [k]].T @ g
        g = g - Q[:, [k]] * a[k]
    g = g / rho[0] / Q[:, 0].pow(2).sum()
    for k in range(P.shape[1])[::-1]:
        g = g + P[:, [k]] * (a[k] - rho[k] * Q[:, [k]].T @ g)
    return g.squeeze(1)


STYLES = [
    by_index,
    by_recursion,
    with_the_whole_matrix,
    as_in_nocedal,
    with_a_stack,
    in_place_on_a_clone,
    through_numpy,
    in_float64_inside,
    without_autograd,
    with_a_class,
    with_columns,
]


def at_most_as_many_pairs_as_parameters(g, P, Q):
    return by_index(g, P[: len(g)], Q[: len(g)])


def three_pairs_at_most(g, P, Q):
    return by_index(g, P[:3], Q[:3])


def a_unit_gradient(g, P, Q):
    return by_index(g / g.norm(), P, Q) * g.norm()


def gamma_of_sizes(g, P, Q):
    """|p|/|q| equals pᵀq/qᵀq where p and q are parallel."""
    gamma = P[0].norm() / Q[0].norm()
    return with_gamma(g, P, Q, gamma)


def gamma_of_all_pairs(g, P, Q):
    return with_gamma(g, P, Q, (P * Q).sum() / (Q * Q).sum())


def with_gamma(g, P, Q, gamma):
    a = []
    for p, q in zip(P, Q):
        a.append(p @ g / (p @ q))
        g = g - a[-1] * q
    g = gamma * g
    for p, q, x in reversed([*zip(P, Q, a)]):
        g = g + (x - q @ g / (p @ q)) * p
    return g


WRONG = [at_most_as_many_pairs_as_parameters, three_pairs_at_most, a_unit_gradient, gamma_of_sizes, gamma_of_all_pairs]

COMMUTES = "a product of two vectors"
TWICE = "the sign cancels: it stands above and below the line, and nowhere else in this loop"
EQUIVALENT = {
    "2: P -> -P": TWICE,
    "2: p @ g -> g @ p": COMMUTES,
    "2: p @ q -> q @ p": COMMUTES,
    "3: P[0] @ Q[0] -> Q[0] @ P[0]": COMMUTES,
    "4: Q -> -Q": TWICE,
    "4: q @ g -> g @ q": COMMUTES,
    "4: p @ q -> q @ p": COMMUTES,
}
