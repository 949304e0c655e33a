"""LocalModel: the quadratic model of a loss at one point, Newton's jump to where it is flat, and gradient descent's step."""

import functools
import math
from collections.abc import Callable

import torch
import traitlets

from course_lib.backends import javascript
from course_lib.formulas.local_model import judge
from course_lib.formulas.rules.descent import gradient_descent
from course_lib.formulas.second_order import hessian, newton, quadratic_model
from course_lib.formulas.signature import Range, signature
from course_lib.widgets.figures.local_model_examples import EXAMPLES, Example
from course_lib.widgets.kit.controls import control, identifier, label
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Point, Points

DIRECTIONS = {"newton": "Newton's step", "gradient": "the gradient step"}
RATES = Range(0.0, 2.0)  # of Newton's step, whose natural rate is 1
SETTINGS = Range(0.0, 1.0, at_least=0.0, below=1e6)
LONGEST_TRAIL = 200


class LocalModel(Figure):
    """The contours of a loss, over them the quadratic model at the point θ, and two steps: Newton's and the gradient's.

        LocalModel("himmelblau", w=(3.3, 2.2))
        LocalModel(lambda w: quadratic(w, condition_number=100), damping=1)

    Buttons choose among quadratic, saddle, himmelblau and rosenbrock; a function of your own of w, shape (2,), stands alone. θ is
    dragged or moved by the two steps. Beside it the loss and the model along the step, `direction` "newton" or "gradient".
    With a kernel `surface`, `w`, `trail`, `damping`, `lr`, `gradient_lr` and `direction` can be read, set and observed.
    `loss`, `gradient`, `hessian`, `curvatures`, `kind`, `stationary`, `newton_step`, `gradient_step`, and of the chosen direction
    `promised`, `reached` and `ratio` are what the figure shows; `take` and `back` do what its buttons do.
    Raises TypeError for an unknown surface or a function that is no loss, ValueError for a setting outside its limits.
    """

    surface = Choice("_examples")
    w = Point()
    trail = Points(LONGEST_TRAIL)
    damping = Hyper(SETTINGS)
    lr = Hyper(SETTINGS)
    gradient_lr = Hyper(SETTINGS)
    direction = Choice(DIRECTIONS)
    _judged = None  # what was computed last, and for which state

    def __init__(
        self,
        surface: str | Callable = "rosenbrock",
        *,
        w=None,
        damping: float = 0.0,
        lr: float = 1.0,
        gradient_lr: float | None = None,
        direction: str = "newton",
    ):
        self._examples = {identifier(surface): Example.of(_loss(surface))} if callable(surface) else EXAMPLES
        name = identifier(surface) if callable(surface) else surface
        if name not in self._examples:
            raise TypeError(f"Unknown surface {surface!r}. There are {', '.join(EXAMPLES)}, or give a function of w.")
        own = self._examples[name]
        settings = {
            "damping": damping,
            "lr": lr,
            "gradient_lr": own.gradient_lr if gradient_lr is None else gradient_lr,
        }
        state = {"surface": name, "w": own.w if w is None else w, "trail": [], "direction": direction} | settings
        super().__init__(**state)
        self.spec = {
            "surfaces": [
                {
                    "name": key,
                    "label": label(key),
                    "domain": one.domain,
                    "w": list(one.w),
                    "gradient_lr": one.gradient_lr,
                    "minima": one.minima,
                }
                for key, one in self._examples.items()
            ],
            "fields": [[key, x.numel()] for key, x in self._now.items()],
            "controls": [_control(key, getattr(self, key)) for key in settings],
            "directions": DIRECTIONS,
            "initial": {key: getattr(self, key) for key in state},
        }
        self.code = _course_javascript() if self._examples is EXAMPLES else _javascript(name, own.formula)

    @property
    def _formula(self) -> Callable:
        return self._examples[self.surface].formula

    @property
    def _now(self) -> dict[str, torch.Tensor]:
        settings = {name: getattr(self, name) for name in ("damping", "lr", "gradient_lr")}
        key = (self.surface, *self.w, *settings.values())
        if self._judged is None or self._judged[0] != key:
            self._judged = (
                key,
                judge(self._formula, _double(self.w), **{name: _double(x) for name, x in settings.items()}),
            )
        return self._judged[1]

    @property
    def loss(self) -> float:
        """J(θ)."""
        return self._now["loss"].item()

    @property
    def gradient(self) -> torch.Tensor:
        """∇J(θ), of shape (2,)."""
        return self._now["gradient"]

    @property
    def hessian(self) -> torch.Tensor:
        """The second derivatives of J at θ, of shape (2, 2)."""
        return hessian(self._formula, _double(self.w))

    @property
    def curvatures(self) -> tuple[float, float]:
        """The eigenvalues of H, the smaller one first."""
        return tuple(self._now["curvatures"].tolist())

    @property
    def damped_curvatures(self) -> tuple[float, float]:
        """The eigenvalues of H + μI, the smaller one first."""
        return tuple(self._now["damped_curvatures"].tolist())

    @property
    def kind(self) -> str:
        """What the model's stationary point is: "minimum", "saddle" or "maximum"; "singular" if it has none or many."""
        return kind(self.curvatures)

    @property
    def damped_kind(self) -> str:
        """The same for the model with damping, h + μ/2 ‖Δθ‖², to whose stationary point Newton's step leads."""
        return kind(self.damped_curvatures)

    @property
    def stationary(self) -> torch.Tensor | None:
        """Where the model is flat, of shape (2,); None if H is singular."""
        return None if self.kind == "singular" else self._now["stationary"]

    @property
    def newton_step(self) -> torch.Tensor | None:
        """-η (H + μI)⁻¹ g, of shape (2,); None if H + μI is singular."""
        return None if self.damped_kind == "singular" else self._now["newton_end"] - _double(self.w)

    @property
    def gradient_step(self) -> torch.Tensor:
        """-η g, of shape (2,)."""
        return self._now["gradient_end"] - _double(self.w)

    @property
    def promised(self) -> float:
        """The model's loss at the end of the step."""
        return self._of_the_step("promised")

    @property
    def reached(self) -> float:
        """The loss at the end of the step."""
        return self._of_the_step("reached")

    @property
    def ratio(self) -> float:
        """The reduction of the loss by the step, over the one that the model promises; NaN if it promises none to speak of."""
        return self._of_the_step("ratio")

    def _of_the_step(self, name: str) -> float:
        """NaN where there is no step."""
        exists = self.direction == "gradient" or self.newton_step is not None
        return self._now[f"{self.direction}_{name}"].item() if exists else math.nan

    def take(self, direction: str | None = None) -> None:
        """Move θ to the end of the step, `direction` or the chosen one.

        Raises ValueError if there is no such step, or none that ends in numbers.
        """
        direction = direction or self.direction
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be {' or '.join(map(repr, DIRECTIONS))}, got {direction!r}.")
        if direction == "newton" and self.newton_step is None:
            raise ValueError(
                f"H + μI is singular at w = {self.w}, so Newton's step does not exist. Change damping, or move w."
            )
        end = self._now[f"{direction}_end"].tolist()
        self.trail, self.w = [*self.trail, self.w], end

    def back(self) -> None:
        """Undo the last step; nothing where none was taken."""
        if self.trail:
            *self.trail, self.w = self.trail

    @traitlets.observe("surface")
    def _a_walk_stays_on_its_surface(self, change):
        self.trail = []

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        low, high = self.curvatures
        flat = "no single stationary point" if self.stationary is None else f"a {self.kind} at {_pair(self.stationary)}"
        damped = (
            f" Damping {self.damping:g} makes the curvatures {' and '.join(f'{x:.3g}' for x in self.damped_curvatures)}."
            if self.damping
            else ""
        )
        return (
            f"Contours of the loss {label(self.surface)} and of its quadratic model at {_pair(self.w)}, where the loss is {self.loss:.3g}. "
            f"The model has the curvatures {low:.3g} and {high:.3g} and {flat}.{damped} {self._in_words('newton')} {self._in_words('gradient')}"
        )

    def _in_words(self, direction: str) -> str:
        if direction == "newton" and self.newton_step is None:
            return "H + μI is singular, so Newton's step does not exist."
        end, promised, reached, ratio = (
            self._now[f"{direction}_{name}"] for name in ("end", "promised", "reached", "ratio")
        )
        shown = "" if ratio.isnan() else f", {ratio:.3g} of the promised change"
        step = DIRECTIONS[direction].capitalize() if direction == "gradient" else DIRECTIONS[direction]
        return (
            f"{step} ends at {_pair(end)}: the model promises {promised:.3g}, the loss there is {reached:.3g}{shown}."
        )


def kind(curvatures: tuple[float, float]) -> str:
    """What a quadratic with these curvatures has: "minimum", "saddle", "maximum", or "singular" where one of them is 0."""
    low, high = curvatures
    if low == 0 or high == 0:
        return "singular"
    return "minimum" if low > 0 else "maximum" if high < 0 else "saddle"


@functools.cache
def _course_javascript() -> str:
    return "\n".join(_javascript(key, one.formula) for key, one in EXAMPLES.items())


def _javascript(name: str, f: Callable) -> str:
    """The loss, the model, both along a line, and everything that is shown about a point."""

    def along(w, d, s):
        return f(w + s * d), quadratic_model(f, w, s * d)

    def at(w, damping, lr, gradient_lr):
        return tuple(judge(f, w, damping=damping, lr=lr, gradient_lr=gradient_lr).values())

    parts = (
        javascript.of(f, f"{name}_loss", w=(2,)),
        javascript.of(lambda w, delta: quadratic_model(f, w, delta), f"{name}_model", w=(2,), delta=(2,)),
        javascript.of(along, f"{name}_along", w=(2,), d=(2,), s=()),
        javascript.of(at, f"{name}_at", w=(2,), damping=(), lr=(), gradient_lr=()),
    )
    return "\n".join(parts)


def _control(name: str, value: float) -> dict:
    """Sliders for η from 0 to 2, for μ and the gradient's η on a log scale; μ has 0 at its left end."""
    rates = signature(gradient_descent) if name == "gradient_lr" else signature(newton)
    row = control(rates, name.removeprefix("gradient_"), value or 1e-3)
    names = {"damping": "damping", "lr": "rate, Newton's step", "gradient_lr": "rate, gradient step"}
    row |= {"name": name, "label": names[name], "initial": value}
    if name == "lr":
        row["range"] |= {"low": RATES.low, "high": max(RATES.high, value), "scale": RATES.scale}
    return row


def _loss(surface: Callable) -> Callable:
    result = surface(torch.ones(2, dtype=torch.float64))
    if not isinstance(result, torch.Tensor) or result.shape != ():
        got = (
            f"the shape {tuple(result.shape)}"
            if isinstance(result, torch.Tensor)
            else f"the type {type(result).__name__}"
        )
        raise TypeError(
            f"{identifier(surface)} returned a result of {got} for w of shape (2,). A loss is a scalar tensor, of shape ()."
        )
    return surface


def _double(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _pair(point) -> str:
    return "({:.3g}, {:.3g})".format(*map(float, point))
