"""How the weights of a layer begin: pure functions of random draws, by growing difficulty.

The first argument says which draws: `z` are standard normal ones, `u` uniform ones in [0, 1), in the weight's shape.
"""

import math

import torch

LEAKY = 0.01  # the slope of a leaky ReLU left of 0, as PyTorch's


def leaky_gain(slope):
    """√(2/(1 + slope²)): what a leaky ReLU takes from the signal, made good. √2 for ReLU, 1 for none. Source: He et al. (2015)."""
    return (2 / (1 + slope**2)) ** 0.5


def normal_draws(u, v):
    """Two standard normal draws from two uniform ones in [0, 1). Source: Box and Muller (1958)."""
    radius = (-2 * torch.log1p(-u)) ** 0.5
    return radius * torch.cos(2 * math.pi * v), radius * torch.sin(2 * math.pi * v)


def constant(z, fan_in, fan_out, *, value=0.0):
    """All weights alike. Equals torch.nn.init.constant_. Source: slide 24's problem in its purest form."""
    return 0 * z + value


def normal(z, fan_in, fan_out, *, sigma=1.0):
    """N(0, σ²), whatever the layer's size. Source: slide 24. Equals torch.nn.init.normal_."""
    return sigma * z


def uniform(u, fan_in, fan_out, *, bound=1.0):
    """U(-bound, bound), whatever the layer's size. Source: slide 24. Equals torch.nn.init.uniform_."""
    return bound * (2 * u - 1)


def lecun_normal(z, fan_in, fan_out, *, gain=1.0):
    """Variance 1/fan_in: keeps the signal that goes forward. Source: LeCun et al. (1998); slide 26."""
    return gain * z / fan_in**0.5


def lecun_uniform(u, fan_in, fan_out, *, gain=1.0):
    """The same variance from U(±√(3/fan_in)). Source: LeCun et al. (1998); slide 26."""
    return gain * (3 / fan_in) ** 0.5 * (2 * u - 1)


def xavier_normal(z, fan_in, fan_out, *, gain=1.0):
    """Variance 2/(fan_in + fan_out), between forward's and backward's.

    Source: Glorot and Bengio (2010); slide 28.
    Equals torch.nn.init.xavier_normal_.
    """
    return gain * (2 / (fan_in + fan_out)) ** 0.5 * z


def xavier_uniform(u, fan_in, fan_out, *, gain=1.0):
    """The same variance from U(±√(6/(fan_in + fan_out))).

    Source: Glorot and Bengio (2010); slide 28. Equals torch.nn.init.xavier_uniform_.
    """
    return gain * (6 / (fan_in + fan_out)) ** 0.5 * (2 * u - 1)


def kaiming_normal(z, fan_in, fan_out, *, gain=math.sqrt(2)):
    """Variance gain²/fan_in, with the gain √2 of ReLU.

    For mode="fan_out" hand over the two fans exchanged.
    Source: He et al. (2015); slide 30.
    Equals torch.nn.init.kaiming_normal_.
    """
    return gain * z / fan_in**0.5


def kaiming_uniform(u, fan_in, fan_out, *, gain=math.sqrt(2)):
    """The same variance from U(±gain √(3/fan_in)). For mode="fan_out" hand over the fans exchanged.

    Source: He et al. (2015). Equals torch.nn.init.kaiming_uniform_.
    """
    return gain * (3 / fan_in) ** 0.5 * (2 * u - 1)


def pytorch_default(u, fan_in, fan_out, *, slope=math.sqrt(5)):
    """U(±1/√fan_in), written as Kaiming's for a leaky slope of √5: a variance of 1/(3 fan_in), a third of LeCun's.

    Equals what nn.Linear and the convolutions of PyTorch give to their weights.
    """
    return kaiming_uniform(u, fan_in, fan_out, gain=leaky_gain(slope))


def orthogonal(z, fan_in, fan_out, *, gain=1.0):
    """Orthonormal rows, or columns where these are fewer, every such matrix equally probable.

    `z` is the weight, (out, in, *kernel); what follows the first dimension is one row. The factor Q of z's QR decomposition,
    with the signs that make R's diagonal positive. Source: Saxe et al. (2014). Equals torch.nn.init.orthogonal_.
    """
    rows = z.flatten(1)
    wide = rows.shape[0] < rows.shape[1]
    q, r = torch.linalg.qr((rows, rows.mT)[wide])
    q = q * r.diagonal().sign()
    return gain * (q, q.mT)[wide].reshape(z.shape)


def nearer_orthogonal(x):
    """One step of Newton and Schulz toward the orthogonal matrix nearest to x: (m, n), made of products alone.

    Converges from every x of full rank whose singular values lie below √3: each goes to 1. From Gaussian draws it ends at a
    matrix that is distributed as `orthogonal`'s. Source: Higham, "Functions of Matrices" (2008), section 8.3.
    """
    return 1.5 * x - 0.5 * x @ (x.mT @ x)


INITIALIZATIONS = {
    f.__name__: f
    for f in (
        constant,
        normal,
        uniform,
        lecun_normal,
        lecun_uniform,
        xavier_normal,
        xavier_uniform,
        kaiming_normal,
        kaiming_uniform,
        pytorch_default,
        orthogonal,
    )
}
