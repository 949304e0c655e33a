"""Exercise: write Kaiming's normal initialization, for ReLU and for a leaky one."""

import math

from course_lib.exercises.cases import once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.initialization import kaiming_normal, leaky_gain


def kaiming(z, *, slope=0.0):
    """The course's kaiming_normal, which reads fan-in off the weight's shape."""
    fan_in, fan_out = both_fans(z)
    return kaiming_normal(z, fan_in, fan_out, gain=leaky_gain(slope))


def both_fans(z):
    """(fan_in, fan_out) of a weight of this shape."""
    outputs, inputs, *kernel = z.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


# Case 1 has 3 outputs and 8 inputs: the deviation is √(2/8) = 0.5, the variance 0.25.


@mistake(
    "Your weights are {times} times as large as they should be: the variance 1/fan_in is LeCun's, for straight lines. ReLU sets half of the "
    "numbers to 0 and takes half of the mean square away: the variance must be twice as large."
)
def no_two(z, *, slope=0.0):
    return z * math.sqrt(1 / (1 + slope**2) / both_fans(z)[0])


@mistake(
    "Your weights are {times} times as large as they should be: 2/fan_in is their variance, and you multiply z by it. A standard normal number "
    "times s has the variance s². The root is missing."
)
def variance_for_deviation(z, *, slope=0.0):
    return z * 2 / (1 + slope**2) / both_fans(z)[0]


@mistake(
    "Your weights are {times} times as large as they should be: you divide by fan_out. An output adds up its *inputs*, the second dimension "
    "of the weight. Slide 30's n^l, the number of outputs, is a slip; dividing by fan_out keeps the gradient, not the signal."
)
def outputs_for_inputs(z, *, slope=0.0):
    return z * math.sqrt(2 / (1 + slope**2) / both_fans(z)[1])


@mistake(
    "Your weights are {times} times as large as they should be: both fans are in it, as in Xavier's. Kaiming's has one, fan_in, and the 2 is that "
    "of ReLU, not that of an average."
)
def both_fans_added(z, *, slope=0.0):
    return z * math.sqrt(2 / (1 + slope**2) / sum(both_fans(z)))


@mistake(
    "Your weights are {times} times as large as they should be: √(6/fan_in) is the *bound* of the uniform form. z is normal already, and "
    "has no bound: multiply it by the deviation alone."
)
def bound_for_deviation(z, *, slope=0.0):
    return z * math.sqrt(6 / (1 + slope**2) / both_fans(z)[0])


@mistake(
    "Your weights are {times} times as large as they should be: the factor for ReLU is upside down, 1/2 in place of 2. What ReLU takes away, the "
    "weights must bring back."
)
def half_for_two(z, *, slope=0.0):
    return z * math.sqrt((1 + slope**2) / 2 / both_fans(z)[0])


@mistake(
    "Your weights are {times} times as large as they should be: 2 stands before the root, which makes the variance 4/fan_in. The gain of ReLU is "
    "√2: under the root, it is 2."
)
def two_before_the_root(z, *, slope=0.0):
    return z * 2 / math.sqrt((1 + slope**2) * both_fans(z)[0])


@mistake(
    "Linear layers agree. This is a convolution, and your weights are {times} times as large as they should be: the kernel is forgotten. An output "
    "adds up each input channel at each position of the kernel."
)
def no_kernel(z, *, slope=0.0):
    return z * math.sqrt(2 / (1 + slope**2) / z.shape[1])


@mistake(
    "One dimension of the kernel agrees; here it has two, and you count the first alone: your weights are {times} times as large as they should "
    "be. A 3 × 2 kernel has 6 positions."
)
def one_side_of_the_kernel(z, *, slope=0.0):
    return z * math.sqrt(2 / (1 + slope**2) / (z.shape[1] * (z.shape[2] if z.dim() > 2 else 1)))


@mistake(
    "ReLU agrees. Here the slope left of 0 is {given[slope]}, and your weights are {times} times as large as they should be: the slope is not used. "
    "A leaky ReLU takes less away, so the weights must be smaller."
)
def no_slope(z, *, slope=0.0):
    return z * math.sqrt(2 / both_fans(z)[0])


@mistake(
    "ReLU agrees. Here the slope left of 0 is {given[slope]}, and your weights are {times} times as large as they should be: you divide by 1 + slope. "
    "It is mean *squares* that count: the left half keeps slope² of its own."
)
def slope_not_squared(z, *, slope=0.0):
    return z * math.sqrt(2 / (1 + slope) / both_fans(z)[0])


@mistake(
    "ReLU agrees. Here the slope left of 0 is {given[slope]}, and your weights are {times} times as large as they should be: 1 + slope² stands above the "
    "line. The more the activation lets through, the *smaller* are the weights."
)
def slope_above_the_line(z, *, slope=0.0):
    return z * math.sqrt(2 * (1 + slope**2) / both_fans(z)[0])


@mistake(
    "ReLU agrees. Here the slope left of 0 is {given[slope]}, and your weights are {times} times as large as they should be: you subtract slope² where "
    "it is added. At a slope of 1, a straight line, the gain must be 1."
)
def slope_subtracted(z, *, slope=0.0):
    return z * math.sqrt(2 / (1 - slope**2) / both_fans(z)[0])


def draws(*shape):
    """Numbers around 0, no two alike, in this shape."""
    count = math.prod(shape)
    return ((tensor(list(range(count))) - count / 3) / 4.1 + 0.03).reshape(shape)


check = Exercise(
    kaiming,
    returns=("weights",),
    cases=[
        once("8 inputs, 3 outputs, ReLU", "", z=draws(3, 8), slope=0.0),
        once(
            "5 inputs, 20 outputs, ReLU",
            "One shape agrees: look at which fan enters.",
            z=draws(20, 5),
            slope=0.0,
            about=("fan_in", "inputs", "outputs"),
        ),
        once(
            "a leaky ReLU", "ReLU agrees: look at where the slope enters.", z=draws(3, 8), slope=0.3, about=("slope",)
        ),
        several(
            "other slopes",
            "One slope agrees: look at how its square enters. A slope of 1 takes nothing away, one below 0 as much as one above.",
            *({"z": draws(3, 8), "slope": slope} for slope in (1.0, -0.4, 2.3, 0.01)),
            about=("slope",),
        ),
        once(
            "a convolution over one dimension",
            "Linear layers agree: look at what a kernel adds to fan_in.",
            z=draws(2, 4, 3),
            slope=0.0,
            about=("kernel",),
        ),
        once(
            "a convolution over two dimensions",
            "One dimension of the kernel agrees: look for one that is left out.",
            z=draws(2, 4, 3, 2),
            slope=0.1,
            about=("kernel",),
        ),
        once(
            "a convolution over three dimensions",
            "Two dimensions of the kernel agree: it may have any number of them.",
            z=draws(2, 3, 3, 2, 4),
            slope=0.0,
            about=("kernel",),
        ),
        several(
            "dimensions of 1",
            "Larger weights agree: one input, one output and a kernel of one position are counted like any others.",
            *({"z": draws(*shape), "slope": 0.0} for shape in ((1, 1), (1, 7), (5, 1), (3, 2, 1, 1), (1, 4, 3))),
            about=("inputs", "outputs", "kernel"),
        ),
        once(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision.",
            z=draws(4, 6).float(),
            slope=0.2,
            about=("float32",),
        ),
        once(
            "no slope given",
            "A slope that is given agrees: it is 0 where none is.",
            z=draws(3, 5),
            about=("signature",),
        ),
    ],
    mistakes=[
        no_two,
        variance_for_deviation,
        outputs_for_inputs,
        both_fans_added,
        bound_for_deviation,
        half_for_two,
        two_before_the_root,
        no_kernel,
        one_side_of_the_kernel,
        no_slope,
        slope_not_squared,
        slope_above_the_line,
        slope_subtracted,
    ],
    source="slide 30's variance",
)
