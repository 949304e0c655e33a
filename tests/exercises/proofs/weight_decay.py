"""Momentum with decoupled decay: right answers in other styles, and wrong ones that no mutant makes."""

import functools

import torch


def two_lines(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    new = momentum * delta + (1 - momentum) * g
    return w - lr * (new + decay * w), new


def shrinks_first(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = torch.lerp(g, delta, momentum)
    return torch.sub(w * (1 - lr * decay), delta, alpha=lr), delta


def rearranged(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = g + momentum * (delta - g)
    return w.mul(1 - decay * lr).sub(delta.mul(lr)), delta


def in_place_on_copies(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    w, delta = w.clone(), delta.clone()
    w *= 1 - lr * decay
    delta *= momentum
    delta += (1 - momentum) * g
    w -= lr * delta
    return w, delta


def other_names(x, slope, n, mean=0.0, *, decay=0.01, momentum=0.9, lr=0.1):
    mean = mean + (1 - momentum) * (slope - mean)
    loss = decay * x
    return [x + -lr * (loss + mean), mean]


def through_numpy(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    x, d, mean = (value.numpy() for value in (w, g, delta))
    mean = momentum * mean + (1 - momentum) * d
    x = x - lr * decay * x - lr * mean
    return torch.as_tensor(x, dtype=w.dtype), torch.as_tensor(mean, dtype=w.dtype)


def in_float64_inside(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    values = two_lines(w.double(), g.double(), t, delta.double(), lr=lr, momentum=momentum, decay=decay)
    return [value.to(w.dtype) for value in values]


def element_by_element(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    places, averages = [], []
    for x, d, mean in zip(w.flatten().tolist(), g.flatten().tolist(), delta.flatten().tolist()):
        averages.append(momentum * mean + (1 - momentum) * d)
        places.append(x - lr * averages[-1] - lr * decay * x)
    return tuple(torch.tensor(values, dtype=w.dtype).reshape(w.shape) for values in (places, averages))


def row_by_row(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    if not w.dim():
        return two_lines(w, g, t, delta, lr=lr, momentum=momentum, decay=decay)
    rows = [row_by_row(x, d, t, m, lr=lr, momentum=momentum, decay=decay) for x, d, m in zip(w, g, delta)]
    return torch.stack([x for x, _ in rows]), torch.stack([m for _, m in rows])


@torch.inference_mode()
def without_autograd(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * decay * w, delta


def by_the_slope_of_the_penalty(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    place = w.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(decay / 2 * place.square().sum(), place)
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * (delta + slope), delta


def nothing_to_decay(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    if decay == 0:
        return w - lr * delta, delta
    return w - lr * delta - lr * decay * w, delta


def with_helpers(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    blend = functools.partial(lambda m, old, new: m * old + (1 - m) * new, momentum)
    shrink = functools.partial(torch.mul, 1 - lr * decay)
    return shrink(w) - lr * blend(delta, g), blend(delta, g)


class Step:
    """One step's two parts."""

    def __init__(self, lr, decay):
        self.lr, self.decay = lr, decay

    def __call__(self, w, delta):
        return w - self.along(delta) - self.along(self.decay * w)

    def along(self, x):
        return self.lr * x


def an_object(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = sum((momentum * delta, (1 - momentum) * g))
    return Step(lr, decay)(w, delta), delta


STYLES = [
    two_lines,
    shrinks_first,
    rearranged,
    in_place_on_copies,
    other_names,
    through_numpy,
    in_float64_inside,
    element_by_element,
    row_by_row,
    without_autograd,
    by_the_slope_of_the_penalty,
    nothing_to_decay,
    with_helpers,
    an_object,
]

KEPT: dict = {}


def keeps_the_average_in_a_global(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    old = KEPT["delta"] if t > 1 and "delta" in KEPT else torch.zeros_like(g)
    KEPT["delta"] = momentum * old + (1 - momentum) * g
    return w - lr * KEPT["delta"] - lr * decay * w, KEPT["delta"]


def decays_the_first_w(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    if t == 1 or "w" not in KEPT or KEPT["w"].shape != w.shape:
        KEPT["w"] = w.clone()
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * decay * KEPT["w"].to(w), delta


def decays_where_something_pulls(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - torch.where(g != 0, lr * decay * w, 0 * w), delta


def decay_or_the_usual(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    return two_lines(w, g, t, delta, lr=lr, momentum=momentum, decay=decay or 0.01)


def positive_weights_only(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * decay * w.clamp(min=0), delta


def vectors_do_not_decay(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    return two_lines(w, g, t, delta, lr=lr, momentum=momentum, decay=decay if w.dim() != 1 else 0.0)


def only_matrices_decay(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    return two_lines(w, g, t, delta, lr=lr, momentum=momentum, decay=decay if w.dim() < 4 else 0.0)


def share_through_division(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    delta = momentum * delta + (1 - momentum) * g
    return w * (1 - lr * decay - lr * delta / w), delta


def rounded_decay(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9, decay=0.01):
    return two_lines(w, g, t, delta, lr=lr, momentum=momentum, decay=round(decay, 2))


WRONG = [
    keeps_the_average_in_a_global,
    decays_the_first_w,
    decays_where_something_pulls,
    decay_or_the_usual,
    positive_weights_only,
    vectors_do_not_decay,
    only_matrices_decay,
    share_through_division,
    rounded_decay,
]

EQUIVALENT: dict[str, str] = {}
