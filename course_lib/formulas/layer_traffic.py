"""What each of n ranks sends in a step for one layer, in values: split by its filters, or whole on every rank with its own examples."""


def filters_split(inputs, outputs, *, batch, n):
    """Values sent for a layer whose filters are split over n ranks.

    `inputs` and `outputs` are the values that one example brings to the layer
    and takes from it. Forward the outputs are gathered; backward the inputs'
    gradients are summed, which is a ring twice around. Source: slide 57.
    Equals what a SplitConv2d with gather=True sends.
    """
    return batch * (outputs + 2 * inputs) * (n - 1) / n


def batch_split(parameters, *, n):
    """Values sent for a layer that is whole on n ranks: its gradients, summed.

    Source: slide 54. Equals DistributedDataParallel's all-reduce.
    """
    return 2 * parameters * (n - 1) / n


def even_batch(parameters, inputs, outputs):
    """The batch with which both send the same; with less, split the filters.

    It does not depend on n. Source: slide 58; Krizhevsky (2014),
    https://arxiv.org/abs/1404.5997.
    """
    return 2 * parameters / (outputs + 2 * inputs)
