"""Fit in a browser: every way to move it, and its numbers against the formulas."""

import re

import pytest
import torch
from figure_reading import show as shown
from torch.func import grad

from course_lib.formulas.objective import MODELS, squared_error
from course_lib.widgets import Fit
from course_lib.widgets.figures.fit import EXAMPLES

TRAITS = ["model", "w", "x", "y", "lr"]


def state(figure) -> dict:
    return dict(
        zip(TRAITS, figure.page.evaluate("names => names.map((name) => models[0].get(name))", TRAITS), strict=True)
    )


def notes(figure) -> list[str]:
    return figure.host.locator(".cf-note").all_inner_texts()


def assert_numbers(figure):
    """What it shows is what Python computes for the parameters and data that it stands at."""
    there = Fit(**state(figure))
    assert figure.host.locator(".cf-number").inner_text() == shown(there.loss)
    a, b = there.gradient.tolist()
    assert notes(figure)[0] == f"∇J = ({shown(a)}, {shown(b)})"
    assert notes(figure)[1] == f"‖∇J‖ = {shown(there.gradient.norm().item())}"
    assert any(f"loss {shown(there.loss)}, gradient" in alt for alt in figure.alt())


def press(figure, name):
    figure.host.get_by_role("button", name=name, exact=True).click()
    return figure.settle()


def domain(figure):
    return EXAMPLES[state(figure)["model"]].domain


def crosses(figure) -> torch.Tensor:
    """The minima that are marked, (any, 2), the lowest first."""
    (x0, x1), (y0, y1) = domain(figure)
    width, height = (float(figure.host.locator(".cf-back").get_attribute(side)) for side in ("width", "height"))
    paths = figure.host.locator(".cf-minima path").evaluate_all("nodes => nodes.map((node) => node.getAttribute('d'))")
    places = [tuple(map(float, re.match(r"M([-\d.e]+),([-\d.e]+)h", d).groups())) for d in paths]
    return torch.tensor(
        [[x0 + (a + 5) / width * (x1 - x0), y1 - b / height * (y1 - y0)] for a, b in places], dtype=torch.float64
    ).reshape(-1, 2)


def middle(locator) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(figure, locator, dx, dy):
    x, y = middle(locator)
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x + dx, y + dy, steps=4)
    figure.page.mouse.up()
    return figure.settle()


@pytest.mark.parametrize("model", MODELS)
def test_its_numbers_are_those_of_autograd(show, model):
    (figure,) = show(Fit(model)).figures
    assert_numbers(figure)
    drag(figure, figure.host.locator(".cf-start .cf-ring"), 40, -30)
    assert_numbers(figure)
    (box_x, box_y) = middle(figure.host.locator(".cf-back"))
    figure.page.mouse.click(box_x, box_y)
    assert figure.settle().ring_center() == pytest.approx((box_x, box_y), abs=2)
    assert_numbers(figure)


@pytest.mark.parametrize("model", MODELS)
def test_a_step_is_one_of_gradient_descent(show, model):
    fig = Fit(model)
    (figure,) = show(fig).figures
    w, x, y = (torch.tensor(v, dtype=torch.float64) for v in (fig.w, fig.x, fig.y))
    slope = grad(lambda w: squared_error(MODELS[model](x, w), y))
    path = [w]
    for _ in range(51):
        path.append(path[-1] - fig.lr * slope(path[-1]))
    press(figure, "1 step")
    torch.testing.assert_close(torch.tensor(state(figure)["w"], dtype=torch.float64), path[1], rtol=1e-12, atol=1e-12)
    press(figure, "50 steps")
    torch.testing.assert_close(torch.tensor(state(figure)["w"], dtype=torch.float64), path[51], rtol=1e-9, atol=1e-9)
    (drawn,) = figure.paths(domain(figure))
    torch.testing.assert_close(drawn, torch.stack(path), rtol=0, atol=figure.pixel(domain(figure)))
    assert_numbers(figure)
    drag(figure, figure.host.locator(".cf-start .cf-ring"), 5, 5)
    assert len(figure.paths(domain(figure))[0]) == 1  # a new place, a new path


@pytest.mark.parametrize("model", MODELS)
def test_the_crosses_are_the_local_minima(show, model):
    fig = Fit(model)
    (figure,) = show(fig).figures
    x, y = torch.tensor(fig.x, dtype=torch.float64), torch.tensor(fig.y, dtype=torch.float64)
    J = lambda w: squared_error(MODELS[model](x, w), y)
    found = crosses(figure)
    assert len(found) == {"line": 1, "unit": 2, "sine": 3}[model]
    for w in found:
        assert grad(J)(w).norm() < 0.02  # as near as a cross is drawn
        assert torch.linalg.eigvalsh(torch.func.jacrev(grad(J))(w)).min() > 0
    losses = [J(w).item() for w in found]
    assert losses == pytest.approx(sorted(losses), rel=1e-3)  # twins are of equal depth
    assert [float(t) for t in figure.host.locator(".cf-minimum").all_text_contents()] == pytest.approx(losses, rel=0.02)


def test_an_outlier_pulls_the_minimum(show):
    (figure,) = show(Fit()).figures
    before = crosses(figure)
    drag(figure, figure.host.locator(".cf-datum .cf-point").last, 0, 110)
    now = state(figure)
    assert now["y"][-1] < 1 and now["x"][:-1] == list(EXAMPLES["line"].x)[:-1]
    assert_numbers(figure)
    x, y = (torch.tensor(now[k], dtype=torch.float64) for k in "xy")
    best = torch.linalg.lstsq(torch.stack([torch.ones_like(x), x], 1), y).solution
    figure.page.wait_for_timeout(300)  # the surface is drawn finely once it rests
    torch.testing.assert_close(crosses(figure.settle())[0], best, rtol=0, atol=2 * figure.pixel(domain(figure)))
    assert before[0, 1] - best[1] > 0.15


def test_everything_by_keys(show):
    (figure,) = show(Fit()).figures
    before = state(figure)
    for key in ("ArrowRight", "Shift+ArrowDown"):
        figure.ring.press(key)
    assert figure.settle() and state(figure)["w"][0] > before["w"][0] and state(figure)["w"][1] < before["w"][1]
    point = figure.host.locator(".cf-datum").nth(2)
    assert point.get_attribute("aria-label") == "Data point 3. Arrow keys move it."
    for key in ("ArrowUp", "Shift+ArrowRight"):
        point.press(key)
    assert figure.settle() and state(figure)["x"][2] > before["x"][2] and state(figure)["y"][2] > before["y"][2]
    assert_numbers(figure)
    figure.host.get_by_role("button", name="1 step", exact=True).press("Enter")
    assert_numbers(figure.settle())


def test_keys_faster_than_frames_all_count(show):
    (figure,) = show(Fit()).figures
    point = figure.host.locator(".cf-datum").nth(2)
    point.press("ArrowRight")
    before = state(figure.settle())
    figure.press_at_once(point, "ArrowUp", "ArrowUp", "ArrowRight")
    after = state(figure)
    figure.press_at_once(point, "ArrowDown", "ArrowDown", "ArrowLeft")
    assert after["x"][2] > before["x"][2] and after["y"][2] > before["y"][2]
    for name in "xy":
        assert state(figure)[name] == pytest.approx(before[name], abs=0.02)  # positions keep three digits


def test_data_stay_in_their_plot(show):
    (figure,) = show(Fit()).figures
    axes = figure.host.locator(".cf-data-plot .cf-axis text").all_text_contents()
    drag(figure, figure.host.locator(".cf-datum .cf-point").first, -400, 900)
    drag(figure, figure.host.locator(".cf-datum .cf-point").last, 900, -900)
    assert figure.host.locator(".cf-data-plot .cf-axis text").all_text_contents() == axes
    assert_numbers(figure)


def test_models_bring_their_data_and_reset_restores_all(show):
    (figure,) = show(Fit("line")).figures
    first = state(figure)
    for model in ("sine", "unit", "line", "sine"):
        press(figure, model)
        assert state(figure) == {"model": model} | {
            k: getattr(EXAMPLES[model], k) if k == "lr" else list(getattr(EXAMPLES[model], k)) for k in TRAITS[1:]
        }
        assert figure.host.locator("[aria-pressed=true]").all_inner_texts() == [model]
        assert_numbers(figure)
    figure.move("lr", 0.2)
    drag(figure, figure.host.locator(".cf-datum .cf-point").first, 10, 20)
    press(figure, "Reset")
    assert state(figure) == first
    assert_numbers(figure)


def test_a_run_that_diverges_says_so(show):
    (figure,) = show(Fit("line", lr=2.0)).figures
    press(figure, "50 steps")
    assert notes(figure)[1] == "the next step leaves for good"
    assert "cf-outside" in figure.ring.get_attribute("class")
    assert [v for v in state(figure)["w"] if not abs(v) < 1e4] == []
    press(figure, "Reset")
    assert "cf-outside" not in figure.ring.get_attribute("class")


def test_a_change_from_python_moves_the_figure(show):
    (figure,) = show(Fit()).figures
    figure.page.evaluate("models[0].set('w', [0.5, 0.8]); models[0].set('y', models[0].get('y').map((v) => v + 40))")
    assert_numbers(figure.settle())
    tops = [
        float(t.replace("−", "-"))
        for t in figure.host.locator(".cf-data-plot .cf-axis").nth(1).locator("text").all_text_contents()
    ]
    assert max(tops) > 38  # the axes follow data that leave them


def test_nothing_jumps_and_a_phone_is_wide_enough(show):
    for width in (900, 390):
        (figure,) = show(Fit(), viewport={"width": width, "height": 900}).figures
        box = "node => JSON.stringify([...node.querySelectorAll('svg, label, button, .cf-result')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }))"
        before = figure.host.evaluate(box)
        for place in (0, 0.5, 1):
            assert figure.move("lr", place).host.evaluate(box) == before
        for model in ("sine", "unit", "line"):
            assert press(figure, model).host.evaluate(box) == before, f"{model}, {width} px wide"
        press(figure, "50 steps")
        assert figure.host.evaluate(box) == before
        assert figure.page.evaluate("document.documentElement.scrollWidth") <= width
