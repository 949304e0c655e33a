"""Records: each holds what its experiment measures again, says how it was made, and is read as it was written."""

import math

import pytest
import torch

from course_lib.experiments import records
from course_lib.experiments.records import FOLDER, Experiment, Record, experiment, experiments, recorded
from course_lib.experiments.results import is_stale, main, moved

EXPERIMENTS = experiments()
EVERY = pytest.mark.parametrize("name", sorted(EXPERIMENTS))


def test_every_experiment_has_a_record_and_every_record_an_experiment():
    assert {file.stem for file in FOLDER.glob("*.json")} == set(EXPERIMENTS)


@EVERY
def test_the_record_is_of_the_settings_and_seeds_that_the_code_has(name):
    assert not is_stale(EXPERIMENTS[name]), f"make results NAME={name}"


@EVERY
def test_the_record_holds_what_is_measured_again(name):
    """One seed, and of a long experiment a share of it."""
    one = EXPERIMENTS[name]
    assert recorded(name).contradictions(one(0, **one.share)) == []


@EVERY
def test_the_record_says_how_it_was_made_and_is_small(name):
    assert set(recorded(name).made) == {"date", "torch", "python", "machine", "seconds"}
    assert (FOLDER / f"{name}.json").stat().st_size < 200_000


@EVERY
def test_the_experiment_says_what_it_measures(name):
    assert EXPERIMENTS[name].function.__doc__
    assert EXPERIMENTS[name].seeds >= 3 or "seed" in EXPERIMENTS[name].function.__doc__


# The form


@pytest.fixture
def noisy(monkeypatch):
    """An experiment of two outcomes, registered for this test alone."""
    monkeypatch.setattr(records, "EXPERIMENTS", {})

    @experiment(seeds=4, share={"rates": (1.0,)})
    def noisy(seed, *, rates=(1.0, 2.0, 4.0)):
        """A number for each rate, and one that leaves the numbers."""
        return {"loss": [lr * (100 + seed) for lr in rates], "lost": math.nan if seed == 1 else 1 / 3}

    return noisy


def test_a_record_is_read_as_it_was_written(noisy, tmp_path):
    record = noisy.measure()
    again = Record.read(record.write(tmp_path))
    assert (again.name, again.seeds, again.settings) == ("noisy", [0, 1, 2, 3], {"rates": [1.0, 2.0, 4.0]})
    assert again.made == record.made
    assert torch.equal(again["loss"], record["loss"]) and again["loss"].shape == (4, 3)
    assert again["lost"].tolist() == [0.3333, math.inf, 0.3333, 0.3333]


def test_other_seeds_and_settings(noisy):
    record = noisy.measure(seeds=[7, 9], rates=[3.0])
    assert record.seeds == [7, 9] and record.settings == {"rates": [3.0]}
    assert record["loss"].tolist() == [[321.0], [327.0]]
    assert noisy.measure(seeds=2).seeds == [0, 1]


@pytest.mark.parametrize(
    ("outcomes", "count"),
    [
        ({"loss": torch.tensor([100.0, 203.0, 409.0])}, 0),
        ({"loss": torch.tensor([104.0])}, 0),  # of the first rate, within half a range of 100 … 103
        ({"loss": torch.tensor([105.0])}, 1),
        ({"loss": torch.tensor([100.0, 190.0, 409.0])}, 1),
        ({"loss": torch.tensor(100.0)}, 1),
        ({"lost": torch.tensor(math.inf)}, 0),  # one of the seeds left the numbers, too
        ({"lost": torch.tensor(0.1)}, 1),
        ({"loss": torch.tensor([math.inf, math.inf, math.inf])}, 1),
    ],
)
def test_what_contradicts_a_record(noisy, outcomes, count):
    assert len(noisy.measure().contradictions(outcomes)) == count


def test_what_moved(noisy, tmp_path, monkeypatch, capsys):
    main(["--folder", str(tmp_path), "noisy"])
    assert "noisy" in (out := capsys.readouterr().out) and "new" in out
    assert not is_stale(noisy, tmp_path)
    main(["--folder", str(tmp_path), "--changed"])
    assert capsys.readouterr().out == ""
    old = Record.read(tmp_path / "noisy.json")
    new = Record(
        "noisy", old.seeds, old.settings, old.made, old.outcomes | {"loss": old["loss"] * torch.tensor([1, 1, 2])}
    )
    assert moved(old, old) == []
    (line,) = moved(old, new)
    assert line == "loss: 1 of 3 moved, most in the 3th, from 404 to 808 (seeds 800 to 824)"


def test_a_stale_record_is_seen(noisy, tmp_path):
    assert is_stale(noisy, tmp_path)
    noisy.measure(rates=[5.0]).write(tmp_path)
    assert is_stale(noisy, tmp_path)
    noisy.measure(seeds=2).write(tmp_path)
    assert is_stale(noisy, tmp_path)


def test_what_is_no_experiment():
    with pytest.raises(TypeError, match=r"rate must be a function of \(seed, \*, settings with defaults\)"):

        @experiment(seeds=1)
        def rate(lr):
            return {}

    with pytest.raises(ValueError, match="seeds must be a whole number from 1, got 0"):
        experiment(seeds=0)(lambda seed: {})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: recorded("nothing"), ValueError, "There is no record `nothing`. There are: "),
        (lambda: recorded("nothing", live=True), ValueError, "There is no experiment `nothing`. There are: "),
        (lambda: recorded("rprop_pace", starts=3), TypeError, "to measure rprop_pace with starts, say live=True"),
        (lambda: recorded("rprop_pace", live=True, stars=3), TypeError, "rprop_pace has no setting `stars`. It has: factors, starts"),
        (lambda: recorded("rprop_pace")["pace"], KeyError, "rprop_pace has no outcome `pace`. It has: lecture, pytorch"),
        (lambda: recorded("rprop_pace", live=True, seeds=[-1]), ValueError, "seed must be a whole number from 0, got -1"),
    ],
)  # fmt: skip
def test_errors(call, error, words):
    with pytest.raises(error) as raised:
        call()
    assert words in str(raised.value)


def test_one_keyword_measures_live():
    record = recorded("rprop_pace", live=True, seeds=1, starts=5)
    assert record.seeds == [0] and record.settings["starts"] == 5 and record["lecture"].shape == (1, 4)
    assert isinstance(EXPERIMENTS["rprop_pace"], Experiment)
