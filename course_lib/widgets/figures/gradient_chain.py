"""GradientChain: what a chain of neurons, one a layer, makes of a gradient on its way down."""

import torch

from course_lib.backends import javascript
from course_lib.formulas.gradient_chain import ACTIVATIONS, NEURONS
from course_lib.formulas.signature import Range
from course_lib.widgets.kit.controls import own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Whole

RANGES = {"weight": Range(0.25, 16.0, "log"), "bias": Range(-8.0, 8.0), "a": Range(-1.0, 1.0)}
SYMBOLS = {"weight": ("w", "weight of each layer"), "bias": ("b", "bias of each layer"), "a": ("a⁰", "input")}
DEEPEST = 40


class GradientChain(Figure):
    """A chain of neurons of one activation, weight and bias, with the gradient that comes back through each layer.

        GradientChain("sigmoid", weight=4.0, bias=-2.0, a=0.5)

    One picture is the derivative of the chain's output in the output of each layer, from the top down, with its bound,
    (w max σ′)ᵏ; the other is the slope σ′(z), with a dot at each layer's z. `activation` ("sigmoid", "tanh" or "ReLU"),
    `weight`, `bias`, the input `a` and `depth` can be moved; with a kernel they can be read, set and observed, and
    `fig.gradients` has the derivatives. Raises ValueError for another activation and a value outside the limits.
    """

    activation = Choice(NEURONS)
    weight = Hyper(low=RANGES["weight"].low, high=RANGES["weight"].high)
    bias = Hyper(low=RANGES["bias"].low, high=RANGES["bias"].high)
    a = Hyper(low=RANGES["a"].low, high=RANGES["a"].high)
    depth = Whole(1, DEEPEST)

    def __init__(
        self, activation: str = "sigmoid", *, weight: float = 1.0, bias: float = 0.0, a: float = 0.5, depth: int = 12
    ):
        values = {"weight": weight, "bias": bias, "a": a}
        super().__init__(activation=activation, depth=depth, **values)
        controls = [own_control(k, RANGES[k], getattr(self, k), *SYMBOLS[k]) for k in values]
        controls.append(own_control("depth", Range(1, DEEPEST), depth, "L", "layers", whole=True))
        self.spec = {
            "controls": controls,
            "initial": {k: getattr(self, k) for k in ("activation", "depth", *values)},
            "neurons": {name: neuron.__name__ for name, neuron in NEURONS.items()},
            "steepest": {name: of.steepest for name, of in ACTIVATIONS.items()},
        }
        self.code = "\n".join(javascript.of(neuron, a=(), weight=(), bias=()) for neuron in NEURONS.values())

    @property
    def factors(self) -> torch.Tensor:
        """w σ′(z) of each layer, from the first on, of shape (depth,) in float64."""
        return torch.stack([factor for _, factor in self._walk()])

    @property
    def gradients(self) -> torch.Tensor:
        """The derivative of the output in that of each layer, from the top down: 1 first, that in the input last."""
        return torch.cat([torch.ones(1, dtype=torch.float64), self.factors.flip(0).cumprod(0)])

    @property
    def bound(self) -> float:
        """What the derivative in the input cannot pass: (w max σ′) to the power of the depth."""
        return (self.weight * ACTIVATIONS[self.activation].steepest) ** self.depth

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        return (
            f"A chain of {self.depth} neurons, {self.activation}, with the weight {self.weight:g} and the bias {self.bias:g}, at the input "
            f"{self.a:g}: the output's derivative in the input is {self.gradients[-1]:.3g}, and at most {self.bound:.3g}."
        )

    def _walk(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """z and the factor of each layer."""
        a, rows = torch.tensor(self.a, dtype=torch.float64), []
        for _ in range(self.depth):
            z, a, factor = NEURONS[self.activation](a, weight=self.weight, bias=self.bias)
            rows.append((z, factor))
        return rows
