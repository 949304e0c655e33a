"""Figures that a reader can move. Every Figure that a module in `figures` defines can be imported from here."""

import importlib

from course_lib.widgets.kit.bundle import FOLDER, scripts
from course_lib.widgets.kit.figure import Figure


def _figures() -> dict[str, type[Figure]]:
    """The class of each pair x.py and x.js, by its name."""
    found = {}
    for path in scripts().values():
        name = ".".join((__name__, *path.relative_to(FOLDER).with_suffix("").parts))
        classes = vars(importlib.import_module(name)).items()
        found |= {
            key: x for key, x in classes if isinstance(x, type) and issubclass(x, Figure) and x.__module__ == name
        }
    return found


globals().update(_figures())
__all__ = ["Figure", *_figures()]
