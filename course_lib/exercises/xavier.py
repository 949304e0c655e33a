"""Exercise: write Xavier's uniform initialization, for layers and for convolutions."""

import math

from course_lib.exercises.cases import once, several, tensor
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.initialization import xavier_uniform as formula


def xavier(u, *, gain=1.0):
    """The course's xavier_uniform, which reads the fans off the weight's shape."""
    fan_in, fan_out = both_fans(u)
    return formula(u, fan_in, fan_out, gain=gain)


def both_fans(u):
    """(fan_in, fan_out) of a weight of this shape."""
    outputs, inputs, *kernel = u.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def within(u, bound):
    """U(-bound, bound)."""
    return bound * (2 * u - 1)


# Case 1 has 2 outputs and 4 inputs: the bound is √(6/6) = 1, and its u = 0, 0.1, 0.3, … become -1, -0.8, -0.4, …


@mistake(
    "Your weights are {times} times as large as they should be: the bound is √(3/(fan_in + fan_out)), so their variance is "
    "1/(fan_in + fan_out), half of Xavier's. Slide 28's normal form has this slip. With the bound a, the variance is a²/3: solve for a."
)
def half_of_the_variance(u, *, gain=1.0):
    return within(u, gain * math.sqrt(3 / sum(both_fans(u))))


@mistake(
    "Your weights are {times} times as large as they should be: √(2/(fan_in + fan_out)) is the standard deviation, and you take it for the "
    "bound. A uniform distribution has √3 deviations from its middle to its bound."
)
def deviation_for_the_bound(u, *, gain=1.0):
    return within(u, gain * math.sqrt(2 / sum(both_fans(u))))


@mistake(
    "A root is missing. In the first case the bound is 1, and so is its root; here your weights are {times} times as large as they should be: "
    "you have 6/(fan_in + fan_out), which is the square of the bound."
)
def no_root(u, *, gain=1.0):
    return within(u, gain * 6 / sum(both_fans(u)))


@mistake(
    "Your weights are {times} times as large as they should be: fan_in alone decides. √(3/fan_in) is LeCun's bound, which only looks at the "
    "forward pass. Xavier's is a compromise with the backward pass: both fans are in it."
)
def fan_in_alone(u, *, gain=1.0):
    return within(u, gain * math.sqrt(3 / both_fans(u)[0]))


@mistake(
    "Your weights are {times} times as large as they should be: fan_out alone decides. √(3/fan_out) keeps the gradient on its way back. "
    "Xavier's bound is a compromise with the forward pass: both fans are in it."
)
def fan_out_alone(u, *, gain=1.0):
    return within(u, gain * math.sqrt(3 / both_fans(u)[1]))


@mistake(
    "Your weights are {times} times as large as they should be: you average the variances 1/fan_in and 1/fan_out themselves. Xavier averages the "
    "fans, which is the *harmonic* mean of the variances: 2/(fan_in + fan_out)."
)
def arithmetic_mean(u, *, gain=1.0):
    fan_in, fan_out = both_fans(u)
    return within(u, gain * math.sqrt(3 * (1 / fan_in + 1 / fan_out) / 2))


@mistake(
    "All your weights have one sign: they lie between 0 and the bound. So a layer's outputs have a mean far from 0. Stretch u to the "
    "interval from minus the bound to the bound: it is twice as long, and begins at −bound."
)
def all_of_one_sign(u, *, gain=1.0):
    return gain * math.sqrt(6 / sum(both_fans(u))) * u


@mistake(
    "Your weights are {times} times as large as they should be: u − 1/2 goes from −1/2 to 1/2, so yours end at half of the bound. The interval "
    "from −bound to bound is two bounds long."
)
def half_of_the_interval(u, *, gain=1.0):
    return gain * math.sqrt(6 / sum(both_fans(u))) * (u - 0.5)


@mistake(
    "Linear layers agree. This is a convolution, and your weights are {times} times as large as they should be: the kernel is forgotten. An output "
    "adds up each input channel at each position of the kernel. Multiply both fans by the product of all dimensions after the second."
)
def no_kernel(u, *, gain=1.0):
    return within(u, gain * math.sqrt(6 / (u.shape[0] + u.shape[1])))


@mistake(
    "Linear layers agree. In this convolution only fan_in has the kernel in it: your weights are {times} times as large as they should be. An input "
    "reaches each output channel at each position of the kernel, too."
)
def kernel_in_fan_in_alone(u, *, gain=1.0):
    return within(u, gain * math.sqrt(6 / (both_fans(u)[0] + u.shape[0])))


@mistake(
    "One dimension of the kernel agrees; here it has two, and you count the first alone: your weights are {times} times as large as they should "
    "be. The positions of a 2 × 3 kernel are 6."
)
def one_side_of_the_kernel(u, *, gain=1.0):
    return within(u, gain * math.sqrt(6 / (sum(u.shape[:2]) * (u.shape[2] if u.dim() > 2 else 1))))


@mistake(
    "All agrees with a gain of 1. Here it is {given[gain]}, and your weights are {times} times as large as they should be: the gain is not used. "
    "It multiplies the weights."
)
def no_gain(u, *, gain=1.0):
    return within(u, math.sqrt(6 / sum(both_fans(u))))


@mistake(
    "All agrees with a gain of 1. Here it is {given[gain]}, and your weights are {times} times as large as they should be: the gain stands under the "
    "root. It multiplies deviations, not variances."
)
def gain_under_the_root(u, *, gain=1.0):
    return within(u, math.sqrt(6 * gain / sum(both_fans(u))))


def draws(*shape):
    """Numbers from 0 to almost 1, the last one the largest, in this shape."""
    count = math.prod(shape)
    return (tensor(list(range(count))) / count).reshape(shape)


check = Exercise(
    xavier,
    returns=("weights",),
    cases=[
        once("4 inputs, 2 outputs", "", u=tensor([[0.0, 0.1, 0.3, 0.7], [0.2, 0.9, 0.4, 0.95]]), gain=1.0),
        once(
            "3 inputs, 12 outputs",
            "One shape agrees: look at how both fans enter, and for a root.",
            u=draws(12, 3),
            gain=1.0,
            about=("fans", "inputs", "outputs"),
        ),
        several(
            "other gains",
            "A gain of 1 agrees: look at where the gain enters.",
            *({"u": draws(2, 4), "gain": gain} for gain in (5 / 3, 0.4)),
            about=("gain",),
        ),
        once(
            "a convolution over one dimension",
            "Linear layers agree: look at what a kernel adds to both fans.",
            u=draws(2, 3, 5),
            gain=1.0,
            about=("kernel",),
        ),
        once(
            "a convolution over two dimensions",
            "One dimension of the kernel agrees: look for one that is left out.",
            u=draws(4, 3, 2, 3),
            gain=1.0,
            about=("kernel",),
        ),
        once(
            "a convolution over three dimensions",
            "Two dimensions of the kernel agree: it may have any number of them.",
            u=draws(2, 3, 3, 2, 4),
            gain=1.0,
            about=("kernel",),
        ),
        several(
            "dimensions of 1",
            "Larger weights agree: one input, one output and a kernel of one position are counted like any others.",
            *({"u": draws(*shape) + 0.01, "gain": 1.0} for shape in ((1, 1), (1, 7), (5, 1), (3, 2, 1, 1), (1, 4, 3))),
            about=("inputs", "outputs", "kernel"),
        ),
        once(
            "float32 stays float32",
            "float64 agrees: look for a tensor made in another precision.",
            u=draws(3, 5).float(),
            gain=2.0,
            about=("float32",),
        ),
        once(
            "no gain given", "A gain that is given agrees: it is 1 where none is.", u=draws(3, 5), about=("signature",)
        ),
    ],
    mistakes=[
        half_of_the_variance,
        deviation_for_the_bound,
        no_root,
        fan_in_alone,
        fan_out_alone,
        arithmetic_mean,
        all_of_one_sign,
        half_of_the_interval,
        no_kernel,
        kernel_in_fan_in_alone,
        one_side_of_the_kernel,
        no_gain,
        gain_under_the_root,
    ],
    source="slide 28's uniform form",
)
