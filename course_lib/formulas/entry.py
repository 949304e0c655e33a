"""What a rule's line in the catalog says of it."""

from dataclasses import dataclass

HEADINGS = ("first order", "second order", "beyond the lecture")


@dataclass(frozen=True)
class Entry:
    """A rule's `label` in words, its `color` on a light page and on a `dark` one, as #rrggbb.

    `group` is the heading under which Race lists it, one of HEADINGS; None for a rule that races only when it is asked for.
    `float32` is how far two machines may deviate in single precision (course_lib.experiments.tolerances measures it);
    None where nothing is promised. Raises ValueError for another group.
    """

    label: str
    color: str
    dark: str
    group: str | None = None
    float32: float | None = None

    def __post_init__(self):
        if self.group not in (None, *HEADINGS):
            raise ValueError(f"{self.label}'s group must be one of {', '.join(HEADINGS)}, or None; got {self.group!r}.")
