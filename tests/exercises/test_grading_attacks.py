"""Answers that are no answers: none passes, each is named as what it is, none holds the grader, and nothing of them is left."""

import time
from pathlib import Path

import pytest
from class_of_students import answered, course_notebook, write

from course_lib.exercises import notebook as reader
from course_lib.exercises.grading.catalog import tasks
from course_lib.exercises.grading.judge import Student, judge
from course_lib.exercises.grading.processes import CAN_FORK, Limits, Server

HEAD = "def my_clip(gradients, limit):\n"
RIGHT = reader.solutions(course_notebook("race"))["my_clip"]
LIMIT = 1.5  # seconds for an answer, in place of five


@pytest.fixture(scope="module")
def tasks_in_short_time():
    """The exercise that is attacked, with less time for an answer."""
    (task,) = (task for task in tasks() if task.name == "clipping")
    usual, task.check.seconds = task.check.seconds, LIMIT
    yield [task]
    task.check.seconds = usual


@pytest.fixture(scope="module")
def server():
    with Server(Limits(memory=1 << 30)) as server:
        Student(server).get().end()  # the server has imported PyTorch now
        yield server


@pytest.fixture
def grade(server, tasks_in_short_time, tmp_path):
    """The one row of a student with this notebook."""

    def grade(notebook):
        path = write(tmp_path / "folder" / "race.ipynb", notebook)
        start = time.monotonic()
        (row,) = judge(server, "student", [path], tasks_in_short_time)
        assert time.monotonic() - start < LIMIT + 8  # a busy machine needs some to start a process
        assert children(server) == []
        return row

    return grade


def children(server) -> list[str]:
    """The processes that the server's process has left."""
    tree = Path(f"/proc/{server._process.pid}/task/{server._process.pid}/children")
    return tree.read_text().split()


linux = pytest.mark.skipif(
    not CAN_FORK, reason="the names of these need Linux: elsewhere the process is not confined so far"
)

BODIES = {
    "a loop that never ends": ("while True: pass", "endless", "did not end within 1.5 seconds: it was at line 5, `while True: pass`"),
    "a loop in one call into C": ("import itertools; sum(itertools.count())", "endless", "at line 5, `import itertools; sum("),
    "a loop that catches everything": (
        "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        "endless",
        "did not end within",
    ),
    "a long sleep": ("import time; time.sleep(1000)", "endless", "time.sleep(1000)"),
    "much memory, in Python": ("x = [0] * (1 << 34)", "memory", "needs more memory than there is"),
    "much memory, in PyTorch": ("import torch; return torch.ones(1 << 40)", "memory", "needs more memory"),
    "fork": ("import os\n    if os.fork(): return gradients\n    while True: pass", "forbidden", "starts another process"),
    "a program": ("import subprocess; subprocess.run(['true'])", "forbidden", "starts another process"),
    "a process by multiprocessing": (
        "import multiprocessing as m; m.get_context('fork').Process(target=print).start()", "forbidden", "starts another process",
    ),
    "the end of the process": ("import os; os._exit(0)", "crashed", "ended its process with the code 0, as `os._exit` does"),
    "sys.exit": ("import sys; sys.exit(0)", "wrong", "raises SystemExit"),
    "a signal to itself": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "forbidden", "sends a signal to a process"),
    "a signal to itself, raised": ("import signal; signal.raise_signal(9)", "crashed", "ended its process by the signal SIGKILL"),
    "a signal to the grader": ("import os, signal; os.kill(os.getppid(), 9)", "forbidden", "sends a signal"),
    "recursion": ("return my_clip(gradients, limit)", "wrong", "calls itself without end"),
    "a crash": ("import faulthandler; faulthandler._sigsegv()", "crashed", "ended its process by the signal"),
    "the network": ("import socket; socket.create_connection(('127.0.0.1', 9))", "forbidden", "opens a network connection"),
    "the answer from course_lib": (
        "from course_lib.exercises.clipping import clip_by_global_norm as f; return f(gradients, limit)",
        "forbidden", "imports course_lib, where the answer stands",
    ),
    "a refusal that is caught": (
        "try:\n        import course_lib\n    except BaseException: pass\n    return gradients", "forbidden", "imports course_lib",
    ),
    "the answer from the sources": (
        f"exec(open({str(Path(reader.__file__).with_name('clipping.py'))!r}).read())", "forbidden", "opens the sources of course_lib",
    ),
    "the answer from the book": (
        f"return open({str(Path(reader.__file__).parents[2] / 'book/exercises/race.ipynb')!r}).read()", "forbidden", "reads the file 'race.ipynb'",
    ),
    "a look at the caller's frames": ("import sys; return sys._getframe(1).f_locals['right']", "forbidden", "looks into the frames"),
    "a look by inspect": ("import inspect; return inspect.stack()[1][0].f_locals['right']", "forbidden", "looks into the frames"),
    "a look through memory": ("import gc; return [x for x in gc.get_objects()][0]", "forbidden", "looks through the memory"),
    "a file written": ("open('x', 'w').write('x')", "forbidden", "writes the file 'x'"),
    "a file deleted": ("import os; os.remove('race.ipynb')", "forbidden", "changes files"),
    "a folder deleted": ("import shutil; shutil.rmtree('/tmp/no-such-folder')", "forbidden", "changes files"),
    "a call into C": ("import ctypes; ctypes.CDLL(None).kill(1, 0)", "forbidden", "by ctypes"),
    "the hooks outdone": ("import resource; resource.setrlimit(resource.RLIMIT_CPU, (9999, 9999))", "forbidden", "changes its own limits"),
    "a class that is equal to everything": (
        "class Equal:\n        __eq__ = lambda *_: True\n    return [Equal() for _ in gradients]", "wrong", "a Python Equal",
    ),
}  # fmt: skip


@linux
@pytest.mark.parametrize("body, verdict, text", BODIES.values(), ids=BODIES)
def test_code_that_is_no_answer(grade, body, verdict, text):
    row = grade(answered("race", my_clip=f"{HEAD}    {body}\n    return gradients"))
    assert (row.verdict, row.verdict != "passed") == (verdict, True), row
    assert text in row.message


PASSING = "✓ clip_by_global_norm: 14 of 14 cases agree with slide 23's formula."
PRINTS = f"""import sys, os
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try: print({PASSING!r}, file=stream, flush=True)
        except Exception: pass
    for number in (1, 2): os.write(number, {PASSING!r}.encode())
    return gradients"""
PATCHED = """import torch
    torch.allclose = torch.equal = torch.Tensor.__eq__ = lambda *a, **k: True
    return gradients"""
REPLACED = """import sys, types
    fake = types.ModuleType('course_lib'); fake.check = lambda fn: print('passed')
    for name in ('course_lib', 'course_lib.exercises', 'course_lib.exercises.clipping'): sys.modules[name] = fake
    return gradients"""
MESSAGES = """import os
    for number in range(3, 40):
        try: os.write(number, b'\\\\0\\\\0\\\\0\\\\2\\\\0\\\\0\\\\0\\\\0{}' * 100)
        except OSError: pass
    while True: pass"""


@linux
@pytest.mark.parametrize(
    "body, verdict, note",
    [
        pytest.param(PRINTS, "wrong", "Stored outputs do not count", id="the passing line, printed to every stream"),
        pytest.param(PATCHED, "wrong", "The code replaces torch.allclose", id="another torch"),
        pytest.param(REPLACED, "wrong", "The code replaces course_lib", id="another course_lib"),
        pytest.param(MESSAGES, "forged", "", id="messages to the grader"),
    ],
)
def test_a_forged_pass(grade, body, verdict, note):
    row = grade(answered("race", my_clip=f"{HEAD}    {body}\n"))
    assert row.verdict == verdict, row
    assert note in row.notes


WRONG = f"{HEAD}    return gradients\n"


def edited(change):
    """The wrong answer's notebook after a change of its cells."""
    notebook = answered("race", my_clip=WRONG)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    change(notebook["cells"], *cells[:2])
    return notebook


def test_a_notebook_that_was_run_and_saved(grade):
    notebook = edited(
        lambda cells, stub, check: check.update(
            outputs=[{"output_type": "stream", "name": "stdout", "text": [PASSING]}]
        )
    )
    row = grade(notebook)
    assert row.verdict == "wrong" and "stored output says that the check passes" in row.notes


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda cells, stub, check: cells.remove(check), id="deleted"),
        pytest.param(lambda cells, stub, check: check.update(source="print('passed')"), id="replaced"),
        pytest.param(
            lambda cells, stub, check: check.update(source="# NBVAL_SKIP\nverdict = 'passed'"), id="another marker"
        ),
    ],
)
def test_an_edited_check_cell_changes_nothing(grade, change):
    row = grade(edited(change))
    assert row.verdict == "wrong" and "cell with the check is missing or was changed" in row.notes


def test_two_answers(grade):
    again = edited(lambda cells, stub, check: cells.append({**stub, "source": RIGHT}))
    row = grade(again)
    assert row.verdict == "passed" and "my_clip is defined 2 times; the last one counts." in row.notes
    again["cells"].append({**again["cells"][-1], "source": WRONG})
    assert grade(again).verdict == "wrong"


def test_a_renamed_function(grade):
    row = grade(answered("race", my_clip=RIGHT.replace("my_clip", "myclip")))
    assert row.verdict == "missing"
    assert "no function my_clip. The notebook defines myclip" in row.message


def test_an_answer_that_is_no_python(grade):
    row = grade(answered("race", my_clip=f"{HEAD}    return (gradients\n"))
    assert row.verdict == "syntax error" and "The cell of my_clip is no Python at line" in row.message


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"{", "race.ipynb is not a notebook"),
        (b"\xff\xfe\x00", "race.ipynb is not a notebook"),
        (b"[]", "race.ipynb is not a notebook"),
        (b'{"cells": [{}]}', "race.ipynb is not a notebook"),
        (b'{"cells": 3}', "race.ipynb is not a notebook"),
        (b"[" * 100_000, "race.ipynb is not a notebook"),
        (
            b'{"cells": [], "metadata": {"kernelspec": {"language": "julia"}}}',
            "is a notebook for julia, not for Python",
        ),
        (b"x" * (100 << 20), "race.ipynb has 100 MB; a notebook has at most 20"),
    ],
    ids=["cut off", "no text", "a list", "an empty cell", "no cells", "nested", "another kernel", "100 MB"],
)
def test_a_file_that_cannot_be_read(server, tasks_in_short_time, tmp_path, content, sentence):
    path = tmp_path / "race.ipynb"
    path.write_bytes(content)
    (row,) = judge(server, "student", [path], tasks_in_short_time)
    assert row.verdict == "unreadable" and sentence in row.message


def test_what_no_exercise_asks_for_is_not_run(grade):
    """Only the statements that the answer needs run: the rest of a notebook may hold anything."""
    notebook = edited(
        lambda cells, stub, check: cells.insert(0, {**stub, "source": "import os\nos._exit(1)\nwhile True: pass"})
    )
    assert grade(notebook).verdict == "wrong"
