"""TrainingReplay in a browser: what it shows is the record."""

import pytest
from figure_reading import show as shown

from course_lib.experiments import recorded
from course_lib.widgets import TrainingReplay
from course_lib.widgets.figures.training_replay import RECORD


def test_it_shows_the_record_and_nothing_else(show):
    record = recorded(RECORD)
    figure = show(TrainingReplay("Adam", seed=1)).figures[0]
    k = record.settings["runs"].index("Adam")
    assert figure.host.locator(".cf-number").inner_text() == f"{100 * record['accuracy'][1, k, -1]:.1f}%"
    losses, norms, rate = figure.alt()
    assert f"on validation digits {shown(record['val_loss'][1, k, -1].item())}" in losses
    assert all(shown(x) in norms for x in record["norms"][1, k, -1].tolist())
    assert record.made["date"] in figure.host.locator(".cf-hint").inner_text()
    figure.host.get_by_role("button", name="momentum", exact=True).click()
    figure.host.get_by_role("button", name="2", exact=True).click()
    figure.move("step", 0.5)
    half = len(record["accuracy"][0, 0]) // 2
    assert figure.host.locator(".cf-number").inner_text() == f"{100 * record['accuracy'][2, 0, half - 1]:.1f}%"
    assert figure.host.locator(".cf-note").inner_text() == "step 150 of 300"


def test_it_plays_to_the_end_and_can_be_paused(show):
    figure = show(TrainingReplay()).figures[0]
    play = figure.host.get_by_role("button", name="Play", exact=True)
    play.click()
    figure.host.get_by_role("button", name="Pause", exact=True).click()
    assert figure.page.evaluate("models[0].get('step')") < 300
    play.click()
    figure.page.wait_for_function("models[0].get('step') === 300")
    play.wait_for()


def test_the_kernel_s_report_is_that_of_the_step_shown():
    fig, record = TrainingReplay("Adam, cosine", seed=2), recorded(RECORD)
    fig.step = 105
    k = record.settings["runs"].index("Adam, cosine")
    assert fig.report["t"] == 100 and fig.report["rate"] == record["rate"][2, k, 9].item()
    for name, value in (("run", "Lion"), ("seed", 3), ("step", 301)):
        with pytest.raises(ValueError, match=name):
            setattr(fig, name, value)
