"""What stands at the step that is shown, read off as numbers; and the three ends of a run, in words and marks."""

import pytest
import torch
from figure_reading import show as shown
from torch.func import grad

from course_lib.formulas import gradient_descent, momentum, quadratic, rmsprop, rosenbrock
from course_lib.widgets import Descent, SecantEllipse


def table(figure) -> dict[str, list[str]]:
    """The table of numbers: by row, a text for each run."""
    rows = figure.host.locator(".cf-readout tbody tr").all()
    return {row.locator("th").inner_text(): row.locator("td:visible").all_inner_texts() for row in rows}


def pair(point) -> str:
    return f"({', '.join(shown(x) for x in point.tolist())})"


def test_the_numbers_at_a_step_are_the_rules_own(show):
    fig = Descent([gradient_descent, momentum], rosenbrock, lr=0.002, steps=50)
    (figure,) = show(fig).figures
    figure.move("step", 0.5)
    found, paths, slope = table(figure), fig.path.values(), grad(rosenbrock)
    at = [path[25] for path in paths]
    assert found["w = (x, y)"] == [pair(w) for w in at]
    assert found["loss J"] == [shown(rosenbrock(w).item()) for w in at]
    assert found["gradient ∇J"] == [pair(slope(w)) for w in at]
    assert found["step length"] == [shown((path[25] - path[24]).norm().item()) for path in paths]
    delta = -(fig.path["momentum"][25] - fig.path["momentum"][24]) / 0.002
    assert found["Δ"] == ["", pair(delta)]
    said = figure.slider("step").get_attribute("aria-valuetext")
    assert said.startswith(f"25. gradient descent: w {pair(at[0])}, loss {found['loss J'][0]}, gradient ")
    assert "momentum: w " in said
    figure.move("step", 0)
    assert table(figure)["step length"] == ["–", "–"]


def test_the_secant_figure_reads_off_its_step_too(show):
    fig = SecantEllipse(quadratic, condition_number=20, step=2)
    (figure,) = show(fig).figures
    found = table(figure)
    assert found["w = (x, y)"] == [pair(fig.path[2])]
    assert found["step length"] == [shown((fig.path[2] - fig.path[1]).norm().item())]
    assert found["λ of B"] == [" and ".join(shown(x) for x in torch.linalg.eigvalsh(fig.B[2]).tolist())]


ENDS = {  # the error shrinks by 0.95 a step along the flat axis, at once along the other: 2.2² · 0.95²ᵗ / 2 < 10⁻⁶
    "reached": (gradient_descent, {"lr": 0.05}, "✓ reached at 144"),
    "not settled": (
        rmsprop,
        {"lr": 100.0},
        "∼ not settled, ≤ 262",
    ),  # …50, a little more at first; it swings for ever: (1 + κ) η² / 8
    "diverged": (gradient_descent, {"lr": 0.11}, "✕ diverged at"),
}


@pytest.mark.parametrize("end", ENDS)
def test_three_ends_have_a_mark_words_and_a_color_each(show, end):
    rule, hyper, words = ENDS[end]
    (figure,) = show(Descent(rule, quadratic, steps=400, condition_number=20, **hyper)).figures
    assert table(figure)["whole run"][0].startswith(words)
    marks = figure.host.locator(".cf-loss-plot .cf-end-mark")
    assert marks.all_text_contents() == [words[0]]
    losses = next(alt for alt in figure.alt() if alt.startswith("Loss over"))
    assert {"reached": "reached at step", "not settled": "not settled, stays below", "diverged": "diverged at step"}[
        end
    ] in losses
    ((number, _),) = figure.results().values()
    assert (number == "diverged") == (end == "diverged")


def test_what_a_state_spans_decides_its_axis(show):
    """RMSprop's v falls over decades: powers of ten stand at its axis."""
    (figure,) = show(Descent(rmsprop, quadratic, lr=0.2, condition_number=20, steps=400, watch=True)).figures
    ticks = figure.host.locator(".cf-state-plot .cf-axis").nth(1).locator("text").all_text_contents()
    assert len(ticks) > 1 and all(text.startswith("10") for text in ticks)
