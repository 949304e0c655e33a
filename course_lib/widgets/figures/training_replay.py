"""TrainingReplay: recorded trainings of a network with convolutions, which is too large for a page to train."""

import traitlets

from course_lib.experiments.records import recorded
from course_lib.experiments.studies.live_training import RUNS
from course_lib.widgets.kit.colors import rule_color
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Whole

RECORD = "convolutions_on_digits"
LAYERS = "first convolution", "second convolution", "linear layer"
SEEDS = 3


class TrainingReplay(Figure):
    """Real trainings of two convolutions and a linear layer on digits, step by step: `TrainingReplay("Adam", seed=1)`.

    Nothing is computed: the record convolutions_on_digits holds what was measured, for each run and seed. `make results` measures
    it again. With a kernel, `fig.run`, `fig.seed` and `fig.step` can be read and set. Raises ValueError for what was not recorded.
    """

    run = Choice(RUNS)
    seed = Whole(0, SEEDS - 1)
    step = Whole(0, "steps")
    steps = traitlets.Int()

    def __init__(self, run: str = "Adam", *, seed: int = 0):
        record = recorded(RECORD)
        self.steps = record.settings["steps"]
        super().__init__(run=run, seed=seed, step=self.steps)
        made = record.made
        self.spec = {
            "runs": {name: _reports(record, k) for k, name in enumerate(record.settings["runs"])},
            "colors": {name: rule_color(RUNS[name][0], k) for k, name in enumerate(RUNS)},
            "every": record.settings["every"],
            "steps": self.steps,
            "layers": LAYERS,
            "said": f"recorded on {made['date']}, PyTorch {made['torch']}; nothing is computed here",
            "initial": {"run": self.run, "seed": self.seed, "step": self.step},
        }

    @property
    def report(self) -> dict:
        """What was measured at the last record before or at the step shown: t, loss, val_loss, accuracy, rate, norms."""
        reports = self.spec["runs"][self.run][self.seed]
        return reports[max(0, self.step // self.spec["every"] - 1)]

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        ends = [reports[-1]["accuracy"] for reports in self.spec["runs"][self.run]]
        return (
            f"Recorded trainings of a network with two convolutions on digits: {self.run}. After {self.steps} steps "
            f"{min(ends):.0%} to {max(ends):.0%} of the new digits are named rightly, over {len(ends)} seeds."
        )


def _reports(record, k: int) -> list[list[dict]]:
    """For each seed the reports of a run, one for each recorded step."""
    names = "loss", "val_loss", "accuracy", "rate"
    every, (seeds, _, points) = record.settings["every"], record["loss"].shape
    return [
        [
            {"t": every * (i + 1)}
            | {name: record[name][s, k, i].item() for name in names}
            | {"norms": dict(zip(LAYERS, record["norms"][s, k, i].tolist(), strict=True))}
            for i in range(points)
        ]
        for s in range(seeds)
    ]
