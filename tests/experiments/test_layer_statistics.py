"""Statistics of layers: equal to autograd's tensors, whatever the network does to them, and gone afterwards."""

import pytest
import torch
from torch import nn

from course_lib.experiments.layer_statistics import layer_statistics, parameter_sizes


def seeded(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


def inputs(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._backward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def mlp(inplace=False):
    return seeded(lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)))


def by_hand(model, x):
    """Every layer's output and its gradient, with the layers called one by one."""
    outputs = []
    for layer in model:
        x = layer(x)
        x.retain_grad()
        outputs.append(x)
    x.square().sum().backward()
    return outputs


def close(summary, tensor):
    assert summary.entries == tensor.numel()
    assert summary.norm == pytest.approx(tensor.norm().item(), rel=1e-5)
    assert summary.mean == pytest.approx(tensor.mean().item(), rel=1e-4, abs=1e-7)
    assert summary.std == pytest.approx(tensor.std(correction=0).item(), rel=1e-5)
    assert summary.zeros == (tensor == 0).double().mean().item()


@pytest.mark.parametrize("inplace", [False, True])
def test_they_are_those_of_the_tensors(inplace):
    expected = by_hand(mlp(), inputs(7, 4))
    model = mlp(inplace)
    with layer_statistics(model) as calls:
        model(inputs(7, 4)).square().sum().backward()
    assert [c.layer for c in calls] == ["0", "1", "2", "3", "4"]
    for call, tensor in zip(calls, expected, strict=True):
        close(call.activation, tensor.detach())
        close(call.gradient, tensor.grad)


def test_training_is_not_changed_by_looking():
    plain, watched = mlp(True), mlp(True)
    plain(inputs(7, 4)).square().sum().backward()
    with layer_statistics(watched):
        watched(inputs(7, 4)).square().sum().backward()
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(plain.parameters(), watched.parameters(), strict=True))


def test_no_hook_stays_behind():
    model = mlp()
    with layer_statistics(model) as calls:
        loss = model(inputs(7, 4)).sum()
    loss.backward()  # after the block: not recorded
    assert hooks(model) == 0 and len(calls) == 5 and all(c.gradient is None for c in calls)
    with pytest.raises(RuntimeError, match="shapes"), layer_statistics(model):
        model(inputs(7, 3))
    assert hooks(model) == 0


def test_a_layer_that_is_used_twice_has_two_calls():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(self.layer(x))

    model, x = seeded(Twice), inputs(3, 4)
    with layer_statistics(model) as calls:
        model(x).sum().backward()
    assert [(c.layer, c.call) for c in calls] == [("layer", 0), ("layer", 1)]
    close(calls[1].activation, model(x).detach())
    close(calls[1].gradient, torch.ones(3, 4))
    close(calls[0].gradient, torch.ones(3, 4) @ model.layer.weight.detach())


def test_several_outputs_and_whole_blocks():
    model = seeded(lambda: nn.LSTM(3, 4, batch_first=True))
    with layer_statistics(model) as calls:
        output, (h, c) = model(inputs(2, 5, 3))
        (output.sum() + c.sum()).backward()
    assert [(x.output, x.activation.entries) for x in calls] == [(0, 40), (1, 8), (2, 8)]
    assert calls[0].gradient.mean == 1.0 and calls[2].gradient.mean == 1.0
    assert calls[1].gradient is None  # nobody asked for h by itself
    block = nn.Sequential(mlp(), nn.Identity())
    with layer_statistics(block, ["0", "0.2"]) as calls:
        block(inputs(7, 4))
    assert [c.layer for c in calls] == ["0.2", "0"]


def test_below_a_frozen_layer_there_is_no_gradient():
    model = mlp()
    model[0].requires_grad_(False)
    with layer_statistics(model) as calls:
        model(inputs(7, 4)).sum().backward()
    assert [c.gradient is None for c in calls] == [True, True, False, False, False]
    sizes = parameter_sizes(model)
    assert sizes["0.weight"].gradient is None and sizes["0.weight"].ratio is None
    weight = model[2].weight
    assert sizes["2.weight"].ratio == pytest.approx((weight.grad.norm() / weight.detach().norm()).item())
    with torch.no_grad(), layer_statistics(model) as calls:
        model(inputs(7, 4))
    assert len(calls) == 5


def test_two_passes_are_recorded_one_after_the_other():
    model = mlp()
    with layer_statistics(model) as calls:
        for _ in range(2):
            model(inputs(7, 4)).sum().backward()
    assert [c.call for c in calls] == [0] * 5 + [1] * 5
    assert calls[0].gradient == calls[5].gradient


@pytest.mark.parametrize("layer, x, share", [
    (nn.Sigmoid(), [-10.0, 0.0, 2.0, 10.0], 0.5), (nn.Tanh(), [-4.0, 0.0, 1.0, 4.0], 0.5),
    (nn.ReLU(), [-1.0, 0.0, 1.0, 2.0], 0.5), (nn.Identity(), [1.0, 2.0], None),
])  # fmt: skip
def test_saturated(layer, x, share):
    with layer_statistics(layer) as calls:
        layer(torch.tensor(x))
    assert calls[0].saturated == share


def test_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="no layer 'conv1'. It has: 0, 1, 2, 3, 4"):
        with layer_statistics(mlp(), ["conv1"]):
            pass
