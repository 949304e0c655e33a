"""A published notebook runs on a machine like Colab's: the usual packages, no course_lib, and the site to install it from."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from course_lib.publishing.site import ROOT, write_site

COLAB = ("torch", "numpy", "matplotlib", "ipywidgets", "scikit-learn", "numba", "tqdm", "cloudpickle")
TO_TEST = ("nbval", "pytest", "ipykernel")


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """`colab(*command)` runs Python with `command` in a fresh environment, in an empty folder, and returns what it did."""
    folder, work = tmp_path_factory.mktemp("colab"), tmp_path_factory.mktemp("content")
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "COURSE_BOOK")
    }

    def python(*command: str | Path, cwd: Path = work) -> subprocess.CompletedProcess:
        return subprocess.run(
            [folder / "bin" / "python", *command],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
        )

    pins = re.findall(r"^\S+==[^\s;]+", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    (work / "pins.txt").write_text("\n".join(pins))
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=500)
    done = python("-m", "pip", "install", "--quiet", "--no-compile", "--constraint", "pins.txt", *COLAB, *TO_TEST)
    assert done.returncode == 0, done.stderr
    return python


def packages(colab) -> dict[str, str]:
    """What is installed there: versions by name."""
    listed = json.loads(colab("-m", "pip", "list", "--format=json").stdout)
    return {package["name"].replace("_", "-").lower(): package["version"] for package in listed}


@pytest.mark.timeout(600)
def test_a_published_notebook_runs_in_colab(colab, built_book, serve, tmp_path, monkeypatch):
    site, content = tmp_path / "site", tmp_path / "content"
    address = serve(site)
    monkeypatch.setenv("COURSE_SITE", address)
    write_site(site)
    content.mkdir()
    notebook, _ = urllib.request.urlretrieve(f"{address}/notebooks/basics/momentum.ipynb", content / "momentum.ipynb")

    before = packages(colab)
    assert "course-lib" not in before
    done = colab("-m", "pytest", "--nbval", notebook, cwd=content)
    assert done.returncode == 0, done.stdout
    after = packages(colab)
    assert {name for name in after if after[name] != before.get(name)} == {"course-lib", "anywidget", "psygnal"}
    assert before.keys() <= after.keys()
