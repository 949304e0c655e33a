"""Timings of processors: what is timed has the operations that are counted, and a record of them is read as it was written."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from course_lib.experiments import processors
from course_lib.experiments.processors import KINDS, OPTIMIZERS, SIZES, measure, operations, rates, table, ways

SMALL = {"product": [8, 16], "layer": [1, 2], "convolution": [1], "copy": [4096], "adam": [10]}


@pytest.fixture(scope="module")
def record():
    return measure("cpu", sizes=SMALL, repeats=2, least=1e-4)


def test_everything_is_timed(record):
    count = len(ways("cpu"))
    shapes = {name: tuple(x.shape) for name, x in record.outcomes.items()}
    layers = {
        "product": (2, count, 2),
        "layer": (2, count, 2),
        "convolution": (2, count, 1),
        "channels_last": (2, count, 1),
    }
    assert shapes == layers | {"copy": (2, 1), "adam": (2, 1, len(OPTIMIZERS)), "launch": (2, 2)}
    assert all(((x > 0) & x.isfinite()).all() for x in record.outcomes.values())
    assert record.settings["sizes"] == SMALL and record.made["device"].endswith("cores")
    assert len(table(record)) == 1 + 4 * count + 3


@pytest.mark.parametrize("name", ["product", "layer", "convolution", "channels_last"])
def test_the_operations_are_those_that_pytorch_counts(name):
    sizes = [1, 3]
    counted = []
    for size in sizes:
        work = getattr(processors, name)(size, "cpu", torch.float32)
        with FlopCounterMode(display=False) as counter:
            work()
        counted.append(counter.get_total_flops())
    assert operations(name, sizes).tolist() == counted


def test_rates_are_operations_over_seconds(record):
    done = rates(record, "product") * record["product"]
    torch.testing.assert_close(done, operations("product", [8, 16]).expand_as(done))
    copied = rates(record, "copy") * record["copy"]
    torch.testing.assert_close(copied, torch.full_like(copied, 2 * 4096))


def test_a_record_is_read_as_it_was_written(record, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(processors, "measure", lambda device, repeats: record)
    processors.main(["--out", str(tmp_path / "cpu.json")])
    assert "product" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["cpu.json"]
    again = processors.processors(tmp_path)
    assert [*again] == ["cpu"]
    torch.testing.assert_close(again["cpu"]["adam"], record["adam"], rtol=1e-3, atol=0)  # four digits are written


def test_a_clock_counts_one_call():
    calls = []
    assert len(processors.seconds(lambda: calls.append(1), "cpu", 4, least=0.0)) == 4
    assert len(calls) == 3 + 3 + 4  # before the clock starts, to estimate, and one for each repeat


def test_what_is_set_is_set_back():
    backends = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    before = torch.get_num_threads(), [b.fp32_precision for b in backends]
    for kind in KINDS:
        for way in ways(kind):
            with processors.working(way):
                if way.threads:
                    assert torch.get_num_threads() == way.threads
                else:
                    assert {b.fp32_precision for b in backends} == {"tf32" if way.tf32 else "ieee"}
    assert (torch.get_num_threads(), [b.fp32_precision for b in backends]) == before


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: measure("tpu"), ValueError, "device must be one of cpu, cuda, got 'tpu'"),
        (lambda: measure("cpu", repeats=0), ValueError, "repeats must be a whole number from 1, got 0"),
        (lambda: measure("cpu", sizes={"to_device": [4]}), ValueError, "Nothing named to_device is timed on cpu"),
    ],
    ids=["device", "repeats", "sizes"],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu():
    with pytest.raises(RuntimeError, match="PyTorch sees no GPU here. Measure device='cpu'"):
        measure("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    small = SMALL | {"to_device": [4096]}
    record = measure("cuda", sizes=small, repeats=2, least=1e-4)
    assert set(record.outcomes) == {*SIZES["cuda"], "channels_last", "launch", "unsynchronized"}
