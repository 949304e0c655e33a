"""CONTRIBUTING's "Add an optimizer in ten minutes", followed to the letter in a copy of the library."""

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = (
    "tests/references.py",
    "tests/formulas/test_optimizers.py",
    "tests/formulas/test_catalog.py",
    "pyproject.toml",
)
USES = """
import pytest
import torch

from course_lib.backends import javascript
from course_lib.backends.recurrence import trace_descent
from course_lib.experiments import Optimizer, sweep
from course_lib.formulas import *
from course_lib.formulas import RULES, catalog
from course_lib.publishing import matplotlib_svg
from course_lib.widgets import Descent, Race
from course_lib.widgets.kit.bundle import style

assert RULES["adabelief"] is adabelief
assert catalog.GROUPS["beyond the lecture"][-1] is adabelief

fig = Race([adabelief, adam], [quadratic], steps=20)
assert fig.spec["groups"][-1] == {"title": "beyond the lecture", "rules": ["adabelief"]}
assert fig.spec["rules"]["adabelief"]["label"] == "AdaBelief"
assert fig.spec["rules"]["adabelief"]["color"] == "var(--cf-rule-adabelief)"
assert style().count("--cf-rule-adabelief: " + color(adabelief)) == 1
assert style().count("--cf-rule-adabelief: " + color(adabelief, dark=True)) == 1
assert matplotlib_svg.COLORS[color(adabelief)] == f"var(--cf-rule-adabelief, {color(adabelief)})"
assert Descent(adabelief, quadratic).spec["title"] == "AdaBelief on quadratic"

ends = sweep(adabelief, quadratic, (-2.2, 1.2), 20, lr=[0.01, 0.1], keep="end")
assert ends.isfinite().all() and ends[1].norm() < ends[0].norm()
assert "export function run" in javascript.loop("run", trace_descent(adabelief, quadratic))

w = torch.nn.Parameter(torch.tensor([-2.2, 1.2], dtype=torch.float64))
optimizer = Optimizer([w], adabelief, lr=0.1)
for _ in range(20):
    optimizer.zero_grad()
    quadratic(w).backward()
    optimizer.step()
torch.testing.assert_close(w.detach(), ends[1], rtol=1e-12, atol=1e-12)

tests = ["tests/formulas/test_optimizers.py", "tests/formulas/test_catalog.py"]
chosen = "adabelief or reference or own_name or color or legible"
raise SystemExit(pytest.main(["-q", "-n0", "-p", "no:cacheprovider", "-k", chosen, *tests]))
"""


def blocks() -> list[str]:
    """The Python code of the section, block by block."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf8")
    section = text.split("## Add an optimizer in ten minutes\n")[1].split("\n## ")[0]
    return [
        textwrap.dedent(code).strip("\n") for code in re.findall(r"^ *```python\n(.*?)^ *```$", section, re.M | re.S)
    ]


@pytest.fixture
def copy(tmp_path):
    """A copy of the library and of the tests that the section names."""
    shutil.copytree(
        ROOT / "course_lib", tmp_path / "course_lib", ignore=shutil.ignore_patterns("__pycache__", "mathjax")
    )
    for name in COPIED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests" / "conftest.py").touch()  # puts tests/ on the path, where references.py is
    return tmp_path


@pytest.mark.timeout(600)  # a new process that traces and steps the rule, and runs its rows of the tables
def test_the_section_adds_a_rule(copy):
    formula, entry, reference = blocks()
    rules, references = copy / "course_lib/formulas/rules/beyond.py", copy / "tests/references.py"
    above, catalog, below = rules.read_text("utf8").partition("CATALOG = {\n")
    lines, end, rest = below.partition("\n}\n")
    rules.write_text(f"{above}{formula}\n\n\n{catalog}{lines}\n    {entry}{end}{rest}", "utf8")
    references.write_text(f"{references.read_text('utf8')}\n\n{reference}\n", "utf8")

    done = subprocess.run([sys.executable, "-c", USES], cwd=copy, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (passed := re.search(r"(\d+) passed", done.stdout)) and int(passed[1]) >= 30


def test_its_lines_fit_the_page():
    assert [line for line in blocks()[0].splitlines() if len(line) > 80] == []
