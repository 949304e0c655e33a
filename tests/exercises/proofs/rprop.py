"""Rprop: right answers in other styles, wrong ones that no mutant makes, and changes that change nothing."""

import math

import numpy
import torch


def two_wheres(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    same = g * g_old
    grown, shrunk = torch.clamp(alpha * eta, max=eta_max), torch.clamp(beta * eta, min=eta_min)
    eta = torch.where(same > 0, grown, torch.where(same < 0, shrunk, eta))
    return w - eta * torch.sign(g), g, eta


def by_signs(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    verdict = g.sign() * g_old.sign()
    eta = torch.where(verdict == 1, eta * alpha, torch.where(verdict == -1, eta * beta, eta))
    eta = eta.clamp(eta_min, eta_max)
    return torch.addcmul(w, eta, g.sign(), value=-1.0), g, eta


def masks_on_copies(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    w, eta, same = w.clone(), eta.clone(), g * g_old
    eta[same > 0] = (alpha * eta[same > 0]).clamp(max=eta_max)
    eta[same < 0] = (beta * eta[same < 0]).clamp(min=eta_min)
    w[g > 0] -= eta[g > 0]
    w[g < 0] += eta[g < 0]
    return w, g.clone(), eta


def sum_of_masked_terms(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    up, down = (g * g_old > 0).to(w.dtype), (g * g_old < 0).to(w.dtype)
    grown = torch.minimum(alpha * eta, torch.full_like(eta, eta_max))
    shrunk = torch.maximum(beta * eta, torch.full_like(eta, eta_min))
    eta = up * grown + down * shrunk + (1 - up - down) * eta
    return w - eta * g.sign(), g, eta


def one_factor(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    factor = torch.ones_like(w)
    factor = factor.masked_fill(g * g_old > 0, alpha).masked_fill(g * g_old < 0, beta)
    eta = (factor * eta).clamp(min=eta_min, max=eta_max)
    return w - torch.copysign(eta, g) * (g != 0), g, eta


def through_numpy(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    x, d, old, rate = (numpy.asarray(value) for value in (w, g, g_old, eta))
    cases = [d * old > 0, d * old < 0]
    rate = numpy.select(cases, [numpy.minimum(alpha * rate, eta_max), numpy.maximum(beta * rate, eta_min)], rate)
    return tuple(torch.as_tensor(value, dtype=w.dtype) for value in (x - rate * numpy.sign(d), d, rate))


def element_by_element(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    places, rates = [], []
    for x, d, old, rate in zip(*(value.flatten().tolist() for value in (w, g, g_old, eta))):
        if d * old > 0:
            rate = min(alpha * rate, eta_max)
        elif d * old < 0:
            rate = max(beta * rate, eta_min)
        rates.append(rate)
        places.append(x - math.copysign(rate, d) if d else x)
    return torch.tensor(places, dtype=w.dtype).reshape(w.shape), g, torch.tensor(rates, dtype=w.dtype).reshape(w.shape)


def in_float64_inside(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    values = two_wheres(
        w.double(),
        g.double(),
        t,
        g_old.double(),
        eta.double(),
        alpha=alpha,
        beta=beta,
        eta_min=eta_min,
        eta_max=eta_max,
    )
    return [value.to(w.dtype) for value in values]


@torch.inference_mode()
def without_autograd(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    return two_wheres(w, g, t, g_old, eta, alpha=alpha, beta=beta, eta_min=eta_min, eta_max=eta_max)


def recursive(x, slope, n, before=0.0, rate=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    hyper = {"alpha": alpha, "beta": beta, "eta_min": eta_min, "eta_max": eta_max}
    if x.dim():
        rows = [recursive(a, b, n, c, d, **hyper) for a, b, c, d in zip(x, slope, before, rate)]
        return tuple(map(torch.stack, zip(*rows)))
    if slope * before > 0:
        rate = (alpha * rate).clamp(max=eta_max)
    if slope * before < 0:
        rate = (beta * rate).clamp(min=eta_min)
    return x - rate * slope.sign(), slope, rate


class Rates:
    """The three cases as methods."""

    def __init__(self, eta, low, high):
        self.eta, self.low, self.high = eta, low, high

    def times(self, factor):
        return torch.clip(self.eta * factor, self.low, self.high)


def an_object(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    rates, turned = Rates(eta, eta_min, eta_max), torch.sign(g * g_old)
    new = rates.times(1.0).where(turned == 0, rates.times(alpha).where(turned > 0, rates.times(beta)))
    return w - new * g.sign(), g, new


def first_step_apart(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    if t == 1:
        return w - eta * g.sign(), g, eta
    return two_wheres(w, g, t, g_old, eta, alpha=alpha, beta=beta, eta_min=eta_min, eta_max=eta_max)


STYLES = [
    two_wheres,
    by_signs,
    masks_on_copies,
    sum_of_masked_terms,
    one_factor,
    through_numpy,
    element_by_element,
    in_float64_inside,
    without_autograd,
    recursive,
    an_object,
    first_step_apart,
]


def sign_by_division(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    _, _, eta = two_wheres(w, g, t, g_old, eta, alpha=alpha, beta=beta, eta_min=eta_min, eta_max=eta_max)
    return w - eta * g / g.abs(), g, eta


def zero_goes_up(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    _, _, eta = two_wheres(w, g, t, g_old, eta, alpha=alpha, beta=beta, eta_min=eta_min, eta_max=eta_max)
    return torch.where(g > 0, w - eta, w + eta), g, eta


def skips_zeros_in_the_state(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    w, _, eta = two_wheres(w, g, t, g_old, eta, alpha=alpha, beta=beta, eta_min=eta_min, eta_max=eta_max)
    return w, torch.where(g == 0, g_old, g), eta


def almost_zero_is_zero(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    same = g * g_old
    grown, shrunk = (alpha * eta).clamp(max=eta_max), (beta * eta).clamp(min=eta_min)
    eta = torch.where(same > 1e-6, grown, torch.where(same < -1e-6, shrunk, eta))
    return w - eta * g.sign(), g, eta


def stops_below_the_limit(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    same, grown, shrunk = g * g_old, alpha * eta, beta * eta
    up, down = (same > 0) & (grown < eta_max), (same < 0) & (shrunk > eta_min)
    eta = torch.where(up, grown, torch.where(down, shrunk, eta))
    return w - eta * g.sign(), g, eta


def one_limit_for_both(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    return two_wheres(w, g, t, g_old, eta, alpha=alpha, beta=beta, eta_min=eta_max / 5e7, eta_max=eta_max)


BEFORE: dict = {}


def remembers_the_gradient(w, g, t, g_old=0.0, eta=0.01, *, alpha=1.2, beta=0.5, eta_min=1e-6, eta_max=50.0):
    old = torch.zeros_like(g) if t == 1 or BEFORE["g"].shape != g.shape else BEFORE["g"]
    BEFORE["g"] = g
    return two_wheres(w, g, t, old.to(g), eta, alpha=alpha, beta=beta, eta_min=eta_min, eta_max=eta_max)


WRONG = [
    sign_by_division,
    zero_goes_up,
    skips_zeros_in_the_state,
    almost_zero_is_zero,
    stops_below_the_limit,
    one_limit_for_both,
    remembers_the_gradient,
]

EQUIVALENT = {
    "2: eta -> abs(eta)": "a rate is never negative",
    "3: eta -> abs(eta)": "a rate is never negative",
    "4: eta -> abs(eta)": "a rate is never negative",
    "5: eta -> abs(eta)": "a rate is never negative",
    "leaves value 0 as it is where g is 0": "the sign of 0 is 0, so w stays",
    "leaves value 2 as it is where g is 0": "the product is 0, so the rate stays",
    "takes alpha of 0 for no alpha": "alpha is above 1",
    "takes eta_max of 0 for no eta_max": "no rate lies below an upper limit of 0",
}
