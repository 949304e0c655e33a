"""A function on several processes: its results, its prints, and for each thing that goes wrong one sentence within the time limit."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import matplotlib.pyplot as plt
import pytest
import torch
import torch.distributed as dist
from torch import nn

from course_lib.parallel import RankError, RankTimeout, Unsendable, launch, local_device
from course_lib.parallel.processes import ForkServer

FACTOR = torch.tensor([1.0, 10.0])
LIMIT = 5.0  # seconds for what never ends: on a busy machine ranks take one or two to begin


def sum_of_ranks(start):
    x = FACTOR * (start + dist.get_rank())
    dist.all_reduce(x)
    return x


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_results_stand_in_the_order_of_the_ranks(processes):
    ranks = launch(lambda: (dist.get_rank(), dist.get_world_size(), int(os.environ["RANK"])), processes=processes)
    assert ranks == [(k, processes, k) for k in range(processes)]


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_compute_together(processes):
    total = sum(range(1, processes + 1))
    for x in launch(sum_of_ranks, 1, processes=processes):
        assert torch.equal(x, FACTOR * total)


def test_they_are_processes_with_one_thread_and_a_seed_each():
    def who():
        return os.getpid(), os.getppid(), torch.get_num_threads(), torch.initial_seed(), str(local_device())

    first, second = launch(who, seed=5, backend="gloo")
    assert len({first[0], second[0], os.getpid()}) == 3 and os.getpid() not in (first[1], second[1])
    assert [first[2:], second[2:]] == [(1, 5, "cpu"), (1, 6, "cpu")]


def test_a_function_of_a_cell_with_its_class_and_its_variables():
    """What exists in no file: text executed in __main__'s manner, as a notebook's cell is."""
    cell = {"__name__": "__main__"}
    exec("class Point:\n    x = 3\ndef f(k): return Point().x * k + c, Point()\nc = 1", cell)
    (y, point), _ = launch(cell["f"], 2)
    assert y == 7 and point.x == 3


def test_prints_come_as_they_happen_with_the_rank_in_front(capsys):
    def talk():
        print("starts")
        print("a warning", file=sys.stderr)
        sys.stdout.write("no end")

    launch(talk)
    lines = capsys.readouterr().out.splitlines()
    for rank in "01":
        assert [x for x in lines if x.startswith(f"[{rank}]")] == [
            f"[{rank}] starts",
            f"[{rank}] a warning",
            f"[{rank}] no end",
        ]


def test_a_print_does_not_wait_for_the_end(capsys):
    seen = []

    def watch(stop):
        while not stop.wait(0.05):
            seen.append(capsys.readouterr().out)

    def slow():
        print("now")
        while True:
            time.sleep(1)

    stop = threading.Event()
    thread = threading.Thread(target=watch, args=(stop,))
    thread.start()
    try:
        with pytest.raises(RankTimeout):
            launch(slow, timeout=LIMIT)
        stop.set()
    finally:
        stop.set()
        thread.join()
    assert "[0] now" in "".join(seen)


def test_of_a_progress_bar_the_last_state(capsys):
    def work():
        for k in range(3):
            sys.stderr.write(f"\rstep {k}")
        sys.stderr.write("\n")

    launch(work, processes=1)
    assert capsys.readouterr().out.splitlines()[-1].endswith("[0] step 2")


@pytest.mark.parametrize("check", [True, False])
def test_pytorchs_wrapper_runs_where_collectives_are_checked(check):
    def work():
        network = nn.parallel.DistributedDataParallel(nn.Linear(3, 2))
        network(torch.full((1, 3), 1.0 + dist.get_rank())).sum().backward()
        return network.module.weight.grad[0, 0].item()

    assert launch(work, check=check) == [1.5, 1.5]


# What goes wrong


def test_a_rank_that_raises_is_told_with_its_traceback():
    def work():
        if dist.get_rank() == 1:
            raise ValueError("the reason")
        dist.barrier()

    with pytest.raises(RankError, match="Rank 1 of 2 failed: ValueError: the reason") as caught:
        launch(work)
    assert 'raise ValueError("the reason")' in str(caught.value) and "in work" in str(caught.value)
    assert caught.value.rank == 1


def test_the_cause_of_an_error_is_told_too():
    def work():
        try:
            {}["key"]
        except KeyError as error:
            raise ValueError("no such thing") from error

    with pytest.raises(RankError, match="ValueError: no such thing") as caught:
        launch(work, processes=1)
    assert "KeyError: 'key'" in str(caught.value)


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "Rank 1 of 2 was killed by the signal SIGKILL"),
        (lambda: os._exit(0), "Rank 1 of 2 ended with the exit code 0 before the function returned"),
        (lambda: sys.exit(3), "Rank 1 of 2 failed: SystemExit: 3"),
    ],
    ids=["killed", "left", "exit"],
)
def test_a_rank_that_ends(end, says):
    def work():
        if dist.get_rank() == 1:
            end()
        dist.barrier()

    with pytest.raises(RankError, match=says):
        launch(work)


def test_a_deadlock_ends_at_the_limit_and_says_where_each_rank_waits():
    def deadlock():
        x, other = torch.ones(2), 1 - dist.get_rank()
        dist.recv(x, other)  # both receive first
        dist.send(x, other)

    begin = time.monotonic()
    with pytest.raises(RankTimeout, match=f"After {LIMIT:g} s, 2 of 2 ranks have not returned") as caught:
        launch(deadlock, timeout=LIMIT)
    assert time.monotonic() - begin < 60
    assert str(caught.value).count("waits in recv") == 2 and "both receive first" in str(caught.value)


def test_a_rank_that_waits_for_one_that_has_returned():
    def work():
        if dist.get_rank() == 0:
            dist.recv(torch.ones(1), 1)

    with pytest.raises(RankTimeout, match="Rank 1 has returned"):
        launch(work, timeout=LIMIT)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda k: dist.all_reduce(torch.ones(2 + k)), r"rank 0 calls allreduce on Float of the shape \[2\], rank 1"),
        (
            lambda k: dist.all_reduce(torch.ones(2)) if k else dist.broadcast(torch.ones(2), 0),
            "rank 0 calls broadcast on Float",
        ),
    ],
    ids=["shapes", "order"],
)
def test_collectives_that_differ(call, says):
    with pytest.raises(RankError, match=f"do not call the same collective: .*{says}"):
        launch(lambda: call(dist.get_rank()))


def open_file():
    return open(os.devnull)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (open_file, "an open file: open it inside"),
        (threading.Lock, "lock"),
        (plt.figure, "a figure: make it from the results"),
        (lambda: (k for k in range(2)), "generator"),
    ],
    ids=["file", "lock", "figure", "generator"],
)
def test_what_cannot_be_sent_is_named(make, says):
    thing = make()
    with pytest.raises(
        Unsendable, match=f"Argument 2 of sum_of_ranks can't be sent to another process: it is .*{says}"
    ):
        launch(sum_of_ranks, 1, thing)
    with pytest.raises(Unsendable, match="`thing`, which <lambda> uses, can't be sent"):
        launch(lambda: thing)
    with pytest.raises(RankError, match=f"Rank 0 of 1 failed: .*Unsendable: .*{says}"):
        launch(lambda make: make(), make, processes=1)
    plt.close("all")
    getattr(thing, "close", lambda: None)()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_tensor_on_a_gpu_is_named():
    with pytest.raises(Unsendable, match="a tensor on cuda:0"):
        launch(sum_of_ranks, torch.ones(1, device="cuda"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"processes": 0}, "processes must be a whole number from 1 to 64, got 0"),
        ({"processes": 1000}, "got 1000"),
        ({"processes": 2.0}, "got 2.0"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, got 0"),
        ({"backend": "mpi"}, "backend must be 'gloo'"),
        ({"backend": "nccl", "processes": 60}, "NCCL needs a GPU for each process: 60 processes, "),
    ],
)
def test_options_out_of_their_limits(options, says):
    with pytest.raises(ValueError, match=says):
        launch(sum_of_ranks, 1, **options)


def test_what_is_no_function():
    with pytest.raises(TypeError, match="launch runs a function, got 3"):
        launch(3)


def test_launch_in_launch():
    with pytest.raises(RankError, match="called inside of a process that takes part"):
        launch(lambda: launch(sum_of_ranks, 1))


# Nothing is left behind; the folder's fixture looks after each test above, too.


def test_an_interrupted_call_ends_its_processes(tmp_path):
    """As Ctrl-C, or Jupyter's square: the call ends, the processes end, the next call works."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""\
        import os, signal, time
        from course_lib.parallel import launch
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored below a shell that runs in the background
        def slow():
            print(os.getpid(), flush=True)
            time.sleep(100)
        try:
            launch(slow)
        except KeyboardInterrupt:
            print("interrupted", launch(lambda: 1), flush=True)
        """)
    )
    run = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    with run:
        pids = [int(run.stdout.readline().split()[1]) for _ in range(2)]
        run.send_signal(signal.SIGINT)
        assert run.stdout.readline() == "interrupted [1, 1]\n"
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_script_that_dies_takes_its_processes_along(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\nfrom course_lib.parallel import launch\n"
        "launch(lambda: (print(os.getpid(), os.getppid(), flush=True), time.sleep(100)))\n"
    )
    run = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    with run:
        pids = {int(word) for _ in range(2) for word in run.stdout.readline().split()[1:]}
        run.kill()
    assert len(pids) == 3  # two ranks and their server
    end = time.monotonic() + 30
    while alive := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < end, alive
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_server_that_was_killed_is_started_again():
    server = launch(os.getppid, processes=1)[0]
    os.kill(server, signal.SIGKILL)
    time.sleep(0.2)
    assert launch(os.getppid, processes=1)[0] != server


def test_where_nothing_can_be_forked(monkeypatch):
    """On macOS and Windows each rank is a new Python that imports PyTorch itself."""
    monkeypatch.setattr("course_lib.parallel.launcher.CAN_FORK", False)
    monkeypatch.setattr(ForkServer, "fork", None)
    assert torch.equal(launch(sum_of_ranks, 1, processes=1)[0], FACTOR)


def test_under_torchrun_the_same_script_joins_the_processes_that_stand(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import torch.distributed as dist\nfrom course_lib.parallel import launch\n"
        "results = launch(lambda x: x + dist.get_rank(), 10)\n"
        "if dist.get_rank() == 0:\n    print(results)\ndist.destroy_process_group()\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.stdout == "[10, 11]\n", run.stderr
