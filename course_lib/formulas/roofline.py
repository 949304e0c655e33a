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


def attainable(intensity, *, peak, bandwidth):
    """Operations a second that a processor can reach: the roofline.

    Source: Williams, Waterman and Patterson (2009). It is
    min(peak, intensity x bandwidth).
    """
    moving = intensity * bandwidth
    return (peak + moving - abs(peak - moving)) / 2


def layer_seconds(operations, moved, *, peak, bandwidth, launch=0.0):
    """Seconds of a layer: the start of its kernel, then what takes longer.

    Equals launch + operations / attainable(intensity).
    """
    computing, moving = operations / peak, moved / bandwidth
    return launch + (computing + moving + abs(computing - moving)) / 2
