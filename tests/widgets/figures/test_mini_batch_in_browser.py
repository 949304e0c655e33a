"""MiniBatch in a browser: the same batches, the same paths and the same numbers as in Python, however it is moved."""

import pytest
import torch
from figure_reading import show as shown

from course_lib.experiments.batches import SAMPLING
from course_lib.formulas.minibatch import example_gradients, excess_loss, gradient_covariance
from course_lib.widgets import MiniBatch
from course_lib.widgets.figures.mini_batch import PROBLEMS, RUNS

TRAITS = ["problem", "start", "lr", "B", "sampling", "budget", "steps", "epochs", "seed"]


def there(figure) -> MiniBatch:
    """The same figure in Python, at the setting where the browser's stands."""
    values = figure.page.evaluate("names => names.map((name) => models[0].get(name))", TRAITS)
    return MiniBatch(**dict(zip(TRAITS, values, strict=True)))


def assert_right(figure):
    """The paths, the numbers and the words are those that Python computes."""
    fig = there(figure)
    paths, low = fig.paths, PROBLEMS[fig.problem].minimum  # once: they are hundreds of steps long
    domain, results, alt = PROBLEMS[fig.problem].domain, figure.results(), figure.alt()
    for run, drawn in zip(reversed(RUNS), figure.paths(domain), strict=True):
        torch.testing.assert_close(drawn, paths[run], rtol=0, atol=figure.pixel(domain))
    for run, batches in fig.batches.items():
        cost = f"{sum(map(len, batches))} examples, {len(batches)} step{'s' * (len(batches) > 1)}"
        distance = shown((paths[run][-1] - low).norm().item())
        assert results[run] == (distance, cost)
        assert [text for text in alt if f"{run}: {distance} from the minimum after {cost}" not in text] == []


def press(figure, name):
    figure.host.get_by_role("button", name=name, exact=True).click()
    return figure.settle()


@pytest.mark.parametrize("problem", PROBLEMS)
def test_its_paths_are_pythons_for_every_sampling_and_budget(show, problem):
    (figure,) = show(MiniBatch(problem)).figures
    for sampling in SAMPLING:
        for budget in ("steps", "examples"):
            press(press(figure, sampling), budget)
            assert there(figure).sampling == sampling and there(figure).budget == budget
            assert_right(figure)
    press(figure, "New draw")
    assert there(figure).seed == 2
    assert_right(figure)


def test_sliders_give_whole_numbers(show):
    (figure,) = show(MiniBatch()).figures
    for name, places in (("B", (0.31, 0.5, 1.0, 0.0, 0.62)), ("epochs", (0.0, 0.21)), ("lr", (0.3,))):
        for place in places:
            figure.move(name, place)
            assert figure.value(name) == getattr(there(figure), name)
            assert_right(figure)
    press(figure, "steps").move("steps", 0.4)
    assert_right(figure)
    press(figure, "logistic")
    assert there(figure).lr == PROBLEMS["logistic"].lr and there(figure).start == list(PROBLEMS["logistic"].start)
    assert_right(figure)


def test_the_start_by_mouse_and_by_keys(show):
    (figure,) = show(MiniBatch(epochs=2)).figures
    x, y = figure.ring_center()
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x + 120, y + 80, steps=4)
    figure.page.mouse.up()
    assert figure.settle().ring_center() == pytest.approx((x + 120, y + 80), abs=2)
    assert_right(figure)
    before = there(figure).start
    for key in ("ArrowRight", "Shift+ArrowDown"):
        figure.ring.press(key)
    figure.settle()
    after = there(figure).start
    assert after[0] > before[0] and after[1] < before[1]
    assert_right(figure)


def test_floors_are_drawn_where_theory_has_them(show):
    (figure,) = show(MiniBatch(sampling="with replacement")).figures
    own = PROBLEMS["least squares"]
    covariance = gradient_covariance(example_gradients(own.loss, own.minimum, own.x, own.y))
    floors = [excess_loss(covariance, B, 0.1).item() for B in (8, 1)]
    assert figure.host.locator(".cf-floor").count() == 2
    assert f"Predicted floors: {shown(floors[0])} and {shown(floors[1])}." in figure.alt()[1]
    press(figure, "shuffled")
    assert figure.host.locator(".cf-floor").count() == 0


def test_reset_brings_everything_back(show):
    (figure,) = show(MiniBatch()).figures
    first = figure.alt()
    for name in ("logistic", "in sequence", "steps", "New draw"):
        press(figure, name)
    figure.move("B", 0.9).move("lr", 0.2)
    press(figure, "Reset")
    assert figure.alt() == first
    assert_right(figure)


def test_a_rate_that_is_too_large_says_that_it_diverged(show):
    (figure,) = show(MiniBatch(lr=1.0, budget="steps", steps=60)).figures
    assert figure.results()["full batch"][0] == "diverged"
    assert figure.results()["full batch"][1].startswith("at step ")
    assert "full batch: diverged at step" in figure.alt()[0]


def test_a_redraw_takes_less_than_a_frame(show):
    (figure,) = show(MiniBatch("logistic", epochs=20)).figures
    times = figure.page.evaluate("""async () => {
      const times = [], wait = () => new Promise((done) => requestAnimationFrame(() => done()));
      for (let k = 0; k < 12; k++) {
        models[0].set("lr", 0.5 + k / 100);
        const begin = performance.now();
        await wait();
        times.push(performance.now() - begin);
        await wait();
      }
      return times.sort((a, b) => a - b);
    }""")
    assert times[len(times) // 2] < 50  # a frame, and the wait for it, on a busy machine


def test_nothing_jumps_and_a_phone_is_wide_enough(show):
    for width in (900, 600, 390):
        (figure,) = show(MiniBatch(), viewport={"width": width, "height": 900}).figures
        box = "node => JSON.stringify([...node.querySelectorAll('svg, label, button, .cf-result')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y + window.scrollY, b.width, b.height]; }))"
        before = figure.host.evaluate(box)
        for name in ("B", "epochs", "lr"):
            for where in (0, 0.5, 1):
                assert figure.move(name, where).host.evaluate(box) == before, f"{name} at {where}, {width} px wide"
        heights = "node => JSON.stringify([...node.querySelectorAll('svg, button, .cf-result')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y + window.scrollY, b.width, b.height]; }))"
        before = figure.host.evaluate(heights)
        for name in ("steps", "with replacement", "in sequence", "examples", "New draw"):
            assert press(figure, name).host.evaluate(heights) == before, f"{name}, {width} px wide"
        assert figure.page.evaluate("document.documentElement.scrollWidth") <= width
