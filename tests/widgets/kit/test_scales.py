"""One scale for Python and JavaScript: what JavaScript has is what Python prints, and both lead back to where they began."""

import pytest
import torch

from course_lib.widgets.kit.scales import SCALES, SCRIPT, script

VALUES = {"linear": (-90.0, 0.0, 3.5), "log": (1e-12, 0.1, 1e6), "decay": (0.0, 0.9, 0.999999)}


def test_the_script_is_what_python_prints():
    printed = "PYTHONPATH=. python course_lib/widgets/kit/scales.py"
    assert SCRIPT.read_text("utf8") == script(), f"scales.py has changed. Print it again: {printed}"


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_leads_back(name):
    to, back = SCALES[name]
    values = torch.tensor(VALUES[name], dtype=torch.float64)
    assert back(to(values)) == pytest.approx(values, rel=1e-9, abs=1e-12)
    assert (to(values).diff() > 0).all()
