"""DecayMap with a kernel: the cell that is nearest, its losses as recorded, and settings that no map can show."""

import math
import re

import pytest
import traitlets

from course_lib.experiments.studies import decay_map
from course_lib.widgets import DecayMap
from course_lib.widgets.decay_map import LABELS, PAIRS

RECORDED = {name: decay_map.read_recorded(name) for name in decay_map.MAPS}


@pytest.mark.parametrize("pair", PAIRS)
def test_the_losses_are_those_of_the_nearest_cell(pair):
    one, other = (RECORDED[name] for name in PAIRS[pair][1])
    assert (one["rates"], one["decays"]) == (other["rates"], other["decays"])  # so one cross hair serves both maps
    fig = DecayMap(pair)
    for i, j in ((0, 0), (3, 9), (7, 15)):
        fig.lr, fig.decay = one["rates"][i] * 1.2, one["decays"][i][j] / 1.2
        assert fig.cell == (i, j)
        assert fig.losses == {LABELS[found["rule"]]: found["val"][i][j][-1] for found in (one, other)}


def test_a_setting_outside_the_map_is_shown_at_its_edge():
    assert DecayMap(lr=1e-9, decay=1e-30).cell == (0, 0)
    assert DecayMap(lr=100.0, decay=1e30).cell == (7, 15)


def test_the_text_alternative_states_slopes_and_losses():
    fig = DecayMap("adam", lr=0.01, decay=2.15)
    powers = ["{:.2f} ± {:.2f}".format(*decay_map.slope(RECORDED[name])) for name in ("adamw", "adam_l2")]
    ends = [RECORDED[name]["val"][3][10][-1] for name in ("adamw", "adam_l2")]
    assert fig.alt == (
        "Two maps of the validation loss of real networks over weight decay and learning rate, Adam. The best decay for each rate, "
        f"AdamW: decay ∝ rate to the power {powers[0]}, theory says -1; Adam + L2: decay ∝ rate to the power {powers[1]}, theory says -2. "
        f"At learning rate 0.01 and decay 2.15: AdamW {ends[0]:.3g}, Adam + L2 {ends[1]:.3g}."
    )
    assert "AdamW diverged" in DecayMap("plain", lr=0.2, decay=10.0).alt


def test_what_a_page_gets_is_small_and_can_be_drawn_on_logarithmic_axes():
    for pair in DecayMap().spec["pairs"].values():
        for shown in pair["maps"]:
            assert shown["steps"][0] > 0
            assert all(
                len(cell) == len(shown["steps"]) for key in ("val", "norm") for row in shown[key] for cell in row
            )
            assert all(x is None or 0 < x < math.inf for row in shown["valley"] for x in [row])


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.0), ("lr", -1.0), ("decay", 0.0), ("decay", math.inf), ("lr", math.nan)]
)
def test_a_setting_that_has_no_place_is_named_at_once_and_later(name, value):
    message = f"^{name} must be above 0 and finite, as the map's axes are logarithmic, got {re.escape(str(value))}.$"
    with pytest.raises(ValueError, match=message):
        DecayMap(**{name: value})
    fig = DecayMap()
    with pytest.raises(ValueError, match=message):
        setattr(fig, name, value)


@pytest.mark.parametrize("given", [{"pair": "sgd"}, {"axis": "lr"}, {"view": "test"}])
def test_an_unknown_choice_is_refused(given):
    with pytest.raises(traitlets.TraitError):
        DecayMap(**given)
