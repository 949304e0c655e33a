"""AdamW: right answers in other styles, wrong ones that no mutant makes, and changes that change nothing."""

import math

import numpy
import torch


def five_lines(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    direction = m / (1 - beta1**t) / (torch.sqrt(v / (1 - beta2**t)) + eps)
    return w - lr * (direction + decay * w), m, v


def shrinks_first(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w = w * (1 - lr * decay)
    m, v = torch.lerp(m, g, 1 - beta1), torch.lerp(v, g.square(), 1 - beta2)
    return torch.addcdiv(w, m / (1 - beta1**t), (v / (1 - beta2**t)).sqrt() + eps, value=-lr), m, v


def as_in_pytorch(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    w, m, v = w.clone(), m.clone(), v.clone()
    w.mul_(1 - lr * decay)
    m.lerp_(g, 1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    denominator = (v.sqrt() / math.sqrt(1 - beta2**t)).add_(eps)
    w.addcdiv_(m, denominator, value=-lr / (1 - beta1**t))
    return w, m, v


def as_in_the_paper(theta, slope, n, first=0.0, second=0.0, *, decay=0.01, eps=1e-8, beta2=0.999, beta1=0.9, lr=1e-3):
    first = beta1 * first + (1 - beta1) * slope
    second = beta2 * second + (1 - beta2) * slope * slope
    scale = math.sqrt(1 - beta2**n)
    return [
        theta - lr * scale / (1 - beta1**n) * first / (second.sqrt() + eps * scale) - lr * decay * theta,
        first,
        second,
    ]


def by_torchs_functions(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    m = torch.add(torch.mul(m, beta1), g, alpha=1 - beta1)
    v = torch.add(torch.mul(v, beta2), torch.square(g), alpha=1 - beta2)
    top, below = torch.div(m, 1 - beta1**t), torch.add(torch.sqrt(torch.div(v, 1 - beta2**t)), eps)
    return torch.sub(torch.sub(w, torch.div(top, below), alpha=lr), w, alpha=lr * decay), m, v


def through_numpy(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    x, d, a, b = (value.numpy() for value in (w, g, m, v))
    a, b = beta1 * a + (1 - beta1) * d, beta2 * b + (1 - beta2) * d**2
    step = a / (1 - beta1**t) / (numpy.sqrt(b / (1 - beta2**t)) + eps)
    return tuple(torch.as_tensor(value, dtype=w.dtype) for value in (x - lr * step - lr * decay * x, a, b))


def in_float64_inside(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    hyper = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "decay": decay}
    return tuple(x.to(w.dtype) for x in five_lines(w.double(), g.double(), t, m.double(), v.double(), **hyper))


def element_by_element(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    new = []
    for x, d, a, b in zip(*(value.flatten().tolist() for value in (w, g, m, v))):
        a, b = beta1 * a + (1 - beta1) * d, beta2 * b + (1 - beta2) * d * d
        step = a / (1 - beta1**t) / (math.sqrt(b / (1 - beta2**t)) + eps)
        new.append((x - lr * step - lr * decay * x, a, b))
    return tuple(torch.tensor(values, dtype=w.dtype).reshape(w.shape) for values in zip(*new))


def row_by_row(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    hyper = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "decay": decay}
    if not w.dim():
        return five_lines(w, g, t, m, v, **hyper)
    rows = [row_by_row(x, d, t, a, b, **hyper) for x, d, a, b in zip(w, g, m, v)]
    return tuple(map(torch.stack, zip(*rows)))


@torch.inference_mode()
def without_autograd(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    return five_lines(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)


def powers_by_multiplication(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    left = [1.0, 1.0]
    for _ in range(t):
        left = [left[0] * beta1, left[1] * beta2]
    m, v = g + beta1 * (m - g), g * g + beta2 * (v - g * g)
    return w - lr * decay * w - lr * m / (1 - left[0]) / ((v / (1 - left[1])) ** 0.5 + eps), m, v


def with_a_helper(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    def average(old, new, beta):
        now = beta * old + (1 - beta) * new
        return now, now / (1 - beta**t)

    (m, m_hat), (v, v_hat) = average(m, g, beta1), average(v, g**2, beta2)
    terms = {"adam": m_hat / (v_hat.sqrt() + eps), "decay": decay * w}
    return w - lr * sum(terms.values()), m, v


class AdamW:
    """A callable object that keeps its setting, and nothing else."""

    def __init__(self, **setting):
        self.setting = setting

    def __call__(self, w, g, t, m, v):
        return five_lines(w, g, t, m, v, **self.setting)


def an_object(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    return AdamW(lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)(w, g, t, m, v)


STYLES = [
    five_lines,
    shrinks_first,
    as_in_pytorch,
    as_in_the_paper,
    by_torchs_functions,
    through_numpy,
    in_float64_inside,
    element_by_element,
    row_by_row,
    without_autograd,
    powers_by_multiplication,
    with_a_helper,
    an_object,
]

KEPT: dict = {"t": 0}


def counts_by_itself(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    KEPT["t"] = 1 if t == 1 else KEPT["t"] + 1
    return five_lines(w, g, KEPT["t"], m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)


def skips_zeros(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    new = five_lines(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)
    return tuple(torch.where(g != 0, a, b) for a, b in zip(new, (w, m, v)))


def decay_or_the_usual(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    return five_lines(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay or 0.01)


def vectors_do_not_decay(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    decay = decay if w.dim() != 1 else 0.0
    return five_lines(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)


def positive_weights_decay(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    new, m, v = five_lines(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=0.0)
    return new - lr * decay * w.relu(), m, v


def corrects_for_ten_steps(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    new, m, v = five_lines(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)
    return (new if t <= 10 else w - lr * (m / (v.sqrt() + eps) + decay * w)), m, v


def adams_largest_v(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    _, m, new = five_lines(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)
    v = torch.maximum(v, new)
    return w - lr * (m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps) + decay * w), m, v


def decays_through_data(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    new, m, v = five_lines(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)
    w.data.copy_(new)
    return new, m, v


WRONG = [
    counts_by_itself,
    skips_zeros,
    decay_or_the_usual,
    vectors_do_not_decay,
    positive_weights_decay,
    corrects_for_ten_steps,
    adams_largest_v,
    decays_through_data,
]

EQUIVALENT = {
    "2: g -> -g": "it is squared",
    "2: g -> abs(g)": "it is squared",
    "2: v -> abs(v)": "an average of squares is never negative",
    "4: v -> abs(v)": "an average of squares is never negative",
    "6: v -> abs(v)": "an average of squares is never negative",
    "3: t -> abs(t)": "t counts from 1",
    "4: t -> abs(t)": "t counts from 1",
}
