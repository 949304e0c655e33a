"""LiveTraining: a real network is trained while the sliders move, by the kernel, or without one in the reader's browser."""

import asyncio
import base64
import math
import time
import zlib

import torch
import traitlets

from course_lib.experiments.data import digits
from course_lib.experiments.environment import in_book
from course_lib.experiments.live import (
    BATCHES,
    BELOW_ROOT_3,
    ORTHOGONAL_STEPS,
    SHORTEST,
    SIDE,
    LiveRun,
    Settings,
    layer_shapes,
    takes_uniform,
)
from course_lib.experiments.live_program import javascript_of_training
from course_lib.formulas.catalog import RULES
from course_lib.formulas.initialization import INITIALIZATIONS
from course_lib.formulas.network import ACTIVATIONS
from course_lib.formulas.schedules import SCHEDULES
from course_lib.formulas.signature import Range, signature
from course_lib.widgets.kit.colors import rule_color
from course_lib.widgets.kit.controls import control, is_tiny, label, own_control
from course_lib.widgets.kit.figure import Figure
from course_lib.widgets.kit.traits import Choice, Hyper, Whole

TRAIN, VALIDATION, CLASSES = 1280, 512, 10  # of 1,797 digits; every batch size divides the first
SHOWN = 24  # digits with their predictions
SLICE = 0.05  # seconds of training between two reports: twenty a second
FIRST_STEPS = 300  # after which the text alternative says how good it is
TOTAL, WARM, NOISE = Range(100, 20_000, "log"), Range(0, 1000), Range(0.0, 1.0)
KINDS = {
    "descent": "descent and momentum",
    "adaptive": "a rate for each weight",
    "decay": "with weight decay",
    "beyond": "beyond the lecture",
}  # a heading for each file of rules
SETTINGS = tuple(Settings.__dataclass_fields__)


class LiveTraining(Figure):
    """A network of dense layers learns handwritten digits while you change what trains it.

        LiveTraining()
        LiveTraining("momentum", lr=0.5, batch=64, schedule="cosine", total=3000, hidden=64)

    `rule` is the name of an optimizer, the other keywords are its hyperparameters and the settings of experiments.live.Settings;
    `hidden` is the width of the hidden layer, or a tuple of several. Each setting can be read and set at any time, also while it
    trains: `fig.rule`, `fig.hyper`, `fig.batch`, `fig.schedule`, `fig.total`, `fig.warm`, `fig.shift`, `fig.noise`; those of the
    beginning, `fig.initialization`, `fig.activation`, `fig.seed`, count from the next `fig.reset()` on.

    With a kernel, that one trains, on `device` (a CUDA GPU, if there is one), between the cells that you run: `fig.running = True`
    starts it, `fig.step(100)` trains at once, `fig.report` says how it stands. With `where="page"`, and in the book, the browser
    trains by itself. Raises ValueError or TypeError for what is not allowed.
    """

    rule = Choice(RULES)
    hyper = traitlets.Dict().tag(sync=True)
    batch = traitlets.Int().tag(sync=True)
    schedule = Choice(SCHEDULES)
    total = Whole(SHORTEST, 10**6)
    warm = Whole(0, 10**6)
    shift = Whole(0, SIDE - 1)
    noise = Hyper(low=0.0, high=10.0)
    initialization = Choice(INITIALIZATIONS)
    activation = Choice(ACTIVATIONS)
    seed = Whole(0, 2**32 - 1)
    running = traitlets.Bool().tag(sync=True)
    digits = traitlets.Unicode().tag(sync=True)

    def __init__(self, rule="adam", *, hidden=32, where=None, device=None, **settings):
        if where not in (None, "kernel", "page"):
            raise ValueError(f'where must be "kernel" or "page", got {where!r}.')
        hyper = {k: settings.pop(k) for k in [*settings] if k not in SETTINGS}
        first = Settings(rule=rule, hyper=hyper, **settings)
        self._where = where or ("page" if in_book() else "kernel")
        sizes = (SIDE**2, *((hidden,) if isinstance(hidden, int) else hidden), CLASSES)
        if device is None and self._where == "kernel" and torch.cuda.is_available():
            device = "cuda"
        data = digits(TRAIN, VALIDATION, dtype=torch.float64)
        dtype = torch.float64 if device in (None, "cpu") else torch.float32
        self._run = LiveRun(data, sizes, device=device, dtype=dtype, **vars(first))
        self._lost, self._task, self._speed = None, None, 0.0
        super().__init__(**vars(first))
        self.spec = self._spec(sizes)
        if self._where == "page":
            self.code = _packed(javascript_of_training(sizes, TRAIN, VALIDATION).encode())
        self.digits = _packed(bytes((self._pixels() * 16).round().to(torch.uint8).flatten().tolist()))
        self.on_msg(lambda figure, content, buffers: self._told(content))

    def _pixels(self) -> torch.Tensor:
        """The digits that are shown, or in the page all of them: it trains on them."""
        training, (validation, _) = self._run.x, self._run.validation
        return torch.cat((training, validation)) if self._where == "page" else validation[:SHOWN]

    def _spec(self, sizes: tuple[int, ...]) -> dict:
        labels = [*self._run.y.tolist(), *self._run.validation[1].tolist()]
        return {
            "where": self._where,
            "device": "this page" if self._where == "page" else _device(self._run.device),
            "sizes": sizes,
            "shapes": layer_shapes(sizes),
            "side": SIDE,
            "train": TRAIN,
            "validation": VALIDATION,
            "shown": SHOWN,
            "labels": labels if self._where == "page" else labels[TRAIN : TRAIN + SHOWN],
            "orthogonal": {
                "uniform": [k for k, f in INITIALIZATIONS.items() if takes_uniform(f)],
                "below": BELOW_ROOT_3,
                "steps": ORTHOGONAL_STEPS,
            },
            "rules": {name: _rule(k, name) for k, name in enumerate(RULES)},
            "groups": [
                [title, [k for k, r in RULES.items() if r.__module__.endswith(f".{kind}")]]
                for kind, title in KINDS.items()
            ],
            "schedules": {name: label(name) for name in SCHEDULES},
            "initializations": {name: label(name) for name in INITIALIZATIONS},
            "activations": {name: name for name in ACTIVATIONS},
            "batches": list(BATCHES),
            "controls": [
                own_control("total", TOTAL, self.total, "T", "steps of the schedule", whole=True),
                own_control("warm", WARM, self.warm, "w", "steps of warm-up", whole=True),
                own_control("shift", Range(0, 3), self.shift, "±", "shift, in pixels", whole=True),
                own_control("noise", NOISE, self.noise, "σ", "noise"),
            ],
            "initial": {name: getattr(self, name) for name in SETTINGS},
        }

    @traitlets.validate("hyper")
    def _within_the_rule_s_limits(self, proposal):
        return Settings(rule=self.rule, hyper=proposal["value"]).hyper

    @traitlets.validate("batch")
    def _one_of_the_batches(self, proposal):
        return Settings(batch=proposal["value"]).batch

    @traitlets.observe("rule")
    def _another_rule(self, change):
        if set(self.hyper) != set(signature(RULES[self.rule]).hyper):
            self.hyper = {}

    @traitlets.observe(*SETTINGS)
    def _changed(self, change):
        if self._hyper_fits():
            self._run.change(**{name: getattr(self, name) for name in SETTINGS})

    def _hyper_fits(self) -> bool:
        """Whether rule and hyperparameters belong together: for a moment, after the rule changed, they do not."""
        return set(self.hyper) == set(signature(RULES[self.rule]).hyper)

    @traitlets.observe("running")
    def _started_or_stopped(self, change):
        if self._where == "kernel" and self.running and (self._task is None or self._task.done()):
            try:
                self._task = asyncio.get_running_loop().create_task(self._train())
            except RuntimeError as error:
                self.running = False
                raise RuntimeError(
                    "Only a notebook's kernel can train while you go on. Here call fig.step(100), then read fig.report."
                ) from error

    async def _train(self) -> None:
        """Train in slices, and let the kernel run its cells between any two."""
        while self.running and self._lost is None:
            begin, steps = time.perf_counter(), 0
            while self._lost is None and time.perf_counter() < begin + SLICE:
                self._advance()
                steps += 1
            self._speed = steps / (time.perf_counter() - begin)
            self._tell()
            await asyncio.sleep(0.001)
        self.running = False

    def _advance(self) -> None:
        self._run.step()
        if not math.isfinite(self._run.losses[-1]):
            self._lost = self._run.t

    def step(self, steps: int = 1) -> None:
        """Train for so many steps, at once; a run that has diverged stays where it is."""
        for _ in range(steps):
            if self._lost is None:
                self._advance()
        self._tell()

    def reset(self) -> None:
        """Begin again: new weights, drawn from the seed by the initialization."""
        self._lost = None
        self._run.reset()
        self._tell()

    def _told(self, content: dict) -> None:
        """The buttons of the figure."""
        {"step": self.step, "reset": self.reset, "report": self._tell}[content["do"]]()

    def _tell(self) -> None:
        if self.comm is None:
            return
        report = self.report
        shown = {k: report[k][:SHOWN] for k in ("predictions", "probabilities")}
        self.send({"report": _plain(report | shown) | {"lost": self._lost, "speed": self._speed}})

    @property
    def report(self) -> dict:
        """How the kernel's run stands: t, loss, rate, norms, val_loss, accuracy, predictions, probabilities."""
        return self._run.report()

    def close(self) -> None:
        """Stop the training and close the figure."""
        self.running = False
        super().close()

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        data = digits(TRAIN, VALIDATION, dtype=torch.float64)
        run = LiveRun(data, self._run.sizes, **{name: getattr(self, name) for name in SETTINGS})
        run.step(FIRST_STEPS)
        found = run.report()
        sizes = "-".join(map(str, self._run.sizes))
        return (
            f"A {sizes} network learns {TRAIN:,} handwritten digits with {label(self.rule)}, batches of {self.batch}. It starts at "
            f"your word. After {FIRST_STEPS} steps it names {found['accuracy']:.0%} of {VALIDATION} other digits rightly."
        )


def _rule(k: int, name: str) -> dict:
    own = signature(RULES[name])
    return {
        "label": label(name),
        "color": rule_color(name, k),
        "hyper": own.hyper,
        "states": own.state,
        "controls": [control(own, h, x) for h, x in own.hyper.items() if not is_tiny(own, h)],
    }


def _device(device) -> str:
    """The processor that trains, in words."""
    if device is not None and torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return "the kernel's CPU"


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _plain(report: dict) -> dict:
    """Without NaN and infinities, which JSON lacks."""
    return {k: None if isinstance(x, float) and not math.isfinite(x) else x for k, x in report.items()}
