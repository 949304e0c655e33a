"""StepTimeline: one data-parallel training step, when each layer is computed and when each bucket of gradients travels."""

import functools

import torch

from course_lib.backends import javascript
from course_lib.backends.javascript_arrays import arrays
from course_lib.backends.trace_nests import trace_nests
from course_lib.experiments.layer_costs import EXAMPLES, NETWORKS, parameters
from course_lib.formulas.parallel_costs import bucket_schedule, step_summary
from course_lib.formulas.signature import Range
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Whole

RATE = 4e13  # operations a second that a GPU really reaches, two for each multiplication
LAYERS = max(map(len, NETWORKS.values()))  # the others are filled up with layers that cost nothing
MOST = 256
RANGES = {
    "n": Range(1, MOST, "log"),
    "batch": Range(1, 1024, "log"),
    "bandwidth": Range(0.1, 1000.0, "log"),
    "latency": Range(1.0, 1000.0, "log"),
    "bucket": Range(0.1, 1000.0, "log"),
    "slow": Range(1.0, 3.0),
}
WORDS = {
    "n": ("n", "GPUs"), "batch": ("b", "batch a GPU"), "bandwidth": ("B", "bandwidth, GB/s"),
    "latency": ("α", "latency, µs"), "bucket": ("s", "bucket, MB"), "slow": ("×", "one GPU is slower"),
}  # fmt: skip
COUNTS = [2**k for k in range(9)]  # the GPUs for which the speed-up is drawn


class StepTimeline(Figure):
    """A training step on n GPUs over time: forward, backward layer by layer, the buckets' all-reduce, and who waits.

        StepTimeline()
        StepTimeline("GPT-2 small", n=16, bandwidth=25, bucket=100, overlap="off", slow=1.2)

    `network` is a name in NETWORKS, `batch` the examples of each GPU, `bandwidth` in GB/s, `latency` in µs, `bucket` in MB.
    `overlap` is on or off; `slow` is how many times as long the slowest GPU computes. With a kernel all of them can be read, set and
    observed; `fig.schedule` holds begin and end in seconds and bytes of each bucket, `fig.summary` the step in all. Raises ValueError
    for a setting outside its limits.
    """

    network = Choice(NETWORKS, default_value="ResNet-50")
    n = Whole(1, MOST, default_value=1)
    batch = Whole(1, 1024, default_value=1)
    bandwidth = Hyper(low=0.001, high=1e5, default_value=1.0)
    latency = Hyper(low=0.0, high=1e6, default_value=0.0)
    bucket = Hyper(low=0.001, high=1e6, default_value=1.0)
    overlap = Choice(("on", "off"), default_value="on")
    slow = Hyper(low=1.0, high=100.0, default_value=1.0)

    def __init__(
        self,
        network: str = "ResNet-50",
        *,
        n: int = 8,
        batch: int = 32,
        bandwidth: float = 10.0,
        latency: float = 20.0,
        bucket: float = 25.0,
        overlap: str = "on",
        slow: float = 1.0,
    ):
        numbers = {"n": n, "batch": batch, "bandwidth": bandwidth, "latency": latency, "bucket": bucket, "slow": slow}
        super().__init__(network=network, overlap=overlap, **numbers)
        whole = ("n", "batch")
        self.spec = {
            "networks": {name: name for name in NETWORKS},
            "examples": EXAMPLES,
            "names": {name: [layer.name for layer in layers[::-1]] for name, layers in NETWORKS.items()},
            "layers": {name: [x.tolist() for x in _layers(name)] for name in NETWORKS},
            "counts": COUNTS,
            "controls": [own_control(k, r, getattr(self, k), *WORDS[k], whole=k in whole) for k, r in RANGES.items()],
            "initial": {"network": self.network, "overlap": self.overlap} | {k: getattr(self, k) for k in RANGES},
        }
        self.code = _javascript()

    @property
    def seconds(self) -> tuple[float, torch.Tensor]:
        """The forward pass in all, and the backward pass of each layer, the last layer first, on a GPU as fast as most."""
        _, backward = _layers(self.network)
        return self.batch * backward.sum().item() / 2, self.batch * backward

    @property
    def schedule(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Begin and end of each bucket's all-reduce, in seconds from the start of the slowest GPU's backward pass, and its bytes."""
        return self._schedule(self.n)

    @property
    def summary(self) -> dict[str, float]:
        """The step's seconds, the shares in which all wait for gradients and the others for the slowest, and the speed-up."""
        forward, backward = self.seconds
        values = step_summary(forward, backward.sum(), self.schedule[1][-1], n=self.n, slow=self.slow)
        return dict(zip(("seconds", "exposed", "waiting", "speed_up"), map(float, values), strict=True))

    def _schedule(self, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        sizes, _ = _layers(self.network)
        backward = self.seconds[1] * (self.slow if n > 1 else 1.0)
        link = {"bandwidth": self.bandwidth * 1e9, "latency": self.latency * 1e-6}
        on = float(self.overlap == "on")
        return bucket_schedule(sizes, backward, bucket=self.bucket * 1e6, n=n, **link, overlap=on)

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        s, (_, _, size) = self.summary, self.schedule
        return (
            f"A training step of {self.network} on {self.n} GPUs, {self.batch} {EXAMPLES[self.network]} each, "
            f"{self.bandwidth:g} GB/s, overlap {self.overlap}: {int((size > 0).sum())} buckets for "
            f"{4e-6 * parameters(self.network):.0f} MB of gradients, {1000 * s['seconds']:.3g} ms, of which {s['exposed']:.1%} wait for "
            f"gradients and {s['waiting']:.1%} for the slowest GPU; {s['speed_up']:.3g} times as fast as one GPU."
        )


@functools.cache
def _layers(network: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Bytes of the gradients and seconds of the backward pass of one example, for each layer, the last layer first, (LAYERS,)."""
    layers = NETWORKS[network][::-1]
    rows = [(4 * x.parameters, 2 * 2 * x.multiplications / RATE) for x in layers] + [(0, 0)] * (LAYERS - len(layers))
    sizes, seconds = torch.tensor(rows, dtype=torch.float64).T
    return sizes, seconds


@functools.cache
def _javascript() -> str:
    shapes = {"sizes": (LAYERS,), "seconds": (LAYERS,)}
    shapes |= dict.fromkeys(("bucket", "n", "bandwidth", "latency", "overlap"), ())
    nests = trace_nests(lambda given: dict(zip(("begin", "end", "size"), bucket_schedule(**given))), shapes)
    numbers = dict.fromkeys(("forward", "backward", "arrived", "n", "slow"), ())
    return "\n".join((arrays("schedule", nests), javascript.of(step_summary, **numbers)))
