"""MachineNow in a browser: it measures both machines, they compute the same, and it says what there is."""

import re

import pytest
import torch
from map_reading import WITHOUT_GRAPHICS

from course_lib.experiments import sweep
from course_lib.formulas import adam, rosenbrock
from course_lib.formulas.surfaces import SURFACES
from course_lib.widgets import MachineNow
from course_lib.widgets.figures.machine_now import MOST, STEPS, places

HEADLINES = ".cf-result .cf-number"


def measured(figure) -> list[str]:
    """The figure's numbers when both machines were measured: the answer, JavaScript's rate, the chip's."""
    figure.page.wait_for_function(
        "(host) => [...host.querySelectorAll('.cf-result .cf-number')].every((x) => !x.textContent.includes('…'))",
        arg=figure.host.element_handle(),
        timeout=20_000,
    )
    return figure.host.locator(HEADLINES).all_inner_texts()


def number(text: str) -> float:
    """A rate as the figure writes it."""
    digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    mantissa, _, power = text.partition("×10")
    return float(mantissa) * 10 ** int(power.translate(digits) or 0)


def test_both_machines_are_measured_and_the_ratio_is_that_of_their_rates(show):
    figure = show(MachineNow(log2_runs=8)).figures[0]
    answer, script, chip = measured(figure)
    script, chip = number(script), number(chip)
    assert 1e5 < script < 1e10 and 1e4 < chip < 1e14
    who, factor = re.fullmatch(r"(the chip|JavaScript) ([\d.,]+)×", answer).groups()
    assert (who == "the chip") == (chip > script)
    assert float(factor.replace(",", "")) == pytest.approx(
        max(chip / script, script / chip), rel=0.1
    )  # of rounded rates
    note = figure.host.locator(".cf-machine-note").inner_text()
    assert note.startswith("The browser names its graphics “")
    apart = re.search("same points, but for ([^:]+): the chip computes in float32", note)[1]
    assert number(apart) < 1e-2  # float32 over 200 steps of lengths up to 0.01
    assert ("stands in for a chip" in note) == ("SwiftShader" in note or "llvmpipe" in note)


def test_one_run_and_many(show):
    """A start of the chip costs; so its rate grows with the runs, and JavaScript's does not."""
    figure = show(MachineNow(log2_runs=0)).figures[0]
    rates = []
    for k in (0, 12):
        if k:
            figure.page.evaluate("k => { models[0].set('log2_runs', k); models[0].save_changes(); }", k)
            figure.page.wait_for_timeout(100)
        rates.append([number(text) for text in measured(figure)[1:]])
    (_, few), (_, many) = rates
    assert many > 5 * few  # thousands of times as many runs for a start
    words = figure.host.locator("svg[aria-label]").get_attribute("aria-label")
    assert "with 1 at once" in words and "with 4,096 at once" in words


@pytest.mark.parametrize("what", list(WITHOUT_GRAPHICS)[:1])
def test_without_graphics_it_says_so(show, what):
    figure = show(MachineNow(log2_runs=4), init=WITHOUT_GRAPHICS[what][0]).figures[0]
    answer, script, chip = measured(figure)
    assert (answer, chip) == ("JavaScript alone", "none") and number(script) > 1e5
    assert "JavaScript is measured alone" in figure.host.locator(".cf-machine-note").inner_text()


def test_what_is_run_is_the_formula(show):
    """The traced function that is timed ends where sweep ends, and so does the chip."""
    fig = MachineNow(log2_runs=4)
    visit = show(fig)
    x, y = places(4)
    run = """([text, spec, pairs]) => import("data:text/javascript," + encodeURIComponent(text)).then(({ run }) =>
      pairs.map(([lr, beta1]) => run(spec.start, spec.steps, { ...spec.hyper, lr, beta1 }).slice(0, 3)))"""
    pairs = torch.cartesian_prod(x, y)
    got = torch.tensor(visit.page.evaluate(run, [fig.code, fig.spec, pairs.tolist()]), dtype=torch.float64)
    ends = sweep(adam, rosenbrock, SURFACES["rosenbrock"].start, STEPS, keep="end", lr=pairs[:, 0], beta1=pairs[:, 1])
    torch.testing.assert_close(got[:, 1:], ends, rtol=1e-9, atol=1e-9)  # powers and roots differ in the last bit
    torch.testing.assert_close(got[:, 0], torch.vmap(rosenbrock)(ends), rtol=1e-7, atol=1e-9)


def test_the_grid_has_as_many_places_as_runs():
    for k in range(MOST + 1):
        x, y = places(k)
        assert len(x) * len(y) == 2**k


def test_limits():
    with pytest.raises(ValueError, match="log2_runs must be a whole number from 0 to 18, got 19"):
        MachineNow(log2_runs=19)
