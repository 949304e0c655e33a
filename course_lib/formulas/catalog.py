"""All rules with their labels, colors, groups and tolerances, from the catalog at the end of each file of rules.

Exports, sliders' labels, the colors of figures and plots, the race's groups and the tests' tables follow from it.
"""

from collections.abc import Callable

from course_lib.formulas import matrices, second_order
from course_lib.formulas.entry import HEADINGS, Entry
from course_lib.formulas.rules import adaptive, beyond, decay, descent
from course_lib.formulas.signature import signature


def _by_name(*files) -> dict[str, Callable]:
    return {rule.__name__: rule for file in files for rule in file.CATALOG}


RULES = _by_name(descent, decay, adaptive, beyond)
SECOND_ORDER = _by_name(second_order)
MATRIX_RULES = _by_name(matrices)

CATALOG: dict[str, Entry] = {
    rule.__name__: entry
    for file in (descent, decay, adaptive, beyond, second_order, matrices)
    for rule, entry in file.CATALOG.items()
}


GROUPS = {
    heading: [rule for name, rule in (RULES | SECOND_ORDER).items() if CATALOG[name].group == heading]
    for heading in HEADINGS
}


def color(rule: Callable | str, *, dark: bool = False) -> str:
    """The rule's color in the whole course, as #rrggbb; a static plot in it follows the page's theme.

    Raises ValueError for a rule that is not in the catalog.
    """
    name = rule if isinstance(rule, str) else signature(rule).name
    if name not in CATALOG:
        raise ValueError(f"{name} has no color in the catalog. These have one: {', '.join(CATALOG)}.")
    return CATALOG[name].dark if dark else CATALOG[name].color
