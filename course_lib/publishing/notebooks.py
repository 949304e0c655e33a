"""The published notebooks: a page's notebook with a set-up cell in front that installs the library from the site."""

from importlib.metadata import version
from pathlib import Path

import nbformat

# Outside the course's own environment only these are missing in Colab, at the versions the book is tested with.
BROUGHT = ("anywidget", "psygnal")

SET_UP = """\
# Set-up: installs the course's library where it is missing. Colab already has everything else.
import importlib.util
if importlib.util.find_spec("course_lib") is None:
    %pip install -q --no-deps {packages}
import course_lib, torch
device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
print(f"course_lib {{course_lib.__version__}}, torch {{torch.__version__}}, {{device}}")"""


def set_up_cell(wheel: str) -> nbformat.NotebookNode:
    """The cell that installs `wheel`, an address or a path, and what Colab lacks, without touching anything else."""
    packages = " ".join([wheel, *(f"{name}=={version(name)}" for name in BROUGHT)])
    metadata = {"tags": ["nbval-ignore-output"]}  # what it prints depends on the machine
    return nbformat.v4.new_code_cell(SET_UP.format(packages=packages), id="set-up", metadata=metadata)


def publish(source: Path, target: Path, wheel: str) -> None:
    """Writes to `target` the notebook `source` with the set-up cell for `wheel` in front; everything else stays."""
    notebook = nbformat.read(source, as_version=4)
    notebook.cells.insert(0, set_up_cell(wheel))
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
