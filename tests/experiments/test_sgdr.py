"""Slide 42's experiment: its schedules are the paper's, and all of it runs on small data, from the command to the record."""

import hashlib
import io
import json
import tarfile

import pytest
import torch

from course_lib.experiments import image_data, sgdr, training
from course_lib.experiments.downloads import Remote
from course_lib.experiments.sgdr import DATASETS, crop_and_mirror, main, restarts, run, schedules, standardized
from course_lib.formulas.augmentation import flip


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A file of CIFAR-10's format, 5 x 16 images to train and 20 to test."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    generator, written = torch.Generator().manual_seed(0), io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for name, count in [*((f"data_batch_{k}.bin", 16) for k in range(1, 6)), ("test_batch.bin", 20)]:
            labels = torch.randint(10, (count, 1), generator=generator)
            pixels = torch.randint(256, (count, 3072), generator=generator) // 4 + 19 * labels  # brighter by class
            content = bytes(torch.cat([labels, pixels], 1).flatten().tolist())
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    path = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    path.write_bytes(written.getvalue())
    md5 = hashlib.md5(written.getvalue()).hexdigest()
    monkeypatch.setattr(image_data, "CIFAR10", Remote(image_data.CIFAR10.address, md5))


SMALL = "--dataset cifar10 --network wrn-10-1 --epochs 2 --batch 16 --T_0 1 --T_mult 1 --device cpu".split()


def test_the_command_runs_on_small_data_and_writes_records(cifar, tmp_path, capsys):
    out = tmp_path / "out"
    main([*SMALL, "--out", str(out)])
    assert sorted(p.name for p in out.iterdir()) == [
        f"cifar10-wrn-10-1-{name}-0.{end}" for name in ("restarts", "step") for end in ("json", "pt")
    ]
    record = json.loads((out / "cifar10-wrn-10-1-restarts-0.json").read_text())
    assert record["settings"]["schedule"] == "restarts" and record["parameters"] == 77_850
    assert record["history"]["steps"] == [5, 10] and len(record["errors"]) == 2
    assert record["error"] == record["errors"][-1] == pytest.approx(100 * (1 - record["history"]["val_accuracy"][-1]))
    assert record["error_before_restart"] == {"1": record["errors"][0], "2": record["errors"][1]}
    assert record["measured_on"] == "test" and record["torch"] == torch.__version__
    step = json.loads((out / "cifar10-wrn-10-1-step-0.json").read_text())
    assert step["history"]["rate"] == pytest.approx([0.05 * 0.2, 0.05 * 0.2**3])
    assert "% error on the test set at the end" in capsys.readouterr().out


def test_the_same_command_goes_on(cifar, tmp_path, monkeypatch):
    """After an interruption in the second epoch, to the record that an uninterrupted run writes."""
    arguments, name = [*SMALL, "--schedule", "restarts", "--out"], "cifar10-wrn-10-1-restarts-0.json"
    main([*arguments, str(tmp_path / "whole")])
    real, calls = training.measure, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(training, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main([*arguments, str(tmp_path / "again")])
    assert not (tmp_path / "again" / name).exists()
    main([*arguments, str(tmp_path / "again")])
    one, other = (json.loads((tmp_path / folder / name).read_text()) for folder in ("whole", "again"))
    assert one["history"] == other["history"] and len(calls) == 3


def test_the_schedules_are_the_papers():
    """Of 200 epochs with 390 steps each: by PyTorch's own, in epochs where the step schedule falls."""
    rates = schedules(200, 390, 10, 2)
    t = torch.arange(200 * 390, dtype=torch.float64)
    step = rates["step"](t, lr=torch.tensor(0.05, dtype=torch.float64))
    falls = (step.diff() != 0).nonzero().flatten() + 1
    assert (falls / 390).tolist() == [60, 120, 160]
    torch.testing.assert_close(step[:: 78000 - 1], torch.tensor([0.05, 0.05 * 0.2**3], dtype=torch.float64))
    found = rates["restarts"](t, lr=torch.tensor(0.05, dtype=torch.float64))
    begins = (found.diff() > 0).nonzero().flatten() + 1
    assert (begins / 390).tolist() == restarts(200, 10, 2) == [10, 30, 70, 150]
    assert found[begins].tolist() == pytest.approx([0.05] * 4) and found[begins - 1].max() < 1e-6


@pytest.mark.parametrize(
    ("setting", "ends"), [((200, 50, 1), [50, 100, 150, 200]), ((200, 200, 1), [200]), ((200, 1, 2), [1, 3, 7, 15, 31, 63, 127]), ((5, 10, 2), [])]
)  # fmt: skip
def test_where_the_rate_begins_anew(setting, ends):
    assert restarts(*setting) == ends


def test_augmentation_is_a_crop_with_a_margin_of_the_mean_and_a_mirror():
    images = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    changed = crop_and_mirror(DATASETS["cifar10"])(images, torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(images, [4] * 4)
    crops = {}
    for top in range(9):
        for left in range(9):
            crop = padded[..., top : top + 32, left : left + 32]
            for mirrored in (False, True):
                of = flip(crop, torch.full((64,), mirrored))
                for k in (of == changed).flatten(1).all(1).nonzero().flatten().tolist():
                    crops[k] = top, left, mirrored
    assert len(crops) == 64, "each image is one of the 162 that the recipe makes"
    tops, lefts, mirrors = zip(*crops.values())
    assert set(tops) == set(lefts) == set(range(9)) and 15 < sum(mirrors) < 49


def test_digits_are_not_mirrored():
    images = torch.randn(50, 1, 8, 8)
    changed = crop_and_mirror(DATASETS["digits"])(images, torch.Generator().manual_seed(1))
    rows = images[:, :, 1:-1, 1:-1].flatten(1)
    inside = torch.stack([changed[:, :, a : a + 6, b : b + 6].flatten(1) for a in range(3) for b in range(3)])
    assert (inside == rows).all(2).any(0).all()


def test_images_are_standardized_by_those_to_train_on():
    data = standardized(sgdr.digit_images(100))
    assert data.x_train.mean().abs() < 1e-5 and data.x_train.std() == pytest.approx(1, abs=1e-5)
    raw = sgdr.digit_images(100)
    std, mean = torch.std_mean(raw.x_train)
    torch.testing.assert_close(data.x_test, (raw.x_test - mean) / std)
    assert [len(x) for x in vars(data).values()] == [1300, 1300, 100, 100, 397, 397]


def test_a_held_out_set_is_measured_on_when_it_is_wanted(cifar):
    found = run("cifar10", epochs=1, batch=16, val=16, schedule="step", device="cpu", progress=False)
    assert (
        found["measured_on"] == "validation"
        and found["history"]["steps"] == [4]
        and "error_before_restart" not in found
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [("--network wrn-11-1", "depth must be 10, 16, 22"), ("--network vgg", "wrn-depth-width"), ("--epochs 0", "epochs must be"), ("--batch 0", "batch must be"),
     ("--T_0 0", "T_0 must be"), ("--T_mult 0", "T_mult must be")],
)  # fmt: skip
def test_what_can_not_be_is_told_in_a_sentence(tmp_path, arguments, said):
    with pytest.raises(SystemExit, match=said):
        main([*arguments.split(), "--device", "cpu", "--out", str(tmp_path)])
