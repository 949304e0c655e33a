"""Training in the page beside TensorFlow.js: the same 64-32-10 network, digits, batches of 32 and Adam, in turn, in node.

TensorFlow.js computes in float32, the page in float64. A ratio is the median of the ratios of single rounds, in which all ran
one after the other, so that what else the machine does meets all of them.
"""

import json
import math
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import torch

from benchmarks.table import Row
from course_lib.experiments.data import digits
from course_lib.experiments.live import LiveRun, Settings
from course_lib.experiments.live_program import javascript_of_training
from course_lib.widgets import LiveTraining
from course_lib.widgets.figures.live_training import TRAIN, VALIDATION
from course_lib.widgets.kit.bundle import FOLDER

HERE = Path(__file__).parent
ROUNDS, MILLISECONDS = 15, 400
SIZES = (64, 32, 10)


def rows() -> list[Row]:
    """The steps a second in one thread, and how many times those of TensorFlow.js's faster CPU backend."""
    measured = in_node()
    if measured is None:
        return [Row("training in the page, steps of 32 a second", math.nan, "a second", note="node or npm is missing")]
    best = [max(pair) for pair in zip(measured["wasm"], measured["cpu"], strict=True)]
    ratios = [a / b for a, b in zip(measured["ours"], best, strict=True)]
    peers = ", ".join(f"{name} {statistics.median(measured[name]):,.0f}" for name in ("wasm", "cpu"))
    return [
        Row("training in the page, steps of 32 a second", max(measured["ours"]), "a second", at_least=3000,
            note=f"fastest of {ROUNDS} rounds, median {statistics.median(measured['ours']):,.0f}; node"),
        Row("the same against TensorFlow.js 4.22", statistics.median(ratios), "times", at_least=3,
            note=f"median of {ROUNDS} rounds, from {min(ratios):.2f} to {max(ratios):.2f}; its backends: {peers}"),
        *on_a_gpu(),
    ]  # fmt: skip


def in_node() -> dict[str, list[float]] | None:
    """Steps a second in each round, by name; None where there is no node."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None
    if not (HERE / "node_modules").exists():
        subprocess.run(["npm", "--prefix", HERE, "install", "--no-package-lock", "--silent"], check=True, timeout=600)
    scripts = [(FOLDER / "figures" / f"{name}.js").read_text() for name in ("mini_batch_draws", "live_training_run")]
    with tempfile.TemporaryDirectory() as folder:
        module, setup = Path(folder, "training.mjs"), Path(folder, "setup.json")
        module.write_text("\n".join([javascript_of_training(SIZES, TRAIN, VALIDATION), *scripts]))
        setup.write_text(json.dumps(_setup()))
        run = ["node", HERE / "training_in_page.mjs", module, setup]
        done = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    return json.loads(done.stdout.splitlines()[-1])


def _setup() -> dict:
    figure, data = LiveTraining(where="page"), digits(TRAIN, VALIDATION)
    pixels = torch.cat((data.x_train, data.x_val)).flatten().tolist()
    all_digits = {"pixels": pixels, "labels": figure.spec["labels"], "train": TRAIN, "validation": VALIDATION}
    states = {name: rule["states"] for name, rule in figure.spec["rules"].items()}
    setup = figure.spec | {"digits": all_digits, "states": states}
    return {"setup": setup, "settings": vars(Settings()), "rounds": ROUNDS, "milliseconds": MILLISECONDS}


def on_a_gpu() -> list[Row]:
    """LiveTraining's samples a second in a kernel on a GPU, in batches of 256."""
    if not torch.cuda.is_available():
        return [Row("live training on a GPU, digits a second", math.nan, "a second", note="no GPU here")]
    run = LiveRun(digits(TRAIN, VALIDATION), SIZES, device="cuda", dtype=torch.float32, batch=256)
    run.step(50)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    run.step(500)
    end.record()
    torch.cuda.synchronize()
    speed = 500 * 256 / (begin.elapsed_time(end) / 1000)
    return [Row("live training on a GPU, digits a second", speed, "a second", note=torch.cuda.get_device_name())]


if __name__ == "__main__":
    for row in rows():
        print(*row.cells, sep=" | ")
