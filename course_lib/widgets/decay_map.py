"""DecayMap: how good a network gets for every (learning rate, weight decay), as recorded, for two rules side by side."""

import math

import traitlets

from course_lib.experiments.studies import decay_map
from course_lib.widgets.figure import Figure

PAIRS = {
    "adam": ("Adam", ("adamw", "adam_l2")),
    "momentum": ("momentum", ("sgdw", "momentum_l2")),
    "plain": ("Adam, not normalized", ("plain_adamw", "plain_adam_l2")),
}
LABELS = {"adamw": "AdamW", "adam_l2": "Adam + L2", "sgdw": "SGDW", "momentum_l2": "momentum + L2"}
PREDICTED = {"adamw": -1, "adam_l2": -2, "sgdw": -1, "momentum_l2": -1, "plain_adamw": 0, "plain_adam_l2": 0}
WORST = 1.5  # a loss that is drawn as the darkest


class DecayMap(Figure):
    """Recorded losses of real networks over (weight decay, learning rate), with decoupled decay and with an L2 term.

        DecayMap("adam")

    `pair` says which two maps; `axis` is "decay" or "product" (of rate and decay), `view` "validation", "training" or "norm".
    The ring chooses one setting for both maps; beneath them are its curves. With a kernel all of these and `fig.lr` and
    `fig.decay` can be read, set and observed; `fig.losses` are the two validation losses of the cell nearest to the setting.
    Raises ValueError for a rate or decay that is not above 0, TraitError for an unknown choice.
    """

    pair = traitlets.Enum(list(PAIRS), "adam").tag(sync=True)
    axis = traitlets.Enum(["decay", "product"], "decay").tag(sync=True)
    view = traitlets.Enum(["validation", "training", "norm"], "validation").tag(sync=True)
    lr = traitlets.Float().tag(sync=True)
    decay = traitlets.Float().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)

    def __init__(
        self, pair: str = "adam", *, axis: str = "decay", view: str = "validation", lr: float = 0.01, decay: float = 1.0
    ):
        initial = {"pair": pair, "axis": axis, "view": view, "lr": lr, "decay": decay}
        super().__init__(figure="decay_map", **initial)
        self.spec = {
            "initial": initial,
            "worst": WORST,
            "pairs": {
                key: {"title": title, "maps": [_shown(name) for name in names]} for key, (title, names) in PAIRS.items()
            },
        }

    @traitlets.validate("lr", "decay")
    def _above_zero(self, proposal):
        if not 0 < proposal["value"] < math.inf:
            raise ValueError(
                f"{proposal['trait'].name} must be above 0 and finite, as the map's axes are logarithmic, got {proposal['value']}."
            )
        return proposal["value"]

    @property
    def cell(self) -> tuple[int, int]:
        """The indices (of the rate, of the decay) of the cell nearest to the setting."""
        shown = self.spec["pairs"][self.pair]["maps"][0]
        i = _nearest(shown["rates"], self.lr)
        return i, _nearest(shown["decays"][i], self.decay)

    @property
    def losses(self) -> dict[str, float | None]:
        """The validation loss at the end of training, by rule; None where it diverged."""
        i, j = self.cell
        return {shown["label"]: shown["val"][i][j][-1] for shown in self.spec["pairs"][self.pair]["maps"]}

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        maps, (i, j) = self.spec["pairs"][self.pair]["maps"], self.cell
        valleys = "; ".join(
            f"{shown['label']}: decay ∝ rate to the power {shown['slope']:.2f} ± {shown['spread']:.2f}, theory says {shown['predicted']}"
            for shown in maps
        )
        losses = ", ".join(
            f"{label} {'diverged' if loss is None else f'{loss:.3g}'}" for label, loss in self.losses.items()
        )
        return (
            f"Two maps of the validation loss of real networks over weight decay and learning rate, {PAIRS[self.pair][0]}. The best decay for each rate, "
            f"{valleys}. At learning rate {maps[0]['rates'][i]:.3g} and decay {maps[0]['decays'][i][j]:.3g}: {losses}."
        )


def _nearest(values: list[float], x: float) -> int:
    return min(range(len(values)), key=lambda k: abs(math.log(values[k] / x)))


def _shown(name: str) -> dict:
    """A recorded map as the figure draws it."""
    found = decay_map.read_recorded(name)
    slope, spread = decay_map.slope(found)
    fixed = {key: found[key] for key in ("rates", "decays", "steps", "train", "val", "norm")}
    return fixed | {
        "label": LABELS[found["rule"]],
        "color": f"var(--cf-rule-{found['rule']})",
        "valley": decay_map.valley(found),
        "slope": slope,
        "spread": spread,
        "predicted": PREDICTED[name],
    }
