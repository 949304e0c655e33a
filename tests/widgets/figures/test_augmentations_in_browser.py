"""Augmentations in a browser: the pixels that it paints are Python's, every change alone and all together."""

import base64

import torch

from course_lib.widgets import Augmentations
from course_lib.widgets.figures.augmentations import HEIGHT, SLIDERS, WIDTH

PIXELS = """canvas => {
  const bytes = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""
ALL = {
    "right": 7, "down": -4, "degrees": 20, "factor": 1.3, "stretch": 0.8, "shear": -12, "k": 0.2, "brightness": 1.2,
    "contrast": 1.4, "color1": -0.2, "color2": 1.5, "noise": 0.1, "cutout": 25,
}  # fmt: skip


def painted(figure) -> torch.Tensor:
    """The bytes of the second picture, (3, height, width)."""
    data = torch.frombuffer(
        bytearray(base64.b64decode(figure.host.locator("canvas").nth(1).evaluate(PIXELS))), dtype=torch.uint8
    )
    return data.view(HEIGHT, WIDTH, 4)[..., :3].movedim(-1, 0)


def assert_painted(figure, fig):
    """Rounding a value that lies halfway between two bytes may go either way."""
    expected = (255 * fig.result).clamp(0, 255)
    assert (painted(figure) - expected).abs().max() <= 0.501


def test_each_change_paints_what_its_formula_says(show):
    figure, still = show(Augmentations()).figures[0], Augmentations()
    assert_painted(figure, still)
    for name, value in (ALL | {"mirrored": 1}).items():
        fig = Augmentations(**{name: value})
        assert (fig.result - still.result).abs().max() > 0.05
        values = {name: getattr(fig, name) for name in (*SLIDERS, "mirrored")}
        figure.page.evaluate("values => Object.entries(values).forEach(([k, x]) => models[0].set(k, x))", values)
        assert_painted(figure.settle(), fig)


def test_all_changes_together(show):
    fig = Augmentations(**ALL, mirrored=1, u=0.3, v=0.8, seed=12)
    figure = show(fig).figures[0]
    assert_painted(figure, fig)
    assert figure.results()["black, from outside"] == (f"{100 * fig.outside:.1f}%", "")


def test_sliders_buttons_and_reset(show):
    figure = show(Augmentations(degrees=30)).figures[0]
    names = [*SLIDERS, "mirrored", "u", "v", "seed"]
    there = lambda: dict(
        zip(names, figure.page.evaluate("names => names.map((k) => models[0].get(k))", names), strict=True)
    )
    figure.move("shear", 0.9)
    assert_painted(figure, Augmentations(**there()))
    figure.host.get_by_role("button", name="Draw two").click()
    figure.settle()
    drawn = there()
    changed = [name for name, (_, still, *_) in SLIDERS.items() if drawn[name] != still]
    assert 1 <= len(changed) + drawn["mirrored"] <= 4
    assert_painted(figure, Augmentations(**drawn))
    figure.host.get_by_role("button", name="Draw all").click()
    figure.settle()
    assert_painted(figure, Augmentations(**there()))
    figure.host.get_by_role("button", name="flipped").click()
    figure.settle()
    assert there()["mirrored"] == 1 and figure.host.locator("[aria-pressed=true]").inner_text() == "flipped"
    figure.host.get_by_role("button", name="Reset").click()
    figure.settle()
    assert there()["degrees"] == 30 and there()["shear"] == there()["mirrored"] == 0
    words = figure.host.locator("canvas").nth(1).get_attribute("aria-label")
    assert "rotate 30." in words


def test_a_redraw_is_quick(show):
    """Below 30 ms on a quiet core; three times that leaves room for what else a machine does."""
    figure = show(Augmentations(**ALL)).figures[0]
    took = figure.page.evaluate(
        """async () => { const times = [];
        for (let k = 0; k < 12; k++) {
          const begin = performance.now(); models[0].set("degrees", k);
          await new Promise((done) => requestAnimationFrame(() => { const start = performance.now(); setTimeout(() => done(start)); })).then(() => times.push(performance.now() - begin));
        } return times.sort((a, b) => a - b)[2]; }"""
    )
    assert took < 90
