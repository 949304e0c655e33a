"""The study of batch normalization on four ranks computes in one process: it must be what four processes do."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.experiments.data import digits
from course_lib.experiments.studies.data_parallel_norm import RANKS, batches, network, train
from course_lib.parallel import launch
from course_lib.parallel.data_parallel import DataParallel
from course_lib.parallel.sync_batchnorm import convert

STEPS, EACH, LR = 3, 2, 0.05


def pairs():
    return [*batches(digits(train=1000, val=0, dtype=torch.float64), 0, RANKS * EACH, STEPS)]


def layers():
    """The study's network in PyTorch's own layers, with its first weights."""
    alike = (nn.BatchNorm1d(m.num_features) if isinstance(m, nn.BatchNorm1d) else m for m in network(0, 1))
    return nn.Sequential(*alike).double()


def on_ranks(synchronized):
    """What a rank returns after a few steps: parameters and running statistics. A closure, so that ranks import no test."""

    def train_on_a_rank(net, pairs):
        copy, rank = DataParallel(net := convert(net) if synchronized else net), dist.get_rank()
        velocity = {p: 0.0 for p in net.parameters()}
        for x, y in pairs:
            net.zero_grad()
            cross_entropy(copy(x.split(EACH)[rank]), y.split(EACH)[rank]).backward()
            for p in velocity:  # torch.optim.SGD, which takes seconds to import what it does not need here
                velocity[p] = 0.9 * velocity[p] + p.grad
                p.data -= LR * velocity[p]
        return {k: v.detach() for k, v in net.state_dict().items()}

    return train_on_a_rank


@pytest.mark.parametrize("synchronized", [False, True])
def test_one_process_computes_what_four_do(synchronized):
    net = network(0, 1 if synchronized else RANKS).double()
    alone = train(net, pairs(), LR).state_dict()
    found = launch(on_ranks(synchronized), layers(), pairs(), processes=RANKS)[0]
    assert found.keys() == alone.keys()
    for name, value in alone.items():
        # another order of sums, which a batch of two nearly equal samples makes larger by up to 1/√eps in each layer and step;
        # a step moves a weight by some 1e-3
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-7)


def test_one_sample_each_cannot_be_normalized():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        network(0, RANKS)(torch.rand(RANKS, 64))
    assert isinstance(network(0, 1)(torch.rand(RANKS, 64)), torch.Tensor) and isinstance(network(0, 1)[0], nn.Linear)
