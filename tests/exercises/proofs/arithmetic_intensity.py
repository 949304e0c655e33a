"""What a layer costs: right answers in other styles, changes of the solution that change nothing, and wrong answers that are rejected."""

import functools
import math
from dataclasses import dataclass

import numpy
import torch


def in_one_expression(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    pixels = batch * size * size
    return (
        2 * pixels * outputs * inputs * kernel * kernel,
        each * (pixels * (inputs + outputs) + inputs * outputs * kernel * kernel),
        max(
            2 * pixels * outputs * inputs * kernel * kernel / peak,
            each * (pixels * (inputs + outputs) + inputs * outputs * kernel * kernel) / bandwidth,
        ),
    )


def by_shapes(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    x, w, y = (batch, inputs, size, size), (outputs, inputs, kernel, kernel), (batch, outputs, size, size)
    operations = 2 * math.prod(y) * math.prod(w[1:])
    moved = each * sum(map(math.prod, (x, w, y)))
    return [operations, moved, sorted([operations / peak, moved / bandwidth])[-1]]


def through_numpy(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    counts = numpy.array([[batch, inputs, size, size], [outputs, inputs, kernel, kernel], [batch, outputs, size, size]])
    numbers = counts.astype(numpy.int64).prod(axis=1)
    operations, moved = 2 * numbers[2] * inputs * kernel**2, numbers.sum() * each
    return operations, moved, numpy.maximum(operations / peak, moved / bandwidth)


def by_torch(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    b, i, o, k, s = torch.tensor([batch, inputs, outputs, kernel, size], dtype=torch.float64)
    operations = 2 * b * o * s.square() * i * k.square()
    moved = each * (b * i * s**2 + i * o * k**2 + b * o * s**2)
    return operations, moved, torch.maximum(operations / peak, moved / bandwidth)


def on_meta(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    """Tensors without numbers, counted."""
    x, w = (
        torch.empty(batch, inputs, size, size, device="meta"),
        torch.empty(outputs, inputs, kernel, kernel, device="meta"),
    )
    y = x.new_empty(batch, outputs, size, size)
    operations = 2 * y.numel() * w[0].numel()
    moved = each * (x.numel() + w.numel() + y.numel())
    return operations, moved, max(operations / peak, moved / bandwidth)


def by_loops(samples, c, d, k, s, *, peak=1.0, bandwidth=1.0, each=4):
    operations = numbers = 0
    for _ in range(min(samples, 1)):
        operations, numbers = operations + 2 * d * c * k**2 * s**2, numbers + (c + d) * s**2
    operations, numbers = samples * operations, samples * numbers + c * d * k**2
    seconds = operations / peak
    if numbers * each / bandwidth > seconds:
        seconds = numbers * each / bandwidth
    return operations, numbers * each, seconds


def with_helpers(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    def maps(channels):
        return batch * channels * pow(size, 2)

    def weights():
        return inputs * outputs * pow(kernel, 2)

    operations, moved = 2 * batch * size**2 * weights(), each * (maps(inputs) + weights() + maps(outputs))
    return operations, moved, operations / peak if operations * bandwidth > moved * peak else moved / bandwidth


def as_floats(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations = 2.0 * batch * outputs * inputs * (kernel * size) ** 2
    moved = float(each) * (batch * (inputs + outputs) * size**2 + inputs * outputs * kernel**2)
    return operations, moved, (operations / peak + moved / bandwidth + abs(operations / peak - moved / bandwidth)) / 2


def by_the_roofline(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations = 2 * batch * outputs * inputs * kernel**2 * size**2
    moved = each * (batch * inputs * size**2 + inputs * outputs * kernel**2 + batch * outputs * size**2)
    return operations, moved, operations / min(peak, operations / moved * bandwidth)


def recursive(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    if batch > 1:
        half = batch // 2
        parts = [
            recursive(part, inputs, outputs, kernel, size, peak=peak, bandwidth=bandwidth, each=each)
            for part in (half, batch - half)
        ]
        operations = sum(part[0] for part in parts)
        moved = sum(part[1] for part in parts) - inputs * outputs * kernel**2 * each
    else:
        operations = 2 * outputs * inputs * kernel**2 * size**2
        moved = each * ((inputs + outputs) * size**2 + inputs * outputs * kernel**2)
    return operations, moved, max(operations / peak, moved / bandwidth)


@dataclass
class Layer:
    """A layer and its counts."""

    batch: int
    inputs: int
    outputs: int
    kernel: int
    size: int

    @property
    def operations(self):
        return 2 * self.batch * self.outputs * self.size**2 * self.inputs * self.kernel**2

    def moved(self, each):
        return each * (
            self.batch * (self.inputs + self.outputs) * self.size**2 + self.inputs * self.outputs * self.kernel**2
        )


def an_object(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    layer = Layer(batch, inputs, outputs, kernel, size)
    return layer.operations, layer.moved(each), max(layer.operations / peak, layer.moved(each) / bandwidth)


with_a_partial = functools.partial(by_the_roofline)
with_a_partial.__name__ = "with_a_partial"

STYLES = [
    in_one_expression,
    by_shapes,
    through_numpy,
    by_torch,
    on_meta,
    by_loops,
    with_helpers,
    as_floats,
    by_the_roofline,
    recursive,
    an_object,
    with_a_partial,
]

COUNTS = {
    1: ("batch", "outputs", "size"),
    2: ("outputs", "inputs", "kernel"),
    3: ("inputs", "kernel"),
    4: ("batch", "inputs", "size"),
}
EQUIVALENT = (
    {f"{line}: {name} -> abs({name})": "counts are positive" for line, names in COUNTS.items() for name in names}
    | {
        f"{line}: {name} -> -{name}": "it is squared"
        for line, name in ((1, "size"), (2, "kernel"), (3, "kernel"), (4, "size"))
    }
    | {
        f"writes into {name}": "a number cannot be written into"
        for name in ("batch", "inputs", "outputs", "kernel", "size")
    }
    | {"all in float32": "no argument is a tensor"}
)


def _changed(name, change):
    """The right three values, changed by the call's arguments."""

    def wrong(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
        right = in_one_expression(batch, inputs, outputs, kernel, size, peak=peak, bandwidth=bandwidth, each=each)
        return change(*right[:2], batch, inputs, outputs, kernel, size, peak, bandwidth, each)

    return wrong


def _finished(operations, moved, peak, bandwidth):
    return operations, moved, max(operations / peak, moved / bandwidth)


with_a_bias = _changed(
    "with_a_bias", lambda ops, moved, b, i, o, k, s, peak, bw, each: _finished(ops, moved + each * o, peak, bw)
)
with_padding = _changed(
    "with_padding",
    lambda ops, moved, b, i, o, k, s, peak, bw, each: _finished(
        ops, moved + each * b * i * ((s + k // 2 * 2) ** 2 - s**2), peak, bw
    ),
)
sums_one_less = _changed(
    "sums_one_less", lambda ops, moved, b, i, o, k, s, peak, bw, each: _finished(ops - b * o * s**2, moved, peak, bw)
)
no_wider_than_the_maps = _changed(
    "no_wider_than_the_maps",
    lambda ops, moved, b, i, o, k, s, peak, bw, each: in_one_expression(
        b, i, o, min(k, s), s, peak=peak, bandwidth=bw, each=each
    ),
)
in_32_bits = _changed(
    "in_32_bits", lambda ops, moved, b, i, o, k, s, peak, bw, each: _finished(ops % 2**32, moved % 2**32, peak, bw)
)
whole_seconds = _changed(
    "whole_seconds", lambda ops, moved, b, i, o, k, s, peak, bw, each: (ops, moved, max(ops // peak, moved // bw))
)
in_milliseconds = _changed(
    "in_milliseconds", lambda ops, moved, b, i, o, k, s, peak, bw, each: (ops, moved, 1e3 * max(ops / peak, moved / bw))
)
weights_in_float32 = _changed(
    "weights_in_float32",
    lambda ops, moved, b, i, o, k, s, peak, bw, each: _finished(ops, moved + (4 - each) * i * o * k**2, peak, bw),
)
as_text = _changed("as_text", lambda ops, moved, *_: (str(ops), str(moved), "1"))
bound_by_memory = _changed(
    "bound_by_memory", lambda ops, moved, b, i, o, k, s, peak, bw, each: (ops, moved, moved / bw)
)

WRONG = [
    with_a_bias,
    with_padding,
    sums_one_less,
    no_wider_than_the_maps,
    in_32_bits,
    whole_seconds,
    in_milliseconds,
    weights_in_float32,
    as_text,
    bound_by_memory,
]
