"""Functions that every generated kernel begins with: by libdevice on a GPU, written out for Triton's interpreter."""

FUNCTIONS = {
    # those that PyTorch calls on a GPU, too
    False: "from triton.language.extra.libdevice import atan, cos, erf, exp, expm1, fast_dividef, fmod, log, log1p, log2, pow, sin, tanh",
    True: """

# the interpreter's; it lacks the others
def exp(x):
    return tl.exp(x)


def log(x):
    return tl.log(x)


def sin(x):
    return tl.sin(x)


def cos(x):
    return tl.cos(x)


def fast_dividef(x, y):
    return x / y


def fmod(x, y):
    return x % y


def pow(x, y):
    size, broken = tl.exp(y * tl.log(tl.abs(x))), tl.floor(y) != y
    odd = ~broken & (tl.floor(y / 2) * 2 != y)
    signed = tl.where(((x < 0) | (1 / x < 0)) & odd, -size, size)
    known = tl.where((x < 0) & (x > -float("inf")) & broken, float("nan"), signed)
    return tl.where((y == 0) | (x == 1) | ((x == -1) & (tl.abs(y) == float("inf"))), 1.0, known)


def tanh(x):
    e = tl.exp(-2 * tl.abs(x))
    return tl.where(x < 0, e - 1, 1 - e) / (1 + e)


# Kahan's: the same rounding in both factors
def log1p(x):
    u = 1 + x
    return tl.where(u == 1, x, tl.where(u == float("inf"), u, tl.log(u) * (x / (u - 1))))


def expm1(x):
    u = tl.exp(x)
    near = (u - 1) * (x / tl.log(u))
    return tl.where(u == 1, x, tl.where((u - 1 == -1) | (u == float("inf")), u - 1, near))


def log2(x):
    return tl.log2(x)


def erf(x):
    return tl.erf(x)


# two half angles make the series short
def atan(x):
    y = tl.where(tl.abs(x) > 1, 1 / x, x)
    y = y / (1 + tl.sqrt(1 + y * y))
    y = y / (1 + tl.sqrt(1 + y * y))
    s, total = y * y, 0 * y
    for k in range(25, 1, -2):
        total = s * (total - 1 / k) if k % 4 == 3 else s * (total + 1 / k)
    part = 4 * y * (1 + total)
    return tl.where(x > 1, 1.5707963267948966 - part, tl.where(x < -1, -1.5707963267948966 - part, part))
""",
}
