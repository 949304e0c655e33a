"""LiveTraining with a kernel: it trains in slices between cells, stops when it is closed, and refuses what is not allowed."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from course_lib.widgets import LiveTraining


def in_a_loop(coroutine) -> None:
    """Run it in an event loop of a thread of its own: that of a test may have one, of a browser."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, asyncio.wait_for(coroutine, 60)).result()


@pytest.fixture
def in_a_kernel(monkeypatch):
    """A figure whose messages to a front end are kept."""
    monkeypatch.delenv("COURSE_BOOK")
    fig, told = LiveTraining("sgdw", lr=0.5), []
    monkeypatch.setattr(fig, "send", lambda content: told.append(content["report"]))
    yield fig, told
    fig.close()


def test_a_kernel_trains_in_slices_and_reports(in_a_kernel):
    fig, told = in_a_kernel
    others = []

    async def notebook():
        fig.running = True
        while len(told) < 3:
            await asyncio.sleep(0.01)
            others.append(len(told))  # as another cell would run
        fig.batch, fig.hyper = 256, {"lr": 0.1}
        fig.running = False
        await asyncio.sleep(0.02)

    in_a_loop(notebook())
    assert [r["t"] for r in told] == sorted({r["t"] for r in told}) and told[0]["speed"] > 0
    assert len(others) >= 3
    json.dumps(told, allow_nan=False)
    assert len(told[-1]["predictions"]) == 24
    stopped = fig.report["t"]
    fig.step(1)
    assert fig.report["t"] == stopped + 1 and fig._run.settings.batch == 256


def test_closing_stops_the_training(in_a_kernel):
    fig, _ = in_a_kernel

    async def notebook():
        fig.running = True
        await asyncio.sleep(0.05)
        fig.close()
        await asyncio.wait_for(fig._task, 5)

    in_a_loop(notebook())
    assert not fig.running and fig._task.done()


def test_the_buttons_of_the_front_end_reach_the_kernel(in_a_kernel):
    fig, told = in_a_kernel
    fig._told({"do": "step"})
    fig._told({"do": "step"})
    fig._told({"do": "reset"})
    assert [r["t"] for r in told] == [1, 2, 0]


def test_without_a_running_loop_it_says_what_to_call(in_a_kernel):
    fig, _ = in_a_kernel
    with (
        ThreadPoolExecutor(1) as threads,
        pytest.raises(RuntimeError, match=r"Here call fig.step\(100\), then read fig.report"),
    ):
        threads.submit(setattr, fig, "running", True).result()
    assert not fig.running


def test_a_diverged_run_stays_where_it_is(in_a_kernel):
    fig, told = in_a_kernel
    fig.rule = "gradient_descent"
    fig.hyper = {"lr": 1e308}
    fig.step(50)
    assert told[-1]["lost"] == fig.report["t"] < 50 and told[-1]["loss"] is None
    fig.reset()
    assert told[-1]["lost"] is None and fig.report["t"] == 0


def test_every_rule_can_be_chosen():
    spec = LiveTraining().spec
    assert sorted(k for _, names in spec["groups"] for k in names) == sorted(spec["rules"])


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"rule": "adm"}, "rule must be one of"),
        ({"batch": 7}, "batch must be one of 8, 16, 32, 64, 128, 256, got 7"),
        ({"hyper": {"lr": -1}}, "adam's lr must be at least 0"),
        ({"noise": -0.1}, "noise must lie between 0 and 10, got -0.1"),
        ({"shift": 9}, "shift must be .* 7, got 9"),
    ],
)
def test_what_is_not_allowed_is_refused(change, sentence):
    fig = LiveTraining()
    with pytest.raises(ValueError, match=sentence):
        for name, value in change.items():
            setattr(fig, name, value)


def test_where_is_the_kernel_or_the_page():
    with pytest.raises(ValueError, match='where must be "kernel" or "page", got \'gpu\''):
        LiveTraining(where="gpu")
