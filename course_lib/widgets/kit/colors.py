"""Each rule's color from the catalog to the page: CSS variables for figures and static plots, and references to them."""

from course_lib.formulas.catalog import CATALOG

LIGHT = ".cf, .course-plot"
DARK = 'html[data-theme="dark"] .cf, html[data-theme="dark"] .course-plot, [data-jp-theme-light="false"] .cf'


def rule_color(name: str, k: int = 0) -> str:
    """The color of the rule `name` as CSS: its own in the whole course, or the figure's k-th for a reader's rule."""
    return f"var(--cf-rule-{name})" if name in CATALOG else f"var(--cf-own-{k % 4})"


def rule_colors() -> str:
    """The style sheet that gives figures and static plots a variable --cf-rule-NAME for each rule, by the page's theme."""
    variables = lambda shade: "".join(f"  --cf-rule-{name}: {getattr(x, shade)};\n" for name, x in CATALOG.items())
    return (
        f"\n/* the rules, from the catalog */\n{LIGHT} {{\n{variables('color')}}}\n{DARK} {{\n{variables('dark')}}}\n"
    )
