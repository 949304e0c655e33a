"""What training costs: operations of a step, days for a data set, and the memory that a GPU must have for it."""

from course_lib.formulas.roofline import FLOAT32

BACKWARD = 2  # times the forward pass: gradients of inputs and of weights


def step_operations(forward):
    """Operations of a training step whose forward pass has `forward`.

    Source: backward, every product is done twice more, once for the
    gradient of its inputs and once for that of its weights. (The first
    layer needs no gradient of its inputs, which is left out here.)
    """
    return (1 + BACKWARD) * forward


def training_days(forward, *, images, epochs, rate):
    """Days to train on `images` images, `epochs` times.

    `forward` are the operations of an image, `rate` is what all devices
    reach together, in operations a second.
    """
    return step_operations(forward) * images * epochs / rate / 86400


def reached_share(forward, *, images, epochs, days, peak):
    """The share of `peak` at which a training takes so many days."""
    at_peak = training_days(forward, images=images, epochs=epochs, rate=peak)
    return at_peak / days


def training_bytes(parameters, activations=0, batch=0, *, states=1, shards=1, each=FLOAT32):
    """Bytes for weights, gradient, optimizer state, and what backward needs.

    `activations` are the bytes that the forward pass keeps of one sample,
    `states` the optimizer's numbers for each weight: 1 for momentum, 2 for
    Adam. All but the activations are cut into `shards`: 1 for data parallel,
    n for fully sharded (Rajbhandari et al., 2020). Workspaces and the
    allocator's gaps come on top.
    """
    return (2 + states) * parameters * each / shards + batch * activations


def largest_batch(memory, parameters, activations, *, states=1, each=FLOAT32):
    """The most samples for which training fits into `memory` bytes.

    A fraction, to be rounded down; negative where not even the weights fit.
    """
    fixed = training_bytes(parameters, 0, 0, states=states, each=each)
    return (memory - fixed) / activations
