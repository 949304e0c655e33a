"""Exercise: the arguments of torch.optim.SGD that walk the path of the lecture's momentum."""

from course_lib.exercises.cases import once
from course_lib.exercises.exercise import Exercise, mistake


def to_pytorch(lr, momentum):
    """The (lr, momentum) of torch.optim.SGD that give the path of the lecture's momentum at this rate."""
    return lr * (1 - momentum), momentum


@mistake(
    "The lecture's rate {given[lr]} came out unchanged. PyTorch's buffer is a sum of gradients, not an average: at m = {given[momentum]} "
    "it grows {times} times as large, so the same rate makes steps {times} times as long. Look at the ratio of the two."
)
def unchanged(lr, momentum):
    return lr, momentum


@mistake(
    "Your rate, {yours[lr]}, is larger than the lecture's {given[lr]}; it must be smaller, {right[lr]} at m = {given[momentum]}. You convert "
    "the other way around, from PyTorch to the lecture. Ask which of the two buffers is the larger one."
)
def other_way(lr, momentum):
    return lr / (1 - momentum), momentum


@mistake(
    "Your rate is right, but momentum came out as {yours[momentum]} instead of {right[momentum]}. Both forms forget the past at the same "
    "pace, with the same weight at the old buffer. Look at what stands in front of it in the two formulas."
)
def other_decay(lr, momentum):
    return lr * (1 - momentum), 1 - momentum


@mistake(
    "At m = {given[momentum]} your rate is {yours[lr]} instead of {right[lr]}: the rate is scaled by m. "
    "Look again at the weight that PyTorch's new gradient lacks, and try m = 0, where both forms are plain gradient descent."
)
def scaled_by_momentum(lr, momentum):
    return lr * momentum, momentum


@mistake(
    "At the usual m = 0.9 all agrees. Here m = {given[momentum]}, and your rate is {yours[lr]}: still a tenth of {given[lr]}. "
    "The factor depends on m. Look for a number where the argument should stand."
)
def fixed_factor(lr, momentum):
    return lr * 0.1, momentum


@mistake(
    "The two numbers are right, in the wrong order: the rate came out as {yours[lr]}. Return lr first, then momentum."
)
def exchanged(lr, momentum):
    return momentum, lr * (1 - momentum)


@mistake(
    "The rate came out as {yours[lr]}, as it came in, and momentum as {yours[momentum]} instead of {right[momentum]}. It is the other way "
    "round: one of the two must change, and it is not the decay. Look at the weights in front of the gradient and of the buffer."
)
def momentum_changed(lr, momentum):
    return lr, 1 - momentum


memory = "Look for a number that should depend on momentum."

check = Exercise(
    to_pytorch,
    returns=("lr", "momentum"),
    cases=[
        once("the usual decay", "", lr=0.23, momentum=0.9),
        once(
            "no momentum",
            "Without momentum both are plain gradient descent: the rate is the same.",
            lr=0.23,
            momentum=0.0,
            about=("constant", "order", "zero"),
        ),
        once("a shorter memory", memory, lr=0.1, momentum=0.75, about=("constant", "momentum")),
        once("a long memory", memory, lr=1.0, momentum=0.99, about=("constant", "momentum")),
        once(
            "numbers of many digits",
            "Round numbers agree: look for a rounding, and for numbers that stand in your code.",
            lr=0.0031716,
            momentum=0.93725,
            about=("call", "constant"),
        ),
        once(
            "a very long memory",
            "Shorter memories agree: look for a limit of momentum.",
            lr=0.7,
            momentum=0.99987,
            about=("constant",),
        ),
        once(
            "a tiny rate",
            "Larger rates agree: look for a limit of the rate, or a small number added to it.",
            lr=3.1e-9,
            momentum=0.9,
            about=("constant",),
        ),
        once(
            "a huge rate",
            "Smaller rates agree: look for a limit of the rate.",
            lr=730.0,
            momentum=0.95,
            about=("constant",),
        ),
        once("a rate of 0", "Is something divided by the rate, or replaced where it is 0?", lr=0.0, momentum=0.9),
    ],
    mistakes=[unchanged, other_way, other_decay, scaled_by_momentum, fixed_factor, exchanged, momentum_changed],
    source="torch.optim.SGD",
)
