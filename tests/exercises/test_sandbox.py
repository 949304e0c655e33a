"""Whatever the reader's code does, it ends in one clear sentence, and the process stays as it was."""

import _thread
import random
import signal
import sys
import threading
import time
from dataclasses import replace

import pytest
import torch
from running_total import CHECK, exercise, rejected, total

from course_lib.exercises.cases import Case
from course_lib.exercises.sandbox import limited
from course_lib.exercises.trial import attempt


def nothing_is_left(before):
    """Whether the number of threads falls back to `before`, soon."""
    end = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    return threading.active_count() <= before


# Exceptions


def test_an_exception_is_told_with_its_line():
    def broken(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        s = keep * s + gradient  # noqa: F821
        return w - lr * s, s

    line = broken.__code__.co_firstlineno + 1
    assert (
        f"broken raises NameError at line {line}, `s = keep * s + gradient  # noqa: F821`: name 'gradient' is not defined."
        in rejected(broken)
    )


def test_an_exception_inside_torch_is_told_with_the_readers_line():
    def broken(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        return torch.lerp(w, "g", lr), s

    assert (
        f'broken raises TypeError at line {broken.__code__.co_firstlineno + 1}, `return torch.lerp(w, "g", lr), s`: lerp()'
        in rejected(broken)
    )


def test_an_exception_in_a_later_case_says_in_which():
    def broken(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        s = keep * s + float(g)
        return w - lr * s, s

    assert "case 11 of 20 (a vector of 3 parameters; step 1): broken raises ValueError at line" in rejected(broken)


def test_leaving_python_is_no_way_out():
    def leaves(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        sys.exit("bye")

    assert "leaves raises SystemExit" in rejected(leaves)


def test_recursion():
    def again(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        return again(w, g, t, s, lr=lr, keep=keep)

    assert f"again goes too deep at line {again.__code__.co_firstlineno + 1}" in rejected(again)


# Time


def test_an_endless_loop_is_stopped():
    def endless(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        while True:
            s = s + 1

    before = threading.active_count()
    message = rejected(endless, exercise(seconds=0.2))
    line = endless.__code__.co_firstlineno
    assert "endless did not end within 0.2 seconds: it was at line " in message
    assert any(f"line {line + k}, `{text}`" in message for k, text in ((1, "while True:"), (2, "s = s + 1")))
    assert nothing_is_left(before)


def test_a_loop_that_swallows_exceptions_is_stopped():
    def stubborn(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        swallowed = 0
        while swallowed < 2:
            try:
                while True:
                    s = s + 1
            except BaseException:
                swallowed += 1
        return w, s

    before = threading.active_count()
    assert "stubborn did not end within 0.2 seconds" in rejected(stubborn, exercise(seconds=0.2))
    assert nothing_is_left(before)


def test_what_cannot_be_interrupted_still_gets_its_sentence():
    def asleep(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        time.sleep(2.5)
        return total(w, g, t, s, lr=lr, keep=keep)

    before, start = threading.active_count(), time.monotonic()
    message = rejected(asleep, exercise(seconds=0.1))
    assert time.monotonic() - start < 2.4
    assert "asleep did not end within 0.1 seconds: it was at line" in message and "`time.sleep(2.5)`" in message
    assert nothing_is_left(before)  # when it wakes up, it finds the exception waiting


def test_the_time_of_an_import_does_not_count(tmp_path, monkeypatch):
    (tmp_path / "slowly_imported.py").write_text("import time\ntime.sleep(0.6)\n")
    monkeypatch.syspath_prepend(tmp_path)

    def imports(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        import slowly_imported  # noqa: F401

        return total(w, g, t, s, lr=lr, keep=keep)

    assert exercise(seconds=0.4).judge(imports).passed


def test_a_case_that_starts_something_has_more_time():
    def slow(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        if t == 7:
            time.sleep(0.6)
        return total(w, g, t, s, lr=lr, keep=keep)

    def patient(startup):
        check = exercise(seconds=0.5)
        one = {"w": torch.ones(()), "g": torch.ones(()), "s": torch.zeros(()), "lr": 0.1, "keep": 0.5}
        check.cases = [Case("a step with a start", "", lambda call: call(**one, t=7), startup=startup)]
        return check

    assert "slow did not end within 0.5 seconds" in rejected(slow, patient(0.0))
    assert patient(5.0).judge(slow).passed


def test_trying_the_mistakes_takes_none_of_the_readers_time():
    check = exercise(seconds=0.4)
    usual = check.mistakes[0].variants[0]

    def slow(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        time.sleep(0.02)
        return usual(w, g, t, s, lr=lr, keep=keep)

    check.mistakes = [replace(check.mistakes[0], variants=[slow])]
    assert check.judge(usual).mistake == "keeps_nothing"


def test_a_right_answer_tries_no_mistake():
    check = exercise()
    assert check.judge(total).passed and "_known" not in vars(check)


def test_the_stop_button_stops_the_readers_code():
    ended = threading.Event()

    def forever():
        try:
            while True:
                pass
        finally:
            ended.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process that tests for another one ignores it
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            limited(forever, lambda: 10.0)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_set()
    timer.join()


def test_a_fault_of_our_own_is_not_the_readers():
    def fault():
        raise LookupError("ours")

    with pytest.raises(LookupError, match="ours"):
        limited(fault, lambda: 1.0)


# Prints


def test_prints_do_not_spoil_the_passing_line(capsys):
    def talks(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        print("w is", w)
        print("to stderr", file=sys.stderr)
        return total(w, g, t, s, lr=lr, keep=keep)

    assert CHECK(talks).passed
    assert capsys.readouterr() == ("✓ total: 20 of 20 cases agree with the test.\n", "")


def test_a_failing_call_shows_what_it_printed(capsys):
    def talks(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        print("t   is", t)
        return w - lr * g, g

    verdict = CHECK(talks)
    assert verdict.mistake == "keeps_nothing"
    assert capsys.readouterr().out.endswith(
        "This call printed:\nt   is 2\n"
    )  # the second step is the first that differs


def test_endless_printing_is_cut():
    def endless(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        while True:
            print("again")

    message = rejected(endless, exercise(seconds=0.2))
    assert "did not end within" in message and len(message) < 3000


# What is left behind


def test_the_process_stays_as_it_was():
    def meddles(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
        torch.set_default_dtype(torch.float16)
        torch.set_grad_enabled(False)
        torch.manual_seed(0)
        random.seed(0)
        return total(w, g, t, s, lr=lr, keep=keep)

    torch.manual_seed(1)
    random.seed(1)
    expected = torch.rand(3), random.random()
    torch.manual_seed(1)
    random.seed(1)
    assert CHECK.judge(meddles).passed
    assert torch.get_default_dtype() is torch.float32 and torch.is_grad_enabled()
    assert torch.equal(torch.rand(3), expected[0]) and random.random() == expected[1]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_readers_own_defaults_do_no_harm(dtype):
    torch.set_default_dtype(dtype)
    try:
        assert exercise().judge(total).passed
        with torch.no_grad():
            assert exercise().judge(total).passed
    finally:
        torch.set_default_dtype(torch.float32)


def test_time_that_is_up_before_a_case_has_called():
    def spins(call):
        while True:
            pass

    trial = attempt(total, [Case("no call", "", spins)], CHECK.trial(total), 0.2, lambda trial: True)
    assert [step.values for step in trial.calls] == [] and len(trial.steps[0]) == 1
    assert "did not end within 0.2 seconds" in str(trial.problem)
