"""The section of CONTRIBUTING.md on figures, followed by its own words in a copy of the course: what it adds is shown and tested."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?:python|js)\n(?:#|//) (\S+)\n(.*?)^```$", re.M | re.S)
LEFT_OUT = shutil.ignore_patterns(
    "node_modules", "__pycache__", "mathjax", "book", "backends", "exercises", "experiments"
)


def blocks() -> dict[str, str]:
    """The files that the section shows, by their paths."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf8")
    section = text.partition("## Add a figure\n")[2].partition("\n## ")[0]
    return dict(BLOCK.findall(section))


@pytest.fixture
def copy(tmp_path) -> Path:
    """The library and its tests in another folder, with the section's files written into it."""
    shutil.copytree(ROOT / "course_lib", tmp_path / "course_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=LEFT_OUT)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if (modules := ROOT / "tests" / "node_modules").exists():
        (tmp_path / "tests" / "node_modules").symlink_to(modules)
    for name, text in blocks().items():
        assert not (tmp_path / name).exists()
        (tmp_path / name).write_text(text, "utf8")
    return tmp_path


def test_the_section_adds_a_pair_and_its_test():
    names = list(blocks())
    assert names == [
        "course_lib/widgets/figures/memory.py",
        "course_lib/widgets/figures/memory.js",
        "tests/widgets/figures/test_memory_in_browser.py",
    ]
    lines = [len([line for line in text.splitlines() if line.strip()]) for text in blocks().values()]
    assert lines[0] <= 25 and lines[1] <= 32


@pytest.mark.timeout(300)
def test_a_figure_is_added_as_the_section_says(copy, browser):
    """`browser` is asked for so that this is skipped, or fails, where there is none."""
    tests = ["tests/widgets/figures/test_memory_in_browser.py", "tests/widgets/test_every_figure.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *tests, "-k", "memory or Memory"]
    env = os.environ | {"PYTHONPATH": str(copy), "COURSE_CACHE": str(copy / "cache")}
    done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\b7 passed", done.stdout), done.stdout[-500:]
