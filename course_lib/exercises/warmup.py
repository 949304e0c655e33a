"""Exercise: put a warm-up in front of any schedule."""

from collections.abc import Callable
from dataclasses import dataclass

from course_lib.exercises.cases import Case, once
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas import schedules


def warmup(schedule, t, *, steps=10, start=0.01):
    """The rate after t steps: a line from the share `start` of schedule(0) up to it, over `steps` steps, then the schedule."""
    if t < steps:
        return line(t / steps, start) * schedule(0)
    return schedule(t - steps)


def line(done, start):
    """From start at done = 0 to 1 at done = 1."""
    return start + (1 - start) * done


# Case 1 has t = 0, steps = 10 and start = 0.1, and a constant rate of 0.5: the rate is 0.05. Case 2 has t = 5: 0.275.


@mistake(
    "At t = 0 your rate is {yours[rate]}: the first step would change nothing, and use up a batch. The line begins at the share "
    "start = {given[start]} of schedule(0), so at {right[rate]}."
)
def begins_at_zero(schedule, t, *, steps=10, start=0.01):
    return t / steps * schedule(0) if t < steps else schedule(t - steps)


@mistake(
    "At t = {given[t]} your rate is {yours[rate]}, still that of the first step, where it must be {right[rate]}. A warm-up rises. "
    "Look for t in its line."
)
def does_not_rise(schedule, t, *, steps=10, start=0.01):
    return start * schedule(0) if t < steps else schedule(t - steps)


@mistake(
    "At t = 0 your rate is {yours[rate]} instead of {right[rate]}: you take `start` for a rate. It is a *share* of the rate at which the "
    "schedule begins, so that one number does for every schedule."
)
def start_is_a_rate(schedule, t, *, steps=10, start=0.01):
    return start + (schedule(0) - start) * t / steps if t < steps else schedule(t - steps)


@mistake(
    "The first step agrees; at t = {given[t]} your rate is {yours[rate]} instead of {right[rate]}. You add `start` on top of a line that "
    "goes from 0 to 1, and so you end above 1. The line has to climb 1 − start only."
)
def start_on_top(schedule, t, *, steps=10, start=0.01):
    return (start + t / steps) * schedule(0) if t < steps else schedule(t - steps)


@mistake(
    "At t = 0 your rate is {yours[rate]} instead of {right[rate]}, that of t = 1. t is the number of steps *taken*: at the first step it is 0."
)
def counts_from_one(schedule, t, *, steps=10, start=0.01):
    return line((t + 1) / steps, start) * schedule(0) if t < steps else schedule(t - steps)


@mistake(
    "At t = {given[t]} your rate is {yours[rate]} instead of {right[rate]}. You divide by steps − 1, so that the last step of the warm-up "
    "has the full rate already. After `steps` steps the schedule begins, and t = steps is where the line arrives."
)
def arrives_a_step_early(schedule, t, *, steps=10, start=0.01):
    return line(t / max(steps - 1, 1), start) * schedule(0) if t < steps else schedule(t - steps)


@mistake(
    "In the middle of the warm-up your rate is {yours[rate]} instead of {right[rate]}: you multiply by the same factor in each step. "
    "A straight line adds the same amount."
)
def geometric(schedule, t, *, steps=10, start=0.01):
    return start ** (1 - t / steps) * schedule(0) if t < steps else schedule(t - steps)


@mistake(
    "In front of a constant rate all agrees. Here the schedule falls, and at t = {given[t]} your rate is {yours[rate]} instead of "
    "{right[rate]}: the schedule has been running during your warm-up. It begins afterward, at its own t = 0."
)
def does_not_shift(schedule, t, *, steps=10, start=0.01):
    return line(t / steps, start) * schedule(0) if t < steps else schedule(t)


@mistake(
    "In front of a constant rate all agrees. Here the schedule falls, and at t = {given[t]} your rate is {yours[rate]} instead of "
    "{right[rate]}: you multiply the running schedule by the line. That is a warm-up *on top of* a schedule. Here it stands in front: the "
    "line leads up to schedule(0), and the schedule begins afterward."
)
def on_top_of_the_schedule(schedule, t, *, steps=10, start=0.01):
    return line(t / steps, start) * schedule(t) if t < steps else schedule(t)


@mistake(
    "At t = {given[t]} your rate is {yours[rate]} instead of {right[rate]}: after the warm-up you start the schedule rightly from its "
    "t = 0, but during the warm-up you have it run as well. The line leads up to schedule(0)."
)
def runs_twice(schedule, t, *, steps=10, start=0.01):
    return line(t / steps, start) * schedule(t) if t < steps else schedule(t - steps)


@mistake(
    "At t = {given[t]} the warm-up of {given[steps]} steps is over, and your rate is {yours[rate]} instead of {right[rate]}: the line goes "
    "on rising. Look for the place where the schedule takes over."
)
def never_ends(schedule, t, *, steps=10, start=0.01):
    return line(t / max(steps, 1), start) * schedule(0)


@mistake(
    "After the warm-up, at t = {given[t]}, your rate is {yours[rate]} instead of {right[rate]}: it stays at the top for good. "
    "From there on the schedule itself must run."
)
def stays_at_the_top(schedule, t, *, steps=10, start=0.01):
    return line(min(t / max(steps, 1), 1), start) * schedule(0)


@mistake(
    "At t = {given[t]} your rate is {yours[rate]} instead of {right[rate]}: the schedule comes one step late, its first rate is used "
    "twice. At t = steps the line has arrived, and that *is* schedule(0); the next one is schedule(1)."
)
def one_step_late(schedule, t, *, steps=10, start=0.01):
    return line(t / max(steps, 1), start) * schedule(0) if t <= steps > 0 else schedule(max(t - steps - 1, 0))


@mistake(
    "At t = {given[t]} your rate is {yours[rate]} instead of {right[rate]}: the schedule's first rate is left out. At t = {given[steps]} "
    "the warm-up is over, and the schedule begins with its t = 0."
)
def skips_the_first(schedule, t, *, steps=10, start=0.01):
    return line(t / steps, start) * schedule(0) if t < steps else schedule(t - steps + 1)


@mistake(
    "All agrees while steps is 10. Here it is {given[steps]}, and your rate is {yours[rate]} instead of {right[rate]}. "
    "Look for 10 written as a number."
)
def fixed_steps(schedule, t, *, steps=10, start=0.01):
    return line(t / 10, start) * schedule(0) if t < 10 else schedule(t - 10)


@dataclass(frozen=True)
class Schedule:
    """A schedule with a text that a message can show; it knows no time before its first step."""

    text: str
    formula: Callable

    def __call__(self, t):
        if not t >= 0:
            raise ValueError(f"schedule got t = {t}; its steps begin at 0")
        return self.formula(t)

    def __str__(self) -> str:
        return self.text


FLAT = Schedule("a constant rate of 0.5", lambda t: schedules.constant(t, lr=0.5))
LINE = Schedule("a line from 0.5 to 0 in 20 steps", lambda t: schedules.linear(t, lr=0.5, total=20))
WAVE = Schedule("restarts with T_0 = 5", lambda t: schedules.warm_restarts(t, lr=0.2, T_0=5))
USUAL = {"schedule": LINE, "steps": 10, "start": 0.1}


def _steps(title: str, look: str, steps_taken, about=(), **other) -> Case:
    """A call for each number of steps taken."""
    return Case(title, look, lambda call: [call(t=t, **(USUAL | other)) for t in steps_taken], about=about)


check = Exercise(
    warmup,
    returns=("rate",),
    cases=[
        once("before the first step", "", t=0, **(USUAL | {"schedule": FLAT})),
        once("half of the warm-up", "The start agrees: look at the line.", t=5, **(USUAL | {"schedule": FLAT}), about=("start", "steps", "t")),
        once("its last step", "The middle agrees: look at where the line ends.", t=9, **(USUAL | {"schedule": FLAT}), about=("steps",)),
        _steps("in front of a constant rate", "Look at what happens at t = steps and after.", range(8, 14), schedule=FLAT, about=("comparison", "steps", "t")),
        _steps("in front of a falling line", "A constant rate agrees: look at the t that you give to the schedule.", range(0, 32, 3), about=("schedule", "steps", "t")),
        _steps("in front of restarts", "A line agrees: look at the t that you give to the schedule.", range(8, 28), schedule=WAVE, about=("schedule",)),
        _steps("another length", "A warm-up of 10 steps agrees: look for a number where `steps` should stand.", range(10), steps=4, about=("steps",)),
        _steps("another start", "A start of 0.1 agrees: look for a number where `start` should stand.", range(0, 15, 2), start=0.35, about=("start",)),
        _steps("another length and start", "Each by itself agrees: look at where the two meet.", range(12), steps=7, start=0.6, about=("steps", "start")),
        _steps("a start at 0", "With start = 0 the line begins at 0: 0 is a number like any other.", range(0, 15, 3), start=0.0, about=("start",)),
        _steps("a start at 1", "With start = 1 the line is flat.", range(0, 15, 3), start=1.0, about=("start",)),
        _steps("a warm-up of one step", "One step of warm-up: t = 0 has the share start, t = 1 is the schedule's first.", range(5), steps=1, about=("steps", "constant")),
        _steps("no warm-up", "With steps = 0 there is nothing before the schedule. Look for a division by steps.", range(5), steps=0, about=("steps", "comparison")),
        _steps("steps in any order", "In order all agrees: look for something that is kept between calls. The rate depends on t alone.", (25, 3, 10, 0, 9, 3), about=("memory",)),
        Case("no length and no start given", "Each one was right when it was given: steps is 10 and start is 0.01 where none is.", lambda call: [call(schedule=LINE, t=t) for t in (0, 5, 9, 10, 13)], about=("signature",)),
    ],
    mistakes=[
        begins_at_zero, does_not_rise, start_is_a_rate, start_on_top, counts_from_one, arrives_a_step_early, geometric,
        does_not_shift, on_top_of_the_schedule, runs_twice, never_ends, stays_at_the_top, one_step_late,
        skips_the_first, fixed_steps,
    ],
    source="slide 43",
)  # fmt: skip
