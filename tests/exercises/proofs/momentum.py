"""Momentum: right answers in other styles, wrong ones that no mutant makes; no change of the solution changes nothing."""

import functools

import numpy
import torch


def two_lines(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    new = momentum * delta + (1 - momentum) * g
    return w - lr * new, new


def rearranged(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return w - lr * momentum * (delta - g) - lr * g, g + momentum * (delta - g)


def by_lerp(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = torch.lerp(g, delta, momentum)
    return torch.sub(w, delta, alpha=lr), delta


def in_place_on_copies(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    w, delta = w.clone(), delta.clone()
    delta.mul_(momentum).add_(g, alpha=1 - momentum)
    w.add_(delta, alpha=-lr)
    return w, delta


def other_names(x, slope, n, mean=0.0, *, momentum=0.9, lr=0.1):
    mean = mean - (1 - momentum) * (mean - slope)
    return [x + -lr * mean, mean]


def through_numpy(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    x, d, old = (numpy.asarray(value, dtype=float) for value in (w, g, delta))
    new = numpy.average(numpy.stack([old, d]), axis=0, weights=[momentum, 1 - momentum])
    return torch.as_tensor(x - lr * new, dtype=w.dtype), torch.as_tensor(new, dtype=w.dtype)


def in_float64_inside(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    x, d, old = w.double(), g.double(), delta.double()
    new = momentum * old + (1.0 - momentum) * d
    return (x - lr * new).to(w.dtype), new.to(w.dtype)


def element_by_element(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    places, averages = torch.empty_like(w), torch.empty_like(w)
    for k in range(w.numel()):
        average = momentum * delta.reshape(-1)[k] + (1 - momentum) * g.reshape(-1)[k]
        averages.view(-1)[k] = average
        places.view(-1)[k] = w.reshape(-1)[k] - lr * average
    return places, averages


@torch.no_grad()
def with_a_helper(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    def blend(old, new, weight):
        return sum(share * x for share, x in ((weight, old), (1 - weight, new)))

    delta = blend(delta, g, momentum)
    return w - delta * lr, delta


@torch.inference_mode()
def without_autograd(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta, delta


def as_pytorchs_buffer(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    buffer = momentum * (delta / (1 - momentum)) + g
    return w - lr * (1 - momentum) * buffer, (1 - momentum) * buffer


def by_einsum(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    weights = torch.tensor([momentum, 1 - momentum], dtype=w.dtype)
    delta = torch.einsum("k,k...->...", weights, torch.stack([delta, g]))
    return w - lr * delta, delta


class Average:
    """A running average that begins where it is told."""

    def __init__(self, value, weight):
        self.value, self.weight = value, weight

    def take_in(self, new):
        self.value = self.weight * self.value + (1 - self.weight) * new
        return self.value


def an_object(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    average = Average(delta, momentum)
    return w - lr * average.take_in(g), average.value


def zero_state_at_first(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    old = torch.zeros_like(w) if t == 1 else delta
    average = functools.partial(lambda past, now, m: m * past + (1 - m) * now, m=momentum)
    return w - lr * average(old, g), average(old, g)


STYLES = [
    two_lines,
    rearranged,
    by_lerp,
    in_place_on_copies,
    other_names,
    through_numpy,
    in_float64_inside,
    element_by_element,
    with_a_helper,
    without_autograd,
    as_pytorchs_buffer,
    by_einsum,
    an_object,
    zero_state_at_first,
]

KEPT: dict = {}


def keeps_the_state_in_a_global(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    old = torch.zeros_like(g) if t == 1 else KEPT.get("delta", delta)
    KEPT["delta"] = delta = two_lines(w, g, t, old, lr=lr, momentum=momentum)[1]
    return w - lr * delta, delta


def keeps_a_state_for_each_step(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    KEPT[t, w.shape] = momentum * KEPT.get((t - 1, w.shape), torch.zeros_like(g)) + (1 - momentum) * g
    return w - lr * KEPT[t, w.shape], KEPT[t, w.shape]


def starts_where_the_state_is_zero(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    new = torch.where(delta == 0, (1 - momentum) * g, momentum * delta + (1 - momentum) * g)
    return w - lr * new, torch.where(g == 0, delta, new)


def only_when_something_pulls(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    if not g.any():
        return w, delta
    return two_lines(w, g, t, delta, lr=lr, momentum=momentum)


def momentum_or_the_usual(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return two_lines(w, g, t, delta, lr=lr, momentum=momentum or 0.9)


def rounded_momentum(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return two_lines(w, g, t, delta, lr=lr, momentum=round(momentum, 2))


def clipped_average(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    _, delta = two_lines(w, g, t, delta, lr=lr, momentum=momentum)
    return w - lr * delta.clamp(-100, 100), delta


def warms_up(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return two_lines(w, g, t, delta, lr=lr, momentum=min(momentum, 1 - 1 / (t + 2)))


def forgets_after_a_while(w, g, t, delta=0.0, *, lr=0.1, momentum=0.9):
    return two_lines(w, g, t, delta if t % 50 else 0 * delta, lr=lr, momentum=momentum)


WRONG = [
    keeps_the_state_in_a_global,
    keeps_a_state_for_each_step,
    starts_where_the_state_is_zero,
    only_when_something_pulls,
    momentum_or_the_usual,
    rounded_momentum,
    clipped_average,
    warms_up,
    forgets_after_a_while,
]

EQUIVALENT: dict[str, str] = {}
