"""The cases of an update rule: a first step, signs, zeros, each hyperparameter by itself, shapes, precision, memory."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch

from course_lib.exercises.cases import Call, Case, tensor
from course_lib.formulas.signature import signature

Slope = Callable[[torch.Tensor, int], torch.Tensor]  # the gradient at w in step t

# No number here is exact in float32, so that a computation in float32 differs at once.
START = tensor(2.1)
GRADIENTS = [tensor(x) for x in (3.3, -1.1, -0.6, -2.2, 4.3, -1.7)]  # turns, stays, turns
VECTOR = tensor([1.1, -2.3, 0.6])
SLOPES = [tensor([3.3, 0.1, -2.1]), tensor([-1.1, 0.4, 5.2]), tensor([0.6, 0.2, -1.3])]
SCALE = torch.linspace(-1.3, 1.7, 24, dtype=torch.float64, device="cpu")
SHAPES = ((2, 3), (3, 1), (1,), (2, 1, 3, 2))
SIZES = (1e4, 1e-4)  # of gradients, beside usual ones
DOWN_TO_EPS = tensor([1.0, 1e-4, 1e-8])  # sizes at which a default of 1e-10 or 1e-8 shows, under a root or beside it
STEPS_BEFORE = 999  # the run that begins later has made these; the next one is the thousandth


def recorded(gradients: list[torch.Tensor]) -> Slope:
    """An open loop: gradient number t, wherever w is."""
    return lambda w, t: gradients[t - 1]


def steps(
    rule: Callable, call: Call, start: torch.Tensor, slope: Slope, hyper: dict[str, Any], first: int = 1, state=None
) -> Iterator[tuple]:
    """The steps first, first + 1, … from `start`, with the gradient `slope(w, t)`: each a call, and its (w, state, …).

    `state` is the rule's initial one if it is not given; a value in `hyper` is a number or a function of t.
    """
    names = signature(rule).state
    w, state = start, state or {name: torch.full_like(start, x) for name, x in names.items()}
    t = first
    while True:
        now = {name: x(t) if callable(x) else x for name, x in hyper.items()}
        w, *new = call(w=w, g=slope(w, t), t=t, **state, **now)
        state = dict(zip(names, new))
        yield w, *new
        t += 1


def walk(title: str, look: str, rule: Callable, start, slope: Slope, count: int, hyper: dict, about=()) -> Case:
    """A rule's first `count` steps from `start` and its initial state."""
    return Case(title, look, lambda call: [*islice(steps(rule, call, start, slope, hyper), count)], about=tuple(about))


def rule_cases(rule: Callable, usual: dict[str, float], other: dict[str, float], rate: str = "lr") -> list[Case]:
    """The cases of an update rule, at two settings of its hyperparameters; `rate` is the one that changes on the way."""
    state = tuple(signature(rule).state)
    return [
        *_one_parameter(rule, usual, state),
        _sizes(rule, usual),
        *_other_hyperparameters(rule, usual, other, state),
        *_several_parameters(rule, usual),
        *_extremes(rule, usual),
        _changing_rate(rule, usual, rate),
        *_no_memory(rule, usual),
        _long_run(rule, usual),
        _defaults(rule),
    ]


def _one_parameter(rule: Callable, usual: dict, state: tuple[str, ...]) -> list[Case]:
    def mirrored(w, t):
        return -GRADIENTS[t - 1]

    zeros = [tensor(0.0), *GRADIENTS[:2]]
    grown = [*GRADIENTS[:2], tensor(0.0), tensor(0.0), GRADIENTS[3]]
    cases = [
        walk("the first step, one parameter", "", rule, START, recorded(GRADIENTS), 1, usual),
        walk(
            "the first step from a negative weight",
            "From a positive weight all agrees: look for a sign that is lost (a square, a root, `abs`).",
            rule,
            -0.7 * START,
            mirrored,
            1,
            usual,
            ("sign", "abs", "operator", "comparison"),
        ),
        walk(
            "two steps, one parameter",
            "The first step agrees: look at how the old state enters, and at the order of your lines."
            if state
            else "The first step agrees: look for something that depends on t.",
            rule,
            START,
            recorded(GRADIENTS),
            2,
            usual,
            ("state", "order", "t", *state),
        ),
        walk(
            "three steps from a negative weight",
            "Two steps from a positive weight agree: look for a sign that is lost (a square, a root, `abs`).",
            rule,
            -0.7 * START,
            mirrored,
            3,
            usual,
            ("sign", "abs", "operator", "comparison"),
        ),
        walk(
            "a gradient of exactly 0 at the first step",
            "Other gradients agree. Is something divided by the gradient, or left out where it is 0?",
            rule,
            START,
            recorded(zeros),
            3,
            usual,
            ("zero", "abs", "comparison", "g"),
        ),
    ]
    if state:
        cases.append(
            walk(
                "a gradient of exactly 0 after other ones",
                "A gradient of 0 is one like any other: the state changes by it, and w moves as the formula says.",
                rule,
                START,
                recorded(grown),
                5,
                usual,
                ("zero", "abs", "comparison", "g", *state),
            )
        )
    return cases


def _sizes(rule: Callable, usual: dict) -> Case:
    def of_each_size(call: Call) -> None:
        for size in SIZES:
            list(islice(steps(rule, call, START, recorded([size * g for g in GRADIENTS]), usual), 3))

    return Case(
        "huge and tiny gradients",
        "Gradients of usual size agree. Look for a limit or a threshold (`clamp`, `min`, `if`), a rounding, or a number that is added to a tiny one.",
        of_each_size,
        about=("constant",),
    )


def _other_hyperparameters(rule: Callable, usual: dict, other: dict, state: tuple[str, ...]) -> list[Case]:
    alone = [
        walk(
            f"another {name}",
            f"With {name} = {usual[name]:g} all agrees: look at how {name} enters, and for a number in its place.",
            rule,
            START,
            recorded(GRADIENTS),
            6,
            usual | {name: value},
            ("default", name),
        )
        for name, value in other.items()
        if value != usual[name]
    ]
    together = walk(
        "all hyperparameters changed",
        "Each one by itself agrees: look at where two of them meet.",
        rule,
        VECTOR[0],
        recorded(GRADIENTS),
        6,
        other,
        ("default", *usual),
    )
    return alone + [together] * (len(alone) > 1)


def _several_parameters(rule: Callable, usual: dict) -> list[Case]:
    def shaped(shape: tuple[int, ...]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        size = torch.Size(shape).numel()
        return SCALE[:size].reshape(shape) + 0.35, [(SCALE[-size:] * x).sin().reshape(shape) for x in (1.9, -3.1, 2.3)]

    def of_each_shape(call: Call) -> None:
        for shape in SHAPES:
            start, gradients = shaped(shape)
            list(islice(steps(rule, call, start, recorded(gradients), usual), 3))

    reduced = ("reduction", "shape", "transpose")
    return [
        walk(
            "a vector of 3 parameters",
            "One parameter agrees: each one must be updated by itself, element by element.",
            rule,
            VECTOR,
            recorded(SLOPES),
            3,
            usual,
            reduced,
        ),
        Case(
            "matrices and other shapes",
            "A vector agrees: each operation must act element by element, whatever the shape is.",
            of_each_shape,
            about=reduced,
        ),
        walk(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision, or for an unstable way to compute.",
            rule,
            VECTOR.float(),
            recorded([g.float() for g in SLOPES]),
            3,
            usual,
            ("float32",),
        ),
    ]


def _extremes(rule: Callable, usual: dict) -> list[Case]:
    zeros = [name for name in usual if signature(rule).ranges[name].at_least == 0]
    small = [DOWN_TO_EPS * g for g in SLOPES]

    def from_zero(call: Call) -> None:
        _, *values = next(steps(rule, call, VECTOR, recorded(SLOPES), usual))
        grown = dict(zip(signature(rule).state, values))
        list(islice(steps(rule, call, 0.0 * VECTOR, recorded(SLOPES), usual, first=2, state=grown), 2))

    def each_zero(call: Call) -> None:
        for name in zeros:
            list(islice(steps(rule, call, VECTOR, recorded(small), usual | {name: 0.0}), 3))

    return [
        Case(
            "weights of exactly 0",
            "Other weights agree. Is something divided by w, or left out where w is 0?",
            from_zero,
            about=("w",),
        ),
        Case(
            f"{' or '.join(zeros)} of 0",
            "0 is allowed, and a number like any other. Is something divided by it, or replaced where it is 0 (`or`, `if`)?",
            each_zero,
            about=("default", "operator", "order"),
        ),
    ]


def _changing_rate(rule: Callable, usual: dict, rate: str) -> Case:
    return walk(
        f"{rate} changes on the way",
        f"A constant {rate} agrees: look at what you store in the state, and whether {rate} is in it.",
        rule,
        START,
        recorded(GRADIENTS),
        6,
        usual | {rate: lambda t: usual[rate] / t},
        (rate, "state"),
    )


def _no_memory(rule: Callable, usual: dict) -> list[Case]:
    def take_turns(call: Call) -> None:
        runs = [steps(rule, call, sign * START, lambda w, t, s=sign: s * GRADIENTS[t], usual) for sign in (1.0, -0.6)]
        for _ in range(4):
            for run in runs:
                next(run)

    before = list(islice(steps(rule, _named(rule), START, recorded(GRADIENTS), usual), len(GRADIENTS)))
    w, *values = before[-1]

    def taken_up(call: Call) -> None:
        later = {name: value for name, value in zip(signature(rule).state, values)}
        run = steps(rule, call, w, lambda w, t: GRADIENTS[t % 6], usual, first=STEPS_BEFORE + 1, state=later)
        list(islice(run, 2))

    return [
        Case(
            "two runs that take turns",
            "One run by itself agrees. All that your function remembers must come in as an argument and go out with `return`.",
            take_turns,
            about=("memory",),
        ),
        Case(
            f"a run that is taken up at step {STEPS_BEFORE + 1}",
            "Runs from step 1 agree. Take the number of the step and the state from the arguments; nothing else may depend on t than in the formula.",
            taken_up,
            about=("memory", "t"),
        ),
    ]


def _named(rule: Callable) -> Call:
    """The rule with its results always in a tuple."""

    def call(**arguments) -> tuple:
        values = rule(**arguments)
        return values if isinstance(values, tuple) else (values,)

    return call


def _long_run(rule: Callable, usual: dict) -> Case:
    curvature = tensor([1.1, 4.3])
    return walk(
        "40 steps down a quadratic",
        "Short runs agree: look for something that depends on t.",
        rule,
        tensor([2.1, -1.3]),
        lambda w, t: curvature * w,
        40,
        usual,
        ("t",),
    )


def _defaults(rule: Callable) -> Case:
    return walk(
        "no hyperparameter given",
        "Each one was right when it was given: the defaults in the first line of your function have changed.",
        rule,
        VECTOR,
        recorded([DOWN_TO_EPS * g for g in SLOPES]),
        3,
        {},
        ("signature",),
    )
