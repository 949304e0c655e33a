"""The base of all figures: live where there is a kernel, computed by the page itself where there is none."""

import json
import math
from typing import Any

import anywidget
import traitlets

from course_lib.experiments.environment import in_book
from course_lib.widgets.kit.bundle import bundle, scripts, style

PACKAGE = "course_lib.widgets.figures."
MIME = "application/vnd.course-figure+json"


class Figure(anywidget.AnyWidget):
    """A figure whose state is its synchronized traits and whose drawing is the script beside the module of its class.

    In a book build it opens no channel to a front end; it puts its state in the page, where the same script draws it.
    """

    _esm = bundle()
    _css = style()
    figure = traitlets.Unicode().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)  # what the drawing needs to know besides, for good
    code = traitlets.Unicode().tag(sync=True)  # the traced programs that the drawing calls

    @traitlets.default("figure")
    def _script_of_the_class(self) -> str:
        names = (c.__module__.rpartition(".")[2] for c in type(self).__mro__ if c.__module__.startswith(PACKAGE))
        return next((name for name in names if name in scripts()), "")

    def __setattr__(self, name: str, value) -> None:
        """Raises AttributeError for a public name that the figure does not have: a misspelled one would change nothing."""
        if not name.startswith("_") and not hasattr(type(self), name):
            hidden = set(anywidget.AnyWidget.class_traits()) | {"figure", "spec", "code", "shader"}
            names = [key for key in self.traits(sync=True) if key not in hidden and not key.startswith("_")]
            raise AttributeError(f"{type(self).__name__} has no `{name}` to set. It has {', '.join(names)}.")
        super().__setattr__(name, value)

    def open(self) -> None:
        """Open the channel to the front end; in a book build there is none to open."""
        if not in_book():
            super().open()

    @property
    def alt(self) -> str:
        """What the figure shows, in words: for readers who can't see it, and wherever scripts don't run."""
        raise TypeError(f"{type(self).__name__} has no text alternative. Define the property `alt`.")

    def page_state(self) -> dict[str, Any]:
        """The state that a page needs: every synchronized trait but anywidget's own. Numbers that JSON lacks become None."""
        own = set(self.traits(sync=True)) - set(anywidget.AnyWidget.class_traits())
        return {name: _plain(getattr(self, name)) for name in sorted(own) if not name.startswith("_")}

    def _repr_mimebundle_(self, **kwargs):
        if in_book():
            state = json.dumps(self.page_state())  # text: what stores a notebook may sort the keys of a dictionary
            return {"text/plain": self.alt, MIME: {"figure": self.figure, "alt": self.alt, "state": state}}, {}
        return super()._repr_mimebundle_(**kwargs)


def _plain(value):
    """Without NaN and infinities, which leave a kernel as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
