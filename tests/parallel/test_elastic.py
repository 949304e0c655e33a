"""Elastic training: a process is killed in mid-run by a real SIGKILL, and the weights at the end are those of a run without it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial

import pytest
import torch

from course_lib.parallel import elastic, launch

STEPS, EVERY = 40, 5
LIMIT = 120  # seconds until what hangs is ended; a quiet core needs eight


@contextmanager
def torchrun(folder):
    """Two ranks under torchrun on this machine, at a free port; ended with all that they started, whatever happens."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "1", "--monitor-interval", "0.1", "-m", "course_lib.parallel.elastic"]
    command += ["--steps", str(STEPS), "--every", str(EVERY), "--pause", "0.03", "--folder", str(folder)]
    with (folder / "log").open("w+") as log:
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        run = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)
        try:
            yield run
        finally:
            if run.poll() is None:  # SIGTERM is what makes it end the ranks, too
                run.terminate()
                run.wait(LIMIT)


def wait_for(run, condition) -> None:
    """Until the condition holds, the run has ended, or the time is over."""
    until = time.monotonic() + LIMIT
    while not condition() and run.poll() is None:
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.01)


def checkpoint_step(folder) -> int:
    return (elastic.load(folder / elastic.FILE) or {"step": 0})["step"]


def kill_rank(folder, rank: int) -> int:
    """A SIGKILL to the process that this rank said it is; returns its number."""
    pid = int((folder / f"rank-{rank}.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    return pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def uninterrupted(tmp_path) -> dict:
    """The checkpoint at the end of a run that nobody disturbs, without torchrun."""
    folder = tmp_path / "uninterrupted"
    launch(partial(elastic.train, STEPS, folder, every=EVERY))
    return elastic.load(folder / elastic.FILE)


@pytest.mark.timeout(300)
def test_a_killed_process_changes_no_bit_of_the_result(tmp_path, uninterrupted):
    with torchrun(tmp_path) as run:
        wait_for(run, lambda: checkpoint_step(tmp_path) >= 2 * EVERY)
        killed, step = kill_rank(tmp_path, 1), checkpoint_step(tmp_path)
        assert run.wait(LIMIT) == 0, (tmp_path / "log").read_text()
    log = (tmp_path / "log").read_text()
    assert step < STEPS and "rank 0 goes on after step" in log and "rank 1 goes on after step" in log
    ends = elastic.load(tmp_path / elastic.FILE)
    assert ends["step"] == uninterrupted["step"] == STEPS
    for name, w in uninterrupted["model"].items():
        assert torch.equal(ends["model"][name], w), name
    momenta = [run["optimizer"]["state"] for run in (ends, uninterrupted)]
    assert all(torch.equal(momenta[0][k]["momentum_buffer"], momenta[1][k]["momentum_buffer"]) for k in momenta[1])
    pids = [int((tmp_path / f"rank-{k}.pid").read_text()) for k in (0, 1)]
    assert killed not in pids and not any(map(alive, pids))


def test_a_death_while_saving_leaves_the_checkpoint_before(tmp_path):
    """What is cut off stands beside, and nobody reads it."""
    path = tmp_path / elastic.FILE
    elastic.save(path, {"step": 5})
    whole = path.read_bytes()
    path.with_name(f"{path.name}.part").write_bytes(whole[: len(whole) // 2])
    assert elastic.load(path) == {"step": 5}
    elastic.save(path, {"step": 10})
    assert elastic.load(path) == {"step": 10} and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_steps_batch_is_the_same_whenever_it_is_made():
    torch.manual_seed(1)
    first = elastic.batch(0, 7, 1)
    torch.manual_seed(2)
    assert all(map(torch.equal, first, elastic.batch(0, 7, 1)))
    assert not torch.equal(first[0], elastic.batch(0, 7, 0)[0]) and not torch.equal(first[0], elastic.batch(0, 8, 1)[0])


def test_without_torchrun_it_says_so(monkeypatch, capsys):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(sys, "argv", ["elastic", "--folder", "unused"])
    with pytest.raises(SystemExit):
        elastic.main()
    assert "start this with torchrun" in capsys.readouterr().err
