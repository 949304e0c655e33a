"""SignalPropagation: what each layer of a network that nobody has trained makes of the signal and of the gradient.

What its script computes layer by layer is printed by `PYTHONPATH=. python course_lib/widgets/figures/signal_propagation.py`.
"""

import functools
import math
from pathlib import Path

import torch
import traitlets

from course_lib.backends import javascript
from course_lib.backends.javascript_arrays import of_arrays
from course_lib.experiments import signals
from course_lib.experiments.batches import uniform_draws
from course_lib.formulas import activations as formulas
from course_lib.formulas import initialization
from course_lib.formulas.activations import ACTIVATIONS, AROUND_ZERO, MEAN_SQUARES
from course_lib.formulas.signature import Range
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Whole

SCRIPT = Path(__file__).with_name("signal_propagation_layers.js")
WIDTHS = (16, 32, 64)
EXAMPLES = 32
DEEPEST = 30
GAINS = Range(0.01, 10.0, "log")
BINS = 31
HALVES = {
    "linear": 4.0,
    "tanh": 1.0,
    "sigmoid": 1.0,
    "relu": 4.0,
    "leaky_relu": 4.0,
}  # what the plots of activations span
STARTS = {  # name: its label, the weight as a function of the draw, both fans and the gain, and the gain it begins with
    "normal": ("N(0, σ²)", lambda z, n, m, g: initialization.normal(z, n, m, sigma=g), 1.0),
    "xavier_normal": ("Xavier", lambda z, n, m, g: initialization.xavier_normal(z, n, m, gain=g), 1.0),
    "xavier_uniform": ("Xavier U", lambda u, n, m, g: initialization.xavier_uniform(u, n, m, gain=g), 1.0),
    "kaiming_normal": ("Kaiming", lambda z, n, m, g: initialization.kaiming_normal(z, n, m, gain=g), math.sqrt(2)),
    "kaiming_uniform": ("Kaiming U", lambda u, n, m, g: initialization.kaiming_uniform(u, n, m, gain=g), math.sqrt(2)),
    "pytorch_default": ("PyTorch", lambda u, n, m, g: g * initialization.pytorch_default(u, n, m), 1.0),
}
UNIFORM = ("xavier_uniform", "kaiming_uniform", "pytorch_default")
SETTINGS = ("activation", "initialization", "width", "depth", "gain", "seed")


class _Width(traitlets.Int):
    """One of the widths that the script has loops for."""

    def validate(self, obj, value):
        """The width as an int."""
        if isinstance(value, bool) or value not in WIDTHS:
            raise ValueError(f"width must be one of {', '.join(map(str, WIDTHS))}, got {value!r}.")
        return int(value)


class SignalPropagation(Figure):
    """Random inputs go up through layers of one width, random gradients come down: histograms and mean squares in each layer.

        SignalPropagation()
        SignalPropagation("relu", "kaiming_normal", depth=30, gain=1.0)

    `activation` is a name in ACTIVATIONS, `initialization` one of normal, xavier_normal, xavier_uniform, kaiming_normal,
    kaiming_uniform and pytorch_default; `gain` multiplies its weights, and is σ for "normal". Where no gain is given, it is the
    initialization's own. With a kernel all settings can be read, set and observed; `fig.measured` and `fig.predicted` are the
    mean squares, forward and backward. Raises ValueError for a setting outside its limits.
    """

    activation = Choice(ACTIVATIONS)
    initialization = Choice(STARTS)
    width = _Width().tag(sync=True)
    depth = Whole(2, DEEPEST)
    gain = Hyper(low=GAINS.low, high=GAINS.high)
    seed = Whole(0, 2**32 - 1)

    def __init__(
        self,
        activation: str = "tanh",
        initialization: str = "xavier_normal",
        *,
        depth: int = 10,
        width: int = 64,
        gain: float | None = None,
        seed: int = 0,
    ):
        usual = STARTS[initialization][2] if gain is None and initialization in STARTS else gain
        choices = {"activation": activation, "initialization": initialization, "width": width, "seed": seed}
        super().__init__(depth=depth, gain=1.0 if usual is None else usual, **choices)
        self.spec = {
            "activations": {name: name.replace("_", " ").replace("relu", "ReLU") for name in ACTIVATIONS},
            "initializations": {name: label for name, (label, _, _) in STARTS.items()},
            "gains": {name: gain for name, (_, _, gain) in STARTS.items()},
            "uniform": list(UNIFORM),
            "tangents": [name for name in ACTIVATIONS if AROUND_ZERO[name] is not MEAN_SQUARES[name]],
            "halves": HALVES,
            "widths": list(WIDTHS),
            "examples": EXAMPLES,
            "bins": BINS,
            "controls": [
                own_control("depth", Range(2, DEEPEST), self.depth, "L", "layers", whole=True),
                own_control("gain", GAINS, self.gain, "g", "gain, or σ of N(0, σ²)"),
            ],
            "initial": {name: getattr(self, name) for name in SETTINGS},
        }
        self.code = _javascript()

    @property
    def signals(self) -> signals.Signals:
        """Pre-activations, activations and gradients of every layer, (32, width) each in float64."""
        n, pair = self.width, EXAMPLES * self.width
        draws = uniform_draws(self.seed, 2 * pair + self.depth * n * n)
        x, incoming, u = draws[:pair], draws[pair : 2 * pair], draws[2 * pair :]
        u = u if self.initialization in UNIFORM else _normal(u)
        _, weight, _ = STARTS[self.initialization]
        weights = weight(u.reshape(self.depth, n, n), n, n, self.gain)
        x, incoming = (_normal(part).reshape(EXAMPLES, n) for part in (x, incoming))
        return signals.propagate(weights, x, incoming, self.activation)

    @property
    def measured(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean squares of the pre-activations and of the gradients there, (depth,) each."""
        now = self.signals
        return signals.mean_squares(now.pre), signals.mean_squares(now.gradients)

    @property
    def predicted(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The same as a layer of infinite width has them, (depth,) each."""
        variances = [self.weight_variance] * self.depth
        return signals.predicted(self.activation, [self.width] * (self.depth + 1), variances)

    @property
    def weight_variance(self) -> float:
        """The variance that a weight is drawn with."""
        _, weight, _ = STARTS[self.initialization]
        one = weight(
            torch.tensor(1.0, dtype=torch.float64), self.width, self.width, self.gain
        ).item()  # u = 1 is the bound
        return one**2 / (3 if self.initialization in UNIFORM else 1)

    @property
    def ratios(self) -> tuple[float, float]:
        """The signal's mean square in the last layer over that in the first, and the gradient's in the first over the last."""
        forward, backward = self.measured
        return (forward[-1] / forward[0]).item(), (backward[0] / backward[-1]).item()

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        up, down = self.ratios
        label = STARTS[self.initialization][0]
        return (
            f"{self.depth} layers of {self.width} units, {self.activation}, weights by {label} with a gain of {self.gain:g}. "
            f"From the first layer to the last the signal's mean square changes by a factor of {up:.3g}, "
            f"and back from the last to the first the gradient's by a factor of {down:.3g}."
        )


def _normal(u: torch.Tensor) -> torch.Tensor:
    """Standard normal draws from uniform ones, two from each two neighbors."""
    return torch.stack(initialization.normal_draws(u[0::2], u[1::2]), 1).flatten()


@functools.cache
def _javascript() -> str:
    """What is computed number by number: activations and their slopes, draws, weights, predictions."""
    parts = [javascript.of(initialization.normal_draws, u=(), v=())]
    for name, (function, slope) in ACTIVATIONS.items():
        parts += [javascript.of(function, name, y=()), javascript.of(slope, f"{name}_slope", y=())]
        for by, table in (("", MEAN_SQUARES), ("tangent_", AROUND_ZERO)):
            if by or not _dear(name):  # the others are loops, in the script
                squares = zip(("square", "slope_square"), table[name])
                parts += [javascript.of(f, f"{by}{name}_{kind}", variance=()) for kind, f in squares]
    for name, (_, weight, _) in STARTS.items():
        parts.append(javascript.of(_drawn(weight), name, draw=(), fan_in=(), fan_out=(), gain=()))
    parts.append(javascript.of(formulas.forward_variance, mean_square=(), fan_in=(), weight_variance=()))
    parts.append(
        javascript.of(formulas.backward_variance, variance=(), fan_out=(), weight_variance=(), slope_square=())
    )
    return "\n".join(parts)


def _drawn(weight):
    return lambda draw, fan_in, fan_out, gain: weight(draw, fan_in, fan_out, gain)


def _dear(name: str) -> bool:
    """Whether an activation's mean squares are sums over many nodes."""
    return MEAN_SQUARES[name] is not AROUND_ZERO[name]


def script() -> str:
    """The text of signal_propagation_layers.js: loops for each width, and for the sums over nodes."""
    printed = "PYTHONPATH=. python course_lib/widgets/figures/signal_propagation.py"
    parts = [f"// Printed by `{printed}`; do not edit.\n"]
    for n in WIDTHS:
        parts.append(of_arrays(formulas.forward, f"forward_{n}", x=(n,), W=(n, n)))
        parts.append(of_arrays(formulas.backward, f"backward_{n}", g=(n,), W=(n, n)))
    for name in filter(_dear, MEAN_SQUARES):
        for kind, f in zip(("square", "slope_square"), MEAN_SQUARES[name]):
            parts.append(of_arrays(f, f"{name}_{kind}", variance=()))
    return "\n".join(parts)


if __name__ == "__main__":
    SCRIPT.write_text(script(), "utf8")
