"""The BFGS update: right answers in other styles, and changes of the solution that change nothing."""

import numpy
import torch


def as_a_product(B, p, q):
    rho = 1 / torch.dot(p, q)
    V = torch.eye(len(p), dtype=p.dtype) - rho * torch.outer(q, p)
    return V.T @ B @ V + rho * torch.outer(p, p)


def as_on_the_slide(B, p, q):
    p, q = p[:, None], q[:, None]
    pq, qBq = p.T @ q, q.T @ B @ q
    return B + p @ p.T / pq * (1 + qBq / pq) - (B @ q @ p.T + p @ q.T @ B) / pq


def by_einsum(B, p, q):
    rho = 1 / torch.einsum("i,i", p, q)
    u = torch.einsum("ij,j->i", B, q)
    cross = torch.einsum("i,j->ij", u, p)
    return B - rho * (cross + cross.mT) + rho * (1 + rho * (q * u).sum()) * torch.einsum("i,j->ij", p, p)


def by_broadcasting(matrix, step, change):
    s = (step * change).sum()
    u = (matrix * change).sum(1)
    both = u[:, None] * step + step[:, None] * u
    return matrix + (1 + change @ u / s) / s * step[:, None] * step - both / s


def of_dfp_and_a_vector(B, p, q):
    u = B @ q
    tau = q @ u
    v = p / (p @ q) - u / tau
    return B + torch.outer(p, p) / (p @ q) - torch.outer(u, u) / tau + tau * torch.outer(v, v)


def in_place_on_a_clone(B, p, q):
    B, rho = B.clone(), (p @ q).reciprocal()
    u = B @ q
    B.addr_(p, p, alpha=float(rho * (1 + rho * q.dot(u))))
    B.addr_(u, p, alpha=-float(rho)).addr_(p, u, alpha=-float(rho))
    return B


def through_numpy(B, p, q):
    b, s, y = B.numpy(), p.numpy(), q.numpy()
    V = numpy.eye(len(s), dtype=s.dtype) - numpy.outer(s, y) / (s @ y)
    return torch.as_tensor(V @ b @ V.T + numpy.outer(s, s) / (s @ y), dtype=B.dtype)


def in_float64_inside(B, p, q):
    b, s, y = B.double(), p.double(), q.double()
    V = torch.eye(len(s), dtype=torch.float64) - torch.outer(s, y) / (s @ y)
    return (torch.linalg.multi_dot([V, b, V.T]) + s.outer(s) / (s @ y)).to(B.dtype)


@torch.inference_mode()
def without_autograd(B, p, q):
    u, s = B.mv(q), p.dot(q)
    return B + torch.ger(p, p) * (s + q.dot(u)) / s**2 - (torch.ger(u, p) + torch.ger(p, u)) / s


def element_by_element(B, p, q):
    n = len(p)
    s = sum(p[k] * q[k] for k in range(n))
    u = [sum(B[i, k] * q[k] for k in range(n)) for i in range(n)]
    c = 1 + sum(q[k] * u[k] for k in range(n)) / s
    rows = [[B[i, j] + p[i] * p[j] / s * c - (u[i] * p[j] + p[i] * u[j]) / s for j in range(n)] for i in range(n)]
    return torch.stack([torch.stack(row) for row in rows])


def column_by_column(B, p, q):
    def new(x):
        """The updated B times x."""
        a = p @ x / (p @ q)
        y = B @ (x - a * q)
        return y + (a - q @ y / (p @ q)) * p

    return torch.stack([new(x) for x in torch.eye(len(p), dtype=p.dtype)], dim=1)


class Update:
    """One that is built of a pair and applied to a matrix."""

    def __init__(self, p, q):
        self.p, self.left = p, torch.eye(len(p)).to(p) - p.unsqueeze(1) * q / (p @ q)
        self.rho = 1 / (p @ q)

    def __call__(self, B):
        return self.left @ (self.left @ B).T + self.rho * self.p.unsqueeze(1) * self.p


def with_a_class(B, p, q):
    return Update(p, q)(B)


STYLES = [
    as_a_product,
    as_on_the_slide,
    by_einsum,
    by_broadcasting,
    of_dfp_and_a_vector,
    in_place_on_a_clone,
    through_numpy,
    in_float64_inside,
    without_autograd,
    element_by_element,
    column_by_column,
    with_a_class,
]


def scaled_at_first(B, p, q):
    """What programs do at the first update; the task does not."""
    if torch.equal(B, torch.eye(len(p), dtype=p.dtype)):
        B = p @ q / (q @ q) * B
    return as_a_product(B, p, q)


def guarded_by_a_constant(B, p, q):
    """Divides by a little more than pᵀq."""
    rho = 1 / (p @ q + 1e-8)
    V = torch.eye(len(p), dtype=p.dtype) - rho * torch.outer(q, p)
    return V.T @ B @ V + rho * torch.outer(p, p)


def skips_short_steps(B, p, q):
    return as_a_product(B, p, q) if p @ q > 0.1 else B


def skips_what_holds_already(B, p, q):
    """0/0 where B q is p."""
    r = p - B @ q
    return as_a_product(B, p, q) + 0 * torch.outer(r, r) / (r @ q)


WRONG = [scaled_at_first, guarded_by_a_constant, skips_short_steps, skips_what_holds_already]

SYMMETRIC = "B is symmetric"
COMMUTES = "a product of two vectors"
EQUIVALENT = {
    "1: B @ q -> q @ B": SYMMETRIC,
    "1: p @ q -> q @ p": COMMUTES,
    "2: torch.outer(u, p) -> torch.outer(p, u)": "it is used together with its transpose",
    "3: q @ u -> u @ q": COMMUTES,
}
