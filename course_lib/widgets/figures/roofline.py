"""Roofline: what a processor can reach for a layer, by the layer's operations for each byte that it moves."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from course_lib.backends import javascript
from course_lib.experiments.network_costs import CARDS
from course_lib.experiments.processors import MAPS, WIDTH, processors, rates
from course_lib.formulas import roofline
from course_lib.formulas.signature import Range
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Whole

PEAK, BANDWIDTH, BATCH = Range(1e10, 2e15, "log"), Range(1e9, 1e13, "log"), Range(1, 1024, "log")
WEIGHTS = 25_557_032  # ResNet-50's
ADAM = 14  # products, sums, quotients and roots for a weight: 3 for m, 4 for v, 2 for the corrections, 5 for the step


@dataclass(frozen=True)
class Layer:
    """A kind of work: its operations and bytes for a batch, and the name under which processors.py times it, if it does."""

    label: str
    color: str
    operations: Callable
    moved: Callable
    timed: str = ""


LAYERS = {
    "dense": Layer(
        f"fully connected, {WIDTH} → {WIDTH}",
        "var(--cf-accent)",
        lambda batch: roofline.product_operations(batch, WIDTH, WIDTH),
        lambda batch: roofline.product_bytes(batch, WIDTH, WIDTH),
        "layer",
    ),
    "convolution": Layer(
        "convolution 3×3, 64 channels",
        "var(--cf-own-0)",
        lambda batch: roofline.convolution_operations(batch, **MAPS),
        lambda batch: roofline.convolution_bytes(batch, **MAPS),
        "convolution",
    ),
    "adam": Layer(
        "Adam's step",
        "var(--cf-own-2)",
        lambda batch: ADAM * WEIGHTS + 0 * batch,
        lambda batch: roofline.elementwise_bytes(WEIGHTS, reads=4, writes=3) + 0 * batch,
    ),
}  # fmt: skip


@functools.cache
def machines() -> dict[str, dict]:
    """For each machine its `peak` and `bandwidth`, and `measured`, by layer: [[intensity, operations a second], …].

    Of a processor that was measured: the fastest median of a matrix product and of a copy that leaves the caches. Of a card what its data sheet
    says, in float32.
    """
    found = {}
    for kind, record in processors().items():
        way = 0 if kind == "cuda" else -1  # float32, and all threads
        copied = rates(record, "copy").median(0).values[-1].item()
        best = rates(record, "product").median(0).values[way].max().item()
        points = {key: _measured(record, key, way) for key, layer in LAYERS.items() if layer.timed}
        name = "the CPU, measured" if kind == "cpu" else "the GPU, measured"
        found[name] = {"peak": _round(best), "bandwidth": _round(copied), "measured": points}
    for name in ("TITAN", "Tesla V100", "H100"):
        found[name] = {"peak": CARDS[name].peak, "bandwidth": CARDS[name].bandwidth, "measured": {}}
    return found


def _measured(record, key: str, way: int) -> list[list[float]]:
    layer = LAYERS[key]
    medians = rates(record, layer.timed).median(0).values[way]
    sizes = record.settings["sizes"][layer.timed]
    return [[layer.operations(n) / layer.moved(n), rate] for n, rate in zip(sizes, medians.tolist(), strict=True)]


def _round(x: float) -> float:
    return float(f"{x:.3g}")


class Roofline(Figure):
    """What a processor reaches for typical layers, over their arithmetic intensity: the lower of its two roofs.

        Roofline("H100", batch=32)

    `machine` is one of `machines()` and sets `peak`, in operations a second, and `bandwidth`, in bytes a second; both are sliders,
    and so is the `batch`. Dots are the layers by their formulas, circles what was measured. With a kernel all can be read and set;
    `fig.balance` is the intensity where the roofs meet. Raises ValueError for a setting outside its limits.
    """

    machine = Choice("machine_names")
    peak = Hyper(above=0)
    bandwidth = Hyper(above=0)
    batch = Whole(1, 10**6)

    def __init__(self, machine: str = "the CPU, measured", *, peak=None, bandwidth=None, batch: int = 1):
        name = str(machine)
        known = machines().get(name, {"peak": 1.0, "bandwidth": 1.0})  # of another name, the trait says what there is
        values = {
            "peak": known["peak"] if peak is None else peak,
            "bandwidth": known["bandwidth"] if bandwidth is None else bandwidth,
        }
        super().__init__(machine=machine, batch=batch, **values)
        self.spec = {
            "machines": machines(),
            "layers": {key: {"label": layer.label, "color": layer.color} for key, layer in LAYERS.items()},
            "controls": [
                own_control("peak", PEAK, self.peak, "P", "peak, operations a second"),
                own_control("bandwidth", BANDWIDTH, self.bandwidth, "β", "bandwidth, bytes a second"),
                own_control("batch", BATCH, self.batch, "B", "samples in a batch", whole=True),
            ],
            "initial": {"machine": machine, "batch": batch, **values},
        }
        self.code = code()

    @property
    def machine_names(self) -> list[str]:
        """The machines that can be chosen."""
        return [*machines()]

    @property
    def balance(self) -> float:
        """Operations for a byte at which the two roofs meet."""
        return roofline.balance(peak=self.peak, bandwidth=self.bandwidth)

    def share(self, layer: str) -> float:
        """The share of the peak that a layer of LAYERS can reach at this batch."""
        intensity = LAYERS[layer].operations(self.batch) / LAYERS[layer].moved(self.batch)
        return roofline.attainable(intensity, peak=self.peak, bandwidth=self.bandwidth) / self.peak

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        shares = ", ".join(f"{layer.label} {self.share(key):.2g}" for key, layer in LAYERS.items())
        return (
            f"Operations a second over operations for a byte, both logarithmic, for {self.machine}: the roof rises with the bandwidth and is "
            f"flat from {self.balance:.3g} operations a byte on. With {self.batch} samples the layers reach these shares of the peak: {shares}."
        )


@functools.cache
def code() -> str:
    """`roof(intensity, peak, bandwidth)`, `balance(peak, bandwidth)`, and for each layer its operations and bytes by batch."""
    roof = lambda i, peak, bandwidth: roofline.attainable(i, peak=peak, bandwidth=bandwidth)
    parts = [javascript.of(roof, "roof", i=(), peak=(), bandwidth=())]
    parts += [javascript.of(roofline.balance, peak=(), bandwidth=())]
    for key, layer in LAYERS.items():
        parts += [javascript.of(layer.operations, f"{key}_operations", batch=())]
        parts += [javascript.of(layer.moved, f"{key}_moved", batch=())]
    return "\n".join(parts)
