"""What a pipeline of stages costs: the time in which a stage waits."""


def bubble(stages, micro_batches):
    """The share of a step in which each of p stages waits, with m micro-batches.

    (p - 1)/(m + p - 1): all that p - 1 stages pass on before the last one
    begins, over the whole. For stages of equal time, and transfers of none.
    Source: Huang et al. (2019), https://arxiv.org/abs/1811.06965.
    """
    return (stages - 1) / (micro_batches + stages - 1)
