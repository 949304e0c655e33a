"""What the chapter on model parallelism measures: how wrong gradients are where two ranks do not agree, on real processes."""

import torch

from course_lib.experiments.data import digits
from course_lib.experiments.records import experiment
from course_lib.parallel import launch
from course_lib.parallel.split_mistakes import KINDS, each_kind, fit, network


@experiment(seeds=5, share={"steps": 5})
def model_parallel_mistakes(seed, *, steps=60, examples=256):
    """For each kind of mistake: how far the first step's gradient is off, as a share of the right one's norm; losses of two.

    Two ranks hold half of each layer. `first_layer` is that share for the first layer alone, `last_layer` for the last.
    """
    data = digits(examples, 100, seed=seed)
    x, y = data.x_train, data.y_train
    _, alone = fit(network(seed), x, y, 1)
    ranks = launch(each_kind, network(seed), seed, x, y, steps, check=False)
    off = {"all": [], "first_layer": [], "last_layer": []}
    for k in range(len(KINDS)):
        parts = [torch.cat([rank[k][1][j] for rank in ranks]) for j in range(len(alone))]
        for name, chosen in (("all", slice(None)), ("first_layer", slice(0, 2)), ("last_layer", slice(-2, None))):
            wrong, right = (torch.cat([g.flatten() for g in each[chosen]]) for each in (parts, alone))
            off[name].append(((wrong - right).norm() / right.norm()).round(decimals=4))  # rounding aside
    return off | {"right": ranks[0][0][0], "not_summed": ranks[0][1][0]}
