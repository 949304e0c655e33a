"""One learning rate for all parameters, with and without momentum."""

from course_lib.formulas.entry import Entry
from course_lib.formulas.signature import Decay, Rate


def gradient_descent(w, g, t, *, lr: Rate = 0.1):
    """One step against the gradient, as long as the learning rate says.

    Source: Cauchy (1847); slide 4. Equals torch.optim.SGD(lr=lr).
    """
    return w - lr * g


def momentum(w, g, t, delta=0.0, *, lr: Rate = 0.1, momentum: Decay = 0.9):
    """A step along the running average of the gradients: the lecture's form.

    Source: Polyak (1964); slide 7.
    Equals torch.optim.SGD(lr=lr * (1 - momentum), momentum=momentum).
    """
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta, delta


def sgd(w, g, t, b=0.0, *, lr: Rate = 0.01, momentum: Decay = 0.9):
    """Momentum as PyTorch spells it: a decaying sum, without (1 - momentum).

    Source: Sutskever et al. (2013).
    Equals torch.optim.SGD(lr=lr, momentum=momentum).
    """
    b = momentum * b + g
    return w - lr * b, b


def nesterov(w, g, t, b=0.0, *, lr: Rate = 0.01, momentum: Decay = 0.9):
    """Momentum that corrects itself with the gradient from where it is going.

    Source: Nesterov (1983), in the form of Sutskever et al. (2013).
    Equals torch.optim.SGD(lr=lr, momentum=momentum, nesterov=True).
    """
    b = momentum * b + g
    return w - lr * (g + momentum * b), b


CATALOG = {
    gradient_descent: Entry("gradient descent", "#0072b2", dark="#2284e6", group="first order", float32=2e-4),
    momentum: Entry("momentum", "#d55e00", dark="#ff8534", group="first order", float32=1e-3),
    sgd: Entry("SGD", "#d55e00", dark="#ff8534", float32=1e-3),  # momentum in another spelling
    nesterov: Entry("Nesterov", "#009e73", dark="#2cc79b", group="beyond the lecture", float32=1e-3),
}

__all__ = [rule.__name__ for rule in CATALOG]
