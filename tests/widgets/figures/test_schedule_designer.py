"""ScheduleDesigner without a page: its settings, its rates, and PyTorch's code, which is run and must give the same rates."""

import pytest
import torch

from course_lib.formulas.schedules import SCHEDULES, cosine, warm_restarts, warmup
from course_lib.formulas.signature import signature
from course_lib.widgets import ScheduleDesigner
from course_lib.widgets.figures.schedule_designer import OWNERS


def rates_of_code(code: str, steps: int) -> torch.Tensor:
    """The rate of each step by the optimizer and the scheduler that lines of code make."""
    names = {"model": torch.nn.Linear(1, 1)}
    exec(code, names)
    rates = []
    for t in range(steps):
        rates.append(names["optimizer"].param_groups[0]["lr"])
        names["optimizer"].step()
        if t + 1 < steps:
            names["scheduler"].step()
    return torch.tensor(rates, dtype=torch.float64)


OTHER = {
    "lr": 0.37, "floor": 0.004, "total": 77, "T_0": 13, "T_mult": 3, "every": 11, "gamma": 0.35, "first": 40, "second": 90,
    "third": 91, "decay": 0.3, "k": 0.02, "power": 2.5, "pct_start": 0.61, "div_factor": 7.0, "final_div_factor": 90.0,
    "timescale": 9,
}  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warm", [0, 25])
def test_the_code_gives_the_figures_rates_at_every_step(schedule, warm):
    for hyper in ({}, OTHER):
        fig = ScheduleDesigner(schedule, warmup=warm, start=0.2, **hyper)
        right = fig.rates
        assert len(right) == fig.steps
        torch.testing.assert_close(rates_of_code(fig.pytorch, fig.steps), right, rtol=0, atol=1e-12)


def test_the_rates_are_those_of_the_formulas():
    fig = ScheduleDesigner(warm_restarts, T_0=10, T_mult=2, lr=0.5)
    assert torch.equal(fig.rates, warm_restarts(torch.arange(300), lr=0.5, T_0=10, T_mult=2))
    fig.schedule, fig.warmup, fig.start = "cosine", 20, 0.1
    assert torch.equal(fig.rates, warmup(cosine, 20, 0.1)(torch.arange(220), lr=0.5, total=200))


def test_every_hyperparameter_of_a_schedule_has_a_slider():
    fig = ScheduleDesigner()
    assert {c["name"] for c in fig.spec["controls"]} == {"warmup", "start", *OWNERS}
    for name, schedule in SCHEDULES.items():
        assert fig.spec["schedules"][name] == [*signature(schedule, inputs=("t",)).hyper]


def test_the_words_follow_the_settings():
    fig = ScheduleDesigner("step", every=100)
    assert fig.alt.endswith("it begins at 0.1, is 0.1 at most and 0.037 on average, and 0.001 at the last step.")
    fig.warmup = 10
    assert "after 10 steps of warm-up: it begins at 0.001" in fig.alt


@pytest.mark.parametrize(
    "wrong, error, words",
    [
        ({"schedule": "triangle"}, ValueError, "schedule must be one of constant, time_based"),
        ({"total": 0}, ValueError, "total must be a whole number from 1"),
        ({"T_0": 1.5}, ValueError, "T_0 must be a whole number"),
        ({"start": 0.0}, ValueError, "start must be above 0"),
        ({"start": 1.0}, ValueError, "start must be at least 0 and below 1"),
        ({"warmup": -1}, ValueError, "warmup must be a whole number from 0"),
        ({"gamma": -0.1}, ValueError, "gamma must be at least 0"),
        ({"axis": "cubic"}, ValueError, "axis must be one of linear, log"),
        ({"T_max": 3}, TypeError, "`T_max`"),
    ],
)
def test_what_it_cannot_show_is_refused(wrong, error, words):
    with pytest.raises(error) as refused:
        ScheduleDesigner(**wrong)
    assert words in str(refused.value)
