"""A small exercise to try the framework on: a rule whose state is a decaying sum."""

from course_lib.exercises import Exercise, mistake, rule_cases


def total(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
    s = keep * s + g
    return w - lr * s, s


@mistake("You kept nothing: s is {yours[s]}, not {right[s]}.")
def keeps_nothing(w, g, t, s=0.0, *, lr=0.1, keep=0.5):
    return w - lr * g, g


def exercise(seconds=5.0):
    cases = rule_cases(total, usual={"lr": 0.5, "keep": 0.9}, other={"lr": 0.2, "keep": 0.5})
    return Exercise(
        total, returns=("w", "s"), cases=cases, mistakes=[keeps_nothing], source="the test", seconds=seconds
    )


CHECK = exercise()


def rejected(fn, check=CHECK):
    verdict = check.judge(fn)
    assert not verdict.passed
    assert "Traceback" not in verdict.message
    return verdict.message
