"""The rules' colors in the page: each is a variable in both themes, and no figure asks for one that is not there."""

import re

import pytest

from course_lib.formulas import CATALOG, color
from course_lib.widgets.kit.bundle import FOLDER, STYLE, style
from course_lib.widgets.kit.colors import DARK, LIGHT, rule_color, rule_colors


@pytest.mark.parametrize(("selector", "dark"), [(LIGHT, False), (DARK, True)])
def test_every_rule_has_its_variable_in_both_themes(selector, dark):
    block = rule_colors().split(f"\n{selector} {{\n")[1].split("}")[0]
    assert dict(re.findall(r"--cf-rule-(\w+): (#\w+);", block)) == {name: color(name, dark=dark) for name in CATALOG}
    assert rule_colors() in style()


def test_the_catalog_is_the_only_place_for_a_rules_color():
    assert re.findall(r"--cf-rule-\w+\s*:", STYLE.read_text("utf8")) == []


def test_figures_ask_only_for_rules_of_the_catalog():
    files = [path for end in ("js", "css") for path in FOLDER.rglob(f"*.{end}") if "vendor" not in path.parts]
    asked = {(path.name, name) for path in files for name in re.findall(r"--cf-rule-(\w+)", path.read_text("utf8"))}
    assert {name for _, name in asked} & set(CATALOG) and [x for x in sorted(asked) if x[1] not in CATALOG] == []


def test_a_readers_rule_has_the_figures_own_color():
    assert rule_color("adam") == rule_color("adam", 3) == "var(--cf-rule-adam)"
    assert [rule_color(name, 5) for name in ("mine", "<lambda>")] == ["var(--cf-own-1)"] * 2
