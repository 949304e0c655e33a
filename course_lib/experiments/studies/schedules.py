"""What the chapter on schedules measures: anytime performance, what a warm-up is good for, and whether AdamW needs a schedule."""

import functools
from collections.abc import Callable, Sequence

import torch

from course_lib.experiments.data import Split, digits
from course_lib.experiments.records import experiment
from course_lib.formulas import RULES
from course_lib.formulas.schedules import constant, cosine, multi_step, warm_restarts, warmup
from course_lib.formulas.signature import signature

BATCH, NOISE = 16, 0.5  # examples a step, and the noise that each of them gets, new in every step

_digits = functools.cache(digits)


def train_noisy_digits(
    seed: int, rule: str, rates: torch.Tensor, *, widths: Sequence[int] = (64,), every: int = 50, **hyper
) -> torch.Tensor:
    """The share of errors on clean digits, of shape (records, runs), of tanh networks that are trained on noisy ones.

    Run k has the rate `rates[t, k]` at step t; all runs begin with the same weights and see the same batches. It is measured
    before the first step and after each `every` steps. `rule` works element by element, so that one call updates all runs.
    """  # fmt: skip
    source, data = torch.Generator().manual_seed(seed), _digits(1000, 796)
    runs, update = rates.shape[1], RULES[rule]
    layers = _layers((64, *widths, 10), runs, source)
    state = [[torch.full_like(w, x) for x in signature(update).state.values()] for w in layers]
    errors = []
    for t in range(len(rates) + 1):
        if t % every == 0:
            errors.append(_errors(layers, data))
        if t < len(rates):
            g = _gradients(layers, data, source)
            for k, w in enumerate(layers):
                new, *state[k] = update(w.detach(), g[k], t + 1.0, *state[k], lr=rates[t, :, None, None], **hyper)
                layers[k] = new.requires_grad_()
    return torch.stack(errors)


def _layers(widths: Sequence[int], runs: int, source: torch.Generator) -> list[torch.Tensor]:
    """Weights (runs, in, out) of variance 1 / in, and after each its biases (runs, 1, out)."""
    layers = []
    for n, m in zip(widths, widths[1:]):
        layers += [torch.randn(n, m, generator=source) / n**0.5, torch.zeros(1, m)]
    return [x.expand(runs, *x.shape).clone().requires_grad_() for x in layers]


def _logits(layers: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Of inputs (batch, 64), for each run: (runs, batch, 10)."""
    x = x.expand(len(layers[0]), *x.shape)
    for k in range(0, len(layers), 2):
        x = torch.baddbmm(layers[k + 1], x if k == 0 else x.tanh(), layers[k])
    return x


def _gradients(layers: list[torch.Tensor], data: Split, source: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Of each run's mean cross entropy over a new batch with new noise."""
    chosen = torch.randint(len(data.x_train), (BATCH,), generator=source)
    x = data.x_train[chosen] + NOISE * torch.randn(BATCH, 64, generator=source)
    log_p = _logits(layers, x).log_softmax(-1)
    return torch.autograd.grad(-log_p[:, range(BATCH), data.y_train[chosen]].mean(1).sum(), layers)


@torch.no_grad()
def _errors(layers: list[torch.Tensor], data: Split) -> torch.Tensor:
    return (_logits(layers, data.x_val).argmax(-1) != data.y_val).double().mean(1)


def factors(schedules: Sequence[Callable], steps: int) -> torch.Tensor:
    """What each schedule makes of a rate of 1: (steps, schedules)."""
    return torch.stack([schedule(torch.arange(steps), lr=1.0) for schedule in schedules], 1)


def anytime_schedules(total: int, T_0: float, tenth: float = 0.1) -> dict[str, Callable]:
    """The schedules that are compared, by name: WRN's three drops at 30, 60 and 80%, a cosine, and restarts.

    The last two are cosines that end where the third and the fourth of the growing cycles do.
    """
    at = {"first": 0.3 * total, "second": 0.6 * total, "third": 0.8 * total}
    return {
        "constant": constant,
        "tenth": lambda t, lr: constant(t, lr=tenth * lr),
        "step": lambda t, lr: multi_step(t, lr=lr, gamma=0.2, **at),
        "cosine": lambda t, lr: cosine(t, lr=lr, total=total),
        "restarts": lambda t, lr: warm_restarts(t, lr=lr, T_0=T_0, T_mult=2),
        "cosine_350": lambda t, lr: cosine(t, lr=lr, total=7 * T_0),
        "cosine_750": lambda t, lr: cosine(t, lr=lr, total=15 * T_0),
    }


@experiment(seeds=8, share={"steps": 250})
def schedules_anytime(seed, *, lr=0.1, momentum=0.9, total=1550, T_0=50, steps=1550, every=25):
    """Errors during training by SGD with momentum: constant rates, three drops, a cosine, and restarts whose cycles double."""
    schedules = anytime_schedules(total, T_0)
    rates = lr * factors(list(schedules.values()), total)[:steps].float()
    errors = train_noisy_digits(seed, "sgd", rates, every=every, momentum=momentum)
    return dict(zip(schedules, errors.T))


@experiment(seeds=6, share={"steps": 100})
def schedules_warmup(
    seed, *, rates=(0.001, 0.003, 0.01, 0.02, 0.03), warmups=(0, 60, 180), layers=6, total=600, steps=600, every=100
):
    """Errors of a deep network by Adam with a cosine after so many steps of warm-up: (records, warm-ups, rates)."""
    made = [functools.partial(warmup(cosine, n), total=total - n) for n in warmups]
    grid = factors(made, total)[:, :, None] * torch.tensor(rates)
    errors = train_noisy_digits(seed, "adam", grid.flatten(1)[:steps].float(), widths=(64,) * layers, every=every)
    return {"error": errors.unflatten(1, (len(warmups), len(rates)))}


@experiment(seeds=6, share={"steps": 150})
def schedules_adamw(seed, *, rates=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), total=600, steps=600, every=150):
    """Errors by AdamW at a constant rate and with a cosine: each of the shape (records, rates)."""
    made = {"constant": constant, "cosine": lambda t, lr: cosine(t, lr=lr, total=total)}
    grid = factors(list(made.values()), total)[:, :, None] * torch.tensor(rates)
    errors = train_noisy_digits(seed, "adamw", grid.flatten(1)[:steps].float(), every=every)
    return dict(zip(made, errors.unflatten(1, (len(made), len(rates))).movedim(1, 0)))


def expected_loss(rates: torch.Tensor, *, start: float = 10.0, noise: float = 1.0) -> torch.Tensor:
    """The mean of w²/2 before each step and after the last, of noisy descent on w²/2: w ← w - rate (w + noise z), z normal.

    Exact: the mean of w shrinks by 1 - rate, its variance v becomes (1 - rate)² v + rate² noise². Shape (steps + 1,).
    """
    mean, variance, losses = start, 0.0, [start**2 / 2]
    for rate in rates.tolist():
        mean, variance = (1 - rate) * mean, (1 - rate) ** 2 * variance + (rate * noise) ** 2
        losses.append((mean**2 + variance) / 2)
    return torch.tensor(losses, dtype=torch.float64)


def resumed_rates(make: Callable, steps: int = 10) -> tuple[float, float]:
    """The rate after so many steps with a scheduler, and that of a run that is resumed there.

    The resumed one loads the optimizer, makes its scheduler by `make(optimizer)`, and loads that.
    """
    optimizer, again = (torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1) for _ in range(2))
    scheduler = make(optimizer)
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
    again.load_state_dict(optimizer.state_dict())
    make(again).load_state_dict(scheduler.state_dict())
    return tuple(o.param_groups[0]["lr"] for o in (optimizer, again))
