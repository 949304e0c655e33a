"""The recorded maps of losses over (learning rate, decay): their grids, how a record becomes a map, and how a valley is read."""

import math

import pytest
import torch

from course_lib.experiments import recorded
from course_lib.experiments.studies import decay_map

MAPS = pytest.mark.parametrize("name", decay_map.MAPS)


@MAPS
def test_a_map_holds_the_means_of_its_record_and_each_seeds_end(name):
    found, record = decay_map.read_recorded(name), recorded(f"decay_map_{name}")
    assert (found["rates"], found["decays"]) == decay_map.grid(**decay_map.MAPS[name].settings)
    assert found["steps"] == list(decay_map.STEPS)
    for i, j in ((0, 0), (3, 9), (7, 15)):
        for key in ("val", "norm"):
            means = [x if math.isfinite(x) else None for x in record[key][:, i, j].mean(0).tolist()]
            assert found[key][i][j] == [x if x is None else pytest.approx(x, rel=1e-3) for x in means]
        ends = record["val"][:, i, j, -1].tolist()
        assert found["ends"][i][j] == [x if math.isfinite(x) else None for x in ends]
    assert found["train"][3][9] == pytest.approx(record["train"][:, 3, 9, -1].mean().item(), rel=1e-3)


@MAPS
def test_settings_lie_on_one_grid_of_thirds_of_decades(name):
    settings = decay_map.MAPS[name].settings
    rates, decays = decay_map.grid(**settings)
    assert len(rates) == 8 and rates[0] == settings["rate"] and rates[3] == pytest.approx(10 * rates[0], rel=1e-3)
    for lr, row in zip(rates, decays, strict=True):
        assert len(row) == 16 and row[3] == pytest.approx(10 * row[0], rel=1e-3)
        assert lr ** settings["power"] * row[0] == pytest.approx(settings["decay"], rel=1e-3)


def test_a_coarse_map_measured_here_lies_on_the_same_grid():
    coarse = {"rows": 2, "columns": 3, "per_decade": 1, "steps": (1, 2)}
    found = decay_map.read(recorded("decay_map_adamw", live=True, seeds=2, **coarse))
    assert found["rates"] == [1e-3, 1e-2] and found["decays"][1] == pytest.approx([1e-3, 1e-2, 0.1], rel=1e-3)
    assert torch.tensor(found["ends"]).shape == (2, 3, 2) and torch.tensor(found["val"]).shape == (2, 3, 2)


def test_the_normalized_network_does_not_feel_the_length_of_its_weights():
    torch.manual_seed(0)
    net, x = decay_map.Normalized().double(), decay_map.noisy_digits().x_train.double()
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
