"""Descent in a browser: every way to move it, and what it then shows, against `sweep`."""

import pytest
import torch
from figure_reading import show as shown

from course_lib.experiments import sweep
from course_lib.formulas import gradient_descent, momentum
from course_lib.formulas.surfaces import SURFACES, quadratic, rosenbrock
from course_lib.widgets import Descent
from course_lib.widgets.kit.controls import label

ROSENBROCK = SURFACES["rosenbrock"].domain


def own(w, g, t, v=0.0, *, lr=0.05, beta=0.5):
    v = beta * v + g
    return w - lr * v, v


def assert_drawn(figure, path, domain=None):
    """The first path that `figure` draws is `path`, to the tenth of a pixel that it writes."""
    assert figure.paths(domain)[0] == pytest.approx(path.float(), abs=0.06 * figure.pixel(domain))


def dots(figure) -> int:
    """How many dots stand along the paths."""
    return sum(
        d.count("M")
        for d in figure.host.locator(".cf-contour-plot .cf-dots").evaluate_all(
            "nodes => nodes.map((node) => node.getAttribute('d'))"
        )
    )


def loss(path, step=-1, **hyper):
    return shown(quadratic(path[step], **hyper).item())


@pytest.mark.parametrize("rule", [gradient_descent, momentum, own])
def test_it_draws_what_sweep_computes(show, rule):
    fig = Descent(rule, lr=0.03, condition_number=20, angle=30)
    (figure,) = show(fig).figures
    assert_drawn(figure, fig.path)
    assert figure.results() == {label(rule.__name__): (loss(fig.path, condition_number=20, angle=30), "at step 100")}
    assert figure.host.locator(".cf-now").count() == 1 and dots(figure) == 100


def test_several_rules_walk_side_by_side(show):
    fig = Descent([gradient_descent, momentum], rosenbrock, lr=0.0015)
    (figure,) = show(fig).figures
    for drawn, path in zip(figure.paths(ROSENBROCK), fig.path.values(), strict=True):
        assert drawn == pytest.approx(path.float(), abs=0.06 * figure.pixel(ROSENBROCK))
    assert figure.results() == {
        label(name): (shown(rosenbrock(path[-1]).item()), "at step 100") for name, path in fig.path.items()
    }
    colors = figure.host.locator(".cf-contour-plot .cf-path").evaluate_all(
        "nodes => nodes.map((node) => getComputedStyle(node).stroke)"
    )
    assert colors == ["rgb(0, 114, 178)", "rgb(213, 94, 0)"]


def test_a_rule_without_a_name_has_a_color(show):
    (figure,) = show(Descent(lambda w, g, t, *, lr=0.1: w - lr * g)).figures
    assert (
        figure.host.locator(".cf-contour-plot .cf-path").evaluate("node => getComputedStyle(node).stroke")
        == "rgb(23, 96, 63)"
    )


def test_a_slider_by_mouse(show):
    (figure,) = show(Descent(momentum, lr=0.1)).figures
    for place in (0.2, 0.6, 0.9):
        figure.press("lr", place)
        lr = figure.value("lr")
        assert lr == pytest.approx(1e-4 ** (1 - place), rel=0.1)
        path = sweep(momentum, quadratic, [-2.2, 1.2], 100, lr=lr)[:, 0]
        assert_drawn(figure, path)
        assert figure.results()["momentum"][0] == loss(path)


def test_a_slider_by_keyboard(show):
    (figure,) = show(Descent(momentum, lr=0.1)).figures
    figure.slider("momentum").press("ArrowRight")
    figure.slider("lr").press("ArrowLeft")
    figure.slider("lr").press("PageDown")
    figure.settle()
    setting = {name: figure.value(name) for name in ("lr", "momentum")}
    assert setting["lr"] < 0.1 and 0.9 < setting["momentum"] < 0.91
    assert_drawn(figure, sweep(momentum, quadratic, [-2.2, 1.2], 100, **setting)[:, 0])


def test_what_a_slider_says_aloud(show):
    (figure,) = show(Descent(momentum, lr=0.1)).figures
    assert figure.slider("lr").get_attribute("aria-label") == "learning rate"
    figure.move("lr", 0.5)
    assert figure.slider("lr").get_attribute("aria-valuetext") == "learning rate 0.01"


@pytest.mark.parametrize(
    "reset",
    [lambda slider: slider.dblclick(position={"x": 20, "y": 10}), lambda slider: slider.press("Delete")],
    ids=["double click", "Delete"],
)
def test_one_slider_goes_back(show, reset):
    (figure,) = show(Descent(momentum, lr=0.07, momentum=0.8)).figures
    figure.move("lr", 0.9).move("momentum", 0.1)
    reset(figure.slider("lr"))
    figure.settle()
    assert figure.value("lr") == 0.07
    assert figure.value("momentum") != 0.8


def test_the_reset_button_brings_everything_back(show):
    fig = Descent(momentum, lr=0.07)
    (figure,) = show(fig).figures
    figure.move("lr", 0.9).move("momentum", 0.1).move("step", 0.3)
    figure.ring.press("ArrowRight")
    figure.host.get_by_role("button", name="Reset").click()
    figure.settle()
    assert (figure.value("lr"), figure.value("momentum"), figure.value("step")) == (0.07, 0.9, 100)
    assert_drawn(figure, fig.path)


def start(figure) -> list[float]:
    return figure.page.evaluate("models[0].get('start')")


def assert_moved_to(figure, x, y):
    """The ring, the start and the path are where the pointer is."""
    assert figure.ring_center() == pytest.approx((x, y), abs=1)
    assert_drawn(figure, sweep(momentum, quadratic, start(figure), 100)[:, 0])


def test_the_ring_by_mouse(show):
    (figure,) = show(Descent(momentum)).figures
    assert "drag me" in figure.host.inner_text()
    x, y = figure.ring_center()
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x + 90, y + 40, steps=5)
    figure.page.mouse.up()
    figure.settle()
    assert_moved_to(figure, x + 90, y + 40)
    assert "drag me" not in figure.host.inner_text()
    figure.page.mouse.move(x, y)  # after the button is up, nothing is dragged
    assert_moved_to(figure.settle(), x + 90, y + 40)


def test_the_ring_stays_on_the_surface(show):
    (figure,) = show(Descent(momentum)).figures
    figure.page.mouse.move(*figure.ring_center())
    figure.page.mouse.down()
    figure.page.mouse.move(-50, -50, steps=3)
    figure.page.mouse.up()
    assert start(figure) == [-2.5, 1.6]


def test_the_ring_by_finger(show):
    (figure,) = show(Descent(momentum), has_touch=True, viewport={"width": 390, "height": 400}).figures
    x, y = figure.ring_center()
    finger = figure.page.context.new_cdp_session(figure.page)
    for kind, dx, dy in (("touchStart", 0, 0), ("touchMove", 30, 15), ("touchMove", 60, 30), ("touchEnd", 0, 0)):
        points = [] if kind == "touchEnd" else [{"x": x + dx, "y": y + dy}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert_moved_to(figure.settle(), x + 60, y + 30)
    assert figure.page.evaluate("scrollY") == 0


@pytest.mark.parametrize(
    "tap",
    [lambda page, x, y: page.mouse.click(x, y), lambda page, x, y: page.touchscreen.tap(x, y)],
    ids=["mouse", "finger"],
)
def test_a_tap_on_the_surface_moves_the_start(show, tap):
    (figure,) = show(Descent(momentum), has_touch=True).figures
    x, y = figure.ring_center()
    tap(figure.page, x + 150, y + 70)
    assert_moved_to(figure.settle(), x + 150, y + 70)


def test_the_ring_by_arrow_keys(show):
    (figure,) = show(Descent(momentum)).figures
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        figure.ring.press(key)
    assert start(figure) == pytest.approx([-2.15, 1.225], abs=0.015)  # rounded to three digits on the way
    figure.ring.press("Shift+ArrowDown")
    assert start(figure) == pytest.approx([-2.15, 0.975], abs=0.015)
    x, y = (f"{value:g}".replace("-", "−") for value in start(figure))
    assert figure.settle().ring.get_attribute("aria-valuetext") == f"x {x}, y {y}"
    assert_drawn(figure, sweep(momentum, quadratic, start(figure), 100)[:, 0])


def test_the_keyboard_reaches_everything(show):
    (figure,) = show(Descent(momentum)).figures
    reached = []
    for _ in range(5):
        figure.page.keyboard.press("Tab")
        reached.append(
            figure.page.evaluate("(document.activeElement.name || document.activeElement.textContent.trim())")
        )
    assert reached == ["drag me", "step", "lr", "momentum", "Reset"]


def test_the_scrubber_goes_back_in_time(show):
    fig = Descent(momentum)
    (figure,) = show(fig).figures
    figure.move("step", 0.12)
    assert_drawn(figure, fig.path[:13])
    assert figure.results() == {"momentum": (loss(fig.path, 12), "at step 12")}
    assert figure.value("step") == 12
    figure.move("step", 0)
    assert figure.results() == {"momentum": (loss(fig.path, 0), "at step 0")}


def test_a_diverging_run_says_so(show):
    (figure,) = show(Descent(gradient_descent, lr=0.1, condition_number=10)).figures
    figure.move("lr", 0.95)
    number, when = figure.results()["gradient descent"]
    assert number == "diverged"
    words = f"diverged {when}"
    assert figure.host.locator(".cf-gone").text_content() == words
    contours, losses = figure.alt()
    assert contours == f"gradient descent on quadratic. gradient descent: {words}."
    assert losses.endswith(f"ends {words}.")
    drawn, step = figure.paths()[0], int(when.split()[-1])
    assert_drawn(figure, sweep(gradient_descent, quadratic, [-2.2, 1.2], step, lr=figure.value("lr"))[:, 0])
    assert len(drawn) == step + 1
    figure.move("step", (step - 1) / 100)
    assert figure.results()["gradient descent"][0] != "diverged"
    assert figure.host.locator(".cf-gone").text_content() == ""


@pytest.mark.parametrize("lr", [1e100, 1e300])
def test_a_run_that_overflows_says_so(show, lr):
    visit = show(Descent(momentum, lr=lr))
    assert visit.figures[0].results()["momentum"] == ("diverged", "at step 1")
    assert visit.problems == []


def test_two_figures_on_a_page_do_not_interfere(show):
    one, two = Descent(momentum, lr=0.1), Descent(momentum, lr=0.2, condition_number=50)
    first, second = show(one, two).figures
    first.move("lr", 0.1)
    first.ring.press("Shift+ArrowRight")
    assert second.settle().value("lr") == 0.2
    assert_drawn(second, two.path)
    second.move("condition_number", 0.1)
    assert first.value("lr") == 0.000251
    clips = first.page.locator("clipPath").evaluate_all("nodes => nodes.map((node) => node.id)")
    assert len(clips) == len(set(clips)) == 2


def test_nothing_jumps_while_sliders_move(show):
    (figure,) = show(Descent([gradient_descent, momentum], lr=0.1, condition_number=10)).figures
    box = "node => JSON.stringify([...node.querySelectorAll('svg, label, button, .cf-result')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }))"
    before = figure.host.evaluate(box)
    for name in ("lr", "momentum", "condition_number", "step"):
        for place in (0, 0.3, 0.7, 0.97, 1):
            figure.move(name, place)
            assert figure.host.evaluate(box) == before, f"{name} at {place}"


def test_a_change_from_python_moves_the_figure(show):
    (figure,) = show(Descent(momentum, lr=0.1)).figures
    figure.page.evaluate("models[0].set('lr', 0.01); models[0].set('start', [1, 1]); models[0].set('steps', 150)")
    figure.settle()
    assert figure.value("lr") == 0.01
    assert figure.slider("lr").input_value() == "200"
    path = sweep(momentum, quadratic, [1.0, 1.0], 150, lr=0.01)[:, 0]
    assert_drawn(figure, path[:101])  # the scrubber stays where it was
    figure.move("step", 1)
    assert_drawn(figure, path)


def test_a_path_of_the_readers_own_stands_beside(show):
    fig = Descent(momentum)
    fig.path = [[2.0, 1.0], [1.0, 1.0], [0.5, 0.2]]
    (figure,) = show(fig).figures
    assert figure.paths()[1] == pytest.approx(
        torch.tensor([[2.0, 1.0], [1.0, 1.0], [0.5, 0.2]]), abs=0.06 * figure.pixel()
    )
    assert figure.results()["recorded path"] == ("0.325", "at step 2")
    figure.page.evaluate("models[0].set('recorded', [])")
    assert list(figure.settle().results()) == ["momentum"]
    assert len(figure.paths()) == 1


def test_a_longer_path_of_the_readers_own_ends_with_the_axis(show):
    fig = Descent(momentum, steps=20)
    fig.path = [[1.0, 1.0]] * 50
    (figure,) = show(fig).figures
    ends = figure.host.locator(".cf-loss-plot .cf-path").evaluate_all(
        "nodes => nodes.map((node) => node.getAttribute('d').split('L').at(-1))"
    )
    assert len({end.split(",")[0] for end in ends}) == 1
    assert not any(word in end for end in ends for word in ("NaN", "undefined"))


def test_it_fits_a_phone_and_a_turned_one(show):
    (figure,) = show(Descent(momentum), viewport={"width": 390, "height": 800}).figures
    for width in (390, 844, 320):
        figure.page.set_viewport_size({"width": width, "height": 800})
        figure.page.wait_for_timeout(100)
        assert figure.page.evaluate("document.documentElement.scrollWidth") <= width
        svg = figure.host.locator(".cf-contour-plot").bounding_box()
        assert 0.5 * min(width, 500) < svg["width"] <= width
        assert_drawn(figure, sweep(momentum, quadratic, [-2.2, 1.2], 100)[:, 0])


def test_it_can_be_taken_away(show):
    (figure,) = show(Descent(momentum, lr=0.1)).figures
    left = figure.page.evaluate("""async () => {
      const url = URL.createObjectURL(new Blob([courseFigures], { type: "text/javascript" }));
      const el = document.body.appendChild(document.createElement("div"));
      const end = await (await import(url)).default.render({ model: models[0], el });
      await new Promise((done) => setTimeout(done, 100));
      end();
      const before = el.querySelector(".cf-path").getAttribute("d");
      models[0].set("lr", 0.02);
      await new Promise((done) => setTimeout(done, 100));
      return el.querySelector(".cf-path").getAttribute("d") === before;
    }""")
    assert left
    assert figure.value("lr") == 0.02  # the other one goes on
