"""One student's answers, judged: the code runs in the student's process, the comparison happens here."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course_lib.exercises.exercise import Exercise, Verdict
from course_lib.exercises.grading import submission
from course_lib.exercises.grading.catalog import Task
from course_lib.exercises.grading.processes import Process, Server
from course_lib.exercises.grading.remote import Remote
from course_lib.exercises.grading.submission import Answer, Fault
from course_lib.exercises.trial import Problem

SECONDS = 5.0  # for the answer to an exercise that has no limit of its own
MOST = 60.0  # seconds of answers that end by no value, for one student; after that the rest is not tried


@dataclass(frozen=True)
class Row:
    """The result of one student's answer to one exercise; `verdict` is one of VERDICTS, `mistake` the name of a classic one."""

    student: str
    exercise: str
    verdict: str
    mistake: str
    seconds: float
    message: str
    notes: str = ""


VERDICTS = {
    "passed": "the answer agrees with the formula in all cases",
    "wrong": "it does not; the message says where, and which mistake it is, if it is a classic one",
    "not attempted": "the stub is as it was",
    "missing": "no function of the asked name",
    "syntax error": "the answer's cell is no Python",
    "unreadable": "a file that is no notebook, is too large, or is for another language",
    "endless": "a call did not end within its time",
    "memory": "the answer needs more memory than there is for it",
    "crashed": "the answer ended its own process",
    "forbidden": "the answer tried what no answer needs: files, the network, other processes, the course's own formulas",
    "forged": "the answer wrote messages to the grader by itself",
    "not tried": "too much time had gone into this student's other answers",
    "error": "the grader itself failed; the answer is not judged",
    "not handed in": "none of the student's files holds this exercise",
}


class Student:
    """The student's process, replaced by a new one when an answer has used it up."""

    def __init__(self, server: Server):
        self.server, self.process, self.missing = server, None, []

    def get(self) -> Process:
        """A process that answers."""
        if self.process is None:
            self.process = self.server.start()
            first = self.process.first.get(timeout=60)
            if first is None:
                raise RuntimeError(f"A student's process did not start: it ended with the code {self.process.end()}.")
            self.missing = first[0]["missing"]
        return self.process

    def close(self) -> None:
        """End the process; the next answer gets a new one."""
        if self.process:
            self.process.end()
        self.process = None


def judge(server: Server, name: str, files: list[Path], tasks: list[Task]) -> Iterator[Row]:
    """A row for each exercise that the student's files hold, and for each file that cannot be read."""
    read = [(path, submission.read(path)) for path in files]
    for path, fault in read:
        if isinstance(fault, Fault):
            yield Row(name, _of_file(path, tasks), fault.kind, "", 0.0, f"✗ {fault.text}")
    notebooks = [notebook for _, notebook in read if not isinstance(notebook, Fault)]
    student, lost = Student(server), 0.0
    with contextlib.closing(student):
        for task, holding in submission.handed_in(notebooks, tasks).items():
            answer = submission.answer(task, holding)
            if isinstance(answer, Answer) and lost > MOST:
                answer = Fault("not tried", f"Other answers of this student took {lost:.0f} seconds without a value.")
            row = _judged(student, name, task, answer)
            lost += row.seconds if row.verdict in ("endless", "memory", "crashed") else 0.0
            yield row


def _of_file(path: Path, tasks: list[Task]) -> str:
    return next((task.name for task in tasks if task.notebook == path.stem), "")


def _judged(student: Student, name: str, task: Task, answer: Answer | Fault) -> Row:
    if isinstance(answer, Fault):
        return Row(name, task.name, answer.kind, "", 0.0, f"✗ {task.name}: {answer.text}", " ".join(answer.notes))
    process, start = student.get(), time.monotonic()
    remote = Remote(process, answer, getattr(task.check, "seconds", SECONDS))
    verdict, notes = _verdict(task, remote), [*answer.notes]
    kind = remote.fate.kind if remote.fate else _kind(verdict)
    if not remote.fate:
        with contextlib.suppress(Problem):
            if replaced := remote.replaced():
                notes.append(f"The code replaces {', '.join(replaced)} in its process, which changes nothing here.")
                student.close()
    if remote.fate:
        student.close()
    if kind not in ("passed", "not attempted") and f"✓ {task.check.name}:" in answer.outputs:
        notes.append("The notebook's stored output says that the check passes. Stored outputs do not count.")
    seconds = round(time.monotonic() - start, 2)
    return Row(name, task.name, kind, verdict.mistake or "", seconds, verdict.message, " ".join(notes))


def _verdict(task: Task, remote: Remote) -> Verdict:
    """What the check says; the answer's time is measured where it runs."""
    try:
        fn = remote.load()
        if not isinstance(task.check, Exercise):
            fn = _constant(fn)
    except Problem as problem:
        return Verdict(False, f"✗ {task.name}: {problem}")
    if not isinstance(task.check, Exercise):
        return task.check.judge(fn)
    return task.check.judge(fn, seconds=math.inf)  # a limit there would count what the grader itself takes, too


def _constant(fn):
    """A diagnosis is called once, with nothing: what it returned stands for it."""
    if not isinstance(fn, Remote):
        return fn
    value = fn()

    def returns():
        return value

    returns.__name__ = fn.__name__
    return returns


def _kind(verdict: Verdict) -> str:
    return "passed" if verdict.passed else "not attempted" if verdict.message.startswith("○") else "wrong"
