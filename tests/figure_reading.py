"""How a test reads a figure in a page: its sliders, its numbers, and its paths in the surface's own coordinates."""

import json
import re

import torch
from playwright.sync_api import Locator

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def show(x: float) -> str:
    """A measured number as a figure writes it: three significant digits, powers of ten where zeros would have to be counted."""
    if x == 0:
        return "0"
    if 1e-3 <= abs(x) < 1e5:
        text = f"{x:#.3g}" if abs(x) < 1000 else f"{x:.0f}"
        return text.rstrip(".").replace("-", "−")
    mantissa, exponent = f"{x:.1e}".split("e")
    return f"{mantissa.replace('-', '−')}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


class Shown:
    """A mounted figure in a page."""

    def __init__(self, host: Locator):
        self.host, self.page = host, host.page

    def settle(self) -> "Shown":
        """Waits until what was changed is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self

    def press_at_once(self, place: Locator, *keys: str) -> "Shown":
        """Presses these keys with no frame drawn in between, as a held key does on a slow machine."""
        strike = "(node, keys) => keys.forEach((key) => node.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })))"
        place.evaluate(strike, list(keys))
        return self.settle()

    def slider(self, name: str) -> Locator:
        return self.host.locator(f"input[name={name}]")

    def value(self, name: str) -> float:
        """The number beside a slider."""
        return float(self.host.locator(f"label:has(input[name={name}]) output").inner_text().replace("−", "-"))

    def move(self, name: str, place: float) -> "Shown":
        """Moves a slider to a place from 0 to 1 as a script does, with the event that a hand would make."""
        self.slider(name).evaluate(
            "(node, place) => { node.value = Math.round(place * node.max); node.dispatchEvent(new Event('input')); }",
            place,
        )
        return self.settle()

    def press(self, name: str, place: float) -> "Shown":
        """Presses the mouse on a slider's track, at a place from 0 to 1."""
        box = self.slider(name).bounding_box()
        self.page.mouse.click(box["x"] + 8 + place * (box["width"] - 16), box["y"] + box["height"] / 2)
        return self.settle()

    @property
    def ring(self) -> Locator:
        return self.host.locator(".cf-start").first  # a map's own comes before that of the plot beside it

    def ring_center(self) -> tuple[float, float]:
        box = self.ring.locator(".cf-ring").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def results(self) -> dict[str, tuple[str, str]]:
        """The large numbers: by label, the number and the words beside it."""
        rows = self.host.locator(".cf-result:visible").all()
        texts = [[part.inner_text() for part in row.locator("> span").all()] for row in rows]
        return {label: (number, unit) for label, number, unit, *_ in texts}

    def alt(self) -> list[str]:
        """The text alternatives of the plots."""
        return self.host.locator("svg[aria-label]").evaluate_all(
            "nodes => nodes.map((node) => node.getAttribute('aria-label'))"
        )

    def paths(self, domain=None) -> list[torch.Tensor]:
        """What is drawn on the contours, (points, 2) each, in the surface's coordinates."""
        (x0, x1), (y0, y1) = domain or self._domain
        back = self.host.locator(".cf-back")
        width, height = (float(back.get_attribute(side)) for side in ("width", "height"))
        lines = self.host.locator(".cf-contour-plot .cf-path").evaluate_all(
            "nodes => nodes.map((node) => node.getAttribute('d'))"
        )
        pixels = [
            torch.tensor([float(x) for x in re.findall(r"-?[\d.]+", d or "")], dtype=torch.float64).reshape(-1, 2)
            for d in lines
        ]
        scale, origin = (
            torch.tensor(pair, dtype=torch.float64) for pair in ([(x1 - x0) / width, (y0 - y1) / height], [x0, y1])
        )
        return [points * scale + origin for points in pixels]

    def pixel(self, domain=None) -> float:
        """A pixel of the contour plot in the surface's coordinates."""
        (x0, x1), _ = domain or self._domain
        return (x1 - x0) / float(self.host.locator(".cf-back").get_attribute("width"))

    _domain = ((-2.5, 2.5), (-1.6, 1.6))  # the quadratic's


def payloads(html: str) -> list[dict]:
    """What a page carries for its figures: each one's name, text alternative and state."""
    texts = re.findall(
        r'<div class="course-figure"[^>]*><script type="application/json">(.*?)</script>', html, re.DOTALL
    )
    return [json.loads(text) for text in texts]
