"""A picture of backpropagation: the graph of a small loss, with each value on its way forward and each gradient on its way back."""

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes

from course_lib.experiments.plots import STYLE

FORWARD, BACKWARD = "#0072b2", "#d55e00"
BOXES = {
    "×": (2.0, 1.0),
    "tanh": (4.0, 1.0),
    "× ": (6.0, 1.0),
    "½(f − y)²": (8.4, 1.0),
}  # the operations and their centers
EDGES = {  # what is carried, from where to where
    "θ₀": ((0.5, 1.8), "×"),
    "x": ((0.5, 0.2), "×"),
    "z": ("×", "tanh"),
    "h": ("tanh", "× "),
    "θ₁": ((6.0, 2.3), "× "),
    "f": ("× ", "½(f − y)²"),
    "y": ((8.4, 2.3), "½(f − y)²"),
    "J": ("½(f − y)²", (10.6, 1.0)),
}
DATA = "x", "y"


def backward_graph(w=(0.5, 1.5), x=2.0, y=2.0) -> tuple[dict[str, float], dict[str, float]]:
    """The values in J = (θ₁ tanh(θ₀x) − y)²/2, by name, and the gradient of J by each of them, as autograd has it.

    `w` holds two numbers, x and y are one example. The model is `unit` of the chapter on the objective.
    """
    names = {"θ₀": w[0], "x": x, "θ₁": w[1], "y": y}
    values = {name: torch.tensor(float(v), dtype=torch.float64, requires_grad=True) for name, v in names.items()}
    values["z"] = values["θ₀"] * values["x"]
    values["h"] = values["z"].tanh()
    values["f"] = values["θ₁"] * values["h"]
    values["J"] = (values["f"] - values["y"]) ** 2 / 2
    gradients = torch.autograd.grad(values["J"], [*values.values()])
    return ({k: v.item() for k, v in values.items()}, {k: g.item() for k, g in zip(values, gradients, strict=True)})


def backward_plot(w=(0.5, 1.5), x=2.0, y=2.0) -> Axes:
    """Draw the graph of `backward_graph` with its values in blue and its gradients in orange; under a box, what it multiplies by."""
    values, gradients = backward_graph(w, x, y)
    plt.style.use(STYLE)
    _, ax = plt.subplots(figsize=(7.2, 2.6))
    ax.set(xlim=(-0.3, 10.9), ylim=(0.0, 2.5))
    ax.axis("off")
    for name, (start, end) in EDGES.items():
        _edge(ax, BOXES.get(start, start), BOXES.get(end, end), name, values[name], gradients[name])
    factors = {
        "×": values["x"],
        "tanh": 1 - values["h"] ** 2,
        "× ": values["θ₁"],
        "½(f − y)²": values["f"] - values["y"],
    }
    spelled = {"×": "x", "tanh": "1 − h²", "× ": "θ₁", "½(f − y)²": "f − y"}
    for name, center in BOXES.items():
        box = {"boxstyle": "round,pad=0.4", "facecolor": "#ffffff", "edgecolor": "#666666"}
        ax.text(*center, name.strip(), ha="center", va="center", bbox=box)
        note = f"times {spelled[name]}\n= {_number(factors[name])}"
        ax.text(center[0], center[1] - 0.42, note, ha="center", va="top", color=BACKWARD, fontsize=9)
    return ax


def _edge(ax: Axes, start: tuple, end: tuple, name: str, value: float, gradient: float) -> None:
    """An arrow with its value and, where it is no datum, its gradient: above and below it, or at its tail."""
    shrink = {"shrinkA": 22 if start in BOXES.values() else 8, "shrinkB": 16 if start[0] == end[0] else 28}
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#666666", "linewidth": 1.0} | shrink)
    if start[1] == end[1]:
        places = [
            ((start[0] + end[0]) / 2 + 0.1 * (name == "J"), start[1] + gap, va)
            for gap, va in ((0.12, "bottom"), (-0.08, "top"))
        ]
        sides = "center", "center"
    else:
        places = [(start[0] + gap, start[1], "bottom") for gap in (-0.1, 0.1)]
        sides = "center" if name == "y" else "right", "left"
    ax.text(*places[0][:2], f"{name} = {_number(value)}", ha=sides[0], va=places[0][2], color=FORWARD, fontsize=9)
    if name not in DATA:
        ax.text(*places[1][:2], _number(gradient), ha=sides[1], va=places[1][2], color=BACKWARD, fontsize=9)


def _number(value: float) -> str:
    """Three significant digits, with a real minus sign."""
    return f"{value:.3g}".replace("-", "−")
