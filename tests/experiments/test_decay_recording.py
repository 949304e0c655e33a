"""The recorded maps of losses over (learning rate, decay): their settings, a piece of them measured again, and how a valley is read."""

import json
import math
import re

import pytest
import torch

from course_lib.experiments import decay_map

RECORDED = decay_map.recorded()


@pytest.mark.parametrize("name", decay_map.MAPS)
def test_the_recording_holds_the_settings_that_the_code_names(name):
    found, area = RECORDED["maps"][name], decay_map.MAPS[name]
    assert (found["rates"], found["decays"]) == area.settings()
    assert found["rule"] == area.rule and found["steps"] == list(decay_map.RECORDS)
    assert [len(found[key]) for key in ("train", "val", "norm", "ends")] == [8] * 4
    assert [key for key in ("train", "val", "norm", "ends") for row in found[key] if len(row) != 16] == []
    cells = [(key, cell) for key in ("val", "norm") for row in found[key] for cell in row]
    assert [(key, cell) for key, cell in cells if len(cell) != len(decay_map.RECORDS)] == []
    for row, ends in zip(found["val"], found["ends"]):
        for cell, seeds in zip(row, ends):
            assert cell[-1] is None if None in seeds else cell[-1] == pytest.approx(sum(seeds) / len(seeds), rel=1e-3)


def test_the_recording_says_how_it_was_made_and_is_small():
    assert set(RECORDED["made"]) == {"seeds", "batch", "hidden", "replaced", "device", "torch", "python", "seconds"}
    assert decay_map.FILE.stat().st_size < 150_000


def test_the_recorded_numbers_can_be_measured_again():
    """The first 50 steps: later ones amplify what another processor rounds otherwise."""
    for name in ("adamw", "plain_adam_l2"):
        again, found = decay_map.measure(name, coarse=7, steps=50), RECORDED["maps"][name]
        assert again["steps"] == [0, 20, 50] == found["steps"][:3]
        assert again["rates"] == found["rates"][::7] and again["decays"] == [row[::7] for row in found["decays"][::7]]
        for row, recorded in zip(again["val"], found["val"][::7]):
            for cell, there in zip(row, recorded[::7]):
                assert cell == pytest.approx(there[:3], rel=0.03)


def test_settings_lie_on_one_grid_of_thirds_of_decades():
    for area in decay_map.MAPS.values():
        rates, decays = area.settings()
        assert rates[0] == area.rate and rates[3] == pytest.approx(10 * rates[0], rel=1e-3)
        for lr, row in zip(rates, decays):
            assert lr**area.power * row[0] == pytest.approx(area.decay, rel=1e-3)
            assert row[3] == pytest.approx(10 * row[0], rel=1e-3)
    rates, decays = decay_map.MAPS["adamw"].settings(coarse=3)
    assert rates == [1e-3, 1e-2, 0.1] and decays[1] == pytest.approx([1e-3, 1e-2, 0.1, 1, 10, 100], rel=1e-3)


def test_the_normalized_network_does_not_feel_the_length_of_its_weights():
    torch.manual_seed(0)
    net, x = decay_map.Normalized().double(), decay_map.task().x_train.double()
    before = net(x)
    with torch.no_grad():
        net.hidden.weight.mul_(7)
        net.output.weight.mul_(0.3)
    torch.testing.assert_close(net(x), before, rtol=1e-2, atol=1e-3)
    assert before.square().mean(dim=1).allclose(torch.ones(500, dtype=torch.float64), atol=1e-3)


def valley_of(power, seeds=3, noise=0.0, depth=0.3):
    """Made-up maps with a valley along decay = 0.02 * rate**power."""
    rates, decays = [10 ** (k / 3 - 3) for k in range(8)], [[10 ** (j / 3 - 4) for j in range(16)] for _ in range(8)]
    generator = torch.Generator().manual_seed(0)
    ends = [
        [
            [
                0.8
                + depth * min(2.0, math.log10(x / (0.02 * (lr / 0.01) ** power)) ** 2)
                + noise * torch.randn((), generator=generator).item()
                for _ in range(seeds)
            ]
            for x in row
        ]
        for lr, row in zip(rates, decays)
    ]
    return {"rates": rates, "decays": decays, "ends": ends}


@pytest.mark.parametrize("power", [0.0, -0.5, -1.0])
def test_the_valley_and_its_slope_are_found(power):
    found = valley_of(power)
    for lr, best in zip(found["rates"], decay_map.valley(found)):
        assert best is None or best == pytest.approx(0.02 * (lr / 0.01) ** power, rel=0.1)
    slope, spread = decay_map.slope(found)
    assert slope == pytest.approx(power, abs=0.02) and spread < 1e-9
    assert decay_map.floor(found) == pytest.approx(0.8, abs=0.02)
    noisy, scatter = decay_map.slope(valley_of(power, noise=0.02))
    assert abs(noisy - power) < 0.15 and 0 < scatter < 0.3


def test_a_map_without_a_valley_has_none():
    assert decay_map.valley(valley_of(0.0, depth=0.0)) == [None] * 8
    useless = valley_of(0.0)
    useless["ends"] = [[[x + 1 for x in cell] for cell in row] for row in useless["ends"]]
    assert decay_map.valley(useless) == [None] * 8
    diverged = valley_of(0.0)
    diverged["ends"][0][-1] = [None, 1.0, 1.0]
    assert decay_map.valley(diverged)[0] == decay_map.valley(valley_of(0.0))[0]


def test_the_command_writes_what_recorded_reads(monkeypatch, tmp_path, capsys):
    made = {"val": [[[0.5]]]}
    monkeypatch.setattr(decay_map, "measure", lambda name, **options: made | {"rule": name, "seeds": options["seeds"]})
    monkeypatch.setattr("sys.argv", ["decay_map", "--seeds", "2", "--out", str(tmp_path / "new" / "maps.json")])
    decay_map.main()
    written = json.loads((tmp_path / "new" / "maps.json").read_text("utf8"))
    assert list(written["maps"]) == list(decay_map.MAPS) and written["maps"]["sgdw"] == made | {
        "rule": "sgdw",
        "seeds": 2,
    }
    assert set(written["made"]) == set(RECORDED["made"]) and written["made"]["seeds"] == 2
    assert capsys.readouterr().out.count(" s\n") == len(decay_map.MAPS)


def test_an_unknown_map_is_named():
    with pytest.raises(ValueError, match=re.escape("There is no map `adam`. There are: adamw, adam_l2, sgdw")):
        decay_map.measure("adam")
