"""Adam: right answers in other styles, wrong ones that no mutant makes, and changes of the solution that change nothing."""

import math

import numpy
import torch


def in_one_expression(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = m + (1 - beta1) * (g - m), v + (1 - beta2) * (g * g - v)
    return w - lr * (m / (1 - beta1**t)) / (eps + torch.sqrt(v / (1 - beta2**t))), m, v


def by_lerp(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = torch.lerp(m, g, 1 - beta1), torch.lerp(v, g.square(), 1 - beta2)
    return torch.addcdiv(w, m / (1 - beta1**t), (v / (1 - beta2**t)).sqrt() + eps, value=-lr), m, v


def as_in_the_paper(theta, gradient, step, first=0.0, second=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    rate = lr * math.sqrt(1 - beta2**step) / (1 - beta1**step)
    return theta - rate * first / (second.sqrt() + eps * math.sqrt(1 - beta2**step)), first, second


def in_place_on_copies(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    w, m, v = w.clone(), m.clone(), v.clone()
    m.mul_(beta1).add_(g, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    w -= lr * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + eps)
    return w, m, v


def with_a_helper(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    def average(old, new, beta):
        now = beta * old + (1 - beta) * new
        return now, now / (1 - beta**t)

    (m, m_hat), (v, v_hat) = average(m, g, beta1), average(v, g**2, beta2)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


def through_numpy(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    x, d, a, b = (numpy.asarray(value) for value in (w, g, m, v))
    a, b = beta1 * a + (1 - beta1) * d, beta2 * b + (1 - beta2) * d**2
    x = x - lr * (a / (1 - beta1**t)) / (numpy.sqrt(b / (1 - beta2**t)) + eps)
    return tuple(torch.as_tensor(value, dtype=w.dtype) for value in (x, a, b))


def in_float64_inside(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    x, d, a, b = (value.double() for value in (w, g, m, v))
    a, b = beta1 * a + (1 - beta1) * d, beta2 * b + (1 - beta2) * d**2
    x = x - lr * a / (1 - beta1**t) / ((b / (1 - beta2**t)).sqrt() + eps)
    return [value.to(w.dtype) for value in (x, a, b)]


def with_plain_numbers(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    lr, beta1, beta2, eps = float(lr), float(beta1), float(beta2), float(eps)
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    if t == 1:
        return w - lr * g / (g.abs() + eps), m, v
    return w - lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@torch.inference_mode()
def without_autograd(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


def element_by_element(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    new = [torch.empty_like(w) for _ in range(3)]
    for k, (x, d, a, b) in enumerate(zip(*(value.flatten().tolist() for value in (w, g, m, v)))):
        a, b = beta1 * a + (1 - beta1) * d, beta2 * b + (1 - beta2) * d * d
        x -= lr * a / (1 - beta1**t) / (math.sqrt(b / (1 - beta2**t)) + eps)
        for values, value in zip(new, (x, a, b)):
            values.view(-1)[k] = value
    return tuple(new)


class Adam:
    """A callable object."""

    def __call__(self, w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g.pow(2)
        return w.sub(m.div(1 - beta1**t).div(v.div(1 - beta2**t).sqrt().add(eps)).mul(lr)), m, v


def an_object(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    return Adam()(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


STYLES = [
    in_one_expression,
    by_lerp,
    as_in_the_paper,
    in_place_on_copies,
    with_a_helper,
    through_numpy,
    in_float64_inside,
    with_plain_numbers,
    without_autograd,
    element_by_element,
    an_object,
]

KEPT: dict = {"t": 0}


def counts_by_itself(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    KEPT["t"] = 1 if not m.any() and not v.any() else KEPT["t"] + 1
    return in_one_expression(w, g, KEPT["t"], m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


def skips_zeros(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    new = in_one_expression(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return tuple(torch.where(g != 0, a, b) for a, b in zip(new, (w, m, v)))


def first_step_by_division(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    new, m, v = in_one_expression(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return (w - lr * g / g.abs() / (1 + eps / g.abs()) if t == 1 else new), m, v


def beta_or_the_usual(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    return in_one_expression(w, g, t, m, v, lr=lr, beta1=beta1 or 0.9, beta2=beta2 or 0.999, eps=eps)


def corrects_for_ten_steps(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    new, m, v = in_one_expression(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return (new if t <= 10 else w - lr * m / (v.sqrt() + eps)), m, v


def largest_of_root_and_eps(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    _, m, v = in_one_expression(w, g, t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return w - lr * m / (1 - beta1**t) / (v / (1 - beta2**t)).sqrt().clamp(min=eps), m, v


def averages_in_a_global(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    old = KEPT["state"] if t > 1 and "state" in KEPT else (m, v)
    new, *KEPT["state"] = in_one_expression(w, g, t, *old, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return new, *KEPT["state"]


def limited_gradient(w, g, t, m=0.0, v=0.0, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    return in_one_expression(w, g.clamp(-1e3, 1e3), t, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


WRONG = [
    counts_by_itself,
    skips_zeros,
    first_step_by_division,
    beta_or_the_usual,
    corrects_for_ten_steps,
    largest_of_root_and_eps,
    averages_in_a_global,
    limited_gradient,
]

EQUIVALENT = {
    "2: g -> -g": "it is squared",
    "2: g -> abs(g)": "it is squared",
    "2: v -> abs(v)": "an average of squares is never negative",
    "4: v -> abs(v)": "an average of squares is never negative",
    "5: v -> abs(v)": "an average of squares is never negative",
    "3: t -> abs(t)": "t counts from 1",
    "4: t -> abs(t)": "t counts from 1",
}
