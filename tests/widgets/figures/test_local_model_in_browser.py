"""LocalModel in a browser: every way to move it, and the arrows, curves and numbers against Python's."""

import math
import re

import pytest
import torch
from figure_reading import show as shown

from course_lib.formulas import quadratic
from course_lib.formulas.second_order import quadratic_model
from course_lib.widgets import LocalModel
from course_lib.widgets.figures.local_model_examples import EXAMPLES

STATE = ("surface", "w", "trail", "damping", "lr", "gradient_lr", "direction")
BOXES = "node => JSON.stringify([...node.querySelectorAll('svg, label, button, td, .cf-local-key, .cf-local-note, .cf-walk, table')].map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }))"
PLACES = [
    {"surface": "quadratic", "w": [2.0, 0.6]},
    {"surface": "quadratic", "w": [-1.3, 2.1], "damping": 2.0, "direction": "gradient"},
    {"surface": "saddle", "w": [-1.2, 0.4]},
    {"surface": "saddle", "w": [0.7, -0.2], "damping": 5.0, "lr": 1.5},
    {"surface": "himmelblau", "w": [0.0, -0.5], "gradient_lr": 0.02},
    {"surface": "himmelblau", "w": [3.0, 0.2], "direction": "gradient"},
    {"surface": "himmelblau", "w": [-4.5, 5.0], "damping": 40.0},
    {"surface": "rosenbrock", "w": [-1.175, 1.38]},
    {"surface": "rosenbrock", "w": [0.3, 1.9], "damping": 0.5, "lr": 0.25, "direction": "gradient"},
]


def put(figure, **state):
    figure.page.evaluate("state => Object.entries(state).forEach(([name, value]) => models[0].set(name, value))", state)
    return figure.settle()


def state(figure) -> dict:
    return dict(
        zip(STATE, figure.page.evaluate("names => names.map((name) => models[0].get(name))", list(STATE)), strict=True)
    )


def there(figure) -> LocalModel:
    """The same figure in Python, at the place where the browser's stands."""
    now = state(figure)
    trail, surface = now.pop("trail"), now.pop("surface")
    fig = LocalModel(surface, **now)
    fig.trail = trail
    return fig


def texts(figure, selector: str) -> list[str]:
    return figure.host.locator(selector).all_inner_texts()


def points(figure, selector: str, domain) -> torch.Tensor:
    """The points of drawn lines with absolute coordinates, in the surface's."""
    paths = figure.host.locator(selector).evaluate_all("nodes => nodes.map((node) => node.getAttribute('d')).join('')")
    pixels = torch.tensor([float(x) for x in re.findall(r"-?[\d.]+(?:e-?\d+)?", paths)], dtype=torch.float64).reshape(
        -1, 2
    )
    return torch.stack(
        [domain[0][0] + pixels[:, 0] * figure.pixel(domain), domain[1][1] - pixels[:, 1] * figure.pixel(domain)], 1
    )


def assert_number(text: str, x: float, loss: float):
    """A number that is rounding error beside the loss has no digits in common."""
    if math.isnan(x):
        assert text == "none"
    elif abs(x) > 1e-12 * abs(loss):
        assert text == shown(x)


def assert_right(figure):
    """The arrows, the stationary point and all numbers are those that Python computes."""
    fig = there(figure)
    domain = EXAMPLES[fig.surface].domain
    w = torch.tensor(fig.w, dtype=torch.float64)
    assert texts(figure, ".cf-local-now") == [shown(fig.loss)]
    for name, step in (("newton", fig.newton_step), ("gradient", fig.gradient_step)):
        drawn = points(figure, f".cf-contour-plot .cf-jump[data-step={name}]", domain)
        if step is None or step.norm() < 0.05 * figure.pixel(domain):
            assert len(drawn) == 0
        else:
            pixel = 0.1 * figure.pixel(domain)
            torch.testing.assert_close(drawn[:2], torch.stack([w, w + step]), rtol=0, atol=pixel)
        fig.direction = name
        numbers, alt = texts(figure, f"td[data-step={name}]"), figure.alt()[0]
        for text, x in zip(numbers, (fig.promised, fig.reached, fig.ratio), strict=True):
            assert_number(text, x, fig.loss)
        assert step is None or f"promised {numbers[0]}, reached {numbers[1]}, ratio {numbers[2]}" in alt
    rows = [[*map(shown, fig.curvatures), fig.kind], [*map(shown, fig.damped_curvatures), fig.damped_kind]]
    assert texts(figure, ".cf-local-bends td") == [*rows[0], *rows[1]]
    cross = (
        points(figure, ".cf-model > .cf-model-flat", domain)
        if figure.host.locator(".cf-model > .cf-model-flat").get_attribute("d")
        else []
    )
    inside = fig.stationary is not None and all(
        low <= x <= high for x, (low, high) in zip(fig.stationary.tolist(), domain, strict=True)
    )
    assert bool(len(cross)) == inside
    if inside:
        half = 5 * figure.pixel(domain)
        torch.testing.assert_close(cross[0] + torch.tensor([half, -half]), fig.stationary, rtol=0, atol=0.1 * half)


@pytest.fixture
def shown_figure(show):
    def open(*args, **options):
        viewport = {"viewport": options.pop("viewport")} if "viewport" in options else {}
        return show(LocalModel(*args, **options), **viewport).figures[0]

    return open


def test_its_numbers_and_arrows_are_those_of_the_formulas(shown_figure):
    figure = shown_figure()
    assert_right(figure)
    for place in PLACES:
        assert_right(put(figure, **{"damping": 0.0, "lr": 1.0, "gradient_lr": 0.01, "direction": "newton"} | place))


def test_the_curves_are_levels_of_the_model(shown_figure):
    figure = shown_figure()
    for place in PLACES:
        fig = there(put(figure, **place))
        f, domain, w = (
            EXAMPLES[fig.surface].formula,
            EXAMPLES[fig.surface].domain,
            torch.tensor(fig.w, dtype=torch.float64),
        )
        model = lambda z: quadratic_model(f, w, z - w)
        through = points(figure, ".cf-model-through[d^=M]:not(.cf-local-key *)", domain)
        (x0, x1), (y0, y1) = domain
        edge = 0.02 * (x1 - x0)
        seen = [z for z in through if x0 + edge < z[0] < x1 - edge and y0 + edge < z[1] < y1 - edge]
        assert len(seen) > 10
        for z in seen[::7]:  # within a pixel of the level of θ
            slope = torch.func.grad(model)(z).norm()
            assert (
                abs(model(z) - fig.loss) < slope * figure.pixel(domain) + fig.curvatures[1] * figure.pixel(domain) ** 2
            )


def test_the_section_shows_both_curves_along_the_step(shown_figure):
    figure = shown_figure("himmelblau", w=(3.3, 2.2))
    fig = there(figure)
    words = f"At s = 1 the model promises {shown(fig.promised)}, the loss is {shown(fig.reached)}. The model is lowest at s = 1.00."
    assert figure.alt()[1] == f"The loss and its model along Newton's step. {words}"
    figure.host.get_by_role("button", name="the gradient step", exact=True).click()
    fig = there(figure.settle())
    assert fig.direction == "gradient"
    g, H = fig.gradient, fig.hessian
    lowest = (g @ g / (g @ H @ g)).item() / fig.gradient_lr
    words = f"At s = 1 the model promises {shown(fig.promised)}, the loss is {shown(fig.reached)}. The model is lowest at s = {shown(lowest)}."
    assert figure.alt()[1] == f"The loss and its model along the gradient step. {words}"
    assert texts(figure, "td.cf-chosen") == [shown(fig.promised), shown(fig.reached), shown(fig.ratio)]
    marks = figure.host.locator(".cf-section").evaluate(
        "node => ['.cf-here', '.cf-promised'].map((name) => node.querySelector(name)).map((c) => [+c.getAttribute('cx'), +c.getAttribute('cy')])"
    )
    for line, k in ((".cf-section g .cf-true-line", 0), (".cf-section g .cf-model-line", 1)):
        numbers = [float(x) for x in re.findall(r"-?[\d.]+", figure.host.locator(line).get_attribute("d"))]
        assert (
            min(math.hypot(x - marks[k][0], y - marks[k][1]) for x, y in zip(numbers[::2], numbers[1::2], strict=True))
            < 4
        )  # points of a line lie apart


def test_a_loss_far_above_the_model_is_written_at_the_edge(shown_figure):
    figure = shown_figure("rosenbrock")
    figure.host.get_by_role("button", name="Take Newton's step").click()
    fig = there(figure.settle())
    assert fig.reached > 1400 and figure.host.locator(".cf-section .cf-gone").text_content() == shown(fig.reached)


def test_the_ring_by_mouse_by_tap_and_by_keys(shown_figure):
    figure = shown_figure("himmelblau")
    x, y = figure.ring_center()
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x - 60, y + 90, steps=4)
    figure.page.mouse.up()
    assert figure.settle().ring_center() == pytest.approx((x - 60, y + 90), abs=2)
    assert_right(figure)
    figure.page.mouse.click(x - 100, y + 20)
    assert figure.settle().ring_center() == pytest.approx((x - 100, y + 20), abs=2)
    before = state(figure)["w"]
    for key in ("ArrowRight", "Shift+ArrowRight", "ArrowDown"):
        figure.ring.press(key)
    step = 12 / 200
    assert state(figure.settle())["w"] == pytest.approx([before[0] + 11 * step, before[1] - step], abs=0.02)
    assert_right(figure)


def test_the_buttons_walk_and_go_back(shown_figure):
    figure = shown_figure("himmelblau", w=(3.3, 2.2))
    fig = LocalModel("himmelblau", w=(3.3, 2.2))
    slopes = [fig.gradient.norm().item()]
    for name in ("newton", "newton", "gradient", "newton"):
        figure.host.get_by_role(
            "button", name="Take Newton's step" if name == "newton" else "Take the gradient step"
        ).click()
        fig.take(name)
        slopes.append(fig.gradient.norm().item())
        assert state(figure.settle())["w"] == pytest.approx(fig.w, rel=1e-12)
        assert_right(figure)
    assert texts(figure, ".cf-walk-cell > span") == [shown(x) for x in slopes]
    assert texts(figure, ".cf-walk-cell small") == ["start", "step 1", "step 2", "step 3", "step 4"]
    drawn = figure.paths(EXAMPLES["himmelblau"].domain)[0]
    torch.testing.assert_close(
        drawn,
        torch.tensor([*fig.trail, fig.w], dtype=torch.float64),
        rtol=0,
        atol=0.1 * figure.pixel(EXAMPLES["himmelblau"].domain),
    )
    for _ in range(2):
        figure.host.get_by_role("button", name="Back").click()
        fig.back()
    assert state(figure.settle())["w"] == pytest.approx(fig.w, rel=1e-12)
    for _ in range(4):
        figure.host.get_by_role("button", name="Back").click(force=True)
    assert state(figure.settle())["w"] == [3.3, 2.2] and state(figure)["trail"] == []
    assert figure.host.get_by_role("button", name="Back").get_attribute("aria-disabled") == "true"


def test_only_the_last_five_slopes_are_written(shown_figure):
    figure = shown_figure("rosenbrock")
    for _ in range(6):
        figure.host.get_by_role("button", name="Take the gradient step").click()
    figure.settle()
    assert texts(figure, ".cf-walk-cell small") == ["step 2", "step 3", "step 4", "step 5", "step 6"]


def test_reset_brings_everything_back(shown_figure):
    figure = shown_figure("himmelblau", w=(3.3, 2.2), damping=2.0)
    first, alt = state(figure), figure.alt()
    figure.host.get_by_role("button", name="Rosenbrock").click()
    figure.settle()
    assert state(figure)["w"] == [-1.2, 1.0]
    assert_right(figure)
    for name in ("damping", "lr", "gradient_lr"):
        figure.move(name, 0.7)
    figure.host.get_by_role("button", name="Take Newton's step").click()
    figure.host.get_by_role("button", name="the gradient step", exact=True).click()
    assert_right(figure.settle())
    figure.host.get_by_role("button", name="Reset").click()
    figure.settle()
    assert state(figure) == first and figure.alt() == alt
    assert_right(figure)


def test_the_sliders_change_the_steps_and_damping_can_be_zero(shown_figure):
    figure = shown_figure("saddle", damping=0.5)
    for name, place in (("damping", 0.6), ("lr", 0.2), ("gradient_lr", 0.5), ("lr", 0.5), ("damping", 0.0)):
        assert_right(figure.move(name, place))
    assert (figure.value("damping"), figure.value("lr")) == (0, 1)
    assert figure.move("lr", 0.0).value("lr") == 0
    assert figure.alt()[1] == "The step has the length 0."
    assert_right(figure)


def test_a_singular_matrix_is_said_in_words(shown_figure):
    figure = shown_figure("saddle", w=(-1.2, 0.0), damping=1.0)
    assert_right(figure)
    assert texts(figure, ".cf-local-note") == ["H + μI is singular: Newton's step does not exist. Move θ or change μ."]
    assert figure.alt()[1] == "There is no such step here."
    button = figure.host.get_by_role("button", name="Take Newton's step")
    assert button.get_attribute("aria-disabled") == "true"
    button.click(force=True)
    assert state(figure.settle())["w"] == [-1.2, 0.0]


def test_a_nearly_singular_matrix_is_said_in_words(shown_figure):
    figure = shown_figure(lambda w: 1e-8 * w[0] ** 2 / 2 + w[0] + w[1] ** 2 / 2, w=(0.5, 0.5))
    assert texts(figure, ".cf-local-note") == [
        "H + μI is nearly singular, with the eigenvalue 1.0×10⁻⁸: Newton's step leads out of all bounds."
    ]
    assert texts(figure, "td[data-step=newton]") == ["none", "none", "none"]


@pytest.mark.parametrize(
    "surface, w, damping, words",
    [
        ("saddle", (-1.2, 0.4), 0.0, "H + μI is indefinite: Newton's step aims at a saddle."),
        ("himmelblau", (0.0, -0.5), 0.0, "H + μI is negative definite: Newton's step climbs, toward a maximum."),
        ("himmelblau", (0.0, -0.5), 60.0, "H + μI is positive definite: Newton's step goes downhill at first."),
        (
            "himmelblau",
            (3.0, 2.0),
            0.0,
            "The gradient is 0: θ is a stationary point, and both steps have the length 0.",
        ),
        (
            "saddle",
            (-1.2, 0.55),
            0.0,
            "H + μI is indefinite: Newton's step aims at a saddle. It ends outside the picture, at (0, −3.60).",
        ),
    ],
)
def test_where_the_step_leads_is_said_in_words(shown_figure, surface, w, damping, words):
    figure = shown_figure(surface, w=w, damping=damping)
    assert texts(figure, ".cf-local-note") == [words]
    assert_right(figure)


def test_a_point_outside_the_picture_waits_at_its_edge(shown_figure):
    figure = shown_figure("quadratic")
    put(figure, w=[30.0, 1.0])
    x, _ = figure.ring_center()
    box = figure.host.locator(".cf-back").bounding_box()
    assert x == pytest.approx(box["x"] + box["width"], abs=2)
    assert figure.ring.get_attribute("aria-valuetext") == "x 30, y 1"
    assert there(figure).loss == pytest.approx(452.5)


def test_a_loss_of_the_readers_own(shown_figure):
    figure = shown_figure(lambda w: quadratic(w, condition_number=100), w=(1.0, 1.0))
    assert texts(figure, ".cf-local-bends td")[:3] == ["1.00", "100", "minimum"]
    assert figure.host.get_by_role("group", name="Surface").count() == 0


def test_the_keyboard_reaches_everything(shown_figure):
    figure = shown_figure()
    reached = []
    for _ in range(15):
        figure.page.keyboard.press("Tab")
        reached.append(figure.page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
    surfaces, steps = (
        ["quadratic", "saddle", "Himmelblau", "Rosenbrock"],
        ["Take Newton's step", "Take the gradient step", "Back", "Reset"],
    )
    assert reached == [
        *surfaces,
        "drag me",
        *steps,
        "Newton's step",
        "the gradient step",
        "damping",
        "lr",
        "gradient_lr",
        reached[-1],
    ]


@pytest.mark.parametrize("width", [900, 600, 390])
def test_nothing_jumps_and_nothing_is_cut(shown_figure, width):
    figure = shown_figure(viewport={"width": width, "height": 900})
    before = figure.host.evaluate(BOXES)
    for place in [
        *PLACES,
        {"surface": "saddle", "w": [-1.2, 0.0], "damping": 1.0},
        {"surface": "saddle", "w": [-1.2, 0.5773], "damping": 0.0, "lr": 1.0},
    ]:
        put(figure, **place)
        assert figure.host.evaluate(BOXES) == before, place
        wide = "nodes => nodes.filter((n) => n.scrollWidth > n.clientWidth + 1).map((n) => n.textContent)"
        assert figure.host.locator("td, th, .cf-local-note, .cf-walk-cell, .cf-button").evaluate_all(wide) == [], place
    for name in ("damping", "lr", "gradient_lr"):
        for where in (0, 0.5, 1):
            assert figure.move(name, where).host.evaluate(BOXES) == before, f"{name} at {where}"
    for _ in range(3):
        figure.host.get_by_role("button", name="Take the gradient step").click(force=True)
        assert figure.settle().host.evaluate(BOXES) == before
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= width
