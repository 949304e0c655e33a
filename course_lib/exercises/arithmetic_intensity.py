"""Exercise: what a layer costs, and whether arithmetic or memory limits it."""

from course_lib.exercises.cases import Case, once, several
from course_lib.exercises.exercise import Exercise, mistake
from course_lib.formulas.roofline import convolution_bytes, convolution_operations, layer_seconds


def layer_cost(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    """(operations, bytes, least seconds) of a padded convolution between maps of size x size; kernel = size = 1: fully connected."""
    sizes = batch, inputs, outputs, kernel, size, size
    return finish(convolution_operations(*sizes), convolution_bytes(*sizes, each=each), peak, bandwidth)


def finish(operations, moved, peak, bandwidth):
    """The three results of a layer with these operations and bytes."""
    return operations, moved, layer_seconds(operations, moved, peak=peak, bandwidth=bandwidth)


def numbers(batch, inputs, outputs, kernel, size):
    """How many numbers the inputs, the weights and the outputs have."""
    return batch * inputs * size**2, inputs * outputs * kernel**2, batch * outputs * size**2


# Case 1 has one sample, 3 inputs and 2 outputs: 12 operations on 3 + 6 + 2 = 11 numbers, 44 bytes; it is compute bound, case 2 memory bound.


@mistake(
    "You have {yours[operations]} operations instead of {right[operations]}. Every product is added to a sum, and that is an operation, too: "
    "a multiply-add counts as two, as it does in a processor's peak."
)
def counts_products_alone(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations, moved, _ = layer_cost(batch, inputs, outputs, kernel, size, each=each)
    return finish(operations / 2, moved, peak, bandwidth)


@mistake(
    "You have {yours[moved]} bytes instead of {right[moved]}: these are *numbers*. Each of them has {given[each]} bytes."
)
def numbers_for_bytes(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations, *_ = layer_cost(batch, inputs, outputs, kernel, size)
    return finish(operations, sum(numbers(batch, inputs, outputs, kernel, size)), peak, bandwidth)


def _without(place: int):
    """A count of bytes that leaves out the inputs (0), the weights (1) or the outputs (2)."""

    def wrong(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
        operations, *_ = layer_cost(batch, inputs, outputs, kernel, size)
        counted = numbers(batch, inputs, outputs, kernel, size)
        return finish(operations, each * (sum(counted) - counted[place]), peak, bandwidth)

    wrong.__name__ = ("no_inputs", "no_weights", "no_outputs")[place]
    return wrong


no_inputs, no_weights, no_outputs = (
    mistake(f"You have {{yours[moved]}} bytes instead of {{right[moved]}}: {what}.")(_without(place))
    for place, what in enumerate(
        (
            "the layer's inputs are not counted, and they must be read",
            "the weights are not counted, and they must be read from memory like the inputs",
            "the layer's outputs are not counted, and they must be written",
        )
    )
)


@mistake(
    "Operations and bytes agree, but your time is {yours[seconds]} instead of {right[seconds]}: you take the *shorter* of both times. Neither "
    "can be left out, so the longer one is the least that it takes."
)
def shorter_time(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations, moved, _ = layer_cost(batch, inputs, outputs, kernel, size, each=each)
    return operations, moved, min(operations / peak, moved / bandwidth)


@mistake(
    "Operations and bytes agree, but your time is {yours[seconds]} instead of {right[seconds]}: you add both times. A processor computes while "
    "it moves, so that the *least* time is the longer one of the two."
)
def sum_of_both(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations, moved, _ = layer_cost(batch, inputs, outputs, kernel, size, each=each)
    return operations, moved, operations / peak + moved / bandwidth


@mistake(
    "The first layer is compute bound, and agrees. This one is memory bound, and your time is {yours[seconds]} instead of {right[seconds]}: you "
    "divide the operations by the peak, and no bandwidth is in it."
)
def peak_alone(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations, moved, _ = layer_cost(batch, inputs, outputs, kernel, size, each=each)
    return operations, moved, operations / peak


@mistake(
    "One sample agrees. With {given[batch]} you have {yours[moved]} bytes instead of {right[moved]}: you read the weights once for every sample. "
    "A batch shares them, which is why batches pay."
)
def weights_for_each_sample(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations, *_ = layer_cost(batch, inputs, outputs, kernel, size)
    read, weights, written = numbers(batch, inputs, outputs, kernel, size)
    return finish(operations, each * (read + batch * weights + written), peak, bandwidth)


@mistake(
    "One sample agrees. With {given[batch]} you have {yours[operations]} operations instead of {right[operations]}: the batch is not in them. Every "
    "sample is multiplied by all weights."
)
def one_sample_alone(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations, moved, _ = layer_cost(batch, inputs, outputs, kernel, size, each=each)
    return finish(operations / batch, moved, peak, bandwidth)


@mistake(
    "Fully connected layers agree. This is a convolution, and you have {yours[operations]} operations instead of {right[operations]}, a share of "
    "{times}: the kernel is forgotten. Each output is a sum over all inputs at kernel × kernel places."
)
def no_kernel(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    return layer_cost(batch, inputs, outputs, 1, size, peak=peak, bandwidth=bandwidth, each=each)


@mistake(
    "Fully connected layers agree. In this convolution you have {yours[operations]} operations instead of {right[operations]}: you count one side "
    "of the kernel. It is a square, with kernel × kernel places."
)
def one_side_of_the_kernel(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    read, weights, written = numbers(batch, inputs, outputs, kernel, size)
    operations, *_ = layer_cost(batch, inputs, outputs, kernel, size)
    return finish(operations / kernel, each * (read + weights / kernel + written), peak, bandwidth)


@mistake(
    "Fully connected layers agree. In this convolution you have {yours[operations]} operations instead of {right[operations]}: you count one side "
    "of the maps. They have size × size pixels."
)
def one_side_of_the_maps(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    read, weights, written = numbers(batch, inputs, outputs, kernel, size)
    operations, *_ = layer_cost(batch, inputs, outputs, kernel, size)
    return finish(operations / size, each * (read / size + weights + written / size), peak, bandwidth)


@mistake(
    "The operations of the convolution agree, but you have {yours[moved]} bytes instead of {right[moved]}: you read each input once for every place "
    "of the kernel. It is *used* as often; it needs to come from memory once. That is what caches are for."
)
def inputs_for_each_place(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    operations, *_ = layer_cost(batch, inputs, outputs, kernel, size)
    read, weights, written = numbers(batch, inputs, outputs, kernel, size)
    return finish(operations, each * (read * kernel**2 + weights + written), peak, bandwidth)


@mistake(
    "All agrees in float32. With {given[each]} bytes a number you have {yours[moved]} bytes instead of {right[moved]}. Look for a 4 where `each` "
    "should stand."
)
def always_float32(batch, inputs, outputs, kernel, size, *, peak=1.0, bandwidth=1.0, each=4):
    return layer_cost(batch, inputs, outputs, kernel, size, peak=peak, bandwidth=bandwidth)


SMALL = {"batch": 1, "inputs": 3, "outputs": 2, "kernel": 1, "size": 1, "peak": 1.0, "bandwidth": 1.0, "each": 4}
RESNET = {"inputs": 64, "outputs": 64, "kernel": 3, "size": 56}
ALEXNET = {"inputs": 4096, "outputs": 4096, "kernel": 1, "size": 1}
TITAN = {"peak": 4.7e12, "bandwidth": 288e9, "each": 4}


def _layers(title: str, look: str, *changes: dict, about: tuple[str, ...], layer: dict = SMALL) -> Case:
    """A call for each of the changes of a layer."""
    return several(title, look, *(layer | change for change in changes), about=about)


check = Exercise(
    layer_cost,
    returns=("operations", "moved", "seconds"),
    cases=[
        once("one sample, compute bound", "", **SMALL | {"bandwidth": 100.0}),
        _layers(
            "one sample, memory bound",
            "A compute bound layer agrees: look at the time, and at what you return.",
            {},
            about=("seconds", "bandwidth", "moved"),
        ),
        _layers(
            "other machines",
            "With a peak and a bandwidth of 1 all agrees: look at how the two enter into the time.",
            {"peak": 0.7, "bandwidth": 30.0},
            {"peak": 7.3, "bandwidth": 3.1},
            about=("peak", "bandwidth"),
        ),
        _layers(
            "a batch",
            "One sample agrees: look at what the batch multiplies, and whether another name stands in its place.",
            {"batch": 5},
            about=("batch", "written"),
        ),
        _layers(
            "filters of 1 x 1 on larger maps",
            "Fully connected layers agree: look at which counts the maps' size multiplies, and how often.",
            {"batch": 2, "size": 7},
            about=("size", "written"),
        ),
        _layers(
            "larger filters, smaller and larger than the maps",
            "Filters of 1 x 1 agree: look at the kernel, and which counts it multiplies, and how often. Padding does not count.",
            {"batch": 2, "kernel": 3, "size": 7},
            {"batch": 2, "kernel": 4, "size": 2},
            about=("kernel", "weights"),
        ),
        _layers(
            "one, two and eight bytes a number",
            "float32 agrees: look for the bytes of a number.",
            *({"batch": 2, "each": each} for each in (2, 8, 1)),
            about=("each",),
        ),
        _layers(
            "a layer of ResNet on a TITAN",
            "Small layers agree: look for a number that is rounded, or that a large layer exceeds.",
            *({"batch": batch} for batch in (1, 32, 64)),
            about=("float32", "call"),
            layer=RESNET | TITAN,
        ),
        _layers(
            "a layer of AlexNet on a TITAN",
            "Look at where the layer turns from memory bound to compute bound.",
            *({"batch": batch} for batch in range(1, 129, 8)),
            about=("comparison", "max"),
            layer=ALEXNET | TITAN,
        ),
    ],
    mistakes=[
        counts_products_alone,
        numbers_for_bytes,
        no_inputs,
        no_weights,
        no_outputs,
        shorter_time,
        sum_of_both,
        peak_alone,
        weights_for_each_sample,
        one_sample_alone,
        no_kernel,
        one_side_of_the_kernel,
        one_side_of_the_maps,
        inputs_for_each_place,
        always_float32,
    ],
    source="the roofline",
)
