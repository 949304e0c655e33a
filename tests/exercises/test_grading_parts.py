"""The parts of the grader by themselves: messages, the slice of a notebook, what the kernel refuses, a process without a fork."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest
import torch
from class_of_students import answered, code, solved, write
from hypothesis import given
from hypothesis import strategies as st

from course_lib.exercises.grading import codec, confinement, submission
from course_lib.exercises.grading.catalog import Task, tasks
from course_lib.exercises.grading.judge import judge
from course_lib.exercises.grading.packing import pack_call
from course_lib.exercises.grading.processes import Limits, Server

# Messages

VALUES = [
    None, True, 3, 2**70, 0.1, float("inf"), "text", ..., [1, [2.0, "x"]], (1, None), {"params": [1], "lr": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_a_plain_value_comes_back(value):
    packer = codec.Packer()
    packed = json.loads(json.dumps(packer.pack(value)))
    assert codec.unpack(packed, bytes(packer.blob)) == value


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor(1.5),
        torch.randn(3, 4).T,
        torch.zeros(0, 2),
        torch.tensor([True, False]),
        torch.arange(3),
        torch.ones(2, dtype=torch.bfloat16),
        torch.ones(2, dtype=torch.complex64).conj() * 1j,
        torch.ones(2, requires_grad=True) * 2,
    ],
    ids=lambda x: f"{x.dtype}{[*x.shape]}",
)
def test_a_tensor_comes_back(x):
    packer = codec.Packer()
    back = codec.unpack(packer.pack([x]), bytes(packer.blob))[0]
    assert back.dtype == x.dtype and torch.equal(back, x.detach())


def test_a_tensor_that_is_known_comes_back_as_itself():
    x = torch.ones(2)
    packed = codec.Packer([x]).pack({"params": [x, x + 1]})
    assert codec.unpack(packed, b"\0" * 8, [x])["params"][0] is x


def test_what_cannot_be_sent_keeps_the_name_of_its_type():
    packed = codec.Packer().pack(object())
    assert type(codec.unpack(packed, b"")).__name__ == "object"
    deep = []
    deep.append(deep)
    assert "nested too deep" in json.dumps(codec.Packer().pack(deep))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["kind", "of", "at", "dtype", "shape", "device", "number"]), inner)
    ),
)
KINDS = st.fixed_dictionaries(
    {"kind": st.sampled_from([*codec.UNPACKERS]), "of": JSON, "at": JSON, "dtype": JSON, "shape": JSON, "device": JSON}
)


@given(JSON | KINDS, st.binary(max_size=20))
def test_what_no_packer_wrote_is_a_value_or_a_value_error(packed, blob):
    """Whatever a student's process sends, the grader gets one of the two."""
    try:
        value = codec.unpack(packed, blob)
        getattr(value, "close", lambda: None)()
    except ValueError:
        pass


@given(st.binary(max_size=40))
def test_bytes_that_are_no_message(content):
    try:
        got = codec.read(io.BytesIO(content))
        assert got is None or isinstance(got[0], dict)
    except ValueError:
        pass


# What of a notebook is run

TASK = Task("half", "my_half", "half")


def sliced(*cells):
    """What of these cells belongs to the answer, as text without the rest."""
    read = submission.Notebook(Path("half.ipynb"), [*enumerate(cells, 1)], {}, "")
    found = submission.answer(TASK, [read])
    return [(number, [place for place, _ in places]) for number, _, places in found.cells]


ANSWER = "def my_half(x):\n    return x / 2"


@pytest.mark.parametrize(
    "cells, kept",
    [
        ((ANSWER,), [(1, [0])]),
        (("import torch", "y = torch.ones(2)", ANSWER.replace("x / 2", "torch.div(x, 2)")), [(1, [0]), (3, [0])]),
        (("TWO = ONE + 1", "ONE = 1", ANSWER.replace("2", "TWO")), [(1, [0]), (2, [0]), (3, [0])]),
        (("TWO = {}\nTWO[0] = 2\nprint(TWO)", ANSWER.replace("2", "TWO[0]")), [(1, [0, 1]), (2, [0])]),
        (("for x in range(3): pass", "y = 1\nx = 5", ANSWER), [(3, [0])]),
        (("from torch import *", ANSWER.replace("x / 2", "div(x, 2)")), [(1, [0]), (2, [0])]),
        (("from torch import *", ANSWER), [(2, [0])]),
        (("%matplotlib inline\nTWO = 2", "!ls", ANSWER.replace("2", "TWO")), [(1, [1]), (3, [0])]),
        (("%%time\nTWO = 2", "%%bash\nTWO=2", ANSWER.replace("2", "TWO")), [(1, [1]), (3, [0])]),
        (("def deco(f): return f", "@deco\n" + ANSWER), [(1, [0]), (2, [0])]),
        (("try:\n    import fast as f\nexcept ImportError:\n    import math as f", ANSWER.replace("2", "f.e")), [(1, [0]), (2, [0])]),
        (("my_half = lambda x: x / 2",), [(1, [0])]),
        ((ANSWER, "def other(:", "my_half = lambda x: x"), [(3, [0])]),
        (("class Half:\n    def __call__(self, x): return x / TWO", "TWO = 2", "my_half = Half()"), [(1, [0]), (2, [0]), (3, [0])]),
    ],
)  # fmt: skip
def test_the_statements_that_an_answer_needs(cells, kept):
    assert sliced(*cells) == kept


def test_an_import_brings_only_what_is_needed():
    read = submission.Notebook(Path("x.ipynb"), [(1, "from math import e, pi"), (2, ANSWER.replace("2", "pi"))], {}, "")
    (first, second) = submission.answer(TASK, [read]).cells
    assert first[2] == [[0, ["pi"]]] and second[2] == [[0, None]]


# What the kernel refuses, without any audit hook

TRIES = """
import importlib.util, json, os, signal, socket, sys, threading
spec = importlib.util.spec_from_file_location("confinement", sys.argv[1])
spec.loader.exec_module(confinement := importlib.util.module_from_spec(spec))
hidden = confinement.Path(sys.argv[1]).parents[2]
missing = confinement.confine(confinement.readable([hidden]))
tries = {
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "socket": socket.socket,
    "write": lambda: open(sys.argv[2] + "/new", "w"),
    "read": lambda: open(sys.argv[2] + "/old").read(),
    "remove": lambda: os.remove(sys.argv[2] + "/old"),
    "rename": lambda: os.rename(sys.argv[2] + "/old", sys.argv[2] + "/new"),
    "folder": lambda: os.mkdir(sys.argv[2] + "/new"),
    "kill": lambda: os.kill(os.getppid(), 0),
    "sources": lambda: open(hidden / "__init__.py").read(),
    "memory file": lambda: os.memfd_create("x"),
    "parent": lambda: open(f"/proc/{os.getppid()}/environ").read(),
}
done = {}
for name, attempt in tries.items():
    try:
        attempt()
        done[name] = "done"
    except OSError as error:
        done[name] = type(error).__name__
thread = threading.Thread(target=done.update, args=({"a thread": "done"},))
thread.start(), thread.join()
import decimal
print(json.dumps({"missing": missing, "done": done, "decimal": decimal.__name__}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the filters of the kernel are Linux's")
def test_what_the_kernel_refuses(tmp_path):
    (tmp_path / "old").write_text("x")
    command = [sys.executable, "-P", "-c", TRIES, confinement.__file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    if result["missing"]:
        pytest.skip(f"this kernel has no {' and no '.join(result['missing'])}")
    assert result["done"].pop("a thread") == "done"
    assert set(result["done"].values()) == {"PermissionError"}, result
    assert os.listdir(tmp_path) == ["old"]


# A process of its own, started anew where there is no fork


def test_a_process_that_is_no_fork(tmp_path):
    known = [task for task in tasks() if task.name in ("amdahl", "clipping")]
    files = [write(tmp_path / "amdahl.ipynb", solved("amdahl"))]
    files.append(
        write(tmp_path / "race.ipynb", answered("race", my_clip="def my_clip(gradients, limit):\n    while True: pass"))
    )
    known[1].check.seconds, usual = 1.0, known[1].check.seconds
    try:
        with Server(Limits(), fork=False) as server:
            rows = [*judge(server, "student", files, known)]
    finally:
        known[1].check.seconds = usual
    assert {row.exercise: row.verdict for row in rows} == {"amdahl": "passed", "clipping": "endless"}


def test_an_answer_that_ends_its_process_costs_the_next_one_nothing(tmp_path):
    known = [task for task in tasks() if task.name in ("amdahl", "clipping")]
    ends = "def my_speed_up(times, *, serial=0.1, latency=0.0):\n    import os\n    os._exit(3)"
    files = [write(tmp_path / "amdahl.ipynb", answered("amdahl", my_speed_up=ends))]
    files.append(write(tmp_path / "race.ipynb", solved("race")))
    with Server(Limits()) as server:
        rows = [*judge(server, "student", files, known)]
    assert {row.exercise: row.verdict for row in rows} == {"amdahl": "crashed", "clipping": "passed"}


def test_a_notebook_of_code_alone_is_found_by_its_function(tmp_path):
    known = [task for task in tasks() if task.name == "clipping"]
    read = submission.read(write(tmp_path / "anything.ipynb", code("def my_clip(gradients, limit): return gradients")))
    assert [*submission.handed_in([read], known)] == known


def test_grading_leaves_the_way_in_which_others_pack_as_it_was():
    """What goes by value to a student's process goes by name to a rank."""
    before = set(cloudpickle.list_registry_pickle_by_value())
    pack_call([torch.ones(2), Task], {})
    assert set(cloudpickle.list_registry_pickle_by_value()) == before and "course_lib" not in before
