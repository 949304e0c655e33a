"""Schedules: PyTorch's, step by step; whole at every restart; the same in numbers, tensors and JavaScript; sentences outside their limits."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from course_lib.backends import javascript
from course_lib.formulas.schedules import SCHEDULES, cosine, one_cycle, step, warm_restarts, warmup
from course_lib.formulas.signature import signature

# Each with PyTorch's scheduler and settings at which the two are compared, over 400 steps or as many as PyTorch's allows.
TWINS = {
    "constant": (lambda o, lr: ConstantLR(o, factor=1), [{"lr": 0.1}]),
    "time_based": (
        lambda o, lr, decay: LambdaLR(o, lambda t: 1 / (1 + decay * t)),
        [{"lr": 0.1, "decay": 0.05}, {"lr": 3.0, "decay": 1.0}],
    ),
    "step": (
        lambda o, lr, gamma, every: StepLR(o, every, gamma),
        [{"lr": 0.1, "gamma": 0.1, "every": 30}, {"lr": 1.0, "gamma": 0.5, "every": 7}, {"lr": 1.0, "gamma": 0.9, "every": 1}],
    ),
    "multi_step": (
        lambda o, lr, gamma, first, second, third: MultiStepLR(o, [first, second, third], gamma),
        [
            {"lr": 0.1, "gamma": 0.2, "first": 60, "second": 120, "third": 160},
            {"lr": 1.0, "gamma": 0.1, "first": 5, "second": 5, "third": 399},
        ],
    ),
    "exponential": (
        lambda o, lr, k: ExponentialLR(o, math.exp(-k)),
        [{"lr": 0.1, "k": 0.1}, {"lr": 0.3, "k": 0.003}],
    ),
    "linear": (
        lambda o, lr, total, floor: LinearLR(o, 1, floor / lr, total),
        [{"lr": 0.1, "total": 200, "floor": 0.0}, {"lr": 0.3, "total": 33, "floor": 0.01}],
    ),
    "cosine": (
        lambda o, lr, total, floor: CosineAnnealingLR(o, total, floor),
        [{"lr": 0.1, "total": 400, "floor": 0.0}, {"lr": 0.3, "total": 433, "floor": 0.01}],
    ),
    "warm_restarts": (
        lambda o, lr, T_0, T_mult, floor: CosineAnnealingWarmRestarts(o, T_0, T_mult, floor),
        [
            {"lr": 0.1, "T_0": 10, "T_mult": 2, "floor": 0.0},
            {"lr": 0.1, "T_0": 50, "T_mult": 1, "floor": 0.0},
            {"lr": 0.3, "T_0": 1, "T_mult": 2, "floor": 0.01},
            {"lr": 0.3, "T_0": 1, "T_mult": 3, "floor": 0.0},
        ],
    ),
    "polynomial": (
        lambda o, lr, total, power: PolynomialLR(o, total, power),
        [{"lr": 0.1, "total": 200, "power": 0.9}, {"lr": 1.0, "total": 77, "power": 2.0}],
    ),
    "one_cycle": (
        lambda o, lr, total, pct_start, div_factor, final_div_factor: OneCycleLR(
            o, lr, total, pct_start=pct_start, div_factor=div_factor, final_div_factor=final_div_factor
        ),
        [
            {"lr": 0.1, "total": 401, "pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4},
            {"lr": 1.0, "total": 500, "pct_start": 0.77, "div_factor": 10.0, "final_div_factor": 3.0},
        ],
    ),
    "inverse_square_root": (
        lambda o, lr, timescale: LambdaLR(o, lambda t: (1 + t / timescale) ** -0.5),
        [{"lr": 0.1, "timescale": 50}, {"lr": 1.0, "timescale": 4000}],
    ),
}  # fmt: skip
CASES = [pytest.param(name, hyper, id=f"{name}-{k}") for name, (_, all_) in TWINS.items() for k, hyper in enumerate(all_)]  # fmt: skip
STEPS = 400


def optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)


def rates_of(scheduler, steps: int = STEPS) -> torch.Tensor:
    """The rate at t = 0 … steps, as PyTorch's optimizer gets it."""
    rates = []
    for _ in range(steps + 1):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        if len(rates) <= steps:  # OneCycleLR refuses to go further
            scheduler.step()
    return torch.tensor(rates, dtype=torch.float64)


def test_every_schedule_has_a_twin():
    assert list(TWINS) == list(SCHEDULES)


@pytest.mark.parametrize("name, hyper", CASES)
def test_it_equals_pytorch_at_every_step(name, hyper):
    """To 1e-12 of the first rate: PyTorch multiplies from step to step, and its rounding adds up."""
    right = rates_of(TWINS[name][0](optimizer(hyper["lr"]), **hyper))
    got = torch.tensor([SCHEDULES[name](t, **hyper) for t in range(STEPS + 1)], dtype=torch.float64)
    torch.testing.assert_close(got, right, rtol=0, atol=1e-12 * hyper["lr"])


@pytest.mark.parametrize("name, hyper", CASES)
@pytest.mark.parametrize("steps, start", [(5, 0.01), (40, 0.5)])
def test_after_a_warmup_it_equals_pytorchs_sequence(name, hyper, steps, start):
    o = optimizer(hyper["lr"])
    parts = LinearLR(o, start, total_iters=steps), TWINS[name][0](o, **hyper)
    right = rates_of(SequentialLR(o, parts, [steps]))
    got = warmup(SCHEDULES[name], steps, start)(torch.arange(STEPS + 1), **hyper)
    torch.testing.assert_close(got, right, rtol=0, atol=1e-12 * hyper["lr"])


# Restarts


def restarts(T_0: int, T_mult: int, last: int = 10**5) -> list[int]:
    """The steps at which a cycle begins, in whole numbers."""
    starts, length = [0], T_0
    while starts[-1] + length <= last:
        starts.append(starts[-1] + length)
        length *= T_mult
    return starts


@pytest.mark.parametrize("T_mult", [1, 2, 3, 4, 5, 6, 7, 10])
def test_it_restarts_at_the_step_and_at_no_other(T_mult):
    """Over 1e5 steps: the rate is lr, to the bit, exactly at the restarts, and the lowest of a cycle one step before."""
    for T_0 in range(1, 51):
        starts = torch.tensor(restarts(T_0, T_mult))
        at = warm_restarts(starts, lr=1.0, T_0=T_0, T_mult=T_mult)
        assert (at > 1 - 1e-15).all(), f"T_0 = {T_0}: no restart at {starts[at <= 1 - 1e-15].tolist()[:3]}"
        lengths = starts.diff()
        before = warm_restarts(starts[1:] - 1, lr=1.0, T_0=T_0, T_mult=T_mult)
        end = (1 + torch.cos(math.pi * (lengths - 1).double() / lengths)) / 2
        torch.testing.assert_close(before, end, rtol=0, atol=1e-12)


@pytest.mark.parametrize("T_0, T_mult", [(1, 2), (10, 2), (7, 3), (50, 1)])
def test_between_restarts_it_counts_from_the_last_one(T_0, T_mult):
    t, starts = torch.arange(20_000), torch.tensor(restarts(T_0, T_mult))
    cycle = torch.searchsorted(starts, t, right=True) - 1
    done = (t - starts[cycle]).double() / (T_0 * T_mult**cycle)
    right = 0.01 + 0.09 / 2 * (1 + torch.cos(math.pi * done))
    got = warm_restarts(t, lr=0.1, T_0=T_0, T_mult=T_mult, floor=0.01)
    torch.testing.assert_close(got, right, rtol=0, atol=1e-12)


def test_half_steps_belong_to_their_cycle():
    assert warm_restarts(29.5, T_0=10, T_mult=2) < 1e-3 < 0.09 < warm_restarts(30, T_0=10, T_mult=2)


def test_where_pytorchs_closed_form_misses_the_restart():
    """CosineAnnealingWarmRestarts.step(epoch) takes a logarithm that rounds down: the rate is the floor where it must be lr."""
    o = optimizer(0.1)
    scheduler = CosineAnnealingWarmRestarts(o, 1, 3)
    scheduler.step(121)
    assert scheduler.get_last_lr() == [0.0]
    assert warm_restarts(121, lr=0.1, T_0=1, T_mult=3) == 0.1


# Ends


def test_they_stay_where_they_end():
    for name, last in {"linear": 0.01, "cosine": 0.01, "polynomial": 0.0, "one_cycle": 0.1 / 25 / 1e4}.items():
        floor = {"floor": 0.01} if name in ("linear", "cosine") else {}
        ends = [SCHEDULES[name](t, lr=0.1, total=50, **floor) for t in (50, 51, 1000)]
        assert ends == pytest.approx([last] * 3, abs=1e-15)


def test_pytorchs_cosine_rises_again_and_ours_does_not():
    right = rates_of(CosineAnnealingLR(optimizer(0.1), 50), 100)
    assert right[100] == pytest.approx(0.1) and cosine(100, lr=0.1, total=50) == 0.0


def test_a_cycle_too_short_to_rise_only_falls():
    assert one_cycle(0, lr=0.1, total=2, pct_start=0.3) <= 0.1


# Numbers, tensors, traces


@pytest.mark.parametrize("name, hyper", CASES)
def test_numbers_vectors_and_runs_agree(name, hyper):
    """A number gives a number; tensors of whole numbers count in float64; float32 stays; hyperparameters may be tensors."""
    schedule, t = SCHEDULES[name], [0, 1, 17, 30, 399]
    alone = [schedule(x, **hyper) for x in t]
    assert all(type(x) is float for x in alone)
    right = torch.tensor(alone, dtype=torch.float64)
    together = schedule(torch.tensor(t), **hyper)
    assert together.dtype == torch.float64
    torch.testing.assert_close(together, right, rtol=1e-14, atol=1e-16)
    single = schedule(torch.tensor(t, dtype=torch.float32), **hyper)
    assert single.dtype == torch.float32 and single.shape == (5,)
    runs = {k: torch.full((5,), float(x), dtype=torch.float64) for k, x in hyper.items()}
    of_runs = torch.vmap(lambda t, runs: schedule(t, **runs))(torch.tensor(t), runs)
    torch.testing.assert_close(of_runs, right, rtol=1e-13, atol=1e-15)
    assert schedule(torch.zeros(2, 3), **hyper).shape == (2, 3)


@pytest.fixture
def in_browser(browser):
    """`in_browser(module, calls)`: the numbers that these calls give where the generated module is."""

    def evaluate(module: str, calls: list[str]) -> list[float]:
        page = browser.new_page()
        found = page.evaluate(f"() => {{ {module.replace('export ', '')}; return [{', '.join(calls)}]; }}")
        page.close()
        return found

    return evaluate


def test_javascript_computes_the_same(in_browser):
    """All schedules, with and without warm-up, in one page."""
    modules, calls, right = [], [], []
    for name, (_, settings) in TWINS.items():
        schedule = SCHEDULES[name]
        shapes = dict.fromkeys(signature(schedule, inputs=("t",)).hyper, ())
        for steps in (0, 8):
            program = f"{name}_{steps}"
            made = warmup(schedule, steps) if steps else schedule
            modules.append(javascript.of(lambda t, **hyper: made(t, **hyper), program, t=(), **shapes))
            for hyper in settings:
                for t in range(0, 401, 20 if name != "warm_restarts" else 1):
                    calls.append(f"{program}({t}, {', '.join(str(hyper[k]) for k in shapes)})")
                    right.append(made(t, **hyper))
    got = torch.tensor(in_browser("\n".join(modules), calls), dtype=torch.float64)
    torch.testing.assert_close(got, torch.tensor(right, dtype=torch.float64), rtol=1e-12, atol=1e-15)


def test_a_warmups_own_numbers_can_be_traced(in_browser):
    code = javascript.of(lambda t, steps, start, lr: warmup(SCHEDULES["constant"], steps, start)(t, lr=lr), "warm", t=(), steps=(), start=(), lr=())  # fmt: skip
    got = in_browser(code, [f"warm({t}, 10, 0.1, 0.5)" for t in range(12)])
    assert got == pytest.approx([warmup(SCHEDULES["constant"], 10, 0.1)(t, lr=0.5) for t in range(12)], rel=1e-14)


def test_signatures_tell_sliders_their_limits():
    own = signature(warm_restarts, inputs=("t",))
    assert own.hyper == {"lr": 0.1, "T_0": 10.0, "T_mult": 2.0, "floor": 0.0} and own.ranges["T_0"].at_least == 1
    warm = signature(warmup(warm_restarts, 5), inputs=("t",))
    assert warm.hyper == own.hyper and warm.name == "warm_restarts_with_warmup"


def test_a_warmup_takes_a_schedule_of_ones_own():
    def mine(t, *, lr=0.1):
        return lr / (1 + t) ** 2

    warm = warmup(mine, 4, 0.2)
    assert [warm(t, lr=1.0) for t in (0, 2, 4, 5)] == pytest.approx([0.2, 0.6, 1.0, 0.25])
    assert warmup(mine, 0)(0) == 0.1


# Bad input


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: cosine(-1), "cosine's t counts the steps taken so far, from 0; got -1."),
        (lambda: cosine(math.nan), "got nan"),
        (lambda: cosine(0, total=0), "cosine's total must be at least 1 and finite, got 0."),
        (lambda: warm_restarts(0, T_0=0.5), "warm_restarts's T_0 must be at least 1"),
        (lambda: warm_restarts(0, T_mult=0), "T_mult must be at least 1"),
        (lambda: step(0, every=0), "step's every must be at least 1"),
        (lambda: step(0, lr=-0.1), "step's lr must be at least 0"),
        (lambda: step(0, lr=math.inf), "lr must be at least 0 and finite"),
        (lambda: one_cycle(0, pct_start=1.0), "pct_start must be at least 0 and below 1"),
        (lambda: warmup(cosine, -3), "warmup's steps must be at least 0 and finite, got -3."),
        (lambda: warmup(cosine, 3, start=1.0), "warmup's start must be at least 0 and below 1, got 1.0."),
        (lambda: warmup(cosine, 3)(-1), "cosine_with_warmup's t counts the steps"),
    ],
)
def test_what_lies_outside_is_refused_in_a_sentence(call, words):
    with pytest.raises(ValueError) as refused:
        call()
    assert words in str(refused.value) and str(refused.value).endswith(".")


def test_an_unknown_hyperparameter_is_a_type_error():
    with pytest.raises(TypeError, match="cosine has no `T_max`. It has: t, lr, total, floor."):
        cosine(0, T_max=3)
    with pytest.raises(TypeError, match="function"):
        warmup(0.1, 5)
