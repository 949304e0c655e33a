"""How a test reads a map in a page: its pixels, its ring and its ranges; and browsers that lack what graphics need."""

import base64

import numpy as np
import torch
from figure_reading import Shown
from playwright.sync_api import Locator

_NO_GRAPHICS = "const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = function (kind, ...more) { return kind === 'webgl2' ? null : get.call(this, kind, ...more); };"

# What is run before a page's scripts, and the machine that then computes the map.
WITHOUT_GRAPHICS = {
    "no WebGL2": (_NO_GRAPHICS, "worker"),
    "no float textures": ("WebGL2RenderingContext.prototype.getExtension = () => null;", "worker"),
    "no workers": (_NO_GRAPHICS + "delete window.Worker;", "page"),
    "workers that fail": (
        _NO_GRAPHICS
        + "const Old = Worker; window.Worker = class extends Old { constructor() { super(URL.createObjectURL(new Blob(['throw new Error(\"no\")']))); } };",
        "page",
    ),
}
NOTES = {
    "worker": "The map is computed in JavaScript, with fewer pixels.",
    "page": "The map is computed slowly, with few pixels.",
}

_TEXT = """let text = "";
  for (let k = 0; k < bytes.length; k += 8192) text += String.fromCharCode(...bytes.subarray(k, k + 8192));
  return [btoa(text), columns, rows]; }"""
_READ = "(box) => { const { floats, columns, rows } = box.state.picture, bytes = new Uint8Array(floats.buffer);" + _TEXT
_READ_COLORS = (
    "(c) => { const [columns, rows] = [c.width, c.height];"
    "const bytes = c.getContext('2d').getImageData(0, 0, columns, rows).data;" + _TEXT
)


def plot(figure: Shown) -> Locator:
    return figure.host.locator(".cf-map-plot")


def at_rest(figure: Shown) -> Shown:
    """Waits until all pixels are computed."""
    figure.settle()
    figure.page.wait_for_function("(box) => box.state.idle", arg=plot(figure).element_handle())
    return figure.settle()


def state(figure: Shown, name: str):
    """What the map's painter says of itself: its `machine`, its number of `pixels`, its `picture`."""
    return plot(figure).evaluate("(box, name) => box.state[name]", name)


def results(figure: Shown) -> tuple[torch.Tensor, ...]:
    """The four results of each pixel, (rows, columns) each, the first row at the low end of y."""
    text, columns, rows = plot(figure).evaluate(_READ)
    return (
        torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype=np.float32).copy())
        .reshape(rows, columns, 4)
        .unbind(-1)
    )


def colors(figure: Shown) -> torch.Tensor:
    """The red, green, blue and opacity of each pixel, (rows, columns, 4), in the order of `results`."""
    text, columns, rows = figure.host.locator("canvas").evaluate(_READ_COLORS)
    values = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return torch.from_numpy(values.astype(np.int64)).reshape(rows, columns, 4).flip(0)


def traits(figure: Shown, *names: str) -> list:
    return figure.page.evaluate("(names) => names.map((name) => models[0].get(name))", list(names))


def follow(figure: Shown, fig):
    """`fig` with what the page's model has now."""
    names = list(fig.spec["initial"])
    for name, value in zip(names, traits(figure, *names), strict=True):
        setattr(fig, name, value)
    return fig


def view(figure: Shown) -> list[list[float]]:
    return traits(figure, "x_range", "y_range")


def center(figure: Shown, u: float = 0.5, v: float = 0.5) -> tuple[float, float, dict]:
    """The place on the screen at shares of both axes, and the box of the plot."""
    box = plot(figure).locator(".cf-glass").bounding_box()
    return box["x"] + u * box["width"], box["y"] + (1 - v) * box["height"], box
