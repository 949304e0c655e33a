"""Real processes: each test of this folder leaves none behind."""

import os
import time

import psutil
import pytest


def others() -> list[psutil.Process]:
    """The Pythons below this one, but for the servers that others are forked from and those that have ended.

    Others, such as a browser's, belong to tests of other folders.
    """
    children = psutil.Process(os.getpid()).children(recursive=True)
    return [p for p in children if p.is_running() and not _is_of_no_interest(p)]


def _is_of_no_interest(process: psutil.Process) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        if "python" not in process.name():
            return True
        forked = process.ppid() != os.getpid()  # a fork of the server has the server's command line
        return not forked and "course_lib.parallel.fork_server" in process.cmdline()
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = {p.pid for p in others()}
    yield
    end = time.monotonic() + 10
    while left := [p for p in others() if p.pid not in before]:
        assert time.monotonic() < end, f"left behind: {left}"
        time.sleep(0.05)
