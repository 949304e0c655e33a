"""Exercise: the speed-up of machines that wait for each other, with a serial share and messages."""

from course_lib.exercises.cases import once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas import stragglers


def speed_up(times, *, serial=0.1, latency=0.0):
    """How many times as fast n machines are as one; `times` has the shape (steps, n)."""
    n = times.shape[1]
    slowest = times.max(1).values.mean()
    return stragglers.speed_up(n, slowest, serial=serial, latency=latency).item()


def combined(n, slowest, serial, latency, messages=None):
    return (
        1 / (serial + (1 - serial) * slowest / n + (2 * (n - 1) if messages is None else messages) * latency)
    ).item()


def slowest_of(times):
    return times.max(1).values.mean()


INSTEAD = "Your speed-up is {yours[speedup]} instead of {right[speedup]}: "


@mistake(
    INSTEAD
    + "you take the mean of all times, as if nobody waited. A step ends when its *slowest* machine is done: take the "
    "largest time of each step, then the mean over the steps."
)
def nobody_waits(times, *, serial=0.1, latency=0.0):
    return combined(times.shape[1], times.mean(), serial, latency)


@mistake(
    INSTEAD
    + "one bad step slows down all of yours. You take the largest time of the whole run; each step waits for its own slowest "
    "machine only: `times.max(1).values.mean()`."
)
def slowest_of_the_run(times, *, serial=0.1, latency=0.0):
    return combined(times.shape[1], times.max(), serial, latency)


@mistake(
    INSTEAD
    + "you average each machine over the steps first, and then take the slowest machine. But another machine is the slowest in "
    "each step, and the barrier waits for each of them. First the maximum, then the mean."
)
def mean_before_maximum(times, *, serial=0.1, latency=0.0):
    return combined(times.shape[1], times.mean(0).max(), serial, latency)


@mistake(
    INSTEAD
    + "you average the speed-ups of the steps. Times add up, ratios do not: first the mean time of a step, then one division. "
    "(The mean of ratios is always too kind.)"
)
def mean_of_ratios(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    return (1 / (serial + (1 - serial) * times.max(1).values / n + 2 * (n - 1) * latency)).mean().item()


@mistake(
    INSTEAD
    + "your n stands in the serial part as well. Serial means that no machine can help with it: only 1 - serial is divided by n."
)
def divides_the_serial_part(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    return (1 / ((serial + (1 - serial) * slowest_of(times)) / n + 2 * (n - 1) * latency)).item()


@mistake(
    INSTEAD
    + "your stragglers stretch the serial part, too. It is done once, by one machine, in its usual time: only the parallel part "
    "waits for the slowest."
)
def stretches_the_serial_part(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    return (1 / (slowest_of(times) * (serial + (1 - serial) / n) + 2 * (n - 1) * latency)).item()


@mistake(
    INSTEAD
    + "the serial share is counted twice. It is a part of the step: what is left for the n machines is 1 - serial, and not 1."
)
def counts_the_serial_part_twice(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    return (1 / (serial + slowest_of(times) / n + 2 * (n - 1) * latency)).item()


@mistake(
    INSTEAD
    + "the work is not divided. Each of the n machines has an n-th of it: the parallel part takes (1 - serial) * slowest / n."
)
def does_not_divide(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    return (1 / (serial + (1 - serial) * slowest_of(times) + 2 * (n - 1) * latency)).item()


@mistake(
    "Without latency all agrees. With latency = {given[latency]} your speed-up is {yours[speedup]} instead of {right[speedup]}: the "
    "messages are missing. Add 2(n - 1) * latency to the time of a step."
)
def forgets_the_latency(times, *, serial=0.1, latency=0.0):
    return combined(times.shape[1], slowest_of(times), serial, 0.0)


@mistake(
    "With latency = {given[latency]} your speed-up is {yours[speedup]} instead of {right[speedup]}: you count n - 1 messages. A ring goes "
    "around twice, once to add up and once to hand out: 2(n - 1)."
)
def once_around(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    return combined(n, slowest_of(times), serial, latency, n - 1)


@mistake(
    "With latency = {given[latency]} your speed-up is {yours[speedup]} instead of {right[speedup]}: you count 2n messages. The last one "
    "would bring a machine what it has already: 2(n - 1), and none for one machine."
)
def one_message_too_many(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    return combined(n, slowest_of(times), serial, latency, 2 * n)


@mistake(
    "With latency = {given[latency]} your speed-up is {yours[speedup]} instead of {right[speedup]}: 2(n - 1)/n is how many *bytes* a ring "
    "sends, in units of the gradient. Here it is messages that count, 2(n - 1) of them, however short they are."
)
def bytes_for_messages(times, *, serial=0.1, latency=0.0):
    n = times.shape[1]
    return combined(n, slowest_of(times), serial, latency, 2 * (n - 1) / n)


@mistake(
    "Your result is {yours[speedup]} where {right[speedup]} is asked, which is one over it: you return the time of a step in place of how "
    "many times as fast it is."
)
def time_for_speed_up(times, *, serial=0.1, latency=0.0):
    return 1 / speed_up(times, serial=serial, latency=latency)


@mistake(
    INSTEAD + "that is the speed-up over n, the efficiency. It is 1 where nothing is lost; the speed-up is n there."
)
def efficiency(times, *, serial=0.1, latency=0.0):
    return speed_up(times, serial=serial, latency=latency) / times.shape[1]


@mistake(
    INSTEAD
    + "your axes are exchanged. `times` has the shape (steps, n): a row is a step, n is the number of *columns*, and the maximum "
    "goes along a row: `times.max(1)`."
)
def axes_exchanged(times, *, serial=0.1, latency=0.0):
    return speed_up(times.T, serial=serial, latency=latency)


ONE_SLOW = [[1.1, 1.1, 1.1, 1.8]]
TWO_STEPS = [[1.0, 1.6, 0.8, 1.0], [1.4, 0.9, 1.0, 0.7]]
SQUARE = [[0.9, 1.3, 1.1], [1.2, 0.7, 1.7], [2.3, 1.0, 0.8]]
MANY = [
    [0.9, 1.1, 0.7, 1.3, 1.0, 0.8, 1.2, 1.0],
    [1.0, 0.6, 2.4, 0.9, 1.1, 1.0, 0.8, 1.2],
    [0.8, 1.0, 0.9, 1.1, 0.7, 1.6, 1.0, 0.9],
]


def _given(times, serial=0.0, latency=0.0) -> dict:
    return {"times": tensor(times), "serial": serial, "latency": latency}


check = Exercise(
    speed_up,
    returns=("speedup",),
    cases=[
        once("two equal machines", "", **_given([[1.1, 1.1]])),
        once(
            "one of four machines is slow",
            "Equal machines agree: look at whom the step waits for, and for a number where n should stand.",
            about=("times", "slowest", "n"),
            **_given(ONE_SLOW),
        ),
        once(
            "four machines that are faster than they should be",
            "Times above 1 agree: below 1 they count in the same way.",
            about=("comparison",),
            **_given([[0.7, 0.9, 0.8, 0.6]]),
        ),
        once(
            "two steps",
            "One step agrees: look at how the steps are put together.",
            about=("reduction", "times"),
            **_given(TWO_STEPS),
        ),
        once(
            "a serial share",
            "Without a serial share all agrees: look at what is divided by n, and what is not.",
            about=("serial",),
            **_given(TWO_STEPS, 0.23),
        ),
        once(
            "with latency",
            "Without latency all agrees: count the messages of the ring.",
            about=("latency", "n"),
            **_given(TWO_STEPS, 0.23, 0.013),
        ),
        several(
            "one machine, one step, as many steps as machines",
            "Two steps of four machines agree: which dimension holds the machines, and what is left for one alone?",
            _given([[0.9], [1.7]], 0.23, 0.013),
            _given([[0.9]], 0.23, 0.013),
            _given(SQUARE, 0.23, 0.013),
            about=("n", "times", "constant", "reduction"),
        ),
        several(
            "each share and latency by itself, and at its limits",
            "Both together agree: look for a number where an argument's name should stand, and for a special case that is none.",
            _given(TWO_STEPS, 0.0, 0.013),
            _given(TWO_STEPS, 1.0, 0.0),
            _given(TWO_STEPS, 1.0, 0.21),
            _given(MANY, 0.05, 2e-3),
            about=("serial", "latency", "default", "constant"),
        ),
    ],
    mistakes=[
        nobody_waits,
        slowest_of_the_run,
        mean_before_maximum,
        mean_of_ratios,
        divides_the_serial_part,
        stretches_the_serial_part,
        counts_the_serial_part_twice,
        does_not_divide,
        forgets_the_latency,
        once_around,
        one_message_too_many,
        bytes_for_messages,
        time_for_speed_up,
        efficiency,
        axes_exchanged,
    ],
    source="Amdahl's law, with stragglers",
)
