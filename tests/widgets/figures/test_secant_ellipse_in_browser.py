"""SecantEllipse in a browser: every way to move it, and what it draws and says against the formulas."""

import functools
import re

import pytest
import torch
from figure_reading import show as shown

from course_lib.formulas import quadratic, rosenbrock
from course_lib.formulas.secant import eigenvalues, inverse_hessian
from course_lib.widgets import SecantEllipse

QUADRATIC = {"surface": quadratic, "condition_number": 20, "angle": -30, "start": (-1.8, 0.9)}
BENT = {"surface": rosenbrock, "search": "Wolfe", "steps": 36, "step": 8}
DOMAINS = {quadratic: ((-2.5, 2.5), (-1.6, 1.6)), rosenbrock: ((-2.0, 2.0), (-1.0, 3.0))}


@functools.cache
def python(surface) -> SecantEllipse:
    """One figure in Python for each surface: tracing takes seconds."""
    return SecantEllipse(**(QUADRATIC if surface is quadratic else BENT))


def there(figure, surface) -> SecantEllipse:
    """The figure in Python, at the setting where the browser's stands."""
    names = ["xi", "start", "step", "search"] + (["condition_number", "angle"] if surface is quadratic else [])
    fig = python(surface)
    for name, value in zip(
        names, figure.page.evaluate("names => names.map((name) => models[0].get(name))", names), strict=True
    ):
        setattr(fig, name, value)
    return fig


def points(figure, selector, domain) -> torch.Tensor:
    """A drawn line in the surface's coordinates."""
    text = figure.host.locator(selector).get_attribute("d")
    pixels = torch.tensor([float(x) for x in re.findall(r"-?[\d.]+", text)], dtype=torch.float64).reshape(-1, 2)
    return torch.tensor([domain[0][0], domain[1][1]]) + pixels * figure.pixel(domain) * torch.tensor([1.0, -1.0])


def assert_right(figure, surface):
    """The numbers, the path, the ellipse and its steepest point are those that Python computes."""
    fig, domain = there(figure, surface), DOMAINS[surface]
    k = fig.step
    path, B, error = fig.path, fig.B[k], fig.errors[k]
    w = path[k]
    words = figure.alt()[0]
    # the path and B are compared where rounding, which a search amplifies, is far below them
    assert figure.results()["error of B"][1] == f"at step {k}"
    if error > 1e-6:
        assert figure.results()["error of B"][0] == shown(error.item())
        assert "B has the eigenvalues " + " and ".join(map(shown, eigenvalues(B).tolist())) in words
    torch.testing.assert_close(figure.paths(domain)[0], path[: k + 1], rtol=0, atol=figure.pixel(domain))
    d = points(figure, ".cf-ellipse-b", domain) - w
    levels = torch.einsum("ni,ij,nj->n", d, torch.linalg.inv(B), d)
    assert (levels.std() / levels.mean()) < 0.1  # a drawn point is exact to 0.05 pixels
    x, y = d.T
    assert ((x * y.roll(-1) - y * x.roll(-1)).sum() / 2).abs() == pytest.approx(
        torch.pi * fig.spec["size"] ** 2, rel=0.02
    )


def test_its_numbers_are_those_of_the_formulas_on_a_quadratic(show):
    (figure,) = show(SecantEllipse(**QUADRATIC)).figures
    assert_right(figure, quadratic)
    for name, where in (("xi", 0.0), ("step", 0.0), ("condition_number", 0.3), ("step", 1 / 6), ("angle", 0.8)):
        assert_right(figure.move(name, where), quadratic)


def test_its_numbers_are_those_of_the_formulas_on_rosenbrock(show):
    (figure,) = show(SecantEllipse(**BENT)).figures
    for step in (8, 3):
        assert_right(figure.move("step", step / 36), rosenbrock)


def test_where_the_curvature_is_negative_there_is_no_ellipse(show):
    (figure,) = show(SecantEllipse(**BENT)).figures
    path = there(figure, rosenbrock).path
    found = set()
    for step in range(9):
        figure.move("step", step / 36)
        curved = bool(eigenvalues(inverse_hessian(rosenbrock, path[step]))[0] > 0)
        found.add(curved)
        assert bool(figure.host.locator(".cf-ellipse-h").get_attribute("d")) == curved
        assert (
            ("no ellipse" in figure.alt()[0])
            == ("no ellipse" in figure.host.locator(".cf-no-ellipse").text_content())
            == (not curved)
        )
    assert found == {True, False}


def test_the_dashed_ellipse_is_the_inverse_hessians_and_both_agree_at_the_end(show):
    (figure,) = show(SecantEllipse(**QUADRATIC)).figures
    first = [points(figure, f".cf-ellipse-{name}", DOMAINS[quadratic]) for name in "bh"]
    assert (first[0] - first[1]).norm(dim=1).max() > 0.05
    figure.move("step", 1 / 3)
    last = [points(figure, f".cf-ellipse-{name}", DOMAINS[quadratic]) for name in "bh"]
    assert (last[0] - last[1]).norm(dim=1).max() < figure.pixel(DOMAINS[quadratic])


def test_the_search_is_chosen_by_buttons_and_reset_brings_all_back(show):
    (figure,) = show(SecantEllipse(**QUADRATIC)).figures
    labels = "nodes => nodes.map((node) => node.getAttribute('aria-label'))"
    first = figure.host.locator("svg").evaluate_all(labels)
    figure.host.get_by_role("button", name="Wolfe search").click()
    figure.settle()
    assert "Wolfe search" in figure.alt()[0] and there(figure, quadratic).search == "Wolfe"
    assert_right(figure, quadratic)
    for name in ("xi", "condition_number", "angle", "step"):
        figure.move(name, 0.6)
    figure.page.evaluate("models[0].set('start', [1, 1])")
    figure.settle().host.get_by_role("button", name="Reset").click()
    figure.settle()
    assert figure.host.locator("svg").evaluate_all(labels) == first


def test_the_ring_by_mouse_and_by_keys(show):
    (figure,) = show(SecantEllipse(**QUADRATIC)).figures
    x, y = figure.ring_center()
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x + 60, y + 30, steps=4)
    figure.page.mouse.up()
    assert figure.settle().ring_center() == pytest.approx((x + 60, y + 30), abs=2)
    assert_right(figure, quadratic)
    before = there(figure, quadratic).start
    for key in ("ArrowRight", "Shift+ArrowUp"):
        figure.ring.press(key)
    figure.settle()
    assert there(figure, quadratic).start == pytest.approx([before[0] + 5 / 200, before[1] + 5 / 20], abs=0.02)
    figure.slider("step").press("ArrowRight")
    assert there(figure.settle(), quadratic).step == 2


def test_nothing_jumps_and_a_phone_is_wide_enough(show):
    for settings in (QUADRATIC, BENT):
        for width in (900, 390):
            (figure,) = show(SecantEllipse(**settings), viewport={"width": width, "height": 1100}).figures
            parts, place = (
                "[...node.querySelectorAll('svg, label, button, .cf-result, p')]",
                "const b = n.getBoundingClientRect(); return [b.x, b.y, b.width, b.height];",
            )
            box = f"node => JSON.stringify({parts}.map((n) => {{ {place} }}))"
            before = figure.host.evaluate(box)
            for name in ("xi", "step"):
                for where in (0, 0.5, 1):
                    assert figure.move(name, where).host.evaluate(box) == before, f"{name} at {where}, {width} px wide"
            assert figure.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_redraw_is_short(show):
    (figure,) = show(SecantEllipse(**BENT)).figures
    spent = figure.page.evaluate(
        """async () => {
          const frame = () => new Promise((done) => requestAnimationFrame(() => {
            const t = performance.now();
            setTimeout(() => done(performance.now() - t));
          }));
          const times = [];
          for (let k = 0; k < 30; k++) { models[0].set('start', [-1.2 + k / 50, 1]); times.push(await frame()); }
          return times.sort((a, b) => a - b)[15];
        }"""
    )
    assert spent < 16
