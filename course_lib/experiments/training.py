"""Train any network: one plain loop, seeded, with a history, checkpoints, and a reason where it has to stop."""

from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import get_total_norm
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau
from tqdm.auto import tqdm

from course_lib.experiments.batches import Batches
from course_lib.experiments.checkpoint import Checkpoint
from course_lib.experiments.data import Split
from course_lib.experiments.environment import in_book
from course_lib.experiments.history import History, Seen, gradient_norms, measure
from course_lib.experiments.not_finite import likely_cause, norm_of_weights
from course_lib.experiments.schedule import ScheduleLR, as_scheduler
from course_lib.experiments.settings import number, whole_number
from course_lib.formulas.gradients import clip_by_global_norm
from course_lib.formulas.signature import signature

REMEMBERED = 20  # steps, to tell why one went wrong


def train(
    network: nn.Module,
    data: Split,
    optimizer: torch.optim.Optimizer,
    schedule: Callable | LRScheduler | None = None,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    batch: int = 128,
    seed: int = 0,
    augment: Callable | None = None,
    clip: float | None = None,
    loss: Callable = cross_entropy,
    mixed_precision: bool | torch.dtype = False,
    checkpoint: str | Path | None = None,
    every: int | None = None,
    progress: bool = True,
) -> History:
    """Train a classifier on mini-batches, for so many steps or epochs, on the device where its parameters are.

        history = train(network, digits(), Optimizer(network.parameters(), adam), partial(cosine, total=500), steps=500)

    `network` makes logits (B, classes) of examples (B, …). `optimizer` is any of torch's, or Optimizer. `schedule` is one of
    formulas.schedules, whose `lr` is that of each parameter group, a function of t alone, which is a factor, or a scheduler of
    PyTorch; t counts steps, not epochs. `augment(x, generator)` changes the examples of each batch, `clip` is the largest norm of
    all gradients together, and `loss(logits, classes)` the mean over a batch. `mixed_precision` may be torch.bfloat16 or
    torch.float16, whose loss is scaled; True takes the first where the hardware has it.

    Each epoch sees the examples in a new order, one torch.randperm; its last batch may be smaller. Order, augmentation and dropout
    follow from `seed`; the network begins as it is. After every `every` steps, an epoch if it is None, and after the last, the
    history gets an entry, and `checkpoint` is written, if there is one: a file, from which the same call goes on, bit for bit
    (on a GPU as far as its functions are deterministic). Interrupted, a training loses the steps since then alone.

    Raises FloatingPointError where loss or gradient is no number any more, with the step and the likely cause; ValueError for
    settings outside their limits, for a checkpoint of another training, and for a file that is none.
    """
    device = next(network.parameters()).device
    data, batch = data.to(device), whole_number("batch", batch, 1, len(data.x_train))
    an_epoch = -(-len(data.x_train) // batch)  # steps, rounded up
    steps, every = _length(steps, epochs, an_epoch), whole_number("every", an_epoch if every is None else every, 1)
    if clip is not None and not number("clip", clip) > 0:
        raise ValueError(f"clip must be the largest norm, above 0, or None for any, got {clip!r}.")
    loop = _Loop(network, data, optimizer, _scheduler(schedule, optimizer), loss, _half(mixed_precision, device), clip)
    loop.begin(batch, seed, augment)
    history, seen = History(), Seen(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):  # dropout draws from the global generators
        torch.manual_seed(seed)
        saved = None if checkpoint is None else loop.checkpoint(checkpoint, history, batch, seed)
        network.train()
        with tqdm(total=steps, initial=loop.t, unit="step", leave=False, disable=not progress or in_book()) as bar:
            while loop.t < steps:
                x, y = loop.batch()
                z, J = loop.forward(x, y)
                value = loop.backward(x, y, J)
                due = loop.t % every == 0 or loop.t == steps
                rate, norms = loop.rate(), gradient_norms(network) if due else {}
                loop.step()

                seen.add(value, z, y)
                bar.update()
                if due:
                    history.add(loop.t, seen.means(), loop.validate(), rate, norms)
                    bar.set_postfix(loss=f"{history.train_loss[-1]:.3g}", val=f"{history.val_accuracy[-1]:.1%}")
                    if saved is not None:
                        saved.save()
    return history


class _Loop:
    """The steps of a training."""

    def __init__(self, network, data, optimizer, scheduler, loss, half, clip):
        self.network, self.data, self.optimizer, self.scheduler = network, data, optimizer, scheduler
        self.loss, self.half, self.clip = loss, half, clip
        self.device = data.x_train.device
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half == torch.float16)
        self.recent, self.norm_at_start, self.saved = deque(maxlen=REMEMBERED), norm_of_weights(network), None

    def begin(self, batch: int, seed: int, augment: Callable | None) -> None:
        """Its seed for augmentation is drawn, so that this does not repeat the numbers of the batches."""
        self.batches, self.augment = Batches(len(self.data.x_train), batch, seed), augment
        drawn = torch.randint(2**31, (), generator=torch.Generator().manual_seed(seed))
        self.draws = torch.Generator(self.device).manual_seed(int(drawn))

    def checkpoint(self, path: str | Path, history: History, batch: int, seed: int) -> Checkpoint:
        settings = {"seed": seed, "batch": batch, "examples": len(self.data.x_train), "clip": self.clip}
        settings |= {"mixed_precision": str(self.half), "schedule": _described(self.scheduler)}
        parts = {"network": self.network, "scheduler": self.scheduler, "optimizer": self.optimizer}
        self.saved = Checkpoint(
            path, parts | {"scaler": self.scaler, "batches": self.batches}, self.draws, history, settings
        )
        self.saved.load()
        return self.saved

    @property
    def t(self) -> int:
        return self.batches.taken

    def rate(self) -> float:
        return number("lr", self.optimizer.param_groups[0]["lr"])

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        self.chosen = self.batches.next().to(self.device)
        x, y = self.data.x_train[self.chosen], self.data.y_train[self.chosen]
        return (x if self.augment is None else self.augment(x, self.draws)), y

    def _cast(self):
        return nullcontext() if self.half is None else torch.autocast(self.device.type, self.half)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with self._cast():
            z = self.network(x)
            return z, self.loss(z, y)

    def backward(self, x: torch.Tensor, y: torch.Tensor, J: torch.Tensor) -> float:
        self.optimizer.zero_grad()
        self.scaler.scale(J).backward()
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self._parameters()]
        if not gradients:
            raise ValueError(
                "None of the optimizer's parameters has a gradient: it must have those of this very network."
            )
        value, norm = torch.stack([J.detach(), get_total_norm(gradients)]).tolist()
        if self._no_way_on(value, norm):
            raise FloatingPointError(self._why(x, y, value, norm))
        self.recent.append((self.t, value, norm))
        return value

    def step(self) -> None:
        if self.clip is not None:  # all parameter groups by one norm
            parameters = self._parameters()
            for p, g in zip(parameters, clip_by_global_norm([p.grad for p in parameters], self.clip)):
                p.grad = g
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scheduler is not None and self.scaler.get_scale() >= scale:  # where it sank no step was taken
            self.scheduler.step()

    def validate(self) -> tuple[float, float]:
        with self._cast():
            return measure(self.network, self.data.x_val, self.data.y_val, self.loss)

    def _parameters(self) -> list[torch.Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]

    def _no_way_on(self, value: float, norm: float) -> bool:
        """A scaled gradient may overflow: then the scale sinks, until it scales no more."""
        finite = lambda x: abs(x) < float("inf")  # False for NaN
        return not finite(value) or not finite(norm) and (not self.scaler.is_enabled() or self.scaler.get_scale() < 1)

    def _why(self, x: torch.Tensor, y: torch.Tensor, value: float, norm: float) -> str:
        before = self.data.x_train[self.chosen]
        cause = likely_cause(
            self.network, self.loss, x, y, before=before, chosen=self.chosen, half=self.half,
            norm_at_start=self.norm_at_start, recent=self.recent, rate=self.rate(),
        )  # fmt: skip
        what = f"the loss is {value:g} and the gradient's norm {norm:g}"
        kept = self.saved is not None and self.saved.path.exists()
        from_before = f" A checkpoint from before is in {self.saved.path}." if kept else ""
        return f"Training stopped in step {self.t}: {what}. Likely cause: {cause}{from_before}"


def _length(steps: int | None, epochs: int | None, an_epoch: int) -> int:
    if (steps is None) == (epochs is None):
        raise ValueError(f"Say how long to train by steps or by epochs, one of the two, got {steps=} and {epochs=}.")
    return whole_number("steps", steps, 1) if epochs is None else whole_number("epochs", epochs, 1) * an_epoch


def _half(mixed_precision: bool | torch.dtype, device: torch.device) -> torch.dtype | None:
    if mixed_precision not in (False, True, torch.bfloat16, torch.float16):
        raise ValueError(
            f"mixed_precision must be True, False, torch.bfloat16 or torch.float16, got {mixed_precision!r}."
        )
    if isinstance(mixed_precision, torch.dtype):
        return mixed_precision
    emulated = device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)  # as on Colab's T4
    return (torch.float16 if emulated else torch.bfloat16) if mixed_precision else None


def _scheduler(schedule, optimizer: torch.optim.Optimizer) -> LRScheduler | None:
    if isinstance(schedule, ReduceLROnPlateau):
        raise TypeError("ReduceLROnPlateau waits for a loss, and train's schedules are functions of the step alone.")
    if schedule is None or isinstance(schedule, LRScheduler):
        return schedule
    if not callable(schedule):
        raise TypeError(f"schedule must be a function of t or a scheduler of PyTorch, got {type(schedule).__name__}.")
    if isinstance(schedule, partial) and not schedule.args:  # its settings are checked, as if they were handed over
        schedule, given = schedule.func, schedule.keywords
    else:
        given = {}
    if "lr" in signature(schedule, inputs=("t",)).hyper:
        return as_scheduler(schedule, optimizer, **given)
    return LambdaLR(optimizer, partial(schedule, **given))


def _described(scheduler: LRScheduler | None) -> str:
    if not isinstance(scheduler, ScheduleLR):
        return "none" if scheduler is None else type(scheduler).__name__
    own = signature(scheduler.schedule, inputs=("t",))
    hyper = own.hyper | scheduler.hyper
    return f"{own.name}({', '.join(f'{name}={x:g}' for name, x in hyper.items() if name != 'lr')})"
