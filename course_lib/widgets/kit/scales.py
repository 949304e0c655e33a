"""The scales of sliders and maps: how a value is stretched before it is spread evenly, and back; what JavaScript has is printed from here."""

from collections.abc import Callable
from pathlib import Path

import torch

from course_lib.backends import javascript

SCRIPT = Path(__file__).with_name("scales.js")

# "decay" is logarithmic in 1 - x, for averages whose memory is 1 / (1 - x).
SCALES: dict[str, tuple[Callable, Callable]] = {
    "linear": (torch.clone, torch.clone),
    "log": (torch.log, torch.exp),
    "decay": (lambda x: -torch.log(1 - x), lambda z: 1 - torch.exp(-z)),
}


def script() -> str:
    """The text of scales.js: for each scale the functions `…_to` and `…_back`."""
    parts = ["// Printed by `PYTHONPATH=. python course_lib/widgets/kit/scales.py`; do not edit.\n"]
    for name, (to, back) in SCALES.items():
        parts += [javascript.of(lambda x, f=f: f(x), f"{name}_{way}", x=()) for way, f in (("to", to), ("back", back))]
    return "\n".join(parts)


if __name__ == "__main__":
    SCRIPT.write_text(script(), "utf8")
