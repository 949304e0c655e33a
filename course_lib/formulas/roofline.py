"""What a layer costs, and how fast a processor can be at it: operations, bytes moved, and the roofline over both.

A product and a sum are two operations. Bytes are those of a
layer that reads each of its inputs once and writes its output
once; real kernels move more, never less. All are functions of
numbers or of tensors, element by element.
"""

FLOAT32 = 4  # bytes of a number


def product_operations(m, k, n):
    """Operations of an (m, k) matrix times a (k, n) matrix.

    Source: m n sums of k products. Equals torch.utils.flop_counter.
    """
    return 2 * m * k * n


def product_bytes(m, k, n, *, each=FLOAT32):
    """Bytes that the same product moves, with `each` bytes a number."""
    return (m * k + k * n + m * n) * each


def convolution_operations(batch, inputs, outputs, kernel, height, width, *, groups=1):
    """Operations of a convolution to maps of (height, width).

    `inputs` and `outputs` are channels, `kernel` is the width of a square
    filter. Equals torch.utils.flop_counter.
    """
    pixels = batch * outputs * height * width
    return 2 * pixels * kernel**2 * inputs / groups


def convolution_bytes(batch, inputs, outputs, kernel, height, width, *, groups=1, stride=1, each=FLOAT32):
    """Bytes that the same convolution moves, its padding not counted."""
    read = batch * inputs * height * width * stride**2
    weights = outputs * inputs / groups * kernel**2
    return (read + weights + batch * outputs * height * width) * each


def elementwise_bytes(count, *, reads, writes, each=FLOAT32):
    """Bytes of a step that handles `count` numbers each by itself.

    Adam reads w, g, m, v and writes w, m, v: reads=4, writes=3.
    """
    return count * (reads + writes) * each


def intensity(operations, moved):
    """Operations for each byte moved: the arithmetic intensity.

    Source: Williams, Waterman and Patterson (2009).
    """
    return operations / moved


def balance(*, peak, bandwidth):
    """The intensity at which a processor computes as long as it moves.

    `peak` in operations a second, `bandwidth` in bytes a second. A layer
    below it is memory bound, one above is compute bound.
    """
    return peak / bandwidth


def least(a, b):
    """The smaller of two numbers, or of two tensors element by element.

    To rounding at the size of the larger one.
    """
    return (a + b - abs(a - b)) / 2


def greatest(a, b):
    """The larger of two numbers, or of two tensors element by element."""
    return (a + b + abs(a - b)) / 2


def attainable(intensity, *, peak, bandwidth):
    """Operations a second that a processor can reach: the roofline.

    Source: Williams, Waterman and Patterson (2009).
    """
    return least(peak, intensity * bandwidth)


def layer_seconds(operations, moved, *, peak, bandwidth, launch=0.0):
    """Seconds of a layer: the start of its kernel, then what takes longer.

    Without a start it equals operations / attainable(intensity).
    """
    return launch + greatest(operations / peak, moved / bandwidth)


def peak_rate(cores, clock, *, each=2):
    """Operations a second of so many cores at `clock` ticks a second.

    `each` are a core's operations in a tick: 2 for a GPU's core, which
    multiplies and adds in one; 16 for a CPU's that does so with 8 numbers.
    """
    return cores * clock * each
