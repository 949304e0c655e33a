"""Weight decay: as a term of the loss, so that it goes through the average, or apart from it."""

from course_lib.formulas.entry import Entry
from course_lib.formulas.rules.descent import sgd
from course_lib.formulas.signature import Decay, Rate, Strength


def momentum_l2(
    w, g, t, delta=0.0, *,
    lr: Rate = 0.1, momentum: Decay = 0.9, decay: Strength = 0.01,
):
    """Momentum on the loss plus λ/2 ‖w‖²: the decay goes through the average.

    Source: slides 7 and 8. Equals torch.optim.SGD(lr=lr * (1 - momentum),
    momentum=momentum, weight_decay=decay).
    """
    g = g + decay * w
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta, delta


def sgdw(
    w, g, t, delta=0.0, *,
    lr: Rate = 0.1, momentum: Decay = 0.9, decay: Strength = 0.01,
):
    """Momentum with decoupled weight decay: the decay stays out of the average.

    Source: Loshchilov and Hutter (2019); slide 9.
    PyTorch has no such optimizer.
    """
    delta = momentum * delta + (1 - momentum) * g
    return w - lr * delta - lr * decay * w, delta


def sgd_l2(
    w, g, t, b=0.0, *,
    lr: Rate = 0.01, momentum: Decay = 0.9, decay: Strength = 0.01,
):
    """PyTorch's momentum on the loss plus λ/2 ‖w‖².

    Source: the documentation of torch.optim.SGD.
    Equals torch.optim.SGD(lr=lr, momentum=momentum, weight_decay=decay).
    """
    return sgd(w, g + decay * w, t, b, lr=lr, momentum=momentum)


CATALOG = {  # a rule on the loss plus λ/2 ‖w‖² keeps its color
    momentum_l2: Entry("momentum + L2", "#d55e00", dark="#ff8534", float32=1e-3),
    sgdw: Entry("SGDW", "#5b3fb5", dark="#a996ff", float32=4e-4),
    sgd_l2: Entry("SGD + L2", "#d55e00", dark="#ff8534", float32=1e-3),
}

__all__ = [rule.__name__ for rule in CATALOG]
